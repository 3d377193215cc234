/* SPDX-License-Identifier: MIT */
/*
 * L1 enters L2 and gets it back: one VMMCALL, no other trace. The smallest nested round there is.
 *
 * Can break: everything of nested SVM; the hardware's exits of L1 and L2, told apart and in order.
 * Source: APM vol. 2, 15.5, 15.6.
 */
#include "guests/l1_svm.h"
#include "case.h"

INSN(hello, "lea 1(%rcx), %rdx\n\tmov $0x1122334455667788, %rax\n\tvmmcall")

CASE(vmrun_hello, .says = "VMRUN enters L2, VMMCALL comes back, with L2's registers", .modes = LONG64,
     .needs = "vendor:amd nested", .shadow_too = true)

GUEST(vmrun_hello)
{
	struct vmcb_save want;
	struct l2_regs regs = { .rcx = 41, .rdx = 42, .rbx = 3, .rbp = 5, .rsi = 4, .rdi = 7, .r8 = 8, .r9 = 9,
				.r10 = 10, .r11 = 11, .r12 = 12, .r13 = 13, .r14 = 14, .r15 = 15 };

	l1_svm_init();
	l2_regs = regs;
	want = l1_vmcb.save;
	guest_sync(1);
	l2_run(hello);
	guest_sync(2);
	CHECK_L2_DONE(hello_end - 3);
	CHECK_NO_EXIT(SVM_EXIT_ERR);
	regs.rdx = 42;
	CHECK_L2_REGS(&regs);
	want.rip = (ulong_t)hello_end - 3;
	want.rsp = l1_vmcb.save.rsp;
	want.rax = 0x1122334455667788;
	CHECK_SAVE_SAME(&want);
}

HOST(vmrun_hello)
{
	require_sync(t, 1);
	test_forget_hw_exits(t);
	require_sync(t, 2);
	/* L1's STGI is the CPU's own where KVM offers it V_GIF. */
	expect_done(t);
}

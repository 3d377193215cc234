/* SPDX-License-Identifier: MIT */
/*
 * The conditional intercept of MWAIT is for the one that would wait: of an armed monitor it exits, at the MWAIT; without
 * MONITOR before it, MWAIT goes on. With the intercept clear it waits, here for no more than a write that has been.
 *
 * Can break: the bit mapped to that of every MWAIT; an MWAIT that KVM makes a NOP handed to L1.
 * Source: APM vol. 2, 15.9, appendix C; vol. 3, MONITOR, MWAIT. KVM API, KVM_CAP_X86_DISABLE_EXITS.
 */
#include "guests/l1_svm.h"
#include "case.h"

#define MONITOR "mov %rbx, %rax\n\txor %ecx, %ecx\n\txor %edx, %edx\n\tmonitor\n\t"
#define MWAIT "xor %eax, %eax\n\txor %ecx, %ecx\n\t"
#define TAIL "mov $77, %r15d\n\tvmmcall"

INSN(mw_armed, MONITOR MWAIT "mw_armed_at: mwait\n\t" TAIL)
INSN(mw_plain, MWAIT "mwait\n\t" TAIL)
INSN(mw_written, MONITOR "movl $1, (%rbx)\n\t" MWAIT "mwait\n\t" TAIL)
extern const char mw_armed_at[] GUEST_API;

struct row {
	ROW_FIELDS;
	const char *code, *end;
	bool is_off;		/* the intercept is clear */
	bool exits;
	bool is_disabled;	/* KVM does not want MONITOR and MWAIT */
};

#define ROW_OF(label_, code_, ...) { .label = #label_, .code = mw_##code_, .end = mw_##code_##_end, ##__VA_ARGS__ }
#define DISABLED .is_disabled = true, .needs = "KVM_CAP_X86_DISABLE_EXITS&1"

static const struct row rows[] = {
	ROW_OF(armed, armed, .exits = true, .needs = "cpuid:monitor"),
	ROW_OF(armed_exits_disabled, armed, .exits = true, DISABLED,
	       .known = { "2903-qemu-no-conditional-mwait-exit", "lab-svm" }),
	ROW_OF(plain, plain), ROW_OF(plain_exits_disabled, plain, DISABLED),
	ROW_OF(off, written, .is_off = true), ROW_OF(off_exits_disabled, written, .is_off = true, DISABLED),
};

CASE(mwait_armed, .says = "MWAIT of an armed monitor exits by the conditional intercept, another does not",
     .modes = LONG64, .needs = "vendor:amd nested", .manual = true, .rows = ROWS(rows))

GUEST(mwait_armed)
{
	const struct row *row = GUEST_ROW(rows);

	l1_svm_init();
	if (!row->is_off)
		vmcb_intercept(&l1_vmcb, SVM_EXIT_MWAIT_COND);
	l2_regs = (struct l2_regs){ .rbx = SCRATCH_GPA };
	l2_run(row->code);
	if (row->exits) {
		CHECK_EXIT(.code = SVM_EXIT_MWAIT_COND, .rip = (ulong_t)mw_armed_at);
		CHECK_EQ(0, l2_regs.r15);
		return;
	}
	CHECK_L2_DONE(row->end - 3);
	CHECK_EQ(77, l2_regs.r15);
	if (row->is_off)
		CHECK_NO_EXIT(SVM_EXIT_MWAIT_COND);
}

HOST(mwait_armed)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_DISABLE_EXITS, .args = { KVM_X86_DISABLE_EXITS_MWAIT } };

	t->vm = test_vm(t);
	if (ROW(t, rows)->is_disabled)
		expect_result(t, 0, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	guest_load(t, t->vm);
	t->vcpu = guest_vcpu(t, t->vm, 0);
	expect_done(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * What L2 does and L1 does not intercept is user space's when it would be L1's own: MMIO, ports, HLT, a shutdown. L2 goes
 * on where it was, with L1 none the wiser. What L1 does intercept is L1's: HLT, SHUTDOWN.
 *
 * Can break: an exit to user space completed in the wrong VMCB, HLT of L2 that stops L1, a triple fault that ends L1's
 * machine although L1 intercepts it, or L1's instead of L2's state in a shutdown.
 * Source: APM vol. 2, 15.9, 15.14.3; KVM API, KVM_EXIT_MMIO, KVM_EXIT_HLT, KVM_EXIT_SHUTDOWN.
 */
#include "guests/l1_svm.h"
#include "case.h"

INSN(e_read8, "movzbl (%rbx), %eax\n\tvmmcall")
INSN(e_read64, "mov (%rbx), %rax\n\tvmmcall")
INSN(e_write32, "mov $0x89abcdef, %eax\n\tmov %eax, (%rbx)\n\tvmmcall")
INSN(e_movs, "mov %rbx, %rdi\n\tmov $0x200000, %esi\n\tmovsl\n\tvmmcall")
INSN(e_rmw, "mov $3, %eax\n\taddl $0x10, (%rbx)\n\tvmmcall")
INSN(e_hlt, "hlt\n\tvmmcall")
INSN(e_shutdown, "lidt -64(%rsp)\n\tud2\n\tvmmcall")

enum what { MMIO_READ, MMIO_WRITE, MMIO_RMW, HLT, SHUTDOWN };

struct row {
	ROW_FIELDS;
	const char *code, *end;
	enum what what;
	uint32_t len;
	uint64_t data, rax;
	bool is_intercepted;
};

#define ROW_OF(name_, ...) { .label = #name_, .code = e_##name_, .end = e_##name_##_end, ##__VA_ARGS__ }

static const struct row rows[] = {
	ROW_OF(read8, .what = MMIO_READ, .len = 1, .data = 0x5a, .rax = 0x5a),
	ROW_OF(read64, .what = MMIO_READ, .len = 8, .data = 0x1122334455667788, .rax = 0x1122334455667788),
	ROW_OF(write32, .what = MMIO_WRITE, .len = 4, .data = 0x89abcdef, .rax = 0x89abcdef),
	ROW_OF(movs, .what = MMIO_WRITE, .len = 4, .data = 0x76543210),
	ROW_OF(rmw, .what = MMIO_RMW, .len = 4, .data = 0x20, .rax = 3),
	ROW_OF(hlt, .what = HLT),
	{ .label = "hlt_intercepted", .code = e_hlt, .end = e_hlt_end, .what = HLT, .is_intercepted = true },
	{ .label = "shutdown_intercepted", .code = e_shutdown, .end = e_shutdown_end, .what = SHUTDOWN,
	  .is_intercepted = true },
	ROW_OF(shutdown, .what = SHUTDOWN),
};

CASE(l2_exit, .says = "L2's exits to user space complete in L2, intercepted ones go to L1", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

static void check_intercepted(const struct row *row)
{
	if (row->what == HLT) {
		CHECK_EXIT(.code = SVM_EXIT_HLT, .rip = (ulong_t)row->code);
		return;
	}
	CHECK_EXIT_CODE(SVM_EXIT_SHUTDOWN);
	/* L1 is alive, and can enter L2 again. */
	vmcb_init(&l1_vmcb);
	l2_run(e_hlt_end - 3);
	CHECK_L2_DONE(e_hlt_end - 3);
}

GUEST(l2_exit)
{
	const struct row *row = GUEST_ROW(rows);

	write32(0x200000, 0x76543210);
	l1_svm_init();
	l2_regs.rbx = MMIO_GPA + 0x100;
	if (row->what == SHUTDOWN && !row->is_intercepted) {
		vmcb_intercept_clear(&l1_vmcb, SVM_EXIT_SHUTDOWN);
		/* The host sees that there is none. */
		guest_met(ABI_MET_SVM_OFF, SVM_EXIT_SHUTDOWN);
	}
	if (row->what == HLT && row->is_intercepted)
		vmcb_intercept(&l1_vmcb, SVM_EXIT_HLT);
	guest_sync(1);
	l2_run(row->code);
	if (row->is_intercepted) {
		check_intercepted(row);
		return;
	}
	CHECK_L2_DONE(row->end - 3);
	CHECK_EQ(row->rax, l1_vmcb.save.rax);
}

HOST(l2_exit)
{
	const struct row *row = ROW(t, rows);
	uint64_t gpa = MMIO_GPA + 0x100;

	require_sync(t, 1);
	if (row->what == MMIO_READ)
		expect_mmio_read(t, row->data, .phys_addr = gpa, .len = row->len);
	if (row->what == MMIO_RMW)
		expect_mmio_read(t, 0x10, .phys_addr = gpa, .len = row->len);
	if (row->what == MMIO_WRITE || row->what == MMIO_RMW)
		expect_mmio_write(t, .phys_addr = gpa, .len = row->len, .data = row->data);
	if (row->what == HLT && !row->is_intercepted)
		expect_hlt(t);
	if (row->what == SHUTDOWN && !row->is_intercepted)
		expect_shutdown(t);
	else
		expect_done(t);
}

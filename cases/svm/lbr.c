/* SPDX-License-Identifier: MIT */
/*
 * With LBR virtualisation DEBUGCTL and the last-branch MSRs of L2 are those of the VMCB: L2 begins with them, what it
 * makes of them is in the VMCB after the #VMEXIT, and L1 has its own again. Without it L1 and L2 share them, and the
 * VMCB's count for nothing.
 *
 * Can break: KVM moves the five between three VMCBs, by whether L1 has LBR on, L2 has, or L1 has asked for the switch.
 * Source: APM vol. 2, 13.1.1, 15.23.
 */
#include "guests/l1_svm.h"
#include "case.h"

#define MSR_DEBUGCTL 0x1d9
#define DEBUGCTL_LBR 1u
#define DEBUGCTL_BTF 2u

/* EAX: DEBUGCTL as L2 finds it; it becomes RBX. */
INSN(b_debugctl, "mov $0x1d9, %ecx\n\trdmsr\n\tmov %rax, %r12\n\tmov %rbx, %rax\n\twrmsr\n\tmov %r12, %rax\n\tvmmcall")

struct row {
	ROW_FIELDS;
	bool is_switched;
	uint8_t l1, l2;		/* DEBUGCTL of L1, and of the VMCB */
	uint8_t written;	/* by L2 */
};

static const struct row rows[] = {
	{ .label = "switched", .is_switched = true, .l1 = 0, .l2 = DEBUGCTL_BTF, .written = 0 },
	{ .label = "switched_l1_btf", .is_switched = true, .l1 = DEBUGCTL_BTF, .l2 = 0, .written = 0 },
	{ .label = "switched_written", .is_switched = true, .l1 = 0, .l2 = 0, .written = DEBUGCTL_BTF },
	{ .label = "switched_l2_lbr", .is_switched = true, .l1 = 0, .l2 = DEBUGCTL_LBR, .written = DEBUGCTL_LBR },
	{ .label = "switched_l1_lbr", .is_switched = true, .l1 = DEBUGCTL_LBR, .l2 = 0, .written = 0 },
	{ .label = "shared", .l1 = DEBUGCTL_BTF, .l2 = 0, .written = DEBUGCTL_BTF },
	{ .label = "shared_vmcb_ignored", .l1 = 0, .l2 = DEBUGCTL_BTF, .written = 0 },
	{ .label = "shared_written", .l1 = 0, .l2 = 0, .written = DEBUGCTL_BTF },
	{ .label = "shared_l1_lbr", .l1 = DEBUGCTL_LBR, .l2 = 0, .written = DEBUGCTL_LBR },
	{ .label = "shared_lbr_cleared", .l1 = DEBUGCTL_LBR, .l2 = 0, .written = 0 },
};

CASE(lbr, .says = "DEBUGCTL and last branches are L2's own with LBR virtualisation", .modes = LONG64,
     .needs = "vendor:amd nested cpuid:lbrv", .rows = ROWS(rows))

GUEST(lbr)
{
	const struct row *row = GUEST_ROW(rows);

	l1_svm_init();
	wrmsr(MSR_DEBUGCTL, row->l1);
	l1_vmcb.control.virt_ext = row->is_switched ? LBR_ENABLE : 0;
	l1_vmcb.save.dbgctl = row->l2;
	l1_vmcb.save.br_from = 0x1111;
	l1_vmcb.save.br_to = 0x2222;
	l1_vmcb.save.last_excp_from = 0x3333;
	l1_vmcb.save.last_excp_to = 0x4444;
	l2_regs.rbx = row->written;
	l2_run(b_debugctl);
	CHECK_L2_DONE(b_debugctl_end - 3);
	CHECK_EQ(row->is_switched ? row->l2 : row->l1, l1_vmcb.save.rax);
	CHECK_EQ(row->is_switched ? row->l1 : row->written, rdmsr(MSR_DEBUGCTL));
	CHECK_EQ(row->is_switched ? row->written : row->l2, l1_vmcb.save.dbgctl);
	CHECK_EQ(row->is_switched ? LBR_ENABLE : 0, l1_vmcb.control.virt_ext);
	/* No branch is recorded without LBR. */
	if (row->is_switched && (row->l2 & DEBUGCTL_LBR))
		return;
	CHECK_EQ(0x1111, l1_vmcb.save.br_from);
	CHECK_EQ(0x2222, l1_vmcb.save.br_to);
	CHECK_EQ(0x3333, l1_vmcb.save.last_excp_from);
	CHECK_EQ(0x4444, l1_vmcb.save.last_excp_to);
}

HOST(lbr)
{
	expect_done(t);
}

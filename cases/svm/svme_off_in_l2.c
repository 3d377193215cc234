/* SPDX-License-Identifier: MIT */
/*
 * EFER.SVME cleared by L2, which no intercept of L1's stops, leaves nothing of L2 behind: the vCPU is no guest any more
 * and takes interrupts again, goes on behind WRMSR, has no SVM instruction and, once SVME is set again, enters a guest as
 * if it were the first. L1's VMCB is not written, since there was no #VMEXIT.
 *
 * The manual leaves open what becomes of the guest and asks hypervisors to keep it from doing so. This is what Linux 6.1
 * makes of it; ending the VM would be as right. Going on as L2, or with L2's intercepts or tables, would not.
 *
 * Can break: KVM frees L2's state right there, under what still runs on it.
 * Source: APM vol. 2, 15.4 (EFER.SVME), 15.5.1.
 */
#include "cases/svm/nested_state.h"
#include "cases/svm/npt.h"
#include "case.h"

#define POISON 0x5a5a5a5a5a5a5a5aull

INSN(e_again, "mov $0x4242, %eax\n\tcpuid\n\tvmmcall")

struct row {
	ROW_FIELDS;
	bool is_nested, is_masking;
};

#define FINDING "4102-svme-off-in-l2-faults-for-ever"
#define ELSEWHERE .next = &(const struct known){ FINDING, "soft-svm" }
/* Until the time is over. */
#define ENDLESS { FINDING, "@(kvm|lab-svm*)", "6.1..6.1", .is_skipped = true, .needs = "tdp", ELSEWHERE }

static const struct row rows[] = {
	{ .label = "plain", .known = ENDLESS }, { .label = "masking", .is_masking = true, .known = ENDLESS },
	{ .label = "nested", .is_nested = true, .needs = "cpuid:npt tdp",
	  .known = { FINDING, "@(kvm|lab-svm*)", "6.1..6.1", .needs = "cpuid:nrips", ELSEWHERE } },
};

CASE(svme_off_in_l2, .says = "L2 that turns SVM off is no guest any more", .modes = LONG64,
     .needs = "vendor:amd nested KVM_CAP_NESTED_STATE", .rows = ROWS(rows))

static uint8_t other_stack[0x1000] __attribute__((aligned(16)));

/* Begins as L2; there is no way back to L1's stack, so that all else is done here. */
static void l2_main(void)
{
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SVME);
	guest_sync(1);
	CHECK_EQ(0, rdmsr(MSR_EFER) & EFER_SVME);
	CHECK_EQ(POISON, l1_vmcb.control.exit_code);
	CHECK_FAULT(UD_VECTOR, 0, vmrun_try((ulong_t)&l1_vmcb));
	CHECK_FAULT(UD_VECTOR, 0, vmsave_try((ulong_t)&l1_vmcb));

	l1_svm_enable();
	vmcb_init(&l1_vmcb);
	vmcb_intercept(&l1_vmcb, SVM_EXIT_CPUID);
	l1_vmcb.save.rip = (ulong_t)e_again;
	l1_vmcb.save.rsp = (ulong_t)other_stack + sizeof(other_stack);
	vmcb_run(&l1_vmcb);
	CHECK_EXIT(.code = SVM_EXIT_CPUID, .rip = (ulong_t)e_again + 5);
	CHECK_EQ(0x4242, l1_vmcb.save.rax);
	/* Now it is L1's business alone: no exit. */
	cpuid(0, 0);
	guest_sync(2);
}

GUEST(svme_off_in_l2)
{
	const struct row *row = GUEST_ROW(rows);

	l1_svm_init();
	vmcb_intercept(&l1_vmcb, SVM_EXIT_CPUID);
	if (row->is_nested) {
		npt_build();
		l1_vmcb.control.nested_ctl = NP_ENABLE;
		l1_vmcb.control.nested_cr3 = (ulong_t)npt_root;
	}
	if (row->is_masking)
		l1_vmcb.control.int_ctl = V_INTR_MASKING;
	l1_vmcb.control.exit_code = POISON;
	l2_run(l2_main);
	CHECK_EXIT_CODE(POISON);
}

HOST(svme_off_in_l2)
{
	struct kvm_nested_state *state;
	struct kvm_sregs sregs;

	require_sync(t, 1);
	state = nested_state_get(t);
	expect_eq(t, KVM_STATE_NESTED_GIF_SET, state->flags);
	expect_eq(t, sizeof(*state), state->size);
	free(state);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	expect_eq(t, 0, sregs.efer & EFER_SVME);
	require_sync(t, 2);
}

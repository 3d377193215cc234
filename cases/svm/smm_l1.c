/* SPDX-License-Identifier: MIT */
/*
 * An SMI in L2 leaves L1 as it is, too: after RSM, L2 runs on under L1's permission map, and the #VMEXIT brings back the
 * segments and descriptor tables that L1 had at its VMRUN, not those of L2 or of SMM.
 *
 * Can break: KVM keeps L1's state aside while SMM has its VMCB; the map of L2's accesses, which is made for it at VMRUN,
 * is not made again for RSM.
 * Source: APM vol. 2, 15.6, 15.11, 15.22.
 */
#include "cases/svm/nested_state.h"
#include "cases/svm/smm.h"
#include "guests/l1_svm.h"

#define L2_PORT 0x81

INSN(m_l2, "out %al, $0x81\n\tmov $0xc0000082, %ecx\n\tm_rdmsr: rdmsr\n\tvmmcall")
extern const char m_rdmsr[] GUEST_API;

CASE(smm_l1, .says = "an SMI in L2 leaves L1's map and segments as they are", .modes = LONG64,
     .needs = "vendor:amd nested " SMM_NEEDS, .irqchip = true)

GUEST(smm_l1)
{
	struct vmcb_save *save = &l1_vmcb.save;

	l1_svm_init();
	vmcb_intercept(&l1_vmcb, SVM_EXIT_MSR);
	msrpm_set(l1_msrpm, MSR_LSTAR, false, true);
	/* For nothing in 64-bit mode, but saved and restored. */
	save->ds.base = save->es.base = save->ss.base = 0x1000;
	save->gdtr.limit = 0x77;
	save->idtr.limit = 0x7ff;
	guest_sync(1);
	l2_run(m_l2);
	guest_sync(2);
	CHECK_EXIT(.code = SVM_EXIT_MSR, .rip = (ulong_t)m_rdmsr);
	CHECK_EQ(0x1000, save->ds.base);
	CHECK_EQ(0x77, save->gdtr.limit);
	CHECK_EQ(0x7ff, save->idtr.limit);
}

static void expect_tables(struct test *t, const struct kvm_sregs *want, const struct kvm_sregs *got)
{
	expect_bytes(t, &want->ds, &got->ds, sizeof(want->ds));
	expect_bytes(t, &want->es, &got->es, sizeof(want->es));
	expect_bytes(t, &want->ss, &got->ss, sizeof(want->ss));
	expect_eq(t, want->gdt.base, got->gdt.base);
	expect_eq(t, want->gdt.limit, got->gdt.limit);
	expect_eq(t, want->idt.base, got->idt.base);
	expect_eq(t, want->idt.limit, got->idt.limit);
}

HOST(smm_l1)
{
	struct kvm_sregs before, after;

	smm_prepare(t);
	require_sync(t, 1);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &before);
	require_pio_out(t, .port = L2_PORT, .size = 1, .count = 1);
	vcpu_settle(t);
	smi(t);
	expect_smm_handler(t);
	require_sync(t, 2);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &after);
	expect_tables(t, &before, &after);
	expect_done(t);
}

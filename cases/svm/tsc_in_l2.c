/* SPDX-License-Identifier: MIT */
/*
 * The TSC that user space sets while the vCPU is in L2 is L1's: L2 reads it with its TSC_OFFSET added, L1 without, at
 * once and after the #VMEXIT.
 *
 * Can break: the offset of the VMCB that is in use changed and the other's not; L2's offset added twice or kept for L1.
 * Source: APM vol. 2, appendix B (TSC_OFFSET); KVM API, KVM_SET_MSRS.
 */
#include "cases/ioctl/vcpu_state.h"
#include "guests/l1_svm.h"
#include "case.h"

#define BASE (1ull << 52)
#define OFFSET (1ull << 56)
#define SLACK (1ull << 40)

INSN(c_code, "out %al, $0x80\n\trdtsc\n\tvmmcall")

CASE(tsc_in_l2, .says = "the TSC set while in L2 is L1's", .modes = LONG64, .needs = "vendor:amd nested")

/* From @base on, and not by an offset more. */
#define CHECK_FROM(base_, got_) CHECK_EQ(1, (got_) - (base_) < SLACK)

GUEST(tsc_in_l2)
{
	uint64_t l2;

	l1_svm_init();
	l1_vmcb.control.tsc_offset = OFFSET;
	l2_run(c_code);
	CHECK_L2_DONE(c_code_end - 3);
	l2 = l2_regs.rdx << 32 | (uint32_t)l1_vmcb.save.rax;
	CHECK_FROM(BASE + OFFSET, l2);
	CHECK_FROM(BASE, rdtsc());
	CHECK_FROM(BASE, rdmsr(MSR_IA32_TSC));
	CHECK_EQ(OFFSET, l1_vmcb.control.tsc_offset);
	/* Again: the offset is L2's only. */
	l2_run(c_code + 2);
	l2 = l2_regs.rdx << 32 | (uint32_t)l1_vmcb.save.rax;
	CHECK_FROM(BASE + OFFSET, l2);
	CHECK_FROM(BASE, rdtsc());
}

HOST(tsc_in_l2)
{
	uint64_t got = 0;

	require_pio_out(t, .port = 0x80, .size = 1, .count = 1);
	expect_result(t, 1, msr_set_try(t->vcpu, MSR_IA32_TSC, BASE));
	expect_result(t, 1, msr_get_try(t->vcpu, MSR_IA32_TSC, &got));
	expect_true(t, got - BASE < SLACK);
	expect_done(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * RDMSR and WRMSR of a guest: APM vol. 3. What is refused is #GP, or user space's to decide for the reasons that it asked
 * for (KVM API, KVM_CAP_X86_USER_SPACE_MSR).
 */
#include "soft/private.h"

#include <errno.h>
#include <string.h>

#include "vm/x86/bits.h"

static int msr_fault(struct soft_vcpu *vcpu)
{
	vcpu_queue_exception(vcpu, VECTOR_GP, true, 0);
	return 1;
}

static int msr_finish(struct soft_vcpu *vcpu, bool is_write, uint64_t value)
{
	if (!is_write) {
		vcpu->regs[REG_RAX] = (uint32_t)value;
		vcpu->regs[REG_RDX] = value >> 32;
	}
	return instruction_skip(vcpu);
}

static long complete_msr(struct soft_vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;

	if (run->msr.error)
		return msr_fault(vcpu);
	return msr_finish(vcpu, vcpu->vmcb->control.exit_info_1, run->msr.data);
}

static uint32_t reason_of(int error)
{
	switch (error) {
	case -EPERM:
		return KVM_MSR_EXIT_REASON_FILTER;
	case -ENOENT:
		return KVM_MSR_EXIT_REASON_UNKNOWN;
	default:
		return KVM_MSR_EXIT_REASON_INVAL;
	}
}

static int msr_refused(struct soft_vcpu *vcpu, int error, bool is_write, uint32_t index, uint64_t value)
{
	struct kvm_run *run = vcpu->run;
	uint32_t reason = reason_of(error);

	if (!(vcpu->vm->msr_exits & reason))
		return msr_fault(vcpu);
	run->exit_reason = is_write ? KVM_EXIT_X86_WRMSR : KVM_EXIT_X86_RDMSR;
	run->msr.error = 0;
	memset(run->msr.pad, 0, sizeof(run->msr.pad));
	run->msr.reason = reason;
	run->msr.index = index;
	run->msr.data = is_write ? value : 0;
	vcpu->complete = complete_msr;
	return 0;
}

int handle_msr(struct soft_vcpu *vcpu)
{
	const uint64_t *regs = vcpu->regs;
	bool is_write = vcpu->vmcb->control.exit_info_1;
	uint32_t index = (uint32_t)regs[REG_RCX];
	uint64_t value = is_write ? (uint32_t)regs[REG_RAX] | regs[REG_RDX] << 32 : 0;
	int r = -EPERM;

	if (msr_filter_allows(&vcpu->vm->msr_filter, index, is_write))
		r = is_write ? msr_set(vcpu, index, value, false) : msr_get(vcpu, index, &value, false);
	if (r)
		return msr_refused(vcpu, r, is_write, index, value);
	r = msr_finish(vcpu, is_write, value);
	return hyperv_exit_take(vcpu) ? 0 : r;
}

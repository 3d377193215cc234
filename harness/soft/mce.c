/* SPDX-License-Identifier: MIT */
/* Machine checks: the banks' MSRs, and the errors that user space puts into them. APM vol. 2, chapter 9. */
#include "soft/private.h"

#include <errno.h>
#include <stdlib.h>

#include "vm/x86/bits.h"

#define MSR_MCG_CAP 0x179
#define MSR_MCG_STATUS 0x17a
#define MSR_MCG_CTL 0x17b
#define MSR_MC0_CTL 0x400
#define MSR_HWCR 0xc0010015
#define CTL_LENIENT 0x401ull	/* what guests are known to leave clear beside all ones */
#define HWCR_MC_STATUS_WR_EN (1ull << 18)

#define MCG_CTL_P (1ull << 8)
#define MCG_SER_P (1ull << 24)
#define MCG_CAP_SETTABLE (MCG_CTL_P | MCG_SER_P | 0xff)
#define MCG_STATUS_MCIP (1ull << 2)

#define STATUS_VAL (1ull << 63)
#define STATUS_OVER (1ull << 62)
#define STATUS_UC (1ull << 61)
#define STATUS_EN (1ull << 60)
#define STATUS_PCC (1ull << 57)
#define STATUS_S (1ull << 56)
#define STATUS_AR (1ull << 55)

enum { BANK_CTL, BANK_STATUS, BANK_ADDR, BANK_MISC, NR_BANK_MSRS };

int mce_init(struct soft_vcpu *vcpu)
{
	vcpu->mce.cap = SOFT_MCE_BANKS;
	vcpu->mce.banks = calloc(SOFT_MCE_BANKS, sizeof(*vcpu->mce.banks));
	return vcpu->mce.banks ? 0 : -ENOMEM;
}

void mce_free(struct soft_vcpu *vcpu)
{
	free(vcpu->mce.banks);
}

static unsigned int nr_banks(const struct soft_vcpu *vcpu)
{
	return vcpu->mce.cap & 0xff;
}

/* NULL: not a bank's. */
static uint64_t *bank_msr(struct soft_vcpu *vcpu, uint32_t index)
{
	uint32_t nr = index - MSR_MC0_CTL;

	return nr / NR_BANK_MSRS < nr_banks(vcpu) ? &vcpu->mce.banks[nr / NR_BANK_MSRS][nr % NR_BANK_MSRS] : NULL;
}

int mce_msr_get(struct soft_vcpu *vcpu, uint32_t index, uint64_t *ret_value, bool is_host)
{
	const uint64_t *bank = bank_msr(vcpu, index);

	switch (index) {
	case MSR_MCG_CAP:
		*ret_value = vcpu->mce.cap;
		return 1;
	case MSR_MCG_STATUS:
		*ret_value = vcpu->mce.status;
		return 1;
	case MSR_MCG_CTL:
		if (!(vcpu->mce.cap & MCG_CTL_P) && !is_host)
			return -EINVAL;
		*ret_value = vcpu->mce.ctl;
		return 1;
	default:
		if (!bank)
			return 0;
		*ret_value = *bank;
		return 1;
	}
}

/* Where there is none, user space may still put back what it read: 0. */
static int mcg_ctl_set(struct soft_vcpu *vcpu, uint64_t value, bool is_host)
{
	if ((value && value != ~0ull) || (!(vcpu->mce.cap & MCG_CTL_P) && (value || !is_host)))
		return -EINVAL;
	vcpu->mce.ctl = value;
	return 1;
}

static bool status_is_writable(struct soft_vcpu *vcpu)
{
	uint64_t hwcr;

	return !msr_get(vcpu, MSR_HWCR, &hwcr, true) && (hwcr & HWCR_MC_STATUS_WR_EN);
}

/* A bank's errors are all reported or none; a guest only clears its status, unless HWCR lets it. */
static int bank_set(struct soft_vcpu *vcpu, uint32_t index, uint64_t value, bool is_host)
{
	unsigned int which = (index - MSR_MC0_CTL) % NR_BANK_MSRS;

	if (which == BANK_CTL && value && (value | CTL_LENIENT) != ~0ull)
		return -EINVAL;
	if (which == BANK_STATUS && value && !is_host && !status_is_writable(vcpu))
		return -EINVAL;
	*bank_msr(vcpu, index) = value;
	return 1;
}

int mce_msr_set(struct soft_vcpu *vcpu, uint32_t index, uint64_t value, bool is_host)
{
	switch (index) {
	case MSR_MCG_CAP:
		return -EINVAL;
	case MSR_MCG_STATUS:
		vcpu->mce.status = value;
		return 1;
	case MSR_MCG_CTL:
		return mcg_ctl_set(vcpu, value, is_host);
	default:
		return bank_msr(vcpu, index) ? bank_set(vcpu, index, value, is_host) : 0;
	}
}

static long answer_setup(struct call *call)
{
	struct soft_vcpu *vcpu = call->vcpu;
	uint64_t cap = *(uint64_t *)call->data;
	unsigned int i;

	if (!(cap & 0xff) || (cap & 0xff) > SOFT_MCE_BANKS || cap & ~(uint64_t)(MCG_CAP_SETTABLE | 0xff0000))
		return -EINVAL;
	/* An AMD CPU has no more than the count and MCG_CTL. */
	vcpu->mce.cap = cap & (MCG_CTL_P | 0xff);
	if (cap & MCG_CTL_P)
		vcpu->mce.ctl = ~0ull;
	for (i = 0; i < nr_banks(vcpu); i++)
		vcpu->mce.banks[i][BANK_CTL] = ~0ull;
	return 0;
}

static void bank_fill(uint64_t *bank, const struct kvm_x86_mce *mce, uint64_t status)
{
	bank[BANK_STATUS] = status;
	bank[BANK_ADDR] = mce->addr;
	bank[BANK_MISC] = mce->misc;
}

/* What cannot be delivered shuts the CPU down, and its bank stays as it was: APM vol. 2, 9.3.1. */
static void mce_raise(struct soft_vcpu *vcpu, uint64_t *bank, const struct kvm_x86_mce *mce)
{
	uint64_t status = mce->status;

	if ((vcpu->mce.status & MCG_STATUS_MCIP) || !(vcpu->vmcb->save.cr4 & X86_CR4_MCE)) {
		vcpu->has_triple_fault = true;
		return;
	}
	if (bank[BANK_STATUS] & STATUS_VAL)
		status |= STATUS_OVER;
	bank_fill(bank, mce, status);
	vcpu->mce.status = mce->mcg_status;
	vcpu_queue_exception(vcpu, VECTOR_MC, false, 0);
}

/* One that nobody has to act on takes the place of none that is worse: SDM vol. 3B, 15.3.2.2.1. */
static void mce_log(uint64_t *bank, const struct kvm_x86_mce *mce)
{
	uint64_t before = bank[BANK_STATUS];

	if ((before & STATUS_VAL) && (before & STATUS_UC)) {
		bank[BANK_STATUS] |= STATUS_OVER;
		return;
	}
	bank_fill(bank, mce, mce->status | (before & STATUS_VAL ? STATUS_OVER : 0));
}

static bool asks_for_no_action(const struct kvm_x86_mce *mce)
{
	return !mce->mcg_status && !(mce->status & (STATUS_PCC | STATUS_S | STATUS_AR));
}

static long answer_set(struct call *call)
{
	const struct kvm_x86_mce *mce = call->data;
	struct soft_vcpu *vcpu = call->vcpu;
	uint64_t *bank;

	if (mce->bank >= nr_banks(vcpu) || !(mce->status & STATUS_VAL))
		return -EINVAL;
	bank = vcpu->mce.banks[mce->bank];
	if (!(mce->status & STATUS_UC)) {
		mce_log(bank, mce);
		return 0;
	}
	if (asks_for_no_action(mce)) {
		bank_fill(bank, mce, mce->status);
		return 0;
	}
	/* What the guest has turned off is not reported. */
	if (((vcpu->mce.cap & MCG_CTL_P) && vcpu->mce.ctl != ~0ull) || bank[BANK_CTL] != ~0ull)
		return 0;
	mce_raise(vcpu, bank, mce);
	return 0;
}

const struct answer mce_answers[] = {
	{ KVM_X86_SETUP_MCE, answer_setup, false },
	{ KVM_X86_SET_MCE, answer_set, false },
	{ 0, NULL, false },
};

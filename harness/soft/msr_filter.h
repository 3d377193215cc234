/* SPDX-License-Identifier: MIT */
/*
 * Which MSRs a VM's guests may reach: KVM_X86_SET_MSR_FILTER (KVM API). Ranges of a bit per MSR, for reads and for writes,
 * of which the first that has the MSR decides, and a default for what is in none.
 */
#ifndef VMASSAY_SOFT_MSR_FILTER_H
#define VMASSAY_SOFT_MSR_FILTER_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

struct msr_filter_range {
	uint32_t flags;		/* KVM_MSR_FILTER_READ, _WRITE */
	uint32_t base;
	uint32_t nr_msrs;
	uint8_t *bits;		/* its own; a set one allows */
};

/* All zero allows everything. */
struct msr_filter {
	bool denies_others;
	unsigned int nr_ranges;
	struct msr_filter_range ranges[KVM_MSR_FILTER_MAX_RANGES];
};

/* Takes what user space gave, with the bitmaps: 0, -EINVAL, -EFAULT or -ENOMEM; the old filter stays on an error. */
int msr_filter_set(struct msr_filter *filter, const struct kvm_msr_filter *from);
void msr_filter_clear(struct msr_filter *filter);
/* The local APIC's are never filtered. */
bool msr_filter_allows(const struct msr_filter *filter, uint32_t index, bool is_write);

#endif

/* SPDX-License-Identifier: MIT */
#include "soft/msr_filter.h"

#include <errno.h>
#include <stdlib.h>

#include "soft/private.h"

#define READ_AND_WRITE (KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE)
#define MAX_MSRS (KVM_MSR_FILTER_MAX_BITMAP_SIZE * 8)
#define X2APIC_FIRST 0x800u
#define X2APIC_LAST 0x8ffu

void msr_filter_clear(struct msr_filter *filter)
{
	unsigned int i;

	for (i = 0; i < filter->nr_ranges; i++)
		free(filter->ranges[i].bits);
	*filter = (struct msr_filter) { 0 };
}

/* A range without MSRs is none, whatever else it says. */
static int range_add(struct msr_filter *filter, const struct kvm_msr_filter_range *from)
{
	size_t len_bytes = ((size_t)from->nmsrs + 63) / 64 * 8;
	uint8_t *bits;

	if (!from->nmsrs)
		return 0;
	if (!from->flags || from->flags & ~(uint32_t)READ_AND_WRITE || from->nmsrs > MAX_MSRS)
		return -EINVAL;
	bits = malloc(len_bytes);
	if (!bits)
		return -ENOMEM;
	filter->ranges[filter->nr_ranges++] = (struct msr_filter_range) {
		.flags = from->flags, .base = from->base, .nr_msrs = from->nmsrs, .bits = bits,
	};
	return user_read(bits, (uintptr_t)from->bitmap, len_bytes);
}

int msr_filter_set(struct msr_filter *filter, const struct kvm_msr_filter *from)
{
	struct msr_filter new_filter = { .denies_others = from->flags & KVM_MSR_FILTER_DEFAULT_DENY };
	unsigned int i;
	int r = from->flags & ~(uint32_t)KVM_MSR_FILTER_DEFAULT_DENY ? -EINVAL : 0;

	for (i = 0; !r && i < KVM_MSR_FILTER_MAX_RANGES; i++)
		r = range_add(&new_filter, &from->ranges[i]);
	if (!r && new_filter.denies_others && !new_filter.nr_ranges)
		r = -EINVAL;
	if (r) {
		msr_filter_clear(&new_filter);
		return r;
	}
	msr_filter_clear(filter);
	*filter = new_filter;
	return 0;
}

bool msr_filter_allows(const struct msr_filter *filter, uint32_t index, bool is_write)
{
	uint32_t kind = is_write ? KVM_MSR_FILTER_WRITE : KVM_MSR_FILTER_READ;
	unsigned int i;

	if (index >= X2APIC_FIRST && index <= X2APIC_LAST)
		return true;
	for (i = 0; i < filter->nr_ranges; i++) {
		const struct msr_filter_range *range = &filter->ranges[i];
		uint32_t nr = index - range->base;

		if ((range->flags & kind) && nr < range->nr_msrs)
			return range->bits[nr / 8] >> nr % 8 & 1;
	}
	return !filter->denies_others;
}

static long answer_set_filter(struct call *call)
{
	struct kvm_msr_filter from;
	long r;

	if (user_read(&from, call->argument, sizeof(from)))
		return -EFAULT;
	vm_lock(call->vm);
	r = msr_filter_set(&call->vm->msr_filter, &from);
	vm_unlock(call->vm);
	return r;
}

const struct answer msr_filter_answers[] = {
	{ KVM_X86_SET_MSR_FILTER, answer_set_filter, true },
	{ 0, NULL, false },
};

/* SPDX-License-Identifier: MIT */
/* Local APICs of a VM, by their number in its struct irqchip. */
#ifndef VMASSAY_SOFT_LAPIC_SET_H
#define VMASSAY_SOFT_LAPIC_SET_H

#include <stdbool.h>
#include <stdint.h>

#define IRQCHIP_MAX_LAPICS 256

struct lapic_set {
	uint64_t words[IRQCHIP_MAX_LAPICS / 64];
};

static inline void lapic_set_put(struct lapic_set *set, unsigned int i, bool is_in)
{
	uint64_t bit = 1ull << i % 64;

	set->words[i / 64] = is_in ? set->words[i / 64] | bit : set->words[i / 64] & ~bit;
}

static inline bool lapic_set_has(const struct lapic_set *set, unsigned int i)
{
	return set->words[i / 64] >> i % 64 & 1;
}

static inline unsigned int lapic_set_count(const struct lapic_set *set)
{
	unsigned int count = 0, i;

	for (i = 0; i < IRQCHIP_MAX_LAPICS / 64; i++)
		count += (unsigned int)__builtin_popcountll(set->words[i]);
	return count;
}

#endif

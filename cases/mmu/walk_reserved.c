/* SPDX-License-Identifier: MIT */
/*
 * Each bit of an entry on its own, at each level and for each size of page: a bit that must be zero makes #PF with P
 * and RSVD and beats every permission; a bit that is software's, or a cache attribute, changes nothing.
 *
 * Can break: a mask made for another level, page size, width or MAXPHYADDR; a reserved bit looked for in an entry that
 * is not present; shadow entries that take software's bits for their own.
 * Source: APM vol. 2, 5.3, 5.4 and 8.4.2; SDM vol. 3A, 4.7 and tables 4-4 to 4-20.
 */
#include "cases/mmu/walk.h"

struct row {
	ROW_FIELDS;
	uint8_t leaf;
	uint8_t varied;
	bool no_nxe;
};

#define WIDE (PAE32 | LONG64)

static const struct row rows[] = {
	{ .label = "small_l1", .modes = PAGE32 | WIDE, .leaf = 1, .varied = 1 },
	{ .label = "small_l2", .modes = PAGE32 | WIDE, .leaf = 1, .varied = 2 },
	{ .label = "small_l3", .modes = LONG64 | LA57, .leaf = 1, .varied = 3 },
	{ .label = "small_l4", .modes = LONG64 | LA57, .leaf = 1, .varied = 4 },
	{ .label = "small_l5", .modes = LA57, .leaf = 1, .varied = 5 },
	{ .label = "small_l1_no_nxe", .modes = WIDE, .leaf = 1, .varied = 1, .no_nxe = true },
	{ .label = "small_l4_no_nxe", .modes = LONG64, .leaf = 1, .varied = 4, .no_nxe = true },
	{ .label = "large_l2", .modes = PAGE32 | WIDE, .leaf = 2, .varied = 2 },
	{ .label = "large_l3", .modes = LONG64, .leaf = 2, .varied = 3 },
	{ .label = "huge_l3", .needs = "cpuid:pdpe1gb", .modes = LONG64 | LA57, .leaf = 3, .varied = 3 },
	{ .label = "huge_l4", .needs = "cpuid:pdpe1gb", .modes = LONG64, .leaf = 3, .varied = 4 },
};

CASE(walk_reserved, .says = "a reserved bit in an entry makes #PF with RSVD, other bits that are not in use do nothing",
     .modes = PAGE32 | PAE32 | LONG64 | LA57, .irqchip = true, .rows = ROWS(rows),
     .shadow_too = true)

/* Whether the bit can be set without making another walk of it. */
static bool is_tried(const struct walk_test *w, unsigned int level, unsigned int bit)
{
	uint64_t entry = w->base[level], mask = 1ull << bit;

	if (walk_reserved(w, level, entry | mask) & mask)
		return true;
	/* Bit 8 above level 3 must be zero for AMD and is ignored by Intel; PSE-36 takes bits 13 to 20. */
	if ((bit == 8 && level >= 4) || (!w->is_wide && bit > 12 && level == w->leaf && level > 1))
		return false;
	/* PS makes a page of a table; in a leaf of level 1 it is PAT. */
	if (bit == 7 && level > 1)
		return false;
	/* Protection keys are off, so bits 59 to 62 are free where they are not reserved. */
	return bit < 12 || bit > 51 || (bit == 12 && level > 1 && level == w->leaf);
}

static void bit_try(struct walk_test *w, const struct row *row, uint64_t mask)
{
	static const uint64_t permissions[] = { PTE_P | PTE_W | PTE_U, PTE_P, PTE_W | PTE_U };
	uint64_t entries[MAX_LEVELS + 1];
	unsigned int i, level, access;

	for (i = 0; i < 3; i++) {
		for (level = w->levels; level >= w->leaf; level--)
			entries[level] = w->base[level] | PTE_P | PTE_W | PTE_U;
		entries[row->varied] = w->base[row->varied] | permissions[i] | mask;
		for (access = 0; access < NR_ACCESSES; access++)
			walk_try(w, entries, access);
	}
}

GUEST(walk_reserved)
{
	const struct row *row = GUEST_ROW(rows);
	struct walk_test w = { .leaf = row->leaf, .wp = true, .nxe = !row->no_nxe };
	unsigned int bit, nr_tried = 0;

	walk_prepare(&w);
	bit_try(&w, row, 0);
	for (bit = 3; bit < (w.is_wide ? 64 : 32); bit++) {
		if (!is_tried(&w, row->varied, bit))
			continue;
		nr_tried++;
		bit_try(&w, row, 1ull << bit);
	}
	/* All the bits that are free at once, and all that are reserved at once. */
	bit_try(&w, row, 0xe18ull & ~(w.leaf < 3 && row->varied >= 4 ? 0x100ull : 0));
	bit_try(&w, row, walk_reserved(&w, row->varied, w.base[row->varied]) & ~PTE_PS);
	CHECK(nr_tried >= 6);
}

HOST(walk_reserved)
{
	expect_done(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * Every combination of P, W, U, NX, A and D in the entry that maps a page with P, W, U and NX of one entry above it,
 * for reads, writes and fetches of supervisor and user, and for the accesses that KVM makes for INS and OUTS, under the
 * settings of CR0.WP, CR4.SMEP, CR4.SMAP, RFLAGS.AC and EFER.NXE.
 *
 * Can break: a permission that is taken from one level only; a shadow entry that grants more than the guest's; an
 * error code without its P, U or I bit; accessed or dirty bits set too early, too late, or in the wrong entry.
 * Source: APM vol. 2, 5.6 and 8.2.15; SDM vol. 3A, 4.6, 4.7 and 4.8.
 */
#include "cases/mmu/walk.h"

struct row {
	ROW_FIELDS;
	uint8_t leaf;
	uint8_t varied;		/* the level above the leaf that varies */
	bool no_wp, smep, smap, ac, no_nxe, nxe_narrow;
};

#define WIDE (PAE32 | LONG64)
#define ALL_PAGING (PAGE32 | WIDE)

static const struct row rows[] = {
	{ .label = "small_l2", .modes = ALL_PAGING, .leaf = 1, .varied = 2 },
	{ .label = "small_l3", .modes = LONG64 | LA57, .leaf = 1, .varied = 3 },
	{ .label = "small_l4", .modes = LONG64 | LA57, .leaf = 1, .varied = 4 },
	{ .label = "small_l5", .modes = LA57, .leaf = 1, .varied = 5 },
	{ .label = "small_no_wp", .modes = ALL_PAGING, .leaf = 1, .varied = 2, .no_wp = true },
	{ .label = "small_smep", .needs = "cpuid:smep", .modes = ALL_PAGING, .leaf = 1, .varied = 2, .smep = true },
	{ .label = "small_smap", .needs = "cpuid:smap", .modes = ALL_PAGING, .leaf = 1, .varied = 2, .smap = true },
	{ .label = "small_smap_ac", .needs = "cpuid:smap", .modes = LONG64, .leaf = 1, .varied = 2, .smap = true,
	  .ac = true },
	{ .label = "small_smep_smap_no_wp", .needs = "cpuid:smep cpuid:smap", .modes = WIDE, .leaf = 1, .varied = 2,
	  .no_wp = true, .smep = true, .smap = true },
	{ .label = "small_no_nxe", .modes = WIDE, .leaf = 1, .varied = 2, .no_nxe = true },
	/* With nested paging it is the CPU that reports the fault. */
	{ .label = "small_nxe_narrow", .needs = "param:kvm_amd.npt=0", .modes = PAGE32, .leaf = 1, .varied = 2,
	  .nxe_narrow = true, .known = { .finding = "0301-fetch-bit-without-pae" } },
	{ .label = "small_no_nxe_smep", .needs = "cpuid:smep", .modes = WIDE, .leaf = 1, .varied = 2, .no_nxe = true,
	  .smep = true },
	{ .label = "small_no_nxe_l4", .modes = LONG64, .leaf = 1, .varied = 4, .no_nxe = true },
	{ .label = "large", .modes = PAGE32 | PAE32, .leaf = 2, .varied = 2 },
	{ .label = "large_no_wp", .modes = PAGE32 | PAE32, .leaf = 2, .varied = 2, .no_wp = true },
	{ .label = "large_l3", .modes = LONG64, .leaf = 2, .varied = 3 },
	{ .label = "large_l4", .modes = LONG64 | LA57, .leaf = 2, .varied = 4 },
	{ .label = "large_l3_no_wp", .modes = LONG64, .leaf = 2, .varied = 3, .no_wp = true },
	{ .label = "large_l3_smep", .needs = "cpuid:smep", .modes = LONG64, .leaf = 2, .varied = 3, .smep = true },
	{ .label = "large_l3_smap", .needs = "cpuid:smap", .modes = LONG64, .leaf = 2, .varied = 3, .smap = true },
	{ .label = "large_l3_no_nxe", .modes = LONG64, .leaf = 2, .varied = 3, .no_nxe = true },
	{ .label = "huge_l4", .needs = "cpuid:pdpe1gb", .modes = LONG64 | LA57, .leaf = 3, .varied = 4 },
	{ .label = "huge_l4_smap", .needs = "cpuid:pdpe1gb cpuid:smap", .modes = LONG64, .leaf = 3, .varied = 4,
	  .smap = true },
};

CASE(walk, .says = "a page walk grants, refuses and marks what the manuals say, for every combination of bits",
     .modes = PAGE32 | PAE32 | LONG64 | LA57, .irqchip = true, .rows = ROWS(rows),
     .shadow_too = true)

/* Bits 0 to 2 of @bits are P, W, U, bit 3 is NX, 4 and 5 are A and D. */
static uint64_t entry_bits(const struct walk_test *w, unsigned int bits)
{
	return (bits & 7) | (bits & 8 && w->is_wide ? PTE_NX : 0) | (bits & 16 ? PTE_A : 0) |
	       (bits & 32 ? PTE_D : 0);
}

GUEST(walk)
{
	const struct row *row = GUEST_ROW(rows);
	struct walk_test w = {
		.leaf = row->leaf, .wp = !row->no_wp, .smep = row->smep, .smap = row->smap, .ac = row->ac,
		.nxe = !row->no_nxe, .nxe_narrow = row->nxe_narrow,
	};
	unsigned int leaf, upper, level, access, nr_upper = row->varied == row->leaf ? 1 : 16;
	uint64_t entries[MAX_LEVELS + 1];

	walk_prepare(&w);
	for (upper = 0; upper < nr_upper; upper++) {
		for (leaf = 0; leaf < 64; leaf++) {
			/* Where no walk reaches the page, A and D set in its entry say nothing that A and D clear do not. */
			if (leaf >> 4 && !(leaf & (nr_upper > 1 ? upper : 1) & 1))
				continue;
			for (level = w.levels; level >= w.leaf; level--)
				entries[level] = w.base[level] | PTE_P | PTE_W | PTE_U;
			entries[row->varied] = w.base[row->varied] | entry_bits(&w, upper);
			entries[w.leaf] = w.base[w.leaf] | entry_bits(&w, leaf);
			for (access = 0; access < NR_ACCESSES; access++)
				walk_try(&w, entries, access);
		}
	}
}

HOST(walk)
{
	expect_done(t);
}

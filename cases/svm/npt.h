/* SPDX-License-Identifier: MIT */
/*
 * Nested page tables for one L2: 4 GiB one to one, in 2 MiB pages but for two that are split: the one of the case's
 * scratch RAM, and the first, where the guest's tables and its image are.
 *
 * Source: APM vol. 2, 15.25.
 */
#ifndef CASES_SVM_NPT_H
#define CASES_SVM_NPT_H

#include "guests/l1_svm.h"

#define NPT_ENTRIES 512
#define NPT_TABLE_FLAGS (PTE_P | PTE_W | PTE_U | PTE_A)
#define NPT_PAGE_FLAGS (PTE_P | PTE_W | PTE_U)

#define NPT_TABLE __attribute__((aligned(4096)))

static uint64_t npt_root[NPT_ENTRIES] NPT_TABLE, npt_level_3[NPT_ENTRIES] NPT_TABLE,
	npt_level_2[4][NPT_ENTRIES] NPT_TABLE, npt_level_1[2][NPT_ENTRIES] NPT_TABLE;

enum npt_split { NPT_SCRATCH, NPT_FIRST };

static inline void npt_split(enum npt_split which, uint64_t gpa)
{
	unsigned int i;

	for (i = 0; i < NPT_ENTRIES; i++)
		npt_level_1[which][i] = ((gpa & ~0x1fffffull) + i * 0x1000ull) | NPT_PAGE_FLAGS;
	npt_level_2[gpa >> 30][gpa >> 21 & 511] = (ulong_t)npt_level_1[which] | NPT_TABLE_FLAGS;
}

static inline void npt_build(void)
{
	unsigned int i;

	npt_root[0] = (ulong_t)npt_level_3 | NPT_TABLE_FLAGS;
	for (i = 0; i < 4; i++)
		npt_level_3[i] = (ulong_t)npt_level_2[i] | NPT_TABLE_FLAGS;
	for (i = 0; i < 4 * NPT_ENTRIES; i++)
		npt_level_2[i / NPT_ENTRIES][i % NPT_ENTRIES] = i * 0x200000ull | NPT_PAGE_FLAGS | PTE_PS;
	npt_split(NPT_SCRATCH, SCRATCH_GPA);
	npt_split(NPT_FIRST, TABLES_GPA);
}

/* The entry at a level on the way to @gpa, which is in one of the two split pages. */
static inline uint64_t *npt_entry(uint64_t gpa, unsigned int level, enum npt_split which)
{
	switch (level) {
	case 1: return &npt_level_1[which][gpa >> 12 & 511];
	case 2: return &npt_level_2[gpa >> 30][gpa >> 21 & 511];
	case 3: return &npt_level_3[gpa >> 30];
	default: return &npt_root[0];
	}
}

#endif

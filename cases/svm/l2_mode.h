/* SPDX-License-Identifier: MIT */
/*
 * L2 in a mode of its own: its code at the base of CS where that is a 16-bit segment, data from 0 on, or from 200000h on
 * in 16-bit modes.
 *
 * Source: APM vol. 2, 15.5.1; 5.2, 5.3.
 */
#ifndef CASES_SVM_L2_MODE_H
#define CASES_SVM_L2_MODE_H

#include "guests/l1_svm.h"

#define PAGE_BYTES 4096

enum paging { OFF, TWO_LEVELS, PAE, LONG };

struct l2_mode {
	enum paging paging;
	bool is_16, is_real;
	bool is_absent;		/* the second 2 MiB are not mapped in L2's tables */
};

/* All of the first 4 MiB one to one; the second 2 MiB, where the value is, as the mode has it. */
static inline ulong_t l2_mode_tables(const struct l2_mode *mode)
{
	uint32_t *two = page_alloc();
	uint64_t *pointers = page_alloc(), *pae = page_alloc();
	uint64_t flags = mode->is_absent ? 0 : PTE_P | PTE_W;

	if (mode->paging == TWO_LEVELS) {
		/* 4 MiB pages would hold both: a table of 4 KiB pages. */
		uint32_t *table = page_alloc();
		unsigned int i;

		for (i = 0; i < 1024; i++)
			table[i] = i * PAGE_BYTES | (i < 512 ? PTE_P | PTE_W : flags);
		two[0] = (ulong_t)table | PTE_P | PTE_W;
		return (ulong_t)two;
	}
	pointers[0] = (ulong_t)pae | PTE_P;
	pae[0] = PTE_P | PTE_W | PTE_PS;
	pae[1] = 0x200000 | flags | (flags ? PTE_PS : 0);
	return (ulong_t)pointers;
}

static inline void l2_mode_put(const struct l2_mode *mode, struct vmcb_save *save, ulong_t code)
{
	uint16_t width = mode->is_16 ? 0 : SEG_ATTRIB_DB;

	save->cs = (struct vmcb_seg){ .selector = SEL_CODE32, .attrib = 0x09b | width | 0x800, .limit = 0xffffffff };
	save->cs.base = mode->is_16 ? code : 0;
	save->rip = mode->is_16 ? 0 : code;
	save->ds.base = mode->is_16 ? 0x200000 : 0;
	save->ds.attrib = 0x093 | width | 0x800;
	if (mode->is_real) {
		save->cs.attrib = 0x09b;
		save->cs.limit = save->ds.limit = 0xffff;
		save->cs.selector = code >> 4;
	}
	if (mode->paging == LONG)
		return;
	save->efer &= ~(EFER_LME | EFER_LMA);
	save->cr0 &= ~(X86_CR0_PG | (mode->is_real ? X86_CR0_PE : 0));
	save->cr4 &= ~X86_CR4_PAE;
	if (mode->paging == OFF)
		return;
	save->cr0 |= X86_CR0_PG;
	save->cr3 = l2_mode_tables(mode);
	if (mode->paging == PAE)
		save->cr4 |= X86_CR4_PAE;
}

#endif

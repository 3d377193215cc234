/* SPDX-License-Identifier: MIT */
#ifndef VMASSAY_CASES_MMU_PAE_H
#define VMASSAY_CASES_MMU_PAE_H

#include "case.h"

#define PDPTE_MUST_BE_0 (0x1e0ull | 0x6ull)	/* and the bits from MAXPHYADDR on */

/*
 * To be called before a write of CR0 or CR4 that loads the PAE pointers. QEMU 7.2 sets the accessed bit in them, which
 * no CPU does, and that bit must be zero when they are loaded. Twice: the first round's own walk may set one again.
 */
static inline void pdptes_clean(void)
{
	volatile uint64_t *pointers = (volatile uint64_t *)TABLES_GPA;
	unsigned int i;

	if (guest_mode() != PAE32)
		return;
	for (i = 0; i < 8; i++)
		pointers[i % 4] &= ~PTE_A;
}

#endif

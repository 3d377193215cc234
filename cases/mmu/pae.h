/* SPDX-License-Identifier: MIT */
#ifndef VMASSAY_CASES_MMU_PAE_H
#define VMASSAY_CASES_MMU_PAE_H

#include "case.h"

/*
 * QEMU 7.2 sets the accessed bit in the PAE pointers, which no CPU does, and that bit must be zero when a write of CR0,
 * CR3 or CR4 loads them. So the bits are cleared right before that write, twice, for the first round's own walk may set
 * one again, and in one 128-byte line, so that no other page is walked for. Beside PAE there is nothing to lose there.
 */
#define PDPTES_CLEAN									\
	"andl $~0x20, 0x6000\n\tandl $~0x20, 0x6008\n\tandl $~0x20, 0x6010\n\tandl $~0x20, 0x6018\n\t"

_Static_assert(TABLES_GPA == 0x6000, "PDPTES_CLEAN has it as a number");

/* TRY() of guest.h behind that; @prefix_ is forced.h's FORCED_PREFIX or "". */
#define TRY_PAE_ONCE(prefix_, instruction_, ...)					\
	({										\
		fault_clear();								\
		__asm__ volatile(".balign 128\n\t" PDPTES_CLEAN PDPTES_CLEAN prefix_	\
				 "771: " instruction_ "\n772:\n"			\
				 ".pushsection .fixups, \"a\"\n"			\
				 ".long 771b - ., 772b - .\n"				\
				 ".popsection" __VA_ARGS__);				\
		__asm__ volatile("" : : : "memory");					\
		abi_self()->fault;							\
	})

/* An interrupt of the machine's in between is another walk, so #GP is only believed when it comes each time. */
#define TRY_PAE(prefix_, instruction_, ...)						\
	({										\
		struct fault fault_;							\
		unsigned int tries_ = 0;						\
		do									\
			fault_ = TRY_PAE_ONCE(prefix_, instruction_, __VA_ARGS__);	\
		while (guest_mode() == PAE32 && fault_.vector == GP_VECTOR && ++tries_ < 6);	\
		fault_;									\
	})

#endif

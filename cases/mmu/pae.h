/* SPDX-License-Identifier: MIT */
#ifndef VMASSAY_CASES_MMU_PAE_H
#define VMASSAY_CASES_MMU_PAE_H

#include "case.h"

/* TRY() of guest.h behind PDPTES_CLEAN; @prefix_ is forced.h's FORCED_PREFIX or "". */
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

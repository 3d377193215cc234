/* SPDX-License-Identifier: MIT */
/*
 * Instructions that KVM's emulator executes: with kvm.force_emulation_prefix=1, UD2 and "kvm" before an instruction is
 * a prefix that asks for it. A fault's RIP is that of the instruction behind the prefix.
 */
#ifndef VMASSAY_CASES_MMU_FORCED_H
#define VMASSAY_CASES_MMU_FORCED_H

#include "case.h"

#define FORCED_NEEDS "param:kvm.force_emulation_prefix=1"

#define FORCED_PREFIX "ud2\n\t.ascii \"kvm\"\n\t"

/* TRY() of guest.h, by the emulator. */
#define TRY_FORCED(instruction_, ...)							\
	({										\
		fault_clear();								\
		__asm__ volatile(FORCED_PREFIX "771: " instruction_ "\n772:\n"		\
				 ".pushsection .fixups, \"a\"\n"			\
				 ".long 771b - ., 772b - .\n"				\
				 ".popsection" __VA_ARGS__);				\
		__asm__ volatile("" : : : "memory");					\
		abi_self()->fault;							\
	})

#endif

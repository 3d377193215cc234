/* SPDX-License-Identifier: MIT */
/*
 * CR0.WP, which a guest may turn without an exit, and a supervisor's write that KVM's emulator executes: it goes by the
 * bit as it is now.
 *
 * Can break: the emulator's walk asks what CR0.WP was when KVM saw CR0 for the last time.
 * Source: APM vol. 2, 5.6.2 (CR0.WP), 8.4.2; SDM vol. 3A, 4.6.1.
 */
#include "cases/mmu/forced.h"

#define VA 0x40000000u
#define PAGE_GPA (SCRATCH_GPA + 0x1000)
#define READ_ONLY (PTE_P | PTE_U | PTE_A | PTE_D)

CASE(wp_emulated, .says = "an emulated write goes by CR0.WP as it is now", .modes = PAGE32 | PAE32 | LONG64 | LA57,
     .needs = FORCED_NEEDS, .shadow_too = true)

static struct fault store_forced(uint8_t value)
{
	return TRY_FORCED("movb %1, (%0)", : : "r"((ulong_t)VA + 5), "q"(value) : "memory");
}

static struct fault add_forced(uint8_t value)
{
	return TRY_FORCED("addb %1, (%0)", : : "r"((ulong_t)VA + 5), "q"(value) : "memory", "cc");
}

GUEST(wp_emulated)
{
	struct fault f;
	uint8_t i;

	page_map(VA, PAGE_GPA, READ_ONLY);
	for (i = 1; i < 5; i++) {
		write_cr0(read_cr0() & ~X86_CR0_WP);
		f = store_forced(0x10 * i);
		CHECK_NO_FAULT(f);
		f = add_forced(i);
		CHECK_NO_FAULT(f);
		CHECK_EQ(0x11 * i, read8(PAGE_GPA + 5));
		write_cr0(read_cr0() | X86_CR0_WP);
		f = store_forced(0xee);
		CHECK_FAULT(PF_VECTOR, PFERR_P | PFERR_W, f);
		f = add_forced(0x20);
		CHECK_FAULT(PF_VECTOR, PFERR_P | PFERR_W, f);
		CHECK_EQ(0x11 * i, read8(PAGE_GPA + 5));
	}
}

HOST(wp_emulated)
{
	expect_done(t);
}

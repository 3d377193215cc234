/* SPDX-License-Identifier: MIT */
/*
 * What a guest has met as MMIO is RAM once a slot is there, however many slots have come and gone meanwhile.
 *
 * KVM marks an MMIO translation with the generation of the slots. The marks of many pages are from before their slot is
 * made, and one page after the other is read as the slots go on changing, so that some mark meets a generation that is
 * like its own in the lower bits.
 *
 * Can break: a mark, or its comparison, that has not all bits of the generation.
 * Source: KVM API, 4.35 (KVM_SET_USER_MEMORY_REGION).
 */
#include "case.h"

#define NR_PAGES 260		/* the lower part of the mark has 8 bits, and a change may count by one or two */
#define PAGE 0x1000
#define AREA MMIO_GPA

CASE(mmio_generation, .says = "MMIO of long ago is RAM when a slot is there", .modes = PROT32 | LONG64, .shadow_too = true,
     .timeout_ms = 60000)

GUEST(mmio_generation)
{
	unsigned int i;

	for (i = 0; i < NR_PAGES; i++)
		CHECK_EQ(i, read32(AREA + i * PAGE));
	for (i = 0; i < NR_PAGES; i++) {
		guest_sync(1);
		CHECK_EQ(0x5eed0000 + i, read32(AREA + i * PAGE));
	}
}

HOST(mmio_generation)
{
	uint8_t *area;
	unsigned int i;

	for (i = 0; i < NR_PAGES; i++)
		require_mmio_read(t, i, .phys_addr = AREA + i * PAGE, .len = 4);
	require_sync(t, 1);
	area = vm_slot_add(t->vm, 1, 0, AREA, NR_PAGES * PAGE);
	for (i = 0; i < NR_PAGES; i++)
		*(uint32_t *)(area + i * PAGE) = 0x5eed0000 + i;
	for (i = 1; i < NR_PAGES; i++) {
		require_result(t, 0, vm_region_try(t->vm, 2, 0, AREA + NR_PAGES * PAGE, i & 1 ? PAGE : 0, area));
		require_sync(t, 1);
	}
	expect_done(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * A page turns from MMIO to RAM, to read-only, to writable, and back to MMIO while the guest keeps using it: each
 * access is what the slots say at that time.
 *
 * Can break: the MMIO translation that KVM caches per vCPU or in its page tables (generation number) surviving the new
 * slot; the RAM translation, in its tables or in the CPU's TLB, surviving KVM_SET_USER_MEMORY_REGION.
 * Source: KVM API, KVM_SET_USER_MEMORY_REGION (slots may be added, deleted, moved, or have flags changed).
 */
#include "case.h"

#define PAGE 0x1000

CASE(mmio_slot_change, .says = "an access is MMIO or RAM as the slots are at its time", .modes = EVERY_MODE,
     .needs = "KVM_CAP_READONLY_MEM", .shadow_too = true)

GUEST(mmio_slot_change)
{
	unsigned int stage;

	for (stage = 1; stage <= 7; stage++) {
		write32(mmio_base() + 8, stage * 0x11111111u);
		GUEST_VALUE(stage, read32(mmio_base() + 8));
		guest_sync(stage);
	}
}

static void expect_mmio_stage(struct test *t, uint32_t stage)
{
	uint64_t gpa = test_mmio_gpa(t) + 8;

	expect_mmio_write(t, .phys_addr = gpa, .len = 4, .data = stage * 0x11111111u);
	expect_mmio_read(t, 0xabcd0000 + stage, .phys_addr = gpa, .len = 4);
	expect_sync(t, stage);
	expect_eq(t, 0xabcd0000 + stage, guest_value(t, stage));
}

static void expect_ram_stage(struct test *t, uint32_t stage, const uint32_t *page)
{
	expect_sync(t, stage);
	expect_eq(t, stage * 0x11111111u, guest_value(t, stage));
	expect_eq(t, stage * 0x11111111u, page[2]);
	expect_eq(t, 0x5eed, page[1]);
	expect_eq(t, 0x5eed, page[3]);
}

static void expect_ro_stage(struct test *t, uint32_t stage, const uint32_t *page)
{
	expect_mmio_write(t, .phys_addr = test_mmio_gpa(t) + 8, .len = 4, .data = stage * 0x11111111u);
	expect_sync(t, stage);
	expect_eq(t, page[2], guest_value(t, stage));
}

HOST(mmio_slot_change)
{
	uint64_t gpa = test_mmio_gpa(t);
	uint32_t *page;

	expect_mmio_stage(t, 1);
	page = vm_slot_add(t->vm, 1, 0, gpa, PAGE);
	page[1] = page[3] = 0x5eed;
	expect_ram_stage(t, 2, page);
	vm_slot_delete(t->vm, 1);
	expect_mmio_stage(t, 3);
	page = vm_slot_add(t->vm, 1, KVM_MEM_READONLY, gpa, PAGE);
	page[2] = 0x600d;
	expect_ro_stage(t, 4, page);
	expect_eq(t, 0x600d, page[2]);
	page[2] = 0x600e;
	expect_ro_stage(t, 5, page);
	expect_eq(t, 0x600e, guest_value(t, 5));
	vm_slot_delete(t->vm, 1);
	page = vm_slot_add(t->vm, 5, 0, gpa, PAGE);
	page[1] = page[3] = 0x5eed;
	expect_ram_stage(t, 6, page);
	vm_slot_delete(t->vm, 5);
	expect_mmio_stage(t, 7);
	expect_done(t);
}

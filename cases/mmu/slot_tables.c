/* SPDX-License-Identifier: MIT */
/*
 * Memory slots come, go and move under a guest that has mapped them: each access after the change sees the slots as
 * they are now. That holds for the pages it reads and writes, for its page tables, and for two addresses of one memory.
 *
 * Can break: a mapping of a slot that is gone; a shadow page of a table that was in it; a hole that is remembered as
 * MMIO after memory has come.
 * Source: KVM API, 4.35 KVM_SET_USER_MEMORY_REGION.
 */
#include "case.h"

#include <string.h>

#define SLOT 1
#define SLOT_GPA 0x40000000ul
#define MOVED_GPA 0x50000000ul
#define BYTES 0x10000ul
#define VA 0xc0005000ul
#define FLAGS (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)

/* The guest reads a byte at args[0] + 8, tells it, adds one, writes it back, for ever. */
GUEST(slot_tables)
{
	uint32_t stage;

	for (stage = 1;; stage++) {
		ulong_t at;
		uint8_t value;

		guest_sync(stage);
		at = GUEST_ARG(0) + 8;
		/* args[1]: first make a table at that address the one of VA's 2 or 4 MiB, VA at args[2]. */
		if (GUEST_ARG(1)) {
			void *old = pte_find(VA, 1);

			memcpy((void *)(ulong_t)GUEST_ARG(1), (void *)((ulong_t)old & ~0xffful), 4096);
			pte_write((void *)(ulong_t)(GUEST_ARG(1) + ((ulong_t)old & 0xfff)), GUEST_ARG(2) | FLAGS);
			pte_write(pte_find(VA, 2), GUEST_ARG(1) | PTE_P | PTE_W | PTE_U | PTE_A);
			write_cr3(read_cr3());
			abi_self()->args[1] = 0;
		}
		value = read8(at);
		GUEST_VALUE(0, value);
		write8(at, value + 1);
	}
}

static void step(struct test *t, uint64_t at, uint8_t want)
{
	guest_arg(t, 0, at);
	require_sync(t, guest_page(t, 0)->stage + 1);
	expect_eq(t, want, guest_value(t, 0));
}

static void step_mmio(struct test *t, uint64_t at, uint64_t gpa)
{
	guest_arg(t, 0, at);
	expect_mmio_read(t, 0x70, .phys_addr = gpa + 8, .len = 1);
	expect_mmio_write(t, .phys_addr = gpa + 8, .len = 1, .data = 0x71);
	require_sync(t, guest_page(t, 0)->stage + 1);
}

static uint8_t *slot_start(struct test *t)
{
	uint8_t *ram = vm_slot_add(t->vm, SLOT, 0, SLOT_GPA, BYTES);

	ram[8] = 0x10;
	ram[0x1008] = 0x20;
	require_sync(t, 1);
	return ram;
}

static void region(struct test *t, uint32_t slot, uint64_t gpa, uint64_t bytes, void *hva)
{
	require_result(t, 0, vm_region_try(t->vm, slot, 0, gpa, bytes, hva));
}

static void deleted_and_back(struct test *t)
{
	uint8_t *ram = slot_start(t);
	unsigned int i;

	for (i = 0; i < 3; i++) {
		step(t, SLOT_GPA, 0x10 + i);
		region(t, SLOT, SLOT_GPA, 0, ram);
		step_mmio(t, SLOT_GPA, SLOT_GPA);
		region(t, SLOT, SLOT_GPA, BYTES, ram);
	}
	step(t, SLOT_GPA, 0x13);
	expect_eq(t, 0x14, ram[8]);
}

static void moved(struct test *t)
{
	uint8_t *ram = slot_start(t);

	step(t, SLOT_GPA, 0x10);
	step_mmio(t, MOVED_GPA, MOVED_GPA);
	region(t, SLOT, MOVED_GPA, BYTES, ram);
	step(t, MOVED_GPA, 0x11);
	step_mmio(t, SLOT_GPA, SLOT_GPA);
	region(t, SLOT, SLOT_GPA, BYTES, ram);
	step(t, SLOT_GPA, 0x12);
	step_mmio(t, MOVED_GPA, MOVED_GPA);
	expect_eq(t, 0x13, ram[8]);
}

/* Moved by one page: each address has its neighbour's memory. */
static void moved_by_a_page(struct test *t)
{
	uint8_t *ram = slot_start(t);

	step(t, SLOT_GPA + 0x1000, 0x20);
	region(t, SLOT, SLOT_GPA + 0x1000, BYTES, ram);
	step(t, SLOT_GPA + 0x1000, 0x10);
	step_mmio(t, SLOT_GPA, SLOT_GPA);
	step(t, SLOT_GPA + 0x2000, 0x21);
	expect_eq(t, 0x22, ram[0x1008]);
}

/* A move to where no guest's address reaches is refused, and the slot is where it was, before and after an access. */
static void move_refused(struct test *t)
{
	uint8_t *ram = slot_start(t);

	step(t, SLOT_GPA, 0x10);
	expect_errno(t, EINVAL, vm_region_try(t->vm, SLOT, 0, 1ull << 52, BYTES, ram));
	step(t, SLOT_GPA, 0x11);
	step(t, SLOT_GPA + 0x1000, 0x20);
	expect_errno(t, EINVAL, vm_region_try(t->vm, SLOT, 0, -BYTES, BYTES, ram));
	expect_errno(t, EEXIST, vm_region_try(t->vm, SLOT + 1, 0, SLOT_GPA, 0x1000, ram));
	step(t, SLOT_GPA, 0x12);
	expect_eq(t, 0x13, ram[8]);
	region(t, SLOT, MOVED_GPA, BYTES, ram);
	step(t, MOVED_GPA, 0x13);
	step_mmio(t, SLOT_GPA, SLOT_GPA);
}

static void other_memory(struct test *t)
{
	uint8_t *ram = slot_start(t);

	step(t, SLOT_GPA, 0x10);
	region(t, SLOT, SLOT_GPA, 0, NULL);
	region(t, SLOT, SLOT_GPA, 0x1000, ram + 0x1000);
	step(t, SLOT_GPA, 0x20);
	step_mmio(t, SLOT_GPA + 0x1000, SLOT_GPA + 0x1000);
	expect_eq(t, 0x11, ram[8]);
	expect_eq(t, 0x21, ram[0x1008]);
}

static void two_addresses(struct test *t)
{
	uint8_t *ram = slot_start(t);

	region(t, SLOT + 1, MOVED_GPA, BYTES, ram);
	step(t, SLOT_GPA, 0x10);
	step(t, MOVED_GPA, 0x11);
	region(t, SLOT, SLOT_GPA, 0, ram);
	step(t, MOVED_GPA, 0x12);
	step_mmio(t, SLOT_GPA, SLOT_GPA);
	expect_eq(t, 0x13, ram[8]);
}

static void hole_filled(struct test *t)
{
	uint8_t *ram;

	require_sync(t, 1);
	step_mmio(t, SLOT_GPA, SLOT_GPA);
	step_mmio(t, SLOT_GPA, SLOT_GPA);
	ram = vm_slot_add(t->vm, SLOT, 0, SLOT_GPA, BYTES);
	ram[8] = 0x33;
	step(t, SLOT_GPA, 0x33);
	step_mmio(t, SLOT_GPA + BYTES, SLOT_GPA + BYTES);
	step(t, SLOT_GPA, 0x34);
}

/* The page table itself is in the slot; the slot gets other memory, with another table in it. */
static void table_in_slot(struct test *t)
{
	uint8_t *ram = slot_start(t);
	unsigned int entry = t->mode == PAGE32 ? 4 : 8, index = VA >> 12 & (t->mode == PAGE32 ? 1023 : 511);
	uint64_t other = (SCRATCH_GPA + 0x11000) | FLAGS;

	*(uint8_t *)vm_hva(t->vm, SCRATCH_GPA + 0x10008, 1) = 0x50;
	*(uint8_t *)vm_hva(t->vm, SCRATCH_GPA + 0x11008, 1) = 0x60;
	guest_arg(t, 1, SLOT_GPA);
	guest_arg(t, 2, SCRATCH_GPA + 0x10000);
	step(t, VA, 0x50);
	step(t, VA, 0x51);
	memcpy(ram + 0x2000, ram, 0x1000);
	memcpy(ram + 0x2000 + index * entry, &other, entry);
	region(t, SLOT, SLOT_GPA, 0, ram);
	region(t, SLOT, SLOT_GPA, 0x1000, ram + 0x2000);
	step(t, VA, 0x60);
	step(t, VA, 0x61);
	expect_eq(t, 0x52, *(uint8_t *)vm_hva(t->vm, SCRATCH_GPA + 0x10008, 1));
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "deleted_and_back", .host = deleted_and_back },
	{ .label = "moved", .host = moved },
	{ .label = "moved_by_a_page", .host = moved_by_a_page },
	{ .label = "move_refused", .host = move_refused },
	{ .label = "other_memory", .host = other_memory },
	{ .label = "two_addresses", .host = two_addresses },
	{ .label = "hole_filled", .host = hole_filled },
	{ .label = "table_in_slot", .host = table_in_slot },
};

CASE(slot_tables, .says = "a guest sees its memory slots as they are now", .modes = PAGE32 | PAE32 | LONG64 | LA57,
     .rows = ROWS(rows), .shadow_too = true)

HOST(slot_tables)
{
	ROW(t, rows)->host(t);
}

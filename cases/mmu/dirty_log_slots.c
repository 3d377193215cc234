/* SPDX-License-Identifier: MIT */
/*
 * Logging is a property of a slot: it is switched on, off and on again under a guest that has the pages mapped, it
 * follows the slot when that moves, ends with it, and says nothing about other slots or about what user space writes.
 *
 * Can break: writable mappings, large ones above all, that survive the switch; a log that remembers what was written
 * while it was off; one slot's bits in another slot's log.
 * Source: KVM API, 4.8 KVM_GET_DIRTY_LOG, 4.35 KVM_SET_USER_MEMORY_REGION.
 */
#include "cases/mmu/dirty.h"

#include <sys/mman.h>

#define NR_PAGES 130
#define LOG KVM_MEM_LOG_DIRTY_PAGES

static void set_flags(struct test *t, uint32_t flags)
{
	require_result(t, 0, vm_region_try(t->vm, DIRTY_SLOT, flags, DIRTY_GPA, NR_PAGES * PAGE,
					   vm_hva(t->vm, DIRTY_GPA, PAGE)));
}

static long log_get_try(struct test *t, uint32_t slot)
{
	uint64_t bitmap[MAX_WORDS] = { 0 };
	struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = bitmap };

	return vm_ioctl_try(t->vm, KVM_GET_DIRTY_LOG, &log);
}

static void start(struct test *t, uint32_t flags)
{
	vm_slot_add(t->vm, DIRTY_SLOT, flags, DIRTY_GPA, NR_PAGES * PAGE);
	require_sync(t, 1);
}

static void off_by_default(struct test *t)
{
	start(t, 0);
	PAGES_WRITE(t, DIRTY_GPA, 0);
	expect_errno(t, ENOENT, log_get_try(t, DIRTY_SLOT));
}

static void no_slot(struct test *t)
{
	start(t, LOG);
	expect_errno(t, ENOENT, log_get_try(t, DIRTY_SLOT + 1));
	expect_errno(t, EINVAL, log_get_try(t, sys_has_cap(t->sys, KVM_CAP_NR_MEMSLOTS)));
	expect_errno(t, EINVAL, log_get_try(t, 0xffff));
	/* The upper half is an address space; there may be one or two. */
	expect_errno(t, EINVAL, log_get_try(t, 2 << 16 | DIRTY_SLOT));
}

static void switched_on(struct test *t)
{
	start(t, 0);
	PAGES_WRITE(t, DIRTY_GPA, 3, 64, 129);
	set_flags(t, LOG);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES);
	PAGES_WRITE(t, DIRTY_GPA, 3, 129);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 3, 129);
	PAGES_WRITE(t, DIRTY_GPA, 64);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 64);
}

static void switched_off(struct test *t)
{
	start(t, LOG);
	PAGES_WRITE(t, DIRTY_GPA, 3, 64);
	set_flags(t, 0);
	expect_errno(t, ENOENT, log_get_try(t, DIRTY_SLOT));
	PAGES_WRITE(t, DIRTY_GPA, 5, 64);
	set_flags(t, LOG);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES);
	PAGES_WRITE(t, DIRTY_GPA, 5, 65);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 5, 65);
	expect_eq(t, 2, *(uint8_t *)vm_hva(t->vm, DIRTY_GPA + 5 * PAGE + 8, 1));
}

static void same_flags_again(struct test *t)
{
	start(t, LOG);
	PAGES_WRITE(t, DIRTY_GPA, 3);
	set_flags(t, LOG);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 3);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES);
}

static void moved(struct test *t)
{
	uint64_t to = DIRTY_GPA + 0x10000000;
	uint8_t *ram;

	start(t, LOG);
	ram = vm_hva(t->vm, DIRTY_GPA, NR_PAGES * PAGE);
	PAGES_WRITE(t, DIRTY_GPA, 3);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 3);
	require_result(t, 0, vm_region_try(t->vm, DIRTY_SLOT, LOG, to, NR_PAGES * PAGE, ram));
	PAGES_WRITE(t, to, 3, 66);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 3, 66);
	expect_eq(t, 2, ram[3 * PAGE + 8]);
	/* Nothing is left at the old place. */
	guest_arg(t, 0, 1);
	guest_arg(t, 1, DIRTY_GPA + 3 * PAGE + 8);
	expect_mmio_read(t, 0x40, .phys_addr = DIRTY_GPA + 3 * PAGE + 8, .len = 1);
	expect_mmio_write(t, .phys_addr = DIRTY_GPA + 3 * PAGE + 8, .len = 1, .data = 0x41);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES);
}

static void deleted(struct test *t)
{
	start(t, LOG);
	PAGES_WRITE(t, DIRTY_GPA, 3);
	vm_slot_delete(t->vm, DIRTY_SLOT);
	expect_errno(t, ENOENT, log_get_try(t, DIRTY_SLOT));
	vm_slot_add(t->vm, DIRTY_SLOT, LOG, DIRTY_GPA, NR_PAGES * PAGE);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES);
	PAGES_WRITE(t, DIRTY_GPA, 4);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 4);
}

static void two_slots(struct test *t)
{
	uint64_t other = DIRTY_GPA + 0x10000000;

	vm_slot_add(t->vm, DIRTY_SLOT + 1, LOG, other, 70 * PAGE);
	vm_slot_add(t->vm, DIRTY_SLOT + 2, 0, other + 70 * PAGE, PAGE);
	start(t, LOG);
	PAGES_WRITE(t, DIRTY_GPA, 1, 65);
	LOG_EXPECT(t, DIRTY_SLOT + 1, 70);
	PAGES_WRITE(t, other, 2, 69, 70);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 1, 65);
	LOG_EXPECT(t, DIRTY_SLOT + 1, 70, 2, 69);
	LOG_EXPECT(t, DIRTY_SLOT + 1, 70);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES);
	expect_errno(t, ENOENT, log_get_try(t, DIRTY_SLOT + 2));
}

static void read_only(struct test *t)
{
	uint8_t *ram;

	start(t, LOG | KVM_MEM_READONLY);
	ram = vm_hva(t->vm, DIRTY_GPA, NR_PAGES * PAGE);
	ram[3 * PAGE + 8] = 0x20;
	guest_arg(t, 0, 1);
	guest_arg(t, 1, DIRTY_GPA + 3 * PAGE + 8);
	expect_mmio_write(t, .phys_addr = DIRTY_GPA + 3 * PAGE + 8, .len = 1, .data = 0x21);
	require_sync(t, 2);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES);
	expect_eq(t, 0x20, ram[3 * PAGE + 8]);
}

static void user_space_writes(struct test *t)
{
	start(t, LOG);
	PAGES_WRITE(t, DIRTY_GPA, 3);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 3);
	memset(vm_hva(t->vm, DIRTY_GPA, NR_PAGES * PAGE), 1, NR_PAGES * PAGE);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES);
}

/* Memory that the host can back with large pages: the mapping must be split for one page to be logged. */
static void large(struct test *t)
{
	uint64_t two_mib = 2ul << 20;
	uint8_t *area = mmap(NULL, 2 * two_mib, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *ram = area + (-(uintptr_t)area & (two_mib - 1));

	madvise(ram, two_mib, MADV_HUGEPAGE);
	memset(ram, 0, two_mib);
	require_result(t, 0, vm_region_try(t->vm, DIRTY_SLOT, 0, DIRTY_GPA, two_mib, ram));
	require_sync(t, 1);
	PAGES_WRITE(t, DIRTY_GPA, 0, 300);
	require_result(t, 0, vm_region_try(t->vm, DIRTY_SLOT, LOG, DIRTY_GPA, two_mib, ram));
	LOG_EXPECT(t, DIRTY_SLOT, 512);
	PAGES_WRITE(t, DIRTY_GPA, 300, 301);
	LOG_EXPECT(t, DIRTY_SLOT, 512, 300, 301);
	PAGES_WRITE(t, DIRTY_GPA, 0, 300, 511);
	LOG_EXPECT(t, DIRTY_SLOT, 512, 0, 300, 511);
	require_result(t, 0, vm_region_try(t->vm, DIRTY_SLOT, 0, DIRTY_GPA, two_mib, ram));
	PAGES_WRITE(t, DIRTY_GPA, 0, 300);
	require_result(t, 0, vm_region_try(t->vm, DIRTY_SLOT, LOG, DIRTY_GPA, two_mib, ram));
	PAGES_WRITE(t, DIRTY_GPA, 7);
	LOG_EXPECT(t, DIRTY_SLOT, 512, 7);
	expect_eq(t, 4, ram[300 * PAGE + 8]);
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "off_by_default", .host = off_by_default },
	{ .label = "no_slot", .host = no_slot },
	{ .label = "switched_on", .host = switched_on },
	{ .label = "switched_off", .host = switched_off },
	{ .label = "same_flags_again", .host = same_flags_again },
	{ .label = "moved", .host = moved },
	{ .label = "deleted", .host = deleted },
	{ .label = "two_slots", .host = two_slots },
	{ .label = "read_only", .host = read_only, .needs = "KVM_CAP_READONLY_MEM" },
	{ .label = "user_space_writes", .host = user_space_writes },
	{ .label = "large", .host = large },
};

CASE(dirty_log_slots, .says = "dirty logging follows the slot's flag, place and life",
     .modes = PAE32 | LONG64, .rows = ROWS(rows), .shadow_too = true)

GUEST(dirty_log_slots)
{
	guest_touch_for_ever();
}

HOST(dirty_log_slots)
{
	ROW(t, rows)->host(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * The guest sees the slots that are there when it looks: a page that was mapped a moment ago is an MMIO exit once its
 * slot is gone, other memory once it is replaced, and its own data at the new place once it has moved.
 *
 * Every stage touches the page before and after, so that translations are there to go stale.
 *
 * Can break: a missing flush of the shadow or nested tables or of the TLB, an MMIO entry cached across a new slot, a
 * memory-slot generation that does not change.
 * Source: KVM API, 4.35 (KVM_SET_USER_MEMORY_REGION).
 */
#include "case.h"

#include <sys/mman.h>

#define PAGE 4096
#define NR_PAGES 4
#define AREA_BYTES (NR_PAGES * PAGE)
#define FAR (16 * PAGE)		/* from the area's old place to its new one */

static uint8_t *area_map(struct test *t, uint32_t fill)
{
	uint32_t *area = mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int i;

	require_true(t, area != MAP_FAILED);
	for (i = 0; i < AREA_BYTES / 4; i++)
		area[i] = fill + i * 4 / PAGE;
	return (uint8_t *)area;
}

static uint32_t word(const uint8_t *area, unsigned int page, unsigned int offset)
{
	return *(const volatile uint32_t *)(area + page * PAGE + offset);
}

#define MMIO mmio_base()

/* --- delete: memory, then MMIO, then memory again --- */

static void guest_delete(void)
{
	CHECK_EQ(0x1000, read32(MMIO));
	write32(MMIO + 8, 0x77);
	CHECK_EQ(0x1003, read32(MMIO + 3 * PAGE));
	guest_sync(1);
	CHECK_EQ(0x4321, read32(MMIO));
	write32(MMIO + 3 * PAGE + 8, 0x99);
	guest_sync(2);
	CHECK_EQ(0x1000, read32(MMIO));
	CHECK_EQ(0x77, read32(MMIO + 8));
	CHECK_EQ(0x1003, read32(MMIO + 3 * PAGE + 8));
}

static void host_delete(struct test *t)
{
	uint64_t gpa = test_mmio_gpa(t);
	uint8_t *area = area_map(t, 0x1000);

	require_result(t, 0, vm_region_try(t->vm, 5, 0, gpa, AREA_BYTES, area));
	require_sync(t, 1);
	expect_eq(t, 0x77, word(area, 0, 8));
	require_result(t, 0, vm_region_try(t->vm, 5, 0, 0, 0, NULL));
	expect_mmio_read(t, 0x4321, .phys_addr = gpa, .len = 4);
	expect_mmio_write(t, .phys_addr = gpa + 3 * PAGE + 8, .len = 4, .data = 0x99);
	require_sync(t, 2);
	expect_eq(t, 0x1003, word(area, 3, 8));
	require_result(t, 0, vm_region_try(t->vm, 6, 0, gpa, AREA_BYTES, area));
	expect_done(t);
}

/* --- move: the data goes with the slot, the old place is empty --- */

static void guest_move(void)
{
	CHECK_EQ(0x2001, read32(MMIO + PAGE));
	write32(MMIO + PAGE + 4, 0xabcd);
	CHECK_EQ(0x11, read8(MMIO + FAR + PAGE));
	guest_sync(1);
	CHECK_EQ(0x2001, read32(MMIO + FAR + PAGE));
	CHECK_EQ(0xabcd, read32(MMIO + FAR + PAGE + 4));
	CHECK_EQ(0x22, read8(MMIO + PAGE));
	write32(MMIO + FAR + PAGE + 4, 0xbcde);
}

static void host_move(struct test *t)
{
	uint64_t gpa = test_mmio_gpa(t);
	uint8_t *area = area_map(t, 0x2000);

	require_result(t, 0, vm_region_try(t->vm, 5, 0, gpa, AREA_BYTES, area));
	expect_mmio_read(t, 0x11, .phys_addr = gpa + FAR + PAGE, .len = 1);
	require_sync(t, 1);
	require_result(t, 0, vm_region_try(t->vm, 5, 0, gpa + FAR, AREA_BYTES, area));
	expect_mmio_read(t, 0x22, .phys_addr = gpa + PAGE, .len = 1);
	expect_done(t);
	expect_eq(t, 0xbcde, word(area, 1, 4));
}

/* --- move by one page: what was the second page's place is now the first's --- */

static void guest_shift(void)
{
	unsigned int i;

	for (i = 0; i < NR_PAGES; i++)
		CHECK_EQ(0x3000 + i, read32(MMIO + i * PAGE));
	guest_sync(1);
	CHECK_EQ(0x33, read8(MMIO));
	for (i = 0; i < NR_PAGES; i++)
		CHECK_EQ(0x3000 + i, read32(MMIO + PAGE + i * PAGE));
	write32(MMIO + NR_PAGES * PAGE + 8, 0x5a5a);
}

static void host_shift(struct test *t)
{
	uint64_t gpa = test_mmio_gpa(t);
	uint8_t *area = area_map(t, 0x3000);

	require_result(t, 0, vm_region_try(t->vm, 5, 0, gpa, AREA_BYTES, area));
	require_sync(t, 1);
	require_result(t, 0, vm_region_try(t->vm, 5, 0, gpa + PAGE, AREA_BYTES, area));
	expect_mmio_read(t, 0x33, .phys_addr = gpa, .len = 1);
	expect_done(t);
	expect_eq(t, 0x5a5a, word(area, 3, 8));
}

/* --- other memory at the same place --- */

static void guest_replace(void)
{
	CHECK_EQ(0x4002, read32(MMIO + 2 * PAGE));
	write32(MMIO + 2 * PAGE + 16, 1);
	guest_sync(1);
	CHECK_EQ(0x5002, read32(MMIO + 2 * PAGE));
	CHECK_EQ(0x5002, read32(MMIO + 2 * PAGE + 16));
	write32(MMIO + 2 * PAGE + 16, 2);
}

static void host_replace(struct test *t)
{
	uint64_t gpa = test_mmio_gpa(t);
	uint8_t *first = area_map(t, 0x4000), *second = area_map(t, 0x5000);

	require_result(t, 0, vm_region_try(t->vm, 5, 0, gpa, AREA_BYTES, first));
	require_sync(t, 1);
	require_result(t, 0, vm_region_try(t->vm, 5, 0, 0, 0, NULL));
	require_result(t, 0, vm_region_try(t->vm, 5, 0, gpa, AREA_BYTES, second));
	expect_done(t);
	expect_eq(t, 1, word(first, 2, 16));
	expect_eq(t, 2, word(second, 2, 16));
}

/* --- MMIO first, then memory: the MMIO must not be remembered --- */

static void guest_create(void)
{
	CHECK_EQ(0x44, read32(MMIO + PAGE));
	write32(MMIO, 0x55);
	guest_sync(1);
	CHECK_EQ(0x6001, read32(MMIO + PAGE));
	write32(MMIO, 0x66);
	CHECK_EQ(0x66, read32(MMIO));
}

static void host_create(struct test *t)
{
	uint64_t gpa = test_mmio_gpa(t);
	uint8_t *area = area_map(t, 0x6000);

	expect_mmio_read(t, 0x44, .phys_addr = gpa + PAGE, .len = 4);
	expect_mmio_write(t, .phys_addr = gpa, .len = 4, .data = 0x55);
	require_sync(t, 1);
	require_result(t, 0, vm_region_try(t->vm, 5, 0, gpa, AREA_BYTES, area));
	expect_done(t);
	expect_eq(t, 0x66, word(area, 0, 0));
}

/* --- read-only: reads are memory, writes are MMIO and leave the memory alone --- */

static void guest_readonly(void)
{
	CHECK_EQ(0x7000, read32(MMIO));
	write32(MMIO + 12, 0x1234);
	CHECK_EQ(0x7000, read32(MMIO + 12));
	write8(MMIO + 3 * PAGE + 0xfff, 0x56);
	guest_sync(1);
	CHECK_EQ(0x7100, read32(MMIO));
	write32(MMIO, 0x9abc);
	CHECK_EQ(0x7100, read32(MMIO));
}

static void host_readonly(struct test *t)
{
	uint64_t gpa = test_mmio_gpa(t);
	uint8_t *area = area_map(t, 0x7000);

	require_result(t, 0, vm_region_try(t->vm, 5, KVM_MEM_READONLY, gpa, AREA_BYTES, area));
	expect_mmio_write(t, .phys_addr = gpa + 12, .len = 4, .data = 0x1234);
	expect_mmio_write(t, .phys_addr = gpa + 3 * PAGE + 0xfff, .len = 1, .data = 0x56);
	require_sync(t, 1);
	*(volatile uint32_t *)area = 0x7100;
	expect_mmio_write(t, .phys_addr = gpa, .len = 4, .data = 0x9abc);
	expect_done(t);
	expect_eq(t, 0x7100, word(area, 0, 0));
	expect_eq(t, 0x7000, word(area, 0, 12));
	expect_eq(t, 0x7003, word(area, 3, 0xffc));
}

/* --- two slots of one memory: the guest sees each write at both places --- */

static void guest_alias(void)
{
	write32(MMIO + 4, 0x111);
	CHECK_EQ(0x111, read32(MMIO + FAR + 4));
	write32(MMIO + FAR + 8, 0x222);
	CHECK_EQ(0x222, read32(MMIO + 8));
}

static void host_alias(struct test *t)
{
	uint64_t gpa = test_mmio_gpa(t);
	uint8_t *area = area_map(t, 0x8000);

	require_result(t, 0, vm_region_try(t->vm, 5, 0, gpa, AREA_BYTES, area));
	require_result(t, 0, vm_region_try(t->vm, 6, 0, gpa + FAR, AREA_BYTES, area));
	expect_done(t);
	expect_eq(t, 0x111, word(area, 0, 4));
	expect_eq(t, 0x222, word(area, 0, 8));
}

/* --- what user space does to the mapping behind the slot --- */

static void guest_remap(void)
{
	CHECK_EQ(0x9001, read32(MMIO + PAGE));
	write32(MMIO + PAGE + 4, 5);
	guest_sync(1);
	CHECK_EQ(0, read32(MMIO + PAGE));
	CHECK_EQ(0, read32(MMIO + PAGE + 4));
	CHECK_EQ(0x9002, read32(MMIO + 2 * PAGE));
	write32(MMIO + PAGE + 4, 6);
}

static void host_remap(struct test *t)
{
	uint8_t *area = area_map(t, 0x9000);

	require_result(t, 0, vm_region_try(t->vm, 5, 0, test_mmio_gpa(t), AREA_BYTES, area));
	require_sync(t, 1);
	expect_eq(t, 5, word(area, 1, 4));
	require_true(t, mmap(area + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
		     == area + PAGE);
	expect_done(t);
	expect_eq(t, 6, word(area, 1, 4));
}

/* --- an address without memory behind the slot: KVM_RUN is EFAULT, the guest goes on when there is some --- */

static void guest_hole(void)
{
	CHECK_EQ(0xa001, read32(MMIO + PAGE));
	guest_sync(1);
	CHECK_EQ(0xb0, read32(MMIO + PAGE));
}

static void host_hole(struct test *t)
{
	uint8_t *area = area_map(t, 0xa000);

	require_result(t, 0, vm_region_try(t->vm, 5, 0, test_mmio_gpa(t), AREA_BYTES, area));
	require_sync(t, 1);
	munmap(area + PAGE, PAGE);
	expect_run_error(t, EFAULT);
	expect_run_error(t, EFAULT);
	require_true(t, mmap(area + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
		     == area + PAGE);
	*(volatile uint32_t *)(area + PAGE) = 0xb0;
	expect_done(t);
}

struct row {
	ROW_FIELDS;
	void (*guest)(void);
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "delete", .guest = guest_delete, .host = ON_HOST(host_delete) },
	{ .label = "move", .guest = guest_move, .host = ON_HOST(host_move) },
	{ .label = "shift", .guest = guest_shift, .host = ON_HOST(host_shift) },
	{ .label = "replace", .guest = guest_replace, .host = ON_HOST(host_replace) },
	{ .label = "create", .guest = guest_create, .host = ON_HOST(host_create) },
	{ .label = "readonly", .guest = guest_readonly, .host = ON_HOST(host_readonly), .needs = "KVM_CAP_READONLY_MEM" },
	{ .label = "alias", .guest = guest_alias, .host = ON_HOST(host_alias) },
	{ .label = "remap", .guest = guest_remap, .host = ON_HOST(host_remap), .needs = "KVM_CAP_SYNC_MMU" },
	{ .label = "hole", .guest = guest_hole, .host = ON_HOST(host_hole) },
};

CASE(memslot_guest, .says = "the guest sees the slots of the moment", .modes = REAL16 | PAGE32 | LONG64,
     .rows = ROWS(rows), .shadow_too = true)

GUEST(memslot_guest)
{
	GUEST_ROW(rows)->guest();
}

HOST(memslot_guest)
{
	ROW(t, rows)->host(t);
}

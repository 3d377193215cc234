/* SPDX-License-Identifier: MIT */
/*
 * A page table entry may name any guest-physical address: one without a slot is an MMIO exit with all of its address,
 * one with a slot is memory, above 4 GiB as below. An access that crosses from one page to another is split there, and
 * each part goes where its page is.
 *
 * Can break: an address cut to 32 bits, or with bits of the entry in it; a cached translation of the last MMIO page
 * that serves another; the second half of a crossing access that follows the first one's page.
 * Source: APM vol. 2, 5.3 and 5.4; KVM API, KVM_EXIT_MMIO.
 */
#include "case.h"

#include <string.h>

#define VA 0xc0006000ul
#define OFFSET 0x124u

enum what {
	MMIO_PAGE,		/* a read and a write of 4 bytes at .gpa */
	MMIO_LARGE,		/* the same through a large page */
	RAM_PAGE,		/* the page is RAM */
	RAM_THEN_MMIO, MMIO_THEN_RAM, MMIO_THEN_MMIO,	/* 4 bytes, 2 in each of two pages */
	TWO_PAGES,		/* one after the other: the second is not the first */
};

struct row {
	ROW_FIELDS;
	enum what what;
	uint64_t gpa, other_gpa;
	uint64_t flags;
	bool is_top;		/* .gpa is the bit below MAXPHYADDR */
};

#define WIDE (PAE32 | LONG64 | LA57)
#define ANY (PAGE32 | WIDE)

static const struct row rows[] = {
	{ .label = "below_4g", .modes = ANY, .gpa = 0xd0000000 },
	{ .label = "at_4g", .modes = WIDE, .gpa = 1ull << 32 },
	{ .label = "bit33", .modes = WIDE, .gpa = 1ull << 33 | 0x12345000 },
	{ .label = "bit35", .modes = WIDE, .gpa = 1ull << 35 | 0xfffff000 },
	{ .label = "top_of_36_bits", .modes = WIDE, .gpa = 0xffffff000ull },
	{ .label = "top_bit", .modes = WIDE, .is_top = true },
	{ .label = "with_nx", .modes = WIDE, .gpa = 0x345678000ull, .flags = PTE_NX },
	{ .label = "with_software_bits", .modes = LONG64, .gpa = 0x345678000ull, .flags = 0x0050000000000e00ull },
	{ .label = "large", .modes = WIDE, .what = MMIO_LARGE, .gpa = 0x240000000ull },
	{ .label = "large_pse36", .needs = "cpuid:pse36", .modes = PAGE32, .what = MMIO_LARGE, .gpa = 0xe40000000ull },
	{ .label = "ram_at_4g", .modes = WIDE, .what = RAM_PAGE, .gpa = 1ull << 32 },
	{ .label = "ram_at_bit35", .modes = WIDE, .what = RAM_PAGE, .gpa = 1ull << 35 | 0x5000 },
	{ .label = "ram_at_top_bit", .modes = WIDE, .what = RAM_PAGE, .is_top = true },
	{ .label = "ram_then_mmio", .modes = ANY, .what = RAM_THEN_MMIO, .gpa = 0xd0000000, .other_gpa = 0xe0000000 },
	{ .label = "mmio_then_ram", .modes = ANY, .what = MMIO_THEN_RAM, .gpa = 0xd0000000, .other_gpa = 0xe0000000 },
	{ .label = "mmio_then_mmio", .modes = ANY, .what = MMIO_THEN_MMIO, .gpa = 0xd0000000,
	  .other_gpa = 0xe0000000 },
	{ .label = "mmio_then_mmio_far", .modes = WIDE, .what = MMIO_THEN_MMIO, .gpa = 0x9d0000000ull,
	  .other_gpa = 0x5e0000000ull },
	{ .label = "two_pages", .modes = ANY, .what = TWO_PAGES, .gpa = 0xd0000000, .other_gpa = 0xd0001000 },
};

CASE(mmio_far, .says = "an access reaches the guest-physical address that the page tables name",
     .modes = PAGE32 | PAE32 | LONG64 | LA57, .rows = ROWS(rows), .shadow_too = true)

#define FLAGS (PTE_P | PTE_W | PTE_A | PTE_D)

static uint64_t top_bit(uint32_t address_sizes)
{
	return 1ull << ((address_sizes & 0xff) - 1);
}

/* With PSE-36, bits 39:32 of a 4 MiB page are bits 20:13 of its entry. */
static void large_map(const struct row *row)
{
	uint64_t entry = row->gpa;

	if (guest_mode() == PAGE32)
		entry = (entry & 0xffc00000) | (entry >> 32 & 0xff) << 13;
	pte_write(pte_find(VA, 2), entry | FLAGS | PTE_PS | row->flags);
	invlpg(VA);
}

GUEST(mmio_far)
{
	const struct row *row = GUEST_ROW(rows);
	bool is_split = row->what == RAM_THEN_MMIO || row->what == MMIO_THEN_RAM || row->what == MMIO_THEN_MMIO;
	ulong_t at = VA + (is_split ? 0xffe : OFFSET);

	if (row->what == MMIO_LARGE)
		large_map(row);
	else
		page_map(VA, row->is_top ? top_bit(cpuid(0x80000008, 0).eax) : row->gpa, FLAGS | row->flags);
	if (is_split)
		page_map(VA + 0x1000, row->other_gpa, FLAGS);
	guest_sync(1);
	write32(at, 0x44332211);
	if (row->what == MMIO_THEN_RAM)
		guest_sync(2);
	CHECK_EQ(row->what == RAM_PAGE ? 0x44332211 : 0x88776655, read32(at));
	if (row->what == TWO_PAGES) {
		page_map(VA, row->other_gpa, FLAGS);
		write32(at, 0x44332211);
		CHECK_EQ(0x88776655, read32(at));
		page_map(VA, SCRATCH_GPA, FLAGS);
		write32(at, 0x01020304);
		CHECK_EQ(0x01020304, read32(at));
		CHECK_EQ(0x01020304, read32(SCRATCH_GPA + OFFSET));
	}
	/* None of it reached the guest's own memory. */
	CHECK_EQ(GUEST_ARG(0), read32(SCRATCH_GPA));
}

static void word_expect(struct test *t, uint64_t gpa)
{
	expect_mmio_write(t, .phys_addr = gpa, .len = 4, .data = 0x44332211);
	expect_mmio_read(t, 0x88776655, .phys_addr = gpa, .len = 4);
}

static void ram_then_mmio(struct test *t, const struct row *row)
{
	uint8_t *ram = vm_slot_add(t->vm, 1, 0, row->gpa, 0x1000);

	require_sync(t, 1);
	expect_mmio_write(t, .phys_addr = row->other_gpa, .len = 2, .data = 0x4433);
	expect_bytes(t, "\0\0\x11\x22", ram + 0xffc, 4);
	memcpy(ram + 0xffe, "\x55\x66", 2);
	expect_mmio_read(t, 0x8877, .phys_addr = row->other_gpa, .len = 2);
}

static void mmio_then_ram(struct test *t, const struct row *row)
{
	uint8_t *ram = vm_slot_add(t->vm, 1, 0, row->other_gpa, 0x1000);

	require_sync(t, 1);
	expect_mmio_write(t, .phys_addr = row->gpa + 0xffe, .len = 2, .data = 0x2211);
	/* The other half is written by now or when the vCPU runs again. */
	require_sync(t, 2);
	expect_bytes(t, "\x33\x44\0\0", ram, 4);
	memcpy(ram, "\x77\x88", 2);
	expect_mmio_read(t, 0x6655, .phys_addr = row->gpa + 0xffe, .len = 2);
}

static uint64_t gpa_of(struct test *t, const struct row *row)
{
	struct kvm_cpuid_entry2 sizes;

	if (!row->is_top)
		return row->gpa;
	require_true(t, cpuid_find(t->sys->cpuid, 0x80000008, 0, &sizes));
	return top_bit(sizes.eax);
}

HOST(mmio_far)
{
	const struct row *row = ROW(t, rows);
	uint64_t gpa = gpa_of(t, row);
	uint8_t *ram;

	*(uint32_t *)vm_hva(t->vm, SCRATCH_GPA, 4) = 0x13572468;
	guest_arg(t, 0, 0x13572468);
	switch (row->what) {
	case RAM_PAGE:
		ram = vm_slot_add(t->vm, 1, 0, gpa - 0x1000, 0x3000);
		require_sync(t, 1);
		expect_done(t);
		expect_bytes(t, "\0\x11\x22\x33\x44\0", ram + 0x1000 + OFFSET - 1, 6);
		return;
	case RAM_THEN_MMIO:
		ram_then_mmio(t, row);
		break;
	case MMIO_THEN_RAM:
		mmio_then_ram(t, row);
		break;
	case MMIO_THEN_MMIO:
		require_sync(t, 1);
		expect_mmio_write(t, .phys_addr = row->gpa + 0xffe, .len = 2, .data = 0x2211);
		expect_mmio_write(t, .phys_addr = row->other_gpa, .len = 2, .data = 0x4433);
		expect_mmio_read(t, 0x6655, .phys_addr = row->gpa + 0xffe, .len = 2);
		expect_mmio_read(t, 0x8877, .phys_addr = row->other_gpa, .len = 2);
		break;
	case MMIO_LARGE:
		require_sync(t, 1);
		word_expect(t, row->gpa + (VA & (t->mode == PAGE32 ? 0x3fffff : 0x1fffff)) + OFFSET);
		break;
	case TWO_PAGES:
		require_sync(t, 1);
		word_expect(t, row->gpa + OFFSET);
		word_expect(t, row->other_gpa + OFFSET);
		break;
	default:
		require_sync(t, 1);
		word_expect(t, gpa + OFFSET);
	}
	expect_done(t);
}

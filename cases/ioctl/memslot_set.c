/* SPDX-License-Identifier: MIT */
/*
 * KVM_SET_USER_MEMORY_REGION: each argument's first illegal and last legal value, against a VM that has two slots. What
 * is refused changes nothing: the slots there translate and can be deleted as before.
 *
 * Can break: one alignment, overlap at either end, a slot that overlaps itself, the slot number's limit, the second
 * address space, flags that are not known, a size or a read-only flag changed in place.
 * Source: KVM API, 4.35 (KVM_SET_USER_MEMORY_REGION), KVM_CAP_NR_MEMSLOTS, KVM_CAP_MULTI_ADDRESS_SPACE.
 */
#include "case.h"

#include <sys/mman.h>

#define PAGE 4096ull
#define A_GPA 0x10000ull	/* slot 1: 4 pages */
#define B_GPA 0x20000ull	/* slot 2: 2 pages, read-only */
#define A_BYTES (4 * PAGE)
#define B_BYTES (2 * PAGE)
#define HVA_BYTES (64 * PAGE)
#define OTHER_SPACE (1 << 16)

struct row {
	ROW_FIELDS;
	int error;
	int slot;
	bool from_nr_slots;	/* .slot counts from KVM_CAP_NR_MEMSLOTS */
	uint32_t flags;
	uint64_t gpa, bytes, hva_offset;
};

#define NEW(gpa_, bytes_) .slot = 3, .gpa = gpa_, .bytes = bytes_, .hva_offset = 16 * PAGE
#define SLOT_A .slot = 1, .gpa = A_GPA, .bytes = A_BYTES
#define SLOT_B .slot = 2, .gpa = B_GPA, .bytes = B_BYTES, .hva_offset = 8 * PAGE

static const struct row rows[] = {
	{ .label = "new", NEW(0x30000, PAGE) },
	{ .label = "gpa_byte", NEW(0x30001, PAGE), .error = EINVAL },
	{ .label = "gpa_half_page", NEW(0x30800, PAGE), .error = EINVAL },
	{ .label = "size_byte", NEW(0x30000, PAGE + 1), .error = EINVAL },
	{ .label = "size_less_than_page", NEW(0x30000, PAGE - 1), .error = EINVAL },
	{ .label = "size_half_page", NEW(0x30000, PAGE / 2), .error = EINVAL },
	{ .label = "hva_byte", .slot = 3, .gpa = 0x30000, .bytes = PAGE, .hva_offset = 16 * PAGE + 1, .error = EINVAL },
	{ .label = "hva_half_page", .slot = 3, .gpa = 0x30000, .bytes = PAGE, .hva_offset = 16 * PAGE + 0x800,
	  .error = EINVAL },
	{ .label = "hva_kernel", .slot = 3, .gpa = 0x30000, .bytes = PAGE, .hva_offset = 1ull << 63, .error = EINVAL },
	{ .label = "wrap_gpa", NEW(-PAGE, 2 * PAGE), .error = EINVAL },
	{ .label = "size_all", NEW(0, -PAGE), .error = EINVAL },
	{ .label = "size_pages_31_bits", NEW(1ull << 44, 1ull << 43), .error = EINVAL },
	{ .label = "overlap_same", NEW(A_GPA, A_BYTES), .error = EEXIST },
	{ .label = "overlap_first_page", NEW(A_GPA, PAGE), .error = EEXIST },
	{ .label = "overlap_last_page", NEW(A_GPA + 3 * PAGE, PAGE), .error = EEXIST },
	{ .label = "overlap_from_below", NEW(A_GPA - PAGE, 2 * PAGE), .error = EEXIST },
	{ .label = "overlap_from_above", NEW(A_GPA + 3 * PAGE, 2 * PAGE), .error = EEXIST },
	{ .label = "overlap_around", NEW(A_GPA - PAGE, 6 * PAGE), .error = EEXIST },
	{ .label = "overlap_both", NEW(A_GPA, 0x11000), .error = EEXIST },
	{ .label = "adjacent_below", NEW(A_GPA - PAGE, PAGE) },
	{ .label = "adjacent_above", NEW(A_GPA + A_BYTES, PAGE) },
	{ .label = "between", NEW(A_GPA + A_BYTES, B_GPA - A_GPA - A_BYTES) },
	{ .label = "other_space_same_gpa", .slot = OTHER_SPACE | 1, .gpa = A_GPA, .bytes = A_BYTES,
	  .needs = "KVM_CAP_MULTI_ADDRESS_SPACE>=2" },
	{ .label = "third_space", .slot = 2 << 16 | 1, .gpa = A_GPA, .bytes = A_BYTES, .error = EINVAL },
	{ .label = "space_65535", .slot = (int)0xffff0001, .gpa = 0x30000, .bytes = PAGE, .error = EINVAL },
	{ .label = "last_slot", .slot = -1, .from_nr_slots = true, .gpa = 0x30000, .bytes = PAGE },
	{ .label = "behind_last_slot", .slot = 0, .from_nr_slots = true, .gpa = 0x30000, .bytes = PAGE, .error = EINVAL },
	{ .label = "flags_log", NEW(0x30000, PAGE), .flags = KVM_MEM_LOG_DIRTY_PAGES },
	{ .label = "flags_readonly", NEW(0x30000, PAGE), .flags = KVM_MEM_READONLY },
	{ .label = "flags_both", NEW(0x30000, PAGE), .flags = KVM_MEM_READONLY | KVM_MEM_LOG_DIRTY_PAGES },
	{ .label = "flags_bit_3", NEW(0x30000, PAGE), .flags = 1 << 3, .error = EINVAL },
	{ .label = "flags_bit_16", NEW(0x30000, PAGE), .flags = 1 << 16, .error = EINVAL },
	{ .label = "flags_bit_31", NEW(0x30000, PAGE), .flags = 1u << 31, .error = EINVAL },
	{ .label = "same_again", SLOT_A },
	{ .label = "same_with_log", SLOT_A, .flags = KVM_MEM_LOG_DIRTY_PAGES },
	{ .label = "readonly_on", SLOT_A, .flags = KVM_MEM_READONLY, .error = EINVAL },
	{ .label = "readonly_off", SLOT_B, .error = EINVAL },
	{ .label = "readonly_with_log", SLOT_B, .flags = KVM_MEM_READONLY | KVM_MEM_LOG_DIRTY_PAGES },
	{ .label = "grow", .slot = 1, .gpa = A_GPA, .bytes = A_BYTES + PAGE, .error = EINVAL },
	{ .label = "shrink", .slot = 1, .gpa = A_GPA, .bytes = A_BYTES - PAGE, .error = EINVAL },
	{ .label = "other_hva", .slot = 1, .gpa = A_GPA, .bytes = A_BYTES, .hva_offset = PAGE, .error = EINVAL },
	{ .label = "move_away", .slot = 1, .gpa = 0x40000, .bytes = A_BYTES },
	{ .label = "move_over_itself", .slot = 1, .gpa = A_GPA + PAGE, .bytes = A_BYTES },
	{ .label = "move_next_to_other", .slot = 1, .gpa = B_GPA - A_BYTES, .bytes = A_BYTES },
	{ .label = "move_onto_other", .slot = 1, .gpa = B_GPA - A_BYTES + PAGE, .bytes = A_BYTES, .error = EEXIST },
	{ .label = "move_and_grow", .slot = 1, .gpa = 0x40000, .bytes = A_BYTES + PAGE, .error = EINVAL },
	{ .label = "delete_never_made", .slot = 3, .gpa = 0x30000, .error = EINVAL },
	{ .label = "delete_other_space", .slot = OTHER_SPACE | 1, .gpa = A_GPA, .error = EINVAL },
	{ .label = "delete_bad_flags", .slot = 1, .gpa = A_GPA, .flags = 1 << 3, .error = EINVAL },
	{ .label = "delete", .slot = 1, .gpa = A_GPA },
	{ .label = "delete_by_number_alone", .slot = 1 },
};

CASE(memslot_set, .says = "a memory slot is taken or refused by its arguments", .modes = NO_GUEST, .rows = ROWS(rows))

static uint8_t *hva;

static int region_a(struct test *t, uint64_t gpa)
{
	return vm_region_try(t->vm, 1, 0, gpa, A_BYTES, hva);
}

/* Refused: everything is where it was, and only there. */
static void expect_as_before(struct test *t)
{
	expect_errno(t, EEXIST, vm_region_try(t->vm, 9, 0, A_GPA, PAGE, hva));
	expect_errno(t, EEXIST, vm_region_try(t->vm, 9, 0, A_GPA + 3 * PAGE, PAGE, hva));
	expect_errno(t, EEXIST, vm_region_try(t->vm, 9, 0, B_GPA, PAGE, hva));
	expect_result(t, 0, vm_region_try(t->vm, 9, 0, A_GPA + A_BYTES, B_GPA - A_GPA - A_BYTES, hva));
	expect_result(t, 0, vm_region_try(t->vm, 9, 0, 0, 0, NULL));
	expect_result(t, 0, vm_region_try(t->vm, 9, 0, B_GPA + B_BYTES, 16 * PAGE, hva));
	expect_result(t, 0, vm_region_try(t->vm, 9, 0, 0, 0, NULL));
	expect_result(t, 0, region_a(t, A_GPA));
	expect_errno(t, EINVAL, vm_region_try(t->vm, 2, 0, B_GPA, B_BYTES, hva + 8 * PAGE));
	expect_result(t, 0, vm_region_try(t->vm, 2, KVM_MEM_READONLY, B_GPA, B_BYTES, hva + 8 * PAGE));
	expect_result(t, 0, vm_region_try(t->vm, 1, 0, 0, 0, NULL));
	expect_result(t, 0, vm_region_try(t->vm, 2, 0, 0, 0, NULL));
	expect_errno(t, EINVAL, vm_region_try(t->vm, 2, 0, 0, 0, NULL));
}

/* Taken: its place is taken now, and it can be deleted, once. */
static void expect_taken(struct test *t, const struct row *row, uint32_t slot)
{
	uint32_t other = (slot & ~0xffffu) | 9;

	if (row->bytes) {
		expect_errno(t, EEXIST, vm_region_try(t->vm, other, 0, row->gpa, PAGE, hva));
		expect_errno(t, EEXIST, vm_region_try(t->vm, other, 0, row->gpa + row->bytes - PAGE, PAGE, hva));
		expect_result(t, 0, vm_region_try(t->vm, slot, 0, 0, 0, NULL));
		expect_result(t, 0, vm_region_try(t->vm, other, 0, row->gpa, row->bytes, hva));
		expect_result(t, 0, vm_region_try(t->vm, other, 0, 0, 0, NULL));
	} else {
		expect_result(t, 0, vm_region_try(t->vm, 9, 0, A_GPA, A_BYTES, hva));
	}
	expect_errno(t, EINVAL, vm_region_try(t->vm, slot, 0, 0, 0, NULL));
}

/* A slot that moved has left its old place. */
static void expect_left(struct test *t, const struct row *row)
{
	if (row->slot != 1 || row->gpa == A_GPA || !row->bytes)
		return;
	expect_result(t, 0, vm_region_try(t->vm, 7, 0, A_GPA, PAGE, hva));
	expect_result(t, 0, vm_region_try(t->vm, 7, 0, 0, 0, NULL));
}

HOST(memslot_set)
{
	const struct row *row = ROW(t, rows);
	uint32_t slot = row->slot + (row->from_nr_slots ? vm_has_cap(t->vm, KVM_CAP_NR_MEMSLOTS) : 0);
	void *at;

	hva = mmap(NULL, HVA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	require_true(t, hva != MAP_FAILED);
	at = (void *)((uintptr_t)hva + row->hva_offset);
	require_result(t, 0, region_a(t, A_GPA));
	require_result(t, 0, vm_region_try(t->vm, 2, KVM_MEM_READONLY, B_GPA, B_BYTES, hva + 8 * PAGE));
	if (row->error) {
		expect_errno(t, row->error, vm_region_try(t->vm, slot, row->flags, row->gpa, row->bytes, at));
		expect_as_before(t);
		return;
	}
	expect_result(t, 0, vm_region_try(t->vm, slot, row->flags, row->gpa, row->bytes, at));
	expect_left(t, row);
	expect_taken(t, row, slot);
}

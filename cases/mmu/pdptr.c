/* SPDX-License-Identifier: MIT */
/*
 * PAE paging has four pointers that MOV to CR3 loads: a table of its own at any multiple of 32 bytes, whose new values
 * count from the next load of CR3 on. A pointer with a reserved bit makes that MOV #GP(0) and CR3 keeps its value; one
 * that is not present is not looked at until an address needs it.
 *
 * Note, with nested paging the CPU reads the pointers at each walk and does not check them at MOV to CR3; the rows
 * about refusals are for shadow paging.
 *
 * Can break: pointers kept from the last table; a table address cut to a page; the check of a pointer without P.
 * Source: APM vol. 2, 5.3.3 and 15.25.10; SDM vol. 3A, 4.4.1.
 */
#include "cases/mmu/pae.h"

#define VA 0xc0005000ul
#define A_GPA (SCRATCH_GPA + 0x10000ul)
#define B_GPA (SCRATCH_GPA + 0x11000ul)
#define LEAF_FLAGS (PTE_P | PTE_W | PTE_A | PTE_D)

struct row {
	ROW_FIELDS;
	uint64_t set;		/* in pointer number .index of the table that is loaded; 0: nothing is refused */
	uint8_t index;
	bool is_absent;		/* pointer 3 has not P */
	uint16_t offset;	/* of the table in its page */
	bool at_maxphyaddr;
	bool refused;
};

#define REFUSED .needs = "param:kvm_amd.npt=0", .refused = true

static const struct row rows[] = {
	{ .label = "offset_0" }, { .label = "offset_32", .offset = 32 }, { .label = "offset_last", .offset = 0xfe0 },
	{ .label = "software_bits", .set = 0xe18, .index = 3 },
	{ .label = "absent", .is_absent = true, .index = 3 },
	{ .label = "absent_reserved", .is_absent = true, .index = 3, .set = 0x1e6 },
	{ .label = "bit1", .set = 1 << 1, .index = 3, REFUSED }, { .label = "bit2", .set = 1 << 2, .index = 0, REFUSED },
	{ .label = "bit5", .set = 1 << 5, .index = 1, REFUSED }, { .label = "bit6", .set = 1 << 6, .index = 2, REFUSED },
	{ .label = "bit7", .set = 1 << 7, .index = 3, REFUSED }, { .label = "bit8", .set = 1 << 8, .index = 3, REFUSED },
	{ .label = "bit63", .set = 1ull << 63, .index = 3, REFUSED },
	{ .label = "maxphyaddr", .at_maxphyaddr = true, .index = 3, REFUSED },
};

CASE(pdptr, .says = "MOV to CR3 loads the PAE pointers, and refuses those with reserved bits", .modes = PAE32,
     .rows = ROWS(rows), .shadow_too = true)

/* A copy of the tables that has VA at @gpa. */
static uint64_t *pointers_make(const struct row *row, uint64_t gpa)
{
	uint64_t *pointers = (uint64_t *)((uint8_t *)page_alloc() + row->offset);
	uint64_t *directory = page_alloc(), *table = page_alloc();
	volatile uint64_t *old = (volatile uint64_t *)TABLES_GPA;
	unsigned int i;

	for (i = 0; i < 4; i++)
		pointers[i] = old[i] & ~PTE_A;
	memcpy(directory, (void *)((ulong_t)pte_find(VA, 2) & ~0xffful), 4096);
	memcpy(table, (void *)((ulong_t)pte_find(VA, 1) & ~0xffful), 4096);
	directory[VA >> 21 & 511] = (ulong_t)table | PTE_P | PTE_W | PTE_A;
	table[VA >> 12 & 511] = gpa | LEAF_FLAGS;
	pointers[3] = (ulong_t)directory | PTE_P;
	return pointers;
}

static void loaded(const struct row *row, ulong_t cr3)
{
	uint8_t value = 0;
	struct fault f;

	CHECK_EQ(cr3, read_cr3());
	f = TRY("movb (%1), %0", : "+q"(value) : "r"(VA) : "memory");
	if (row->is_absent)
		CHECK_FAULT(PF_VECTOR, 0, f);
	else
		CHECK_NO_FAULT(f);
	if (row->is_absent)
		CHECK_CR2(VA, f.cr2);
	CHECK_EQ(row->is_absent ? 0 : 0xbb, value);
}

GUEST(pdptr)
{
	const struct row *row = GUEST_ROW(rows);
	ulong_t old = read_cr3(), cr3;
	uint64_t *pointers, first;
	struct fault f;

	write8(A_GPA, 0xaa);
	write8(B_GPA, 0xbb);
	page_map(VA, A_GPA, LEAF_FLAGS);
	pointers = pointers_make(row, B_GPA);
	first = pointers[3];
	cr3 = (ulong_t)pointers;
	pointers[row->index] |= row->set;
	if (row->at_maxphyaddr)
		pointers[row->index] |= 1ull << (cpuid(0x80000008, 0).eax & 0xff);
	if (row->is_absent)
		pointers[3] &= ~PTE_P;
	f = write_cr3_safe(cr3);
	if (row->refused) {
		CHECK_FAULT(GP_VECTOR, 0, f);
		CHECK_EQ(old, read_cr3());
		CHECK_EQ(0xaa, read8(VA));
		pointers[row->index] = row->index == 3 ? first : *((uint64_t *)TABLES_GPA + row->index) & ~PTE_A;
		f = write_cr3_safe(cr3);
		CHECK_NO_FAULT(f);
		CHECK_EQ(0xbb, read8(VA));
	} else {
		CHECK_NO_FAULT(f);
		loaded(row, cr3);
	}
	/* The table changes, and is loaded again. */
	pointers[3] = *(volatile uint64_t *)(TABLES_GPA + 24) & ~PTE_A;
	f = write_cr3_safe(cr3);
	CHECK_NO_FAULT(f);
	CHECK_EQ(0xaa, read8(VA));
	f = write_cr3_safe(old);
	CHECK_NO_FAULT(f);
	CHECK_EQ(0xaa, read8(VA));
}

HOST(pdptr)
{
	expect_done(t);
}

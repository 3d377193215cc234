/* SPDX-License-Identifier: MIT */
/*
 * What a guest must see after it has changed its page tables and done what the manuals ask for: INVLPG, a write of CR3,
 * a change of CR4.PGE, or nothing where nothing is asked for. Only effects that must come are stated; a translation
 * that may or may not survive is not.
 *
 * Can break: shadow pages that are out of step after INVLPG or a switch of roots; a table's write protection that
 * outlives its use as a table; a permission of the old entry that is kept.
 * Source: APM vol. 2, 5.5.2 and 5.5.3; SDM vol. 3A, 4.10.4.
 */
#include "cases/mmu/pae.h"

#define A_GPA (SCRATCH_GPA + 0x10000ul)
#define B_GPA (SCRATCH_GPA + 0x11000ul)
#define VA 0xc0005000ul
#define RW (PTE_P | PTE_W)
#define LEAF_FLAGS (RW | PTE_A | PTE_D)
#define NR_ROOTS 8

static struct fault read_try(ulong_t va, uint8_t *value)
{
	return TRY("movb (%1), %0", : "+q"(*value) : "r"(va) : "memory");
}

static struct fault write_try(ulong_t va, uint8_t value)
{
	return TRY("movb %0, (%1)", : : "q"(value), "r"(va) : "memory");
}

static void prepare(void)
{
	write8(A_GPA, 0xaa);
	write8(B_GPA, 0xbb);
	/* RET, for fetches. */
	write8(A_GPA + 16, 0xc3);
	page_map(VA, A_GPA, LEAF_FLAGS);
	CHECK_EQ(0xaa, read8(VA));
}

static void cr3_reload(void)
{
	write_cr3(read_cr3());
}

static void pge_toggle(void)
{
	ulong_t cr4 = read_cr4() ^ X86_CR4_PGE;
	struct fault f = TRY_PAE("", "mov %0, %%cr4", : : "r"(cr4) : "memory", "cc");

	CHECK_NO_FAULT(f);
}

static void remap_invlpg(void)
{
	unsigned int i;

	for (i = 0; i < 20; i++) {
		pte_write(pte_find(VA, 1), (i & 1 ? A_GPA : B_GPA) | LEAF_FLAGS);
		invlpg(VA);
		CHECK_EQ(i & 1 ? 0xaa : 0xbb, read8(VA));
		write8(VA + 1, i);
		CHECK_EQ(i, read8((i & 1 ? A_GPA : B_GPA) + 1));
	}
}

static void remap_invlpg_other_byte(void)
{
	pte_write(pte_find(VA, 1), B_GPA | LEAF_FLAGS);
	invlpg(VA + 0xfff);
	CHECK_EQ(0xbb, read8(VA));
}

static void remap_cr3(void)
{
	unsigned int i;

	for (i = 0; i < 20; i++) {
		pte_write(pte_find(VA, 1), (i & 1 ? A_GPA : B_GPA) | LEAF_FLAGS);
		cr3_reload();
		CHECK_EQ(i & 1 ? 0xaa : 0xbb, read8(VA));
	}
}

static void remap_global_invlpg(void)
{
	pge_toggle();
	page_map(VA, A_GPA, LEAF_FLAGS | PTE_G);
	CHECK_EQ(0xaa, read8(VA));
	page_map(VA, B_GPA, LEAF_FLAGS | PTE_G);
	CHECK_EQ(0xbb, read8(VA));
}

static void remap_global_pge(void)
{
	unsigned int i;

	pge_toggle();
	page_map(VA, A_GPA, LEAF_FLAGS | PTE_G);
	for (i = 0; i < 6; i++) {
		CHECK_EQ(i & 1 ? 0xbb : 0xaa, read8(VA));
		pte_write(pte_find(VA, 1), (i & 1 ? A_GPA : B_GPA) | LEAF_FLAGS | PTE_G);
		pge_toggle();
	}
}

static void present_without_flush(void)
{
	uint8_t value = 0;
	unsigned int i;
	struct fault f;

	for (i = 0; i < 4; i++) {
		page_map(VA, A_GPA, 0);
		f = read_try(VA, &value);
		CHECK_FAULT(PF_VECTOR, 0, f);
		CHECK_CR2(VA, f.cr2);
		f = write_try(VA + 8, 1);
		CHECK_FAULT(PF_VECTOR, PFERR_W, f);
		CHECK_CR2(VA + 8, f.cr2);
		/* What is not present is not cached. */
		pte_write(pte_find(VA, 1), (i & 1 ? A_GPA : B_GPA) | RW);
		f = read_try(VA, &value);
		CHECK_NO_FAULT(f);
		CHECK_EQ(i & 1 ? 0xaa : 0xbb, value);
	}
}

static void unmap_invlpg(void)
{
	uint8_t value = 0x11;
	struct fault f;

	page_map(VA, A_GPA, LEAF_FLAGS & ~PTE_P);
	f = read_try(VA, &value);
	CHECK_FAULT(PF_VECTOR, 0, f);
	CHECK_EQ(0x11, value);
	f = write_try(VA, 1);
	CHECK_FAULT(PF_VECTOR, PFERR_W, f);
	CHECK_EQ(0xaa, read8(A_GPA));
}

static void unmap_table_invlpg(void)
{
	void *entry = pte_find(VA, 2);
	uint64_t pde = pte_read(entry);
	uint8_t value = 0;
	struct fault f;

	pte_write(entry, pde & ~PTE_P);
	invlpg(VA);
	f = read_try(VA, &value);
	CHECK_FAULT(PF_VECTOR, 0, f);
	pte_write(entry, pde);
	f = read_try(VA, &value);
	CHECK_NO_FAULT(f);
	CHECK_EQ(0xaa, value);
}

static void protect_invlpg(void)
{
	struct fault f;

	write8(VA + 1, 1);
	page_map(VA, A_GPA, LEAF_FLAGS & ~PTE_W);
	CHECK_EQ(0xaa, read8(VA));
	f = write_try(VA + 1, 2);
	CHECK_FAULT(PF_VECTOR, PFERR_P | PFERR_W, f);
	CHECK_CR2(VA + 1, f.cr2);
	CHECK_EQ(1, read8(A_GPA + 1));
}

static void protect_table_cr3(void)
{
	struct fault f;

	write8(VA + 1, 1);
	pte_write(pte_find(VA, 2), pte_read(pte_find(VA, 2)) & ~PTE_W);
	cr3_reload();
	f = write_try(VA + 1, 2);
	CHECK_FAULT(PF_VECTOR, PFERR_P | PFERR_W, f);
	CHECK_EQ(1, read8(A_GPA + 1));
	CHECK_EQ(0xaa, read8(VA));
}

/* A fault that the old permission makes may come once, no more. */
static void permit_without_flush(void)
{
	struct fault f;

	page_map(VA, A_GPA, LEAF_FLAGS & ~PTE_W);
	f = write_try(VA + 1, 2);
	CHECK_FAULT(PF_VECTOR, PFERR_P | PFERR_W, f);
	pte_write(pte_find(VA, 1), A_GPA | LEAF_FLAGS);
	f = write_try(VA + 1, 3);
	if (f.vector != NO_VECTOR)
		f = write_try(VA + 1, 3);
	CHECK_NO_FAULT(f);
	CHECK_EQ(3, read8(A_GPA + 1));
}

static void no_execute_invlpg(void)
{
	struct fault f = guest_catch((void (*)(void *))(VA + 16), NULL);

	CHECK_NO_FAULT(f);
	page_map(VA, A_GPA, LEAF_FLAGS | PTE_NX);
	CHECK_EQ(0xaa, read8(VA));
	f = guest_catch((void (*)(void *))(VA + 16), NULL);
	CHECK_FAULT(PF_VECTOR, PFERR_P | PFERR_I, f);
	CHECK_CR2(VA + 16, f.cr2);
	CHECK_EQ(VA + 16, f.rip);
	page_map(VA, A_GPA, LEAF_FLAGS);
	f = guest_catch((void (*)(void *))(VA + 16), NULL);
	CHECK_NO_FAULT(f);
}

static void accessed_again(void)
{
	unsigned int i;

	for (i = 0; i < 4; i++) {
		page_map(VA, A_GPA, RW);
		CHECK_EQ(0xaa, read8(VA));
		CHECK_EQ(A_GPA | RW | PTE_A, pte_read(pte_find(VA, 1)));
	}
}

static void dirty_again(void)
{
	unsigned int i;

	for (i = 0; i < 4; i++) {
		page_map(VA, A_GPA, RW | PTE_A);
		CHECK_EQ(0xaa, read8(VA));
		CHECK_EQ(A_GPA | RW | PTE_A, pte_read(pte_find(VA, 1)));
		write8(VA + 1, i);
		CHECK_EQ(A_GPA | LEAF_FLAGS, pte_read(pte_find(VA, 1)));
	}
}

static void write_protect_off(void)
{
	struct fault f;
	unsigned int i;

	page_map(VA, A_GPA, LEAF_FLAGS & ~PTE_W);
	for (i = 0; i < 4; i++) {
		write_cr0(read_cr0() & ~X86_CR0_WP);
		f = write_try(VA + 1, 0x10 + i);
		CHECK_NO_FAULT(f);
		write_cr0(read_cr0() | X86_CR0_WP);
		f = write_try(VA + 1, 0xee);
		CHECK_FAULT(PF_VECTOR, PFERR_P | PFERR_W, f);
		CHECK_EQ(0x10 + i, read8(A_GPA + 1));
	}
}

static void large_to_small_and_back(void)
{
	uint64_t table = pte_read(pte_find(VA, 2)), large = PTE_PS | LEAF_FLAGS;
	void *pde = pte_find(VA, 2);
	unsigned int i;

	for (i = 0; i < 4; i++) {
		/* 2 or 4 MiB at address 0: VA is the page tables' or the GDT's page. */
		pte_write(pde, large);
		invlpg(VA);
		CHECK_EQ(read32(VA & 0x1fffff), read32(VA));
		pte_write(pde, table);
		invlpg(VA);
		CHECK_EQ(0xaa, read8(VA));
	}
}

/* Another table, then the old one is plain memory. */
static void table_replaced(void)
{
	void *pde = pte_find(VA, 2), *old_pte = pte_find(VA, 1);
	uint8_t *old_table = (uint8_t *)((ulong_t)old_pte & ~0xffful), *new_table = page_alloc();
	unsigned int i;

	memcpy(new_table, old_table, 4096);
	pte_write(new_table + ((ulong_t)old_pte & 0xfff), B_GPA | LEAF_FLAGS);
	pte_write(pde, (ulong_t)new_table | RW | PTE_U | PTE_A);
	invlpg(VA);
	CHECK_EQ(0xbb, read8(VA));
	cr3_reload();
	memset(old_table, 0x5a, 4096);
	for (i = 0; i < 4096; i++)
		CHECK(old_table[i] == 0x5a);
	CHECK_EQ(0xbb, read8(VA));
	write8(VA + 1, 7);
	CHECK_EQ(7, read8(B_GPA + 1));
}

/* The table is written by another mapping of it. */
static void table_by_alias(void)
{
	void *pte = pte_find(VA, 1);
	ulong_t alias = VA + 0x10000, offset = (ulong_t)pte & 0xfff;
	unsigned int i;

	page_map(alias, (ulong_t)pte & ~0xffful, LEAF_FLAGS);
	for (i = 0; i < 4; i++) {
		pte_write((void *)(alias + offset), (i & 1 ? A_GPA : B_GPA) | LEAF_FLAGS);
		invlpg(VA);
		CHECK_EQ(i & 1 ? 0xaa : 0xbb, read8(VA));
		CHECK_EQ((i & 1 ? A_GPA : B_GPA) | LEAF_FLAGS, pte_read(pte));
	}
}

static void *table_copy(void *of)
{
	void *table = page_alloc();

	return memcpy(table, (void *)((ulong_t)of & ~0xffful), 4096);
}

/* Root number @i, with a chain of its own down to VA, which is @gpa there; returns the entry. */
static void *root_make(ulong_t *ret_root, uint64_t gpa)
{
	unsigned int top = guest_mode() == PAGE32 ? 2 : guest_mode() == PAE32 ? 3 : 4, level;
	uint8_t *table = table_copy(pte_find(VA, top)), *entry, *next;

	*ret_root = (ulong_t)table;
	for (level = top; level > 1; level--) {
		entry = table + ((ulong_t)pte_find(VA, level) & 0xfff);
		next = table_copy(pte_find(VA, level - 1));
		pte_write(entry, (ulong_t)next | (top == 3 && level == 3 ? PTE_P : RW | PTE_U | PTE_A));
		table = next;
	}
	entry = table + ((ulong_t)pte_find(VA, 1) & 0xfff);
	pte_write(entry, gpa | LEAF_FLAGS);
	return entry;
}

static uint64_t root_page(unsigned int i)
{
	return SCRATCH_GPA + 0x20000 + i % NR_ROOTS * 0x1000;
}

static void roots(void)
{
	ulong_t old = read_cr3(), root[NR_ROOTS];
	void *entry[NR_ROOTS];
	unsigned int i, round;

	for (i = 0; i < NR_ROOTS; i++) {
		write8(root_page(i), 0x40 + i);
		entry[i] = root_make(&root[i], root_page(i));
	}
	for (round = 0; round < 4; round++) {
		for (i = 0; i < NR_ROOTS; i++) {
			write_cr3(root[i]);
			CHECK_EQ(0x40 + (i + round) % NR_ROOTS, read8(VA));
			/* The root before has another page from now on, while this one is in use. */
			if (i)
				pte_write(entry[i - 1], root_page(i - 1 + round + 1) | LEAF_FLAGS);
		}
		pte_write(entry[i - 1], root_page(i - 1 + round + 1) | LEAF_FLAGS);
	}
	write_cr3(old);
	CHECK_EQ(0xaa, read8(VA));
}

struct row {
	ROW_FIELDS;
	void (*guest)(void);
};

static const struct row rows[] = {
	{ .label = "remap_invlpg", .guest = remap_invlpg },
	{ .label = "remap_invlpg_other_byte", .guest = remap_invlpg_other_byte },
	{ .label = "remap_cr3", .guest = remap_cr3 },
	{ .label = "remap_global_invlpg", .guest = remap_global_invlpg },
	{ .label = "remap_global_pge", .guest = remap_global_pge },
	{ .label = "present_without_flush", .guest = present_without_flush },
	{ .label = "unmap_invlpg", .guest = unmap_invlpg },
	{ .label = "unmap_table_invlpg", .guest = unmap_table_invlpg },
	{ .label = "protect_invlpg", .guest = protect_invlpg },
	{ .label = "protect_table_cr3", .guest = protect_table_cr3 },
	{ .label = "permit_without_flush", .guest = permit_without_flush },
	{ .label = "no_execute_invlpg", .modes = PAE32 | LONG64 | LA57, .guest = no_execute_invlpg },
	{ .label = "accessed_again", .guest = accessed_again },
	{ .label = "dirty_again", .guest = dirty_again },
	{ .label = "write_protect_off", .guest = write_protect_off },
	{ .label = "large_to_small_and_back", .guest = large_to_small_and_back },
	{ .label = "table_replaced", .guest = table_replaced },
	{ .label = "table_by_alias", .guest = table_by_alias },
	{ .label = "roots", .modes = PAGE32 | PAE32 | LONG64, .guest = roots },
};

CASE(tlb, .says = "changed page tables are seen after the flush that the manuals ask for",
     .modes = PAGE32 | PAE32 | LONG64 | LA57, .rows = ROWS(rows), .shadow_too = true)

GUEST(tlb)
{
	prepare();
	GUEST_ROW(rows)->guest();
}

HOST(tlb)
{
	expect_done(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * The guest's own view of its page tables: find an entry at a level, splitting large pages and adding tables on the
 * way. Tables lie below 4 GiB and are mapped one to one.
 */
#include "guest.h"

#ifndef VMASSAY_REAL16

#define PAGE_BYTES 4096
#define NR_POOL_PAGES 64

static uint8_t pool[NR_POOL_PAGES][PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static uint32_t nr_pool_used;

/* How the CPU walks now: read from its registers, so that it also holds after a guest has changed mode. */
struct walk {
	unsigned int levels;
	unsigned int index_bits;
	unsigned int entry_bytes;
};

static struct walk walk_now(void)
{
	ulong_t cr4 = read_cr4();

	if (!(cr4 & X86_CR4_PAE))
		return (struct walk){ .levels = 2, .index_bits = 10, .entry_bytes = 4 };
	if (!is_long_mode())
		return (struct walk){ .levels = 3, .index_bits = 9, .entry_bytes = 8 };
	return (struct walk){ .levels = cr4 & X86_CR4_LA57 ? 5 : 4, .index_bits = 9, .entry_bytes = 8 };
}

static unsigned int level_shift(const struct walk *walk, unsigned int level)
{
	return 12 + (level - 1) * walk->index_bits;
}

/* Without a look at CR4, which is an exit on most CPUs. */
static uint64_t entry_read(const struct walk *walk, const void *pte)
{
	return walk->entry_bytes == 8 ? *(const volatile uint64_t *)pte : *(const volatile uint32_t *)pte;
}

static void entry_write(const struct walk *walk, void *pte, uint64_t value)
{
	if (walk->entry_bytes == 8)
		*(volatile uint64_t *)pte = value;
	else
		*(volatile uint32_t *)pte = value;
}

/* Reading CR4 is an exit on most CPUs: a 64-bit guest's entries are known to be wide without it. */
static bool is_wide_now(void)
{
#ifdef __x86_64__
	return true;
#else
	return read_cr4() & X86_CR4_PAE;
#endif
}

uint64_t pte_read(const void *pte)
{
	return is_wide_now() ? *(const volatile uint64_t *)pte : *(const volatile uint32_t *)pte;
}

void pte_write(void *pte, uint64_t value)
{
	if (is_wide_now())
		*(volatile uint64_t *)pte = value;
	else
		*(volatile uint32_t *)pte = value;
}

void *page_alloc(void)
{
	uint32_t index = __atomic_fetch_add(&nr_pool_used, 1, __ATOMIC_SEQ_CST);

	if (index >= NR_POOL_PAGES)
		__asm__ volatile("ud2");
	memset(pool[index], 0, PAGE_BYTES);
	return pool[index];
}

/* Replaces the large page or the hole in *@pte, an entry at @level, by a table of the same translations. */
static void table_add(const struct walk *walk, void *pte, unsigned int level)
{
	uint64_t old = entry_read(walk, pte);
	void *table = page_alloc();
	unsigned int entry, child_shift = level_shift(walk, level - 1);
	uint64_t base = old & 0x000ffffffffff000ull & ~((1ull << level_shift(walk, level)) - 1);
	uint64_t flags = (old & (PTE_P | PTE_W | PTE_U | PTE_PWT | PTE_PCD | PTE_A | PTE_D | PTE_G | PTE_NX)) |
			 (level > 2 ? PTE_PS : 0);

	if (old & PTE_P)
		for (entry = 0; entry < 1u << walk->index_bits; entry++)
			entry_write(walk, (uint8_t *)table + entry * walk->entry_bytes,
				    (base + ((uint64_t)entry << child_shift)) | flags);
	/* A PAE page-directory-pointer entry has no W, U, A bits. */
	entry_write(walk, pte, (ulong_t)table | PTE_P |
			       (walk->levels == 3 && level == 3 ? 0 : PTE_W | PTE_U | PTE_A));
}

void *pte_find(ulong_t address, unsigned int level)
{
	struct walk walk = walk_now();
	uint8_t *table = (uint8_t *)(read_cr3() & ~(ulong_t)(walk.levels == 3 ? 0x1f : 0xfff));
	unsigned int at = walk.levels;

	for (;; at--) {
		unsigned int index = (address >> level_shift(&walk, at)) & ((1u << walk.index_bits) - 1);
		uint8_t *pte = table + index * walk.entry_bytes;
		uint64_t value;

		if (at == level)
			return pte;
		value = entry_read(&walk, pte);
		/* PS is a table's bit only at levels 2 and 3; it is never set above in these tables. */
		if (!(value & PTE_P) || (value & PTE_PS)) {
			table_add(&walk, pte, at);
			value = entry_read(&walk, pte);
		}
		table = (uint8_t *)(ulong_t)(value & 0x000ffffffffff000ull);
	}
}

void page_map(ulong_t address, uint64_t gpa, uint64_t flags)
{
	pte_write(pte_find(address, 1), gpa | flags);
	invlpg(address);
}

#else

/* So that a case of all modes links; a real-mode guest has no tables. */
void *pte_find(ulong_t address, unsigned int level)
{
	(void)address;
	(void)level;
	__builtin_trap();
}

uint64_t pte_read(const void *pte)
{
	(void)pte;
	__builtin_trap();
}

void pte_write(void *pte, uint64_t value)
{
	(void)pte;
	(void)value;
	__builtin_trap();
}

#endif

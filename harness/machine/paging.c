/* SPDX-License-Identifier: MIT */
/*
 * Page walks, APM vol. 2, chapter 5: two-level, PAE, four- and five-level paging are one loop over a description.
 *
 * Note, PDPEs of legacy PAE paging are read in each walk, not at MOV to CR3 (APM vol. 2, 5.3.2 lets software rely on
 * neither).
 */
#include "machine/private.h"

#include "machine/event.h"
#include "machine/tlb.h"
#include "vm/x86/bits.h"

#define ERROR_P 0x01u
#define ERROR_W 0x02u
#define ERROR_U 0x04u
#define ERROR_RSVD 0x08u
#define ERROR_I 0x10u
#define ERROR_PK 0x20u

#define MAX_LEVELS 5
#define ADDRESS_BITS 0x000ffffffffff000ull

struct format {
	unsigned int nr_levels;
	unsigned int entry_bytes;
	unsigned int index_bits;
};

static const struct format formats[] = { { 2, 4, 10 }, { 3, 8, 9 }, { 4, 8, 9 }, { 5, 8, 9 } };

static const struct format *paging_format(const struct cpu *cpu)
{
	if (!(cpu->cr4 & X86_CR4_PAE))
		return &formats[0];
	if (!(cpu->efer & EFER_LMA))
		return &formats[1];
	return &formats[cpu->cr4 & X86_CR4_LA57 ? 3 : 2];
}

static uint64_t bits(unsigned int high, unsigned int low)
{
	return high < low ? 0 : (~0ull >> (63 - high)) & ~((1ull << low) - 1);
}

static bool is_leaf(const struct cpu *cpu, const struct format *format, unsigned int level, uint64_t entry)
{
	if (level == 1)
		return true;
	if (!(entry & PTE_PS))
		return false;
	if (format->nr_levels == 2)
		return cpu->cr4 & X86_CR4_PSE;
	return level == 2 || (level == 3 && format->nr_levels > 3);
}

/* The bits of a present entry that must be zero. */
static uint64_t reserved_bits(const struct cpu *cpu, const struct format *format, unsigned int level, bool leaf)
{
	uint64_t reserved;

	if (format->nr_levels == 2)
		return level == 2 && leaf ? bits(21, 21) : 0;
	reserved = bits(51, cpu->machine->physical_bits);
	if (!(cpu->efer & EFER_NX))
		reserved |= PTE_NX;
	if (format->nr_levels == 3)
		reserved |= bits(62, 52);
	if (format->nr_levels == 3 && level == 3)
		return reserved | PTE_NX | bits(8, 5) | bits(2, 1);
	if (level >= 4)
		return reserved | bits(8, 7);
	if (level == 3 && leaf)
		return reserved | bits(29, 13) | (cpu_has(cpu, FEATURE_PAGE1GB) ? 0 : PTE_PS);
	return level == 2 && leaf ? reserved | bits(20, 13) : reserved;
}

static uint64_t leaf_frame(const struct format *format, unsigned int level, uint64_t entry)
{
	uint64_t frame = entry & ADDRESS_BITS;

	if (level == 1)
		return frame;
	/* PSE36: bits 20:13 are the address' 39:32. */
	if (format->nr_levels == 2)
		return (entry & bits(31, 22)) | (entry & bits(20, 13)) << 19;
	return frame & ~(bits(11 + (level - 1) * 9, 0));
}

/* Rights by protection keys, APM vol. 2, 5.6.7: of user pages' data only. */
static bool is_key_allowed(const struct cpu *cpu, const struct tlb_entry *page, enum access access, bool is_user)
{
	uint32_t key = cpu->pkru >> (2 * page->pkey);

	if (!(cpu->cr4 & X86_CR4_PKE) || !(cpu->efer & EFER_LMA) || !page->is_user || access == ACCESS_EXEC)
		return true;
	if (key & 1)
		return false;
	return !(key & 2) || access != ACCESS_WRITE || !(is_user || (cpu->cr0 & X86_CR0_WP));
}

static bool is_allowed(const struct cpu *cpu, const struct tlb_entry *page, enum access access, bool is_user,
	bool is_system)
{
	if (is_user && !page->is_user)
		return false;
	if (!is_user && page->is_user) {
		if (access == ACCESS_EXEC && (cpu->cr4 & X86_CR4_SMEP))
			return false;
		if (access != ACCESS_EXEC && (cpu->cr4 & X86_CR4_SMAP) &&
		    (is_system || !(cpu->rflags & X86_EFLAGS_AC)))
			return false;
	}
	if (access == ACCESS_EXEC && page->is_nx && (cpu->efer & EFER_NX))
		return false;
	return access != ACCESS_WRITE || page->is_writable || !(is_user || (cpu->cr0 & X86_CR0_WP));
}

static uint32_t access_error(const struct cpu *cpu, enum access access, bool is_user)
{
	uint32_t error = is_user ? ERROR_U : 0;

	if (access == ACCESS_WRITE)
		error |= ERROR_W;
	if (access == ACCESS_EXEC &&
	    ((cpu->cr4 & X86_CR4_SMEP) || ((cpu->efer & EFER_NX) && (cpu->cr4 & X86_CR4_PAE))))
		error |= ERROR_I;
	return error;
}

/* Tables' entries of one walk, so that A and D can be set once it is known to succeed. */
struct walk {
	const struct format *format;
	uint64_t gpas[MAX_LEVELS + 1];
	uint64_t entries[MAX_LEVELS + 1];
	unsigned int leaf_level;
};

/* Fills *@page; returns the error code's P and RSVD, or -1 when there is a translation. */
static int walk_tables(struct cpu *cpu, uint64_t linear, struct walk *walk, struct tlb_entry *page)
{
	const struct format *format = walk->format;
	uint64_t table = format->nr_levels == 2 ? cpu->cr3 & 0xfffff000 :
		format->nr_levels == 3 ? cpu->cr3 & 0xffffffe0 : cpu->cr3 & bits(cpu->machine->physical_bits - 1, 12);
	unsigned int level, shift;

	*page = (struct tlb_entry) { .page = linear / PAGE_BYTES, .is_user = true, .is_writable = true };
	for (level = format->nr_levels; ; level--) {
		uint64_t entry;
		bool leaf;

		shift = 12 + (level - 1) * format->index_bits;
		walk->gpas[level] = table + (linear >> shift & bits(format->index_bits - 1, 0)) * format->entry_bytes;
		walk->entries[level] = entry = physical_read(cpu->machine, walk->gpas[level], format->entry_bytes);
		if (!(entry & PTE_P))
			return 0;
		leaf = is_leaf(cpu, format, level, entry);
		if (entry & reserved_bits(cpu, format, level, leaf))
			return ERROR_P | ERROR_RSVD;
		if (format->nr_levels != 3 || level != 3) {
			page->is_user &= !!(entry & PTE_U);
			page->is_writable &= !!(entry & PTE_W);
			page->is_nx |= format->nr_levels > 2 && (entry & PTE_NX);
		}
		if (leaf) {
			walk->leaf_level = level;
			page->size_shift = (uint8_t)shift;
			page->is_global = (entry & PTE_G) && (cpu->cr4 & X86_CR4_PGE);
			page->is_dirty = entry & PTE_D;
			page->pkey = entry >> 59 & 15;
			page->frame = leaf_frame(format, level, entry) | (linear & bits(shift - 1, 0) & ~PAGE_MASK);
			return -1;
		}
		table = entry & ADDRESS_BITS;
	}
}

static void walk_set_accessed(struct cpu *cpu, const struct walk *walk, struct tlb_entry *page, enum access access)
{
	unsigned int level;

	for (level = walk->format->nr_levels; level >= walk->leaf_level; level--) {
		uint64_t entry = walk->entries[level] | PTE_A;

		/* Legacy PAE's PDPE has no such bit. */
		if (walk->format->nr_levels == 3 && level == 3)
			continue;
		if (level == walk->leaf_level && access == ACCESS_WRITE) {
			entry |= PTE_D;
			page->is_dirty = true;
		}
		if (entry != walk->entries[level])
			physical_write(cpu->machine, walk->gpas[level], walk->format->entry_bytes, entry);
	}
}

static struct tlb_entry *page_walk(struct cpu *cpu, uint64_t linear, enum access access, bool is_user, bool is_system)
{
	struct walk walk = { .format = paging_format(cpu) };
	struct tlb_entry page;
	uint32_t error = access_error(cpu, access, is_user);
	int missing = walk_tables(cpu, linear, &walk, &page);

	if (missing >= 0)
		cpu_raise_page_fault(cpu, linear, error | (uint32_t)missing);
	if (!is_key_allowed(cpu, &page, access, is_user))
		cpu_raise_page_fault(cpu, linear, error | ERROR_P | ERROR_PK);
	if (!is_allowed(cpu, &page, access, is_user, is_system))
		cpu_raise_page_fault(cpu, linear, error | ERROR_P);
	walk_set_accessed(cpu, &walk, &page, access);
	return tlb_insert(cpu, &page);
}

/*
 * An entry that does not allow the access is not the last word: the CPU walks again before it faults, so that
 * rights may be added without a flush (APM vol. 2, 5.5.2).
 */
uint64_t page_translate(struct cpu *cpu, uint64_t linear, enum access access, bool is_system)
{
	bool is_user = cpu->cpl == 3 && !is_system;
	struct tlb_entry *page;

	if (!(cpu->cr0 & X86_CR0_PG))
		return linear;
	page = tlb_find(cpu, linear);
	if (!page || !is_allowed(cpu, page, access, is_user, is_system) ||
	    !is_key_allowed(cpu, page, access, is_user) || (access == ACCESS_WRITE && !page->is_dirty))
		page = page_walk(cpu, linear, access, is_user, is_system);
	return page->frame | (linear & PAGE_MASK);
}

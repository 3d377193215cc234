/* SPDX-License-Identifier: MIT */
/*
 * Page walks, APM vol. 2, chapter 5: two-level, PAE, four- and five-level paging are one loop over a description. So
 * are nested tables (15.25), which are the host's format: a guest's walk looks up each of its tables there, then what
 * it found.
 *
 * Note, PDPEs of legacy PAE paging are read in each walk, not at MOV to CR3 (APM vol. 2, 5.3.2 lets software rely on
 * neither).
 */
#include "machine/private.h"

#include "machine/event.h"
#include "machine/svm_guest.h"
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

static const struct format *paging_format(uint64_t cr4, uint64_t efer)
{
	if (!(cr4 & X86_CR4_PAE))
		return &formats[0];
	if (!(efer & EFER_LMA))
		return &formats[1];
	return &formats[cr4 & X86_CR4_LA57 ? 3 : 2];
}

static uint64_t bits(unsigned int high, unsigned int low)
{
	return high < low ? 0 : (~0ull >> (63 - high)) & ~((1ull << low) - 1);
}

/* The tables of a walk: the program's, or those that nest it. */
struct tables {
	const struct format *format;
	uint64_t cr3, cr4, efer;
	bool is_nested;
};

static struct tables program_tables(const struct cpu *cpu)
{
	return (struct tables) { paging_format(cpu->cr4, cpu->efer), cpu->cr3, cpu->cr4, cpu->efer, false };
}

static struct tables nested_tables(const struct cpu *cpu)
{
	const struct svm_host *host = &cpu->svm.host;

	return (struct tables) { paging_format(host->cr4, host->efer), cpu->svm.control.nested_cr3, host->cr4,
		host->efer, true };
}

static bool is_leaf(const struct tables *tables, unsigned int level, uint64_t entry)
{
	if (level == 1)
		return true;
	if (!(entry & PTE_PS))
		return false;
	if (tables->format->nr_levels == 2)
		return tables->cr4 & X86_CR4_PSE;
	return level == 2 || (level == 3 && tables->format->nr_levels > 3);
}

/* The bits of a present entry that must be zero. */
static uint64_t reserved_bits(const struct cpu *cpu, const struct tables *tables, unsigned int level, bool leaf)
{
	const struct format *format = tables->format;
	uint64_t reserved;

	if (format->nr_levels == 2)
		return level == 2 && leaf ? bits(21, 21) : 0;
	reserved = bits(51, cpu->machine->physical_bits);
	if (!(tables->efer & EFER_NX))
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
	struct tables tables;
	uint64_t gpas[MAX_LEVELS + 1];
	uint64_t entries[MAX_LEVELS + 1];
	unsigned int leaf_level;
};

static uint64_t tables_root(const struct cpu *cpu, const struct tables *tables)
{
	if (tables->format->nr_levels == 2)
		return tables->cr3 & 0xfffff000;
	if (tables->format->nr_levels == 3)
		return tables->cr3 & 0xffffffe0;
	return tables->cr3 & bits(cpu->machine->physical_bits - 1, 12);
}

static uint64_t nested_translate(struct cpu *cpu, uint64_t gpa, enum access access, uint64_t cause,
	struct tlb_entry *ret_page);

/* Where a table's entry is in RAM. A guest's walk is a write to its tables, by a user (APM vol. 2, 15.25.5). */
static uint64_t entry_address(struct cpu *cpu, const struct tables *tables, uint64_t gpa)
{
	struct tlb_entry page;

	if (tables->is_nested || !cpu->svm.has_nested_paging)
		return gpa;
	return nested_translate(cpu, gpa, ACCESS_WRITE, NPF_TABLE, &page);
}

/* Fills *@page; returns the error code's P and RSVD, or -1 when there is a translation. */
static int walk_tables(struct cpu *cpu, uint64_t linear, struct walk *walk, struct tlb_entry *page)
{
	const struct tables *tables = &walk->tables;
	const struct format *format = tables->format;
	uint64_t table = tables_root(cpu, tables);
	unsigned int level, shift;

	*page = (struct tlb_entry) { .page = linear / PAGE_BYTES, .is_user = true, .is_writable = true };
	for (level = format->nr_levels; ; level--) {
		uint64_t entry;
		bool leaf;

		shift = 12 + (level - 1) * format->index_bits;
		walk->gpas[level] = entry_address(cpu, tables,
			table + (linear >> shift & bits(format->index_bits - 1, 0)) * format->entry_bytes);
		walk->entries[level] = entry = physical_read(cpu->machine, walk->gpas[level], format->entry_bytes);
		if (!(entry & PTE_P))
			return 0;
		leaf = is_leaf(tables, level, entry);
		if (entry & reserved_bits(cpu, tables, level, leaf))
			return ERROR_P | ERROR_RSVD;
		if (format->nr_levels != 3 || level != 3) {
			page->is_user &= !!(entry & PTE_U);
			page->is_writable &= !!(entry & PTE_W);
			page->is_nx |= format->nr_levels > 2 && (entry & PTE_NX);
		}
		if (leaf) {
			walk->leaf_level = level;
			page->size_shift = (uint8_t)shift;
			page->is_global = (entry & PTE_G) && (tables->cr4 & X86_CR4_PGE);
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
	const struct format *format = walk->tables.format;
	unsigned int level;

	for (level = format->nr_levels; level >= walk->leaf_level; level--) {
		uint64_t entry = walk->entries[level] | PTE_A;

		/* Legacy PAE's PDPE has no such bit. */
		if (format->nr_levels == 3 && level == 3)
			continue;
		if (level == walk->leaf_level && access == ACCESS_WRITE) {
			entry |= PTE_D;
			page->is_dirty = true;
		}
		if (entry != walk->entries[level])
			physical_write(cpu->machine, walk->gpas[level], format->entry_bytes, entry);
	}
}

/*
 * Through the nested tables: every access is a user's (APM vol. 2, 15.25.5). @cause is NPF_FINAL or NPF_TABLE. Fills
 * frame and rights of *@ret_page.
 */
static uint64_t nested_translate(struct cpu *cpu, uint64_t gpa, enum access access, uint64_t cause,
	struct tlb_entry *ret_page)
{
	struct walk walk = { .tables = nested_tables(cpu) };
	bool has_nx = (walk.tables.efer & EFER_NX) && (walk.tables.cr4 & X86_CR4_PAE), is_denied;
	uint64_t error = cause | ERROR_U | (access == ACCESS_WRITE ? ERROR_W : 0) |
		(access == ACCESS_EXEC && has_nx ? ERROR_I : 0);
	int missing = walk_tables(cpu, gpa, &walk, ret_page);

	if (missing >= 0)
		svm_exit_npf(cpu, gpa, error | (uint64_t)missing, access == ACCESS_EXEC);
	is_denied = !ret_page->is_user || (access == ACCESS_WRITE && !ret_page->is_writable) ||
		(access == ACCESS_EXEC && ret_page->is_nx);
	if (is_denied)
		svm_exit_npf(cpu, gpa, error | ERROR_P, access == ACCESS_EXEC);
	walk_set_accessed(cpu, &walk, ret_page, access);
	return ret_page->frame | (gpa & PAGE_MASK);
}

uint64_t nested_translate_gpa(struct cpu *cpu, uint64_t gpa, enum access access)
{
	struct tlb_entry page;

	return nested_translate(cpu, gpa, access, NPF_FINAL, &page);
}

/* What nested tables say of the page that the guest's own tables, or no tables, gave. */
static void page_nest(struct cpu *cpu, uint64_t linear, enum access access, struct tlb_entry *page)
{
	struct tlb_entry nested;

	nested_translate(cpu, page->frame | (linear & PAGE_MASK), access, NPF_FINAL, &nested);
	page->frame = nested.frame;
	page->is_dirty &= nested.is_dirty && nested.is_writable;
	page->is_host_nx = nested.is_nx;
}

static struct tlb_entry *page_unpaged(struct cpu *cpu, uint64_t linear, enum access access)
{
	struct tlb_entry page = { .page = linear / PAGE_BYTES, .frame = linear & ~PAGE_MASK, .size_shift = 12,
		.is_user = true, .is_writable = true, .is_dirty = true };

	page_nest(cpu, linear, access, &page);
	return tlb_insert(cpu, &page);
}

static struct tlb_entry *page_walk(struct cpu *cpu, uint64_t linear, enum access access, bool is_user, bool is_system)
{
	struct walk walk = { .tables = program_tables(cpu) };
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
	if (cpu->svm.has_nested_paging)
		page_nest(cpu, linear, access, &page);
	return tlb_insert(cpu, &page);
}

static bool is_known_allowed(const struct cpu *cpu, const struct tlb_entry *page, enum access access, bool is_user,
	bool is_system)
{
	if ((access == ACCESS_WRITE && !page->is_dirty) || (access == ACCESS_EXEC && page->is_host_nx))
		return false;
	if (!(cpu->cr0 & X86_CR0_PG))
		return true;
	return is_allowed(cpu, page, access, is_user, is_system) && is_key_allowed(cpu, page, access, is_user);
}

/*
 * An entry that does not allow the access is not the last word: the CPU walks again before it faults, so that
 * rights may be added without a flush (APM vol. 2, 5.5.2).
 */
uint64_t page_translate(struct cpu *cpu, uint64_t linear, enum access access, bool is_system)
{
	bool is_user = cpu->cpl == 3 && !is_system;
	bool has_tables = cpu->cr0 & X86_CR0_PG;
	struct tlb_entry *page;

	if (!has_tables && !cpu->svm.has_nested_paging)
		return linear;
	page = tlb_find(cpu, linear);
	if (!page || !is_known_allowed(cpu, page, access, is_user, is_system))
		page = has_tables ? page_walk(cpu, linear, access, is_user, is_system) :
			page_unpaged(cpu, linear, access);
	return page->frame | (linear & PAGE_MASK);
}

/* SPDX-License-Identifier: MIT */
#include "machine/tlb.h"

#include <string.h>

#include "vm/x86/bits.h"

#define PAGE_SHIFT 12
#define LAST_GENERATION 0xfff
#define PCID_UNPAGED 0x1000	/* what a guest without paging has from nested tables */

uint16_t cpu_pcid(const struct cpu *cpu)
{
	return cpu->cr4 & X86_CR4_PCIDE ? cpu->cr3 & 0xfff : 0;
}

/* Tags have 12 bits for the generation: when they are used up, all pages go. */
void cpu_forget_fast(struct cpu *cpu)
{
	cpu->jump_generation++;
	if (++cpu->fast_generation <= LAST_GENERATION)
		return;
	memset(cpu->fast_pages, 0, sizeof(cpu->fast_pages));
	cpu->fast_generation = 1;
}

static struct tlb_entry *tlb_set(struct cpu *cpu, uint64_t page)
{
	return cpu->tlb->sets[page % NR_TLB_SETS];
}

static uint16_t tlb_pcid(const struct cpu *cpu)
{
	return cpu->cr0 & X86_CR0_PG ? cpu_pcid(cpu) : PCID_UNPAGED;
}

static bool is_match(const struct tlb_entry *entry, uint32_t asid, uint16_t pcid, uint64_t page)
{
	return entry->is_valid && entry->page == page && entry->asid == asid &&
	       (entry->pcid == pcid || (entry->is_global && pcid != PCID_UNPAGED));
}

struct tlb_entry *tlb_find(struct cpu *cpu, uint64_t linear)
{
	uint64_t page = linear >> PAGE_SHIFT;
	struct tlb_entry *set = tlb_set(cpu, page);
	unsigned int i;

	for (i = 0; i < NR_TLB_WAYS; i++)
		if (is_match(&set[i], cpu->asid, tlb_pcid(cpu), page))
			return &set[i];
	return NULL;
}

struct tlb_entry *tlb_insert(struct cpu *cpu, const struct tlb_entry *entry)
{
	struct tlb_entry *set = tlb_set(cpu, entry->page);
	struct tlb_entry *to = NULL;
	unsigned int i;

	for (i = 0; i < NR_TLB_WAYS && !to; i++)
		if (is_match(&set[i], cpu->asid, tlb_pcid(cpu), entry->page))
			to = &set[i];
	for (i = 0; i < NR_TLB_WAYS && !to; i++)
		if (!set[i].is_valid)
			to = &set[i];
	if (!to)
		to = &set[cpu->tlb->victims[entry->page % NR_TLB_SETS]++ % NR_TLB_WAYS];
	*to = *entry;
	to->asid = cpu->asid;
	to->pcid = tlb_pcid(cpu);
	to->is_valid = true;
	return to;
}

void tlb_flush_all(struct cpu *cpu)
{
	memset(cpu->tlb, 0, sizeof(*cpu->tlb));
	cpu_forget_fast(cpu);
}

static bool is_in_page(const struct tlb_entry *entry, uint64_t linear)
{
	return !((entry->page << PAGE_SHIFT ^ linear) >> entry->size_shift);
}

void tlb_flush_asid(struct cpu *cpu, uint32_t asid, bool with_global)
{
	struct tlb_entry *entry = &cpu->tlb->sets[0][0], *end = entry + NR_TLB_SETS * NR_TLB_WAYS;

	for (; entry < end; entry++)
		if (entry->asid == asid && (with_global || !entry->is_global))
			entry->is_valid = false;
	cpu_forget_fast(cpu);
}

void tlb_flush_pcid(struct cpu *cpu, uint32_t asid, uint16_t pcid)
{
	struct tlb_entry *entry = &cpu->tlb->sets[0][0], *end = entry + NR_TLB_SETS * NR_TLB_WAYS;

	for (; entry < end; entry++)
		if (entry->asid == asid && entry->pcid == pcid && !entry->is_global)
			entry->is_valid = false;
	cpu_forget_fast(cpu);
}

void tlb_flush_page(struct cpu *cpu, uint32_t asid, uint16_t pcid, uint64_t linear)
{
	struct tlb_entry *entry = &cpu->tlb->sets[0][0], *end = entry + NR_TLB_SETS * NR_TLB_WAYS;

	for (; entry < end; entry++)
		if (entry->asid == asid && (entry->is_global || entry->pcid == pcid) && is_in_page(entry, linear))
			entry->is_valid = false;
	cpu_forget_fast(cpu);
}

void tlb_flush_page_asid(struct cpu *cpu, uint32_t asid, uint64_t linear)
{
	struct tlb_entry *entry = &cpu->tlb->sets[0][0], *end = entry + NR_TLB_SETS * NR_TLB_WAYS;

	for (; entry < end; entry++)
		if (entry->asid == asid && is_in_page(entry, linear))
			entry->is_valid = false;
	cpu_forget_fast(cpu);
}

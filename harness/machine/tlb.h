/* SPDX-License-Identifier: MIT */
/*
 * The translation look-aside buffer: what page walks found, tagged by ASID and PCID, until it is flushed or its
 * place is needed (APM vol. 2, 5.5 and 15.16). Nothing looks at the tables again while an entry is there, so that
 * software that forgets a flush sees the stale translation.
 *
 * In front of it each CPU has fast_pages (data) and jumps (code) for its current context. They hold only what the
 * buffer gave, and are emptied whenever the context or an entry goes: cpu_forget_fast().
 */
#ifndef VMASSAY_MACHINE_TLB_H
#define VMASSAY_MACHINE_TLB_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/cpu.h"

#define NR_TLB_SETS 256
#define NR_TLB_WAYS 4

struct tlb_entry {
	uint64_t page;		/* linear address / 4096 */
	uint64_t frame;		/* physical address of its 4 KiB, also within a larger page */
	uint32_t asid;
	uint16_t pcid;
	uint8_t size_shift;	/* of the page that the tables have: 12, 21, 22 or 30 */
	uint8_t pkey;
	bool is_valid, is_global, is_user, is_writable, is_nx;
	bool is_dirty;		/* a write needs no walk: D is set, in nested tables, too, and they allow it */
	bool is_host_nx;	/* of nested tables */
};

struct tlb {
	struct tlb_entry sets[NR_TLB_SETS][NR_TLB_WAYS];
	uint8_t victims[NR_TLB_SETS];	/* round robin */
};

/* NULL when there is none for the CPU's ASID and PCID. */
struct tlb_entry *tlb_find(struct cpu *cpu, uint64_t linear);
/* Fills page, frame and rights of *@entry into the CPU's context; replaces an entry for the same page. */
struct tlb_entry *tlb_insert(struct cpu *cpu, const struct tlb_entry *entry);

/* Everything, of all ASIDs; which entries are replaced first begins anew, too. */
void tlb_flush_all(struct cpu *cpu);
/* One ASID's: all of it, or what is not global. */
void tlb_flush_asid(struct cpu *cpu, uint32_t asid, bool with_global);
/* What MOV to CR3 flushes: the PCID's entries that are not global. */
void tlb_flush_pcid(struct cpu *cpu, uint32_t asid, uint16_t pcid);
/* INVLPG: the page that holds @linear, whatever its size, of this PCID or global. */
void tlb_flush_page(struct cpu *cpu, uint32_t asid, uint16_t pcid, uint64_t linear);

/* INVLPGA: the page that holds @linear, of all PCIDs of the ASID. */
void tlb_flush_page_asid(struct cpu *cpu, uint32_t asid, uint64_t linear);

/* The current PCID: CR3[11:0] under CR4.PCIDE, else 0. */
uint16_t cpu_pcid(const struct cpu *cpu);
void cpu_forget_fast(struct cpu *cpu);

#endif

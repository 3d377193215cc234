/* SPDX-License-Identifier: MIT */
/* What the parts of the machine share: the machine itself, the caches of decoded code, derived state. */
#ifndef VMASSAY_MACHINE_PRIVATE_H
#define VMASSAY_MACHINE_PRIVATE_H

#include "machine/cpu.h"
#include "machine/cpuid.h"
#include "machine/machine.h"
#include "machine/memory.h"
#include "machine/op.h"
#include "machine/svm_rules.h"

#define MAX_CPUS 256
#define NR_BLOCK_BUCKETS 4096
#define MAX_BLOCKS 65536

struct machine {
	struct cpu **cpus;
	unsigned int nr_cpus;
	struct machine_bus bus;
	struct machine_cpuid *cpuid;
	size_t nr_cpuid;
	uint64_t features;
	uint32_t svm_features;		/* Fn8000_000A_EDX */
	struct svm_rule_cpu svm_rule_cpu;
	unsigned int physical_bits;
	struct ram_slot *slots;		/* by ascending gpa */
	size_t nr_slots;
	struct exec_index index;
	struct block *buckets[NR_BLOCK_BUCKETS];
	struct block *dead;		/* forgotten, perhaps being executed: freed before the next block is looked for */
	size_t nr_blocks;
	uint64_t epoch;			/* blocks of an older one have not been compared with memory since */
};

static inline bool cpu_has(const struct cpu *cpu, uint64_t feature)
{
	return cpu->machine->features & feature;
}

/* Blocks of decoded code (block.c) */

/* The block at RIP; raises what fetching meets. Valid until the next call. */
struct block *block_at_rip(struct cpu *cpu);
/* Forgets the code that [gpa, gpa + len_bytes) is part of; the range is within one page. */
void block_forget_range(struct machine *machine, struct ram_slot *slot, uint64_t gpa, uint64_t len_bytes);
void block_forget_all(struct machine *machine);
/* Frees what was forgotten, when no CPU executes any of it. */
void block_free_dead(struct machine *machine);

/* Paging (paging.c). The physical address that the access to @linear has; raises #PF. */
uint64_t page_translate(struct cpu *cpu, uint64_t linear, enum access access, bool is_system);

/* Derived state (state.c): to be called after a change of the named thing. */
void cpu_windows_changed(struct cpu *cpu);	/* a segment, CR0.AM, RFLAGS.AC, CPL */
void cpu_mode_changed(struct cpu *cpu);		/* CS, SS, CR0, EFER, RFLAGS.VM; does the former */

/* Until cpu_keep(), a fault takes the CPU back to where cpu_save() found it; only memory stays as it was written. */
void cpu_save(struct cpu *cpu);
void cpu_keep(struct cpu *cpu);
void cpu_restore(struct cpu *cpu);

static inline bool is_canonical(const struct cpu *cpu, uint64_t linear)
{
	unsigned int shift = cpu->cr4 & (1ull << 12) ? 64 - 57 : 64 - 48;

	return (uint64_t)((int64_t)(linear << shift) >> shift) == linear;
}

#endif

/* SPDX-License-Identifier: MIT */
#include "machine/debug.h"

#include "machine/event.h"
#include "machine/private.h"
#include "vm/x86/bits.h"

#define NR_BREAKPOINTS 4

enum condition { ON_EXEC, ON_WRITE, ON_IO, ON_ACCESS };

static bool is_enabled(const struct cpu *cpu, unsigned int i)
{
	return cpu->dr[7] >> 2 * i & 3;
}

static enum condition condition_of(const struct cpu *cpu, unsigned int i)
{
	return cpu->dr[7] >> (16 + 4 * i) & 3;
}

/* LEN: 1, 2, 8 or 4 bytes; the address is aligned to it. */
static uint64_t breakpoint_len(const struct cpu *cpu, unsigned int i)
{
	static const uint8_t lens[] = { 1, 2, 8, 4 };

	return lens[cpu->dr[7] >> (18 + 4 * i) & 3];
}

static bool is_hit(const struct cpu *cpu, unsigned int i, uint64_t first, unsigned int size)
{
	uint64_t len = breakpoint_len(cpu, i), start = cpu->dr[i] & ~(len - 1);

	return first < start + len && start < first + size;
}

/* Those of @conditions, a bit for each, that are enabled and within the bytes. */
static uint8_t hits_of(const struct cpu *cpu, unsigned int conditions, uint64_t first, unsigned int size)
{
	uint8_t hits = 0;
	unsigned int i;

	for (i = 0; i < NR_BREAKPOINTS; i++)
		if (is_enabled(cpu, i) && (conditions >> condition_of(cpu, i) & 1) && is_hit(cpu, i, first, size))
			hits |= (uint8_t)(1u << i);
	return hits;
}

void debug_check_insn(struct cpu *cpu)
{
	uint64_t base = cpu->is_long64 ? 0 : cpu->segs[SEG_CS].base;
	uint8_t hits = hits_of(cpu, 1u << ON_EXEC, (base + cpu->rip) & cpu->linear_mask, 1);

	if (!hits)
		return;
	cpu->dr[6] |= hits;
	cpu_raise(cpu, VECTOR_DB);
}

static void debug_hit(struct cpu *cpu, uint8_t hits)
{
	cpu->breakpoints_hit |= hits;
	if (hits)
		cpu->must_stop |= STOP_EVENT;
}

void debug_access(struct cpu *cpu, uint64_t linear, unsigned int size, enum access access)
{
	unsigned int conditions = 1u << ON_ACCESS | (access == ACCESS_WRITE ? 1u << ON_WRITE : 0);

	if (debug_is_armed(cpu))
		debug_hit(cpu, hits_of(cpu, conditions, linear, size));
}

/* Without CR4.DE the condition is undefined, and hits nothing here. */
void debug_port(struct cpu *cpu, uint16_t port, unsigned int size)
{
	if (debug_is_armed(cpu) && (cpu->cr4 & X86_CR4_DE))
		debug_hit(cpu, hits_of(cpu, 1u << ON_IO, port, size));
}

void debug_branch(struct cpu *cpu, uint64_t from, uint64_t to, bool is_event)
{
	struct branches *branches = &cpu->branches;

	if (!debug_records(cpu))
		return;
	if (is_event) {
		branches->last_excp_from = branches->br_from;
		branches->last_excp_to = branches->br_to;
	}
	branches->br_from = from;
	branches->br_to = to;
}

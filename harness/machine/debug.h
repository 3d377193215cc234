/* SPDX-License-Identifier: MIT */
/*
 * Breakpoints of DR0 to DR3 and recording of branches (APM vol. 2, 13.1). While one is enabled, the loop executes
 * instruction by instruction, and for breakpoints all accesses go the slow way. Note, accesses to system structures and
 * an event's own pushes hit none.
 */
#ifndef VMASSAY_MACHINE_DEBUG_H
#define VMASSAY_MACHINE_DEBUG_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/cpu.h"

#define DR6_BD (1ull << 13)
#define DR6_BS (1ull << 14)
#define DR6_BT (1ull << 15)
#define DR6_FIXED 0xffff0ff0ull		/* bits that are always one */
#define DR6_ZERO 0x1000ull		/* always zero */
#define DR7_ENABLES 0xffull
#define DR7_GD (1ull << 13)
#define DR7_FIXED 0x400ull
#define DR7_ZERO 0xd000ull

static inline uint64_t dr6_value(uint64_t value)
{
	return ((uint32_t)value | DR6_FIXED) & ~DR6_ZERO;
}

static inline uint64_t dr7_value(uint64_t value)
{
	return ((uint32_t)value | DR7_FIXED) & ~DR7_ZERO;
}

static inline bool debug_is_armed(const struct cpu *cpu)
{
	return cpu->dr[7] & DR7_ENABLES;
}

#define DBGCTL_LBR 1ull
#define DBGCTL_BTF 2ull
#define DBGCTL_DEFINED 0x3full

static inline bool debug_records(const struct cpu *cpu)
{
	return cpu->branches.dbgctl & DBGCTL_LBR;
}

/* A branch, also one that an event is: the last one's addresses are kept for the handler then. */
void debug_branch(struct cpu *cpu, uint64_t from, uint64_t to, bool is_event);

/* Raises #DB, a fault, when the instruction at RIP has a breakpoint. */
void debug_check_insn(struct cpu *cpu);
/* What hits is in cpu->breakpoints_hit until the instruction is at its end: a trap. */
void debug_access(struct cpu *cpu, uint64_t linear, unsigned int size, enum access access);
void debug_port(struct cpu *cpu, uint16_t port, unsigned int size);

#endif

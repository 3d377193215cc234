/* SPDX-License-Identifier: MIT */
/*
 * Descriptors and the segment registers they are loaded into (APM vol. 2, chapter 4).
 *
 * Error codes are the selector without its RPL, with EXT while an event that is not the program's own is delivered.
 */
#ifndef VMASSAY_MACHINE_SEGMENT_H
#define VMASSAY_MACHINE_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/cpu.h"

#define SELECTOR_RPL 3u
#define SELECTOR_TI 4u

/*
 * Types of system segments and gates, APM vol. 2, table 4-5 and 4-6; without the 32-bit bit (8) there are 16-bit
 * ones.
 */
enum {
	TYPE_TSS16 = 1, TYPE_LDT = 2, TYPE_TSS16_BUSY = 3, TYPE_CALL_GATE16 = 4, TYPE_TASK_GATE = 5,
		TYPE_INT_GATE16 = 6,
	TYPE_TRAP_GATE16 = 7, TYPE_TSS = 9, TYPE_TSS_BUSY = 11, TYPE_CALL_GATE = 12, TYPE_INT_GATE = 14,
		TYPE_TRAP_GATE = 15,
};

struct descriptor {
	uint64_t low;
	uint64_t high;		/* of a system descriptor in long mode, else 0 */
	uint64_t linear;	/* where it is */
};

static inline bool is_null_selector(uint16_t selector)
{
	return !(selector & ~SELECTOR_RPL);
}

static inline unsigned int segment_dpl(const struct segment *segment)
{
	return segment->attrib >> SEG_DPL_SHIFT & 3;
}

static inline bool is_code_segment(const struct segment *segment)
{
	return (segment->attrib & (SEG_S | SEG_TYPE_CODE)) == (SEG_S | SEG_TYPE_CODE);
}

static inline bool is_conforming(const struct segment *segment)
{
	return segment->attrib & SEG_TYPE_EXPAND_DOWN;
}

/* Real and virtual-8086 mode: selectors are paragraphs. */
bool is_paragraph_mode(const struct cpu *cpu);

uint32_t selector_error(const struct cpu *cpu, uint16_t selector);
_Noreturn void raise_selector(struct cpu *cpu, unsigned int vector, uint16_t selector);

/* False when the selector's table does not have it. */
bool descriptor_read_try(struct cpu *cpu, uint16_t selector, struct descriptor *descriptor);
/* Raises @vector, #GP or #TS, when it does not. */
struct descriptor descriptor_read(struct cpu *cpu, uint16_t selector, unsigned int vector);
struct segment descriptor_segment(const struct descriptor *descriptor, uint16_t selector);
/* Sets bits of its type in memory, where they are not set yet: accessed, or a TSS's busy bit. */
void descriptor_set_type_bits(struct cpu *cpu, const struct descriptor *descriptor, unsigned int bits);

/* ES, SS, DS, FS, GS and in paragraph mode CS: what MOV does, with all its checks. */
void segment_load(struct cpu *cpu, unsigned int seg, uint16_t selector);
/*
 * The protected-mode part of it, for a selector that is not null and not for SS; raises @vector where MOV raises
 * #GP.
 */
void segment_load_data(struct cpu *cpu, unsigned int seg, uint16_t selector, unsigned int vector);
void segment_set_null(struct cpu *cpu, unsigned int seg, uint16_t selector);
/* SS for a stack of privilege @cpl, from a TSS or a far return's frame; raises @vector where MOV raises #GP. */
void segment_load_stack(struct cpu *cpu, uint16_t selector, unsigned int cpl, unsigned int vector);
/*
 * CS for a transfer that has been checked: present, else #NP; L and D not both, else #GP. @cpl becomes its RPL and
 * the CPU's CPL. The caller then checks the target against it.
 */
void segment_load_code(struct cpu *cpu, const struct descriptor *descriptor, uint16_t selector, unsigned int cpl);
void segment_load_ldt(struct cpu *cpu, uint16_t selector, unsigned int vector);
void segment_load_tr(struct cpu *cpu, uint16_t selector);
/* A segment register of real or virtual-8086 mode. */
void segment_load_paragraph(struct cpu *cpu, unsigned int seg, uint16_t selector);
/* After a return to an outer privilege: data segments that it may not use become null. */
void segments_drop_privileged(struct cpu *cpu);

/* The 32-bit or 64-bit TSS's stack of privilege @cpl, or the IST's entry 1 to 7; raises #TS. */
uint64_t tss_read_rsp(struct cpu *cpu, unsigned int slot);
void tss_read_stack(struct cpu *cpu, unsigned int cpl, uint16_t *ret_ss, uint64_t *ret_rsp);

#endif

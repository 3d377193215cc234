/* SPDX-License-Identifier: MIT */
/* Where a scene has what, for its parts. All addresses are physical and, with paging, linear: the mapping is 1:1. */
#ifndef VMASSAY_DIFFER_SCENE_MEMORY_H
#define VMASSAY_DIFFER_SCENE_MEMORY_H

#include "differ/scene.h"
#include "rng.h"

#define IVT_AT 0x0000u		/* real mode's */
#define TABLES_AT SCENE_TABLES_AT	/* the last level at TABLES_AT + 0x3000 */
#define GDT_AT SCENE_GDT_AT
#define TSS_AT 0x5800u
#define TSS2_AT 0x6000u
#define IDT_AT 0x7000u
#define CODE_AT 0x8000u		/* a page of INT3, the instruction in its middle */
#define INSN_AT (CODE_AT + 0x800u)
#define DATA_AT 0x9000u
#define USER_DATA_AT 0xa000u	/* of the user in every scene */
#define CONST_AT 0xb000u	/* read-only */
#define HANDLERS_AT 0xc000u	/* + vector; the supervisor's */
#define HANDLER_STACK_AT 0xdf00u	/* grows down from here; the supervisor's */
#define STACK_AT 0xe800u	/* the instruction's */
#define ABSENT_AT 0xf000u	/* not present, with paging */

#define NR_DESCRIPTORS (SCENE_GDT_BYTES / 8)
#define FIRST_RANDOM 20		/* descriptors from here on are random, two by two */
#define SEL_CODE64 0x08
#define SEL_DATA 0x10
#define SEL_CODE32 0x18
#define SEL_USER_CODE32 0x23
#define SEL_USER_DATA 0x2b
#define SEL_USER_CODE64 0x33
#define SEL_CODE16 0x38
#define SEL_USER_CODE16 0x43
#define SEL_DATA16 0x48
#define SEL_USER_DATA16 0x53
#define SEL_TSS 0x60
#define SEL_TSS2 0x70
#define SEL_LDT 0x80
#define TSS_LIMIT 0xa8u		/* 104 bytes, 32 of redirection, 32 of permission for ports 0 to 0xff, and the last */
#define IDT_RANDOM 0x30u	/* interrupts from here to 0x4f have random gates */

static inline bool scene_is_long(enum scene_mode mode)
{
	return mode >= SCENE_COMPAT16;
}

/* Segments of 64 KiB whose base is 16 times the selector. */
static inline bool scene_is_real(enum scene_mode mode)
{
	return mode == SCENE_REAL || mode == SCENE_VM86;
}

static inline bool scene_is_16(enum scene_mode mode)
{
	return scene_is_real(mode) || mode == SCENE_PROT16 || mode == SCENE_COMPAT16;
}

/* What the memory holds but for the instruction and its operands. */
void scene_fill_memory(struct scene *scene, struct rng *rng);
/* Segments, tables, control registers. */
void scene_fill_sregs(struct scene *scene, struct rng *rng);

/* An offset of code in which there is nothing but INT3; 1 of 16 is outside of it. */
uint64_t scene_rng_rip(const struct scene *scene, struct rng *rng);
/* Of code, where any selector is somewhere; else any. */
uint16_t scene_rng_code_selector(const struct scene *scene, struct rng *rng);
uint16_t scene_rng_selector(const struct scene *scene, struct rng *rng);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The machine against the CPU that this runs on: random instances of user-mode instructions, each executed natively
 * and by the machine from the same state, and every outcome compared: registers, flags, memory, and the exception
 * it ends with.
 */
#ifndef VMASSAY_DIFFER_H
#define VMASSAY_DIFFER_H

#include "differ/instance.h"
#include "vm/x86/bits.h"

#define NR_SELECTORS 16		/* of the GDT that native_descriptor() can see */

struct outcome {
	uint64_t regs[16];
	uint16_t segs[4];	/* ES, CS, SS, DS */
	uint64_t rip;
	uint64_t rflags;
	uint32_t vector;
	uint32_t error;
	uint64_t cr2;		/* of a page fault, else 0 */
	struct fpu fpu;
	uint8_t data[DATA_BYTES];
};

#define DIFFER_STATUS_FLAGS								\
	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_OF)
/* RF is set by the fault itself, the rest is as it was. */
#define DIFFER_ALL_FLAGS								\
	(DIFFER_STATUS_FLAGS | X86_EFLAGS_DF | X86_EFLAGS_TF | X86_EFLAGS_IF | X86_EFLAGS_NT | X86_EFLAGS_AC)

/* This process becomes one that can execute instances; -1 and errno. */
int native_prepare(void);
void native_run(const struct instance *instance, struct outcome *outcome);
/* The descriptor of GDT entry @index as LAR and LSL show it, flat; one of privilege 0 where they do not. */
uint64_t native_descriptor(unsigned int index);
/* True when 32-bit code runs here. */
bool native_has_32(void);

struct model;
struct model *model_new(void);
void model_free(struct model *model);
/* NULL, or what the machine says that it does not have. */
const char *model_run(struct model *model, const struct instance *instance, struct outcome *outcome);

/* --- comparison (compare.c) --- */

/* The registers' names, in the encoding's order. */
extern const char *const differ_registers[16];
/* The flags that the manual says something about. */
uint64_t differ_flags(const struct instance *instance, const struct outcome *native);
/* True when something differs, of flags only those of @flags; prints what does, a line of TAP each. */
bool differ_outcomes(const struct instance *instance, const struct outcome *native, const struct outcome *machine,
	uint64_t flags, bool prints);
/* Where the manual leaves a choice, the machine does what AMD's CPUs do. */
bool differ_is_amd(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The golden state of "input vmcb", and how operations change it: RAM of which L2 has the first part and L1 the rest, with
 * a VMCB, permission maps and nested tables in it. L2 is 64-bit code at CPL 0 under nested paging that halts at once;
 * each exception has a handler that halts, too.
 *
 * It knows no machine and no KVM: whoever has such RAM at physical address 0 (or, for L1, at an offset) can run it.
 */
#ifndef VMASSAY_FUZZ_VMCB_WORLD_H
#define VMASSAY_FUZZ_VMCB_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/svm_rules.h"
#include "vm/x86/vmcb.h"

struct input_op;

#define VMCB_RAM_BYTES 0x80000u
#define VMCB_NR_PAGES (VMCB_RAM_BYTES / 0x1000)
#define VMCB_L2_BYTES 0x40000u	/* below: L2's; the rest is L1's, and not in the nested tables */

/* L2's, physical and linear */
#define VMCB_PML4_GPA 0x1000u
#define VMCB_PDPT_GPA 0x2000u
#define VMCB_PD_GPA 0x3000u
#define VMCB_PT_GPA 0x4000u	/* 4 KiB pages: all of the RAM, and nothing behind it */
#define VMCB_GDT_GPA 0x5000u
#define VMCB_IDT_GPA 0x6000u
#define VMCB_TSS_GPA 0x7000u
#define VMCB_STACK_GPA 0x9000u	/* RSP begins here, downwards */
#define VMCB_PAE_PDPT_GPA 0xa000u
#define VMCB_CODE_GPA 0x10000u
#define VMCB_HANDLER_GPA 0x20000u	/* HLT at VMCB_HANDLER_GPA + 16 * vector */
#define VMCB_DATA_GPA 0x30000u
/* L1's */
#define VMCB_VMCB_GPA 0x50000u
#define VMCB_IOPM_GPA 0x58000u
#define VMCB_MSRPM_GPA 0x5c000u
#define VMCB_NPML4_GPA 0x60000u
#define VMCB_NPDPT_GPA 0x61000u
#define VMCB_NPD_GPA 0x62000u
#define VMCB_NPT_GPA 0x63000u

/* L2 exits to user space by an OUT to it, where an operation says so. */
#define VMCB_HOST_PORT 0xe8

/* Fills VMCB_RAM_BYTES. */
void vmcb_world_fill(uint8_t *ram);
/* Paging and mode of one of the rule table's states. */
void vmcb_world_base(struct vmcb *vmcb, enum svm_base base);

/*
 * Each page that an operation writes is told, for code that was decoded from it and for whoever puts RAM back.
 */
typedef void vmcb_written_fn(void *context, uint64_t gpa, uint64_t len_bytes);

/* L2's registers beside the VMCB's, in the encoding's order, and what operations build up for the next VMRUN. */
struct vmcb_program {
	uint8_t *ram;
	uint64_t regs[16];
	uint32_t pins;			/* bit n: PIN_* */
	uint32_t code_at;		/* where the next instruction of L2 goes, from VMCB_CODE_GPA on */
	bool has_code;			/* since the last VMRUN */
	bool migrates;			/* in the next VMRUN; nothing to a CPU */
	bool has_own_tables;		/* nested tables were edited, or may have been */
	struct svm_rule_cpu rule_cpu;	/* of the CPU that it is meant for */
	vmcb_written_fn *written;
	void *context;
};

/* Applies all but VMCB_OP_RUN and what L1 executes (VMCB_OP_L1, VMCB_OP_L1_INVLPGA). */
void vmcb_program_apply(struct vmcb_program *program, const struct input_op *op);
/* The first rule that VMRUN has to refuse the VMCB by, as it is now; NULL: it is entered. */
const struct svm_rule *vmcb_program_predict(const struct vmcb_program *program);
/* Behind a VMRUN. */
/* Whether L2 as it would be entered now has no way to L1's memory. */
bool vmcb_program_is_isolated(const struct vmcb_program *program);
void vmcb_program_ran(struct vmcb_program *program);

/* L2's code of one operation (vmcb_code.c); returns its length, at most VMCB_MAX_CODE_BYTES, or 0: it has none. */
#define VMCB_MAX_CODE_BYTES 48
unsigned int vmcb_code(const struct input_op *op, uint8_t *code);

static inline struct vmcb *vmcb_world_vmcb(uint8_t *ram)
{
	return (struct vmcb *)(void *)(ram + VMCB_VMCB_GPA);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * L1 of the nested executor (nested.c): what the host and the guest's code (nested_l1.S) agree on. L1 does what a script in
 * the exchange page says and reports by an OUT; nothing of it is in the RAM that the inputs are about.
 */
#ifndef VMASSAY_FUZZ_NESTED_L1_H
#define VMASSAY_FUZZ_NESTED_L1_H

/*
 * Where L1's own pages are, physical and linear: far from all that inputs name. In one 2 MiB page; the next one, linear, is
 * the world's RAM.
 */
#define NESTED_L1_GPA 0x5a5a000000
#define NESTED_L1_BYTES 0x10000
#define NESTED_WORLD 0x200000	/* from there on */

/* From there on */
#define NESTED_CODE 0x0000
#define NESTED_EXCHANGE 0x1000
#define NESTED_PML4 0x2000
#define NESTED_PDPT 0x3000
#define NESTED_PD 0x4000
#define NESTED_GDT 0x5000
#define NESTED_IDT 0x6000
#define NESTED_STACK_END 0x8000
#define NESTED_HSAVE 0x8000
#define NESTED_TSS 0x9000

/* In the exchange page: L2's registers in the encoding's order, what went wrong, and the script. */
#define NESTED_REGS 0x000
#define NESTED_FAULT 0x080	/* vector + 1 of an exception in L1; 0: none */
#define NESTED_SAVED 0x088	/* L1's own, while L2 runs */
#define NESTED_SCRIPT 0x100	/* three words each: what, and its operands */
#define NESTED_STEP_BYTES 24
#define NESTED_MAX_STEPS 128

/* L1 tells by an OUT of one byte that the script is done, or that it had an exception. */
#define NESTED_PORT_DONE 0xe0
#define NESTED_PORT_FAULT 0xe1
#define NESTED_IRQ_VECTOR 0x20

/* Steps of a script */
#define NESTED_STEP_END 0
#define NESTED_STEP_VMRUN 1	/* VMLOAD, L2's registers, VMRUN with RAX = the first operand */
#define NESTED_STEP_STGI 2
#define NESTED_STEP_CLGI 3
#define NESTED_STEP_VMLOAD 4	/* RAX */
#define NESTED_STEP_VMSAVE 5	/* RAX */
#define NESTED_STEP_INVLPGA 6	/* RAX, ECX */
#define NESTED_STEP_FLUSH 7	/* of all translations of L1 */
#define NESTED_STEP_DRAIN 8	/* pending interrupts come, once */
#define NESTED_STEP_WRITE 9	/* of RCX to the world's address RAX */

#endif

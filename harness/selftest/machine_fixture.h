/* SPDX-License-Identifier: MIT */
/*
 * A machine of one CPU with 2 MiB of RAM, page tables, descriptor tables and one handler for all exceptions, for
 * tests that run a few instructions on it.
 */
#ifndef VMASSAY_MACHINE_FIXTURE_H
#define VMASSAY_MACHINE_FIXTURE_H

#include <stdint.h>

#include "machine/cpu.h"
#include "machine/machine.h"
#include "vm/x86/bits.h"

#define FIXTURE_RAM_BYTES 0x200000u

/* Physical, and linear where nothing else is mapped */
#define PML4_GPA 0x1000u
#define PDPT_GPA 0x2000u
#define PD_GPA 0x3000u	/* entry 0: all of the RAM; 1: the page table */
#define PT_GPA 0x4000u
#define GDT_GPA 0x5000u
#define IDT_GPA 0x6000u
#define TSS_GPA 0x7000u
#define STACK_GPA 0x9000u	/* RSP begins here, downwards */
#define STACK0_GPA 0xa000u	/* the TSS's for privilege 0 */
#define IST_GPA 0xb000u
#define CODE_GPA 0x10000u
#define HANDLER_GPA 0x20000u	/* HLT at HANDLER_GPA + 16 * vector */
#define DATA_GPA 0x40000u
#define PT_LINEAR 0x200000ull	/* what PD entry 1 maps, by PT_GPA */

/* Selectors */
#define CODE64_SEL 0x08
#define DATA_SEL 0x10
#define CODE32_SEL 0x18
#define USER_CODE64_SEL 0x23
#define USER_DATA_SEL 0x2b
#define CODE16_SEL 0x30
#define TSS_SEL 0x40

struct fixture {
	struct machine *machine;
	struct cpu *cpu;
	uint8_t *ram;
};

void fixture_open(struct fixture *fixture);
void fixture_close(struct fixture *fixture);

void fixture_put(struct fixture *fixture, uint64_t gpa, uint64_t value, unsigned int len_bytes);
uint64_t fixture_get(const struct fixture *fixture, uint64_t gpa, unsigned int len_bytes);
/* Code goes to CODE_GPA, and RIP there. */
void fixture_load(struct fixture *fixture, const uint8_t *code, const uint8_t *end);
/* Maps the 4 KiB at PT_LINEAR + @index * 4096. */
void fixture_map(struct fixture *fixture, unsigned int index, uint64_t entry);

/* 64-bit mode at CPL 0, with all tables; the LMA and CPL of the others likewise. */
void fixture_enter_long64(struct fixture *fixture);
void fixture_enter_prot32(struct fixture *fixture);

/* Instructions at file level: NAME to NAME_end in .rodata. */
#define MACHINE_CODE(name, text)						\
	extern const uint8_t name[], name##_end[];				\
	__asm__(".pushsection .rodata\n" #name ":\n" text "\n" #name "_end:\n.code64\n.popsection\n")

#endif

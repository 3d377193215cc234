/* SPDX-License-Identifier: MIT */
/* Near branches: within the code segment that CS has; and what all far returns do. */
#ifndef VMASSAY_MACHINE_BRANCH_H
#define VMASSAY_MACHINE_BRANCH_H

#include "machine/cpu.h"

/* The instruction's next RIP; #GP(0) beyond the limit or when not canonical. @size_bytes is the operand size. */
void branch_near(struct cpu *cpu, uint64_t target, unsigned int size_bytes);
/* Raises what that would, for what must be known before a push. */
void branch_check(struct cpu *cpu, uint64_t target);

/* CS of a far return or IRET, and RIP's check against it: the selector's RPL is the privilege that is returned to. */
void return_load_code(struct cpu *cpu, uint16_t selector, uint64_t rip);
/* Then SS of the stack there. 64-bit code inside of privilege 3 may have none. */
void return_load_stack(struct cpu *cpu, uint16_t selector);

#endif

/* SPDX-License-Identifier: MIT */
/* Near branches: within the code segment that CS has. */
#ifndef VMASSAY_MACHINE_BRANCH_H
#define VMASSAY_MACHINE_BRANCH_H

#include "machine/cpu.h"

/* The instruction's next RIP; #GP(0) beyond the limit or when not canonical. @size_bytes is the operand size. */
void branch_near(struct cpu *cpu, uint64_t target, unsigned int size_bytes);
/* Raises what that would, for what must be known before a push. */
void branch_check(struct cpu *cpu, uint64_t target);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Control registers, EFER and model-specific registers: what may be written, and what a write does (APM vol. 2,
 * 3.1, 3.2 and 5.5.3). Each raises #GP(0) for what is not allowed and changes nothing then.
 */
#ifndef VMASSAY_MACHINE_CONTROL_H
#define VMASSAY_MACHINE_CONTROL_H

#include <stdint.h>

#include "machine/cpu.h"

/* What MOV raises before a register's intercept: #GP for CPL, #UD for a register that there is not. */
void control_check_number(struct cpu *cpu, unsigned int number);
void control_check_write(struct cpu *cpu, unsigned int number, uint64_t value);
/* The same for a debug register, with #DB for DR7.GD; returns its number, of DR4 and DR5 the one that they are. */
unsigned int control_check_debug(struct cpu *cpu, unsigned int number);

void control_write_cr0(struct cpu *cpu, uint64_t value);
void control_write_cr3(struct cpu *cpu, uint64_t value);
void control_write_cr4(struct cpu *cpu, uint64_t value);
void control_write_cr8(struct cpu *cpu, uint64_t value);

uint64_t msr_read(struct cpu *cpu, uint32_t msr);
void msr_write(struct cpu *cpu, uint32_t msr, uint64_t value);

#endif

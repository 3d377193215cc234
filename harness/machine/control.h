/* SPDX-License-Identifier: MIT */
/*
 * Control registers, EFER and model-specific registers: what may be written, and what a write does (APM vol. 2,
 * 3.1, 3.2 and 5.5.3). Each raises #GP(0) for what is not allowed and changes nothing then.
 */
#ifndef VMASSAY_MACHINE_CONTROL_H
#define VMASSAY_MACHINE_CONTROL_H

#include <stdint.h>

#include "machine/cpu.h"

void control_write_cr0(struct cpu *cpu, uint64_t value);
void control_write_cr3(struct cpu *cpu, uint64_t value);
void control_write_cr4(struct cpu *cpu, uint64_t value);
void control_write_cr8(struct cpu *cpu, uint64_t value);

uint64_t msr_read(struct cpu *cpu, uint32_t msr);
void msr_write(struct cpu *cpu, uint32_t msr, uint64_t value);

#endif

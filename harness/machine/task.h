/* SPDX-License-Identifier: MIT */
/* Hardware task switches, which long mode does not have (APM vol. 2, chapter 12). */
#ifndef VMASSAY_MACHINE_TASK_H
#define VMASSAY_MACHINE_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/cpu.h"

enum task_cause { TASK_JMP, TASK_CALL, TASK_IRET, TASK_EVENT };

/*
 * Switches to the task of a TSS selector that the caller found in a descriptor, a gate or a back link. The next
 * instruction of the task that is left is @next_rip. On return cpu->rip and regs[REG_NEXT_RIP] are the new task's.
 */
void task_switch(struct cpu *cpu, uint16_t selector, enum task_cause cause, uint64_t next_rip);
/* For an event through a task gate: the error code is pushed on the new task's stack. */
void task_switch_event(struct cpu *cpu, uint16_t selector, uint64_t rip, bool has_error, uint32_t error);

#endif

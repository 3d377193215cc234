/* SPDX-License-Identifier: MIT */
/*
 * Exceptions and interrupts: raising and delivering them (APM vol. 2, chapter 8).
 *
 * What an instruction finds wrong leaves it by a jump out of the handler: cpu_raise() does not return. So a handler
 * reads as the manual's pseudo-code does, on condition that it changes nothing before the last thing that can
 * fault.
 */
#ifndef VMASSAY_MACHINE_EVENT_H
#define VMASSAY_MACHINE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/cpu.h"

/* Values of the jump out of a handler. */
enum escape { ESCAPE_NONE, ESCAPE_FAULT, ESCAPE_UNIMPLEMENTED, ESCAPE_VMEXIT, ESCAPE_PUT_BACK };

_Noreturn void cpu_escape(struct cpu *cpu, enum escape escape);

/* A fault without an error code: #UD, #DE, #NM, #BR, #MF, #XF. */
_Noreturn void cpu_raise(struct cpu *cpu, unsigned int vector);
_Noreturn void cpu_raise_error(struct cpu *cpu, unsigned int vector, uint32_t error);
_Noreturn void cpu_raise_page_fault(struct cpu *cpu, uint64_t address, uint32_t error);
/* What INT n, INT3 and INTO do. */
_Noreturn void cpu_raise_software(struct cpu *cpu, unsigned int vector);
/* The instruction cannot be executed as the manual says; @what must live. machine_run() returns it. */
_Noreturn void cpu_unimplemented(struct cpu *cpu, const char *what);

/* The class of an exception that is delivered, or met while another is. */
enum delivery event_class(unsigned int vector);

enum event_source {
	EVENT_FAULT,		/* an exception; RIP is the instruction's */
	EVENT_INJECTED,		/* one that a hypervisor injects: RFLAGS are pushed as they are, RF as well */
	EVENT_SOFTWARE,		/* INT n, INT3, INTO: DPL is checked; RIP is behind it */
	EVENT_EXTERNAL,		/* an interrupt or NMI */
};

/*
 * Delivers the event through the IDT, from cpu->rip. May raise: the caller combines the faults (double, triple).
 * @has_error is false for software and external events.
 */
void event_deliver(struct cpu *cpu, enum event_source source, unsigned int vector, bool has_error, uint32_t error);

#endif

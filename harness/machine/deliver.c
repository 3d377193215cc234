/* SPDX-License-Identifier: MIT */
#include "machine/event.h"

void event_deliver(struct cpu *cpu, enum event_source source, unsigned int vector, bool has_error, uint32_t error)
{
	(void)source; (void)vector; (void)has_error; (void)error;
	cpu_unimplemented(cpu, "delivery");
}

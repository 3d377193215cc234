/* SPDX-License-Identifier: MIT */
/*
 * One small world in which an instance (instance.h) runs to its end by itself: page tables, a GDT, an IDT whose
 * handlers are HLTs, a TSS, code that is INT3 but for the instruction. Whoever has RAM at physical address 0 and a CPU
 * in the state of world_enter() can run it, the machine and KVM alike, at CPL 0 and 3, in 64-bit and in 32-bit code.
 *
 * The end is the HLT of a handler: that of #BP behind the instruction or where it went to, or of what it raised. The
 * frame on the handler's stack, in memory as all the rest, says where that was.
 */
#ifndef VMASSAY_DIFFER_WORLD_H
#define VMASSAY_DIFFER_WORLD_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "differ/instance.h"

#define WORLD_BYTES 0x10000u
#define WORLD_PREFIX_BYTES 5	/* of what asks KVM's emulator for the instruction behind it; the CPU starts behind it */

enum world_end {
	WORLD_HALTED,
	WORLD_SHUT_DOWN,
	WORLD_LOST,		/* it did not end, or in no such way; nothing of it is compared */
};

struct world_outcome {
	enum world_end end;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	const uint8_t *memory;	/* WORLD_BYTES, of whoever ran it */
	const char *missing;	/* what the machine says that it does not have, or NULL */
};

/* What the memory holds before any instance. */
void world_fill(uint8_t *memory);
/* Writes an instance over it, and over what the one before left. @fresh is what world_fill() made. */
void world_put(uint8_t *memory, const uint8_t *fresh, const struct instance *instance);
/* The state of an instance at @cpl; what is not named in it (APIC base, interrupts) is as @sregs has it. */
void world_enter(struct kvm_sregs *sregs, struct kvm_regs *regs, const struct instance *instance, unsigned int cpl);

/* What a port has for whoever reads it. */
uint32_t world_port(uint16_t port);

/*
 * Writes what differs in two outcomes of one instance, one line each, and returns true when something does. Flags of
 * @undefined, which the instruction leaves open, do not count, neither in RFLAGS nor in the frame.
 */
bool world_differs(const struct world_outcome *want, const struct world_outcome *got, uint64_t undefined, char *buf,
		   size_t len_bytes);

/* The world on the machine, with as much of @cpuid as the machine has. NULL: out of memory. */
struct world_machine;
struct world_machine *world_machine_new(const struct kvm_cpuid2 *cpuid);
void world_machine_free(struct world_machine *world);	/* NULL is fine */
/* The outcome's memory is the world's, and as it says until the next run. */
void world_machine_run(struct world_machine *world, const struct instance *instance, unsigned int cpl,
		       struct world_outcome *outcome);

#endif

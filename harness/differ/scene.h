/* SPDX-License-Identifier: MIT */
/*
 * Random instances of what only a supervisor may do, or what faults: a scene is one instruction in any mode of the CPU,
 * at CPL 0 or 3, with tables, gates, segments and control registers about which it can go wrong. Like instance.h's world,
 * a scene ends by itself: every vector's handler is a HLT, INT3 surrounds the instruction, and the frame on the handler's
 * stack says what happened. Unlike there, the mode is part of it, and all of its memory lies below 64 KiB.
 *
 * A scene is a function of (form's name or none, mode, CPL, seed, index), so that a difference can be replayed alone.
 */
#ifndef VMASSAY_DIFFER_SCENE_H
#define VMASSAY_DIFFER_SCENE_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "differ/world.h"

enum scene_mode {
	SCENE_REAL,
	SCENE_VM86,
	SCENE_PROT16,
	SCENE_PROT32,	/* with no paging, two levels or PAE */
	SCENE_COMPAT16,
	SCENE_COMPAT32,
	SCENE_LONG64,
	NR_SCENE_MODES,
};

/* MSRs that belong to the outcome; KVM_GET_MSRS has them all. */
enum {
	SCENE_STAR, SCENE_LSTAR, SCENE_CSTAR, SCENE_SFMASK, SCENE_KERNEL_GS_BASE, SCENE_SYSENTER_CS, SCENE_SYSENTER_ESP,
	SCENE_SYSENTER_EIP, SCENE_PAT, NR_SCENE_MSRS,
};
extern const uint32_t scene_msr_numbers[NR_SCENE_MSRS];

/* What a CPU writes to on its own: page tables, the first of them the root, and the GDT. */
#define SCENE_TABLES_AT 0x1000u
#define SCENE_GDT_AT 0x5000u
#define SCENE_GDT_BYTES 0x200u

/* All of the x87's and SSE's state that is not zero. */
#define SCENE_FCW 0x37f
#define SCENE_MXCSR 0x1f80

struct scene {
	const char *name;	/* of its form */
	enum scene_mode mode;
	unsigned int cpl;	/* 0 in real mode, 3 in virtual-8086 mode */
	uint8_t code[16];
	unsigned int len;
	bool has_lock;
	bool has_address;	/* it reads or writes memory by a segment, or branches */
	struct kvm_regs regs;
	struct kvm_sregs sregs;	/* what a scene does not say (APIC base, interrupts) is zero */
	uint64_t dr[4], dr6, dr7;
	uint64_t msrs[NR_SCENE_MSRS];
	uint8_t memory[WORLD_BYTES];
};

struct scene_outcome {
	enum world_end end;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	uint64_t dr[4], dr6, dr7;
	uint64_t msrs[NR_SCENE_MSRS];
	const uint8_t *memory;	/* WORLD_BYTES, of whoever ran it */
	const char *missing;	/* what the machine says that it does not have, or NULL */
	bool is_outside;	/* it met memory that is not the scene's: nothing of it is compared */
};

/* "real", "vm86", ... */
const char *scene_mode_name(enum scene_mode mode);
/* False: no form has the name @only_form; NULL: any form. */
bool scene_make(struct scene *scene, enum scene_mode mode, unsigned int cpl, uint64_t seed, uint64_t index,
		const char *only_form);

/*
 * Writes what differs in two outcomes of one scene, one line each, and returns true when something does. What no manual
 * says is not compared.
 */
bool scene_differs(const struct scene *scene, const struct scene_outcome *want, const struct scene_outcome *got, char *buf,
		   size_t len_bytes);
/* Which handler was the end; what ended otherwise has a number above 255 or means nothing. */
unsigned int scene_vector(const struct scene_outcome *outcome);

/* The scene on the machine; the outcome's memory is as it says until the next run. */
void world_machine_run_scene(struct world_machine *world, const struct scene *scene, struct scene_outcome *outcome);
/* What CPUID answers there, for KVM_SET_CPUID2; free() it. NULL: out of memory. */
struct kvm_cpuid2 *world_machine_cpuid(const struct world_machine *world);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * All that KVM knows of a VM and its vCPUs, as one value: saved, put into another VM that has the same slots and
 * devices and is fresh, and compared. What user space keeps in kvm_run (CR8 without a local APIC in KVM) goes along.
 *
 * KVM_RUN must have completed every exit (kvm_run.immediate_exit) when a VM is saved, and none of its vCPUs may run.
 *
 * The order in which the parts are put in is the API's: CPUID before what it permits; the APIC base and EFER before the
 * local APIC and the nested state; the feature MSRs before the nested state, all others after the local APIC (its timer
 * mode decides what IA32_TSC_DEADLINE means); events after the MSRs (SMBASE) and behind all that would queue one.
 *
 * Source: KVM API, the KVM_GET_X and KVM_SET_X of each part; KVM_RUN on pending operations.
 */
#ifndef VMASSAY_X86_VM_STATE_H
#define VMASSAY_X86_VM_STATE_H

#include <stdbool.h>
#include <stddef.h>

#include "vm/vm.h"

/* Bits; a part that the VM does not have (no PIT, no nested virtualisation) is empty. */
enum vm_part {
	PART_MEMORY = 1 << 0,	/* of the slots that vm_slot_add() made */
	PART_PIC = 1 << 1,
	PART_IOAPIC = 1 << 2,
	PART_PIT = 1 << 3,
	PART_CLOCK = 1 << 4,

	/* Of each vCPU. */
	PART_CPUID = 1 << 5,
	PART_TSC_KHZ = 1 << 6,
	PART_SREGS = 1 << 7,
	PART_PDPTRS = 1 << 8,	/* what SREGS2 has and SREGS has not */
	PART_LAPIC = 1 << 9,
	PART_NESTED = 1 << 10,
	PART_REGS = 1 << 11,
	PART_XSAVE = 1 << 12,
	PART_XCRS = 1 << 13,
	PART_MSRS = 1 << 14,
	PART_EVENTS = 1 << 15,
	PART_MP_STATE = 1 << 16,
	PART_DEBUGREGS = 1 << 17,

	/* For comparisons only. */
	PART_CR2 = 1 << 18,	/* of SREGS */
	PART_PPR = 1 << 19,	/* of LAPIC */
};

#define NR_PARTS 20
#define ALL_PARTS ((1u << NR_PARTS) - 1)

/* "MEMORY", ...; @part is one bit. */
const char *vm_part_name(enum vm_part part);

struct vm_state;

/* All of it must succeed. The caller frees it. */
struct vm_state *vm_state_save(struct vm *vm);
void vm_state_free(struct vm_state *state);

/*
 * Puts @parts of @state into @vm, which has as many vCPUs. Returns 0, or the first refusal's errno, negative, with @text
 * saying of what; what comes behind it is not put in then.
 */
int vm_state_restore_try(struct vm *vm, const struct vm_state *state, unsigned int parts, char *text, size_t len_bytes);

/*
 * True when both agree in @parts. Otherwise false, and @text says what the first difference is. Left out is what runs
 * on by itself: the TSC, the clock, the current counts of timers.
 */
bool vm_state_equal(const struct vm_state *want, const struct vm_state *got, unsigned int parts, char *text,
		    size_t len_bytes);

#endif

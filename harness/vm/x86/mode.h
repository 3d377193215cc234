/* SPDX-License-Identifier: MIT */
/*
 * Puts a vCPU straight into a mode of guests/abi.h: segments, control registers, EFER, a GDT and page tables in low
 * guest memory. What a guest's own mode switch would take many exits for is state that the API can set.
 */
#ifndef VMASSAY_X86_MODE_H
#define VMASSAY_X86_MODE_H

#include <linux/kvm.h>
#include <stdint.h>

#include "guests/abi.h"
#include "vm/vm.h"

/* "long64" <-> LONG64; mode_from_name() returns -1 for anything else. */
const char *mode_name(unsigned int mode);
int mode_from_name(const char *name);

static inline uint64_t mode_ram_bytes(unsigned int mode)
{
	return mode == REAL16 ? RAM16_BYTES : RAM_BYTES;
}

/* Writes GDT, TSSs and the page tables of @mode into the VM's RAM, which must hold [0, TABLES_END_GPA). */
void mode_write_tables(struct vm *vm, unsigned int mode);

/* The state that vCPU number @index enters the mode with, on top of what KVM_GET_SREGS gave for the rest. */
void mode_sregs(struct kvm_sregs *sregs, unsigned int mode, unsigned int index);

/* Both, and RIP = @entry, RFLAGS = 2, all other registers zero. */
void mode_enter(struct vcpu *vcpu, unsigned int mode, unsigned int index, uint64_t entry);

/* Gives the vCPU all that KVM_GET_SUPPORTED_CPUID offers (asked once for each struct sys). */
void vcpu_set_supported_cpuid(struct vcpu *vcpu);

/* KVM_GET_SUPPORTED_CPUID; the caller frees it. */
int sys_supported_cpuid_try(struct sys *sys, struct kvm_cpuid2 **ret_cpuid);
struct kvm_cpuid2 *sys_supported_cpuid(struct sys *sys);

/* True when the table has the leaf; registers are copied to *@ret_entry (may be NULL). */
int cpuid_find(const struct kvm_cpuid2 *cpuid, uint32_t leaf, uint32_t subleaf, struct kvm_cpuid_entry2 *ret_entry);

#endif

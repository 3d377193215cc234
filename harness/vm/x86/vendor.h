/* SPDX-License-Identifier: MIT */
/* Which of KVM's two x86 modules answers. */
#ifndef VMASSAY_VM_X86_VENDOR_H
#define VMASSAY_VM_X86_VENDOR_H

#include <stdbool.h>

/*
 * "kvm_amd", "kvm_intel", or "unknown" when the kernel has neither. Where it has both, which is the
 * case when they are built in, it is the one that the CPU is for.
 */
const char *vendor_module(void);

struct backend;

/* The module whose part @backend plays: its own word, else the kernel's. */
const char *vendor_of(const struct backend *backend);

/* True when @module is the one of the two that does not answer: what it says of itself is void. */
bool vendor_is_idle(const char *module);

#endif

/* SPDX-License-Identifier: MIT */
/* KVM's nested state of a VMX vCPU as one block of memory: the header, the current VMCS and the linked one. Host only. */
#ifndef CASES_VMX_NESTED_STATE_H
#define CASES_VMX_NESTED_STATE_H

#include <string.h>

#include "cases/nested_state.h"
#include "case.h"

#define NESTED_VMCS_BYTES KVM_STATE_NESTED_VMX_VMCS_SIZE
#define NESTED_STATE_BYTES (sizeof(struct kvm_nested_state) + 2 * NESTED_VMCS_BYTES)

/* KVM_GET_NESTED_STATE; the caller frees it, and may make it as large as NESTED_STATE_BYTES. */
static inline struct kvm_nested_state *nested_state_get(struct test *t)
{
	return nested_state_get_bytes(t, NESTED_STATE_BYTES);
}

#endif

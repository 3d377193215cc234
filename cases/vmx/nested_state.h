/* SPDX-License-Identifier: MIT */
/* KVM's nested state of a VMX vCPU as one block of memory: the header, the current VMCS and the linked one. Host only. */
#ifndef CASES_VMX_NESTED_STATE_H
#define CASES_VMX_NESTED_STATE_H

#include <stdlib.h>
#include <string.h>

#include "case.h"

#define NESTED_VMCS_BYTES KVM_STATE_NESTED_VMX_VMCS_SIZE
#define NESTED_STATE_BYTES (sizeof(struct kvm_nested_state) + 2 * NESTED_VMCS_BYTES)

/* KVM_GET_NESTED_STATE; the caller frees it, and may make it as large as NESTED_STATE_BYTES. */
static inline struct kvm_nested_state *nested_state_get(struct test *t)
{
	struct kvm_nested_state *state = calloc(1, NESTED_STATE_BYTES);

	state->size = NESTED_STATE_BYTES;
	vcpu_ioctl(t->vcpu, KVM_GET_NESTED_STATE, state);
	return state;
}

/* The vCPU has left user space's part of an exit behind: what the last OUT had still to do is done. */
static inline void vcpu_settle(struct test *t)
{
	t->vcpu->run->immediate_exit = 1;
	expect_run_error(t, EINTR);
	t->vcpu->run->immediate_exit = 0;
}

#endif

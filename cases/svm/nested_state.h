/* SPDX-License-Identifier: MIT */
/* KVM's nested state of an SVM vCPU as one block of memory: the header and a VMCB. Host only. */
#ifndef CASES_SVM_NESTED_STATE_H
#define CASES_SVM_NESTED_STATE_H

#include "vm/x86/vmcb.h"
#include "cases/nested_state.h"
#include "case.h"

#define NESTED_STATE_BYTES (sizeof(struct kvm_nested_state) + KVM_STATE_NESTED_SVM_VMCB_SIZE)

/* The controls of L2 and the state of L1, in the layout of a VMCB. */
static inline struct vmcb *nested_state_vmcb(struct kvm_nested_state *state)
{
	return (struct vmcb *)state->data.svm[0].vmcb12;
}

/* KVM_GET_NESTED_STATE; the caller frees it. Out of L2 the VMCB is zero. */
static inline struct kvm_nested_state *nested_state_get(struct test *t)
{
	return nested_state_get_bytes(t, NESTED_STATE_BYTES);
}

#endif

/* SPDX-License-Identifier: MIT */
/* KVM's nested state of an SVM vCPU as one block of memory: the header and a VMCB. Host only. */
#ifndef CASES_SVM_NESTED_STATE_H
#define CASES_SVM_NESTED_STATE_H

#include <stdlib.h>

#include "vm/x86/vmcb.h"
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

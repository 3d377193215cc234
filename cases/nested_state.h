/* SPDX-License-Identifier: MIT */
/* KVM's nested state as one block of memory, of either vendor. Host only. */
#ifndef CASES_NESTED_STATE_H
#define CASES_NESTED_STATE_H

#include <stdlib.h>

#include "case.h"

/* KVM_GET_NESTED_STATE into @len_bytes; the caller frees it. What KVM does not write is zero. */
static inline struct kvm_nested_state *nested_state_get_bytes(struct test *t, size_t len_bytes)
{
	struct kvm_nested_state *state = calloc(1, len_bytes);

	state->size = len_bytes;
	vcpu_ioctl(t->vcpu, KVM_GET_NESTED_STATE, state);
	return state;
}

#endif

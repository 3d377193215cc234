/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's state as one value: what a refused call must leave as it was, compared whole.
 */
#ifndef VMASSAY_VCPU_STATE_H
#define VMASSAY_VCPU_STATE_H

#include "case.h"

struct vcpu_state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_debugregs debugregs;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp_state;
	struct kvm_xcrs xcrs;
	struct kvm_xsave xsave;
};

static inline void vcpu_events_get(struct vcpu *vcpu, struct kvm_vcpu_events *events)
{
	*events = (struct kvm_vcpu_events){ 0 };
	vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, events);
	/* Meaningful with its flag only. */
	if (!(events->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT))
		events->triple_fault.pending = 0;
}

static inline void vcpu_state_get(struct vcpu *vcpu, struct vcpu_state *state)
{
	memset(state, 0, sizeof(*state));
	vcpu_ioctl(vcpu, KVM_GET_REGS, &state->regs);
	vcpu_ioctl(vcpu, KVM_GET_SREGS, &state->sregs);
	vcpu_ioctl(vcpu, KVM_GET_DEBUGREGS, &state->debugregs);
	vcpu_events_get(vcpu, &state->events);
	vcpu_ioctl(vcpu, KVM_GET_MP_STATE, &state->mp_state);
	vcpu_ioctl(vcpu, KVM_GET_XCRS, &state->xcrs);
	vcpu_ioctl(vcpu, KVM_GET_XSAVE, &state->xsave);
}

/* The vCPU's state is @want in every field. */
static inline void expect_vcpu_state(struct test *t, struct vcpu *vcpu, const struct vcpu_state *want)
{
	struct vcpu_state got;

	vcpu_state_get(vcpu, &got);
	expect_regs(t, &want->regs, &got.regs);
	expect_sregs(t, &want->sregs, &got.sregs);
	expect_bytes(t, &want->debugregs, &got.debugregs, sizeof(got.debugregs));
	expect_bytes(t, &want->events, &got.events, sizeof(got.events));
	expect_eq(t, want->mp_state.mp_state, got.mp_state.mp_state);
	expect_bytes(t, &want->xcrs, &got.xcrs, sizeof(got.xcrs));
	expect_bytes(t, &want->xsave, &got.xsave, sizeof(got.xsave));
}

/* One MSR through the API; the result is the number read or written: 1, or 0 when refused. */
struct one_msr {
	struct kvm_msrs header;
	struct kvm_msr_entry entry;
};

static inline long msr_get_try(struct vcpu *vcpu, uint32_t index, uint64_t *ret_value)
{
	struct one_msr one = { .header.nmsrs = 1, .entry.index = index };
	long r = vcpu_ioctl_try(vcpu, KVM_GET_MSRS, &one.header);

	*ret_value = one.entry.data;
	return r;
}

static inline long msr_set_try(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
	struct one_msr one = { .header.nmsrs = 1, .entry = { .index = index, .data = value } };

	return vcpu_ioctl_try(vcpu, KVM_SET_MSRS, &one.header);
}

#endif

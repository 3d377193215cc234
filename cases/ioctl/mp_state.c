/* SPDX-License-Identifier: MIT */
/*
 * KVM_SET_MP_STATE: which states there are with and without an in-kernel local APIC, and what KVM_RUN does in them.
 *
 * Can break: a state accepted that needs the APIC, an unknown one, a refused one that is stored.
 * Source: KVM API, 4.38 and 4.39 (KVM_GET_MP_STATE, KVM_SET_MP_STATE).
 */
#include "case.h"

struct row {
	ROW_FIELDS;
	uint32_t state;
	bool is_good, is_good_irqchip;
};

static const struct row rows[] = {
	{ .label = "runnable", .state = KVM_MP_STATE_RUNNABLE, .is_good = true, .is_good_irqchip = true },
	{ .label = "uninitialized", .state = KVM_MP_STATE_UNINITIALIZED, .is_good_irqchip = true },
	{ .label = "init_received", .state = KVM_MP_STATE_INIT_RECEIVED, .is_good_irqchip = true },
	{ .label = "halted", .state = KVM_MP_STATE_HALTED, .is_good_irqchip = true },
	{ .label = "ap_reset_hold", .state = KVM_MP_STATE_AP_RESET_HOLD, .is_good_irqchip = true },
	{ .label = "stopped", .state = KVM_MP_STATE_STOPPED },
	{ .label = "check_stop", .state = KVM_MP_STATE_CHECK_STOP },
	{ .label = "operating", .state = KVM_MP_STATE_OPERATING },
	{ .label = "load", .state = KVM_MP_STATE_LOAD },
	{ .label = "10", .state = 10 },
	{ .label = "all_ones", .state = ~0u },
};

CASE(mp_state, .says = "a vCPU takes the states it can be in", .modes = NO_GUEST, .rows = ROWS(rows))

static void check_state(struct test *t, struct vcpu *vcpu, uint32_t state, bool is_good)
{
	struct kvm_mp_state set = { state }, got = { 0xa5 }, runnable = { KVM_MP_STATE_RUNNABLE };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		expect_result(t, is_good ? 0 : -EINVAL, vcpu_ioctl_try(vcpu, KVM_SET_MP_STATE, &set));
		vcpu_ioctl(vcpu, KVM_GET_MP_STATE, &got);
		expect_eq(t, is_good ? state : KVM_MP_STATE_RUNNABLE, got.mp_state);
	}
	vcpu_ioctl(vcpu, KVM_SET_MP_STATE, &runnable);
	vcpu_ioctl(vcpu, KVM_GET_MP_STATE, &got);
	expect_eq(t, KVM_MP_STATE_RUNNABLE, got.mp_state);
}

HOST(mp_state)
{
	const struct row *row = ROW(t, rows);
	struct vm *vm = test_vm(t);
	struct vcpu *vcpu;

	check_state(t, t->vcpu, row->state, row->is_good);
	vm_ioctl_value(vm, KVM_CREATE_IRQCHIP, 0);
	vcpu = vcpu_create(vm, 0);
	check_state(t, vcpu, row->state, row->is_good_irqchip);
}

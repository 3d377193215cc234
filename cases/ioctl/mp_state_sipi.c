/* SPDX-License-Identifier: MIT */
/*
 * KVM_MP_STATE_SIPI_RECEIVED is a vCPU that has had INIT and a start-up IPI: it starts where the events' SIPI vector says,
 * in real mode. Without that state, the vector is kept alone.
 *
 * Can break: the IPI not set pending, the vector not taken from the events or taken without its flag.
 * Source: KVM API, 4.32 (KVM_VCPUEVENT_VALID_SIPI_VECTOR), 4.38, 4.39; SDM vol. 3A, 8.4.2 and 10.4.7.3 (start-up IPI).
 */
#include "case.h"

#include "cases/ioctl/vcpu_state.h"

struct row {
	ROW_FIELDS;
	bool is_valid;		/* KVM_VCPUEVENT_VALID_SIPI_VECTOR */
	uint16_t selector;
};

static const struct row rows[] = {
	{ .label = "vector", .is_valid = true, .selector = 0x9a00 },
	{ .label = "vector_without_flag", .selector = 0 },
};

CASE(mp_state_sipi, .says = "a vCPU set to have had a start-up IPI starts at its vector", .modes = NO_GUEST,
     .irqchip = true, .shadow_too = true, .rows = ROWS(rows))

HOST(mp_state_sipi)
{
	const struct row *row = ROW(t, rows);
	struct kvm_mp_state state = { KVM_MP_STATE_SIPI_RECEIVED };
	struct vcpu *vcpu = vcpu_create(t->vm, 1);
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	vcpu_events_get(vcpu, &events);
	expect_eq(t, 0, events.sipi_vector);
	events.flags = row->is_valid ? KVM_VCPUEVENT_VALID_SIPI_VECTOR : 0;
	events.sipi_vector = 0x9a;
	vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, &events);
	vcpu_ioctl(vcpu, KVM_SET_MP_STATE, &state);
	vcpu_ioctl(vcpu, KVM_GET_MP_STATE, &state);
	expect_eq(t, KVM_MP_STATE_RUNNABLE, state.mp_state);
	vcpu_ioctl(vcpu, KVM_GET_SREGS, &sregs);
	expect_eq(t, row->selector, sregs.cs.selector);
	expect_eq(t, (uint64_t)row->selector << 4, sregs.cs.base);
	expect_eq(t, 0, sregs.cr0 & X86_CR0_PE);
	vcpu_ioctl(vcpu, KVM_GET_REGS, &regs);
	expect_eq(t, 0, regs.rip);
}

/* SPDX-License-Identifier: MIT */
/*
 * An interrupt whose descriptor table is not in memory cannot be delivered: KVM_RUN ends with KVM_EXIT_INTERNAL_ERROR,
 * KVM_INTERNAL_ERROR_DELIVERY_EV, as often as it is tried. The interrupt is still there, the guest has not moved, and
 * with the table where it was the guest takes the interrupt once.
 *
 * Can break: the event lost or delivered twice, an instruction of the guest carried out instead, an endless loop in the
 * kernel.
 * Source: linux/kvm.h (KVM_INTERNAL_ERROR_DELIVERY_EV: an unexpected VM exit due to the delivery of an event); KVM API,
 * "The kvm_run structure"; SDM vol. 3C, 27.2.4 (information for VM exits during event delivery).
 */
#include "case.h"

#define VECTOR 0x20

CASE(delivery_failure, .says = "an event that cannot be delivered is an error that keeps the event", .modes = LONG64,
     .needs = "vendor:intel param:kvm_intel.ept=1")

static unsigned int nr_taken;

static void on_interrupt(struct guest_regs *regs)
{
	(void)regs;
	nr_taken++;
}

GUEST(delivery_failure)
{
	guest_handle(VECTOR, on_interrupt);
	sti();
	guest_sync(1);
	__asm__ volatile("nop\n\tnop\n\tnop" : : : "memory");
	guest_sync(2);
	CHECK_EQ(1, nr_taken);
}

static void idt_move(struct test *t, uint64_t base)
{
	struct kvm_sregs sregs;

	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	sregs.idt.base = base;
	vcpu_ioctl(t->vcpu, KVM_SET_SREGS, &sregs);
}

static void expect_failure(struct test *t)
{
	const struct kvm_run *run = t->vcpu->run;
	struct kvm_vcpu_events events;

	require_result(t, 0, vcpu_run_try(t->vcpu));
	require_eq(t, KVM_EXIT_INTERNAL_ERROR, run->exit_reason);
	require_eq(t, KVM_INTERNAL_ERROR_DELIVERY_EV, run->internal.suberror);
	expect_true(t, run->internal.ndata > 0 && run->internal.ndata <= 16);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, 1, events.interrupt.injected);
	expect_eq(t, VECTOR, events.interrupt.nr);
	expect_eq(t, 0, events.exception.injected | events.exception.pending);
}

HOST(delivery_failure)
{
	struct kvm_interrupt interrupt = { .irq = VECTOR };
	struct kvm_sregs sregs;
	struct kvm_regs before, after;

	require_sync(t, 1);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	idt_move(t, test_mmio_gpa(t));
	vcpu_ioctl(t->vcpu, KVM_INTERRUPT, &interrupt);
	expect_failure(t);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &before);
	expect_failure(t);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &after);
	expect_regs(t, &before, &after);
	idt_move(t, sregs.idt.base);
	expect_sync(t, 2);
	expect_done(t);
}

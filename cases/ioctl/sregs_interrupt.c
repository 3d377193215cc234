/* SPDX-License-Identifier: MIT */
/*
 * The interrupt bitmap of KVM_SET_SREGS makes its vector pending, as KVM_INTERRUPT does: read back by KVM_GET_SREGS and
 * KVM_GET_VCPU_EVENTS, delivered once at the next entry. (User space sees to it that IF is 1.)
 *
 * Can break: the word or bit of the vector, the first or the last vector, several bits, delivery twice.
 * Source: KVM API, 4.13 and 4.14: interrupt_bitmap is a bitmap of pending external interrupts, at most one bit set.
 */
#include "case.h"

struct row {
	ROW_FIELDS;
	unsigned int vector;
};

static const struct row rows[] = {
	{ .label = "vector_32", .vector = 32 },
	{ .label = "vector_63", .vector = 63 },
	{ .label = "vector_64", .vector = 64 },
	{ .label = "vector_127", .vector = 127 },
	{ .label = "vector_128", .vector = 128 },
	{ .label = "vector_255", .vector = 255 },
};

CASE(sregs_interrupt, .says = "interrupt_bitmap is the pending interrupt", .modes = PROT32 | LONG64,
     .rows = ROWS(rows))

static volatile unsigned int nr_taken, taken_vector;

static void __attribute__((unused)) on_interrupt(struct guest_regs *regs)
{
	nr_taken++;
	taken_vector = regs->vector;
}

GUEST(sregs_interrupt)
{
	unsigned int vector;

	for (vector = 32; vector < 256; vector++)
		guest_handle(vector, on_interrupt);
	sti();
	guest_sync(1);
	cli();
	CHECK_EQ(1, nr_taken);
	CHECK_EQ(GUEST_ROW(rows)->vector, taken_vector);
	sti_nop_cli();
	CHECK_EQ(1, nr_taken);
}

HOST(sregs_interrupt)
{
	unsigned int vector = ROW(t, rows)->vector;
	struct kvm_sregs sregs, got;
	struct kvm_vcpu_events events;

	require_sync(t, 1);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	expect_eq(t, 0, sregs.interrupt_bitmap[vector / 64]);
	sregs.interrupt_bitmap[vector / 64] = 1ull << vector % 64;
	vcpu_ioctl(t->vcpu, KVM_SET_SREGS, &sregs);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &got);
	expect_sregs(t, &sregs, &got);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, 1, events.interrupt.injected);
	expect_eq(t, vector, events.interrupt.nr);
	expect_eq(t, 0, events.interrupt.soft);
	expect_done(t);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &got);
	expect_eq(t, 0, got.interrupt_bitmap[vector / 64]);
}

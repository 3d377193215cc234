/* SPDX-License-Identifier: MIT */
/*
 * State that goes in and out through kvm_run: special registers and events as kvm_dirty_regs names them are set before the
 * entry or refuse it, events as kvm_valid_regs asks are stored at the exit, and CR8 is kvm_run's without a local APIC in
 * the kernel. With immediate_exit, state goes both ways and no instruction runs.
 *
 * Can break: a bit that moves another state than it names or is not cleared, a refused state that goes in all the same,
 * an illegal CR8 that the entry takes.
 * Source: KVM API, 5 (kvm_valid_regs, kvm_dirty_regs, cr8, immediate_exit), KVM_CAP_SYNC_REGS.
 */
#include "case.h"

#include "cases/ioctl/vcpu_state.h"

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static void run_nothing(struct test *t)
{
	t->vcpu->run->immediate_exit = 1;
	expect_run_error(t, EINTR);
	t->vcpu->run->immediate_exit = 0;
}

static void host_events_out(struct test *t)
{
	struct kvm_vcpu_events events, *synced = &t->vcpu->run->s.regs.events;

	vcpu_events_get(t->vcpu, &events);
	events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
	events.nmi.pending = 1;
	events.interrupt.shadow = KVM_X86_SHADOW_INT_STI;
	vcpu_ioctl(t->vcpu, KVM_SET_VCPU_EVENTS, &events);
	memset(synced, 0x5a, sizeof(*synced));
	run_nothing(t);
	expect_eq(t, 0x5a, synced->nmi.pending);
	t->vcpu->run->kvm_valid_regs = KVM_SYNC_X86_EVENTS;
	run_nothing(t);
	vcpu_events_get(t->vcpu, &events);
	expect_eq(t, 1, events.nmi.pending);
	if (!(synced->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT))
		synced->triple_fault.pending = 0;
	expect_bytes(t, &events, synced, sizeof(events));
}

static void host_events_in(struct test *t)
{
	struct kvm_vcpu_events events, *synced = &t->vcpu->run->s.regs.events;

	vcpu_events_get(t->vcpu, synced);
	synced->flags = KVM_VCPUEVENT_VALID_NMI_PENDING;
	synced->nmi.pending = 1;
	run_nothing(t);
	vcpu_events_get(t->vcpu, &events);
	expect_eq(t, 0, events.nmi.pending);
	t->vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_EVENTS;
	run_nothing(t);
	expect_eq(t, 0, t->vcpu->run->kvm_dirty_regs);
	vcpu_events_get(t->vcpu, &events);
	expect_eq(t, 1, events.nmi.pending);
}

static void host_events_refused(struct test *t)
{
	struct kvm_vcpu_events *synced = &t->vcpu->run->s.regs.events;
	struct vcpu_state before;

	run_nothing(t);		/* the first entry loads the FPU, which XSTATE_BV tells */
	vcpu_state_get(t->vcpu, &before);
	*synced = before.events;
	synced->flags = ~0u;
	synced->nmi.masked = 1;
	t->vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_EVENTS;
	expect_run_error(t, EINVAL);
	expect_vcpu_state(t, t->vcpu, &before);
}

static void host_sregs_in(struct test *t)
{
	struct kvm_sregs *synced = &t->vcpu->run->s.regs.sregs, want, got;

	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, synced);
	synced->cr2 = 0x123456;
	synced->fs.base = 0x70000;
	want = *synced;
	t->vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_SREGS;
	run_nothing(t);
	expect_eq(t, 0, t->vcpu->run->kvm_dirty_regs);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &got);
	expect_sregs(t, &want, &got);
}

static void host_sregs_refused(struct test *t)
{
	struct kvm_sregs *synced = &t->vcpu->run->s.regs.sregs;
	struct vcpu_state before;

	run_nothing(t);		/* the first entry loads the FPU, which XSTATE_BV tells */
	vcpu_state_get(t->vcpu, &before);
	*synced = before.sregs;
	synced->cr2 = 0x123456;
	synced->cr4 |= 1ull << 31;
	t->vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_SREGS;
	expect_run_error(t, EINVAL);
	expect_vcpu_state(t, t->vcpu, &before);
}

static void host_cr8(struct test *t)
{
	struct kvm_sregs sregs;

	t->vcpu->run->cr8 = 15;
	run_nothing(t);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	expect_eq(t, 15, sregs.cr8);
	t->vcpu->run->cr8 = 16;
	expect_run_error(t, EINVAL);
	t->vcpu->run->cr8 = 1ull << 63;
	expect_run_error(t, EINVAL);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	expect_eq(t, 15, sregs.cr8);
}

static const struct row rows[] = {
	{ .label = "events_out", .host = host_events_out },
	{ .label = "events_in", .host = host_events_in },
	{ .label = "events_refused", .host = host_events_refused },
	{ .label = "sregs_in", .host = host_sregs_in },
	{ .label = "sregs_refused", .host = host_sregs_refused },
	{ .label = "cr8", .host = host_cr8 },
};

CASE(sync_regs, .says = "kvm_run takes and gives the state that its bits name", .modes = NO_GUEST,
     .needs = "KVM_CAP_SYNC_REGS&7 KVM_CAP_IMMEDIATE_EXIT", .rows = ROWS(rows))

HOST(sync_regs)
{
	ROW(t, rows)->host(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * An exception that user space makes pending, with its payload, is delivered as if it had just been raised: a #DB sets
 * the bits of DR6 that its payload says and clears DR7.GD, so that its handler may look at the debug registers; another
 * exception does neither; a fault pushes RFLAGS.RF, a #DB and a trap do not.
 *
 * Can break: the payload delivered early, late, twice or inverted, DR7.GD kept for a #DB or lost for another, RF of the
 * wrong class.
 * Source: KVM API, 4.31, 4.32 (KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS), KVM_CAP_EXCEPTION_PAYLOAD; SDM vol. 3B, 17.2.3
 * (DR6), 17.2.4 (DR7.GD: cleared upon entering the handler), 17.3.1.1 (RF).
 */
#include "case.h"

#define DR6_NONE 0xffff0ff0u
#define DR6_B0 (1u << 0)
#define DR6_BD (1u << 13)
#define DR6_BS (1u << 14)
#define DR6_BT (1u << 15)
#define DR7_NONE 0x400u
#define DR7_GD (1u << 13)

struct row {
	ROW_FIELDS;
	uint8_t vector;
	uint64_t payload;	/* 0: none */
	uint64_t dr6, dr7;	/* before */
	uint64_t want_dr6, want_dr7;
	bool has_rf;
};

static const struct row rows[] = {
	{ .label = "db_step", .vector = DB_VECTOR, .payload = DR6_BS, .dr6 = DR6_NONE, .dr7 = DR7_NONE,
	  .want_dr6 = DR6_NONE | DR6_BS, .want_dr7 = DR7_NONE },
	{ .label = "db_breakpoint", .vector = DB_VECTOR, .payload = DR6_B0, .dr6 = DR6_NONE, .dr7 = DR7_NONE,
	  .want_dr6 = DR6_NONE | DR6_B0, .want_dr7 = DR7_NONE },
	/* B0 to B3 are of this exception only, the other bits stay until the handler clears them. */
	{ .label = "db_step_again", .vector = DB_VECTOR, .payload = DR6_BS, .dr6 = DR6_NONE | DR6_BT | 0xf,
	  .dr7 = DR7_NONE, .want_dr6 = DR6_NONE | DR6_BT | DR6_BS, .want_dr7 = DR7_NONE },
	{ .label = "db_detect", .vector = DB_VECTOR, .payload = DR6_BD, .dr6 = DR6_NONE, .dr7 = DR7_NONE | DR7_GD,
	  .want_dr6 = DR6_NONE | DR6_BD, .want_dr7 = DR7_NONE },
	{ .label = "db_step_detect", .vector = DB_VECTOR, .payload = DR6_BS, .dr6 = DR6_NONE, .dr7 = DR7_NONE | DR7_GD,
	  .want_dr6 = DR6_NONE | DR6_BS, .want_dr7 = DR7_NONE },
	{ .label = "db_no_payload", .vector = DB_VECTOR, .dr6 = DR6_NONE | DR6_BT, .dr7 = DR7_NONE | DR7_GD,
	  .want_dr6 = DR6_NONE | DR6_BT, .want_dr7 = DR7_NONE },
	{ .label = "ud_detect", .vector = UD_VECTOR, .dr6 = DR6_NONE, .dr7 = DR7_NONE | DR7_GD, .want_dr6 = DR6_NONE,
	  .want_dr7 = DR7_NONE | DR7_GD, .has_rf = true },
	{ .label = "of", .vector = OF_VECTOR, .dr6 = DR6_NONE, .dr7 = DR7_NONE | DR7_GD, .want_dr6 = DR6_NONE,
	  .want_dr7 = DR7_NONE | DR7_GD, .known = { "1207-soft-exception-length-lost", "lab-vmx" } },
};

CASE(pending_exception, .says = "a pending exception has the effects of one that was raised", .modes = LONG64,
     .needs = "KVM_CAP_EXCEPTION_PAYLOAD", .rows = ROWS(rows))

static unsigned int nr_taken;

static void on_exception(struct guest_regs *regs)
{
	nr_taken++;
	CHECK_EQ(GUEST_ROW(rows)->has_rf ? X86_EFLAGS_RF : 0, regs->rflags & X86_EFLAGS_RF);
	guest_sync(2);
}

GUEST(pending_exception)
{
	guest_handle(GUEST_ROW(rows)->vector, on_exception);
	guest_sync(1);
	__asm__ volatile("nop\n\tnop" : : : "memory");
	CHECK_EQ(1, nr_taken);
}

static void put(struct test *t, const struct row *row)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXCEPTION_PAYLOAD, .args[0] = 1 };
	struct kvm_debugregs debugregs;
	struct kvm_vcpu_events events;

	vm_ioctl(t->vm, KVM_ENABLE_CAP, &cap);
	vcpu_ioctl(t->vcpu, KVM_GET_DEBUGREGS, &debugregs);
	debugregs.dr6 = row->dr6;
	debugregs.dr7 = row->dr7;
	vcpu_ioctl(t->vcpu, KVM_SET_DEBUGREGS, &debugregs);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	events.exception.pending = 1;
	events.exception.nr = row->vector;
	events.exception_has_payload = row->payload != 0;
	events.exception_payload = row->payload;
	vcpu_ioctl(t->vcpu, KVM_SET_VCPU_EVENTS, &events);
}

static void expect_debugregs(struct test *t, uint64_t dr6, uint64_t dr7)
{
	struct kvm_debugregs got;

	vcpu_ioctl(t->vcpu, KVM_GET_DEBUGREGS, &got);
	expect_eq(t, dr6, got.dr6);
	expect_eq(t, dr7, got.dr7);
}

HOST(pending_exception)
{
	const struct row *row = ROW(t, rows);
	struct kvm_vcpu_events events;

	require_sync(t, 1);
	/* The OUT that led here is completed; nothing else is done. */
	vcpu_settle(t);
	put(t, row);
	/* Not before it is delivered. */
	expect_debugregs(t, row->dr6, row->dr7);
	expect_sync(t, 2);
	expect_debugregs(t, row->want_dr6, row->want_dr7);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, 0, events.exception.injected | events.exception.pending | events.exception_has_payload);
	expect_done(t);
}

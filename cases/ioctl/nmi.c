/* SPDX-License-Identifier: MIT */
/*
 * KVM_NMI: taken once, whatever RFLAGS.IF says; held back while a handler runs, until its IRET; two while one is being
 * handled are one more, not two; HLT ends.
 *
 * Can break: the mask that IRET lifts, a second pending NMI lost or a third one kept, IF looked at.
 * Source: KVM API, 4.64 (KVM_NMI); APM vol. 2, 8.2.3 (#NMI); SDM vol. 3A, 6.7.1 (handling multiple NMIs).
 */
#include "case.h"
#include "cases/ioctl/vm86.h"

static volatile uint32_t nr_taken, nr_inside, max_inside;

static void __attribute__((unused)) on_nmi(struct guest_regs *regs)
{
	(void)regs;
	nr_inside++;
	if (nr_inside > max_inside)
		max_inside = nr_inside;
	nr_taken++;
	if (nr_taken == 1 && GUEST_ARG(0))
		guest_sync(9);
	nr_inside--;
}

static void guest_once(void)
{
	guest_sync(1);
	CHECK_EQ(1, nr_taken);
	guest_sync(2);
	CHECK_EQ(1, nr_taken);
	sti();
	guest_sync(3);
	CHECK_EQ(2, nr_taken);
	cli();
}

static void nmi(struct test *t)
{
	expect_result(t, 0, vcpu_ioctl_value_try(t->vcpu, KVM_NMI, 0));
}

static void host_once(struct test *t)
{
	require_sync(t, 1);
	nmi(t);
	require_sync(t, 2);
	require_sync(t, 3);
	nmi(t);
	expect_done(t);
}

static void guest_masked(void)
{
	guest_sync(1);
	/* One at the handler's IRET; two of the three in it are kept at most, one of them as pending. */
	CHECK_EQ(2, nr_taken);
	CHECK_EQ(1, max_inside);
}

static void host_masked(struct test *t)
{
	struct kvm_vcpu_events events;

	guest_arg(t, 0, 1);
	require_sync(t, 1);
	nmi(t);
	require_sync(t, 9);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, 1, events.nmi.masked);
	expect_eq(t, 0, events.nmi.pending);
	expect_eq(t, 0, events.nmi.injected);
	nmi(t);
	nmi(t);
	nmi(t);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, 1, events.nmi.masked);
	expect_eq(t, 1, events.nmi.pending);
	expect_done(t);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, 0, events.nmi.masked);
	expect_eq(t, 0, events.nmi.pending);
}

static void guest_hlt(void)
{
	hlt();
	CHECK_EQ(1, nr_taken);
	hlt();
	CHECK_EQ(2, nr_taken);
}

static void host_hlt(struct test *t)
{
	expect_hlt(t);
	nmi(t);
	expect_hlt(t);
	nmi(t);
	expect_done(t);
}

/* Set by KVM_SET_VCPU_EVENTS as pending, and as masked. */
static void guest_events(void)
{
	guest_sync(1);
	CHECK_EQ(1, nr_taken);
	guest_sync(2);
	CHECK_EQ(1, nr_taken);
	guest_sync(3);
	CHECK_EQ(2, nr_taken);
}

static void host_events(struct test *t)
{
	struct kvm_vcpu_events events;

	require_sync(t, 1);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	events.nmi.pending = 1;
	vcpu_ioctl(t->vcpu, KVM_SET_VCPU_EVENTS, &events);
	require_sync(t, 2);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, 0, events.nmi.pending);
	events.nmi.pending = 1;
	events.nmi.masked = 1;
	vcpu_ioctl(t->vcpu, KVM_SET_VCPU_EVENTS, &events);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, 1, events.nmi.pending);
	expect_eq(t, 1, events.nmi.masked);
	require_sync(t, 3);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, 1, events.nmi.pending);
	events.nmi.masked = 0;
	events.flags &= ~KVM_VCPUEVENT_VALID_NMI_PENDING;
	events.nmi.pending = 0;		/* not valid: the one pending stays */
	vcpu_ioctl(t->vcpu, KVM_SET_VCPU_EVENTS, &events);
	expect_done(t);
}

/* --- behind MOV SS it waits for one instruction, and no longer --- */

static volatile ulong_t taken_at;

static void __attribute__((unused)) on_shadowed(struct guest_regs *regs)
{
	nr_taken++;
	taken_at = regs->rip;
}

/* No exit comes while it waits. */
static void guest_shadow(void)
{
	ulong_t left = 1000000;

	guest_handle(NMI_VECTOR, on_shadowed);
	__asm__ volatile("outb %%al, $0x80\n\tnop\n\tnop\n1:\tdec %0\n\tjz 2f\n\tcmpl $0, %1\n\tje 1b\n2:"
			 : "+r"(left) : "m"(nr_taken), "a"(0) : "memory", "cc");
	CHECK_EQ(1, nr_taken);
	CHECK_EQ(GUEST_ARG(0), taken_at);
}

static void host_shadow(struct test *t)
{
	struct kvm_vcpu_events events;
	struct kvm_regs regs;

	require_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 0);
	vcpu_settle(t);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &regs);
	guest_arg(t, 0, regs.rip + 1);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
	events.nmi.pending = 1;
	events.interrupt.shadow = KVM_X86_SHADOW_INT_MOV_SS;
	vcpu_ioctl(t->vcpu, KVM_SET_VCPU_EVENTS, &events);
	expect_done(t);
}

struct row {
	ROW_FIELDS;
	void (*guest)(void);
	void (*host)(struct test *t);
};

static const struct known vm86_unmasked = { VM86_KNOWN("4852-real-mode-nmi-does-not-mask") };

static const struct row rows[] = {
	{ .label = "once", .guest = guest_once, .host = ON_HOST(host_once) },
#define STEP_KNOWN .finding = "0506-bochs-svm-single-step", .targets = "lab-svm-bochs"
	{ .label = "masked", .modes = PROT32 | LONG64, .guest = guest_masked, .host = ON_HOST(host_masked),
	  .known = { STEP_KNOWN } },
	{ .label = "masked", .modes = REAL16, .guest = guest_masked, .host = ON_HOST(host_masked),
	  .known = { STEP_KNOWN, .next = &vm86_unmasked } },
	{ .label = "hlt", .guest = guest_hlt, .host = ON_HOST(host_hlt) },
	{ .label = "events", .guest = guest_events, .host = ON_HOST(host_events) },
	{ .label = "shadow", .guest = guest_shadow, .host = ON_HOST(host_shadow) },
};

CASE(nmi, .says = "an NMI is taken once and masks the next until IRET", .modes = REAL16 | PROT32 | LONG64,
     .needs = "KVM_CAP_USER_NMI", .shadow_too = true, .rows = ROWS(rows))

GUEST(nmi)
{
	guest_handle(NMI_VECTOR, on_nmi);
	GUEST_ROW(rows)->guest();
}

HOST(nmi)
{
	ROW(t, rows)->host(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * An event that KVM_RUN is about to inject when a signal calls it off is not lost and not doubled: it is still there
 * for KVM_GET_VCPU_EVENTS, after one KVM_RUN called off and after another, and the guest takes it once.
 *
 * Can break: what was put into the entry and not taken back out of it; an error code or a soft interrupt's length that
 * is lost on the way back; an NMI that is pending and injected.
 * Source: KVM API, KVM_RUN (EINTR), KVM_INTERRUPT, KVM_NMI, KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS.
 */
#include "cases/ioctl/run_mask.h"

#define VECTOR 0x41
#define ERROR_CODE 0x1230

static void inject_interrupt(struct test *t);
static void inject_nmi(struct test *t);
static void inject_fault(struct test *t);
static void inject_fault_16(struct test *t);

struct row {
	ROW_FIELDS;
	void (*inject)(struct test *t);
	uint8_t vector;
	uint32_t error_code;
};

static const struct row rows[] = {
	{ .label = "interrupt", .inject = ON_HOST(inject_interrupt), .vector = VECTOR },
	{ .label = "nmi", .inject = ON_HOST(inject_nmi), .vector = NMI_VECTOR },
	{ .label = "fault", .modes = PROT32 | LONG64, .inject = ON_HOST(inject_fault), .vector = GP_VECTOR,
	  .error_code = ERROR_CODE },
	{ .label = "fault_16", .modes = REAL16, .inject = ON_HOST(inject_fault_16), .vector = UD_VECTOR },
};

CASE(run_eintr_event, .says = "an event whose injection is called off by a signal is taken once, later",
     .modes = REAL16 | PROT32 | LONG64, .rows = ROWS(rows))

static volatile uint32_t nr_taken, error_taken;

static void __attribute__((unused)) on_event(struct guest_regs *regs)
{
	nr_taken++;
	error_taken = regs->error_code;
}

GUEST(run_eintr_event)
{
	const struct row *row = GUEST_ROW(rows);

	guest_handle(row->vector, on_event);
	sti();
	guest_sync(1);
	CHECK_EQ(1, nr_taken);
	CHECK_EQ(row->error_code, error_taken);
	guest_sync(2);
	CHECK_EQ(1, nr_taken);
}

static void inject_interrupt(struct test *t)
{
	const struct kvm_interrupt irq = { .irq = VECTOR };

	vcpu_ioctl(t->vcpu, KVM_INTERRUPT, &irq);
}

static void inject_nmi(struct test *t)
{
	expect_result(t, 0, vcpu_ioctl_value_try(t->vcpu, KVM_NMI, 0));
}

static void exception_set(struct test *t, uint8_t nr, bool has_error_code)
{
	struct kvm_vcpu_events events;

	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	events.exception.injected = 1;
	events.exception.nr = nr;
	events.exception.has_error_code = has_error_code;
	events.exception.error_code = has_error_code ? ERROR_CODE : 0;
	vcpu_ioctl(t->vcpu, KVM_SET_VCPU_EVENTS, &events);
}

static void inject_fault(struct test *t)
{
	exception_set(t, GP_VECTOR, true);
}

/* Real mode has no error codes. */
static void inject_fault_16(struct test *t)
{
	exception_set(t, UD_VECTOR, false);
}

static void on_signal(int number)
{
	(void)number;
}

/* Whether an NMI counts as injected already is KVM's own affair. */
static void expect_events(struct test *t, const struct kvm_vcpu_events *want)
{
	struct kvm_vcpu_events got;

	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &got);
	expect_eq(t, want->nmi.pending, got.nmi.pending + got.nmi.injected);
	expect_eq(t, want->interrupt.injected, got.interrupt.injected);
	if (want->interrupt.injected) {
		expect_eq(t, want->interrupt.nr, got.interrupt.nr);
		expect_eq(t, 0, got.interrupt.soft);
	}
	expect_eq(t, want->exception.injected, got.exception.injected);
	if (want->exception.injected) {
		expect_eq(t, want->exception.nr, got.exception.nr);
		expect_eq(t, want->exception.has_error_code, got.exception.has_error_code);
		expect_eq(t, want->exception.error_code, got.exception.error_code);
	}
}

HOST(run_eintr_event)
{
	const struct row *row = ROW(t, rows);
	struct kvm_vcpu_events events;
	struct kvm_regs before, after;

	require_sync(t, 1);
	vcpu_settle(t);
	row->inject(t);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &before);
	run_signal_raise(t, on_signal);
	expect_run_error(t, EINTR);
	expect_events(t, &events);
	expect_run_error(t, EINTR);
	expect_events(t, &events);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &after);
	expect_regs(t, &before, &after);
	run_signal_hold(t);
	require_sync(t, 2);
	expect_events(t, &(const struct kvm_vcpu_events){ 0 });
	expect_done(t);
}

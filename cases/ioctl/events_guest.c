/* SPDX-License-Identifier: MIT */
/*
 * An exception or an interrupt put into KVM_SET_VCPU_EVENTS is delivered to the guest at its next instruction, with its
 * vector, error code, return address and flags, once. A payload becomes CR2.
 *
 * Can break: the error code pushed or not, a fault taken for a trap, delivery twice, CR2 or the payload lost.
 * Source: KVM API, 4.32 (KVM_SET_VCPU_EVENTS), KVM_CAP_EXCEPTION_PAYLOAD; APM vol. 2, 8.2, 8.7.3, 8.9.3.
 */
#include "case.h"

#define SOFT_VECTOR 0x61

struct row {
	ROW_FIELDS;
	uint8_t vector;
	bool has_error_code;
	uint32_t error_code;
	bool is_interrupt, is_pending;
	bool is_soft;		/* of the INT n that RIP is at: the frame returns behind it */
	bool is_at_mmio;	/* put in at an exit for MMIO, not for OUT */
	uint64_t payload;
};

static const struct row rows[] = {
	{ .label = "de", .vector = DE_VECTOR },
	{ .label = "ud", .vector = UD_VECTOR },
	{ .label = "nm", .vector = NM_VECTOR },
	{ .label = "ts", .vector = TS_VECTOR, .has_error_code = true, .error_code = 0x58 },
	{ .label = "np", .vector = NP_VECTOR, .has_error_code = true, .error_code = 0x10 },
	{ .label = "ss", .vector = SS_VECTOR, .has_error_code = true },
	{ .label = "gp", .vector = GP_VECTOR, .has_error_code = true, .error_code = 0xfff8 },
	{ .label = "pf", .vector = PF_VECTOR, .has_error_code = true, .error_code = 6 },
	{ .label = "mf", .vector = MF_VECTOR },
	{ .label = "ac", .vector = AC_VECTOR, .has_error_code = true },
	{ .label = "pending_ud", .vector = UD_VECTOR, .is_pending = true },
	{ .label = "pending_gp", .vector = GP_VECTOR, .has_error_code = true, .error_code = 0x123, .is_pending = true },
	{ .label = "pending_pf", .vector = PF_VECTOR, .has_error_code = true, .error_code = 2, .is_pending = true,
	  .payload = 0x12345678 },
	{ .label = "interrupt_32", .vector = 32, .is_interrupt = true },
	{ .label = "interrupt_200", .vector = 200, .is_interrupt = true },
	/* On Intel KVM knows the instruction's length only from the exit that it broke off in: no state of user space's. */
	{ .label = "interrupt_soft", .vector = SOFT_VECTOR, .is_interrupt = true, .is_soft = true, .is_at_mmio = true,
	  .needs = "vendor:amd", .known = { "1012-bochs-soft-event-ignores-nrip", "lab-svm-bochs" } },
	{ .label = "interrupt_soft_at_out", .vector = SOFT_VECTOR, .is_interrupt = true, .is_soft = true,
	  .needs = "vendor:amd", .known = { .finding = "2401-soft-interrupt-at-io-exit" } },
};

CASE(events_guest, .says = "an event put in is delivered with its frame", .modes = PROT32 | LONG64,
     .rows = ROWS(rows))

static volatile uint32_t nr_taken;
static struct guest_regs taken;
static volatile ulong_t taken_cr2;

static void __attribute__((unused)) on_event(struct guest_regs *regs)
{
	nr_taken++;
	taken = *regs;
	taken_cr2 = read_cr2();
}

/* Taken once: not at the INT n, which would be done then, too. */
static void soft_interrupt(bool is_at_mmio)
{
	ulong_t behind;

	guest_handle(SOFT_VECTOR, on_event);
	if (is_at_mmio)
		__asm__ volatile("mov $1f, %0\n\tmovb %%al, (%2)\n\tint %3\n1:\tnop"
				 : "=&r"(behind) : "a"(7), "r"((ulong_t)MMIO_GPA), "i"(SOFT_VECTOR) : "memory");
	else
		__asm__ volatile("mov $1f, %0\n\toutb %%al, $0x80\n\tint %2\n1:\tnop"
				 : "=&r"(behind) : "a"(7), "i"(SOFT_VECTOR) : "memory");
	CHECK_EQ(1, nr_taken);
	CHECK_EQ(SOFT_VECTOR, taken.vector);
	CHECK_EQ(behind, taken.rip);
}

GUEST(events_guest)
{
	const struct row *row = GUEST_ROW(rows);
	ulong_t here;

	if (row->is_soft) {
		soft_interrupt(row->is_at_mmio);
		return;
	}

	write_cr2(0x777000);
	guest_handle(row->vector, on_event);
	__asm__ volatile("sti\n\tnop\n\tmov $1f, %0\n\toutb %%al, $0x80\n1:\tnop\n\tcli"
			 : "=&r"(here) : "a"(7) : "memory");
	CHECK_EQ(1, nr_taken);
	CHECK_EQ(row->vector, taken.vector);
	CHECK_EQ(row->error_code, taken.error_code);
	CHECK_EQ(here, taken.rip);
	CHECK_EQ(X86_EFLAGS_IF | X86_EFLAGS_FIXED, taken.rflags & (X86_EFLAGS_IF | X86_EFLAGS_FIXED | X86_EFLAGS_TF));
	CHECK_EQ(is_long_mode() ? SEL_CODE64 : SEL_CODE32, taken.cs & 0xffff);
	CHECK_CR2(row->payload ? row->payload : 0x777000, taken_cr2);
	sti_nop_cli();
	CHECK_EQ(1, nr_taken);
}

static void events_put(struct test *t, const struct row *row)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXCEPTION_PAYLOAD, .args[0] = 1 };
	struct kvm_vcpu_events events;

	if (row->is_pending)
		vm_ioctl(t->vm, KVM_ENABLE_CAP, &cap);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	if (row->is_interrupt) {
		events.interrupt.injected = 1;
		events.interrupt.nr = row->vector;
		events.interrupt.soft = row->is_soft;
	} else {
		events.exception.injected = !row->is_pending;
		events.exception.pending = row->is_pending;
		events.exception.nr = row->vector;
		events.exception.has_error_code = row->has_error_code;
		events.exception.error_code = row->error_code;
		events.exception_has_payload = row->payload != 0;
		events.exception_payload = row->payload;
	}
	vcpu_ioctl(t->vcpu, KVM_SET_VCPU_EVENTS, &events);
}

HOST(events_guest)
{
	struct kvm_vcpu_events events;

	if (ROW(t, rows)->is_at_mmio)
		require_mmio_write(t, .phys_addr = MMIO_GPA, .len = 1, .data = 7);
	else
		require_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 7);
	events_put(t, ROW(t, rows));
	expect_done(t);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, 0, events.exception.injected);
	expect_eq(t, 0, events.exception.pending);
	expect_eq(t, 0, events.interrupt.injected);
}

/* SPDX-License-Identifier: MIT */
/*
 * KVM_INTERRUPT without an in-kernel interrupt controller: one vector, delivered once, at the point where the guest can
 * take it; user space waits for that point by request_interrupt_window, and struct kvm_run says when it is there.
 *
 * Note, KVM_INTERRUPT itself does not look at RFLAGS.IF: user space must, and these rows do.
 *
 * Can break: the window reported inside the shadow of STI or MOV SS, or with IF = 0; an interrupt lost or given twice;
 * HLT not ended; the vector's limit.
 * Source: KVM API, 4.16 (KVM_INTERRUPT), 5 (request_interrupt_window, ready_for_interrupt_injection, if_flag);
 * APM vol. 2, 15.21.5 (interrupt shadows), APM vol. 3, STI, MOV SS, HLT.
 */
#include "case.h"

static volatile uint32_t nr_taken, taken[8];
static volatile ulong_t taken_flags;

static void __attribute__((unused)) on_interrupt(struct guest_regs *regs)
{
	taken[nr_taken & 7] = regs->vector;
	nr_taken++;
	taken_flags = regs->rflags;
}

static void check_taken(uint32_t nr, uint32_t vector)
{
	CHECK_EQ(nr, nr_taken);
	if (nr)
		CHECK_EQ(vector, taken[nr - 1]);
}

static long interrupt_try(struct test *t, uint32_t vector)
{
	struct kvm_interrupt interrupt = { .irq = vector };

	return vcpu_ioctl_try(t->vcpu, KVM_INTERRUPT, &interrupt);
}

static void expect_run_state(struct test *t, bool ready, bool if_flag)
{
	expect_eq(t, ready, t->vcpu->run->ready_for_interrupt_injection);
	expect_eq(t, if_flag, t->vcpu->run->if_flag);
	expect_eq(t, 0, t->vcpu->run->cr8);
	expect_eq(t, 0, t->vcpu->run->flags);
}

/* --- a vector, with IF = 1 --- */

static void guest_deliver(void)
{
	sti();
	guest_sync(1);
	check_taken(1, 0x20);
	CHECK_EQ(X86_EFLAGS_IF, taken_flags & X86_EFLAGS_IF);
	guest_sync(2);
	check_taken(2, 0xff);
	guest_sync(3);
	check_taken(2, 0xff);
	cli();
}

static void host_deliver(struct test *t)
{
	require_sync(t, 1);
	expect_run_state(t, true, true);
	expect_result(t, 0, interrupt_try(t, 0x20));
	require_sync(t, 2);
	expect_run_state(t, true, true);
	expect_result(t, 0, interrupt_try(t, 0xff));
	require_sync(t, 3);
	expect_done(t);
	expect_run_state(t, false, false);
}

/* --- numbers that are no vectors --- */

static void guest_range(void)
{
	sti();
	guest_sync(1);
	check_taken(0, 0);
	guest_sync(2);
	check_taken(1, 0x21);
	cli();
}

static void host_range(struct test *t)
{
	struct kvm_vcpu_events before, after;

	require_sync(t, 1);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &before);
	expect_errno(t, EINVAL, interrupt_try(t, 256));
	expect_errno(t, EINVAL, interrupt_try(t, 257));
	expect_errno(t, EINVAL, interrupt_try(t, 0x10021));
	expect_errno(t, EINVAL, interrupt_try(t, 0x80000021));
	expect_errno(t, EINVAL, interrupt_try(t, ~0u));
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &after);
	expect_bytes(t, &before.interrupt, &after.interrupt, sizeof(after.interrupt));
	require_sync(t, 2);
	expect_result(t, 0, interrupt_try(t, 0x21));
	expect_done(t);
}

/* --- the window, with IF = 0 at first --- */

static void guest_window(void)
{
	cli();
	guest_sync(1);
	out8(0x80, 1);		/* IF = 0: no window */
	check_taken(0, 0);
	sti_nop_cli();		/* the window, and in it the interrupt */
	check_taken(1, 0x31);
	out8(0x80, 2);
	sti_nop_cli();
	check_taken(1, 0x31);
}

static void host_window(struct test *t)
{
	require_sync(t, 1);
	expect_run_state(t, false, false);
	t->vcpu->run->request_interrupt_window = 1;
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 1);
	expect_run_state(t, false, false);
	expect_irq_window(t);
	expect_run_state(t, true, true);
	t->vcpu->run->request_interrupt_window = 0;
	expect_result(t, 0, interrupt_try(t, 0x31));
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 2);
	expect_run_state(t, false, false);
	expect_done(t);
}

/* --- the window is asked for when it is open already, and taken back --- */

static void guest_window_open(void)
{
	sti();
	guest_sync(1);
	out8(0x80, 1);
	out8(0x80, 2);
	cli();
}

static void host_window_open(struct test *t)
{
	require_sync(t, 1);
	t->vcpu->run->request_interrupt_window = 1;
	expect_irq_window(t);
	expect_run_state(t, true, true);
	expect_irq_window(t);
	t->vcpu->run->request_interrupt_window = 0;
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 1);
	expect_run_state(t, true, true);
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 2);
	expect_done(t);
}

/* --- the shadow: after STI one instruction runs before the window opens --- */

/*
 * Whether to do it again: a host's interrupt in the shadow makes QEMU 7.2 forget it, since VMRUN does not load it again
 * (finding 0111). The host gives it NR_TRIES tries, the last of which has to hold.
 */
enum { AGAIN_PORT = 0x83, NR_TRIES = 8 };

static bool is_again(void)
{
	return in8(AGAIN_PORT);
}

static void answer_again(struct test *t, bool wanted)
{
	expect_pio_in(t, wanted, .port = AGAIN_PORT, .size = 1, .count = 1);
}

static void guest_shadow_sti(void)
{
	do {
		guest_sync(1);
		__asm__ volatile("sti\n\toutb %%al, $0x80\n\toutb %%al, $0x81\n\tcli" : : "a"(3) : "memory");
	} while (is_again());
}

static bool has_shadow(struct test *t)
{
	struct kvm_vcpu_events events;

	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	return events.interrupt.shadow;
}

static void expect_shadow(struct test *t, bool is_shadow)
{
	expect_eq(t, is_shadow, has_shadow(t));
}

static void host_shadow_sti(struct test *t)
{
	static const struct exit_io inside = {
		.direction = KVM_EXIT_IO_OUT, .port = 0x80, .size = 1, .count = 1, .data = 3,
	};
	struct kvm_run *run = t->vcpu->run;
	unsigned int nr_tries = 1;

	for (;; nr_tries++) {
		require_sync(t, 1);
		run->request_interrupt_window = 1;
		expect_result(t, 0, vcpu_run_try(t->vcpu));
		if (run->exit_reason != KVM_EXIT_IRQ_WINDOW_OPEN || nr_tries == NR_TRIES)
			break;
		run->request_interrupt_window = 0;
		expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 3);
		expect_pio_out(t, .port = 0x81, .size = 1, .count = 1, .data = 3);
		answer_again(t, true);
	}
	expect_true(t, exit_is_io(run, &inside));
	expect_irq_window(t);
	expect_run_state(t, true, true);
	expect_shadow(t, false);
	run->request_interrupt_window = 0;
	expect_pio_out(t, .port = 0x81, .size = 1, .count = 1, .data = 3);
	answer_again(t, false);
	expect_done(t);
}

/* --- an exit inside the shadow: not ready although IF = 1, until the instruction is complete --- */

static void guest_inside_sti(void)
{
	uint8_t value;

	do {
		guest_sync(1);
		__asm__ volatile("sti\n\tinb $0x82, %0\n\tcli" : "=a"(value) : : "memory");
		CHECK_EQ(0x69, value);
	} while (is_again());
	check_taken(1, 0x52);
}

static void guest_inside_mov_ss(void)
{
	uint16_t ss;
	uint8_t value;

	do {
		guest_sync(1);
		sti();
		__asm__ volatile("mov %%ss, %1\n\tmov %1, %%ss\n\tinb $0x82, %0\n\tcli"
				 : "=a"(value), "=&r"(ss) : : "memory");
		CHECK_EQ(0x69, value);
	} while (is_again());
	check_taken(1, 0x52);
}

static void host_inside(struct test *t)
{
	unsigned int nr_tries = 1;

	for (;; nr_tries++) {
		require_sync(t, 1);
		expect_run_state(t, false, false);
		expect_shadow(t, false);
		expect_pio_in(t, 0x69, .port = 0x82, .size = 1, .count = 1);
		if (has_shadow(t) || nr_tries == NR_TRIES)
			break;
		answer_again(t, true);
	}
	expect_run_state(t, false, true);
	expect_shadow(t, true);
	t->vcpu->run->request_interrupt_window = 1;
	expect_irq_window(t);
	expect_run_state(t, true, true);
	expect_shadow(t, false);
	t->vcpu->run->request_interrupt_window = 0;
	expect_result(t, 0, interrupt_try(t, 0x52));
	answer_again(t, false);
	expect_done(t);
}

/* --- HLT ends by an interrupt, and the handler returns behind it --- */

static void guest_hlt(void)
{
	__asm__ volatile("sti\n\thlt" : : : "memory");
	check_taken(1, 0x44);
	hlt();
	check_taken(2, 0x45);
	cli();
}

static void host_hlt(struct test *t)
{
	expect_hlt(t);
	expect_run_state(t, true, true);
	expect_result(t, 0, interrupt_try(t, 0x44));
	expect_hlt(t);
	expect_result(t, 0, interrupt_try(t, 0x45));
	expect_done(t);
}

/* --- what is queued can be read, and is taken back by setting the events without it --- */

static void guest_taken_back(void)
{
	sti();
	guest_sync(1);
	check_taken(0, 0);
	cli();
}

static void host_taken_back(struct test *t)
{
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;

	require_sync(t, 1);
	expect_result(t, 0, interrupt_try(t, 0x66));
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, 1, events.interrupt.injected);
	expect_eq(t, 0x66, events.interrupt.nr);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	expect_eq(t, 1ull << (0x66 - 64), sregs.interrupt_bitmap[1]);
	events.interrupt.injected = 0;
	vcpu_ioctl(t->vcpu, KVM_SET_VCPU_EVENTS, &events);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	expect_eq(t, 0, sregs.interrupt_bitmap[1]);
	expect_done(t);
}

/* --- a queued interrupt survives a KVM_RUN that did not enter the guest --- */

static void guest_immediate_exit(void)
{
	sti();
	guest_sync(1);
	check_taken(1, 0x77);
	cli();
}

static void host_immediate_exit(struct test *t)
{
	struct kvm_vcpu_events events;

	require_sync(t, 1);
	/* The OUT completes first. */
	t->vcpu->run->immediate_exit = 1;
	expect_run_error(t, EINTR);
	expect_result(t, 0, interrupt_try(t, 0x77));
	expect_run_error(t, EINTR);
	expect_run_error(t, EINTR);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, 1, events.interrupt.injected);
	t->vcpu->run->immediate_exit = 0;
	expect_done(t);
}

/* --- an NMI beside an interrupt: both, once each --- */

static void guest_nmi_beside(void)
{
	sti();
	guest_sync(1);
	CHECK_EQ(2, nr_taken);
	/* The order is not architectural for a vector that is being delivered already. */
	CHECK(taken[0] != taken[1]);
	CHECK((taken[0] == NMI_VECTOR && taken[1] == 0x55) || (taken[0] == 0x55 && taken[1] == NMI_VECTOR));
	cli();
}

static void host_nmi_beside(struct test *t)
{
	require_sync(t, 1);
	expect_result(t, 0, vcpu_ioctl_value_try(t->vcpu, KVM_NMI, 0));
	expect_result(t, 0, interrupt_try(t, 0x55));
	expect_done(t);
}

struct row {
	ROW_FIELDS;
	void (*guest)(void);
	void (*host)(struct test *t);
};

#define VIRQ_SKIPPED \
	.known = { .finding = "0508-bochs-virq-unseen", .targets = "lab-svm-bochs", .is_skipped = true }

static const struct row rows[] = {
	{ .label = "deliver", .guest = guest_deliver, .host = ON_HOST(host_deliver) },
	{ .label = "range", .guest = guest_range, .host = ON_HOST(host_range) },
	{ .label = "window", .guest = guest_window, .host = ON_HOST(host_window) },
	{ .label = "window_open", .guest = guest_window_open, .host = ON_HOST(host_window_open),
	  VIRQ_SKIPPED },
	{ .label = "shadow_sti", .guest = guest_shadow_sti, .host = ON_HOST(host_shadow_sti),
	  VIRQ_SKIPPED },
	{ .label = "inside_sti", .guest = guest_inside_sti, .host = ON_HOST(host_inside),
	  VIRQ_SKIPPED },
	{ .label = "inside_mov_ss", .guest = guest_inside_mov_ss, .host = ON_HOST(host_inside),
	  VIRQ_SKIPPED },
	{ .label = "hlt", .guest = guest_hlt, .host = ON_HOST(host_hlt) },
	{ .label = "taken_back", .guest = guest_taken_back, .host = ON_HOST(host_taken_back) },
	{ .label = "immediate_exit", .guest = guest_immediate_exit, .host = ON_HOST(host_immediate_exit) },
	{ .label = "nmi_and_interrupt", .guest = guest_nmi_beside, .host = ON_HOST(host_nmi_beside) },
};

CASE(interrupt, .says = "an interrupt from user space is taken once, where the guest can take it",
     .modes = REAL16 | PROT32 | LONG64, .shadow_too = true, .rows = ROWS(rows))

GUEST(interrupt)
{
	unsigned int vector;

	for (vector = 32; vector < 256; vector++)
		guest_handle(vector, on_interrupt);
	guest_handle(NMI_VECTOR, on_interrupt);
	GUEST_ROW(rows)->guest();
}

HOST(interrupt)
{
	ROW(t, rows)->host(t);
}

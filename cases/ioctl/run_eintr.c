/* SPDX-License-Identifier: MIT */
/*
 * KVM_RUN returns EINTR, without an exit and without a guest instruction done, when immediate_exit is set or a signal
 * that it may take is pending; and out of a guest that never exits, when one arrives. The vCPU then goes on as if
 * nothing had been.
 *
 * The mask of KVM_SET_SIGNAL_MASK holds during KVM_RUN only: a signal that the thread blocks but the mask does not ends
 * the run and stays pending.
 *
 * Can break: immediate_exit looked at only after the first entry; the signal taken and lost; the mask not restored.
 * Source: KVM API, KVM_RUN (EINTR), kvm_run.immediate_exit, KVM_SET_SIGNAL_MASK.
 */
#include "cases/ioctl/blob.h"
#include "cases/ioctl/run_mask.h"

#include <sys/time.h>

BLOB(out, "out %al, $0x80")
BLOB(spin, "1: incl (%esi)\n\tjmp 1b")

static void immediate(struct test *t);
static void masked_signal(struct test *t);
static void timer(struct test *t);

static const struct row {
	struct blob_row blob;
	void (*host)(struct test *t);
} rows[] = {
	{ .blob = { .label = "immediate_exit", BLOB_OF(out), .steps = { OUT(0x80, 1, 0xa8) } }, .host = immediate },
	{ .blob = { .label = "signal_mask", BLOB_OF(out), .steps = { OUT(0x80, 1, 0xa8) } }, .host = masked_signal },
	{ .blob = { .label = "timer", BLOB_OF(spin), .flags_in = X86_EFLAGS_IF }, .host = timer },
	{ .blob = { .label = "timer_if_clear", BLOB_OF(spin),
		    .known = { .finding = "0505-bochs-guest-if-holds-back-host", .is_skipped = true,
			       .targets = "@(lab-vmx|lab-svm-bochs)" } }, .host = timer },
};

CASE(run_eintr, .says = "KVM_RUN is ended by a signal or immediate_exit, with the guest's state whole",
     .modes = LONG64, .needs = "KVM_CAP_IMMEDIATE_EXIT", .rows = ROWS(rows), .smp_too = true)

GUEST(run_eintr)
{
}

static void expect_not_run(struct test *t, const struct kvm_regs *start)
{
	struct kvm_regs got;

	expect_run_error(t, EINTR);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	expect_regs(t, start, &got);
}

static void immediate(struct test *t)
{
	const struct row *row = ROW(t, rows);
	struct kvm_regs start;

	blob_enter(t, &row->blob, &start);
	t->vcpu->run->immediate_exit = 1;
	expect_not_run(t, &start);
	expect_not_run(t, &start);
	t->vcpu->run->immediate_exit = 0;
	blob_run(t, &row->blob);
}

static volatile sig_atomic_t nr_signals;

static void on_signal(int number)
{
	(void)number;
	nr_signals++;
}

static void masked_signal(struct test *t)
{
	const struct row *row = ROW(t, rows);
	struct kvm_regs start;

	blob_enter(t, &row->blob, &start);
	run_signal_raise(t, on_signal);
	expect_not_run(t, &start);
	expect_eq(t, KVM_EXIT_INTR, t->vcpu->run->exit_reason);
	expect_eq(t, 0, nr_signals);
	expect_not_run(t, &start);
	run_signal_hold(t);
	blob_run(t, &row->blob);
	expect_eq(t, 0, nr_signals);
	run_signal_block(SIG_UNBLOCK);
	expect_eq(t, 1, nr_signals);
}

static struct kvm_run *timed_run;

/* As the API has it for a signal that comes before the ioctl() does. */
static void on_timer(int number)
{
	on_signal(number);
	timed_run->immediate_exit = 1;
}

/* Runs until the timer's signal comes. */
static void run_for_a_while(struct test *t, int nr_before)
{
	const struct itimerval soon = { .it_value.tv_usec = 20000 };

	timed_run->immediate_exit = 0;
	setitimer(ITIMER_REAL, &soon, NULL);
	expect_run_error(t, EINTR);
	expect_eq(t, nr_before + 1, nr_signals);
}

static void timer(struct test *t)
{
	const struct row *row = ROW(t, rows);
	struct sigaction action = { .sa_handler = on_timer };
	const volatile uint32_t *count;
	struct kvm_regs start, got;
	int i, nr_runs = 0;

	timed_run = t->vcpu->run;
	sigaction(SIGALRM, &action, NULL);
	blob_enter(t, &row->blob, &start);
	count = vm_hva(t->vm, test_scratch_gpa(t) + 0x840, 4);
	for (i = 0; i < 2; i++) {
		uint32_t before = *count;

		/* On a busy machine the signal may come before the guest's first instruction. */
		do
			run_for_a_while(t, nr_runs++);
		while (*count == before && nr_runs < 50);
		expect_true(t, *count != before);
		expect_eq(t, KVM_EXIT_INTR, t->vcpu->run->exit_reason);
		vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
		expect_true(t, got.rip >= start.rip && got.rip < guest_symbol(t, row->blob.blob.end) - 1);
		got.rip = start.rip;
		got.rflags = start.rflags;
		expect_regs(t, &start, &got);
	}
}

HOST(run_eintr)
{
	ROW(t, rows)->host(t);
}

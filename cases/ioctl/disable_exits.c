/* SPDX-License-Identifier: MIT */
/*
 * KVM_CAP_X86_DISABLE_EXITS with HLT: the guest's HLT is the CPU's, which KVM_RUN neither returns from nor counts; an
 * interrupt ends it, and a signal to the thread ends KVM_RUN. Without it, each is an exit.
 *
 * Can break: HLT intercepted all the same, or no more in a VM that did not ask; the guest stuck in it for ever.
 * Source: KVM API, KVM_CAP_X86_DISABLE_EXITS.
 */
#include "cases/ioctl/stats.h"

#include <signal.h>
#include <sys/time.h>

#define NR_TIMES 3

static const struct row {
	ROW_FIELDS;
	uint64_t disabled;
} rows[] = {
	{ .label = "none" },
	{ .label = "hlt", .disabled = KVM_X86_DISABLE_EXITS_HLT },
	{ .label = "pause", .disabled = KVM_X86_DISABLE_EXITS_PAUSE },
	{ .label = "hlt_pause", .disabled = KVM_X86_DISABLE_EXITS_HLT | KVM_X86_DISABLE_EXITS_PAUSE },
};

CASE(disable_exits, .says = "HLT exits unless that is disabled", .modes = LONG64, .manual = true,
     .needs = "KVM_CAP_X86_DISABLE_EXITS&2 KVM_CAP_BINARY_STATS_FD", .rows = ROWS(rows))

static volatile uint32_t nr_nmis;

static void on_nmi(struct guest_regs *regs)
{
	(void)regs;
	nr_nmis++;
}

GUEST(disable_exits)
{
	unsigned int i;

	guest_handle(NMI_VECTOR, on_nmi);
	guest_sync(1);
	for (i = 0; i < NR_TIMES; i++) {
		/*
		 * With IF = 1, so that a CPU that holds back its host's interrupts while it is 0 lets them through. An exit ends
		 * the HLT on AMD, where the VMCB cannot say that the guest is in one.
		 */
		do
			__asm__ volatile("sti\n\tnop\n\thlt\n\tcli" : : : "memory");
		while (nr_nmis == i);
		CHECK_EQ(i + 1, nr_nmis);
	}
	guest_sync(2);
}

static void on_alarm(int number)
{
	(void)number;
}

/* In HLT, as far as the host can tell: until a signal ends the run, the next one where the first came before it. */
static void expect_halted(struct test *t)
{
	const struct itimerval ticks = { .it_value.tv_usec = 50000, .it_interval.tv_usec = 50000 }, none = { 0 };

	setitimer(ITIMER_REAL, &ticks, NULL);
	expect_run_error(t, EINTR);
	setitimer(ITIMER_REAL, &none, NULL);
}

HOST(disable_exits)
{
	const struct row *row = ROW(t, rows);
	struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_DISABLE_EXITS, .args[0] = row->disabled };
	struct sigaction action = { .sa_handler = on_alarm };
	bool exits = !(row->disabled & KVM_X86_DISABLE_EXITS_HLT);
	unsigned int i;

	sigaction(SIGALRM, &action, NULL);
	t->vm = test_vm(t);
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	guest_load(t, t->vm);
	t->vcpu = guest_vcpu(t, t->vm, 0);
	require_sync(t, 1);
	for (i = 0; i < NR_TIMES; i++) {
		if (exits)
			expect_hlt(t);
		else
			expect_halted(t);
		vcpu_ioctl_value(t->vcpu, KVM_NMI, 0);
	}
	require_sync(t, 2);
	expect_eq(t, exits ? NR_TIMES : 0, stat_get(t, t->vcpu->fd, "halt_exits"));
	expect_done(t);
}

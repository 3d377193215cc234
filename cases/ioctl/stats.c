/* SPDX-License-Identifier: MIT */
/*
 * Statistics count what they are named after: a guest does something a known number of times, and of the values that
 * KVM_GET_STATS_FD gives before and behind, that one has gone up by just that number. A descriptor of statistics
 * outlives those of its VM, and keeps it alive.
 *
 * Can break: a counter that another one's event counts up, or nothing; a descriptor's offset that is its neighbour's.
 * Source: KVM API, 4.133 (KVM_GET_STATS_FD). The names are KVM's.
 */
#include "cases/ioctl/run_mask.h"
#include "cases/ioctl/stats.h"

#include <sys/mman.h>

#define NR_TIMES 5

struct row {
	ROW_FIELDS;
	void (*guest)(void);
	void (*host)(struct test *t);
	const char *name;	/* the vCPU's statistic */
	uint64_t delta;
	uint64_t more;		/* how many more may be counted: what happens beside the guest */
};

/* --- the guest's half: between the two stages --- */

static void guest_nothing(void)
{
}

static void guest_outs(void)
{
	unsigned int i;

	for (i = 0; i < NR_TIMES; i++)
		out8(0x80, i);
}

static void guest_mmio(void)
{
	unsigned int i;

	for (i = 0; i < NR_TIMES; i++)
		write32(mmio_base() + 4 * i, i);
}

static void guest_hlts(void)
{
	unsigned int i;

	for (i = 0; i < NR_TIMES; i++)
		hlt();
}

/* KVM_HC_VAPIC_POLL_IRQ does nothing. */
static void guest_hypercalls(void)
{
	unsigned int i;

	for (i = 0; i < NR_TIMES; i++) {
		ulong_t number = 1;

		__asm__ volatile("vmcall" : "+a"(number) : : "memory");
	}
}

static volatile uint32_t nr_taken;

static void on_interrupt(struct guest_regs *regs)
{
	(void)regs;
	nr_taken++;
}

static void guest_waits(void)
{
	guest_handle(0x51, on_interrupt);
	guest_handle(NMI_VECTOR, on_interrupt);
	while (nr_taken < NR_TIMES) {
		out8(0x81, 0);
		sti_nop_cli();
	}
}

static void guest_touches(void)
{
	unsigned int i;

	for (i = 0; i < NR_TIMES; i++)
		write8(scratch_base() + 0x100000 + 4096 * i, 1);
}

/* --- the host's half --- */

static void host_nothing(struct test *t)
{
	(void)t;
}

static void host_outs(struct test *t)
{
	unsigned int i;

	for (i = 0; i < NR_TIMES; i++)
		expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = i);
}

static void host_mmio(struct test *t)
{
	unsigned int i;

	for (i = 0; i < NR_TIMES; i++)
		expect_mmio_write(t, .phys_addr = test_mmio_gpa(t) + 4 * i, .len = 4, .data = i);
}

static void host_hlts(struct test *t)
{
	unsigned int i;

	for (i = 0; i < NR_TIMES; i++)
		expect_hlt(t);
}

static void host_nmis(struct test *t)
{
	unsigned int i;

	for (i = 0; i < NR_TIMES; i++) {
		expect_pio_out(t, .port = 0x81, .size = 1, .count = 1);
		vcpu_ioctl_value(t->vcpu, KVM_NMI, 0);
	}
}

/* The window is closed at the OUT, and opens at the guest's STI. */
static void host_windows(struct test *t)
{
	struct kvm_interrupt interrupt = { .irq = 0x51 };
	unsigned int i;

	for (i = 0; i < NR_TIMES; i++) {
		expect_pio_out(t, .port = 0x81, .size = 1, .count = 1);
		t->vcpu->run->request_interrupt_window = 1;
		expect_irq_window(t);
		t->vcpu->run->request_interrupt_window = 0;
		vcpu_ioctl(t->vcpu, KVM_INTERRUPT, &interrupt);
	}
}

static void on_signal(int number)
{
	(void)number;
}

/* Blocked outside of KVM_RUN: it stays pending, and ends each of them. */
static void host_signals(struct test *t)
{
	unsigned int i;

	run_signal_raise(t, on_signal);
	for (i = 0; i < NR_TIMES; i++)
		expect_run_error(t, EINTR);
	/* Of a run that user space has called off itself, nobody hears. */
	t->vcpu->run->immediate_exit = 1;
	expect_run_error(t, EINTR);
	t->vcpu->run->immediate_exit = 0;
	run_signal_hold(t);
}

/* A stopped vCPU's values stand, and the descriptor is good, also in the hands of another process. */
static void host_last(struct test *t)
{
	uint64_t before = stat_get(t, t->vcpu->fd, "exits"), after = 0;
	struct stat_place place = stat_find(t, t->vcpu->fd, "exits");

	dup2(t->sys->fd, t->vcpu->fd);
	dup2(t->sys->fd, t->vm->fd);
	munmap(t->vcpu->run, t->sys->run_bytes);
	usleep(50000);
	expect_result(t, 8, pread(place.fd, &after, 8, place.at));
	expect_eq(t, before, after);
	expect_true(t, after > 0);
	close(place.fd);
	/* The runner unmaps it once more. */
	t->vcpu->run = mmap(NULL, t->sys->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

#define COUNTED_AS(label_, name_, guest_, host_, delta_)				\
	.label = label_, .name = name_, .guest = guest_, .host = ON_HOST(host_), .delta = delta_
#define COUNTED(name_, guest_, host_, delta_) COUNTED_AS(name_, name_, guest_, host_, delta_)

/* An injection that a host's event calls off before the guest is entered is made, and counted, once more. */
#define MAY_BE_CALLED_OFF .more = NR_TIMES - 1

/* The OUT that says that a stage is over is an I/O exit, too. */
static const struct row rows[] = {
	{ COUNTED("io_exits", guest_outs, host_outs, NR_TIMES + 1) },
	{ COUNTED_AS("io_exits_other", "io_exits", guest_hlts, host_hlts, 1) },
	{ COUNTED("mmio_exits", guest_mmio, host_mmio, NR_TIMES) },
	{ COUNTED_AS("mmio_exits_other", "mmio_exits", guest_outs, host_outs, 0) },
	{ COUNTED("insn_emulation", guest_mmio, host_mmio, NR_TIMES) },
	{ COUNTED("insn_emulation_fail", guest_mmio, host_mmio, 0) },
	{ COUNTED("pf_mmio_spte_created", guest_mmio, host_mmio, 1), .needs = "tdp" },
	{ COUNTED("halt_exits", guest_hlts, host_hlts, NR_TIMES) },
	{ COUNTED_AS("halt_exits_other", "halt_exits", guest_outs, host_outs, 0) },
	{ COUNTED("hypercalls", guest_hypercalls, host_nothing, NR_TIMES) },
	{ COUNTED_AS("hypercalls_other", "hypercalls", guest_outs, host_outs, 0) },
	{ COUNTED("nmi_injections", guest_waits, host_nmis, NR_TIMES), MAY_BE_CALLED_OFF },
	{ COUNTED_AS("nmi_injections_other", "nmi_injections", guest_waits, host_windows, 0) },
	{ COUNTED("irq_injections", guest_waits, host_windows, NR_TIMES), MAY_BE_CALLED_OFF },
	{ COUNTED_AS("irq_injections_other", "irq_injections", guest_waits, host_nmis, 0) },
	{ COUNTED("irq_window_exits", guest_waits, host_windows, NR_TIMES) },
	{ COUNTED("request_irq_exits", guest_waits, host_windows, NR_TIMES) },
	{ COUNTED("signal_exits", guest_nothing, host_signals, NR_TIMES) },
	{ COUNTED_AS("signal_exits_other", "signal_exits", guest_outs, host_outs, 0) },
	{ COUNTED("exits", guest_outs, host_outs, NR_TIMES + 1), .more = 1000 },
	{ COUNTED("pf_taken", guest_touches, host_nothing, 1), .more = 1000 },
	{ COUNTED("pf_fixed", guest_touches, host_nothing, 1), .more = 1000 },
	{ COUNTED("nested_run", guest_outs, host_outs, 0) },
	{ COUNTED("guest_mode", guest_outs, host_outs, 0) },
	{ .label = "last_descriptor", .guest = guest_nothing, .host = ON_HOST(host_last) },
};

CASE(stats, .says = "statistics count what they are named after", .modes = LONG64,
     .needs = "KVM_CAP_BINARY_STATS_FD", .rows = ROWS(rows))

GUEST(stats)
{
	guest_sync(1);
	GUEST_ROW(rows)->guest();
	guest_sync(2);
}

static void host_counted(struct test *t, const struct row *row)
{
	uint64_t before, delta;

	before = stat_get(t, t->vcpu->fd, row->name);
	row->host(t);
	require_sync(t, 2);
	delta = stat_get(t, t->vcpu->fd, row->name) - before;
	expect_done(t);
	if (row->more)
		expect_true(t, delta >= row->delta && delta <= row->delta + row->more);
	else
		expect_eq(t, row->delta, delta);
}

HOST(stats)
{
	const struct row *row = ROW(t, rows);

	require_sync(t, 1);
	if (row->name)
		host_counted(t, row);
	else
		row->host(t);
}

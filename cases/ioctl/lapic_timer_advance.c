/* SPDX-License-Identifier: MIT */
/*
 * KVM lets a TSC-deadline timer fire early by the parameter lapic_timer_advance_ns, to make up for its own delay, and
 * waits for the rest before the guest sees the interrupt: never before the deadline, however early the timer fired.
 *
 * Can break: the wait left out or cut short, -1 (adaptive, from 1000 ns on) taken for a number, 0 that still advances.
 * Source: Linux, arch/x86/kvm/x86.c, the parameter's description; SDM vol. 3A, 11.5.4.1 (TSC-deadline mode).
 */
#include "case.h"

#include <stdio.h>
#include <unistd.h>

#include "cases/ioctl/cpuid_change.h"
#include "cases/ioctl/lapic_regs.h"
#include "cases/ioctl/stats.h"
#include "cases/mmu/host_page.h"

#define MSR_TSC_DEADLINE 0x6e0
#define CPUID_1_ECX_TSC_DEADLINE (1u << 24)
#define VECTOR 0x51
#define TSC_KHZ 0		/* GUEST_ARG() */
#define SLACK_TSC 1		/* the most that an interrupt may be early */
#define NR_ROUNDS 10
#define NR_STEPS 600
#define TUNED_MAX_NS 5000	/* KVM's limit: beyond it, it starts again at 1000 */
#define TUNED_BY_TSC 10000	/* the farthest from the deadline that counts; so much of the wait is lost with the advance */

struct row {
	ROW_FIELDS;
	const char *parameter;
	uint64_t advance_ns;	/* of a new vCPU */
	bool is_tuned;		/* a later vCPU's parameter is -1, which counts for all */
	bool is_descending;	/* the deadlines come closer from round to round */
	uint32_t slack_us;	/* what an adaptive advance can be wrong by: at most 5 us, KVM's own limit for it */
};

static const struct row rows[] = {
	{ .label = "adaptive", .parameter = "-1", .advance_ns = 1000, .slack_us = 10 },
	{ .label = "off", .parameter = "0" },
	{ .label = "fixed", .parameter = "1000000", .advance_ns = 1000000, .slack_us = 10 },
	/* What is adapted is too much at the start. */
	{ .label = "tuned_late", .parameter = "500000", .advance_ns = 500000, .slack_us = 10, .is_tuned = true },
	{ .label = "tuned_early", .parameter = "500000", .advance_ns = 500000, .slack_us = 10, .is_tuned = true,
	  .is_descending = true },
};

CASE(lapic_timer_advance, .says = "a timer that KVM lets fire early interrupts at its deadline", .modes = LONG64,
     .needs = "lab root debugfs KVM_CAP_TSC_DEADLINE_TIMER", .manual = true, .alone = true, .rows = ROWS(rows))

static volatile uint64_t taken_tsc;

static void on_timer(struct guest_regs *regs)
{
	(void)regs;
	taken_tsc = rdtsc();
	write32(APIC_EOI, 0);
}

static void interrupt_await(uint64_t distance)
{
	uint64_t deadline = rdtsc() + distance;

	taken_tsc = 0;
	wrmsr(MSR_TSC_DEADLINE, deadline);
	__asm__ volatile("sti" : : : "memory");
	while (!taken_tsc)
		if (abi_self()->misses_windows)
			sti_nop_cli();
		else
			cpu_relax();
	__asm__ volatile("cli" : : : "memory");
	CHECK(taken_tsc + GUEST_ARG(SLACK_TSC) >= deadline);
	CHECK_EQ(0, rdmsr(MSR_TSC_DEADLINE));
}

/* A little more than the fixed advance; where it is tuned, all that it could be, in steps of half a microsecond. */
GUEST(lapic_timer_advance)
{
	const struct row *row = GUEST_ROW(rows);
	unsigned int i, step;

	guest_handle(VECTOR, on_timer);
	write32(APIC_SVR, SVR_ENABLE | 0xff);
	write32(APIC_LVT_TIMER, LVT_TSC_DEADLINE | VECTOR);
	for (i = 0; !row->is_tuned && i < NR_ROUNDS; i++)
		interrupt_await(GUEST_ARG(TSC_KHZ) * 3);
	for (i = 0; row->is_tuned && i < NR_STEPS; i++) {
		step = row->is_descending ? NR_STEPS - i : i;
		interrupt_await(GUEST_ARG(TSC_KHZ) * step / 2000);
	}
}

/* The vCPU's file in debugfs. */
static uint64_t advance_of(struct test *t)
{
	char path[128];

	snprintf(path, sizeof(path), KVM_FOLDER "/%d-%d/vcpu0/lapic_timer_advance_ns", getpid(), t->vm->fd);
	return file_value(t, path);
}

HOST(lapic_timer_advance)
{
	const struct row *row = ROW(t, rows);
	struct kvm_param param = kvm_param_set(t, "lapic_timer_advance_ns", row->parameter);
	long tsc_khz, slack_tsc;

	t->vm = test_vm(t);
	vm_ioctl_value(t->vm, KVM_CREATE_IRQCHIP, 0);
	guest_load(t, t->vm);
	t->vcpu = guest_vcpu(t, t->vm, 0);
	kvm_param_restore(t, &param);
	if (row->is_tuned) {
		param = kvm_param_set(t, "lapic_timer_advance_ns", "-1");
		guest_vcpu(t, t->vm, 1);
		kvm_param_restore(t, &param);
	}
	cpuid_change(t, 1, (struct cpuid_bits){ .ecx_on = CPUID_1_ECX_TSC_DEADLINE });
	expect_eq(t, row->advance_ns, advance_of(t));
	/* As in lapic_timer: the host's own rate. */
	vcpu_ioctl_value(t->vcpu, KVM_SET_TSC_KHZ, 0);
	tsc_khz = vcpu_ioctl_value(t->vcpu, KVM_GET_TSC_KHZ, 0);
	guest_arg(t, TSC_KHZ, tsc_khz);
	slack_tsc = tsc_khz * row->slack_us / 1000;
	guest_arg(t, SLACK_TSC, row->is_tuned && slack_tsc < TUNED_BY_TSC ? TUNED_BY_TSC : slack_tsc);
	expect_done(t);
	/* Only what is near the deadline is a sample: on a slow machine there may be none. */
	if (row->is_tuned)
		expect_true(t, advance_of(t) <= TUNED_MAX_NS || advance_of(t) == row->advance_ns);
	else if (row->advance_ns != 1000)
		expect_eq(t, row->advance_ns, advance_of(t));
}

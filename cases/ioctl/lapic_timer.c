/* SPDX-License-Identifier: MIT */
/*
 * The local APIC's timer: one-shot, periodic and TSC-deadline. Counts and orders only: that an interrupt comes, once or
 * again, with its vector; that none comes when none may; that the count runs as fast as the divisor says, between
 * bounds that hold however slow the machine is.
 *
 * Can break: one-shot that repeats, periodic that stops, a masked timer that interrupts, a divisor's row, a deadline in
 * the past, the mode's change that leaves the old timer armed.
 * Source: SDM vol. 3A, 11.5.4 (APIC timer), figure 11-10 (divide configuration), 11.5.4.1 (TSC-deadline mode);
 * KVM API, KVM_CAP_TSC_DEADLINE_TIMER. KVM's timer counts nanoseconds at divide by 1.
 */
#include "case.h"

#include <stdlib.h>

#include "cases/ioctl/irq_script.h"
#include "cases/ioctl/lapic_regs.h"

#define MSR_TSC_DEADLINE 0x6e0
#define DIVIDE_BY_1 0xb
#define TSC_KHZ 1		/* GUEST_ARG() */
#define FAR_TICKS 0xffffffffu	/* more than four seconds */
#define NEAR_TICKS 20000
#define MIN_PERIOD_TICKS 200000	/* KVM's lower bound, min_timer_period_us */
#define PERIOD_TICKS 1000000	/* above it */

struct row {
	ROW_FIELDS;
	const struct op *ops;
	bool has_deadline;
	uint32_t divide_configuration, divisor;
};

static const struct row rows[];

static uint64_t ticks_of(uint64_t tsc)
{
	return tsc * 1000000 / GUEST_ARG(TSC_KHZ);
}

/* Long after the timer's period, nothing has come, and the count is at its end. */
static void guest_quiet(void)
{
	unsigned int i;

	for (i = 0; i < 100; i++) {
		CHECK_EQ(0, read32(APIC_TMCCT));
		window_open();
	}
	CHECK_EQ(0, script_take());
}

/* One that came before the timer was stopped. */
static void guest_drain(void)
{
	uint64_t taken;

	window_open();
	taken = script_take();
	CHECK(taken == 0 || taken == 0x51);
	write32(APIC_EOI, 0);
}

static void guest_wait_end(void)
{
	while (read32(APIC_TMCCT))
		cpu_relax();
}

/* Five times, each by the next period; the count is never above its start. */
static void guest_periods(void)
{
	unsigned int i;

	for (i = 0; i < 5; i++) {
		CHECK(read32(APIC_TMCCT) <= PERIOD_TICKS);
		halt_once();
		CHECK_EQ(0x51, script_take());
		write32(APIC_EOI, 0);
	}
}

/*
 * A shorter period than KVM allows (min_timer_period_us) is lengthened to that: it interrupts again and again, and never
 * sooner than the shortest allowed ones would.
 */
static void guest_short_period(void)
{
	uint64_t start = rdtsc();
	unsigned int i;

	write32(APIC_TMICT, 1000);
	for (i = 0; i < 10; i++) {
		halt_once();
		CHECK_EQ(0x51, script_take());
		write32(APIC_EOI, 0);
	}
	CHECK(ticks_of(rdtsc() - start) >= 10 * MIN_PERIOD_TICKS * 9 / 10);
	CHECK_EQ(1000, read32(APIC_TMICT));
	write32(APIC_LVT_TIMER, LVT_MASKED | LVT_PERIODIC | 0x51);
}

/* The entry is read when the count ends, here after the vector was changed; again while the machine was too slow. */
static void guest_vector_late(void)
{
	unsigned int i;

	for (i = 0; i < 50; i++) {
		write32(APIC_LVT_TIMER, 0x51);
		write32(APIC_TMICT, 10000000);
		write32(APIC_LVT_TIMER, 0xe1);
		if (read32(APIC_TMCCT))
			break;
		guest_drain();
	}
	halt_once();
	CHECK_EQ(0xe1, script_take());
}

/*
 * What the count lost in between lies between what the inner and the outer of four TSC readings allow; a tenth is for
 * the clocks' difference. Again while something came between the readings.
 */
static void guest_divide(void)
{
	const struct row *row = GUEST_ROW(rows);
	uint64_t inner, outer, lost;
	unsigned int i;

	write32(APIC_TDCR, row->divide_configuration);
	write32(APIC_TMICT, FAR_TICKS);
	for (i = 0; i < 20; i++) {
		uint64_t tsc[4];
		uint32_t start, end;

		tsc[0] = rdtsc();
		start = read32(APIC_TMCCT);
		tsc[1] = rdtsc();
		while (ticks_of(rdtsc() - tsc[1]) < 1000000)
			cpu_relax();
		tsc[2] = rdtsc();
		end = read32(APIC_TMCCT);
		tsc[3] = rdtsc();
		inner = ticks_of(tsc[2] - tsc[1]);
		outer = ticks_of(tsc[3] - tsc[0]);
		lost = (uint64_t)(start - end) * row->divisor;
		if (outer < inner * 5 / 4)
			break;
	}
	CHECK(lost + row->divisor >= inner - inner / 10);
	CHECK(lost <= outer + outer / 10 + row->divisor);
	write32(APIC_TMICT, 0);
}

/* The divisor changes while it runs: the count goes on, and the timer ends. */
static void guest_divide_changed(void)
{
	uint32_t count;

	write32(APIC_TDCR, 0xa);	/* by 128 */
	write32(APIC_TMICT, 10000000);
	count = read32(APIC_TMCCT);
	CHECK(count > 0 && count <= 10000000);
	write32(APIC_TDCR, DIVIDE_BY_1);
	CHECK(read32(APIC_TMCCT) <= count);
	write32(APIC_TMICT, 0);
}

/* A count goes down, and a read does not change it otherwise. */
static void guest_counts_down(void)
{
	uint32_t last = FAR_TICKS, now;
	unsigned int i;

	write32(APIC_TMICT, FAR_TICKS);
	for (i = 0; i < 10; i++, last = now) {
		now = read32(APIC_TMCCT);
		CHECK(now <= last && now > 0);
	}
	CHECK(last < FAR_TICKS);
	CHECK_EQ(FAR_TICKS, read32(APIC_TMICT));
	write32(APIC_TMICT, FAR_TICKS);
	write32(APIC_TMICT, 0);
	CHECK_EQ(0, read32(APIC_TMCCT));
}

static void guest_deadline_near(void)
{
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + GUEST_ARG(TSC_KHZ) / 10);
	halt_once();
	CHECK_EQ(0x51, script_take());
	CHECK_EQ(0, rdmsr(MSR_TSC_DEADLINE));
	write32(APIC_EOI, 0);
}

/* Not before the deadline; KVM may be early by the advance that it takes off for its own delay (5 us at most). */
static void guest_deadline_not_early(void)
{
	uint64_t deadline = rdtsc() + GUEST_ARG(TSC_KHZ) * 2;

	wrmsr(MSR_TSC_DEADLINE, deadline);
	halt_once();
	CHECK(rdtsc() + GUEST_ARG(TSC_KHZ) / 100 >= deadline);
	CHECK_EQ(0x51, script_take());
}

/*
 * From one that is over to one that is ahead, in small steps, so that it is reached before, in and after KVM's own code:
 * one interrupt each, not early, and disarmed.
 */
static void guest_deadline_sweep(void)
{
	uint64_t deadline, taken;
	unsigned int i;

	for (i = 0; i < 200; i++) {
		deadline = rdtsc() + GUEST_ARG(TSC_KHZ) * i / 2000;
		wrmsr(MSR_TSC_DEADLINE, deadline);
		halt_once();
		taken = rdtsc();
		CHECK(taken + GUEST_ARG(TSC_KHZ) / 100 >= deadline);
		CHECK_EQ(0x51, script_take());
		CHECK_EQ(0, rdmsr(MSR_TSC_DEADLINE));
		write32(APIC_EOI, 0);
	}
}

static void guest_deadline_past(void)
{
	wrmsr(MSR_TSC_DEADLINE, 1);
	window_open();
	CHECK_EQ(0x51, script_take());
	CHECK_EQ(0, rdmsr(MSR_TSC_DEADLINE));
	write32(APIC_EOI, 0);
	window_open();
	CHECK_EQ(0, script_take());
}

static void guest_deadline_far(void)
{
	uint64_t deadline = rdtsc() + GUEST_ARG(TSC_KHZ) * 1000000;

	wrmsr(MSR_TSC_DEADLINE, deadline);
	CHECK_EQ(deadline, rdmsr(MSR_TSC_DEADLINE));
	window_open();
	CHECK_EQ(0, script_take());
	/* Another one in its place, and none. */
	guest_deadline_near();
	wrmsr(MSR_TSC_DEADLINE, deadline);
	wrmsr(MSR_TSC_DEADLINE, 0);
	CHECK_EQ(0, rdmsr(MSR_TSC_DEADLINE));
	window_open();
	CHECK_EQ(0, script_take());
}

#define DEADLINE_ROW .has_deadline = true, .needs = "KVM_CAP_TSC_DEADLINE_TIMER"
#define START LAPIC_ON, WRITE32(APIC_TDCR, DIVIDE_BY_1)
#define DEADLINE LAPIC_ON, WRITE32(APIC_LVT_TIMER, LVT_TSC_DEADLINE | 0x51)
#define DIVIDE(label_, configuration_, divisor_)					\
	{ .label = label_, .divide_configuration = configuration_, .divisor = divisor_,	\
	  .ops = OPS { LAPIC_ON, GUEST_DO(guest_divide), END } }

static const struct row rows[] = {
	{ .label = "oneshot", .ops = OPS {
		START, WRITE32(APIC_LVT_TIMER, 0x51), WRITE32(APIC_TMICT, NEAR_TICKS), HALT(0x51), LAPIC_EOI,
		READ32(APIC_TMICT, NEAR_TICKS), READ32(APIC_LVT_TIMER, 0x51), GUEST_DO(guest_quiet),
		WRITE32(APIC_TMICT, NEAR_TICKS), HALT(0x51), LAPIC_EOI, GUEST_DO(guest_quiet), END } },
	{ .label = "oneshot_restarted", .ops = OPS {
		/* The second start takes the first one's place. */
		START, WRITE32(APIC_LVT_TIMER, 0x51), WRITE32(APIC_TMICT, FAR_TICKS), WRITE32(APIC_TMICT, NEAR_TICKS),
		HALT(0x51),
		LAPIC_EOI, GUEST_DO(guest_quiet), END } },
	{ .label = "oneshot_stopped", .ops = OPS {
		START, WRITE32(APIC_LVT_TIMER, 0x51), WRITE32(APIC_TMICT, 1000000000), WRITE32(APIC_TMICT, 0),
		GUEST_DO(guest_quiet), END } },
	{ .label = "oneshot_vector_late", .ops = OPS { START, GUEST_DO(guest_vector_late), END } },
	{ .label = "periodic", .ops = OPS {
		START, WRITE32(APIC_LVT_TIMER, LVT_PERIODIC | 0x51), WRITE32(APIC_TMICT, PERIOD_TICKS),
		GUEST_DO(guest_periods), END } },
	{ .label = "periodic_stopped", .ops = OPS {
		START, WRITE32(APIC_LVT_TIMER, LVT_PERIODIC | 0x51), WRITE32(APIC_TMICT, PERIOD_TICKS), HALT(0x51),
		/* At most one more was pending. */
		WRITE32(APIC_TMICT, 0), LAPIC_EOI, GUEST_DO(guest_drain), GUEST_DO(guest_quiet), END } },
	{ .label = "periodic_short", .needs = "param:kvm.min_timer_period_us=200", .ops = OPS {
		START, WRITE32(APIC_LVT_TIMER, LVT_PERIODIC | 0x51), GUEST_DO(guest_short_period), END } },
	{ .label = "masked", .ops = OPS {
		START, WRITE32(APIC_LVT_TIMER, LVT_MASKED | 0x51), WRITE32(APIC_TMICT, NEAR_TICKS),
		GUEST_DO(guest_wait_end),
		GUEST_DO(guest_quiet), END } },
	{ .label = "ended_divide_changed", .ops = OPS {
		/* A count that is at its end stays there, whatever it would be divided by. */
		START, WRITE32(APIC_LVT_TIMER, LVT_MASKED | 0x51), WRITE32(APIC_TMICT, NEAR_TICKS),
		GUEST_DO(guest_wait_end), WRITE32(APIC_TDCR, 0xa), GUEST_DO(guest_quiet), WRITE32(APIC_TDCR, 0x0),
		GUEST_DO(guest_quiet), READ32(APIC_TMICT, NEAR_TICKS), END } },
	{ .label = "masked_then_unmasked", .known = { .finding = "0610-lapic-timer-masked-pending" }, .ops = OPS {
		/* What ended while it was masked is not held pending. */
		START, WRITE32(APIC_LVT_TIMER, LVT_MASKED | 0x51), WRITE32(APIC_TMICT, NEAR_TICKS),
		GUEST_DO(guest_wait_end),
		GUEST_DO(guest_quiet), WRITE32(APIC_LVT_TIMER, 0x51), GUEST_DO(guest_quiet), END } },
	{ .label = "software_off", .ops = OPS {
		START, WRITE32(APIC_LVT_TIMER, 0x51), WRITE32(APIC_SVR, 0xff), WRITE32(APIC_TMICT, NEAR_TICKS),
		GUEST_DO(guest_wait_end), GUEST_DO(guest_quiet), END } },
	{ .label = "in_service", .ops = OPS {
		/* Of many periods without an end of interrupt, one is remembered. */
		START, WRITE32(APIC_LVT_TIMER, LVT_PERIODIC | 0x51), WRITE32(APIC_TMICT, PERIOD_TICKS), HALT(0x51),
		TAKE(0), TAKE(0),
		READ32(APIC_ISR(0x51), VECTOR_BIT(0x51)), WRITE32(APIC_LVT_TIMER, LVT_MASKED | LVT_PERIODIC | 0x51),
		LAPIC_EOI,
		END } },
	{ .label = "counts_down", .ops = OPS { START, GUEST_DO(guest_counts_down), END } },
	{ .label = "divide_changed", .ops = OPS { LAPIC_ON, GUEST_DO(guest_divide_changed), END } },
	DIVIDE("divide_2", 0x0, 2),
	DIVIDE("divide_4", 0x1, 4),
	DIVIDE("divide_8", 0x2, 8),
	DIVIDE("divide_16", 0x3, 16),
	DIVIDE("divide_32", 0x8, 32),
	DIVIDE("divide_64", 0x9, 64),
	DIVIDE("divide_128", 0xa, 128),
	DIVIDE("divide_1", 0xb, 1),

	/* --- TSC deadline --- */
	{ .label = "deadline_absent", .ops = OPS {
		/* Without the CPUID bit, the entry has one bit of mode. */
		DEADLINE, READ32(APIC_LVT_TIMER, 0x51), END } },
	{ .label = "deadline_bits", DEADLINE_ROW, .ops = OPS {
		DEADLINE, READ32(APIC_LVT_TIMER, LVT_TSC_DEADLINE | 0x51), END } },
	{ .label = "deadline_near", DEADLINE_ROW, .ops = OPS { DEADLINE, GUEST_DO(guest_deadline_near),
		GUEST_DO(guest_deadline_near), GUEST_DO(guest_quiet), END } },
	{ .label = "deadline_not_early", DEADLINE_ROW, .ops = OPS { DEADLINE, GUEST_DO(guest_deadline_not_early),
		END } },
	{ .label = "deadline_sweep", DEADLINE_ROW, .ops = OPS { DEADLINE, GUEST_DO(guest_deadline_sweep),
		GUEST_DO(guest_quiet), END } },
	{ .label = "deadline_past", DEADLINE_ROW, .ops = OPS { DEADLINE, GUEST_DO(guest_deadline_past), END } },
	{ .label = "deadline_far", DEADLINE_ROW, .ops = OPS { DEADLINE, GUEST_DO(guest_deadline_far), END } },
	{ .label = "deadline_no_counts", DEADLINE_ROW, .ops = OPS {
		/* The counts are not there in this mode. */
		DEADLINE, WRITE32(APIC_TMICT, NEAR_TICKS), READ32(APIC_TMICT, 0), GUEST_DO(guest_quiet), END } },
	{ .label = "deadline_other_mode", DEADLINE_ROW, .ops = OPS {
		/* Nor is the MSR in the others. */
		START, WRITE32(APIC_LVT_TIMER, 0x51), WRMSR(MSR_TSC_DEADLINE, 1), RDMSR(MSR_TSC_DEADLINE, 0),
		GUEST_DO(guest_quiet), END } },
	{ .label = "deadline_mode_left", DEADLINE_ROW, .ops = OPS {
		DEADLINE, WRMSR(MSR_TSC_DEADLINE, ~0ull >> 1), WRITE32(APIC_LVT_TIMER, 0x51),
		WRITE32(APIC_LVT_TIMER, LVT_TSC_DEADLINE | 0x51), RDMSR(MSR_TSC_DEADLINE, 0), GUEST_DO(guest_quiet),
		END } },
	{ .label = "deadline_mode_entered", DEADLINE_ROW, .ops = OPS {
		/* A one-shot that runs is disarmed. */
		START, WRITE32(APIC_LVT_TIMER, 0x51), WRITE32(APIC_TMICT, FAR_TICKS), DEADLINE, READ32(APIC_TMICT, 0),
		WRITE32(APIC_LVT_TIMER, 0x51), GUEST_DO(guest_quiet), END } },
};

CASE(lapic_timer, .says = "the local APIC's timer interrupts when and as often as its mode says", .modes = LONG64,
     .irqchip = true, .rows = ROWS(rows))

GUEST(lapic_timer)
{
	script_guest(GUEST_ROW(rows)->ops);
}

static void cpuid_add_deadline(struct test *t)
{
	struct kvm_cpuid2 *cpuid = sys_supported_cpuid(t->sys);
	uint32_t i;

	for (i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 1)
			cpuid->entries[i].ecx |= 1u << 24;
	vcpu_ioctl(t->vcpu, KVM_SET_CPUID2, cpuid);
	free(cpuid);
}

HOST(lapic_timer)
{
	const struct row *row = ROW(t, rows);

	if (row->has_deadline)
		cpuid_add_deadline(t);
	/*
	 * The host's own rate, asked for: where the host's TSC was calibrated again after KVM's start, and TSC scaling
	 * is not there, 6.1 leaves a fresh vCPU's ratio at 0 (set_tsc_khz()), and its idea of the guest's TSC stands
	 * still.
	 */
	vcpu_ioctl_value(t->vcpu, KVM_SET_TSC_KHZ, 0);
	guest_arg(t, TSC_KHZ, vcpu_ioctl_value(t->vcpu, KVM_GET_TSC_KHZ, 0));
	script_host(t, row->ops);
}

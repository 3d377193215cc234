/* SPDX-License-Identifier: MIT */
/*
 * The local APIC's timer (SDM vol. 3A, 11.5.4). Its clock is KVM's bus clock of 1 GHz.
 */
#include "harness/soft/lapic_private.h"

#define MIN_PERIOD_NS 200000	/* of a periodic timer; KVM's min_timer_period_us */

static struct lapic_clock clock_now(const struct lapic *lapic)
{
	return lapic->owner.clock(lapic->owner.opaque);
}

static uint32_t timer_mode(const struct lapic *lapic)
{
	return reg_get(lapic, LAPIC_LVT_TIMER) & LVT_TIMER_MODE;
}

/* Bits 3, 1 and 0: 2, 4, 8, 16, 32, 64, 128, 1. */
static uint32_t divisor(uint32_t tdcr)
{
	uint32_t code = (tdcr & 3) | (tdcr >> 1 & 4);

	return 1u << ((code + 1) & 7);
}

static uint64_t count_to_ns(const struct lapic *lapic, uint32_t count)
{
	return (uint64_t)count * divisor(reg_get(lapic, LAPIC_TDCR));
}

static void period_set(struct lapic *lapic)
{
	lapic->period_ns = count_to_ns(lapic, reg_get(lapic, LAPIC_TMICT));
	if (timer_mode(lapic) == LVT_TIMER_PERIODIC && lapic->period_ns && lapic->period_ns < MIN_PERIOD_NS)
		lapic->period_ns = MIN_PERIOD_NS;
}

static uint64_t remaining_ns(const struct lapic *lapic, uint64_t now_ns)
{
	return lapic->target_ns > now_ns ? lapic->target_ns - now_ns : 0;
}

uint32_t lapic_timer_count(const struct lapic *lapic)
{
	if (timer_mode(lapic) & LVT_TIMER_DEADLINE || !lapic->period_ns || !reg_get(lapic, LAPIC_TMICT))
		return 0;
	return remaining_ns(lapic, clock_now(lapic).now_ns) % lapic->period_ns / divisor(reg_get(lapic, LAPIC_TDCR));
}

void lapic_timer_stop(struct lapic *lapic)
{
	lapic->is_armed = false;
}

static void timer_arm(struct lapic *lapic, uint64_t in_ns)
{
	lapic->target_ns = clock_now(lapic).now_ns + in_ns;
	lapic->is_armed = true;
}

void lapic_timer_start(struct lapic *lapic, uint32_t initial_count)
{
	if (timer_mode(lapic) & LVT_TIMER_DEADLINE)
		return;
	lapic_timer_stop(lapic);
	reg_set(lapic, LAPIC_TMICT, initial_count);
	period_set(lapic);
	if (lapic->period_ns)
		timer_arm(lapic, lapic->period_ns);
}

/* What is left of the count is left, and runs at the new speed. */
void lapic_timer_divide(struct lapic *lapic, uint32_t tdcr)
{
	uint32_t old = divisor(reg_get(lapic, LAPIC_TDCR));

	reg_set(lapic, LAPIC_TDCR, tdcr & 0xb);
	if (divisor(tdcr) == old || !lapic->period_ns)
		return;
	period_set(lapic);
	if (lapic->is_armed)
		timer_arm(lapic, remaining_ns(lapic, clock_now(lapic).now_ns) / old * divisor(tdcr));
}

/* To and from TSC-deadline mode the timer is disarmed; between the others it runs on. */
static void mode_changed(struct lapic *lapic, uint32_t old_lvt)
{
	if ((timer_mode(lapic) ^ old_lvt) & LVT_TIMER_DEADLINE) {
		lapic_timer_stop(lapic);
		reg_set(lapic, LAPIC_TMICT, 0);
		lapic->period_ns = 0;
		lapic->tsc_deadline = 0;
	} else if ((timer_mode(lapic) ^ old_lvt) & LVT_TIMER_MODE) {
		period_set(lapic);
	}
}

void lapic_timer_lvt_set(struct lapic *lapic, uint32_t lvt)
{
	uint32_t old_lvt = reg_get(lapic, LAPIC_LVT_TIMER);

	reg_set(lapic, LAPIC_LVT_TIMER, lvt);
	mode_changed(lapic, old_lvt);
}

void lapic_timer_restore(struct lapic *lapic, uint32_t old_lvt)
{
	uint32_t count = reg_get(lapic, LAPIC_TMCCT);
	uint64_t left_ns;

	lapic_timer_stop(lapic);
	mode_changed(lapic, old_lvt);
	reg_set(lapic, LAPIC_TMCCT, 0);
	if (timer_mode(lapic) & LVT_TIMER_DEADLINE) {
		lapic->is_armed = lapic->tsc_deadline;
		return;
	}
	period_set(lapic);
	if (!lapic->period_ns)
		return;
	left_ns = count_to_ns(lapic, count);
	if ((!left_ns && timer_mode(lapic) == LVT_TIMER_PERIODIC) || left_ns > lapic->period_ns)
		left_ns = lapic->period_ns;
	timer_arm(lapic, left_ns);
}

uint64_t lapic_tsc_deadline_get(const struct lapic *lapic)
{
	if (!lapic_is_enabled(lapic) || !(timer_mode(lapic) & LVT_TIMER_DEADLINE))
		return 0;
	return lapic->tsc_deadline;
}

void lapic_tsc_deadline_set(struct lapic *lapic, uint64_t value)
{
	if (!lapic_is_enabled(lapic) || !(timer_mode(lapic) & LVT_TIMER_DEADLINE))
		return;
	lapic->tsc_deadline = value;
	lapic->is_armed = value;
}

static uint64_t cycles_to_ns(uint64_t cycles, uint32_t tsc_khz)
{
	return tsc_khz ? (unsigned __int128)cycles * 1000000 / tsc_khz : 0;
}

/* Never before: rounded up. */
static uint64_t deadline_at(const struct lapic *lapic, const struct lapic_clock *now)
{
	if (!(timer_mode(lapic) & LVT_TIMER_DEADLINE))
		return lapic->target_ns;
	if (lapic->tsc_deadline <= now->tsc)
		return now->now_ns;
	return now->now_ns + cycles_to_ns(lapic->tsc_deadline - now->tsc, now->tsc_khz) + 1;
}

uint64_t lapic_deadline_ns(const struct lapic *lapic)
{
	struct lapic_clock now;

	if (!lapic->is_armed)
		return ~0ull;
	now = clock_now(lapic);
	return deadline_at(lapic, &now);
}

/* Missed periods of a timer that runs late are not made up for: one interrupt, and the next one now. */
void lapic_advance(struct lapic *lapic)
{
	struct lapic_clock now;

	if (!lapic->is_armed)
		return;
	now = clock_now(lapic);
	if (deadline_at(lapic, &now) > now.now_ns)
		return;
	lapic_local_interrupt(lapic, LAPIC_LVT_TIMER);
	if (timer_mode(lapic) & LVT_TIMER_DEADLINE)
		lapic->tsc_deadline = 0;
	if (timer_mode(lapic) != LVT_TIMER_PERIODIC) {
		lapic->is_armed = false;
		return;
	}
	lapic->target_ns += lapic->period_ns;
	if (lapic->target_ns < now.now_ns)
		lapic->target_ns = now.now_ns;
}

/* SPDX-License-Identifier: MIT */
/* Hyper-V's reference time, its page, and the synthetic timers: TLFS, 12. */
#include "soft/hyperv.h"

#include <errno.h>
#include <stddef.h>

#include "soft/private.h"

#define PAGE_MASK 0xfffull
#define ENABLED 1ull
#define NS_PER_TICK 100
#define TICKS_PER_MS 10000ull

#define TIMER_ENABLE 1ull
#define TIMER_PERIODIC 2ull
#define TIMER_LAZY 4ull
#define TIMER_AUTO 8ull
#define TIMER_DIRECT 0x1000ull

#define MESSAGE_TIMER_EXPIRED 0x80000010u
#define MESSAGE_PENDING 1
#define MESSAGE_SLOT_BYTES 256

/* --- reference time --- */

/* TLFS, 12.7: ((TSC * scale) >> 64) + offset. */
struct reference_page {
	uint32_t sequence, reserved;
	uint64_t scale, offset;
};

static uint64_t ticks_of_tsc(uint64_t tsc, uint64_t scale)
{
	return (uint64_t)((unsigned __int128)tsc * scale >> 64);
}

static uint64_t time_of_clock(const struct soft_vm *vm)
{
	return (clock_ns() + (uint64_t)vm->clock_offset) / NS_PER_TICK;
}

/* By the page where there is one, so that both say the same. */
uint64_t hyperv_time(struct soft_vcpu *vcpu)
{
	const struct soft_hyperv *hyperv = &vcpu->vm->hyperv;

	if (hyperv->tsc_scale)
		return ticks_of_tsc(tsc_guest(vcpu), hyperv->tsc_scale) + hyperv->tsc_offset;
	return time_of_clock(vcpu->vm);
}

/* One page is all vCPUs': they must have one TSC. */
static bool tscs_are_one(const struct soft_vm *vm)
{
	const struct soft_tsc *first = &vm->vcpus[0]->tsc;
	unsigned int i;

	for (i = 1; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i]->tsc.khz != first->khz || vm->vcpus[i]->tsc.offset != first->offset)
			return false;
	return first->khz > TICKS_PER_MS;
}

void hyperv_clock_changed(struct soft_vcpu *vcpu)
{
	struct soft_hyperv *hyperv = &vcpu->vm->hyperv;
	uint64_t gpa = hyperv->reference_tsc & ~PAGE_MASK;
	struct reference_page page = { .sequence = 0 };

	hyperv->tsc_scale = hyperv->tsc_offset = 0;
	if (!(hyperv->reference_tsc & ENABLED))
		return;
	if (tscs_are_one(vcpu->vm)) {
		page.scale = (uint64_t)(((unsigned __int128)TICKS_PER_MS << 64) / vcpu->tsc.khz);
		page.offset = time_of_clock(vcpu->vm) - ticks_of_tsc(tsc_guest(vcpu), page.scale);
		page.sequence = 1;
	}
	if (guest_write(vm_space(vcpu->vm), gpa, &page, sizeof(page)) || !page.sequence)
		return;
	hyperv->tsc_scale = page.scale;
	hyperv->tsc_offset = page.offset;
}

/* --- messages: TLFS, 11.10 --- */

struct message {
	uint32_t type;
	uint8_t payload_bytes, flags;
	uint16_t reserved;
	uint64_t origin;
	uint32_t timer, reserved_timer;
	uint64_t expired, delivered;
};

/* 0; -EAGAIN: one is there, that says now that another waits; other errors: nowhere to put it. */
static int message_put(struct soft_vcpu *vcpu, unsigned int sint, const struct message *message, bool is_retried)
{
	uint64_t page = vcpu->hyperv.messages_page;
	uint64_t at = (page & ~PAGE_MASK) + sint * MESSAGE_SLOT_BYTES;
	struct message there;
	int r;

	if (!(page & ENABLED))
		return -ENOENT;
	if (guest_read(vcpu_space(vcpu), at, &there, sizeof(there)))
		return -EFAULT;
	if (there.type) {
		there.flags |= MESSAGE_PENDING;
		if (is_retried)
			guest_write(vcpu_space(vcpu), at + offsetof(struct message, flags), &there.flags, 1);
		return is_retried ? -EAGAIN : 0;
	}
	if (guest_write(vcpu_space(vcpu), at, message, sizeof(*message)))
		return -EFAULT;
	r = hyperv_sint_raise(vcpu, sint);
	return r < 0 ? r : 0;
}

/* --- timers --- */

static unsigned int sint_of(const struct soft_hyperv_timer *timer)
{
	return timer->config >> 16 & 0xf;
}

static void timer_stop(struct soft_hyperv_timer *timer)
{
	timer->is_armed = timer->is_waiting = false;
	timer->expires = 0;
}

static void timer_start(struct soft_vcpu *vcpu, struct soft_hyperv_timer *timer)
{
	timer->expires = timer->config & TIMER_PERIODIC ? hyperv_time(vcpu) + timer->count : timer->count;
	timer->is_armed = true;
	vcpu->hyperv.has_timers = true;
}

/* True: what it has to say was said. */
static bool timer_tell(struct soft_vcpu *vcpu, unsigned int i, uint64_t now)
{
	const struct soft_hyperv_timer *timer = &vcpu->hyperv.timers[i];
	struct apic_message interrupt = { .delivery = APIC_FIXED, .vector = (uint8_t)(timer->config >> 4) };
	struct message message = {
		.type = MESSAGE_TIMER_EXPIRED, .payload_bytes = sizeof(message) - offsetof(struct message, timer),
		.timer = i, .expired = timer->expires, .delivered = now,
	};

	if (!(timer->config & TIMER_DIRECT))
		return !message_put(vcpu, sint_of(timer), &message, !(timer->config & TIMER_LAZY));
	lapic_accept(&vcpu->chips.lapic, &interrupt);
	return true;
}

/* A period that runs late is not made up for. */
static void timer_expire(struct soft_vcpu *vcpu, unsigned int i, uint64_t now)
{
	struct soft_hyperv_timer *timer = &vcpu->hyperv.timers[i];

	timer->is_armed = false;
	timer->is_waiting = !timer_tell(vcpu, i, now);
	if (timer->is_waiting)
		return;
	if (!(timer->config & TIMER_PERIODIC)) {
		timer->config &= ~TIMER_ENABLE;
		return;
	}
	timer->expires += ((now - timer->expires) / timer->count + 1) * timer->count;
	timer->is_armed = true;
}

void hyperv_timers_advance(struct soft_vcpu *vcpu)
{
	uint64_t now;
	unsigned int i;

	if (!vcpu->hyperv.has_timers)
		return;
	now = hyperv_time(vcpu);
	vcpu->hyperv.has_timers = false;
	for (i = 0; i < HYPERV_NR_TIMERS; i++) {
		struct soft_hyperv_timer *timer = &vcpu->hyperv.timers[i];

		if (timer->is_armed && timer->expires <= now)
			timer_expire(vcpu, i, now);
		vcpu->hyperv.has_timers |= timer->is_armed;
	}
}

uint64_t hyperv_timers_wait_ns(struct soft_vcpu *vcpu)
{
	uint64_t now, first = ~0ull;
	unsigned int i;

	if (!vcpu->hyperv.has_timers)
		return ~0ull;
	now = hyperv_time(vcpu);
	for (i = 0; i < HYPERV_NR_TIMERS; i++) {
		const struct soft_hyperv_timer *timer = &vcpu->hyperv.timers[i];

		if (timer->is_armed && timer->expires <= now)
			return 0;
		if (timer->is_armed && timer->expires - now < first)
			first = timer->expires - now;
	}
	return first > ~0ull / NS_PER_TICK ? ~0ull : first * NS_PER_TICK;
}

void hyperv_message_taken(struct soft_vcpu *vcpu)
{
	unsigned int i;

	for (i = 0; i < HYPERV_NR_TIMERS; i++)
		if (vcpu->hyperv.timers[i].is_waiting)
			timer_expire(vcpu, i, hyperv_time(vcpu));
}

/* A timer that is on does not change to no source. */
void hyperv_timer_config_set(struct soft_vcpu *vcpu, unsigned int i, uint64_t value)
{
	struct soft_hyperv_timer *timer = &vcpu->hyperv.timers[i];
	bool was_on = timer->config & TIMER_ENABLE;

	timer_stop(timer);
	timer->config = value;
	if (was_on && !(value & TIMER_DIRECT) && !sint_of(timer))
		timer->config &= ~TIMER_ENABLE;
	if ((timer->config & TIMER_ENABLE) && timer->count)
		timer_start(vcpu, timer);
}

void hyperv_timer_count_set(struct soft_vcpu *vcpu, unsigned int i, uint64_t value)
{
	struct soft_hyperv_timer *timer = &vcpu->hyperv.timers[i];

	timer_stop(timer);
	timer->count = value;
	if (!value)
		timer->config &= ~TIMER_ENABLE;
	else if (timer->config & TIMER_AUTO)
		timer->config |= TIMER_ENABLE;
	if (timer->config & TIMER_ENABLE)
		timer_start(vcpu, timer);
}

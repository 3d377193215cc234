/* SPDX-License-Identifier: MIT */
/*
 * As in KVM, counts are binary also in BCD mode, and the status byte never says "null count".
 */
#include "harness/soft/pit.h"

#include <errno.h>
#include <string.h>

#define NR_CHANNELS 3
#define CONTROL 3
#define NS_PER_S 1000000000ull
#define MIN_PERIOD_NS 200000	/* KVM's min_timer_period_us */
#define COUNT_MAX 0x10000	/* a count of 0 */
#define MODE_NONE 0xff		/* nothing was programmed */

#ifndef KVM_PIT_FLAGS_SPEAKER_DATA_ON
#define KVM_PIT_FLAGS_SPEAKER_DATA_ON 2
#endif

/* How a channel's bytes come: rw_mode, read_state, write_state, count_latched. */
enum rw_state {
	RW_LOW = 1,
	RW_HIGH,
	RW_WORD,	/* both, the low one is next */
	RW_WORD_HIGH,	/* and then the high one */
};

/* The control word, and the read-back command's bits, which are active low. */
#define CONTROL_READ_BACK 3
#define READ_BACK_NO_COUNT 0x20
#define READ_BACK_NO_STATUS 0x10

static uint64_t now_ns(const struct pit *pit)
{
	return pit->owner.now_ns(pit->owner.opaque);
}

static struct kvm_pit_channel_state *channel_of(struct pit *pit, unsigned int number)
{
	return &pit->state.channels[number];
}

/* The clocks since the count was loaded; channel 0's restart with each period. */
static uint64_t elapsed_clocks(const struct pit *pit, unsigned int number)
{
	uint64_t elapsed_ns = 0;

	if (number)
		elapsed_ns = now_ns(pit) - pit->state.channels[number].count_load_time;
	else if (pit->period_ns)
		elapsed_ns = now_ns(pit) + pit->period_ns - pit->expires_ns;
	return (unsigned __int128)elapsed_ns * PIT_FREQUENCY_HZ / NS_PER_S;
}

static uint32_t count_get(const struct pit *pit, unsigned int number)
{
	const struct kvm_pit_channel_state *channel = &pit->state.channels[number];
	uint64_t clocks = elapsed_clocks(pit, number);

	switch (channel->mode) {
	case 0: case 1: case 4: case 5:	/* goes on below 0 */
		return (channel->count - clocks) & 0xffff;
	case 3:				/* counts by two */
		return channel->count - 2 * clocks % channel->count;
	default:
		return channel->count - clocks % channel->count;
	}
}

static bool out_get(const struct pit *pit, unsigned int number)
{
	const struct kvm_pit_channel_state *channel = &pit->state.channels[number];
	uint64_t clocks = elapsed_clocks(pit, number);

	switch (channel->mode) {
	case 1:
		return clocks < channel->count;
	case 2:
		return clocks && clocks % channel->count == 0;
	case 3:
		return clocks % channel->count < (channel->count + 1) / 2;
	case 4: case 5:
		return clocks == channel->count;
	default:
		return clocks >= channel->count;
	}
}

static void reinject_reset(struct pit *pit)
{
	pit->nr_pending = 0;
	pit->is_acked = true;
}

static void timer_start(struct pit *pit, uint32_t count, bool is_periodic)
{
	uint64_t interval_ns = count * NS_PER_S / PIT_FREQUENCY_HZ;

	if (pit->state.flags & KVM_PIT_FLAGS_HPET_LEGACY)
		return;
	reinject_reset(pit);
	pit->period_ns = interval_ns;
	if (is_periodic && interval_ns < MIN_PERIOD_NS)
		pit->period_ns = MIN_PERIOD_NS;
	pit->expires_ns = now_ns(pit) + interval_ns;
	pit->is_periodic = is_periodic;
	pit->is_armed = true;
}

static void count_load(struct pit *pit, unsigned int number, uint32_t count, uint8_t mode)
{
	struct kvm_pit_channel_state *channel = channel_of(pit, number);

	channel->count = count ? count : COUNT_MAX;
	if (number) {
		channel->count_load_time = now_ns(pit);
		return;
	}
	switch (mode) {
	case 0: case 1: case 4:
		timer_start(pit, channel->count, false);
		break;
	case 2: case 3:
		timer_start(pit, channel->count, true);
		break;
	default:
		pit->is_armed = false;
	}
}

static void count_latch(struct pit *pit, unsigned int number)
{
	struct kvm_pit_channel_state *channel = channel_of(pit, number);

	if (channel->count_latched)
		return;
	channel->latched_count = count_get(pit, number);
	channel->count_latched = channel->rw_mode;
}

static void status_latch(struct pit *pit, unsigned int number)
{
	struct kvm_pit_channel_state *channel = channel_of(pit, number);

	if (channel->status_latched)
		return;
	channel->status = out_get(pit, number) << 7 | channel->rw_mode << 4 | channel->mode << 1 | channel->bcd;
	channel->status_latched = 1;
}

static void read_back(struct pit *pit, uint8_t command)
{
	unsigned int i;

	for (i = 0; i < NR_CHANNELS; i++) {
		if (!(command & 2 << i))
			continue;
		if (!(command & READ_BACK_NO_COUNT))
			count_latch(pit, i);
		if (!(command & READ_BACK_NO_STATUS))
			status_latch(pit, i);
	}
}

static void control_write(struct pit *pit, uint8_t value)
{
	unsigned int number = value >> 6, access = value >> 4 & 3, mode = value >> 1 & 7;
	struct kvm_pit_channel_state *channel;

	if (number == CONTROL_READ_BACK) {
		read_back(pit, value);
		return;
	}
	if (!access) {
		count_latch(pit, number);
		return;
	}
	channel = channel_of(pit, number);
	channel->rw_mode = channel->read_state = channel->write_state = access;
	channel->mode = mode > 5 ? mode - 4 : mode;
	channel->bcd = value & 1;
}

static void count_write(struct pit *pit, unsigned int number, uint8_t value)
{
	struct kvm_pit_channel_state *channel = channel_of(pit, number);

	switch (channel->write_state) {
	case RW_HIGH:
		count_load(pit, number, value << 8, channel->mode);
		break;
	case RW_WORD:
		channel->write_latch = value;
		channel->write_state = RW_WORD_HIGH;
		break;
	case RW_WORD_HIGH:
		channel->write_state = RW_WORD;
		count_load(pit, number, channel->write_latch | value << 8, channel->mode);
		break;
	default:
		count_load(pit, number, value, channel->mode);
	}
}

static uint8_t latched_read(struct kvm_pit_channel_state *channel)
{
	uint8_t state = channel->count_latched;

	channel->count_latched = state == RW_WORD ? RW_HIGH : 0;
	return state == RW_HIGH ? channel->latched_count >> 8 : channel->latched_count;
}

static uint8_t count_read(struct pit *pit, unsigned int number)
{
	struct kvm_pit_channel_state *channel = channel_of(pit, number);
	uint32_t count;

	if (channel->status_latched) {
		channel->status_latched = 0;
		return channel->status;
	}
	if (channel->count_latched)
		return latched_read(channel);
	count = count_get(pit, number);
	switch (channel->read_state) {
	case RW_WORD:
		channel->read_state = RW_WORD_HIGH;
		return count;
	case RW_WORD_HIGH:
		channel->read_state = RW_WORD;
		return count >> 8;
	default:
		return channel->read_state == RW_HIGH ? count >> 8 : count;
	}
}

int pit_io_read(void *opaque, uint64_t port, unsigned int len, void *data)
{
	struct pit *pit = opaque;

	memset(data, 0, len);
	if ((port & 3) != CONTROL)
		*(uint8_t *)data = count_read(pit, port & 3);
	return 0;
}

int pit_io_write(void *opaque, uint64_t port, unsigned int len, const void *data)
{
	struct pit *pit = opaque;
	uint8_t value = *(const uint8_t *)data;

	(void)len;
	if ((port & 3) == CONTROL)
		control_write(pit, value);
	else
		count_write(pit, port & 3, value);
	return 0;
}

/* A rising gate starts the modes again that it triggers. */
static void gate_set(struct pit *pit, bool is_up)
{
	struct kvm_pit_channel_state *channel = channel_of(pit, 2);
	uint8_t mode = channel->mode;

	if (is_up && !channel->gate && (mode == 1 || mode == 2 || mode == 3 || mode == 5))
		channel->count_load_time = now_ns(pit);
	channel->gate = is_up;
}

int pit_speaker_read(void *opaque, uint64_t port, unsigned int len, void *data)
{
	struct pit *pit = opaque;
	bool is_data_on = pit->state.flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON;
	unsigned int refresh = now_ns(pit) >> 14 & 1;	/* toggles about every 15 us */

	(void)port;
	memset(data, 0, len);
	*(uint8_t *)data = out_get(pit, 2) << 5 | refresh << 4 | is_data_on << 1 | channel_of(pit, 2)->gate;
	return 0;
}

int pit_speaker_write(void *opaque, uint64_t port, unsigned int len, const void *data)
{
	struct pit *pit = opaque;
	uint8_t value = *(const uint8_t *)data;

	(void)port;
	(void)len;
	if (value & 2)
		pit->state.flags |= KVM_PIT_FLAGS_SPEAKER_DATA_ON;
	else
		pit->state.flags &= ~KVM_PIT_FLAGS_SPEAKER_DATA_ON;
	gate_set(pit, value & 1);
	return 0;
}

void pit_init(struct pit *pit, const struct pit_owner *owner)
{
	unsigned int i;

	memset(pit, 0, sizeof(*pit));
	pit->owner = *owner;
	pit->reinject = true;
	for (i = 0; i < NR_CHANNELS; i++) {
		channel_of(pit, i)->mode = MODE_NONE;
		channel_of(pit, i)->gate = i != 2;
		count_load(pit, i, 0, MODE_NONE);
	}
	reinject_reset(pit);
}

uint64_t pit_deadline_ns(const struct pit *pit)
{
	return pit->is_armed ? pit->expires_ns : ~0ull;
}

/* With reinjection a tick waits for the end of the one before it, and none is lost. */
static void tick_deliver(struct pit *pit)
{
	if (pit->reinject && !pit->is_acked)
		return;
	pit->is_acked = false;
	pit->owner.line(pit->owner.opaque);
}

void pit_advance(struct pit *pit)
{
	while (pit->is_armed && pit->expires_ns <= now_ns(pit)) {
		if (pit->is_periodic)
			pit->expires_ns += pit->period_ns;
		else
			pit->is_armed = false;
		if (pit->reinject)
			pit->nr_pending++;
		tick_deliver(pit);
	}
}

void pit_acked(struct pit *pit)
{
	if (!pit->reinject)
		return;
	pit->is_acked = true;
	if (pit->nr_pending && --pit->nr_pending)
		tick_deliver(pit);
}

void pit_unmasked(struct pit *pit)
{
	if (pit->reinject)
		reinject_reset(pit);
}

void pit_reinject_set(struct pit *pit, bool reinject)
{
	if (reinject && !pit->reinject)
		reinject_reset(pit);
	pit->reinject = reinject;
}

void pit_state_get(const struct pit *pit, struct kvm_pit_state2 *ret_state)
{
	*ret_state = pit->state;
	memset(ret_state->reserved, 0, sizeof(ret_state->reserved));
}

/* Channel 0 does not run where the HPET has just taken its place. */
void pit_state_set(struct pit *pit, const struct kvm_pit_state2 *state)
{
	bool was_legacy = pit->state.flags & KVM_PIT_FLAGS_HPET_LEGACY;
	unsigned int i;

	pit->state = *state;
	for (i = 0; i < NR_CHANNELS; i++) {
		uint8_t mode = channel_of(pit, i)->mode;

		if (i == 0 && !was_legacy && state->flags & KVM_PIT_FLAGS_HPET_LEGACY)
			mode = MODE_NONE;
		count_load(pit, i, channel_of(pit, i)->count, mode);
	}
}

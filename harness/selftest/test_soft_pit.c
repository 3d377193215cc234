/* SPDX-License-Identifier: MIT */
/* The 8254 and port 61h, with a clock that stands still until it is set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "harness/soft/pit.h"

#define CLOCKS(n) ((uint64_t)(n) * 1000000000 / PIT_FREQUENCY_HZ + 1)

struct seen {
	struct pit pit;
	uint64_t now_ns;
	unsigned int nr_ticks;
};

static uint64_t on_now(void *opaque)
{
	return ((struct seen *)opaque)->now_ns;
}

static void on_line(void *opaque)
{
	((struct seen *)opaque)->nr_ticks++;
}

static void start(struct seen *seen)
{
	const struct pit_owner owner = { .opaque = seen, .now_ns = on_now, .line = on_line };

	*seen = (struct seen){ .now_ns = 1000000 };
	pit_init(&seen->pit, &owner);
}

static void out(struct seen *seen, uint16_t port, uint8_t value)
{
	pit_io_write(&seen->pit, port, 1, &value);
}

static uint8_t in(struct seen *seen, uint16_t port)
{
	uint8_t value;

	pit_io_read(&seen->pit, port, 1, &value);
	return value;
}

static void advance(struct seen *seen, uint64_t ns)
{
	seen->now_ns += ns;
	pit_advance(&seen->pit);
}

static void channel_load(struct seen *seen, unsigned int number, unsigned int mode, uint16_t count)
{
	out(seen, 0x43, number << 6 | 0x30 | mode << 1);
	out(seen, 0x40 + number, count);
	out(seen, 0x40 + number, count >> 8);
}

static void test_one_shot(void **state)
{
	struct seen seen;

	(void)state;
	start(&seen);
	assert_true(pit_deadline_ns(&seen.pit) == ~0ull);
	channel_load(&seen, 0, 0, 0x1000);
	assert_true(pit_deadline_ns(&seen.pit) == seen.now_ns + CLOCKS(0x1000) - 1);
	advance(&seen, CLOCKS(0x1000) - 10);
	assert_int_equal(seen.nr_ticks, 0);
	advance(&seen, 10);
	assert_int_equal(seen.nr_ticks, 1);
	assert_true(pit_deadline_ns(&seen.pit) == ~0ull);
	/* It counts on below 0. */
	advance(&seen, CLOCKS(16));
	out(&seen, 0x43, 0);
	assert_int_equal(in(&seen, 0x40), 0xf0);
	assert_int_equal(in(&seen, 0x40), 0xff);
}

/* No tick is lost, but the next one waits for the end of the last. */
static void test_reinjection(void **state)
{
	struct seen seen;

	(void)state;
	start(&seen);
	channel_load(&seen, 0, 2, 0x1000);
	advance(&seen, CLOCKS(0x1000) * 3 + 100);
	assert_int_equal(seen.nr_ticks, 1);
	pit_acked(&seen.pit);
	pit_acked(&seen.pit);
	assert_int_equal(seen.nr_ticks, 3);
	pit_acked(&seen.pit);
	assert_int_equal(seen.nr_ticks, 3);
	pit_reinject_set(&seen.pit, false);
	advance(&seen, CLOCKS(0x1000) * 3);
	assert_int_equal(seen.nr_ticks, 6);
}

static void test_latches(void **state)
{
	struct seen seen;

	(void)state;
	start(&seen);
	channel_load(&seen, 2, 0, 0x4321);
	out(&seen, 0x43, 0x80);
	seen.now_ns += CLOCKS(0x100);
	out(&seen, 0x43, 0x80);		/* the first one counts */
	assert_int_equal(in(&seen, 0x42), 0x21);
	assert_int_equal(in(&seen, 0x42), 0x43);
	assert_int_equal(in(&seen, 0x42), 0x21);
	assert_int_equal(in(&seen, 0x42), 0x42);
	/* Status first, then the count. */
	out(&seen, 0x43, 0xc0 | 8);
	assert_int_equal(in(&seen, 0x42), 0x30);
	assert_int_equal(in(&seen, 0x42), 0x21);
	assert_int_equal(in(&seen, 0x42), 0x42);
	seen.now_ns += CLOCKS(0x4300);
	out(&seen, 0x43, 0xc0 | 0x20 | 8);
	assert_int_equal(in(&seen, 0x42), 0xb0);	/* OUT is up */
}

static void test_bytes(void **state)
{
	struct seen seen;

	(void)state;
	start(&seen);
	out(&seen, 0x43, 0x80 | 0x20 | 4);	/* high byte, mode 2 */
	out(&seen, 0x42, 0x12);
	assert_int_equal(seen.pit.state.channels[2].count, 0x1200);
	assert_int_equal(in(&seen, 0x42), 0x12);
	out(&seen, 0x43, 0x80 | 0x10 | 0xe);	/* low byte, mode 7 is 3 */
	out(&seen, 0x42, 0);
	assert_int_equal(seen.pit.state.channels[2].count, 0x10000);
	assert_int_equal(seen.pit.state.channels[2].mode, 3);
}

static void test_speaker(void **state)
{
	struct seen seen;
	uint8_t value = 3;

	(void)state;
	start(&seen);
	channel_load(&seen, 2, 3, 100);
	seen.now_ns += CLOCKS(60);
	pit_speaker_read(&seen.pit, 0x61, 1, &value);
	assert_int_equal(value & 0x23, 0);
	value = 3;
	pit_speaker_write(&seen.pit, 0x61, 1, &value);	/* the gate rises: from the beginning */
	pit_speaker_read(&seen.pit, 0x61, 1, &value);
	assert_int_equal(value & 0x23, 0x23);
	seen.now_ns += CLOCKS(60);
	pit_speaker_read(&seen.pit, 0x61, 1, &value);
	assert_int_equal(value & 0x23, 0x03);
}

static void test_state(void **state)
{
	struct kvm_pit_state2 set, got;
	struct seen seen;

	(void)state;
	start(&seen);
	pit_state_get(&seen.pit, &set);
	assert_int_equal(set.channels[0].count, 0x10000);
	assert_int_equal(set.channels[0].mode, 0xff);
	assert_int_equal(set.channels[0].gate, 1);
	assert_int_equal(set.channels[2].gate, 0);
	set.channels[0].mode = 2;
	set.channels[0].count = 0x1000;
	pit_state_set(&seen.pit, &set);
	assert_true(pit_deadline_ns(&seen.pit) != ~0ull);
	set.flags = KVM_PIT_FLAGS_HPET_LEGACY;
	pit_state_set(&seen.pit, &set);
	assert_true(pit_deadline_ns(&seen.pit) == ~0ull);
	pit_state_get(&seen.pit, &got);
	assert_int_equal(got.flags, KVM_PIT_FLAGS_HPET_LEGACY);
	assert_int_equal(got.channels[0].mode, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_shot),
		cmocka_unit_test(test_reinjection),
		cmocka_unit_test(test_latches),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_speaker),
		cmocka_unit_test(test_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

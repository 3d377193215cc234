/* SPDX-License-Identifier: MIT */
/*
 * The in-kernel 8254 as a guest programs it: control words, counts by low and high byte, latches, the read-back command,
 * gate and output of channel 2 at port 61h, and channel 0's interrupt. Counts run in real time, so what is compared is
 * state that stands still (latched, or as KVM_GET_PIT2 has it), orders, and bounds that hold on a machine of any speed.
 *
 * Can break: a channel's number, a byte's order, a latch overwritten, read-back bits that are active low, a mode that
 * interrupts once or again, the gate of channel 2.
 * Source: Intel 82C54 datasheet, "Control Word Format", "Read Operations", "Counter Latch Command", "Read-Back Command",
 * "Mode Definitions"; Intel 82371AB datasheet, port 61h (NMI status and control); KVM API, 4.71 (KVM_CREATE_PIT2), 4.72.
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/ioapic_regs.h"
#include "cases/ioctl/irq_script.h"
#include "cases/ioctl/lapic_regs.h"
#include "cases/ioctl/pic_ports.h"

#define CHANNEL(n_) (0x40 + (n_))
#define CONTROL 0x43
#define PORT61 0x61
#define SELECT(n_) ((n_) << 6)
#define LOW_ONLY 0x10
#define HIGH_ONLY 0x20
#define LOW_HIGH 0x30
#define MODE(mode_) ((mode_) << 1)
#define BCD 0x01
#define READ_BACK 0xc0
#define NO_COUNT 0x20		/* of the read-back command, active low */
#define NO_STATUS 0x10
#define OF(n_) (2 << (n_))
#define TSC_KHZ 1		/* GUEST_ARG() */
#define PIT_HZ 1193182

struct row {
	ROW_FIELDS;
	const struct op *ops;
};

/* --- counts, latches --- */

static uint16_t read_both(uint16_t port)
{
	uint16_t low = in8(port);

	return low | in8(port) << 8;
}

static void count_load(unsigned int channel, uint8_t mode, uint16_t count)
{
	out8(CONTROL, SELECT(channel) | LOW_HIGH | MODE(mode));
	out8(CHANNEL(channel), count);
	out8(CHANNEL(channel), count >> 8);
}

static void pit_get(struct test *t, struct kvm_pit_state2 *state)
{
	memset(state, 0, sizeof(*state));
	vm_ioctl(t->vm, KVM_GET_PIT2, state);
}

static void create(struct test *t)
{
	struct kvm_pit_config config = { .flags = KVM_PIT_SPEAKER_DUMMY };

	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_CREATE_PIT2, &config));
}

static void create_no_speaker(struct test *t)
{
	struct kvm_pit_config config = { .flags = 0 };

	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_CREATE_PIT2, &config));
}

static void expect_control(struct test *t, unsigned int channel, uint8_t access, uint8_t mode, uint8_t bcd)
{
	struct kvm_pit_state2 state;

	pit_get(t, &state);
	test_say(t, "channel %u", channel);
	expect_eq(t, access, state.channels[channel].rw_mode);
	expect_eq(t, access, state.channels[channel].read_state);
	expect_eq(t, access, state.channels[channel].write_state);
	expect_eq(t, mode, state.channels[channel].mode);
	expect_eq(t, bcd, state.channels[channel].bcd);
}

static void control_words(struct test *t)
{
	expect_control(t, 0, 3, 2, 0);
	expect_control(t, 1, 1, 4, 1);
	expect_control(t, 2, 2, 5, 0);
}

static void control_aliases(struct test *t)
{
	expect_control(t, 0, 3, 2, 0);
	expect_control(t, 1, 3, 3, 1);
	expect_control(t, 2, 3, 0, 0);
}

static void expect_counts(struct test *t, uint32_t c0, uint32_t c1, uint32_t c2)
{
	struct kvm_pit_state2 state;

	pit_get(t, &state);
	expect_eq(t, c0, state.channels[0].count);
	expect_eq(t, c1, state.channels[1].count);
	expect_eq(t, c2, state.channels[2].count);
}

static void counts(struct test *t)
{
	expect_counts(t, 0x1234, 0x56, 0x7800);
}

static void counts_zero(struct test *t)
{
	expect_counts(t, 0x10000, 0x10000, 0x10000);
}

static void counts_half(struct test *t)
{
	struct kvm_pit_state2 state;

	/* The low byte alone changes nothing yet. */
	expect_counts(t, 0x1234, 0x10000, 0x10000);
	pit_get(t, &state);
	expect_eq(t, 0x99, state.channels[0].write_latch);
}

static void latched(struct test *t)
{
	struct kvm_pit_state2 state;

	pit_get(t, &state);
	expect_eq(t, 3, state.channels[2].count_latched);
	expect_eq(t, 0, state.channels[0].count_latched);
	expect_eq(t, 0, state.channels[1].count_latched);
	expect_eq(t, 0, state.channels[2].status_latched);
}

static void nothing_latched(struct test *t)
{
	struct kvm_pit_state2 state;
	unsigned int i;

	pit_get(t, &state);
	for (i = 0; i < 3; i++) {
		expect_eq(t, 0, state.channels[i].count_latched);
		expect_eq(t, 0, state.channels[i].status_latched);
	}
}

static void both_latched(struct test *t)
{
	struct kvm_pit_state2 state;

	pit_get(t, &state);
	expect_eq(t, 2, state.channels[2].count_latched);
	expect_eq(t, 1, state.channels[2].status_latched);
	expect_eq(t, 0, state.channels[0].status_latched);
	expect_eq(t, 0, state.channels[1].status_latched);
}

static void set_high_latched(struct test *t)
{
	struct kvm_pit_state2 state;

	pit_get(t, &state);
	expect_eq(t, 2, state.channels[2].count_latched);
	state.channels[2].latched_count = 0x7e55;
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_SET_PIT2, &state));
}

static void status_latched(struct test *t)
{
	struct kvm_pit_state2 state;

	pit_get(t, &state);
	expect_eq(t, 0, state.channels[0].status_latched);
	expect_eq(t, 1, state.channels[1].status_latched);
	expect_eq(t, 1, state.channels[2].status_latched);
	expect_eq(t, 0, state.channels[1].count_latched);
	expect_eq(t, 0, state.channels[2].count_latched);
}

/* Channel 2's latched count is what the guest then reads. */
static void set_latched(struct test *t)
{
	struct kvm_pit_state2 state;

	pit_get(t, &state);
	state.channels[2].count_latched = 3;
	state.channels[2].latched_count = 0xbeef;
	state.channels[1].status_latched = 1;
	state.channels[1].status = 0x5a;
	state.channels[0].count_latched = 2;
	state.channels[0].latched_count = 0xc0de;
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_SET_PIT2, &state));
}

static void speaker_on(struct test *t)
{
	struct kvm_pit_state2 state;

	pit_get(t, &state);
	expect_eq(t, KVM_PIT_FLAGS_SPEAKER_DATA_ON, state.flags);
	expect_eq(t, 1, state.channels[2].gate);
}

static void reinject_off(struct test *t)
{
	struct kvm_reinject_control control = { .pit_reinject = 0 };

	expect_result(t, 0, vm_ioctl_value_try(t->vm, KVM_REINJECT_CONTROL, (uintptr_t)&control));
}

/* --- running --- */

/* Five times a period of a millisecond. */
static void guest_periods(void)
{
	unsigned int i;

	for (i = 0; i < 5; i++) {
		halt_once();
		CHECK_EQ(0x20, script_take());
		out8(MASTER, EOI);
	}
}

static void guest_periods_ioapic(void)
{
	unsigned int i;

	for (i = 0; i < 5; i++) {
		halt_once();
		CHECK_EQ(0x51, script_take());
		write32(APIC_EOI, 0);
	}
}

static uint64_t pit_ticks(uint64_t tsc)
{
	return tsc * (PIT_HZ / 100) / (GUEST_ARG(TSC_KHZ) * 10);
}

/* For a hundred milliseconds nothing comes. */
static void guest_quiet(void)
{
	uint64_t start = rdtsc();

	while (rdtsc() - start < GUEST_ARG(TSC_KHZ) * 100)
		window_open();
	CHECK_EQ(0, script_take());
}

/* A period of two ticks is made one that does not keep the host from its other work. */
#define MIN_PERIOD_US 200

static void guest_short_period(void)
{
	uint64_t start = rdtsc();
	unsigned int i;

	count_load(0, 2, 2);
	for (i = 0; i < 10; i++) {
		halt_once();
		CHECK_EQ(0x20, script_take());
		out8(MASTER, EOI);
	}
	CHECK((rdtsc() - start) * 1000 / GUEST_ARG(TSC_KHZ) >= 10 * MIN_PERIOD_US * 9 / 10);
	count_load(0, 2, 0);
}

#define TEN_MS (PIT_HZ / 100)

/*
 * A tick that is ended only 120 ms later: what came meanwhile. Then the guest takes what it gets, until it has all but
 * three of the ticks since the start, or @limit_ms are over. @ret_ticks: what it should have.
 */
static uint64_t late_ticks(uint64_t limit_ms, uint64_t *ret_ticks)
{
	uint64_t start = rdtsc(), nr = 1, ms = GUEST_ARG(TSC_KHZ);

	count_load(0, 2, TEN_MS);
	halt_once();
	CHECK_EQ(0x20, script_take());
	while (rdtsc() - start < ms * 120)
		window_open();
	CHECK_EQ(0, script_take());
	do {
		out8(MASTER, EOI);
		window_open();
		nr += script_take() == 0x20;
		*ret_ticks = pit_ticks(rdtsc() - start) / TEN_MS;
	} while (nr + 3 < *ret_ticks && rdtsc() - start < ms * limit_ms);
	count_load(0, 2, 0);
	return nr;
}

static void guest_late(void)
{
	uint64_t ticks, nr = late_ticks(2000, &ticks);

	CHECK(nr + 3 >= ticks);
}

/* One is kept by the 8259A. */
static void guest_late_dropped(void)
{
	uint64_t ticks, nr = late_ticks(300, &ticks);

	CHECK(nr + 7 <= ticks);
}

/* What came while the line was masked is not made up for: one that the 8259A has kept, and what comes anew. */
static void guest_unmasked(void)
{
	uint64_t start, nr = 0;

	count_load(0, 2, TEN_MS);
	start = rdtsc();
	while (rdtsc() - start < GUEST_ARG(TSC_KHZ) * 120)
		cpu_relax();
	out8(MASTER_MASK, 0xfe);
	start = rdtsc();
	while (rdtsc() - start < GUEST_ARG(TSC_KHZ) * 5) {
		window_open();
		nr += script_take() == 0x20;
		out8(MASTER, EOI);
	}
	CHECK(nr >= 1);
	CHECK(nr <= 3 + pit_ticks(rdtsc() - start) / TEN_MS);
	count_load(0, 2, 0);
}

static void guest_pending(void)
{
	do
		out8(MASTER, READ_IRR);
	while (!(in8(MASTER) & 1));
}

/* What the CPU was told of before the reset may still come, as the spurious interrupt. */
static void guest_reset_drain(void)
{
	window_open();
	script_take();
	out8(MASTER, EOI);
}

/* A tick that came before the timer was stopped. */
static void guest_drain(void)
{
	uint64_t taken;

	window_open();
	taken = script_take();
	CHECK(taken == 0 || taken == 0x20);
	out8(MASTER, EOI);
}

static uint16_t latch_read(unsigned int channel)
{
	out8(CONTROL, SELECT(channel));
	return read_both(CHANNEL(channel));
}

/*
 * What the count of @channel lost lies between what the inner and the outer of four TSC readings allow, a tenth and two
 * counts for the clocks' difference. @by: how many each tick takes.
 */
static void check_rate(unsigned int channel, uint8_t mode, unsigned int by)
{
	uint64_t inner = 0, outer = 0, lost = 0;
	unsigned int i;

	for (i = 0; i < 50; i++) {
		uint64_t tsc[4];
		uint16_t start, end;

		count_load(channel, mode, 0xffff);
		tsc[0] = rdtsc();
		start = latch_read(channel);
		tsc[1] = rdtsc();
		while (pit_ticks(rdtsc() - tsc[1]) < 4000)
			cpu_relax();
		tsc[2] = rdtsc();
		end = latch_read(channel);
		tsc[3] = rdtsc();
		inner = pit_ticks(tsc[2] - tsc[1]) * by;
		outer = pit_ticks(tsc[3] - tsc[0]) * by;
		lost = (uint16_t)(start - end);
		if (outer < inner * 3 / 2 && outer < 0x7000)
			break;
	}
	CHECK(lost + 2 >= inner - inner / 10);
	CHECK(lost <= outer + outer / 10 + 2);
}

static void guest_rate_mode0(void)
{
	check_rate(2, 0, 1);
}

static void guest_rate_mode2(void)
{
	check_rate(2, 2, 1);
}

static void guest_rate_mode3(void)
{
	check_rate(2, 3, 2);
}

/* Channel 0, whose end is an interrupt. */
static void guest_rate_timer(void)
{
	check_rate(0, 0, 1);
	check_rate(0, 2, 1);
	check_rate(0, 3, 2);
}

static bool out2(void)
{
	return in8(PORT61) & 0x20;
}

/* True when @mode's output is @want in the first @ticks after a load; again while the machine was too slow to see. */
static bool out2_at_start(uint8_t mode, bool want, uint64_t ticks)
{
	unsigned int i;

	for (i = 0; i < 50; i++) {
		uint64_t start = rdtsc();
		bool out;

		count_load(2, mode, 0xffff);
		out = out2();
		if (pit_ticks(rdtsc() - start) < ticks)
			return out == want;
	}
	return true;
}

/* Mode 0: low until the count is done, then high. */
static void guest_out_mode0(void)
{
	CHECK(out2_at_start(0, false, 0xe000));
	count_load(2, 0, 100);
	while (!out2())
		cpu_relax();
	CHECK(out2());
}

/* Mode 3: a square wave, high in the first half. */
static void guest_out_mode3(void)
{
	unsigned int changes = 0;
	bool last, now;

	CHECK(out2_at_start(3, true, 0x7000));
	count_load(2, 3, 20000);
	for (last = out2(); changes < 4; last = now) {
		now = out2();
		changes += now != last;
	}
	CHECK_EQ(4, changes);
}

/* The gate's rise restarts modes 1, 2, 3 and 5. */
static void guest_gate_restarts(void)
{
	unsigned int i;
	uint16_t count = 0;

	out8(PORT61, 0);
	count_load(2, 2, 0xffff);
	for (i = 0; i < 50; i++) {
		uint64_t start;

		while (latch_read(2) > 0x8000)
			cpu_relax();
		out8(PORT61, 0);
		start = rdtsc();
		out8(PORT61, 1);
		count = latch_read(2);
		if (pit_ticks(rdtsc() - start) < 0x4000)
			break;
	}
	CHECK(count > 0x8000);
}

/* The refresh bit toggles. */
static void guest_refresh(void)
{
	unsigned int changes = 0;
	uint8_t last = in8(PORT61), now;

	for (; changes < 3; last = now) {
		now = in8(PORT61);
		changes += (now ^ last) >> 4 & 1;
	}
	CHECK_EQ(3, changes);
}

#define MILLISECOND 1193
#define LOAD(channel_, control_, low_, high_)						\
	OUT8(CONTROL, SELECT(channel_) | (control_)), OUT8(CHANNEL(channel_), low_), OUT8(CHANNEL(channel_), high_)
#define LOAD_MS(mode_) LOAD(0, LOW_HIGH | MODE(mode_), MILLISECOND & 0xff, MILLISECOND >> 8)
#define START HOST_DO(create), PIC_INIT

static const struct row rows[] = {
	/* --- words and counts --- */
	{ .label = "control_words", .ops = OPS {
		START, OUT8(CONTROL, SELECT(0) | LOW_HIGH | MODE(2)),
		OUT8(CONTROL, SELECT(1) | LOW_ONLY | MODE(4) | BCD),
		OUT8(CONTROL, SELECT(2) | HIGH_ONLY | MODE(5)), HOST_DO(control_words), END } },
	{ .label = "mode_aliases", .ops = OPS {
		/* 6 is 2 and 7 is 3: their first bit does not count. */
		START, OUT8(CONTROL, SELECT(0) | LOW_HIGH | MODE(6)),
		OUT8(CONTROL, SELECT(1) | LOW_HIGH | MODE(7) | BCD),
		OUT8(CONTROL, SELECT(2) | LOW_HIGH | MODE(0)), HOST_DO(control_aliases), END } },
	{ .label = "counts", .ops = OPS {
		START, LOAD(0, LOW_HIGH | MODE(5), 0x34, 0x12), OUT8(CONTROL, SELECT(1) | LOW_ONLY | MODE(2)),
		OUT8(CHANNEL(1), 0x56),
		OUT8(CONTROL, SELECT(2) | HIGH_ONLY | MODE(2)), OUT8(CHANNEL(2), 0x78), HOST_DO(counts), END } },
	{ .label = "counts_zero", .ops = OPS {
		START, LOAD(0, LOW_HIGH | MODE(5), 0, 0), LOAD(1, LOW_HIGH | MODE(2), 0, 0),
		OUT8(CONTROL, SELECT(2) | LOW_ONLY | MODE(2)),
		OUT8(CHANNEL(2), 0), HOST_DO(counts_zero), END } },
	{ .label = "counts_half", .ops = OPS {
		START, LOAD(0, LOW_HIGH | MODE(5), 0x34, 0x12), OUT8(CHANNEL(0), 0x99), HOST_DO(counts_half),
		OUT8(CHANNEL(0), 0x12),
		LOAD(0, LOW_HIGH | MODE(5), 0x34, 0x12), LOAD(1, LOW_ONLY | MODE(2), 0x11, 0x56),
		OUT8(CONTROL, SELECT(2) | HIGH_ONLY | MODE(2)),
		OUT8(CHANNEL(2), 0x78), HOST_DO(counts), END } },

	/* --- latches --- */
	{ .label = "latch", .ops = OPS {
		START, OUT8(CONTROL, SELECT(2) | LOW_HIGH | MODE(2)), OUT8(CONTROL, SELECT(2)), HOST_DO(latched),
		END } },
	{ .label = "latched_bytes", .ops = OPS {
		START, OUT8(CONTROL, SELECT(0) | HIGH_ONLY | MODE(5)), OUT8(CONTROL, SELECT(2) | LOW_HIGH | MODE(2)),
		HOST_DO(set_latched),
		IN8(CHANNEL(2), 0xef), IN8(CHANNEL(2), 0xbe), IN8(CHANNEL(1), 0x5a), IN8(CHANNEL(0), 0xc0),
		HOST_DO(nothing_latched),
		END } },
	{ .label = "latch_stays", .ops = OPS {
		/* Neither latch command overwrites what was not read. */
		START, OUT8(CONTROL, SELECT(2) | LOW_HIGH | MODE(2)), HOST_DO(set_latched), OUT8(CONTROL, SELECT(2)),
		OUT8(CONTROL, READ_BACK | NO_STATUS | OF(2)), OUT8(CONTROL, READ_BACK | NO_COUNT | OF(1)),
		IN8(CHANNEL(2), 0xef),
		OUT8(CONTROL, SELECT(2)), IN8(CHANNEL(2), 0xbe), IN8(CHANNEL(1), 0x5a), END } },
	{ .label = "read_back_status", .ops = OPS {
		START, OUT8(CONTROL, SELECT(1) | LOW_ONLY | MODE(4) | BCD),
		OUT8(CONTROL, SELECT(2) | LOW_HIGH | MODE(3)),
		OUT8(CONTROL, READ_BACK | NO_COUNT | OF(1) | OF(2)), HOST_DO(status_latched),
		IN8_BITS(CHANNEL(1), 0x3f, 0x19),
		IN8_BITS(CHANNEL(2), 0x3f, 0x36), HOST_DO(nothing_latched), END } },
	{ .label = "read_back_both", .ops = OPS {
		/* Status comes first, then the count. */
		START, OUT8(CONTROL, SELECT(2) | HIGH_ONLY | MODE(2)), OUT8(CHANNEL(2), 0xff),
		OUT8(CONTROL, READ_BACK | OF(2)),
		HOST_DO(both_latched), IN8_BITS(CHANNEL(2), 0x3f, 0x24), HOST_DO(set_high_latched),
		IN8(CHANNEL(2), 0x7e),
		HOST_DO(nothing_latched), END } },
	{ .label = "read_back_nothing", .ops = OPS {
		START, OUT8(CONTROL, READ_BACK | NO_COUNT | NO_STATUS | OF(0) | OF(1) | OF(2)),
		OUT8(CONTROL, READ_BACK),
		HOST_DO(nothing_latched), END } },

	/* --- running --- */
	{ .label = "rate_mode0", .ops = OPS { START, GUEST_DO(guest_rate_mode0), END } },
	{ .label = "rate_mode2", .ops = OPS { START, GUEST_DO(guest_rate_mode2), END } },
	{ .label = "rate_mode3", .ops = OPS { START, GUEST_DO(guest_rate_mode3), END } },
	{ .label = "rate_timer", .ops = OPS { START, OUT8(MASTER_MASK, 0xff), GUEST_DO(guest_rate_timer), END } },
	{ .label = "out_mode0", .ops = OPS { START, OUT8(PORT61, 1), GUEST_DO(guest_out_mode0), END } },
	{ .label = "out_mode3", .ops = OPS { START, OUT8(PORT61, 1), GUEST_DO(guest_out_mode3), END } },
	{ .label = "gate_restarts", .ops = OPS { START, GUEST_DO(guest_gate_restarts), END } },
	{ .label = "port61", .ops = OPS {
		START, IN8_BITS(PORT61, 3, 0), OUT8(PORT61, 1), IN8_BITS(PORT61, 3, 1), OUT8(PORT61, 2),
		IN8_BITS(PORT61, 3, 2),
		OUT8(PORT61, 3), IN8_BITS(PORT61, 3, 3), HOST_DO(speaker_on), OUT8(PORT61, 0xfc),
		IN8_BITS(PORT61, 3, 0), END } },
	{ .label = "refresh", .ops = OPS { START, GUEST_DO(guest_refresh), END } },
	{ .label = "no_speaker", .ops = OPS {
		HOST_DO(create_no_speaker), OUT8_EXIT(PORT61, 3, .reason = KVM_EXIT_IO,
			.io = { .direction = KVM_EXIT_IO_OUT, .port = PORT61, .size = 1, .count = 1, .data = 3 }),
			END } },

	/* --- the interrupt --- */
	{ .label = "irq_mode2", .ops = OPS { START, LOAD_MS(2), GUEST_DO(guest_periods), END } },
	{ .label = "irq_mode3", .ops = OPS { START, LOAD_MS(3), GUEST_DO(guest_periods), END } },
	{ .label = "irq_short", .needs = "param:kvm.min_timer_period_us=200", .ops = OPS {
		START, GUEST_DO(guest_short_period), GUEST_DO(guest_drain), END } },
	{ .label = "irq_mode0", .ops = OPS { START, LOAD_MS(0), HALT(0x20), OUT8(MASTER, EOI), GUEST_DO(guest_quiet),
		LOAD_MS(0),
		HALT(0x20), END } },
	{ .label = "irq_mode4", .ops = OPS { START, LOAD_MS(4), HALT(0x20), OUT8(MASTER, EOI), GUEST_DO(guest_quiet),
		END } },
	{ .label = "irq_stopped", .ops = OPS {
		/* Mode 5 waits for its gate, which channel 0 does not have: the old timer is gone. */
		START, HOST_DO(reinject_off), LOAD_MS(2), HALT(0x20), LOAD_MS(5), OUT8(MASTER, EOI),
		GUEST_DO(guest_drain), GUEST_DO(guest_quiet), END } },
	{ .label = "irq_ioapic", .ops = OPS {
		START, OUT8(MASTER_MASK, 0xff), LAPIC_ON, IO_ENTRY(0, 0, 0x51), LOAD_MS(2),
		GUEST_DO(guest_periods_ioapic), END } },
	{ .label = "irq_no_reinject", .ops = OPS {
		START, HOST_DO(reinject_off), LOAD_MS(2), GUEST_DO(guest_periods), END } },
	{ .label = "irq_reinject", .ops = OPS {
		/* Each tick waits for the end of the one before. */
		START, LOAD_MS(2), HALT(0x20), GUEST_DO(guest_quiet), OUT8(MASTER, EOI), HALT(0x20),
		OUT8(MASTER, EOI), HALT(0x20), END } },
	{ .label = "irq_late", .ops = OPS {
		/* As many ticks as there were, however late. */
		START, GUEST_DO(guest_late), END } },
	{ .label = "irq_late_no_reinject", .ops = OPS {
		START, HOST_DO(reinject_off), GUEST_DO(guest_late_dropped), END } },
	{ .label = "irq_unmasked", .ops = OPS { START, OUT8(MASTER_MASK, 0xff), GUEST_DO(guest_unmasked), END } },
	{ .label = "irq_behind_pic_reset", .ops = OPS {
		/* ICW1 takes a tick away that is pending: the next one waits for no end of it. */
		START, LOAD_MS(2), GUEST_DO(guest_pending), PIC_INIT, GUEST_DO(guest_reset_drain), HALT(0x20),
		OUT8(MASTER, EOI), HALT(0x20), END } },
	{ .label = "irq_nmi", .ops = OPS {
		/* LINT0 in NMI mode gets each tick beside the interrupt: the watchdog of old. */
		START, OUT8(MASTER_MASK, 0xff), LAPIC_ON, WRITE32(APIC_LVT_LINT0, LVT_NMI), LOAD_MS(0),
		HALT(NMI_VECTOR),
		WRITE32(APIC_LVT_LINT0, LVT_MASKED | LVT_NMI), LOAD_MS(0), GUEST_DO(guest_quiet), END } },
};

CASE(pit_guest, .says = "the 8254 does what its datasheet says", .modes = LONG64, .irqchip = true,
     .needs = "KVM_CAP_PIT2 KVM_CAP_PIT_STATE2 KVM_CAP_REINJECT_CONTROL", .rows = ROWS(rows))

GUEST(pit_guest)
{
	script_guest(GUEST_ROW(rows)->ops);
}

HOST(pit_guest)
{
	guest_arg(t, TSC_KHZ, vcpu_ioctl_value(t->vcpu, KVM_GET_TSC_KHZ, 0));
	script_host(t, ROW(t, rows)->ops);
}

/* SPDX-License-Identifier: MIT */
/* The local APIC against SDM vol. 3A, chapter 11. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "soft_chips_fixture.h"

#define ID 0x20
#define VERSION 0x30
#define TPR 0x80
#define PPR 0xa0
#define EOI 0xb0
#define LDR 0xd0
#define DFR 0xe0
#define SVR 0xf0
#define ISR(vector) (0x100 + (vector) / 32 * 16)
#define IRR(vector) (0x200 + (vector) / 32 * 16)
#define TMR(vector) (0x180 + (vector) / 32 * 16)
#define BIT_OF(vector) (1u << (vector) % 32)
#define ICR 0x300
#define ICR_HIGH 0x310
#define TMICT 0x380
#define TMCCT 0x390
#define TDCR 0x3e0
#define SELF (1u << 18)
#define ALL (2u << 18)
#define OTHERS (3u << 18)
#define LOGICAL (1u << 11)
#define LEVEL (1u << 15)
#define ASSERT (1u << 14)
#define MASKED (1u << 16)
#define BASE_XAPIC (LAPIC_BASE_RESET | LAPIC_BASE_ENABLE)
#define BASE_X2APIC (BASE_XAPIC | LAPIC_BASE_X2APIC)
#define PHYSICAL_BITS 48

static int setup(void **state)
{
	static struct chips chips;

	chips_create(&chips, IRQCHIP_KERNEL);
	*state = &chips;
	return 0;
}

static int teardown(void **state)
{
	chips_destroy(*state);
	return 0;
}

static void ipi(struct chips *chips, unsigned int from, uint8_t destination, uint32_t low)
{
	chips_lapic_write(chips, from, ICR_HIGH, (uint32_t)destination << 24);
	chips_lapic_write(chips, from, ICR, low);
}

/* Takes what each has pending, and compares: a nibble-free list, 0 is nothing. */
static void expect_taken(struct chips *chips, int v0, int v1, int v2, int v3)
{
	const int want[] = { v0, v1, v2, v3 };
	unsigned int i;

	for (i = 0; i < CHIPS_NR_LAPICS; i++) {
		int got = irqchip_take(&chips->chip, &chips->lapics[i]);

		assert_int_equal(got < 0 ? 0 : got, want[i]);
		if (got >= 0)
			lapic_eoi(&chips->lapics[i]);
	}
}

static void test_reset(void **state)
{
	struct chips *chips = *state;

	assert_int_equal(chips_lapic_read(chips, 1, VERSION), 0x00050014);
	assert_int_equal(chips_lapic_read(chips, 1, ID), 0x01000000);
	assert_int_equal(chips_lapic_read(chips, 1, DFR), 0xffffffff);
	assert_int_equal(chips_lapic_read(chips, 1, LAPIC_LVT_LINT0), MASKED);
	assert_int_equal(chips_lapic_read(chips, 0, LAPIC_LVT_LINT0), 0x700);
	assert_true(chips->lapics[0].base == (BASE_XAPIC | LAPIC_BASE_BSP));
	assert_true(chips->lapics[1].base == BASE_XAPIC);
	lapic_reset(&chips->lapics[1], false, true);
	assert_int_equal(chips_lapic_read(chips, 1, SVR), 0xff);
}

static void test_writable(void **state)
{
	static const struct {
		unsigned int offset;
		uint32_t mask;
	} rows[] = {
		{ ID, 0xff000000 }, { VERSION, 0 }, { TPR, 0xff }, { LDR, 0xff000000 }, { SVR, 0x3ff },
		{ LAPIC_LVT_TIMER, 0x710ff }, { LAPIC_LVT_PERF, 0x117ff }, { LAPIC_LVT_LINT1, 0x1f7ff },
		{ LAPIC_LVT_ERROR, 0x110ff }, { ICR_HIGH, 0xff000000 }, { TDCR, 0xb }, { 0x200, 0 },
	};
	struct chips *chips = *state;
	unsigned int i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t before = chips_lapic_read(chips, 2, rows[i].offset);

		chips_lapic_write(chips, 2, rows[i].offset, 0xffffffff);
		assert_int_equal(chips_lapic_read(chips, 2, rows[i].offset),
				 rows[i].mask ? rows[i].mask : before);
	}
}

/* Aligned words only are written; any part of one is read. */
static void test_sizes(void **state)
{
	struct chips *chips = *state;
	uint64_t value = ~0ull;

	chips_lapic_write(chips, 0, LDR, 0x5a000000);
	lapic_mmio_write(&chips->lapics[0], LAPIC_BASE_RESET + LDR, 2, &value);
	lapic_mmio_write(&chips->lapics[0], LAPIC_BASE_RESET + LDR + 4, 4, &value);
	lapic_mmio_read(&chips->lapics[0], LAPIC_BASE_RESET + LDR + 3, 1, &value);
	assert_int_equal(value & 0xff, 0x5a);
	assert_int_equal(chips_lapic_read(chips, 0, LDR), 0x5a000000);
	assert_int_not_equal(lapic_mmio_read(&chips->lapics[0], LAPIC_BASE_RESET + 0x1000, 4, &value), 0);
}

static void test_priority(void **state)
{
	struct chips *chips = *state;
	struct lapic *lapic = &chips->lapics[1];

	chips_lapic_write(chips, 1, ICR, SELF | 0x51);
	assert_int_equal(irqchip_take(&chips->chip, lapic), 0x51);
	assert_int_equal(chips_lapic_read(chips, 1, PPR), 0x50);
	assert_int_equal(chips_lapic_read(chips, 1, ISR(0x51)), BIT_OF(0x51));
	chips_lapic_write(chips, 1, ICR, SELF | 0x5f);	/* of the same class */
	assert_false(irqchip_has_interrupt(&chips->chip, lapic));
	chips_lapic_write(chips, 1, ICR, SELF | 0x61);
	assert_int_equal(irqchip_take(&chips->chip, lapic), 0x61);
	chips_lapic_write(chips, 1, EOI, 0);
	assert_int_equal(chips_lapic_read(chips, 1, PPR), 0x50);
	chips_lapic_write(chips, 1, TPR, 0x55);
	assert_int_equal(chips_lapic_read(chips, 1, PPR), 0x55);
	chips_lapic_write(chips, 1, EOI, 0);
	assert_int_equal(irqchip_take(&chips->chip, lapic), -1);
	lapic_cr8_set(lapic, 4);
	assert_int_equal(chips_lapic_read(chips, 1, TPR), 0x40);
	assert_int_equal(irqchip_take(&chips->chip, lapic), 0x5f);
}

static void test_ipi(void **state)
{
	struct chips *chips = *state;
	unsigned int i;

	ipi(chips, 1, 3, 0x51);
	expect_taken(chips, 0, 0, 0, 0x51);
	ipi(chips, 1, 3, OTHERS | 0x52);
	expect_taken(chips, 0x52, 0, 0x52, 0x52);
	ipi(chips, 1, 3, ALL | 0x53);
	expect_taken(chips, 0x53, 0x53, 0x53, 0x53);
	ipi(chips, 1, 0xff, 0x54);
	expect_taken(chips, 0x54, 0x54, 0x54, 0x54);
	ipi(chips, 1, 9, 0x55);
	expect_taken(chips, 0, 0, 0, 0);
	for (i = 0; i < CHIPS_NR_LAPICS; i++)
		chips_lapic_write(chips, i, LDR, 1u << (24 + i));
	ipi(chips, 0, 0x0a, LOGICAL | 0x56);
	expect_taken(chips, 0, 0x56, 0, 0x56);
	for (i = 0; i < CHIPS_NR_LAPICS; i++) {
		chips_lapic_write(chips, i, DFR, 0);
		chips_lapic_write(chips, i, LDR, (i / 2 + 1) << 28 | 1u << (24 + i % 2));
	}
	ipi(chips, 0, 0x23, LOGICAL | 0x57);
	expect_taken(chips, 0, 0, 0x57, 0x57);
	ipi(chips, 0, 0x12, LOGICAL | 0x58);
	expect_taken(chips, 0, 0x58, 0, 0);
	ipi(chips, 0, 0x23, LOGICAL | APIC_LOWEST << 8 | 0x59);
	expect_taken(chips, 0, 0, 0, 0x59);	/* by 59h modulo two of them */
}

static void test_levels_and_events(void **state)
{
	struct chips *chips = *state;

	ipi(chips, 0, 2, LEVEL | ASSERT | 0x51);
	assert_int_equal(chips_lapic_read(chips, 2, TMR(0x51)), BIT_OF(0x51));
	expect_taken(chips, 0, 0, 0x51, 0);
	ipi(chips, 0, 2, LEVEL | 0x51);
	ipi(chips, 0, 2, LEVEL | APIC_INIT << 8);
	expect_taken(chips, 0, 0, 0, 0);
	assert_int_equal(chips->events[2], 0);
	ipi(chips, 0, 2, APIC_NMI << 8);
	ipi(chips, 0, 2, LEVEL | ASSERT | APIC_INIT << 8);
	ipi(chips, 0, 2, APIC_SIPI << 8 | 0x9a);
	assert_int_equal(chips->events[2], 1u << APIC_NMI | 1u << APIC_INIT | 1u << APIC_SIPI);
	assert_int_equal(chips->event_vector, 0x9a);
	assert_int_equal(chips->events[0] | chips->events[1] | chips->events[3], 0);
}

static void test_software_disable(void **state)
{
	struct chips *chips = *state;

	chips_lapic_write(chips, 1, LAPIC_LVT_TIMER, 0x31);
	chips_lapic_write(chips, 1, ICR, SELF | 0x61);
	chips_lapic_write(chips, 1, SVR, 0xff);
	assert_int_equal(chips_lapic_read(chips, 1, LAPIC_LVT_TIMER), MASKED | 0x31);
	chips_lapic_write(chips, 1, LAPIC_LVT_TIMER, 0x32);
	assert_int_equal(chips_lapic_read(chips, 1, LAPIC_LVT_TIMER), MASKED | 0x32);
	ipi(chips, 0, 1, 0x51);
	assert_int_equal(chips_lapic_read(chips, 1, IRR(0x51)), 0);
	expect_taken(chips, 0, 0x61, 0, 0);
}

static void test_one_shot(void **state)
{
	struct chips *chips = *state;
	struct lapic *lapic = &chips->lapics[1];

	chips_lapic_write(chips, 1, TDCR, 0xb);		/* by 1 */
	chips_lapic_write(chips, 1, LAPIC_LVT_TIMER, 0x51);
	chips_lapic_write(chips, 1, TMICT, 1000);
	assert_true(lapic_deadline_ns(lapic) == chips->now_ns + 1000);
	chips->now_ns += 400;
	irqchip_advance(&chips->chip);
	assert_int_equal(chips_lapic_read(chips, 1, TMCCT), 600);
	chips_lapic_write(chips, 1, TDCR, 0);		/* by 2: 600 are left */
	assert_int_equal(chips_lapic_read(chips, 1, TMCCT), 600);
	assert_true(lapic_deadline_ns(lapic) == chips->now_ns + 1200);
	chips->now_ns += 1200;
	irqchip_advance(&chips->chip);
	assert_int_equal(chips_lapic_read(chips, 1, TMCCT), 0);
	assert_true(lapic_deadline_ns(lapic) == ~0ull);
	expect_taken(chips, 0, 0x51, 0, 0);
}

static void test_periodic(void **state)
{
	struct chips *chips = *state;

	chips_lapic_write(chips, 1, TDCR, 0xb);
	chips_lapic_write(chips, 1, LAPIC_LVT_TIMER, 1u << 17 | 0x51);
	chips_lapic_write(chips, 1, TMICT, 300000);
	chips->now_ns += 300000;
	irqchip_advance(&chips->chip);
	expect_taken(chips, 0, 0x51, 0, 0);
	assert_true(lapic_deadline_ns(&chips->lapics[1]) == chips->now_ns + 300000);
	chips_lapic_write(chips, 1, LAPIC_LVT_TIMER, MASKED | 1u << 17 | 0x51);
	chips->now_ns += 300000;
	irqchip_advance(&chips->chip);
	expect_taken(chips, 0, 0, 0, 0);
	/* KVM's shortest period. */
	chips_lapic_write(chips, 1, TMICT, 1000);
	assert_true(lapic_deadline_ns(&chips->lapics[1]) == chips->now_ns + 200000);
}

static void test_tsc_deadline(void **state)
{
	struct chips *chips = *state;
	struct lapic *lapic = &chips->lapics[1];

	lapic_tsc_deadline_set(lapic, 5);
	assert_true(lapic_tsc_deadline_get(lapic) == 0);	/* not the timer's mode */
	chips_lapic_write(chips, 1, TMICT, 1000);
	chips_lapic_write(chips, 1, LAPIC_LVT_TIMER, 2u << 17 | 0x51);
	assert_true(lapic_deadline_ns(lapic) == ~0ull);		/* the change disarms */
	assert_int_equal(chips_lapic_read(chips, 1, TMICT), 0);
	chips_lapic_write(chips, 1, TMICT, 1000);
	assert_int_equal(chips_lapic_read(chips, 1, TMICT), 0);
	lapic_tsc_deadline_set(lapic, 2 * chips->now_ns + 2000);
	assert_in_range(lapic_deadline_ns(lapic), chips->now_ns + 1000, chips->now_ns + 1001);
	chips->now_ns += 999;
	irqchip_advance(&chips->chip);
	expect_taken(chips, 0, 0, 0, 0);
	chips->now_ns += 1;
	irqchip_advance(&chips->chip);
	expect_taken(chips, 0, 0x51, 0, 0);
	assert_true(lapic_tsc_deadline_get(lapic) == 0);
}

static void test_x2apic(void **state)
{
	struct chips *chips = *state;
	struct lapic *lapic = &chips->lapics[3];
	uint64_t value;

	assert_int_not_equal(lapic_msr_read(lapic, 0x802, &value), 0);
	assert_int_equal(lapic_base_set(lapic, BASE_X2APIC, PHYSICAL_BITS, false), 0);
	assert_int_equal(lapic_msr_read(lapic, 0x802, &value), 0);
	assert_int_equal(value, 3);
	assert_int_equal(lapic_msr_read(lapic, 0x80d, &value), 0);
	assert_int_equal(value, 8);
	assert_int_equal(lapic_msr_write(lapic, 0x830, 0x200000051ull), 0);
	assert_int_equal(lapic_msr_read(lapic, 0x830, &value), 0);
	assert_true(value == 0x200000051ull);
	expect_taken(chips, 0, 0, 0x51, 0);
	assert_int_equal(lapic_msr_write(lapic, 0x83f, 0x61), 0);
	expect_taken(chips, 0, 0, 0, 0x61);
	assert_int_not_equal(lapic_msr_write(lapic, 0x83f, 0x161), 0);
	assert_int_not_equal(lapic_msr_write(lapic, 0x830, 1u << 13), 0);
	assert_int_not_equal(lapic_msr_write(lapic, 0x808, 1ull << 32), 0);
	assert_int_not_equal(lapic_msr_write(lapic, 0x802, 0), 0);
	assert_int_not_equal(lapic_msr_read(lapic, 0x80e, &value), 0);
	assert_int_not_equal(lapic_msr_read(lapic, 0x831, &value), 0);
	assert_int_not_equal(lapic_msr_read(lapic, 0x80b, &value), 0);
	assert_int_not_equal(lapic_msr_read(lapic, 0x8ff, &value), 0);
}

static void test_base(void **state)
{
	struct chips *chips = *state;
	struct lapic *lapic = &chips->lapics[1];
	uint32_t value;

	assert_int_not_equal(lapic_base_set(lapic, BASE_XAPIC | 1, PHYSICAL_BITS, false), 0);
	assert_int_not_equal(lapic_base_set(lapic, BASE_XAPIC | 1ull << 48, PHYSICAL_BITS, true), 0);
	assert_int_not_equal(lapic_base_set(lapic, LAPIC_BASE_RESET | LAPIC_BASE_X2APIC, PHYSICAL_BITS, true), 0);
	assert_int_equal(lapic_base_set(lapic, BASE_X2APIC, PHYSICAL_BITS, false), 0);
	assert_int_not_equal(lapic_base_set(lapic, BASE_XAPIC, PHYSICAL_BITS, false), 0);
	assert_int_equal(lapic_base_set(lapic, LAPIC_BASE_RESET, PHYSICAL_BITS, false), 0);
	assert_int_not_equal(lapic_base_set(lapic, BASE_X2APIC, PHYSICAL_BITS, false), 0);
	/* Nobody's memory. */
	assert_int_equal(lapic_mmio_read(lapic, LAPIC_BASE_RESET + VERSION, 4, &value), 0);
	assert_int_equal(value, 0xffffffff);
	lapic->has_no_mmio_hole = true;
	assert_int_not_equal(lapic_mmio_read(lapic, LAPIC_BASE_RESET + VERSION, 4, &value), 0);
	assert_int_equal(lapic_base_set(lapic, BASE_XAPIC + 0x100000, PHYSICAL_BITS, false), 0);
	assert_int_equal(lapic_mmio_read(lapic, LAPIC_BASE_RESET + 0x100000 + ID, 4, &value), 0);
	assert_int_equal(value, 0x01000000);
}

static void test_state(void **state)
{
	struct chips *chips = *state;
	struct lapic *lapic = &chips->lapics[1];
	struct kvm_lapic_state set;

	lapic_state_get(lapic, &set);
	set.regs[0x100 + 0x20] = 0x02;		/* ISR 41h */
	set.regs[0x200 + 0x20 + 2] = 0x04;	/* IRR 52h */
	set.regs[VERSION] = 0x77;
	assert_int_equal(lapic_state_set(lapic, &set), 0);
	assert_int_equal(chips_lapic_read(chips, 1, PPR), 0x40);
	assert_int_equal(chips_lapic_read(chips, 1, VERSION), 0x00050014);
	assert_int_equal(irqchip_take(&chips->chip, lapic), 0x52);
	assert_int_equal(lapic_base_set(lapic, BASE_X2APIC, PHYSICAL_BITS, false), 0);
	lapic_state_get(lapic, &set);
	assert_int_equal(set.regs[ID + 3], 1);
	irqchip_x2apic_api(&chips->chip, true, false);
	lapic_state_get(lapic, &set);
	assert_int_equal(set.regs[ID], 1);
	set.regs[LDR] = 0x50;
	assert_int_equal(lapic_state_set(lapic, &set), 0);
	lapic_state_get(lapic, &set);
	assert_int_equal(set.regs[LDR], 2);
	set.regs[ID] = 2;
	assert_int_not_equal(lapic_state_set(lapic, &set), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_reset), TEST(test_writable), TEST(test_sizes), TEST(test_priority), TEST(test_ipi),
		TEST(test_levels_and_events), TEST(test_software_disable), TEST(test_one_shot), TEST(test_periodic),
		TEST(test_tsc_deadline), TEST(test_x2apic), TEST(test_base), TEST(test_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

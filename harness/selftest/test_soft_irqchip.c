/* SPDX-License-Identifier: MIT */
/* The I/O APIC, the routing table, MSIs, and the controllers together. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "soft_chips_fixture.h"

#define TO(id) ((uint64_t)(id) << 56)
#define MASKED (1u << 16)
#define LEVEL (1u << 15)
#define REMOTE_IRR (1u << 14)
#define LOGICAL (1u << 11)
#define PIN(gsi_, chip_, pin_)								\
	{ .gsi = gsi_, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = { .irqchip = chip_, .pin = pin_ } }
#define MSI(gsi_, low_, data_)								\
	{ .gsi = gsi_, .type = KVM_IRQ_ROUTING_MSI, .u.msi = { .address_lo = low_, .data = data_ } }

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

static int take(struct chips *chips, unsigned int lapic)
{
	return irqchip_take(&chips->chip, &chips->lapics[lapic]);
}

static void end(struct chips *chips, unsigned int lapic)
{
	lapic_eoi(&chips->lapics[lapic]);
}

static void test_edge(void **state)
{
	struct chips *chips = *state;

	chips_ioapic_entry(chips, 20, TO(2) | 0x51);
	assert_int_equal(chips_line(chips, 20, true), 1);
	assert_int_equal(chips_line(chips, 20, true), 0);
	assert_int_equal(chips_line(chips, 20, false), 1);
	assert_int_equal(take(chips, 2), 0x51);
	assert_int_equal(take(chips, 2), -1);
	end(chips, 2);
	chips_ioapic_entry(chips, 21, TO(2) | MASKED | 0x52);
	assert_int_equal(chips_line(chips, 21, true), -1);
	chips_ioapic_entry(chips, 21, TO(2) | 0x52);	/* not held pending */
	assert_int_equal(take(chips, 2), -1);
	chips_ioapic_entry(chips, 22, TO(9) | 0x53);
	assert_int_equal(chips_line(chips, 22, true), 0);
	chips_ioapic_entry(chips, 23, TO(0xff) | 0x54);
	assert_int_equal(chips_line(chips, 23, true), 4);
}

static void test_level(void **state)
{
	struct chips *chips = *state;

	chips_ioapic_entry(chips, 20, TO(1) | LEVEL | 0x51);
	assert_int_equal(chips_line(chips, 20, true), 1);
	assert_int_equal(chips_line(chips, 20, true), -1);
	assert_true(chips_ioapic_entry_get(chips, 20) == (TO(1) | LEVEL | REMOTE_IRR | 0x51));
	assert_int_equal(take(chips, 1), 0x51);
	end(chips, 1);		/* it is still up */
	assert_int_equal(chips->acked, 1u << 20);
	assert_int_equal(take(chips, 1), 0x51);
	chips_line(chips, 20, false);
	end(chips, 1);
	assert_true(chips_ioapic_entry_get(chips, 20) == (TO(1) | LEVEL | 0x51));
	assert_int_equal(take(chips, 1), -1);
	/* Masked while it is up, and unmasked. */
	chips_ioapic_entry(chips, 20, TO(1) | LEVEL | MASKED | 0x51);
	chips_line(chips, 20, true);
	assert_int_equal(take(chips, 1), -1);
	chips_ioapic_entry(chips, 20, TO(1) | LEVEL | 0x51);
	assert_int_equal(take(chips, 1), 0x51);
}

/* The RTC's ticks that are lost show in the status. */
static void test_rtc(void **state)
{
	struct chips *chips = *state;

	chips_ioapic_entry(chips, 8, 0x58);
	chips_lapic_write(chips, 0, LAPIC_LVT_LINT0, 0x10700);
	assert_int_equal(chips_line(chips, 8, true), 2);	/* and the 8259A */
	chips_line(chips, 8, false);
	assert_int_equal(chips_line(chips, 8, true), 0);
	chips_line(chips, 8, false);
	assert_int_equal(take(chips, 0), 0x58);
	end(chips, 0);
	assert_int_equal(chips_line(chips, 8, true), 1);
}

/* A line is up while one source holds it. */
static void test_sources(void **state)
{
	struct chips *chips = *state;

	chips_ioapic_entry(chips, 20, LEVEL | 0x51);
	irqchip_gsi_set(&chips->chip, IRQ_SOURCE_RESAMPLE, 20, true, false);
	chips_line(chips, 20, true);
	irqchip_gsi_set(&chips->chip, IRQ_SOURCE_RESAMPLE, 20, false, false);
	assert_int_equal(chips->chip.ioapic.state.irr, 1u << 20);
	chips_line(chips, 20, false);
	assert_int_equal(chips->chip.ioapic.state.irr, 0);
}

static void test_ioapic_state(void **state)
{
	struct chips *chips = *state;
	struct kvm_irqchip got = { .chip_id = KVM_IRQCHIP_IOAPIC };

	chips_ioapic_entry(chips, 20, TO(1) | LEVEL | 0x51);
	chips_ioapic_entry(chips, 21, TO(1) | 0x52);
	chips_line(chips, 20, true);
	chips_line(chips, 21, true);
	assert_int_equal(irqchip_get(&chips->chip, &got), 0);
	assert_int_equal(got.chip.ioapic.irr, 1u << 20);	/* the edge was delivered */
	got.chip.ioapic.redirtbl[22].bits = TO(3) | 0x53;
	got.chip.ioapic.irr = 1u << 22;
	assert_int_equal(irqchip_set(&chips->chip, &got), 0);
	assert_int_equal(take(chips, 3), 0x53);
	got.chip_id = 3;
	assert_int_equal(irqchip_get(&chips->chip, &got), -EINVAL);
	assert_int_equal(irqchip_set(&chips->chip, &got), -EINVAL);
}

static void test_msi(void **state)
{
	struct chips *chips = *state;
	struct kvm_msi msi = { .address_lo = 0xfee02000, .data = 0x51 };

	assert_int_equal(irqchip_signal_msi(&chips->chip, &msi), 1);
	assert_int_equal(take(chips, 2), 0x51);
	msi = (struct kvm_msi){ .address_lo = 0xfee09000, .data = 0x51 };
	assert_int_equal(irqchip_signal_msi(&chips->chip, &msi), 0);
	msi = (struct kvm_msi){ .address_lo = 0xfee03000, .data = APIC_NMI << 8 };
	assert_int_equal(irqchip_signal_msi(&chips->chip, &msi), 1);
	assert_int_equal(chips->events[3], 1u << APIC_NMI);
	msi.flags = 1;
	assert_int_equal(irqchip_signal_msi(&chips->chip, &msi), -EINVAL);
	irqchip_x2apic_api(&chips->chip, true, false);
	msi = (struct kvm_msi){ .address_lo = 0xfee02000, .address_hi = 1, .data = 0x51 };
	assert_int_equal(irqchip_signal_msi(&chips->chip, &msi), -EINVAL);
	msi.address_hi = 0x100;
	assert_int_equal(irqchip_signal_msi(&chips->chip, &msi), 0);
}

/* A table that is refused leaves the one before. */
static void test_routing(void **state)
{
	static const struct kvm_irq_routing_entry good[] = { PIN(5, 1, 3), PIN(6, 2, 7), MSI(40, 0xfee01000, 0x61) };
	static const struct kvm_irq_routing_entry bad[][2] = {
		{ PIN(7, 0, 1), PIN(IRQCHIP_MAX_ROUTES, 0, 1) },
		{ PIN(7, 0, 1), PIN(8, 0, 8) },
		{ PIN(7, 0, 1), PIN(8, 2, 24) },
		{ PIN(7, 0, 1), PIN(8, 3, 0) },
		{ PIN(7, 0, 1), PIN(7, 0, 2) },
		{ PIN(7, 0, 1), MSI(7, 0xfee00000, 0x30) },
		{ PIN(7, 0, 1), { .gsi = 8, .type = 99 } },
		{ PIN(7, 0, 1), { .gsi = 8, .type = KVM_IRQ_ROUTING_IRQCHIP, .flags = 1 } },
	};
	struct chips *chips = *state;
	unsigned int i;

	assert_int_equal(irqchip_set_routing(&chips->chip, 3, 0, good), 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(irqchip_set_routing(&chips->chip, 2, 0, bad[i]), -EINVAL);
	assert_int_equal(irqchip_set_routing(&chips->chip, 3, 1, good), -EINVAL);
	assert_int_equal(irqchip_set_routing(&chips->chip, IRQCHIP_MAX_ROUTES + 1, 0, good), -EINVAL);
	assert_int_equal(chips_line(chips, 7, true), -1);
	chips_line(chips, 5, true);
	assert_int_equal(chips->chip.pic.chips[1].irr, 1u << 3);
	chips_line(chips, 6, true);
	assert_int_equal(chips->chip.ioapic.state.irr, 1u << 7);
	assert_int_equal(chips_line(chips, 40, true), 1);
	assert_int_equal(chips_line(chips, 40, false), -1);
	assert_int_equal(take(chips, 1), 0x61);
	assert_int_equal(irqchip_set_routing(&chips->chip, 0, 0, NULL), 0);
	assert_int_equal(chips_line(chips, 5, true), -1);
}

static void test_creation(void **state)
{
	struct chips *chips = *state;
	struct irqchip none = { .kind = IRQCHIP_NONE };
	struct kvm_irqchip chip = { .chip_id = 0 };
	struct kvm_irq_level line = { .irq = 0 };
	struct kvm_pit_state2 pit;
	const struct irqchip_owner *owner = &chips->chip.owner;

	assert_int_equal(irqchip_create(&chips->chip, owner, &chips->ports, &chips->memory, false), -EEXIST);
	assert_int_equal(irqchip_create_split(&chips->chip, owner, 24, false), -EEXIST);
	assert_int_equal(irqchip_create(&none, owner, &chips->ports, &chips->memory, true), -EINVAL);
	assert_int_equal(irqchip_create_split(&none, owner, 24, true), -EEXIST);
	assert_int_equal(irqchip_create_split(&none, owner, ~0u, false), -EINVAL);
	assert_int_equal(irqchip_get(&none, &chip), -ENXIO);
	assert_int_equal(irqchip_line(&none, &line, false), -ENXIO);
	assert_int_equal(irqchip_create_pit(&none, &chips->ports, 0), -ENOENT);
	assert_int_equal(irqchip_get_pit2(&chips->chip, &pit), -ENXIO);
	assert_int_equal(irqchip_create_pit(&chips->chip, &chips->ports, KVM_PIT_SPEAKER_DUMMY), 0);
	assert_int_equal(irqchip_create_pit(&chips->chip, &chips->ports, 0), -EEXIST);
	assert_int_equal(irqchip_get_pit2(&chips->chip, &pit), 0);
}

/* From the timer to the vector, and back by the end of interrupt. */
static void test_pit(void **state)
{
	static const uint8_t control = 0x34, count = 0x40;
	struct chips *chips = *state;

	assert_int_equal(irqchip_create_pit(&chips->chip, &chips->ports, 0), 0);
	chips_ioapic_entry(chips, 0, 0x30);
	io_bus_write(&chips->ports, 0x43, 1, &control);
	io_bus_write(&chips->ports, 0x40, 1, &count);
	io_bus_write(&chips->ports, 0x40, 1, &count);
	chips->now_ns = irqchip_deadline_ns(&chips->chip, NULL);
	irqchip_advance(&chips->chip);
	chips_lapic_write(chips, 0, LAPIC_LVT_LINT0, 0x10700);
	assert_int_equal(take(chips, 0), 0x30);
	chips->now_ns = irqchip_deadline_ns(&chips->chip, NULL);
	irqchip_advance(&chips->chip);
	assert_int_equal(chips_lapic_read(chips, 0, 0x210), 0);	/* waits for the end */
	end(chips, 0);
	assert_int_equal(take(chips, 0), 0x30);
}

/* The 8259A comes before the local APIC, where LINT0 lets it. */
static void test_extint(void **state)
{
	struct chips *chips = *state;

	chips->chip.pic.chips[0].irq_base = 0x20;
	chips_lapic_write(chips, 0, 0x300, 1u << 18 | 0x91);
	chips_line(chips, 5, true);
	assert_int_equal(take(chips, 0), 0x25);
	assert_int_equal(take(chips, 0), 0x91);
	chips_line(chips, 4, true);
	assert_int_equal(take(chips, 1), -1);
}

/* Only a level of user space's I/O APIC leaves to it. */
static void test_split(void **state)
{
	static const struct kvm_irq_routing_entry routes[] = {
		MSI(0, 0xfee00000, LEVEL | 0x51), MSI(1, 0xfee00000, 0x52), MSI(24, 0xfee00000, LEVEL | 0x53),
	};
	static const struct kvm_irq_routing_entry pin = PIN(1, 0, 1);
	static const struct { int vector, exit; } rows[] = { { 0x51, 0x51 }, { 0x52, -1 }, { 0x53, -1 } };
	static const uint32_t gsis[] = { 0, 1, 24 };
	struct chips *chips = *state;
	unsigned int i;

	chips_destroy(chips);
	chips_create(chips, IRQCHIP_SPLIT);
	assert_int_equal(irqchip_set_routing(&chips->chip, 1, 0, &pin), -EINVAL);
	assert_int_equal(irqchip_set_routing(&chips->chip, 3, 0, routes), 0);
	for (i = 0; i < 3; i++) {
		chips->exit_vector = -1;
		chips_line(chips, gsis[i], true);
		assert_int_equal(take(chips, 0), rows[i].vector);
		end(chips, 0);
		assert_int_equal(chips->exit_vector, rows[i].exit);
	}
	assert_int_equal(chips_lapic_read(chips, 0, 0x30), 0x01050014);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_edge), TEST(test_level), TEST(test_rtc), TEST(test_sources), TEST(test_ioapic_state),
		TEST(test_msi), TEST(test_routing), TEST(test_creation), TEST(test_pit), TEST(test_extint),
		TEST(test_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

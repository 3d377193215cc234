/* SPDX-License-Identifier: MIT */
#include "soft_chips_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LAPIC_SVR 0xf0

static uint64_t on_now(void *opaque)
{
	return ((struct chips *)opaque)->now_ns;
}

static struct lapic_clock on_clock(void *opaque, uint32_t id)
{
	uint64_t now_ns = on_now(opaque);

	(void)id;
	return (struct lapic_clock){ .now_ns = now_ns, .tsc = 2 * now_ns, .tsc_khz = 2000000 };
}

static void on_kick(void *opaque, uint32_t id)
{
	(void)opaque;
	(void)id;
}

static void on_event(void *opaque, uint32_t id, enum apic_delivery kind, uint8_t vector)
{
	struct chips *chips = opaque;

	chips->events[id] |= 1u << kind;
	chips->event_vector = vector;
}

static void on_acked(void *opaque, uint32_t gsi)
{
	((struct chips *)opaque)->acked |= 1u << gsi;
}

static void on_eoi_exit(void *opaque, uint32_t id, uint8_t vector)
{
	(void)id;
	((struct chips *)opaque)->exit_vector = vector;
}

void chips_create(struct chips *chips, enum irqchip_kind kind)
{
	const struct irqchip_owner owner = {
		.opaque = chips, .now_ns = on_now, .clock = on_clock, .kick = on_kick, .event = on_event,
		.acked = on_acked, .eoi_exit = on_eoi_exit,
	};
	unsigned int i;

	memset(chips, 0, sizeof(*chips));
	chips->now_ns = 1000000;
	chips->exit_vector = -1;
	if (kind == IRQCHIP_KERNEL)
		assert_int_equal(irqchip_create(&chips->chip, &owner, &chips->ports, &chips->memory, false), 0);
	else
		assert_int_equal(irqchip_create_split(&chips->chip, &owner, 24, false), 0);
	for (i = 0; i < CHIPS_NR_LAPICS; i++) {
		assert_int_equal(irqchip_add_lapic(&chips->chip, &chips->lapics[i], i, i == 0), 0);
		chips_lapic_write(chips, i, LAPIC_SVR, 0x1ff);
	}
}

void chips_destroy(struct chips *chips)
{
	irqchip_destroy(&chips->chip);
	io_bus_clear(&chips->ports);
	io_bus_clear(&chips->memory);
}

void chips_lapic_write(struct chips *chips, unsigned int lapic, unsigned int offset, uint32_t value)
{
	assert_int_equal(lapic_mmio_write(&chips->lapics[lapic], LAPIC_BASE_RESET + offset, 4, &value), 0);
}

uint32_t chips_lapic_read(struct chips *chips, unsigned int lapic, unsigned int offset)
{
	uint32_t value;

	assert_int_equal(lapic_mmio_read(&chips->lapics[lapic], LAPIC_BASE_RESET + offset, 4, &value), 0);
	return value;
}

static void window_write(struct chips *chips, uint32_t index, uint32_t value)
{
	assert_int_equal(io_bus_write(&chips->memory, IOAPIC_ADDRESS, 4, &index), 0);
	assert_int_equal(io_bus_write(&chips->memory, IOAPIC_ADDRESS + 0x10, 4, &value), 0);
}

static uint32_t window_read(struct chips *chips, uint32_t index)
{
	uint32_t value;

	assert_int_equal(io_bus_write(&chips->memory, IOAPIC_ADDRESS, 4, &index), 0);
	assert_int_equal(io_bus_read(&chips->memory, IOAPIC_ADDRESS + 0x10, 4, &value), 0);
	return value;
}

void chips_ioapic_entry(struct chips *chips, unsigned int pin, uint64_t entry)
{
	window_write(chips, 0x11 + 2 * pin, entry >> 32);
	window_write(chips, 0x10 + 2 * pin, entry);
}

uint64_t chips_ioapic_entry_get(struct chips *chips, unsigned int pin)
{
	return (uint64_t)window_read(chips, 0x11 + 2 * pin) << 32 | window_read(chips, 0x10 + 2 * pin);
}

int chips_line(struct chips *chips, uint32_t gsi, bool level)
{
	struct kvm_irq_level line = { .irq = gsi, .level = level };

	assert_int_equal(irqchip_line(&chips->chip, &line, true), 0);
	return line.status;
}

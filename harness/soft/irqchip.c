/* SPDX-License-Identifier: MIT */
/*
 * The controllers as one: who is told what, and the ioctls of the VM. Where a line goes is irq_routes.c's.
 */
#include "harness/soft/irqchip_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void kick_all(void *opaque)
{
	struct irqchip *chip = opaque;

	chip->owner.kick(chip->owner.opaque, IRQCHIP_ALL_LAPICS);
}

/* The end of an interrupt of @pin of controller @id, by the GSI that leads there. */
static void pin_acked(struct irqchip *chip, uint32_t id, unsigned int pin)
{
	int gsi = irq_route_find(chip, id, pin);

	if (gsi < 0)
		return;
	if (gsi == 0 && chip->has_pit)
		pit_acked(&chip->pit);
	if (chip->owner.acked)
		chip->owner.acked(chip->owner.opaque, gsi);
}

static void pin_masked(struct irqchip *chip, uint32_t id, unsigned int pin, bool is_masked)
{
	if (!is_masked && chip->has_pit && irq_route_find(chip, id, pin) == 0)
		pit_unmasked(&chip->pit);
}

static uint32_t pic_id(unsigned int pin)
{
	return pin < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE;
}

static void pic_acked(void *opaque, unsigned int pin)
{
	pin_acked(opaque, pic_id(pin), pin % 8);
}

static void pic_masked(void *opaque, unsigned int pin, bool is_masked)
{
	pin_masked(opaque, pic_id(pin), pin % 8, is_masked);
}

static void ioapic_acked(void *opaque, unsigned int pin)
{
	pin_acked(opaque, KVM_IRQCHIP_IOAPIC, pin);
}

static void ioapic_masked(void *opaque, unsigned int pin, bool is_masked)
{
	pin_masked(opaque, KVM_IRQCHIP_IOAPIC, pin, is_masked);
}

static int ioapic_deliver(void *opaque, const struct apic_message *message, struct lapic_set *ret_lapics)
{
	return irqchip_deliver(opaque, NULL, message, ret_lapics);
}

static bool ioapic_waits(void *opaque, const struct apic_message *message, unsigned int i)
{
	const struct irqchip *chip = opaque;
	const struct lapic *lapic = chip->lapics[i].lapic;

	return lapic && lapic_is_destination(lapic, NULL, message) && lapic_has_vector(lapic, message->vector);
}

void irqchip_lapic_restored(struct irqchip *chip, const struct lapic *lapic)
{
	unsigned int i;

	for (i = 0; chip->kind == IRQCHIP_KERNEL && i < chip->nr_lapics; i++)
		if (chip->lapics[i].lapic == lapic)
			ioapic_rtc_restore(&chip->ioapic, i);
}

/* --- local APICs --- */

static struct lapic_clock lapic_clock(void *opaque)
{
	const struct irqchip_lapic *place = opaque;

	return place->chip->owner.clock(place->chip->owner.opaque, place->lapic->id);
}

static void lapic_send(void *opaque, struct lapic *from, const struct apic_message *message)
{
	const struct irqchip_lapic *place = opaque;

	irqchip_deliver(place->chip, from, message, NULL);
}

static void lapic_event(void *opaque, struct lapic *lapic, enum apic_delivery kind, uint8_t vector)
{
	const struct irqchip_lapic *place = opaque;

	place->chip->owner.event(place->chip->owner.opaque, lapic->id, kind, vector);
}

static void lapic_kick(void *opaque, struct lapic *lapic)
{
	const struct irqchip_lapic *place = opaque;

	place->chip->owner.kick(place->chip->owner.opaque, lapic->id);
}

static void lapic_tpr_access(void *opaque, struct lapic *lapic, bool is_write)
{
	const struct irqchip_lapic *place = opaque;

	if (place->chip->owner.tpr_access)
		place->chip->owner.tpr_access(place->chip->owner.opaque, lapic->id, is_write);
}

static void lapic_ended(void *opaque, struct lapic *lapic, uint8_t vector, bool is_level)
{
	const struct irqchip_lapic *place = opaque;
	struct irqchip *chip = place->chip;

	if (chip->kind == IRQCHIP_KERNEL)
		ioapic_eoi(&chip->ioapic, place - chip->lapics, vector, is_level);
	else if (chip->owner.eoi_exit && irq_routes_have_level(chip, lapic, vector))
		chip->owner.eoi_exit(chip->owner.opaque, lapic->id, vector);
}

int irqchip_add_lapic(struct irqchip *chip, struct lapic *lapic, uint32_t id, bool is_bsp)
{
	struct lapic_owner owner = {
		.clock = lapic_clock, .send = lapic_send, .event = lapic_event, .eoi = lapic_ended,
		.kick = lapic_kick, .tpr_access = lapic_tpr_access,
	};
	unsigned int i;

	for (i = 0; i < IRQCHIP_MAX_LAPICS && chip->lapics[i].lapic; i++)
		continue;
	if (i == IRQCHIP_MAX_LAPICS)
		return -ENOSPC;
	chip->lapics[i] = (struct irqchip_lapic){ .chip = chip, .lapic = lapic };
	if (i >= chip->nr_lapics)
		chip->nr_lapics = i + 1;
	owner.opaque = &chip->lapics[i];
	lapic_init(lapic, id, is_bsp, &owner);
	lapic->is_32bit_ids = chip->is_32bit_ids;
	lapic->has_directed_eoi = chip->kind == IRQCHIP_SPLIT;
	lapic_version_update(lapic);
	return 0;
}

void irqchip_remove_lapic(struct irqchip *chip, struct lapic *lapic)
{
	unsigned int i;

	for (i = 0; i < chip->nr_lapics; i++)
		if (chip->lapics[i].lapic == lapic)
			chip->lapics[i].lapic = NULL;
}

void irqchip_x2apic_api(struct irqchip *chip, bool is_32bit_ids, bool has_no_broadcast_quirk)
{
	unsigned int i;

	chip->is_32bit_ids |= is_32bit_ids;
	chip->has_no_broadcast_quirk |= has_no_broadcast_quirk;
	for (i = 0; i < chip->nr_lapics; i++)
		if (chip->lapics[i].lapic)
			chip->lapics[i].lapic->is_32bit_ids = chip->is_32bit_ids;
}

/* --- creation --- */

struct port_range {
	uint64_t address, len;
	struct io_device device;
};

static int ranges_add(struct io_bus *bus, const struct port_range *ranges, size_t nr)
{
	size_t i;
	int result;

	for (i = 0; i < nr; i++) {
		result = io_bus_add(bus, ranges[i].address, ranges[i].len, &ranges[i].device);
		if (result)
			return result;
	}
	return 0;
}

static int devices_add(struct irqchip *chip, struct io_bus *ports, struct io_bus *memory)
{
	struct io_device pic = { .opaque = &chip->pic, .read = pic_io_read, .write = pic_io_write };
	const struct port_range pics[] = { { 0x20, 2, pic }, { 0xa0, 2, pic }, { 0x4d0, 2, pic } };
	const struct port_range ioapic = {
		IOAPIC_ADDRESS, IOAPIC_LEN_BYTES, { &chip->ioapic, ioapic_mmio_read, ioapic_mmio_write },
	};
	int result = ranges_add(ports, pics, 3);

	if (!result)
		result = ranges_add(memory, &ioapic, 1);
	if (result)
		io_bus_remove(ports, &chip->pic);
	return result;
}

int irqchip_create(struct irqchip *chip, const struct irqchip_owner *owner, struct io_bus *ports, struct io_bus *memory,
		   bool has_vcpus)
{
	struct pic_owner pic_owner = { chip, pic_acked, pic_masked, kick_all };
	struct ioapic_owner ioapic_owner = {
		.opaque = chip, .deliver = ioapic_deliver, .waits = ioapic_waits, .acked = ioapic_acked,
		.masked = ioapic_masked,
	};
	int result;

	if (chip->kind != IRQCHIP_NONE)
		return -EEXIST;
	if (has_vcpus)
		return -EINVAL;
	result = irq_routes_default(chip);
	if (result)
		return result;
	result = devices_add(chip, ports, memory);
	if (result)
		return result;
	pic_init(&chip->pic, &pic_owner);
	ioapic_init(&chip->ioapic, &ioapic_owner);
	chip->owner = *owner;
	chip->kind = IRQCHIP_KERNEL;
	return 0;
}

int irqchip_create_split(struct irqchip *chip, const struct irqchip_owner *owner, uint64_t nr_pins, bool has_vcpus)
{
	if (nr_pins > IRQCHIP_MAX_RESERVED_ROUTES)
		return -EINVAL;
	if (chip->kind != IRQCHIP_NONE || has_vcpus)
		return -EEXIST;
	chip->owner = *owner;
	chip->nr_reserved_routes = nr_pins;
	chip->kind = IRQCHIP_SPLIT;
	return 0;
}

static uint64_t pit_now_ns(void *opaque)
{
	struct irqchip *chip = opaque;

	return chip->owner.now_ns(chip->owner.opaque);
}

/* IRQ 0 is also a watchdog's NMI where LINT0 says so ("virtual wire"). */
static void pit_line(void *opaque)
{
	struct irqchip *chip = opaque;
	unsigned int i;

	irqchip_gsi_set(chip, IRQ_SOURCE_PIT, 0, true, false);
	irqchip_gsi_set(chip, IRQ_SOURCE_PIT, 0, false, false);
	for (i = 0; i < chip->nr_lapics; i++)
		if (chip->lapics[i].lapic && lapic_lint0_is_nmi(chip->lapics[i].lapic))
			lapic_local_interrupt(chip->lapics[i].lapic, LAPIC_LVT_LINT0);
}

int irqchip_create_pit(struct irqchip *chip, struct io_bus *ports, uint32_t flags)
{
	struct pit_owner owner = { chip, pit_now_ns, pit_line };
	const struct port_range pit = { 0x40, 4, { &chip->pit, pit_io_read, pit_io_write } };
	const struct port_range speaker = { 0x61, 1, { &chip->pit, pit_speaker_read, pit_speaker_write } };
	int result;

	if (chip->has_pit)
		return -EEXIST;
	if (chip->kind != IRQCHIP_KERNEL)
		return -ENOENT;
	result = ranges_add(ports, &pit, 1);
	if (!result && flags & KVM_PIT_SPEAKER_DUMMY)
		result = ranges_add(ports, &speaker, 1);
	if (result) {
		io_bus_remove(ports, &chip->pit);
		return result;
	}
	pit_init(&chip->pit, &owner);
	chip->has_pit = true;
	return 0;
}

void irqchip_destroy(struct irqchip *chip)
{
	free(chip->routes);
	memset(chip, 0, sizeof(*chip));
}

/* --- state --- */

int irqchip_get(struct irqchip *chip, struct kvm_irqchip *state)
{
	if (chip->kind != IRQCHIP_KERNEL)
		return -ENXIO;
	switch (state->chip_id) {
	case KVM_IRQCHIP_PIC_MASTER:
	case KVM_IRQCHIP_PIC_SLAVE:
		pic_state_get(&chip->pic, state->chip_id, &state->chip.pic);
		return 0;
	case KVM_IRQCHIP_IOAPIC:
		ioapic_state_get(&chip->ioapic, &state->chip.ioapic);
		return 0;
	default:
		return -EINVAL;
	}
}

int irqchip_set(struct irqchip *chip, const struct kvm_irqchip *state)
{
	if (chip->kind != IRQCHIP_KERNEL)
		return -ENXIO;
	switch (state->chip_id) {
	case KVM_IRQCHIP_PIC_MASTER:
	case KVM_IRQCHIP_PIC_SLAVE:
		pic_state_set(&chip->pic, state->chip_id, &state->chip.pic);
		return 0;
	case KVM_IRQCHIP_IOAPIC:
		ioapic_state_set(&chip->ioapic, &state->chip.ioapic);
		return 0;
	default:
		return -EINVAL;
	}
}

int irqchip_get_pit2(struct irqchip *chip, struct kvm_pit_state2 *ret_state)
{
	if (!chip->has_pit)
		return -ENXIO;
	pit_state_get(&chip->pit, ret_state);
	return 0;
}

int irqchip_set_pit2(struct irqchip *chip, const struct kvm_pit_state2 *state)
{
	if (!chip->has_pit)
		return -ENXIO;
	pit_state_set(&chip->pit, state);
	return 0;
}

int irqchip_get_pit(struct irqchip *chip, struct kvm_pit_state *ret_state)
{
	struct kvm_pit_state2 state;
	int result = irqchip_get_pit2(chip, &state);

	if (!result)
		memcpy(ret_state->channels, state.channels, sizeof(ret_state->channels));
	return result;
}

/* The flags stay. */
int irqchip_set_pit(struct irqchip *chip, const struct kvm_pit_state *state)
{
	struct kvm_pit_state2 state2;
	int result = irqchip_get_pit2(chip, &state2);

	if (result)
		return result;
	memcpy(state2.channels, state->channels, sizeof(state2.channels));
	return irqchip_set_pit2(chip, &state2);
}

int irqchip_reinject_control(struct irqchip *chip, const struct kvm_reinject_control *control)
{
	if (!chip->has_pit)
		return -ENXIO;
	pit_reinject_set(&chip->pit, control->pit_reinject);
	return 0;
}

/* --- the run loop's --- */

static bool has_extint(const struct irqchip *chip, const struct lapic *lapic)
{
	return chip->kind == IRQCHIP_KERNEL && chip->pic.output && lapic_accepts_extint(lapic);
}

bool irqchip_has_interrupt(const struct irqchip *chip, const struct lapic *lapic)
{
	return has_extint(chip, lapic) || lapic_pending(lapic) >= 0;
}

/* As in KVM, the 8259A comes first. */
int irqchip_take(struct irqchip *chip, struct lapic *lapic)
{
	int vector;

	if (has_extint(chip, lapic))
		return pic_acknowledge(&chip->pic);
	vector = lapic_pending(lapic);
	if (vector >= 0)
		lapic_take(lapic, vector);
	return vector;
}

uint64_t irqchip_deadline_ns(const struct irqchip *chip, const struct lapic *lapic)
{
	uint64_t pit_ns = chip->has_pit ? pit_deadline_ns(&chip->pit) : ~0ull;
	uint64_t lapic_ns = lapic ? lapic_deadline_ns(lapic) : ~0ull;

	return pit_ns < lapic_ns ? pit_ns : lapic_ns;
}

void irqchip_advance(struct irqchip *chip)
{
	unsigned int i;

	if (chip->has_pit)
		pit_advance(&chip->pit);
	for (i = 0; i < chip->nr_lapics; i++)
		if (chip->lapics[i].lapic)
			lapic_advance(chip->lapics[i].lapic);
}

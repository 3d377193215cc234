/* SPDX-License-Identifier: MIT */
/*
 * From a GSI or an MSI to the controllers' pins and the local APICs.
 */
#include "harness/soft/irqchip_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NR_PIC_PINS 8		/* of one 8259A */
#define DESTINATION_ALL_XAPICS 0xff

/* --- messages --- */

static bool is_lowest(const struct apic_message *message)
{
	return message->delivery == APIC_LOWEST || message->is_lowest_hint;
}

static bool is_candidate(const struct irqchip *chip, unsigned int i, struct lapic *from,
			 const struct apic_message *message)
{
	const struct lapic *lapic = chip->lapics[i].lapic;

	return lapic && lapic_is_destination(lapic, from, message);
}

/* One of @candidates gets it: by the vector, as in KVM with vector_hashing. */
static int lowest_deliver(struct irqchip *chip, const struct apic_message *message, const struct lapic_set *candidates,
			  struct lapic_set *ret_lapics)
{
	unsigned int skip = message->vector % lapic_set_count(candidates), i;
	int result;

	for (i = 0; !lapic_set_has(candidates, i) || skip--; i++)
		continue;
	result = lapic_accept(chip->lapics[i].lapic, message);
	if (result > 0 && ret_lapics)
		lapic_set_put(ret_lapics, i, true);
	return result;
}

/* FFh, which is an ID like others to x2APICs, without the quirk. */
static bool is_to_all(const struct irqchip *chip, const struct apic_message *message)
{
	unsigned int i;

	if (message->destination != DESTINATION_ALL_XAPICS)
		return false;
	for (i = 0; chip->has_no_broadcast_quirk && i < chip->nr_lapics; i++)
		if (chip->lapics[i].lapic && lapic_is_x2apic(chip->lapics[i].lapic))
			return false;
	return true;
}

int irqchip_deliver(struct irqchip *chip, struct lapic *from, const struct apic_message *message,
	struct lapic_set *ret_lapics)
{
	struct apic_message sent = *message;
	struct lapic_set candidates = { 0 };
	int result = message->shorthand || is_to_all(chip, message) ? -1 : 0;
	unsigned int i;

	sent.is_for_x2apics = !from && !chip->has_no_broadcast_quirk;
	/* Lowest priority among all, physically, is no choice: all get it. */
	if (!sent.is_logical && sent.destination == DESTINATION_ALL_XAPICS && is_lowest(&sent)) {
		sent.delivery = APIC_FIXED;
		sent.is_lowest_hint = false;
	}
	for (i = 0; i < chip->nr_lapics; i++)
		if (is_candidate(chip, i, from, &sent) &&
		    (!is_lowest(&sent) || lapic_is_software_enabled(chip->lapics[i].lapic)))
			lapic_set_put(&candidates, i, true);
	if (lapic_set_count(&candidates) && is_lowest(&sent))
		return lowest_deliver(chip, &sent, &candidates, ret_lapics);
	for (i = 0; i < chip->nr_lapics; i++) {
		int taken;

		if (!lapic_set_has(&candidates, i))
			continue;
		taken = lapic_accept(chip->lapics[i].lapic, &sent);
		if (taken && ret_lapics)
			lapic_set_put(ret_lapics, i, true);
		result = (result < 0 ? 0 : result) + taken;
	}
	return result;
}

static bool is_msi_invalid(const struct irqchip *chip, uint32_t address_hi)
{
	return chip->is_32bit_ids && address_hi & 0xff;
}

static struct apic_message msi_message(const struct irqchip *chip, uint32_t address_lo, uint32_t address_hi,
				       uint32_t data)
{
	return (struct apic_message){
		.destination = (address_lo >> 12 & 0xff) | (chip->is_32bit_ids ? address_hi & ~0xffu : 0),
		.vector = data,
		.delivery = data >> 8 & 7,
		.is_logical = address_lo >> 2 & 1,
		.is_lowest_hint = address_lo >> 3 & 1,
		.is_level = data >> 15 & 1,
	};
}

static int msi_send(struct irqchip *chip, uint32_t address_lo, uint32_t address_hi, uint32_t data)
{
	struct apic_message message;

	if (is_msi_invalid(chip, address_hi))
		return -EINVAL;
	message = msi_message(chip, address_lo, address_hi, data);
	return irqchip_deliver(chip, NULL, &message, NULL);
}

int irqchip_signal_msi(struct irqchip *chip, const struct kvm_msi *msi)
{
	if (chip->kind == IRQCHIP_NONE || msi->flags)
		return -EINVAL;
	return msi_send(chip, msi->address_lo, msi->address_hi, msi->data);
}

/* --- the table --- */

static bool is_pin_valid(const struct irqchip *chip, const struct kvm_irq_routing_irqchip *pin)
{
	if (chip->kind == IRQCHIP_SPLIT)
		return false;
	switch (pin->irqchip) {
	case KVM_IRQCHIP_PIC_MASTER:
	case KVM_IRQCHIP_PIC_SLAVE:
		return pin->pin < NR_PIC_PINS;
	case KVM_IRQCHIP_IOAPIC:
		return pin->pin < IRQCHIP_NR_PINS;
	default:
		return false;
	}
}

static bool is_entry_valid(const struct irqchip *chip, const struct kvm_irq_routing_entry *entry)
{
	if (entry->gsi >= IRQCHIP_MAX_ROUTES)
		return false;
	switch (entry->type) {
	case KVM_IRQ_ROUTING_IRQCHIP:
		return !entry->flags && is_pin_valid(chip, &entry->u.irqchip);
	case KVM_IRQ_ROUTING_MSI:
		return !(entry->flags & ~KVM_MSI_VALID_DEVID) && !is_msi_invalid(chip, entry->u.msi.address_hi);
	case KVM_IRQ_ROUTING_HV_SINT:
		return !entry->flags && chip->owner.hv_sint;
	case KVM_IRQ_ROUTING_XEN_EVTCHN:
		return !entry->flags && chip->owner.xen_event &&
			entry->u.xen_evtchn.priority == KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL;
	default:
		return false;
	}
}

/* A GSI has one MSI, or one pin of each controller. */
static bool is_conflict(const struct kvm_irq_routing_entry *one, const struct kvm_irq_routing_entry *other)
{
	if (one->gsi != other->gsi)
		return false;
	return one->type != KVM_IRQ_ROUTING_IRQCHIP || other->type != KVM_IRQ_ROUTING_IRQCHIP ||
		one->u.irqchip.irqchip == other->u.irqchip.irqchip;
}

static bool is_table_valid(const struct irqchip *chip, const struct kvm_irq_routing_entry *entries, uint32_t nr)
{
	uint32_t i, k;

	for (i = 0; i < nr; i++) {
		if (!is_entry_valid(chip, &entries[i]))
			return false;
		for (k = 0; k < i; k++)
			if (is_conflict(&entries[k], &entries[i]))
				return false;
	}
	return true;
}

static int table_put(struct irqchip *chip, const struct kvm_irq_routing_entry *entries, uint32_t nr)
{
	struct kvm_irq_routing_entry *routes = malloc((nr ? nr : 1) * sizeof(*routes));

	if (!routes)
		return -ENOMEM;
	if (nr)
		memcpy(routes, entries, nr * sizeof(*routes));
	free(chip->routes);
	chip->routes = routes;
	chip->nr_routes = nr;
	return 0;
}

int irqchip_set_routing(struct irqchip *chip, uint32_t nr, uint32_t flags, const struct kvm_irq_routing_entry *entries)
{
	if (chip->kind == IRQCHIP_NONE || nr > IRQCHIP_MAX_ROUTES || flags || !is_table_valid(chip, entries, nr))
		return -EINVAL;
	return table_put(chip, entries, nr);
}

static struct kvm_irq_routing_entry pin_entry(uint32_t gsi, uint32_t id, uint32_t pin)
{
	return (struct kvm_irq_routing_entry){
		.gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = { .irqchip = id, .pin = pin },
	};
}

int irq_routes_default(struct irqchip *chip)
{
	struct kvm_irq_routing_entry entries[PIC_NR_PINS + IRQCHIP_NR_PINS];
	uint32_t i, nr = 0;

	for (i = 0; i < IRQCHIP_NR_PINS; i++)
		entries[nr++] = pin_entry(i, KVM_IRQCHIP_IOAPIC, i);
	for (i = 0; i < PIC_NR_PINS; i++)
		entries[nr++] = pin_entry(i, i < NR_PIC_PINS ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
					  i % NR_PIC_PINS);
	return table_put(chip, entries, nr);
}

int irq_route_find(const struct irqchip *chip, uint32_t id, uint32_t pin)
{
	size_t i;

	for (i = chip->nr_routes; i; i--) {	/* the last one counts */
		const struct kvm_irq_routing_entry *entry = &chip->routes[i - 1];

		if (entry->type == KVM_IRQ_ROUTING_IRQCHIP && entry->u.irqchip.irqchip == id &&
		    entry->u.irqchip.pin == pin)
			return entry->gsi;
	}
	return -1;
}

bool irq_routes_have_level(const struct irqchip *chip, const struct lapic *lapic, uint8_t vector)
{
	size_t i;

	for (i = 0; i < chip->nr_routes; i++) {
		const struct kvm_irq_routing_entry *entry = &chip->routes[i];
		struct apic_message message;

		if (entry->type != KVM_IRQ_ROUTING_MSI || entry->gsi >= chip->nr_reserved_routes)
			continue;
		message = msi_message(chip, entry->u.msi.address_lo, entry->u.msi.address_hi, entry->u.msi.data);
		message.is_for_x2apics = !chip->has_no_broadcast_quirk;
		if (message.is_level && message.vector == vector && lapic_is_destination(lapic, NULL, &message))
			return true;
	}
	return false;
}

/* --- lines --- */

/* Whether a line is up that some of the sources hold. */
static bool line_merge(uint8_t *line, enum irq_source source, bool level)
{
	*line = level ? *line | 1u << source : *line & ~(1u << source);
	return *line;
}

static int route_set(struct irqchip *chip, const struct kvm_irq_routing_entry *entry, enum irq_source source, bool level,
		     bool wants_status)
{
	unsigned int pin = entry->u.irqchip.pin;

	if (entry->type == KVM_IRQ_ROUTING_MSI)
		return level ? msi_send(chip, entry->u.msi.address_lo, entry->u.msi.address_hi, entry->u.msi.data) : -1;
	if (entry->type == KVM_IRQ_ROUTING_HV_SINT)
		return level ? chip->owner.hv_sint(chip->owner.opaque, entry->u.hv_sint.vcpu, entry->u.hv_sint.sint) : -1;
	if (entry->type == KVM_IRQ_ROUTING_XEN_EVTCHN)
		return level ? chip->owner.xen_event(chip->owner.opaque, &entry->u.xen_evtchn) : -1;
	if (entry->u.irqchip.irqchip == KVM_IRQCHIP_IOAPIC)
		return ioapic_line_set(&chip->ioapic, pin, line_merge(&chip->ioapic_lines[pin], source, level),
				       wants_status);
	if (entry->u.irqchip.irqchip == KVM_IRQCHIP_PIC_SLAVE)
		pin += NR_PIC_PINS;
	return pic_line_set(&chip->pic, pin, line_merge(&chip->pic_lines[pin], source, level));
}

int irqchip_gsi_set(struct irqchip *chip, enum irq_source source, uint32_t gsi, bool level, bool wants_status)
{
	int sum = -1;
	size_t i;

	for (i = 0; i < chip->nr_routes; i++) {
		int result;

		if (chip->routes[i].gsi != gsi)
			continue;
		result = route_set(chip, &chip->routes[i], source, level, wants_status);
		if (result >= 0)
			sum = result + (sum < 0 ? 0 : sum);
	}
	return sum;
}

int irqchip_line(struct irqchip *chip, struct kvm_irq_level *line, bool wants_status)
{
	if (chip->kind == IRQCHIP_NONE)
		return -ENXIO;
	line->status = irqchip_gsi_set(chip, IRQ_SOURCE_USER, line->irq, line->level, wants_status);
	return 0;
}

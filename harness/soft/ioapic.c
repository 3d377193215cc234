/* SPDX-License-Identifier: MIT */
#include "harness/soft/ioapic.h"

#include <errno.h>
#include <string.h>

#define NR_PINS KVM_IOAPIC_NUM_PINS
#define VERSION ((NR_PINS - 1) << 16 | 0x11)

/* The memory-mapped registers, and the indices that the first one selects. */
#define IOREGSEL 0x00
#define IOWIN 0x10
#define INDEX_ID 0
#define INDEX_VERSION 1
#define INDEX_ARBITRATION 2
#define INDEX_TABLE 0x10

/* A redirection entry's bits. */
#define ENTRY_STATUS (1u << 12)
#define ENTRY_REMOTE_IRR (1u << 14)
#define ENTRY_LEVEL (1u << 15)
#define ENTRY_MASKED (1u << 16)
#define ENTRY_READ_ONLY (ENTRY_STATUS | ENTRY_REMOTE_IRR)

static __u64 *entry_of(struct ioapic *ioapic, unsigned int pin)
{
	return &ioapic->state.redirtbl[pin].bits;
}

static struct apic_message entry_message(uint64_t entry)
{
	return (struct apic_message){
		.destination = entry >> 56,
		.vector = entry,
		.delivery = entry >> 8 & 7,
		.is_logical = entry >> 11 & 1,
		.is_level = !!(entry & ENTRY_LEVEL),
		.is_for_x2apics = true,
	};
}

/* Sends the interrupt of @pin, unless it is masked or a level whose end has not come. */
static int pin_serve(struct ioapic *ioapic, unsigned int pin, bool wants_status)
{
	__u64 *entry = entry_of(ioapic, pin);
	struct lapic_set lapics = { 0 };
	struct apic_message message = entry_message(*entry);
	int result;

	if (*entry & ENTRY_MASKED || (message.is_level && *entry & ENTRY_REMOTE_IRR))
		return -1;
	if (!message.is_level)
		ioapic->irr_delivered |= 1u << pin;
	result = ioapic->owner.deliver(ioapic->owner.opaque, &message, &lapics);
	if (pin == IOAPIC_RTC_PIN && wants_status) {
		ioapic->rtc_lapics = lapics;
		ioapic->rtc_vector = message.vector;
	}
	if (result && message.is_level)
		*entry |= ENTRY_REMOTE_IRR;
	return result;
}

static bool pin_is_up(const struct ioapic *ioapic, unsigned int pin)
{
	return ioapic->state.irr >> pin & 1;
}

int ioapic_line_set(struct ioapic *ioapic, unsigned int pin, bool level, bool wants_status)
{
	bool was_up = pin_is_up(ioapic, pin);

	if (!level) {
		ioapic->state.irr &= ~(1u << pin);
		return 1;
	}
	if (pin == IOAPIC_RTC_PIN && wants_status && lapic_set_count(&ioapic->rtc_lapics))
		return 0;
	ioapic->state.irr |= 1u << pin;
	if (!(*entry_of(ioapic, pin) & ENTRY_LEVEL)) {
		ioapic->irr_delivered &= ~(1u << pin);
		if (was_up)
			return 0;
	}
	return pin_serve(ioapic, pin, wants_status);
}

/* A change of an entry: what the guest cannot write stays, but an edge has no remote IRR. */
static void entry_write(struct ioapic *ioapic, unsigned int pin, bool is_high, uint32_t value)
{
	__u64 *entry = entry_of(ioapic, pin), old = *entry;

	if (is_high)
		*entry = (uint32_t)old | (uint64_t)value << 32;
	else
		*entry = (old >> 32 << 32) | (value & ~ENTRY_READ_ONLY) | (old & ENTRY_READ_ONLY);
	if (!(*entry & ENTRY_LEVEL))
		*entry &= ~(uint64_t)ENTRY_REMOTE_IRR;
	if ((*entry ^ old) & ENTRY_MASKED && ioapic->owner.masked)
		ioapic->owner.masked(ioapic->owner.opaque, pin, *entry & ENTRY_MASKED);
	if (*entry & ENTRY_LEVEL && pin_is_up(ioapic, pin))
		pin_serve(ioapic, pin, false);
}

static uint32_t window_read(struct ioapic *ioapic)
{
	unsigned int pin = (ioapic->state.ioregsel - INDEX_TABLE) >> 1;

	switch (ioapic->state.ioregsel) {
	case INDEX_VERSION:
		return VERSION;
	case INDEX_ID:
	case INDEX_ARBITRATION:
		return (ioapic->state.id & 0xf) << 24;
	default:
		if (pin >= NR_PINS)
			return ~0u;
		return *entry_of(ioapic, pin) >> (ioapic->state.ioregsel & 1 ? 32 : 0);
	}
}

static void window_write(struct ioapic *ioapic, uint32_t value)
{
	unsigned int pin = (ioapic->state.ioregsel - INDEX_TABLE) >> 1;

	if (ioapic->state.ioregsel == INDEX_ID)
		ioapic->state.id = value >> 24 & 0xf;
	else if (pin < NR_PINS)
		entry_write(ioapic, pin, ioapic->state.ioregsel & 1, value);
}

/* The end at one pin: those who wait for it first, so that a line they lower is not served again. */
static void pin_end(struct ioapic *ioapic, unsigned int pin, bool is_level)
{
	if (ioapic->owner.acked)
		ioapic->owner.acked(ioapic->owner.opaque, pin);
	if (!is_level)
		return;
	*entry_of(ioapic, pin) &= ~(uint64_t)ENTRY_REMOTE_IRR;
	if (pin_is_up(ioapic, pin))
		pin_serve(ioapic, pin, false);
}

void ioapic_eoi(struct ioapic *ioapic, unsigned int lapic, uint8_t vector, bool is_level)
{
	unsigned int pin;

	if (vector == ioapic->rtc_vector)
		lapic_set_put(&ioapic->rtc_lapics, lapic, false);
	for (pin = 0; pin < NR_PINS; pin++)
		if ((uint8_t)*entry_of(ioapic, pin) == vector)
			pin_end(ioapic, pin, is_level);
}

int ioapic_mmio_read(void *opaque, uint64_t address, unsigned int len, void *data)
{
	struct ioapic *ioapic = opaque;
	uint64_t value = 0;

	if (address - ioapic->state.base_address >= IOAPIC_LEN_BYTES)
		return -EOPNOTSUPP;
	switch (address & 0xff) {
	case IOREGSEL:
		value = ioapic->state.ioregsel;
		break;
	case IOWIN:
		value = window_read(ioapic);
		break;
	}
	memcpy(data, &value, len < sizeof(value) ? len : sizeof(value));
	return 0;
}

int ioapic_mmio_write(void *opaque, uint64_t address, unsigned int len, const void *data)
{
	struct ioapic *ioapic = opaque;
	uint32_t value = 0;

	if (address - ioapic->state.base_address >= IOAPIC_LEN_BYTES)
		return -EOPNOTSUPP;
	memcpy(&value, data, len < sizeof(value) ? len : sizeof(value));
	switch (address & 0xff) {
	case IOREGSEL:
		ioapic->state.ioregsel = value & 0xff;
		break;
	case IOWIN:
		window_write(ioapic, value);
		break;
	}
	return 0;
}

void ioapic_init(struct ioapic *ioapic, const struct ioapic_owner *owner)
{
	unsigned int pin;

	memset(ioapic, 0, sizeof(*ioapic));
	ioapic->owner = *owner;
	ioapic->state.base_address = IOAPIC_ADDRESS;
	for (pin = 0; pin < NR_PINS; pin++)
		*entry_of(ioapic, pin) = ENTRY_MASKED;
}

void ioapic_state_get(const struct ioapic *ioapic, struct kvm_ioapic_state *ret_state)
{
	*ret_state = ioapic->state;
	ret_state->irr &= ~ioapic->irr_delivered;
}

void ioapic_rtc_restore(struct ioapic *ioapic, unsigned int lapic)
{
	struct apic_message message = entry_message(*entry_of(ioapic, IOAPIC_RTC_PIN));
	bool waits = ioapic->owner.waits(ioapic->owner.opaque, &message, lapic);

	lapic_set_put(&ioapic->rtc_lapics, lapic, waits);
	if (waits)
		ioapic->rtc_vector = message.vector;
}

void ioapic_state_set(struct ioapic *ioapic, const struct kvm_ioapic_state *state)
{
	unsigned int pin, lapic;

	ioapic->state = *state;
	ioapic->state.irr = 0;
	ioapic->irr_delivered = 0;
	ioapic->rtc_lapics = (struct lapic_set){ 0 };
	for (pin = 0; pin < NR_PINS; pin++)
		if (state->irr >> pin & 1)
			ioapic_line_set(ioapic, pin, true, true);
	for (lapic = 0; lapic < IRQCHIP_MAX_LAPICS; lapic++)
		ioapic_rtc_restore(ioapic, lapic);
}

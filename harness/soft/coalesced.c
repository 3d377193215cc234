/* SPDX-License-Identifier: MIT */
#include "harness/soft/coalesced.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#ifndef PAGE_SIZE
#define PAGE_SIZE 4096	/* for KVM_COALESCED_MMIO_MAX */
#endif

struct coalesced_zone {
	struct coalesced_zone *next;
	struct coalesced *coalesced;
	struct kvm_coalesced_mmio_zone zone;
};

static bool zone_has(const struct kvm_coalesced_mmio_zone *zone, uint64_t address, uint32_t len)
{
	return len <= INT_MAX && address + len >= address && address >= zone->addr &&
		address + len <= zone->addr + zone->size;
}

/* User space owns the ring's indices, and may have put anything there. One entry stays unused. */
static int zone_write(void *opaque, uint64_t address, unsigned int len, const void *data)
{
	const struct coalesced_zone *zone = opaque;
	struct kvm_coalesced_mmio_ring *ring = zone->coalesced->ring;
	struct kvm_coalesced_mmio *entry;
	uint32_t last, next;

	if (!zone_has(&zone->zone, address, len))
		return -EOPNOTSUPP;
	last = __atomic_load_n(&ring->last, __ATOMIC_RELAXED);
	next = (last + 1) % KVM_COALESCED_MMIO_MAX;
	if (last >= KVM_COALESCED_MMIO_MAX || next == __atomic_load_n(&ring->first, __ATOMIC_ACQUIRE))
		return -EOPNOTSUPP;
	entry = &ring->coalesced_mmio[last];
	entry->phys_addr = address;
	entry->len = len;
	entry->pio = zone->zone.pio;
	memcpy(entry->data, data, len < sizeof(entry->data) ? len : sizeof(entry->data));
	__atomic_store_n(&ring->last, next, __ATOMIC_RELEASE);
	return 0;
}

int coalesced_register(struct coalesced *coalesced, struct io_bus *ports, struct io_bus *memory,
		       const struct kvm_coalesced_mmio_zone *args)
{
	struct io_device device = { .write = zone_write };
	struct coalesced_zone *zone;
	int result;

	if (args->pio > 1)
		return -EINVAL;
	zone = malloc(sizeof(*zone));
	if (!zone)
		return -ENOMEM;
	*zone = (struct coalesced_zone){ .next = coalesced->first, .coalesced = coalesced, .zone = *args };
	device.opaque = zone;
	result = io_bus_add(args->pio ? ports : memory, args->addr, args->size, &device);
	if (result) {
		free(zone);
		return result;
	}
	coalesced->first = zone;
	return 0;
}

/* All zones that @args lies in; none is fine. */
int coalesced_unregister(struct coalesced *coalesced, struct io_bus *ports, struct io_bus *memory,
			 const struct kvm_coalesced_mmio_zone *args)
{
	struct coalesced_zone **place = &coalesced->first, *zone;

	if (args->pio > 1)
		return -EINVAL;
	while ((zone = *place)) {
		if (zone->zone.pio != args->pio || !zone_has(&zone->zone, args->addr, args->size)) {
			place = &zone->next;
			continue;
		}
		*place = zone->next;
		io_bus_remove(args->pio ? ports : memory, zone);
		free(zone);
	}
	return 0;
}

void coalesced_clear(struct coalesced *coalesced, struct io_bus *ports, struct io_bus *memory)
{
	struct coalesced_zone *zone;

	while ((zone = coalesced->first)) {
		coalesced->first = zone->next;
		io_bus_remove(zone->zone.pio ? ports : memory, zone);
		free(zone);
	}
}

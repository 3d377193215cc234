/* SPDX-License-Identifier: MIT */
#include "harness/soft/io_bus.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int io_bus_add(struct io_bus *bus, uint64_t address, uint64_t len, const struct io_device *device)
{
	struct io_range *ranges;
	size_t at;

	if (bus->nr_ranges >= IO_BUS_MAX_DEVICES)
		return -ENOSPC;
	ranges = realloc(bus->ranges, (bus->nr_ranges + 1) * sizeof(*ranges));
	if (!ranges)
		return -ENOMEM;
	bus->ranges = ranges;
	for (at = bus->nr_ranges; at && ranges[at - 1].address > address; at--)
		ranges[at] = ranges[at - 1];
	ranges[at] = (struct io_range){ .address = address, .len = len, .device = *device };
	bus->nr_ranges++;
	return 0;
}

void io_bus_remove(struct io_bus *bus, const void *opaque)
{
	size_t i, kept = 0;

	for (i = 0; i < bus->nr_ranges; i++)
		if (bus->ranges[i].device.opaque != opaque)
			bus->ranges[kept++] = bus->ranges[i];
	bus->nr_ranges = kept;
}

static bool range_has(const struct io_range *range, uint64_t address, unsigned int len)
{
	if (!range->len)
		return range->address == address;
	return address >= range->address && len <= range->len && address - range->address <= range->len - len;
}

int io_bus_read(const struct io_bus *bus, uint64_t address, unsigned int len, void *data)
{
	size_t i;

	for (i = 0; i < bus->nr_ranges && bus->ranges[i].address <= address; i++) {
		const struct io_device *device = &bus->ranges[i].device;

		if (device->read && range_has(&bus->ranges[i], address, len) &&
		    !device->read(device->opaque, address, len, data))
			return 0;
	}
	return -EOPNOTSUPP;
}

int io_bus_write(const struct io_bus *bus, uint64_t address, unsigned int len, const void *data)
{
	size_t i;

	for (i = 0; i < bus->nr_ranges && bus->ranges[i].address <= address; i++) {
		const struct io_device *device = &bus->ranges[i].device;

		if (device->write && range_has(&bus->ranges[i], address, len) &&
		    !device->write(device->opaque, address, len, data))
			return 0;
	}
	return -EOPNOTSUPP;
}

void io_bus_clear(struct io_bus *bus)
{
	free(bus->ranges);
	*bus = (struct io_bus){ NULL, 0 };
}

/* SPDX-License-Identifier: MIT */
/*
 * What a VM's ports and its physical addresses without memory are connected to: devices in ranges. An access goes to the
 * devices whose range holds all of it, in the order of their addresses, until one takes it; if none does, it is user
 * space's (KVM_EXIT_IO, KVM_EXIT_MMIO).
 *
 * A VM has two: one for ports, one for memory. Whoever calls holds the VM's lock.
 */
#ifndef VMASSAY_SOFT_IO_BUS_H
#define VMASSAY_SOFT_IO_BUS_H

#include <stddef.h>
#include <stdint.h>

#define IO_BUS_MAX_DEVICES 1000	/* as KVM's NR_IOBUS_DEVS */

/* @len bytes at @data; 0, or -EOPNOTSUPP: not this device's, ask the next one. */
struct io_device {
	void *opaque;		/* handed to both */
	int (*read)(void *opaque, uint64_t address, unsigned int len, void *data);	/* NULL: takes no reads */
	int (*write)(void *opaque, uint64_t address, unsigned int len, const void *data);
};

struct io_range {
	uint64_t address, len;	/* 0 bytes: each access that begins there */
	struct io_device device;
};

struct io_bus {
	struct io_range *ranges;	/* sorted by address; those of one address as they came */
	size_t nr_ranges;
};

/* -ENOSPC when IO_BUS_MAX_DEVICES are there; -ENOMEM. The device is copied. A zeroed bus is an empty one. */
int io_bus_add(struct io_bus *bus, uint64_t address, uint64_t len, const struct io_device *device);
/* Takes away each range of the device with this @opaque; none is fine. */
void io_bus_remove(struct io_bus *bus, const void *opaque);
/* 0, or -EOPNOTSUPP: nobody's. */
int io_bus_read(const struct io_bus *bus, uint64_t address, unsigned int len, void *data);
int io_bus_write(const struct io_bus *bus, uint64_t address, unsigned int len, const void *data);
void io_bus_clear(struct io_bus *bus);	/* frees; the bus is empty then */

#endif

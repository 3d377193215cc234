/* SPDX-License-Identifier: MIT */
/* The io bus, event descriptors and the coalesced ring. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness/soft/coalesced.h"
#include "harness/soft/eventfds.h"
#include "soft_chips_fixture.h"

#define DEASSIGN KVM_IOEVENTFD_FLAG_DEASSIGN
#define MATCH KVM_IOEVENTFD_FLAG_DATAMATCH
#define PIO KVM_IOEVENTFD_FLAG_PIO

static int byte_read(void *opaque, uint64_t address, unsigned int len, void *data)
{
	(void)address;
	memset(data, *(const int *)opaque, len);
	return 0;
}

static int refuse(void *opaque, uint64_t address, unsigned int len, void *data)
{
	(void)opaque;
	(void)address;
	(void)len;
	(void)data;
	return -EOPNOTSUPP;
}

static void test_bus(void **state)
{
	static int one = 1, two = 2;
	const struct io_device first = { &one, byte_read, NULL }, second = { &two, byte_read, NULL };
	const struct io_device none = { &one, refuse, NULL };
	struct io_bus bus = { NULL, 0 };
	uint32_t value = 0;
	unsigned int i;

	(void)state;
	assert_int_equal(io_bus_add(&bus, 0x100, 4, &second), 0);
	assert_int_equal(io_bus_add(&bus, 0x80, 4, &none), 0);
	assert_int_equal(io_bus_add(&bus, 0x82, 2, &second), 0);
	assert_int_equal(io_bus_read(&bus, 0x82, 2, &value), 0);	/* the one that refuses is asked first */
	assert_int_equal(value, 0x0202);
	assert_int_equal(io_bus_read(&bus, 0x83, 2, &value), -EOPNOTSUPP);	/* reaches over the end */
	assert_int_equal(io_bus_read(&bus, 0xff, 2, &value), -EOPNOTSUPP);
	assert_int_equal(io_bus_write(&bus, 0x100, 4, &value), -EOPNOTSUPP);
	assert_int_equal(io_bus_add(&bus, ~0ull - 3, 4, &first), 0);
	assert_int_equal(io_bus_read(&bus, ~0ull - 3, 4, &value), 0);
	io_bus_remove(&bus, &two);
	assert_int_equal(io_bus_read(&bus, 0x100, 4, &value), -EOPNOTSUPP);
	for (i = bus.nr_ranges; i < IO_BUS_MAX_DEVICES; i++)
		assert_int_equal(io_bus_add(&bus, i, 1, &first), 0);
	assert_int_equal(io_bus_add(&bus, 0, 1, &first), -ENOSPC);
	io_bus_clear(&bus);
}

static uint64_t counted(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void signal_event(int fd)
{
	const uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

struct events {
	struct chips chips;
	struct ioeventfds ios;
	struct irqfds irqs;
	int one, other;
};

static int setup(void **state)
{
	static struct events events;

	memset(&events, 0, sizeof(events));
	chips_create(&events.chips, IRQCHIP_KERNEL);
	irqfds_init(&events.irqs);
	events.one = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	events.other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*state = &events;
	return events.one < 0 || events.other < 0;
}

static int teardown(void **state)
{
	struct events *events = *state;

	ioeventfds_clear(&events->ios, &events->chips.ports, &events->chips.memory);
	irqfds_clear(&events->irqs);
	chips_destroy(&events->chips);
	close(events->one);
	close(events->other);
	return 0;
}

static int io_set(struct events *events, uint64_t addr, uint32_t len, uint32_t flags, uint64_t match, int fd)
{
	const struct kvm_ioeventfd args = { .addr = addr, .len = len, .flags = flags, .datamatch = match, .fd = fd };

	return ioeventfds_set(&events->ios, &events->chips.ports, &events->chips.memory, &args);
}

static void test_ioeventfd(void **state)
{
	struct events *events = *state;
	uint32_t value = 7;

	assert_int_equal(io_set(events, 0x80, 4, PIO | MATCH, 7, events->one), 0);
	assert_int_equal(io_set(events, 0x80, 4, PIO | MATCH, 8, events->other), 0);
	assert_int_equal(io_set(events, 0x80, 4, PIO, 0, events->other), -EEXIST);
	assert_int_equal(io_set(events, 0x80, 0, PIO, 0, events->other), -EEXIST);
	assert_int_equal(io_bus_write(&events->chips.ports, 0x80, 4, &value), 0);
	assert_int_equal(counted(events->one), 1);
	assert_int_equal(counted(events->other), 0);
	value = 9;
	assert_int_equal(io_bus_write(&events->chips.ports, 0x80, 4, &value), -EOPNOTSUPP);
	value = 7;
	assert_int_equal(io_bus_write(&events->chips.ports, 0x80, 2, &value), -EOPNOTSUPP);
	assert_int_equal(io_bus_write(&events->chips.memory, 0x80, 4, &value), -EOPNOTSUPP);
	assert_int_equal(io_set(events, 0x80, 4, PIO | MATCH | DEASSIGN, 7, events->other), -ENOENT);
	assert_int_equal(io_set(events, 0x80, 4, PIO | MATCH | DEASSIGN, 7, events->one), 0);
	assert_int_equal(io_bus_write(&events->chips.ports, 0x80, 4, &value), -EOPNOTSUPP);
	/* Without a length each access there counts. */
	assert_int_equal(io_set(events, 0x1000, 0, 0, 0, events->one), 0);
	assert_int_equal(io_bus_write(&events->chips.memory, 0x1000, 1, &value), 0);
	assert_int_equal(io_bus_write(&events->chips.memory, 0x1000, 4, &value), 0);
	assert_int_equal(io_bus_write(&events->chips.memory, 0x1001, 1, &value), -EOPNOTSUPP);
	assert_int_equal(counted(events->one), 2);
}

static void test_ioeventfd_refused(void **state)
{
	struct events *events = *state;

	assert_int_equal(io_set(events, 0x80, 3, 0, 0, events->one), -EINVAL);
	assert_int_equal(io_set(events, 0x80, 1, 1u << 31, 0, events->one), -EINVAL);
	assert_int_equal(io_set(events, 0x80, 0, MATCH, 0, events->one), -EINVAL);
	assert_int_equal(io_set(events, ~0ull - 6, 8, 0, 0, events->one), -EINVAL);
	assert_int_equal(io_set(events, 0x80, 1, 0, 0, 999), -EBADF);
	assert_int_equal(io_set(events, 0x80, 1, 0, 0, STDIN_FILENO), -EINVAL);
	assert_int_equal(events->chips.ports.nr_ranges + events->chips.memory.nr_ranges, 4);	/* the chips' */
}

static int irq_set(struct events *events, uint32_t gsi, uint32_t flags, int fd, int resample_fd)
{
	const struct kvm_irqfd args = { .gsi = gsi, .flags = flags, .fd = fd, .resamplefd = resample_fd };

	return irqfds_set(&events->irqs, &events->chips.chip, &args);
}

static void test_irqfd(void **state)
{
	struct events *events = *state;
	struct irqchip *chip = &events->chips.chip;
	struct pollfd wait = { .events = POLLIN };

	assert_int_equal(irqfds_wait_fd(&events->irqs), -1);
	signal_event(events->other);
	assert_int_equal(irq_set(events, 5, 0, events->one, -1), 0);
	assert_int_equal(irq_set(events, 6, 0, events->one, -1), -EBUSY);
	irqfds_poll(&events->irqs, chip);
	assert_int_equal(chip->pic.chips[0].irr, 0);
	signal_event(events->one);
	wait.fd = irqfds_wait_fd(&events->irqs);
	assert_int_equal(poll(&wait, 1, 0), 1);
	irqfds_poll(&events->irqs, chip);
	assert_int_equal(chip->pic.chips[0].irr, 1u << 5);
	assert_int_equal(poll(&wait, 1, 0), 0);
	/* What was signalled before counts. */
	assert_int_equal(irq_set(events, 3, 0, events->other, -1), 0);
	assert_int_equal(chip->pic.chips[0].irr, 1u << 5 | 1u << 3);
	/* Another GSI's removal takes nothing away. */
	assert_int_equal(irq_set(events, 6, KVM_IRQFD_FLAG_DEASSIGN, events->one, -1), 0);
	assert_int_equal(irq_set(events, 6, 0, events->one, -1), -EBUSY);
	assert_int_equal(irq_set(events, 5, KVM_IRQFD_FLAG_DEASSIGN, events->one, -1), 0);
	assert_int_equal(irq_set(events, 6, 0, events->one, -1), 0);
	assert_int_equal(irq_set(events, 5, 1u << 2, events->one, -1), -EINVAL);
	assert_int_equal(irq_set(events, 5, 0, 999, -1), -EBADF);
	assert_int_equal(irq_set(events, 5, 0, STDIN_FILENO, -1), -EINVAL);
}

/* The line stays up until the guest ends the interrupt; then user space hears of it. */
static void test_resample(void **state)
{
	struct events *events = *state;
	struct irqchip *chip = &events->chips.chip;

	assert_int_equal(irq_set(events, 20, KVM_IRQFD_FLAG_RESAMPLE, events->one, 999), -EBADF);
	assert_int_equal(irq_set(events, 20, KVM_IRQFD_FLAG_RESAMPLE, events->one, events->other), 0);
	signal_event(events->one);
	irqfds_poll(&events->irqs, chip);
	assert_int_equal(chip->ioapic.state.irr, 1u << 20);
	assert_int_equal(counted(events->other), 0);
	irqfds_acked(&events->irqs, chip, 19);
	assert_int_equal(chip->ioapic.state.irr, 1u << 20);
	irqfds_acked(&events->irqs, chip, 20);
	assert_int_equal(chip->ioapic.state.irr, 0);
	assert_int_equal(counted(events->other), 1);
	signal_event(events->one);
	irqfds_poll(&events->irqs, chip);
	assert_int_equal(irq_set(events, 20, KVM_IRQFD_FLAG_DEASSIGN, events->one, -1), 0);
	assert_int_equal(chip->ioapic.state.irr, 0);	/* its level goes with it */
}

static void test_coalesced(void **state)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = 0x1000, .size = 0x10 }, part = { .addr = 0x1004, .size = 4 };
	struct coalesced coalesced = { .ring = calloc(1, 4096) };
	struct io_bus ports = { NULL, 0 }, memory = { NULL, 0 };
	uint32_t value = 0x12345678;
	unsigned int i;

	(void)state;
	assert_non_null(coalesced.ring);
	zone.pio = 2;
	assert_int_equal(coalesced_register(&coalesced, &ports, &memory, &zone), -EINVAL);
	zone.pio = 0;
	assert_int_equal(coalesced_register(&coalesced, &ports, &memory, &zone), 0);
	assert_int_equal(io_bus_write(&memory, 0x100c, 4, &value), 0);
	assert_int_equal(io_bus_write(&memory, 0x100e, 4, &value), -EOPNOTSUPP);
	assert_int_equal(io_bus_write(&ports, 0x100c, 4, &value), -EOPNOTSUPP);
	assert_int_equal(coalesced.ring->last, 1);
	assert_int_equal(coalesced.ring->coalesced_mmio[0].phys_addr, 0x100c);
	assert_int_equal(coalesced.ring->coalesced_mmio[0].len, 4);
	assert_memory_equal(coalesced.ring->coalesced_mmio[0].data, &value, 4);
	/* Until it is full: one entry stays unused. */
	for (i = 0; !io_bus_write(&memory, 0x1000, 1, &value); i++)
		assert_in_range(i, 0, 4096);
	assert_int_equal(i, (4096 - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio) - 2);
	coalesced.ring->first = 1;
	assert_int_equal(io_bus_write(&memory, 0x1000, 1, &value), 0);
	coalesced.ring->last = 0xffff;		/* user space may have written anything */
	assert_int_equal(io_bus_write(&memory, 0x1000, 1, &value), -EOPNOTSUPP);
	coalesced.ring->first = coalesced.ring->last = 0;
	assert_int_equal(coalesced_unregister(&coalesced, &ports, &memory, &part), 0);	/* in the zone */
	assert_int_equal(io_bus_write(&memory, 0x1000, 1, &value), -EOPNOTSUPP);
	zone.pio = 1;
	assert_int_equal(coalesced_register(&coalesced, &ports, &memory, &zone), 0);
	assert_int_equal(io_bus_write(&ports, 0x1000, 1, &value), 0);
	assert_int_equal(coalesced.ring->coalesced_mmio[0].pio, 1);
	coalesced_clear(&coalesced, &ports, &memory);
	assert_int_equal(ports.nr_ranges, 0);
	io_bus_clear(&ports);
	io_bus_clear(&memory);
	free(coalesced.ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bus),
		cmocka_unit_test_setup_teardown(test_ioeventfd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ioeventfd_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_irqfd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resample, setup, teardown),
		cmocka_unit_test(test_coalesced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

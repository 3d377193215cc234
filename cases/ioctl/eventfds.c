/* SPDX-License-Identifier: MIT */
/*
 * KVM_IRQFD and KVM_IOEVENTFD: arguments that do not do, two users of one place, and taking away what is not there.
 *
 * Can break: a flag or length let through, a collision not seen (a wildcard beside a value), a deassignment that takes
 * another one away or reports success for none.
 * Source: KVM API, 4.59 (KVM_IOEVENTFD), 4.75 (KVM_IRQFD).
 */
#include "case.h"

#include <sys/eventfd.h>
#include <unistd.h>

#define PIO KVM_IOEVENTFD_FLAG_PIO
#define MATCH KVM_IOEVENTFD_FLAG_DATAMATCH
#define DEASSIGN KVM_IOEVENTFD_FLAG_DEASSIGN

static int one, other;

static long io_try(struct test *t, uint64_t addr, uint32_t len, uint32_t flags, uint64_t match, int fd)
{
	struct kvm_ioeventfd io = { .addr = addr, .len = len, .flags = flags, .datamatch = match, .fd = fd };

	return vm_ioctl_try(t->vm, KVM_IOEVENTFD, &io);
}

static long irq_try(struct test *t, uint32_t gsi, uint32_t flags, int fd)
{
	struct kvm_irqfd irq = { .gsi = gsi, .flags = flags, .fd = fd };

	return vm_ioctl_try(t->vm, KVM_IRQFD, &irq);
}

static void host_io_length(struct test *t)
{
	static const uint32_t good[] = { 0, 1, 2, 4, 8 }, bad[] = { 3, 5, 6, 7, 9, 16, 0x80000000, ~0u };
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_errno(t, EINVAL, io_try(t, 0x1000, bad[i], 0, 0, one));
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		expect_result(t, 0, io_try(t, 0x1000, good[i], 0, 0, one));
		expect_errno(t, EEXIST, io_try(t, 0x1000, good[i], 0, 0, other));
		expect_result(t, 0, io_try(t, 0x1000, good[i], DEASSIGN, 0, one));
		expect_errno(t, ENOENT, io_try(t, 0x1000, good[i], DEASSIGN, 0, one));
	}
}

static void host_io_flags(struct test *t)
{
	expect_errno(t, EINVAL, io_try(t, 0x80, 1, 1 << 5, 0, one));
	expect_errno(t, EINVAL, io_try(t, 0x80, 1, 1u << 31, 0, one));
	expect_errno(t, EINVAL, io_try(t, 0x80, 0, PIO | MATCH, 0, one));
	expect_errno(t, EINVAL, io_try(t, ~0ull, 2, 0, 0, one));
	expect_errno(t, EINVAL, io_try(t, ~0ull - 6, 8, 0, 0, one));
	expect_result(t, 0, io_try(t, ~0ull - 8, 8, 0, 0, one));
	expect_errno(t, EBADF, io_try(t, 0x80, 1, 0, 0, 999));
	expect_errno(t, EINVAL, io_try(t, 0x80, 1, 0, 0, t->vm->fd));
	expect_result(t, 0, io_try(t, 0x80, 1, 0, 0, one));
}

static void host_io_collision(struct test *t)
{
	expect_result(t, 0, io_try(t, 0x80, 4, PIO | MATCH, 7, one));
	expect_errno(t, EEXIST, io_try(t, 0x80, 4, PIO | MATCH, 7, other));
	expect_errno(t, EEXIST, io_try(t, 0x80, 4, PIO, 0, other));
	expect_errno(t, EEXIST, io_try(t, 0x80, 0, PIO, 0, other));
	expect_result(t, 0, io_try(t, 0x80, 4, PIO | MATCH, 8, other));
	expect_result(t, 0, io_try(t, 0x80, 2, PIO | MATCH, 7, other));
	expect_result(t, 0, io_try(t, 0x80, 4, MATCH, 7, other));	/* MMIO */
	expect_result(t, 0, io_try(t, 0x84, 4, PIO | MATCH, 7, other));
}

static void host_io_deassign(struct test *t)
{
	expect_result(t, 0, io_try(t, 0x80, 4, PIO | MATCH, 7, one));
	expect_errno(t, ENOENT, io_try(t, 0x80, 4, PIO | MATCH | DEASSIGN, 8, one));
	expect_errno(t, ENOENT, io_try(t, 0x80, 4, PIO | DEASSIGN, 7, one));
	expect_errno(t, ENOENT, io_try(t, 0x80, 2, PIO | MATCH | DEASSIGN, 7, one));
	expect_errno(t, ENOENT, io_try(t, 0x84, 4, PIO | MATCH | DEASSIGN, 7, one));
	expect_errno(t, ENOENT, io_try(t, 0x80, 4, MATCH | DEASSIGN, 7, one));
	expect_errno(t, ENOENT, io_try(t, 0x80, 4, PIO | MATCH | DEASSIGN, 7, other));
	expect_errno(t, EBADF, io_try(t, 0x80, 4, PIO | MATCH | DEASSIGN, 7, 999));
	expect_errno(t, EEXIST, io_try(t, 0x80, 4, PIO | MATCH, 7, other));
	expect_result(t, 0, io_try(t, 0x80, 4, PIO | MATCH | DEASSIGN, 7, one));
	expect_result(t, 0, io_try(t, 0x80, 4, PIO | MATCH, 7, other));
}

static void host_irq_arguments(struct test *t)
{
	expect_errno(t, EINVAL, irq_try(t, 5, 1 << 2, one));
	expect_errno(t, EINVAL, irq_try(t, 5, 1u << 31, one));
	expect_errno(t, EBADF, irq_try(t, 5, 0, 999));
	expect_errno(t, EINVAL, irq_try(t, 5, 0, t->vm->fd));
	expect_errno(t, EBADF, irq_try(t, 5, KVM_IRQFD_FLAG_DEASSIGN, 999));
	expect_result(t, 0, irq_try(t, 5, 0, one));
}

static void host_irq_busy(struct test *t)
{
	expect_result(t, 0, irq_try(t, 5, 0, one));
	expect_errno(t, EBUSY, irq_try(t, 5, 0, one));
	expect_errno(t, EBUSY, irq_try(t, 6, 0, one));
	expect_result(t, 0, irq_try(t, 5, 0, other));
	/* Another GSI's deassignment takes nothing away. */
	expect_result(t, 0, irq_try(t, 6, KVM_IRQFD_FLAG_DEASSIGN, one));
	expect_errno(t, EBUSY, irq_try(t, 6, 0, one));
	expect_result(t, 0, irq_try(t, 5, KVM_IRQFD_FLAG_DEASSIGN, one));
	expect_result(t, 0, irq_try(t, 6, 0, one));
	expect_errno(t, EBUSY, irq_try(t, 7, 0, other));
}

static uint32_t master_irr(struct test *t)
{
	struct kvm_irqchip chip = { .chip_id = 0 };

	vm_ioctl(t->vm, KVM_GET_IRQCHIP, &chip);
	return chip.chip.pic.irr;
}

static void expect_irr(struct test *t, uint32_t want)
{
	unsigned int tries;

	for (tries = 0; tries < 100 && master_irr(t) != want; tries++)
		usleep(1000);
	expect_eq(t, want, master_irr(t));
}

/* A write to the descriptor is an edge at the 8259, of its own line only; before assignment it is remembered. */
static void host_irq_signal(struct test *t)
{
	const uint64_t event = 1;

	expect_result(t, 0, irq_try(t, 5, 0, one));
	expect_eq(t, 0, master_irr(t));
	expect_eq(t, 8, write(one, &event, 8));
	expect_irr(t, 1 << 5);
	expect_eq(t, 8, write(other, &event, 8));
	expect_result(t, 0, irq_try(t, 3, 0, other));
	expect_irr(t, 1 << 5 | 1 << 3);
}

static void host_irq_no_irqchip(struct test *t)
{
	t->vm = test_vm(t);
	expect_errno(t, EINVAL, irq_try(t, 5, 0, one));
	expect_errno(t, EINVAL, irq_try(t, 5, 1 << 2, one));
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "io_length", .host = host_io_length, .needs = "KVM_CAP_IOEVENTFD_ANY_LENGTH" },
	{ .label = "io_flags", .host = host_io_flags },
	{ .label = "io_collision", .host = host_io_collision },
	{ .label = "io_deassign", .host = host_io_deassign },
	{ .label = "irq_arguments", .host = host_irq_arguments },
	{ .label = "irq_busy", .host = host_irq_busy },
	{ .label = "irq_signal", .host = host_irq_signal },
	{ .label = "irq_no_irqchip", .host = host_irq_no_irqchip },
};

CASE(eventfds, .says = "event descriptors are bound to one place each", .modes = NO_GUEST, .irqchip = true,
     .needs = "KVM_CAP_IRQFD KVM_CAP_IOEVENTFD", .rows = ROWS(rows))

HOST(eventfds)
{
	one = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	require_true(t, one >= 0 && other >= 0);
	ROW(t, rows)->host(t);
}

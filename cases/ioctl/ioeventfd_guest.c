/* SPDX-License-Identifier: MIT */
/*
 * What a guest's accesses do to an event descriptor bound by KVM_IOEVENTFD: a write that matches in address, length and
 * value counts one up and is no exit; any other is the exit it was before, and counts nothing.
 *
 * Can break: a value compared in too few or too many bytes, a neighbour's address, another size, reads taken for
 * writes, PIO for MMIO, the length 0 that means all, one of two descriptors at an address.
 * Source: KVM API, 4.59 (KVM_IOEVENTFD), KVM_CAP_IOEVENTFD_ANY_LENGTH.
 */
#include "case.h"

#include <unistd.h>

#include <sys/eventfd.h>	/* needs what <unistd.h> brings, in the guest's build */

#define PIO KVM_IOEVENTFD_FLAG_PIO
#define MATCH KVM_IOEVENTFD_FLAG_DATAMATCH
#define DEASSIGN KVM_IOEVENTFD_FLAG_DEASSIGN
#define PORT 0x5678
#define V1 0xa5
#define V2 0x81a5
#define V4 0x123481a5
#define V8 0x9abcdef0123481a5ull

struct row {
	ROW_FIELDS;
	struct kvm_ioeventfd io;	/* .fd is filled in; for MMIO .addr is an offset */
	uint32_t at, size;		/* the guest's access: port, or offset */
	uint64_t value;
	bool is_hit, is_read;
	bool has_second;		/* another descriptor, for 4 bytes of value 7 */
	bool is_taken_away;		/* before the access */
};

#define MMIO_ROW(label_, len_, flags_, match_, ...)					\
	{ .label = label_, .io = { .addr = 0x10, .len = len_, .flags = flags_, .datamatch = match_ }, .at = 0x10, __VA_ARGS__ }
#define PIO_ROW(label_, len_, flags_, match_, ...)					\
	{ .label = label_, .io = { .addr = PORT, .len = len_, .flags = PIO | (flags_), .datamatch = match_ },	\
	  .at = PORT, __VA_ARGS__ }

static const struct row rows[] = {
	MMIO_ROW("mmio_1", 1, 0, 0, .size = 1, .value = V1, .is_hit = true),
	MMIO_ROW("mmio_2", 2, 0, 0, .size = 2, .value = V2, .is_hit = true),
	MMIO_ROW("mmio_4", 4, 0, 0, .size = 4, .value = V4, .is_hit = true),
	MMIO_ROW("mmio_8", 8, 0, 0, .size = 8, .value = V8, .is_hit = true),
	MMIO_ROW("mmio_1_of_2", 2, 0, 0, .size = 1, .value = V1),
	MMIO_ROW("mmio_2_of_1", 1, 0, 0, .size = 2, .value = V2),
	MMIO_ROW("mmio_8_of_4", 4, 0, 0, .size = 8, .value = V8),
	MMIO_ROW("mmio_read", 4, 0, 0, .size = 4, .is_read = true),
	{ .label = "mmio_below", .io = { .addr = 0x10, .len = 4 }, .at = 0x0c, .size = 4, .value = V4 },
	{ .label = "mmio_above", .io = { .addr = 0x10, .len = 4 }, .at = 0x14, .size = 4, .value = V4 },
	{ .label = "mmio_inside", .io = { .addr = 0x10, .len = 4 }, .at = 0x12, .size = 2, .value = V2 },
	{ .label = "mmio_across", .io = { .addr = 0x10, .len = 4 }, .at = 0x0e, .size = 4, .value = V4 },
	MMIO_ROW("match_1", 1, MATCH, V1, .size = 1, .value = V1, .is_hit = true),
	MMIO_ROW("match_2", 2, MATCH, V2, .size = 2, .value = V2, .is_hit = true),
	MMIO_ROW("match_4", 4, MATCH, V4, .size = 4, .value = V4, .is_hit = true),
	MMIO_ROW("match_8", 8, MATCH, V8, .size = 8, .value = V8, .is_hit = true),
	MMIO_ROW("match_1_not", 1, MATCH, V1, .size = 1, .value = V1 ^ 1),
	MMIO_ROW("match_2_not_high", 2, MATCH, V2, .size = 2, .value = V2 ^ 0x8000),
	MMIO_ROW("match_4_not_high", 4, MATCH, V4, .size = 4, .value = V4 ^ 0x80000000),
	MMIO_ROW("match_4_not_low", 4, MATCH, V4, .size = 4, .value = V4 ^ 1),
	MMIO_ROW("match_8_not_high", 8, MATCH, V8, .size = 8, .value = V8 ^ 1ull << 63),
	MMIO_ROW("match_8_not_low", 8, MATCH, V8, .size = 8, .value = V8 ^ 1),
	/* The value asked for has more than the access's bytes: no write equals it. */
	MMIO_ROW("match_wider_value", 4, MATCH, V8, .size = 4, .value = V4),
	MMIO_ROW("match_other_size", 4, MATCH, V1, .size = 1, .value = V1),
	MMIO_ROW("match_zero", 4, MATCH, 0, .size = 4, .value = 0, .is_hit = true),
	MMIO_ROW("any_1", 0, 0, 0, .size = 1, .value = V1, .is_hit = true),
	MMIO_ROW("any_2", 0, 0, 0, .size = 2, .value = V2, .is_hit = true),
	MMIO_ROW("any_4", 0, 0, 0, .size = 4, .value = V4, .is_hit = true),
	MMIO_ROW("any_8", 0, 0, 0, .size = 8, .value = V8, .is_hit = true),
	MMIO_ROW("any_read", 0, 0, 0, .size = 4, .is_read = true),
	{ .label = "any_above", .io = { .addr = 0x10 }, .at = 0x11, .size = 1, .value = V1 },
	MMIO_ROW("any_taken_away", 0, 0, 0, .size = 4, .value = V4, .is_taken_away = true),
	MMIO_ROW("taken_away", 4, 0, 0, .size = 4, .value = V4, .is_taken_away = true),
	MMIO_ROW("match_taken_away", 4, MATCH, V4, .size = 4, .value = V4, .is_taken_away = true),
	MMIO_ROW("two_first", 4, MATCH, V4, .size = 4, .value = V4, .has_second = true, .is_hit = true),
	MMIO_ROW("two_neither", 4, MATCH, V4, .size = 4, .value = 8, .has_second = true),
	MMIO_ROW("two_one_taken_away", 4, MATCH, V4, .size = 4, .value = V4, .has_second = true, .is_taken_away = true),
	PIO_ROW("pio_1", 1, 0, 0, .size = 1, .value = V1, .is_hit = true),
	PIO_ROW("pio_2", 2, 0, 0, .size = 2, .value = V2, .is_hit = true),
	PIO_ROW("pio_4", 4, 0, 0, .size = 4, .value = V4, .is_hit = true),
	PIO_ROW("pio_2_of_1", 1, 0, 0, .size = 2, .value = V2),
	PIO_ROW("pio_read", 1, 0, 0, .size = 1, .is_read = true),
	PIO_ROW("pio_match_2", 2, MATCH, V2, .size = 2, .value = V2, .is_hit = true),
	PIO_ROW("pio_match_2_not", 2, MATCH, V2, .size = 2, .value = V2 ^ 0x100),
	PIO_ROW("pio_any_4", 0, 0, 0, .size = 4, .value = V4, .is_hit = true),
	PIO_ROW("pio_taken_away", 2, 0, 0, .size = 2, .value = V2, .is_taken_away = true),
	{ .label = "pio_above", .io = { .addr = PORT, .len = 1, .flags = PIO }, .at = PORT + 1, .size = 1, .value = V1 },
	/* An MMIO descriptor at the port's number, and the reverse. */
	{ .label = "pio_is_not_mmio", .io = { .addr = 0x10, .len = 1, .flags = PIO }, .at = 0x10, .size = 1, .value = V1 },
};

CASE(ioeventfd_guest, .says = "a write that matches counts up the descriptor, any other is an exit", .modes = LONG64,
     .needs = "KVM_CAP_IOEVENTFD KVM_CAP_IOEVENTFD_ANY_LENGTH", .rows = ROWS(rows))

static bool is_pio(const struct row *row)
{
	return row->at >= PORT;
}

static void port_access(const struct row *row)
{
	if (row->is_read)
		CHECK_EQ(0x77, in8(row->at));
	else if (row->size == 1)
		out8(row->at, row->value);
	else if (row->size == 2)
		out16(row->at, row->value);
	else
		out32(row->at, row->value);
}

static void memory_access(const struct row *row)
{
	ulong_t at = MMIO_GPA + row->at;

	if (row->is_read)
		CHECK_EQ(0x77, read32(at));
	else if (row->size == 1)
		write8(at, row->value);
	else if (row->size == 2)
		write16(at, row->value);
	else if (row->size == 4)
		write32(at, row->value);
#ifdef __x86_64__
	else
		write64(at, row->value);
#endif
}

GUEST(ioeventfd_guest)
{
	const struct row *row = GUEST_ROW(rows);

	if (is_pio(row))
		port_access(row);
	else
		memory_access(row);
}

static uint64_t counted(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void bind(struct test *t, const struct row *row, int fd, uint32_t flags)
{
	struct kvm_ioeventfd io = row->io;

	if (!(io.flags & PIO))
		io.addr += MMIO_GPA;
	io.fd = fd;
	io.flags |= flags;
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_IOEVENTFD, &io));
}

static void expect_access(struct test *t, const struct row *row)
{
	uint64_t at = MMIO_GPA + row->at;

	if (is_pio(row) && row->is_read)
		expect_pio_in(t, 0x77, .port = row->at, .size = row->size, .count = 1);
	else if (is_pio(row))
		expect_pio_out(t, .port = row->at, .size = row->size, .count = 1, .data = row->value);
	else if (row->is_read)
		expect_mmio_read(t, 0x77, .phys_addr = at, .len = row->size);
	else
		expect_mmio_write(t, .phys_addr = at, .len = row->size, .data = row->value);
}

HOST(ioeventfd_guest)
{
	const struct row *row = ROW(t, rows);
	struct kvm_ioeventfd second = { .addr = MMIO_GPA + 0x10, .len = 4, .flags = MATCH, .datamatch = 7 };
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	require_true(t, fd >= 0 && other >= 0);
	bind(t, row, fd, 0);
	second.fd = other;
	if (row->has_second)
		expect_result(t, 0, vm_ioctl_try(t->vm, KVM_IOEVENTFD, &second));
	if (row->is_taken_away)
		bind(t, row, fd, DEASSIGN);
	if (!row->is_hit)
		expect_access(t, row);
	expect_done(t);
	expect_eq(t, row->is_hit, counted(fd));
	expect_eq(t, 0, counted(other));
}

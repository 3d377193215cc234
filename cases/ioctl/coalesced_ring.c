/* SPDX-License-Identifier: MIT */
/*
 * Coalesced writes: a zone's writes go to the ring without an exit, in order and whole; reads, writes outside or across
 * the zone's end, and writes to a full ring are exits as before.
 *
 * Can break: an entry's address, length, bytes or kind, the ring's end, the entry that must stay free, a zone's last
 * byte, a zone that stays after it was taken away, PIO and MMIO zones mixed up.
 * Source: KVM API, 4.116 (KVM_(UN)REGISTER_COALESCED_MMIO); KVM_CAP_COALESCED_MMIO's value is the ring's page in a
 * vCPU's mapping.
 */
#include "case.h"

#include <string.h>

#define ZONE 0x100	/* from MMIO_GPA */
#define ZONE_BYTES 0x20
#define PORT 0x5678
#define PAGE_BYTES 4096
#define NR_ENTRIES ((PAGE_BYTES - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio))

static struct kvm_coalesced_mmio_ring *ring_of(struct test *t)
{
	long page = sys_has_cap(t->sys, KVM_CAP_COALESCED_MMIO);

	return (struct kvm_coalesced_mmio_ring *)((uint8_t *)t->vcpu->run + page * PAGE_BYTES);
}

static long zone_try(struct test *t, unsigned long request, uint64_t addr, uint32_t size, uint32_t pio)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = addr, .size = size, .pio = pio };

	return sys_call(t->sys, t->vm->fd, request, (uintptr_t)&zone);
}

static void zone_add(struct test *t, uint64_t addr, uint32_t size, uint32_t pio)
{
	expect_result(t, 0, zone_try(t, KVM_REGISTER_COALESCED_MMIO, addr, size, pio));
}

static void zone_remove(struct test *t, uint64_t addr, uint32_t size, uint32_t pio)
{
	expect_result(t, 0, zone_try(t, KVM_UNREGISTER_COALESCED_MMIO, addr, size, pio));
}

static void expect_range(struct test *t, uint32_t first, uint32_t last)
{
	expect_eq(t, first, ring_of(t)->first);
	expect_eq(t, last, ring_of(t)->last);
}

static void expect_entry(struct test *t, uint32_t index, uint64_t addr, uint32_t len, uint32_t pio, uint64_t data)
{
	const struct kvm_coalesced_mmio *entry = &ring_of(t)->coalesced_mmio[index];

	test_say(t, "entry %u", index);
	expect_eq(t, addr, entry->phys_addr);
	expect_eq(t, len, entry->len);
	expect_eq(t, pio, entry->pio);
	expect_bytes(t, &data, entry->data, len);
}

/* --- each size, at both ends of the zone --- */

static void guest_sizes(void)
{
	ulong_t zone = MMIO_GPA + ZONE;

	write8(zone, 0x81);
	write16(zone + 2, 0x8182);
	write32(zone + 4, 0x81828384);
#ifdef __x86_64__
	write64(zone + 8, 0x8182838485868788ull);
	write64(zone + ZONE_BYTES - 8, 0x1112131415161718ull);
#endif
	write8(zone + ZONE_BYTES - 1, 0x91);
}

static void host_sizes(struct test *t)
{
	uint64_t zone = MMIO_GPA + ZONE;

	zone_add(t, zone, ZONE_BYTES, 0);
	expect_range(t, 0, 0);
	expect_done(t);
	expect_range(t, 0, 6);
	expect_entry(t, 0, zone, 1, 0, 0x81);
	expect_entry(t, 1, zone + 2, 2, 0, 0x8182);
	expect_entry(t, 2, zone + 4, 4, 0, 0x81828384);
	expect_entry(t, 3, zone + 8, 8, 0, 0x8182838485868788ull);
	expect_entry(t, 4, zone + ZONE_BYTES - 8, 8, 0, 0x1112131415161718ull);
	expect_entry(t, 5, zone + ZONE_BYTES - 1, 1, 0, 0x91);
}

/* --- just outside, and across the ends --- */

static void guest_outside(void)
{
	ulong_t zone = MMIO_GPA + ZONE;

	write8(zone - 1, 1);
	write8(zone + ZONE_BYTES, 2);
	write16(zone - 1, 0x0403);
	write32(zone + ZONE_BYTES - 2, 0x08070605);
	CHECK_EQ(0x99, read8(zone));
	CHECK_EQ(0x12345678, read32(zone + 4));
}

static void host_outside(struct test *t)
{
	uint64_t zone = MMIO_GPA + ZONE;

	zone_add(t, zone, ZONE_BYTES, 0);
	expect_mmio_write(t, .phys_addr = zone - 1, .len = 1, .data = 1);
	expect_mmio_write(t, .phys_addr = zone + ZONE_BYTES, .len = 1, .data = 2);
	expect_mmio_write(t, .phys_addr = zone - 1, .len = 2, .data = 0x0403);
	expect_mmio_write(t, .phys_addr = zone + ZONE_BYTES - 2, .len = 4, .data = 0x08070605);
	expect_mmio_read(t, 0x99, .phys_addr = zone, .len = 1);
	expect_mmio_read(t, 0x12345678, .phys_addr = zone + 4, .len = 4);
	expect_done(t);
	expect_range(t, 0, 0);
}

/* --- the ring is full: one entry stays free --- */

static void guest_full(void)
{
	uint32_t i;

	for (i = 0; i < NR_ENTRIES; i++)
		write32(MMIO_GPA + ZONE, i);
}

static void host_full(struct test *t)
{
	uint32_t i;

	zone_add(t, MMIO_GPA + ZONE, ZONE_BYTES, 0);
	require_mmio_write(t, .phys_addr = MMIO_GPA + ZONE, .len = 4, .data = NR_ENTRIES - 1);
	expect_range(t, 0, NR_ENTRIES - 1);
	for (i = 0; i < NR_ENTRIES - 1; i++)
		expect_entry(t, i, MMIO_GPA + ZONE, 4, 0, i);
	expect_done(t);
}

/* --- room for four, across the ring's end, then for one more --- */

static void guest_wraps(void)
{
	uint32_t i;

	for (i = 0; i < 6; i++)
		write32(MMIO_GPA + ZONE + 4, 0x1000 + i);
}

static void host_wraps(struct test *t)
{
	struct kvm_coalesced_mmio_ring *ring = ring_of(t);

	zone_add(t, MMIO_GPA + ZONE, ZONE_BYTES, 0);
	ring->first = 3;
	ring->last = NR_ENTRIES - 2;
	require_mmio_write(t, .phys_addr = MMIO_GPA + ZONE + 4, .len = 4, .data = 0x1004);
	expect_range(t, 3, 2);
	expect_entry(t, NR_ENTRIES - 2, MMIO_GPA + ZONE + 4, 4, 0, 0x1000);
	expect_entry(t, NR_ENTRIES - 1, MMIO_GPA + ZONE + 4, 4, 0, 0x1001);
	expect_entry(t, 0, MMIO_GPA + ZONE + 4, 4, 0, 0x1002);
	expect_entry(t, 1, MMIO_GPA + ZONE + 4, 4, 0, 0x1003);
	expect_entry(t, 2, 0, 0, 0, 0);
	ring->first = 4;
	expect_done(t);
	expect_range(t, 4, 3);
	expect_entry(t, 2, MMIO_GPA + ZONE + 4, 4, 0, 0x1005);
}

/* --- an index that user space broke --- */

static void guest_one(void)
{
	write32(MMIO_GPA + ZONE, 0x5a5a5a5a);
}

static void host_bad_last(struct test *t)
{
	zone_add(t, MMIO_GPA + ZONE, ZONE_BYTES, 0);
	ring_of(t)->last = NR_ENTRIES;
	expect_mmio_write(t, .phys_addr = MMIO_GPA + ZONE, .len = 4, .data = 0x5a5a5a5a);
	ring_of(t)->last = 0;
	expect_done(t);
}

/* --- ports --- */

static void guest_ports(void)
{
	out8(PORT, 0x11);
	out16(PORT + 2, 0x2222);
	out32(PORT + 4, 0x33333333);
	out8(PORT + 8, 0x44);
	CHECK_EQ(0x55, in8(PORT));
	write8(MMIO_GPA + ZONE, 0x66);
}

static void host_ports(struct test *t)
{
	zone_add(t, PORT, 8, 1);
	expect_pio_out(t, .port = PORT + 8, .size = 1, .count = 1, .data = 0x44);
	expect_range(t, 0, 3);
	expect_pio_in(t, 0x55, .port = PORT, .size = 1, .count = 1);
	expect_mmio_write(t, .phys_addr = MMIO_GPA + ZONE, .len = 1, .data = 0x66);
	expect_done(t);
	expect_range(t, 0, 3);
	expect_entry(t, 0, PORT, 1, 1, 0x11);
	expect_entry(t, 1, PORT + 2, 2, 1, 0x2222);
	expect_entry(t, 2, PORT + 4, 4, 1, 0x33333333);
}

/* --- a zone of one kind is not one of the other's --- */

static void guest_kinds(void)
{
	out8(PORT, 0x11);
	write8(PORT + 0x10000000, 0x22);
}

static void host_kinds(struct test *t)
{
	zone_add(t, PORT + 0x10000000, 1, 0);
	zone_add(t, PORT, 1, 0);
	expect_pio_out(t, .port = PORT, .size = 1, .count = 1, .data = 0x11);
	expect_done(t);
	expect_range(t, 0, 1);
	expect_entry(t, 0, PORT + 0x10000000, 1, 0, 0x22);
}

/* --- order: what is in the ring came before the exit --- */

static void guest_order(void)
{
	write32(MMIO_GPA + ZONE, 1);
	write32(MMIO_GPA, 2);
	write32(MMIO_GPA + ZONE, 3);
	out8(PORT, 4);
}

static void host_order(struct test *t)
{
	zone_add(t, MMIO_GPA + ZONE, ZONE_BYTES, 0);
	expect_mmio_write(t, .phys_addr = MMIO_GPA, .len = 4, .data = 2);
	expect_range(t, 0, 1);
	expect_entry(t, 0, MMIO_GPA + ZONE, 4, 0, 1);
	expect_pio_out(t, .port = PORT, .size = 1, .count = 1, .data = 4);
	expect_range(t, 0, 2);
	expect_entry(t, 1, MMIO_GPA + ZONE, 4, 0, 3);
	expect_done(t);
}

/* --- taken away, while another one stays --- */

static void guest_taken_away(void)
{
	write8(MMIO_GPA + ZONE, 1);
	write8(MMIO_GPA + 2 * ZONE, 2);
	guest_sync(1);
	write8(MMIO_GPA + ZONE, 3);
	write8(MMIO_GPA + 2 * ZONE, 4);
	guest_sync(2);
	write8(MMIO_GPA + ZONE, 5);
}

static void host_taken_away(struct test *t)
{
	zone_add(t, MMIO_GPA + ZONE, ZONE_BYTES, 0);
	zone_add(t, MMIO_GPA + 2 * ZONE, ZONE_BYTES, 0);
	require_sync(t, 1);
	expect_range(t, 0, 2);
	/* Not these: another size, kind or place. */
	zone_remove(t, MMIO_GPA + 2 * ZONE, ZONE_BYTES, 1);
	zone_remove(t, MMIO_GPA + 3 * ZONE, ZONE_BYTES, 0);
	zone_remove(t, MMIO_GPA + ZONE, ZONE_BYTES, 0);
	expect_mmio_write(t, .phys_addr = MMIO_GPA + ZONE, .len = 1, .data = 3);
	require_sync(t, 2);
	expect_range(t, 0, 3);
	expect_entry(t, 2, MMIO_GPA + 2 * ZONE, 1, 0, 4);
	zone_add(t, MMIO_GPA + ZONE, ZONE_BYTES, 0);
	expect_done(t);
	expect_range(t, 0, 4);
	expect_entry(t, 3, MMIO_GPA + ZONE, 1, 0, 5);
}

/* A zone that is there twice goes in one. */
static void guest_twice(void)
{
	write8(MMIO_GPA + ZONE, 1);
	guest_sync(1);
	write8(MMIO_GPA + ZONE, 2);
	guest_sync(2);
}

static void host_twice(struct test *t)
{
	zone_add(t, MMIO_GPA + ZONE, ZONE_BYTES, 0);
	zone_add(t, MMIO_GPA + ZONE, ZONE_BYTES, 0);
	require_sync(t, 1);
	expect_range(t, 0, 1);
	expect_entry(t, 0, MMIO_GPA + ZONE, 1, 0, 1);
	zone_remove(t, MMIO_GPA + ZONE, ZONE_BYTES, 0);
	expect_mmio_write(t, .phys_addr = MMIO_GPA + ZONE, .len = 1, .data = 2);
	require_sync(t, 2);
	expect_range(t, 0, 1);
	expect_done(t);
}

/* --- what is refused --- */

static void host_refused(struct test *t)
{
	expect_errno(t, EINVAL, zone_try(t, KVM_REGISTER_COALESCED_MMIO, MMIO_GPA, 8, 2));
	expect_errno(t, EINVAL, zone_try(t, KVM_UNREGISTER_COALESCED_MMIO, MMIO_GPA, 8, 2));
	zone_remove(t, MMIO_GPA, 8, 0);
	expect_mmio_write(t, .phys_addr = MMIO_GPA + ZONE, .len = 4, .data = 0x5a5a5a5a);
	expect_done(t);
	expect_range(t, 0, 0);
}

/* --- REP OUTS and a write of two pages: piece by piece --- */

static void guest_strings(void)
{
	static const uint8_t bytes[] = { 1, 2, 3 };
	const uint8_t *from = bytes;
	ulong_t count = sizeof(bytes);

	__asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(PORT) : "memory");
	CHECK_EQ(0, count);
}

static void host_strings(struct test *t)
{
	zone_add(t, PORT, 1, 1);
	expect_done(t);
	expect_range(t, 0, 3);
	expect_entry(t, 0, PORT, 1, 1, 1);
	expect_entry(t, 1, PORT, 1, 1, 2);
	expect_entry(t, 2, PORT, 1, 1, 3);
}

struct row {
	ROW_FIELDS;
	void (*guest)(void);
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "sizes", .guest = guest_sizes, .host = ON_HOST(host_sizes) },
	{ .label = "outside", .guest = guest_outside, .host = ON_HOST(host_outside) },
	{ .label = "full", .guest = guest_full, .host = ON_HOST(host_full),
	  .known = { .finding = "0611-coalesced-ring-half", .kernels = "..6.11" } },
	{ .label = "wraps", .guest = guest_wraps, .host = ON_HOST(host_wraps) },
	{ .label = "bad_last", .guest = guest_one, .host = ON_HOST(host_bad_last) },
	{ .label = "ports", .guest = guest_ports, .host = ON_HOST(host_ports), .needs = "KVM_CAP_COALESCED_PIO" },
	{ .label = "kinds", .guest = guest_kinds, .host = ON_HOST(host_kinds) },
	{ .label = "order", .guest = guest_order, .host = ON_HOST(host_order) },
	{ .label = "taken_away", .guest = guest_taken_away, .host = ON_HOST(host_taken_away) },
	{ .label = "registered_twice", .guest = guest_twice, .host = ON_HOST(host_twice) },
	{ .label = "refused", .guest = guest_one, .host = ON_HOST(host_refused) },
	{ .label = "strings", .guest = guest_strings, .host = ON_HOST(host_strings),
		.needs = "KVM_CAP_COALESCED_PIO" },
};

CASE(coalesced_ring, .says = "a zone's writes are in the ring, in order and whole", .modes = LONG64,
     .needs = "KVM_CAP_COALESCED_MMIO", .rows = ROWS(rows))

GUEST(coalesced_ring)
{
	GUEST_ROW(rows)->guest();
}

HOST(coalesced_ring)
{
	ROW(t, rows)->host(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * KVM_SET_CPUID2 takes a table as it is and KVM_GET_CPUID2 gives it back entry by entry; lengths that do not do are
 * E2BIG, and leave the table that was.
 *
 * Can break: the last entry lost, padding or flags changed, the count on E2BIG, an accepted table that is refused.
 * Source: KVM API, 4.20 (KVM_SET_CPUID), KVM_SET_CPUID2, KVM_GET_CPUID2, 4.46 (KVM_GET_SUPPORTED_CPUID).
 */
#include "case.h"

#include <stdlib.h>
#include <string.h>

#include "cases/ioctl/vcpu_state.h"

#define MAX_ENTRIES 256	/* KVM's own limit */

struct table {
	struct kvm_cpuid2 header;
	struct kvm_cpuid_entry2 entries[MAX_ENTRIES + 1];
};

/* Leaves that KVM itself keeps no part of, so that all of each entry is the caller's. */
static void table_make(struct table *table, unsigned int nr)
{
	unsigned int i;

	memset(table, 0, sizeof(*table));
	table->header.nent = nr;
	for (i = 0; i < nr; i++)
		table->entries[i] = (struct kvm_cpuid_entry2){
			.function = 0x50000000 + i / 4, .index = i % 4, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			.eax = 0x11110000 + i, .ebx = 0x22220000 + i, .ecx = 0x33330000 + i, .edx = 0x44440000 + i,
		};
}

static void expect_table(struct test *t, const struct table *want)
{
	uint32_t nr = want->header.nent;
	struct table got;

	memset(&got, 0xa5, sizeof(got));
	got.header.nent = nr;
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_GET_CPUID2, &got.header));
	expect_eq(t, nr, got.header.nent);
	expect_bytes(t, want->entries, got.entries, nr * sizeof(got.entries[0]));
	expect_eq(t, 0xa5a5a5a5, got.entries[nr].function);
	got.header.nent = MAX_ENTRIES;
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_GET_CPUID2, &got.header));
}

static void host_round_trip(struct test *t)
{
	static const unsigned int lengths[] = { 1, 2, 17, 255, 256, 3 };
	struct table table;
	unsigned int i;

	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		table_make(&table, lengths[i]);
		expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_CPUID2, &table.header));
		expect_table(t, &table);
	}
}

static void host_set_too_long(struct test *t)
{
	struct table table, longer;

	table_make(&table, 5);
	vcpu_ioctl(t->vcpu, KVM_SET_CPUID2, &table.header);
	table_make(&longer, MAX_ENTRIES + 1);
	expect_errno(t, E2BIG, vcpu_ioctl_try(t->vcpu, KVM_SET_CPUID2, &longer.header));
	longer.header.nent = ~0u;
	expect_errno(t, E2BIG, vcpu_ioctl_try(t->vcpu, KVM_SET_CPUID2, &longer.header));
	expect_table(t, &table);
}

static void host_get_too_short(struct test *t)
{
	struct table table, got;

	table_make(&table, 9);
	vcpu_ioctl(t->vcpu, KVM_SET_CPUID2, &table.header);
	memset(&got, 0xa5, sizeof(got));
	got.header.nent = 8;
	expect_errno(t, E2BIG, vcpu_ioctl_try(t->vcpu, KVM_GET_CPUID2, &got.header));
	expect_eq(t, 0xa5a5a5a5, got.entries[0].function);
	got.header.nent = 0;
	expect_errno(t, E2BIG, vcpu_ioctl_try(t->vcpu, KVM_GET_CPUID2, &got.header));
	expect_eq(t, 0xa5a5a5a5, got.entries[0].function);
	expect_table(t, &table);
}

static void host_empty(struct test *t)
{
	struct table table;

	table_make(&table, 0);
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_CPUID2, &table.header));
	table_make(&table, 4);
	vcpu_ioctl(t->vcpu, KVM_SET_CPUID2, &table.header);
	expect_table(t, &table);
	table_make(&table, 0);
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_CPUID2, &table.header));
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_GET_CPUID2, &table.header));
}

/* Linear addresses have 48 or 57 bits, or the leaf does not say. */
static void host_address_bits(struct test *t)
{
	static const struct { uint8_t bits; bool is_good; } widths[] = {
		{ 48, true }, { 57, true }, { 0, true }, { 47, false }, { 49, false }, { 56, false }, { 58, false },
		{ 64, false }, { 32, false },
	};
	struct table good, table;
	unsigned int i;

	table_make(&good, 2);
	good.entries[1] = (struct kvm_cpuid_entry2){ .function = 0x80000008, .eax = 0x3028 };
	vcpu_ioctl(t->vcpu, KVM_SET_CPUID2, &good.header);
	for (i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		table = good;
		table.entries[1].eax = (uint32_t)widths[i].bits << 8 | 40;
		test_say(t, "%u bits", widths[i].bits);
		expect_result(t, widths[i].is_good ? 0 : -EINVAL,
			      vcpu_ioctl_try(t->vcpu, KVM_SET_CPUID2, &table.header));
		if (widths[i].is_good)
			good = table;
		expect_table(t, &good);
	}
}

/* Each vCPU has its own. */
static void host_two_vcpus(struct test *t)
{
	struct table one, two;
	struct vcpu *first = t->vcpu;

	table_make(&one, 6);
	table_make(&two, 3);
	two.entries[2].eax = 0x777;
	vcpu_ioctl(t->vm->vcpus[0], KVM_SET_CPUID2, &one.header);
	vcpu_ioctl(t->vm->vcpus[1], KVM_SET_CPUID2, &two.header);
	expect_table(t, &one);
	t->vcpu = t->vm->vcpus[1];
	expect_table(t, &two);
	t->vcpu = first;
	expect_table(t, &one);
}

/* KVM_SET_CPUID's shorter entries, seen through the longer ones. */
static void host_short_form(struct test *t)
{
	struct {
		struct kvm_cpuid header;
		struct kvm_cpuid_entry entries[2];
	} set = {
		.header.nent = 2,
		.entries = { { .function = 0x50000000, .eax = 1, .ebx = 2, .ecx = 3, .edx = 4 },
			     { .function = 0x50000001, .eax = 5, .ebx = 6, .ecx = 7, .edx = 8 } },
	};
	struct table want;

	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_CPUID, &set.header));
	table_make(&want, 2);
	want.entries[0] = (struct kvm_cpuid_entry2){ .function = 0x50000000, .eax = 1, .ebx = 2, .ecx = 3, .edx = 4 };
	want.entries[1] = (struct kvm_cpuid_entry2){ .function = 0x50000001, .eax = 5, .ebx = 6, .ecx = 7, .edx = 8 };
	expect_table(t, &want);
	set.header.nent = MAX_ENTRIES + 1;
	expect_errno(t, E2BIG, vcpu_ioctl_try(t->vcpu, KVM_SET_CPUID, &set.header));
	expect_table(t, &want);
}

static long supported_try(struct test *t, unsigned long request, struct table *table, uint32_t nr)
{
	memset(table, 0, sizeof(*table));
	table->header.nent = nr;
	return sys_call(t->sys, t->sys->fd, request, (uintptr_t)table);
}

static void host_supported_length(struct test *t)
{
	struct table all, exact;
	uint32_t nr;

	expect_result(t, 0, supported_try(t, KVM_GET_SUPPORTED_CPUID, &all, MAX_ENTRIES));
	nr = all.header.nent;
	require_true(t, nr > 4 && nr < MAX_ENTRIES);
	expect_errno(t, E2BIG, supported_try(t, KVM_GET_SUPPORTED_CPUID, &exact, 0));
	expect_errno(t, E2BIG, supported_try(t, KVM_GET_SUPPORTED_CPUID, &exact, 1));
	expect_errno(t, E2BIG, supported_try(t, KVM_GET_SUPPORTED_CPUID, &exact, nr - 1));
	expect_result(t, 0, supported_try(t, KVM_GET_SUPPORTED_CPUID, &exact, nr));
	expect_eq(t, nr, exact.header.nent);
	expect_result(t, 0, supported_try(t, KVM_GET_SUPPORTED_CPUID, &exact, 100000));
	expect_eq(t, nr, exact.header.nent);
}

/* The leaves' own claims hold for the table: highest leaves, KVM's signature, what KVM always emulates or never has. */
static void host_supported(struct test *t)
{
	struct kvm_cpuid_entry2 e;
	struct table all;
	uint32_t i, k, nr_twice = 0, nr_beyond = 0, basic, extended, kvm;

	require_result(t, 0, supported_try(t, KVM_GET_SUPPORTED_CPUID, &all, MAX_ENTRIES));
	require_true(t, cpuid_find(&all.header, 0, 0, &e));
	basic = e.eax;
	require_true(t, cpuid_find(&all.header, 0x80000000, 0, &e));
	extended = e.eax;
	require_true(t, cpuid_find(&all.header, 0x40000000, 0, &e));
	kvm = e.eax;
	expect_eq(t, 0x40000001, e.eax);
	expect_bytes(t, "KVMKVMKVM\0\0\0", &e.ebx, 12);
	for (i = 0; i < all.header.nent; i++) {
		const struct kvm_cpuid_entry2 *one = &all.entries[i];

		nr_beyond += one->function > (one->function >> 28 == 8 ? extended :
					      one->function >> 28 == 4 ? kvm : basic);
		for (k = 0; k < i; k++)
			nr_twice += one->function == all.entries[k].function &&
				    (one->index == all.entries[k].index ||
				     !(one->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX));
	}
	expect_eq(t, 0, nr_beyond);
	expect_eq(t, 0, nr_twice);
	require_true(t, cpuid_find(&all.header, 1, 0, &e));
	expect_eq(t, 1, e.ecx >> 21 & 1);	/* X2APIC is emulated */
	expect_eq(t, 0, e.ecx >> 3 & 1);	/* MONITOR is not for guests */
	expect_eq(t, 0, e.ecx >> 27 & 1);	/* OSXSAVE follows CR4, it is not a feature */
	require_true(t, cpuid_find(&all.header, 0x80000001, 0, &e));
	expect_eq(t, 1, e.edx >> 29 & 1);	/* long mode: this is a 64-bit host */
	vcpu_ioctl(t->vcpu, KVM_SET_CPUID2, &all.header);
}

static void host_emulated(struct test *t)
{
	struct table all, exact;
	uint32_t nr;

	expect_result(t, 0, supported_try(t, KVM_GET_EMULATED_CPUID, &all, MAX_ENTRIES));
	nr = all.header.nent;
	require_true(t, nr > 1 && nr < MAX_ENTRIES);
	expect_true(t, cpuid_find(&all.header, 1, 0, NULL));
	expect_errno(t, E2BIG, supported_try(t, KVM_GET_EMULATED_CPUID, &exact, 0));
	expect_errno(t, E2BIG, supported_try(t, KVM_GET_EMULATED_CPUID, &exact, nr - 1));
	expect_result(t, 0, supported_try(t, KVM_GET_EMULATED_CPUID, &exact, nr + 1));
	expect_eq(t, nr, exact.header.nent);
	expect_bytes(t, all.entries, exact.entries, nr * sizeof(all.entries[0]));
}

static void host_emulated_exact(struct test *t)
{
	struct table all;

	require_result(t, 0, supported_try(t, KVM_GET_EMULATED_CPUID, &all, MAX_ENTRIES));
	expect_result(t, 0, supported_try(t, KVM_GET_EMULATED_CPUID, &all, all.header.nent));
}

/* Every entry's padding must be zero, so that it can be given a meaning; nothing is written before that is known. */
static void host_emulated_padding(struct test *t)
{
	static const uint32_t entries[] = { 0, 1, 100, MAX_ENTRIES - 1 };
	struct table table, before;
	unsigned int i, word;

	for (i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		for (word = 0; word < 3; word++) {
			memset(&table, 0, sizeof(table));
			table.header.nent = MAX_ENTRIES;
			table.entries[entries[i]].padding[word] = 1u << (8 * word);
			before = table;
			test_say(t, "entry %u, word %u", entries[i], word);
			expect_errno(t, EINVAL, sys_call(t->sys, t->sys->fd, KVM_GET_EMULATED_CPUID, (uintptr_t)&table));
			expect_bytes(t, &before, &table, sizeof(table));
		}
	}
	/* What lies behind the last entry is not looked at. */
	memset(&table, 0, sizeof(table));
	table.header.nent = MAX_ENTRIES - 1;
	table.entries[MAX_ENTRIES - 1].padding[0] = 1;
	expect_result(t, 0, sys_call(t->sys, t->sys->fd, KVM_GET_EMULATED_CPUID, (uintptr_t)&table));
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "round_trip", .host = host_round_trip },
	{ .label = "set_too_long", .host = host_set_too_long },
	{ .label = "get_too_short", .host = host_get_too_short },
	{ .label = "empty", .host = host_empty },
	{ .label = "address_bits", .host = host_address_bits },
	{ .label = "two_vcpus", .host = host_two_vcpus },
	{ .label = "short_form", .host = host_short_form },
	{ .label = "supported_length", .host = host_supported_length },
	{ .label = "supported", .host = host_supported },
	{ .label = "emulated", .host = host_emulated, .needs = "KVM_CAP_EXT_EMUL_CPUID" },
	{ .label = "emulated_exact", .host = host_emulated_exact, .needs = "KVM_CAP_EXT_EMUL_CPUID",
	  .known = { .finding = "0201-emulated-cpuid-exact-length", .kernels = "..6.6" } },
	{ .label = "emulated_padding", .host = host_emulated_padding, .needs = "KVM_CAP_EXT_EMUL_CPUID" },
};

CASE(cpuid2, .says = "CPUID tables go in and out whole", .modes = NO_GUEST, .nr_vcpus = 2, .rows = ROWS(rows))

HOST(cpuid2)
{
	ROW(t, rows)->host(t);
}

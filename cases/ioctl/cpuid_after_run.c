/* SPDX-License-Identifier: MIT */
/*
 * The CPUID table of a vCPU that has run is the one that it keeps: KVM_SET_CPUID2 of the same table is taken, and of one
 * that differs in any field of any entry, or in length, EINVAL, and leaves the table.
 *
 * Can break: a field, the first or the last entry left out of the comparison; a longer table that begins alike; a table
 * taken after all, while shadow pages and caches stay those of the old one.
 * Source: KVM API, 4.20 (KVM_SET_CPUID) and KVM_SET_CPUID2: the guest's CPU model is not to be changed after KVM_RUN.
 */
#include "case.h"

#include <string.h>

struct table {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entries[256];
};

/* Before 5.16 every table is taken. */
#define TAKEN_KNOWN .known = { .finding = "4200-cpuid-changed-after-run", .kernels = "..5.15" }

static void host_first_entry(struct test *t);
static void host_middle_entry(struct test *t);
static void host_last_entry(struct test *t);
static void host_length(struct test *t);
static void host_same(struct test *t);

static const struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
} rows[] = {
	{ .label = "same", .host = ON_HOST(host_same) },
	{ .label = "first_entry", TAKEN_KNOWN, .host = ON_HOST(host_first_entry) },
	{ .label = "middle_entry", TAKEN_KNOWN, .host = ON_HOST(host_middle_entry) },
	{ .label = "last_entry", TAKEN_KNOWN, .host = ON_HOST(host_last_entry) },
	{ .label = "length", TAKEN_KNOWN, .host = ON_HOST(host_length) },
};

CASE(cpuid_after_run, .says = "a vCPU that has run keeps its CPUID table", .modes = LONG64, .rows = ROWS(rows))

/* KVM_GET_CPUID2 of just so many entries, which it does not count. */
static void table_get(struct test *t, struct table *table, uint32_t nr)
{
	memset(table, 0, sizeof(*table));
	table->head.nent = nr;
	vcpu_ioctl(t->vcpu, KVM_GET_CPUID2, &table->head);
}

static void expect_table(struct test *t, const struct table *want)
{
	struct table got;

	table_get(t, &got, want->head.nent);
	expect_bytes(t, want, &got, sizeof(got));
}

static void expect_refused(struct test *t, const struct table *own, struct table *other)
{
	expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_SET_CPUID2, &other->head));
	expect_table(t, own);
}

/* Entry @at, whose registers must be none that KVM itself keeps, with one bit of each field changed in turn. */
static void change_entry(struct test *t, const struct table *own, uint32_t at)
{
	struct table other = *own;
	uint32_t *fields[] = {
		&other.entries[at].function, &other.entries[at].index, &other.entries[at].flags, &other.entries[at].eax,
		&other.entries[at].ebx, &other.entries[at].ecx, &other.entries[at].edx,
	};
	unsigned int i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		test_say(t, "entry %u, field %u", at, i);
		*fields[i] ^= 1u << 30;
		expect_refused(t, own, &other);
		*fields[i] ^= 1u << 30;
	}
}

/* The table of a vCPU that has run: what KVM supports, and an entry of no meaning at the end. */
static void table_of_running(struct test *t, struct table *own)
{
	const struct kvm_cpuid2 *supported = t->sys->cpuid;

	require_true(t, supported->nent < 255);
	*own = (struct table){ .head.nent = supported->nent + 1 };
	memcpy(own->entries, supported->entries, supported->nent * sizeof(own->entries[0]));
	own->entries[supported->nent] = (struct kvm_cpuid_entry2){
		.function = 0x50000000, .eax = 0x11, .ebx = 0x22, .ecx = 0x33, .edx = 0x44 };
	vcpu_ioctl(t->vcpu, KVM_SET_CPUID2, &own->head);
	require_sync(t, 1);
	table_get(t, own, own->head.nent);
}

static void host_same(struct test *t)
{
	struct table own;

	table_of_running(t, &own);
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_CPUID2, &own.head));
	expect_table(t, &own);
}

static void host_first_entry(struct test *t)
{
	struct table own;

	table_of_running(t, &own);
	change_entry(t, &own, 0);
}

static void host_middle_entry(struct test *t)
{
	struct table own;
	uint32_t at;

	table_of_running(t, &own);
	for (at = 0; at < own.head.nent && own.entries[at].function != 0x80000001; at++)
		;
	require_true(t, at < own.head.nent);
	change_entry(t, &own, at);
}

static void host_last_entry(struct test *t)
{
	struct table own;

	table_of_running(t, &own);
	change_entry(t, &own, own.head.nent - 1);
}

static void host_length(struct test *t)
{
	struct table own, other;

	table_of_running(t, &own);
	other = own;
	other.head.nent--;
	expect_refused(t, &own, &other);
	other.head.nent = own.head.nent + 1;
	other.entries[own.head.nent] = own.entries[own.head.nent - 1];
	expect_refused(t, &own, &other);
	other.head.nent = 0;
	expect_refused(t, &own, &other);
}

GUEST(cpuid_after_run)
{
	struct cpuid_regs before = cpuid(0x50000000, 0), after;

	guest_sync(1);
	after = cpuid(0x50000000, 0);
	CHECK_EQ(before.eax, after.eax);
	CHECK_EQ(before.ebx, after.ebx);
	CHECK_EQ(before.ecx, after.ecx);
	CHECK_EQ(before.edx, after.edx);
}

HOST(cpuid_after_run)
{
	ROW(t, rows)->host(t);
	expect_done(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * The SYSENTER MSRs of a guest whose CPUID says "GenuineIntel" hold 64 bits, whatever the CPU under it keeps of them.
 *
 * Can break: the upper half that KVM keeps beside the VMCB lost by a write or a read, by the guest or by user space;
 * one that stays when a value without one is written; the two MSRs' halves mistaken for each other.
 * Source: SDM vol. 2B, SYSENTER; vol. 4, table 2-2 (IA32_SYSENTER_ESP, IA32_SYSENTER_EIP).
 */
#include "cases/ioctl/cpuid_change.h"
#include "cases/ioctl/vcpu_state.h"

#define GUESTS 0xffff800012345678ull
#define HOSTS 0x00007654fedcba98ull
#define OTHERS 0x00001111aaaabbb0ull
#define SHORT 0x23456780ull

struct row {
	ROW_FIELDS;
	uint32_t msr, other;
};

static const struct row rows[] = {
	{ .label = "sysenter_esp", .msr = MSR_IA32_SYSENTER_ESP, .other = MSR_IA32_SYSENTER_EIP },
	{ .label = "sysenter_eip", .msr = MSR_IA32_SYSENTER_EIP, .other = MSR_IA32_SYSENTER_ESP },
};

CASE(msr_other_vendor, .says = "SYSENTER MSRs of an Intel guest have 64 bits on every CPU", .modes = LONG64, .rows = ROWS(rows))

GUEST(msr_other_vendor)
{
	const struct row *row = GUEST_ROW(rows);

	CHECK_EQ(HOSTS, rdmsr(row->msr));
	CHECK_EQ(OTHERS, rdmsr(row->other));
	wrmsr(row->msr, GUESTS);
	CHECK_EQ(GUESTS, rdmsr(row->msr));
	guest_sync(1);
	wrmsr(row->msr, SHORT);
	CHECK_EQ(SHORT, rdmsr(row->msr));
	CHECK_EQ(OTHERS, rdmsr(row->other));
}

static void expect_msr(struct test *t, uint32_t msr, uint64_t want)
{
	uint64_t got;

	require_result(t, 1, msr_get_try(t->vcpu, msr, &got));
	expect_eq(t, want, got);
}

HOST(msr_other_vendor)
{
	const struct row *row = ROW(t, rows);

	cpuid_vendor(t, (struct cpuid_vendor)VENDOR_INTEL);
	expect_result(t, 1, msr_set_try(t->vcpu, row->other, OTHERS));
	expect_result(t, 1, msr_set_try(t->vcpu, row->msr, HOSTS));
	expect_msr(t, row->msr, HOSTS);
	require_sync(t, 1);
	expect_msr(t, row->msr, GUESTS);
	expect_done(t);
	expect_msr(t, row->msr, SHORT);
	expect_msr(t, row->other, OTHERS);
}

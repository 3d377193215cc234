/* SPDX-License-Identifier: MIT */
/*
 * KVM_X86_SET_MSR_FILTER beyond one range: up to 16 ranges, each for reads, writes or both, of up to 1.5 KiB of bits,
 * replaced as a whole and at any time; x2APIC MSRs, the host's accesses and what is not RDMSR or WRMSR are not filtered.
 * A filter that is refused leaves the old one in force. Without KVM_CAP_X86_USER_SPACE_MSR, denied is #GP(0).
 *
 * Can break: a limit; the last range, or the last bit of one, not looked at; the bitmap not copied; MSRs that the guest
 * reaches without an exit left open, or closed after the filter is gone; half of a refused filter in force.
 * Source: KVM API, KVM_X86_SET_MSR_FILTER.
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/vcpu_state.h"

#define READS KVM_MSR_FILTER_READ
#define WRITES KVM_MSR_FILTER_WRITE
#define BOTH (READS | WRITES)
#define MAX_BITS (KVM_MSR_FILTER_MAX_BITMAP_SIZE * 8)
#define X2APIC_TPR 0x808

/* All zero: denies. */
static uint8_t none[KVM_MSR_FILTER_MAX_BITMAP_SIZE + 64];

enum access { A_READ, A_WRITE };

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

/* --- the host's half --- */

static struct kvm_msr_filter_range range(uint32_t flags, uint32_t base, uint32_t nr_msrs, void *bits)
{
	return (struct kvm_msr_filter_range){ .flags = flags, .nmsrs = nr_msrs, .base = base, .bitmap = bits };
}

static void filter_set(struct test *t, const struct kvm_msr_filter *filter)
{
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_X86_SET_MSR_FILTER, (struct kvm_msr_filter *)filter));
}

static void filter_one(struct test *t, uint32_t flags, struct kvm_msr_filter_range one)
{
	struct kvm_msr_filter filter = { .flags = flags, .ranges[0] = one };

	filter_set(t, &filter);
}

/* The guest's access, of a value that differs from the MSR's: denied, it changes nothing. */
static void expect_access(struct test *t, uint32_t msr, enum access access, bool is_denied)
{
	static uint32_t stage = 1;
	uint64_t before, after;

	require_result(t, 1, msr_get_try(t->vcpu, msr, &before));
	guest_arg(t, 0, msr);
	guest_arg(t, 1, access);
	guest_arg(t, 2, before ^ 0x30);
	guest_arg(t, 3, is_denied);
	guest_arg(t, 4, before);
	test_say(t, "%s of MSR 0x%x, %s", access == A_READ ? "read" : "write", msr, is_denied ? "denied" : "allowed");
	require_sync(t, stage++);
	require_result(t, 1, msr_get_try(t->vcpu, msr, &after));
	expect_eq(t, access == A_WRITE && !is_denied ? before ^ 0x30 : before, after);
}

static void expect_both(struct test *t, uint32_t msr, bool is_read_denied, bool is_write_denied)
{
	expect_access(t, msr, A_READ, is_read_denied);
	expect_access(t, msr, A_WRITE, is_write_denied);
}

static void host_end(struct test *t)
{
	guest_arg(t, 1, ~0ull);
	expect_done(t);
}

/* The last of 16 ranges counts, alone and behind others for neighbours. */
static void host_last_range(struct test *t)
{
	struct kvm_msr_filter filter = { 0 };
	unsigned int i;

	filter.ranges[KVM_MSR_FILTER_MAX_RANGES - 1] = range(BOTH, MSR_LSTAR, 1, none);
	filter_set(t, &filter);
	expect_both(t, MSR_STAR, false, false);
	expect_both(t, MSR_LSTAR, true, true);
	for (i = 0; i < KVM_MSR_FILTER_MAX_RANGES - 1; i++)
		filter.ranges[i] = range(BOTH, 0x40000000 + i, 1, none);
	filter_set(t, &filter);
	expect_both(t, MSR_STAR, false, false);
	expect_both(t, MSR_LSTAR, true, true);
	expect_both(t, MSR_CSTAR, false, false);
}

/* Reads by one, writes by another. */
static void host_split(struct test *t)
{
	uint8_t star_only = 1 << 0, lstar_only = 1 << 1;
	struct kvm_msr_filter filter = { .ranges = {
		[2] = range(READS, MSR_STAR, 2, &star_only), [5] = range(WRITES, MSR_STAR, 2, &lstar_only),
	} };

	filter_set(t, &filter);
	expect_both(t, MSR_STAR, false, true);
	expect_both(t, MSR_LSTAR, true, false);
	expect_both(t, MSR_CSTAR, false, false);
	filter.flags = KVM_MSR_FILTER_DEFAULT_DENY;
	filter_set(t, &filter);
	expect_both(t, MSR_STAR, false, true);
	expect_both(t, MSR_LSTAR, true, false);
	expect_both(t, MSR_CSTAR, true, true);
}

/* The first MSR and the last of the largest bitmap; one beside each. */
static void host_largest(struct test *t)
{
	uint8_t bits[KVM_MSR_FILTER_MAX_BITMAP_SIZE];

	memset(bits, 0xff, sizeof(bits));
	bits[sizeof(bits) - 1] &= 0x7f;
	filter_one(t, 0, range(BOTH, MSR_LSTAR - (MAX_BITS - 1), MAX_BITS, bits));
	expect_both(t, MSR_LSTAR, true, true);
	expect_both(t, MSR_STAR, false, false);
	expect_both(t, MSR_CSTAR, false, false);
	memset(bits, 0xff, sizeof(bits));
	bits[0] &= 0xfe;
	filter_one(t, 0, range(BOTH, MSR_LSTAR, MAX_BITS, bits));
	expect_both(t, MSR_LSTAR, true, true);
	expect_both(t, MSR_STAR, false, false);
	expect_both(t, MSR_CSTAR, false, false);
	/* Not a multiple of 8, or of 64. */
	filter_one(t, 0, range(BOTH, MSR_LSTAR - 64, 65, none));
	expect_both(t, MSR_LSTAR, true, true);
	expect_both(t, MSR_CSTAR, false, false);
}

/* The MSRs on either end of the architecture's two ranges, for which the hardware has bitmaps. */
static void host_default_deny(struct test *t)
{
	uint8_t all = 0xff;

	filter_one(t, KVM_MSR_FILTER_DEFAULT_DENY, range(BOTH, 0x40000000, 8, &all));
	expect_both(t, MSR_IA32_SYSENTER_CS, true, true);
	expect_both(t, MSR_IA32_SYSENTER_ESP, true, true);
	expect_both(t, MSR_STAR, true, true);
	expect_both(t, MSR_KERNEL_GS_BASE, true, true);
	expect_both(t, MSR_IA32_PAT, true, true);
	filter_one(t, 0, range(0, 0, 0, NULL));
	expect_both(t, MSR_IA32_SYSENTER_CS, false, false);
	expect_both(t, MSR_IA32_SYSENTER_ESP, false, false);
	expect_both(t, MSR_STAR, false, false);
	expect_both(t, MSR_KERNEL_GS_BASE, false, false);
}

/* SWAPGS and MOV to FS are no accesses of theirs. The host's are the host's. */
static void host_implicit(struct test *t)
{
	filter_one(t, 0, range(BOTH, MSR_FS_BASE, 3, none));
	expect_both(t, MSR_KERNEL_GS_BASE, true, true);
	expect_result(t, 1, msr_set_try(t->vcpu, MSR_KERNEL_GS_BASE, 0x12340));
	guest_arg(t, 0, 0);
	guest_arg(t, 1, 2);
	require_sync(t, 99);
	expect_both(t, MSR_KERNEL_GS_BASE, true, true);
}

/* From one filter to another under a guest that has just used the MSR. */
static void host_replaced(struct test *t)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		expect_both(t, MSR_LSTAR, false, false);
		filter_one(t, 0, range(READS, MSR_LSTAR, 1, none));
		expect_both(t, MSR_LSTAR, true, false);
		filter_one(t, 0, range(WRITES, MSR_LSTAR, 1, none));
		expect_both(t, MSR_LSTAR, false, true);
		filter_one(t, 0, range(BOTH, MSR_STAR, 1, none));
		expect_both(t, MSR_LSTAR, false, false);
		expect_both(t, MSR_STAR, true, true);
		filter_one(t, 0, range(0, 0, 0, NULL));
	}
}

/* The bitmap is copied. */
static void host_copied(struct test *t)
{
	uint8_t bits = 0;

	filter_one(t, 0, range(BOTH, MSR_LSTAR, 1, &bits));
	bits = 1;
	expect_both(t, MSR_LSTAR, true, true);
}

static void host_x2apic(struct test *t)
{
	uint8_t all = 0xff;
	uint64_t base;

	require_result(t, 1, msr_get_try(t->vcpu, MSR_IA32_APICBASE, &base));
	require_result(t, 1, msr_set_try(t->vcpu, MSR_IA32_APICBASE, base | 3 << 10));
	filter_one(t, KVM_MSR_FILTER_DEFAULT_DENY, range(BOTH, 0x40000000, 8, &all));
	expect_both(t, X2APIC_TPR, false, false);
	expect_both(t, MSR_LSTAR, true, true);
	filter_one(t, 0, range(BOTH, 0x7f0, 0x120, none));
	expect_both(t, X2APIC_TPR, false, false);
}

static void expect_refused(struct test *t, int error, uint32_t flags, struct kvm_msr_filter_range last)
{
	uint8_t all = 0xff;
	struct kvm_msr_filter filter = {
		/* What comes before the bad one would allow LSTAR. */
		.flags = flags, .ranges = { [0] = range(BOTH, MSR_LSTAR, 1, &all), [15] = last },
	};

	test_say(t, "flags 0x%x, range flags 0x%x, %u MSRs", flags, last.flags, last.nmsrs);
	expect_errno(t, error, vm_ioctl_try(t->vm, KVM_X86_SET_MSR_FILTER, &filter));
}

static void host_refused(struct test *t)
{
	struct kvm_msr_filter empty = { .flags = KVM_MSR_FILTER_DEFAULT_DENY };

	filter_one(t, 0, range(BOTH, MSR_LSTAR, 1, none));
	expect_refused(t, EINVAL, 2, range(0, 0, 0, NULL));
	expect_refused(t, EINVAL, 1u << 31, range(0, 0, 0, NULL));
	expect_refused(t, EINVAL, 0, range(0, 0x100, 8, none));
	expect_refused(t, EINVAL, 0, range(4, 0x100, 8, none));
	expect_refused(t, EINVAL, 0, range(BOTH | 8, 0x100, 8, none));
	expect_refused(t, EINVAL, 0, range(1u << 31 | READS, 0x100, 8, none));
	expect_refused(t, EINVAL, 0, range(BOTH, 0x100, MAX_BITS + 1, none));
	expect_refused(t, EINVAL, 0, range(BOTH, 0x100, ~0u, none));
	expect_refused(t, EFAULT, 0, range(BOTH, 0x100, 8, NULL));
	expect_errno(t, EINVAL, vm_ioctl_try(t->vm, KVM_X86_SET_MSR_FILTER, &empty));
	expect_both(t, MSR_LSTAR, true, true);
	expect_both(t, MSR_STAR, false, false);
	/* Of a range without MSRs, nothing else is looked at. */
	filter_one(t, 0, range(~0u, 0x100, 0, NULL));
	expect_both(t, MSR_LSTAR, false, false);
}

static const struct row rows[] = {
	{ .label = "last_range", .host = ON_HOST(host_last_range) },
	{ .label = "split", .host = ON_HOST(host_split) },
	{ .label = "largest", .host = ON_HOST(host_largest) },
	{ .label = "default_deny", .host = ON_HOST(host_default_deny) },
	{ .label = "implicit", .host = ON_HOST(host_implicit) },
	{ .label = "replaced", .host = ON_HOST(host_replaced) },
	{ .label = "copied", .host = ON_HOST(host_copied) },
	{ .label = "x2apic", .host = ON_HOST(host_x2apic), .needs = "cpuid:x2apic" },
	{ .label = "refused", .host = ON_HOST(host_refused) },
};

CASE(msr_filter, .says = "an MSR filter is taken whole, holds to the last bit, and ends when it is replaced",
     .modes = LONG64, .irqchip = true, .needs = "KVM_CAP_X86_MSR_FILTER", .rows = ROWS(rows))

/* --- the guest's half: what the host's arguments say, until there is nothing more --- */

static void msr_access(uint32_t msr, enum access access, uint64_t value, bool is_denied)
{
	uint64_t got = 0;

	if (access == A_WRITE) {
		CHECK_FAULT(is_denied ? GP_VECTOR : NO_VECTOR, 0, wrmsr_safe(msr, value));
		return;
	}
	CHECK_FAULT(is_denied ? GP_VECTOR : NO_VECTOR, 0, rdmsr_safe(msr, &got));
	CHECK_EQ(is_denied ? 0 : GUEST_ARG(4), got);
}

/* SWAPGS twice: there and back, with the report page reachable again. */
static void swapgs_twice(void)
{
#ifdef __x86_64__
	__asm__ volatile("swapgs\n\tswapgs" : : : "memory");
#endif
}

GUEST(msr_filter)
{
	uint32_t stage = 1;

	while (GUEST_ARG(1) != ~0ull) {
		if (GUEST_ARG(1) == 2) {
			swapgs_twice();
			guest_sync(99);
			continue;
		}
		msr_access(GUEST_ARG(0), GUEST_ARG(1), GUEST_ARG(2), GUEST_ARG(3));
		guest_sync(stage++);
	}
}

HOST(msr_filter)
{
	ROW(t, rows)->host(t);
	host_end(t);
}

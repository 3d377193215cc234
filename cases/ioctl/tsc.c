/* SPDX-License-Identifier: MIT */
/*
 * The guest's TSC: the host's plus an offset, which KVM_VCPU_TSC_CTRL tells and sets, MSR IA32_TSC and IA32_TSC_ADJUST
 * move, and KVM_SET_TSC_KHZ lets run at another pace. A guest's write to the TSC adds to IA32_TSC_ADJUST what it adds to
 * the TSC, and the other way round; the host's writes move just what they name.
 *
 * Can break: the offset's sign or its loading; one MSR without the other; a frequency that is refused and told all the same.
 * Source: SDM vol. 3B, 17.17.3 (IA32_TSC_ADJUST); KVM API, KVM_VCPU_TSC_CTRL, 4.55, 4.56 (KVM_SET_TSC_KHZ,
 * KVM_GET_TSC_KHZ).
 */
#include "case.h"

#include <time.h>

#include "cases/ioctl/vcpu_state.h"

#define FAR (1ull << 44)
/* More than any test takes, at any frequency. */
#define NEAR (1ull << 41)

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
	void (*guest)(void);
};

/* --- the guest's half --- */

static void guest_tells(void)
{
	uint32_t stage = 1;

	for (; GUEST_ARG(0); guest_sync(stage++))
		GUEST_VALUE(0, rdtsc());
}

/* @got is @want or somewhat later. */
#define CHECK_SOON(want_, got_) CHECK((uint64_t)((got_) - (want_)) < NEAR)

static void guest_writes_tsc(void)
{
	uint64_t adjust = rdmsr(MSR_IA32_TSC_ADJUST), before = rdtsc(), moved;

	CHECK_EQ(0, adjust);
	wrmsr(MSR_IA32_TSC, before + FAR);
	CHECK_SOON(before + FAR, rdtsc());
	CHECK_SOON(before + FAR, rdmsr(MSR_IA32_TSC));
	/* The time between RDTSC and WRMSR is lost to the TSC. */
	moved = rdmsr(MSR_IA32_TSC_ADJUST);
	CHECK((uint64_t)(FAR - moved) < NEAR);
	wrmsr(MSR_IA32_TSC, 0);
	CHECK_SOON(0ull, rdtsc());
	CHECK((uint64_t)(-before - rdmsr(MSR_IA32_TSC_ADJUST)) < NEAR);
}

static void guest_writes_adjust(void)
{
	uint64_t before = rdtsc();

	wrmsr(MSR_IA32_TSC_ADJUST, FAR);
	CHECK_EQ(FAR, rdmsr(MSR_IA32_TSC_ADJUST));
	CHECK_SOON(before + FAR, rdtsc());
	wrmsr(MSR_IA32_TSC_ADJUST, FAR / 2);
	CHECK_SOON(before + FAR / 2, rdtsc());
	CHECK_EQ(FAR / 2, rdmsr(MSR_IA32_TSC_ADJUST));
	wrmsr(MSR_IA32_TSC_ADJUST, 0);
	CHECK_SOON(before, rdtsc());
}

/* The host has written one, then the other. */
static void guest_sees_host(void)
{
	uint64_t before;

	CHECK_SOON(FAR, rdtsc());
	CHECK_EQ(0, rdmsr(MSR_IA32_TSC_ADJUST));
	before = rdtsc();
	guest_sync(1);
	CHECK_SOON(before, rdtsc());
	CHECK_EQ(0x123456, rdmsr(MSR_IA32_TSC_ADJUST));
	guest_sync(2);
	CHECK_SOON(2 * FAR, rdtsc());
	CHECK_EQ(0x123456, rdmsr(MSR_IA32_TSC_ADJUST));
	/* The guest's own goes on from there. */
	wrmsr(MSR_IA32_TSC_ADJUST, 0x123456 + FAR);
	CHECK_SOON(3 * FAR, rdtsc());
}

/* --- the host's half --- */

static uint64_t tsc_told(struct test *t)
{
	static uint32_t stage = 1;

	guest_arg(t, 0, 1);
	require_sync(t, stage++);
	return guest_value(t, 0);
}

static void host_end(struct test *t)
{
	guest_arg(t, 0, 0);
	expect_done(t);
}

static struct kvm_device_attr offset_attr(uint64_t *offset)
{
	return (struct kvm_device_attr){ .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET,
					 .addr = (uintptr_t)offset };
}

static uint64_t offset_get(struct vcpu *vcpu)
{
	uint64_t offset = 0;
	struct kvm_device_attr attr = offset_attr(&offset);

	vcpu_ioctl(vcpu, KVM_GET_DEVICE_ATTR, &attr);
	return offset;
}

static void offset_set(struct vcpu *vcpu, uint64_t offset)
{
	struct kvm_device_attr attr = offset_attr(&offset);

	vcpu_ioctl(vcpu, KVM_SET_DEVICE_ATTR, &attr);
}

/* Guest's TSC - offset = host's TSC, between two readings of the latter. */
static void expect_offset(struct test *t, uint64_t offset)
{
	uint64_t before = rdtsc(), guest = tsc_told(t), after = rdtsc(), msr;

	test_say(t, "offset 0x%lx: host 0x%lx, guest 0x%lx, host 0x%lx", offset, before, guest, after);
	expect_true(t, guest - offset >= before && guest - offset <= after);
	before = rdtsc();
	expect_result(t, 1, msr_get_try(t->vcpu, MSR_IA32_TSC, &msr));
	expect_true(t, msr - offset >= before && msr - offset <= rdtsc());
	expect_eq(t, offset, offset_get(t->vcpu));
}

static void host_offset(struct test *t)
{
	static const uint64_t offsets[] = { 0, FAR, -FAR, 0x123456789abcdef0, 1ull << 63, ~0ull };
	unsigned int i;

	expect_offset(t, offset_get(t->vcpu));
	for (i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		offset_set(t->vcpu, offsets[i]);
		expect_offset(t, offsets[i]);
	}
	host_end(t);
}

/* The host's write of the TSC is a new offset. */
static void host_msr_offset(struct test *t)
{
	uint64_t before = rdtsc(), offset;

	expect_result(t, 1, msr_set_try(t->vcpu, MSR_IA32_TSC, 5 * FAR));
	offset = offset_get(t->vcpu);
	expect_true(t, offset <= 5 * FAR - before && offset >= 5 * FAR - rdtsc());
	expect_offset(t, offset);
	host_end(t);
}

/* vCPUs whose TSCs are written alike are synchronized: one offset for both, although time passes in between. */
static void host_synchronized(struct test *t)
{
	struct vcpu *second = t->vm->vcpus[1];

	expect_eq(t, offset_get(t->vcpu), offset_get(second));
	expect_result(t, 1, msr_set_try(t->vcpu, MSR_IA32_TSC, 5 * FAR));
	expect_true(t, offset_get(t->vcpu) != offset_get(second));
	expect_result(t, 1, msr_set_try(second, MSR_IA32_TSC, 5 * FAR));
	expect_eq(t, offset_get(t->vcpu), offset_get(second));
	/* Far from what the others have: one of its own. */
	expect_result(t, 1, msr_set_try(second, MSR_IA32_TSC, 9 * FAR));
	expect_true(t, offset_get(second) - offset_get(t->vcpu) > 3 * FAR);
}

static void host_only_done(struct test *t)
{
	expect_done(t);
}

static void host_writes(struct test *t)
{
	expect_result(t, 1, msr_set_try(t->vcpu, MSR_IA32_TSC, FAR));
	require_sync(t, 1);
	expect_result(t, 1, msr_set_try(t->vcpu, MSR_IA32_TSC_ADJUST, 0x123456));
	require_sync(t, 2);
	expect_result(t, 1, msr_set_try(t->vcpu, MSR_IA32_TSC, 2 * FAR));
	expect_done(t);
}

static long khz_get(struct test *t)
{
	return vcpu_ioctl_value_try(t->vcpu, KVM_GET_TSC_KHZ, 0);
}

/* Where the CPU cannot scale, only faster is possible. */
static void host_khz_refused(struct test *t)
{
	long khz = khz_get(t), vm_khz = vm_ioctl_value_try(t->vm, KVM_GET_TSC_KHZ, 0);
	bool scales = sys_has_cap(t->sys, KVM_CAP_TSC_CONTROL) > 0;

	expect_result(t, scales ? 0 : -EINVAL, vcpu_ioctl_value_try(t->vcpu, KVM_SET_TSC_KHZ, khz / 2));
	expect_result(t, scales ? khz / 2 : khz, khz_get(t));
	expect_result(t, vm_khz, vm_ioctl_value_try(t->vm, KVM_GET_TSC_KHZ, 0));
}

/* Twice as fast, over some tens of milliseconds; KVM may catch up at the guest's entries only. */
static void host_khz_faster(struct test *t)
{
	const struct timespec pause = { .tv_nsec = 30000000 };
	long khz = khz_get(t);
	uint64_t host, guest, last;
	unsigned int i;

	expect_result(t, 0, vcpu_ioctl_value_try(t->vcpu, KVM_SET_TSC_KHZ, 2 * khz));
	expect_result(t, 2 * khz, khz_get(t));
	tsc_told(t);
	host = rdtsc();
	guest = last = tsc_told(t);
	for (i = 0; i < 3; i++) {
		uint64_t now;

		nanosleep(&pause, NULL);
		now = tsc_told(t);
		expect_true(t, now > last);
		last = now;
	}
	host = rdtsc() - host;
	test_say(t, "host %lu, guest %lu", host, last - guest);
	expect_true(t, last - guest > host * 3 / 2 && last - guest < host * 5 / 2);
	host_end(t);
}

#define GUEST_ROW_OF(label_, function_) .label = label_, .guest = function_

static const struct row rows[] = {
	/* With an unstable TSC, KVM moves the offset at each load of the vCPU. */
	{ GUEST_ROW_OF("offset", guest_tells), .host = ON_HOST(host_offset),
	  .needs = "KVM_CAP_VCPU_ATTRIBUTES stable_tsc" },
	{ GUEST_ROW_OF("host_msr", guest_tells), .host = ON_HOST(host_msr_offset),
	  .needs = "KVM_CAP_VCPU_ATTRIBUTES stable_tsc" },
	{ GUEST_ROW_OF("synchronized", guest_tells), .host = ON_HOST(host_synchronized),
	  .needs = "KVM_CAP_VCPU_ATTRIBUTES stable_tsc" },
	/* Likewise, what the guest writes is made up for at the next load. */
	{ GUEST_ROW_OF("write", guest_writes_tsc), .host = ON_HOST(host_only_done), .needs = "stable_tsc" },
	{ GUEST_ROW_OF("adjust", guest_writes_adjust), .host = ON_HOST(host_only_done), .needs = "stable_tsc" },
	{ GUEST_ROW_OF("host_writes", guest_sees_host), .host = ON_HOST(host_writes) },
	{ GUEST_ROW_OF("khz_refused", guest_tells), .host = ON_HOST(host_khz_refused), .needs = "KVM_CAP_GET_TSC_KHZ",
	  .known = { .finding = "1303-refused-tsc-frequency-told" } },
	{ GUEST_ROW_OF("khz_faster", guest_tells), .host = ON_HOST(host_khz_faster), .needs = "KVM_CAP_GET_TSC_KHZ",
	  .known = { .finding = "1304-faster-tsc-stands-still", .targets = "lab-svm" } },
};

CASE(tsc, .says = "the guest's TSC is the host's and what was added to it", .modes = LONG64, .nr_vcpus = 2,
     .needs = "cpuid:tsc_adjust", .rows = ROWS(rows))

GUEST(tsc)
{
	if (!vcpu_index())
		GUEST_ROW(rows)->guest();
}

HOST(tsc)
{
	unsigned int i;

	/* 1302: of KVM's own choice, it may be one that KVM refuses. */
	for (i = 0; i < t->vm->nr_vcpus; i++)
		vcpu_ioctl_value(t->vm->vcpus[i], KVM_SET_TSC_KHZ, 0);
	ROW(t, rows)->host(t);
}

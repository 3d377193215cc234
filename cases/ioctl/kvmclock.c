/* SPDX-License-Identifier: MIT */
/*
 * kvmclock: the guest names a structure, and KVM keeps there a TSC value, the nanoseconds that belong to it, and the
 * factor between the two; and once, on request, the real time at which those nanoseconds were zero. What the guest
 * computes is what KVM_GET_CLOCK says and what KVM_SET_CLOCK set.
 *
 * Can break: an odd version left behind; a factor for another frequency; a structure written after it was given back, or
 * beyond its end; the clock's offset with the wrong sign; KVM_KVMCLOCK_CTRL's flag lost or kept for ever.
 * Source: Documentation/virt/kvm/x86/msr.rst; KVM API, 4.29, 4.30 (KVM_GET_CLOCK, KVM_SET_CLOCK), 4.70
 * (KVM_KVMCLOCK_CTRL).
 */
#include "cases/ioctl/pv_msr.h"

#include <string.h>
#include <time.h>

#include "cases/ioctl/vcpu_state.h"

#define AT (SCRATCH_GPA + 0x1040)	/* the structure, in the middle of a filled page */
#define FILLING 0xa5
#define NS_PER_S 1000000000ull
/* Beside an ideal clock: scheduling on a busy machine between two readings is not in it, they are ordered. */
#define SLACK_NS 20000000ull

enum command { STOP, ENABLE, ENABLE_OLD, DISABLE, DISABLE_OLD, READ_TIME, WALL, WALL_OLD, CLEAR_FLAGS, NOTHING };

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
	bool has_default_khz;	/* the vCPU's frequency is as it was made with */
};

/* --- the host's half --- */

static struct pv_time *time_info(struct test *t)
{
	return vm_hva(t->vm, AT, sizeof(struct pv_time));
}

static void page_fill(struct test *t)
{
	memset(vm_hva(t->vm, SCRATCH_GPA, 0x4000), FILLING, 0x4000);
	memset(vm_hva(t->vm, AT, 32), 0, 32);
}

/* Only the @bytes at AT are not as page_fill() left them. */
static void expect_filling(struct test *t, size_t bytes)
{
	const uint8_t *page = vm_hva(t->vm, SCRATCH_GPA, 0x4000);
	size_t i, nr_changed = 0;

	for (i = 0; i < 0x4000; i++)
		nr_changed += (i < 0x1040 || i >= 0x1040 + bytes) && page[i] != FILLING;
	expect_eq(t, 0, nr_changed);
}

static void command(struct test *t, enum command what)
{
	static uint32_t stage = 1;

	guest_arg(t, 0, what);
	require_sync(t, stage++);
}

static uint64_t clock_get(struct test *t)
{
	struct kvm_clock_data data = { 0 };

	vm_ioctl(t->vm, KVM_GET_CLOCK, &data);
	return data.clock;
}

static void clock_set(struct test *t, uint64_t ns)
{
	struct kvm_clock_data data = { .clock = ns };

	vm_ioctl(t->vm, KVM_SET_CLOCK, &data);
}

static void expect_stable(struct test *t, const struct pv_time *info)
{
	test_say(t, "version %u, TSC %lu, %lu ns, flags %u", info->version, info->tsc_timestamp, info->system_time,
		 info->flags);
	expect_true(t, info->version && !(info->version & 1));
	expect_eq(t, 0, info->pad0);
	expect_eq(t, 0, info->pad[0] | info->pad[1]);
	expect_eq(t, 0, info->flags & ~(PV_TSC_STABLE | PV_GUEST_STOPPED));
	expect_true(t, info->tsc_timestamp && info->system_time);
}

/* A second of TSC is a second, within a permille. */
static void expect_factor(struct test *t, const struct pv_time *info)
{
	uint64_t khz = vcpu_ioctl_value(t->vcpu, KVM_GET_TSC_KHZ, 0), ticks = khz * 1000, ns;

	ticks = info->tsc_shift >= 0 ? ticks << info->tsc_shift : ticks >> -info->tsc_shift;
	ns = (unsigned __int128)ticks * info->tsc_to_system_mul >> 32;
	test_say(t, "%lu kHz, mul %u, shift %d: %lu ns", khz, info->tsc_to_system_mul, info->tsc_shift, ns);
	expect_true(t, ns > NS_PER_S - NS_PER_S / 1000 && ns < NS_PER_S + NS_PER_S / 1000);
	/* The manual's form: the multiplier has its highest bit, so that nothing is lost. */
	expect_eq(t, 1, info->tsc_to_system_mul >> 31);
}

/* What the guest computes lies between what the host is told before and behind it. */
static void expect_guest_time(struct test *t)
{
	uint64_t before = clock_get(t), guest, after;

	command(t, READ_TIME);
	after = clock_get(t);
	guest = guest_value(t, 0);
	test_say(t, "before %lu, guest %lu, after %lu", before, guest, after);
	expect_true(t, guest + SLACK_NS >= before && guest <= after + SLACK_NS);
}

static void host_time(struct test *t)
{
	struct pv_time first;

	page_fill(t);
	command(t, ENABLE);
	command(t, NOTHING);
	first = *time_info(t);
	expect_stable(t, &first);
	expect_factor(t, &first);
	expect_guest_time(t);
	expect_guest_time(t);
	expect_filling(t, sizeof(first));
}

static void host_set_clock(struct test *t)
{
	const uint64_t set = 1000000 * NS_PER_S;
	uint32_t version;

	page_fill(t);
	command(t, ENABLE);
	command(t, NOTHING);
	version = time_info(t)->version;
	clock_set(t, set);
	command(t, READ_TIME);
	expect_true(t, guest_value(t, 0) >= set && guest_value(t, 0) < set + 120 * NS_PER_S);
	expect_true(t, (int32_t)(time_info(t)->version - version) > 0);
	expect_stable(t, time_info(t));
	expect_guest_time(t);
	clock_set(t, 5 * NS_PER_S);
	command(t, READ_TIME);
	expect_true(t, guest_value(t, 0) >= 5 * NS_PER_S && guest_value(t, 0) < 125 * NS_PER_S);
}

/* A version found odd is junk: it comes out even, and another one. */
static void host_odd_version(struct test *t)
{
	page_fill(t);
	time_info(t)->version = 0x77777777;
	command(t, ENABLE);
	command(t, NOTHING);
	expect_stable(t, time_info(t));
	expect_true(t, time_info(t)->version > 0x77777777 && time_info(t)->version < 0x77777777 + 100);
}

static void host_disabled(struct test *t)
{
	struct pv_time last;
	uint64_t value;

	page_fill(t);
	command(t, ENABLE);
	command(t, NOTHING);
	expect_result(t, 1, msr_get_try(t->vcpu, MSR_KVM_SYSTEM_TIME_NEW, &value));
	expect_eq(t, AT | 1, value);
	expect_stable(t, time_info(t));
	command(t, DISABLE);
	expect_result(t, 1, msr_get_try(t->vcpu, MSR_KVM_SYSTEM_TIME_NEW, &value));
	expect_eq(t, AT, value);
	last = *time_info(t);
	clock_set(t, 77 * NS_PER_S);
	command(t, NOTHING);
	command(t, NOTHING);
	expect_bytes(t, &last, time_info(t), sizeof(last));
	expect_filling(t, sizeof(last));
}

/* The deprecated MSRs, one clock with the others. */
static void host_old_msr(struct test *t)
{
	uint64_t value;

	page_fill(t);
	command(t, ENABLE_OLD);
	command(t, NOTHING);
	expect_result(t, 1, msr_get_try(t->vcpu, MSR_KVM_SYSTEM_TIME, &value));
	expect_eq(t, AT | 1, value);
	expect_stable(t, time_info(t));
	expect_factor(t, time_info(t));
	expect_guest_time(t);
	command(t, DISABLE_OLD);
}

/* KVM_KVMCLOCK_CTRL: told once; what the guest clears stays clear. */
static void host_stopped(struct test *t)
{
	expect_errno(t, EINVAL, vcpu_ioctl_value_try(t->vcpu, KVM_KVMCLOCK_CTRL, 0));
	page_fill(t);
	command(t, ENABLE);
	command(t, NOTHING);
	expect_eq(t, 0, time_info(t)->flags & PV_GUEST_STOPPED);
	expect_result(t, 0, vcpu_ioctl_value_try(t->vcpu, KVM_KVMCLOCK_CTRL, 0));
	command(t, NOTHING);
	expect_eq(t, PV_GUEST_STOPPED, time_info(t)->flags & PV_GUEST_STOPPED);
	expect_stable(t, time_info(t));
	/* It is the guest's to clear: an update leaves it. */
	clock_set(t, 88 * NS_PER_S);
	command(t, NOTHING);
	expect_eq(t, PV_GUEST_STOPPED, time_info(t)->flags & PV_GUEST_STOPPED);
	command(t, CLEAR_FLAGS);
	clock_set(t, 99 * NS_PER_S);
	command(t, READ_TIME);
	expect_true(t, guest_value(t, 0) >= 99 * NS_PER_S);
	expect_eq(t, 0, time_info(t)->flags & PV_GUEST_STOPPED);
	command(t, DISABLE);
	expect_errno(t, EINVAL, vcpu_ioctl_value_try(t->vcpu, KVM_KVMCLOCK_CTRL, 0));
}

static uint64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* Now is the time written and the clock's: both read before and behind. */
static void expect_wall(struct test *t, enum command write)
{
	const struct pv_wall *wall = vm_hva(t->vm, AT, sizeof(*wall));
	uint32_t version = wall->version;
	uint64_t boot, before, after;

	before = real_ns() - clock_get(t);
	command(t, write);
	after = real_ns() - clock_get(t);
	boot = wall->sec * NS_PER_S + wall->nsec;
	test_say(t, "before %lu, told %lu, after %lu", before, boot, after);
	expect_true(t, wall->nsec < NS_PER_S);
	expect_true(t, !(wall->version & 1) && (int32_t)(wall->version - version) > 0);
	expect_true(t, boot + 5 * SLACK_NS >= before && boot <= after + 5 * SLACK_NS);
}

static void host_wall(struct test *t)
{
	uint64_t value;

	page_fill(t);
	expect_wall(t, WALL);
	expect_result(t, 1, msr_get_try(t->vcpu, MSR_KVM_WALL_CLOCK_NEW, &value));
	expect_eq(t, AT, value);
	/* The later the clock, the earlier its zero. */
	clock_set(t, 10000 * NS_PER_S);
	expect_wall(t, WALL);
	expect_wall(t, WALL_OLD);
	expect_result(t, 1, msr_get_try(t->vcpu, MSR_KVM_WALL_CLOCK, &value));
	expect_eq(t, AT, value);
	*(uint32_t *)vm_hva(t->vm, AT, 4) = 0x1234567;
	expect_wall(t, WALL);
	expect_eq(t, 0, time_info(t)->system_time);
	expect_filling(t, 32);
}

/* Without the feature in the guest's CPUID, and with that enforced, the MSRs are not there. */
static void host_enforced(struct test *t)
{
	uint64_t value;

	pv_features_hide(t, 1 << KVM_FEATURE_CLOCKSOURCE2);
	pv_features_enforce(t);
	page_fill(t);
	guest_arg(t, 1, 1);
	command(t, ENABLE);
	command(t, WALL);
	guest_arg(t, 1, 0);
	command(t, ENABLE_OLD);
	command(t, DISABLE_OLD);
	expect_result(t, 0, msr_set_try(t->vcpu, MSR_KVM_SYSTEM_TIME_NEW, AT | 1));
	expect_result(t, 0, msr_get_try(t->vcpu, MSR_KVM_SYSTEM_TIME_NEW, &value));
}

static void host_enforced_old(struct test *t)
{
	pv_features_hide(t, 1 << KVM_FEATURE_CLOCKSOURCE);
	pv_features_enforce(t);
	page_fill(t);
	guest_arg(t, 1, 1);
	command(t, ENABLE_OLD);
	command(t, WALL_OLD);
	guest_arg(t, 1, 0);
	command(t, ENABLE);
	command(t, NOTHING);
	expect_stable(t, time_info(t));
}

/* Hidden, but not enforced: as if it were there. */
static void host_hidden(struct test *t)
{
	pv_features_hide(t, ~0u);
	page_fill(t);
	command(t, ENABLE);
	command(t, NOTHING);
	expect_stable(t, time_info(t));
}

/* KVM_CLOCK_REALTIME: the clock goes on as if it had run since; never back. */
static void host_set_realtime(struct test *t)
{
	struct kvm_clock_data set = { .clock = 1000 * NS_PER_S, .flags = KVM_CLOCK_REALTIME };
	uint64_t got;

	page_fill(t);
	command(t, ENABLE);
	set.realtime = real_ns() - 500 * NS_PER_S;
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_SET_CLOCK, &set));
	got = clock_get(t);
	expect_true(t, got >= 1500 * NS_PER_S && got < 1620 * NS_PER_S);
	command(t, READ_TIME);
	expect_true(t, guest_value(t, 0) >= 1500 * NS_PER_S && guest_value(t, 0) < 1620 * NS_PER_S);
	set.realtime = real_ns() + 500 * NS_PER_S;
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_SET_CLOCK, &set));
	got = clock_get(t);
	expect_true(t, got >= 1000 * NS_PER_S && got < 1120 * NS_PER_S);
	/* Without the flag, the time beside it is not looked at. */
	set.flags = 0;
	set.realtime = real_ns() - 500 * NS_PER_S;
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_SET_CLOCK, &set));
	got = clock_get(t);
	expect_true(t, got >= 1000 * NS_PER_S && got < 1120 * NS_PER_S);
}

/* What KVM_GET_CLOCK says beside the clock is of the same moment, where it says it at all. */
static void host_get_flags(struct test *t)
{
	struct kvm_clock_data data;
	uint64_t real = real_ns(), tsc = rdtsc();

	memset(&data, 0xa5, sizeof(data));
	vm_ioctl(t->vm, KVM_GET_CLOCK, &data);
	expect_eq(t, 0, data.flags & ~(KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC));
	expect_eq(t, !!(data.flags & KVM_CLOCK_HOST_TSC), !!(data.flags & KVM_CLOCK_REALTIME));
	if (data.flags & KVM_CLOCK_REALTIME) {
		expect_true(t, data.realtime >= real && data.realtime <= real_ns());
		expect_true(t, data.host_tsc >= tsc && data.host_tsc <= rdtsc());
	} else {
		expect_eq(t, 0, data.realtime);
		expect_eq(t, 0, data.host_tsc);
	}
}

/* Whether the frequency has been measured anew since KVM was loaded is a matter of luck. */
#define DEFAULT_KHZ .has_default_khz = true, .known = { .finding = "1302-tsc-ratio-of-default-frequency",	\
	.targets = "@(lab-svm|lab-svm-bochs)", .is_skipped = true }

static const struct row rows[] = {
	{ .label = "default_khz", .host = ON_HOST(host_time), DEFAULT_KHZ },
	{ .label = "time", .host = ON_HOST(host_time) },
	{ .label = "set_clock", .host = ON_HOST(host_set_clock) },
	{ .label = "odd_version", .host = ON_HOST(host_odd_version) },
	{ .label = "disabled", .host = ON_HOST(host_disabled) },
	{ .label = "old_msr", .host = ON_HOST(host_old_msr) },
	{ .label = "stopped", .host = ON_HOST(host_stopped), .needs = "KVM_CAP_KVMCLOCK_CTRL" },
	{ .label = "wall", .host = ON_HOST(host_wall) },
	{ .label = "enforced", .host = ON_HOST(host_enforced), .needs = "KVM_CAP_ENFORCE_PV_FEATURE_CPUID" },
	{ .label = "enforced_old", .host = ON_HOST(host_enforced_old), .needs = "KVM_CAP_ENFORCE_PV_FEATURE_CPUID" },
	{ .label = "hidden", .host = ON_HOST(host_hidden) },
	{ .label = "set_realtime", .host = ON_HOST(host_set_realtime), .needs = "KVM_CAP_ADJUST_CLOCK&4" },
	{ .label = "get_flags", .host = ON_HOST(host_get_flags) },
};

CASE(kvmclock, .says = "the guest's clock is the one that KVM_GET_CLOCK tells", .modes = LONG64,
     .needs = "KVM_CAP_ADJUST_CLOCK", .rows = ROWS(rows))

/* --- the guest's half --- */

static uint64_t time_read(void)
{
	const volatile struct pv_time *info = (const struct pv_time *)(ulong_t)AT;
	uint64_t delta, ns = 0;
	uint32_t version;

	do {
		version = info->version;
		__asm__ volatile("lfence" : : : "memory");
		delta = rdtsc() - info->tsc_timestamp;
		delta = info->tsc_shift >= 0 ? delta << info->tsc_shift : delta >> -info->tsc_shift;
		/* The high half of the product, in parts: the guest has no library for more. */
		ns = (delta >> 32) * info->tsc_to_system_mul + ((delta & 0xffffffff) * info->tsc_to_system_mul >> 32) +
		     info->system_time;
		__asm__ volatile("" : : : "memory");
	} while (version & 1 || version != info->version);
	return ns;
}

static void msr_write(uint32_t index, uint64_t value)
{
	CHECK_FAULT(GUEST_ARG(1) ? GP_VECTOR : NO_VECTOR, 0, wrmsr_safe(index, value));
	if (!GUEST_ARG(1))
		CHECK_EQ(value, rdmsr(index));
}

static void command_do(enum command what)
{
	switch (what) {
	case ENABLE:
		msr_write(MSR_KVM_SYSTEM_TIME_NEW, AT | 1);
		break;
	case ENABLE_OLD:
		msr_write(MSR_KVM_SYSTEM_TIME, AT | 1);
		break;
	case DISABLE:
		msr_write(MSR_KVM_SYSTEM_TIME_NEW, AT);
		break;
	case DISABLE_OLD:
		msr_write(MSR_KVM_SYSTEM_TIME, AT);
		break;
	case WALL:
		msr_write(MSR_KVM_WALL_CLOCK_NEW, AT);
		break;
	case WALL_OLD:
		msr_write(MSR_KVM_WALL_CLOCK, AT);
		break;
	case READ_TIME:
		GUEST_VALUE(0, time_read());
		break;
	case CLEAR_FLAGS:
		((struct pv_time *)(ulong_t)AT)->flags &= ~PV_GUEST_STOPPED;
		break;
	default:
		break;
	}
}

GUEST(kvmclock)
{
	uint32_t stage = 1;

	for (; GUEST_ARG(0) != STOP; guest_sync(stage++))
		command_do(GUEST_ARG(0));
}

HOST(kvmclock)
{
	if (!ROW(t, rows)->has_default_khz)
		vcpu_ioctl_value(t->vcpu, KVM_SET_TSC_KHZ, 0);
	ROW(t, rows)->host(t);
	guest_arg(t, 0, STOP);
	expect_done(t);
}

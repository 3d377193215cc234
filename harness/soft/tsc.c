/* SPDX-License-Identifier: MIT */
/*
 * The guest's time stamp counter: the CPU's own, at the vCPU's frequency and with its offset.
 * vCPUs that are written alike are synchronized, though time passes in between (KVM API, 4.55, and KVM_VCPU_TSC_CTRL).
 */
#include "soft/private.h"

#include <errno.h>

#include <x86intrin.h>

#include "vm/x86/bits.h"

#define MAX_KHZ 0x7fffffffu
#define MEASURE_NS 1000000
#define NR_TRIES 8

/* --- the host's --- */

struct moment {
	uint64_t tsc, ns, len;	/* between two readings of the TSC that are so far apart */
};

uint64_t host_tsc(void)
{
	return clock_is_own() ? clock_ns() : __rdtsc();
}

/* Of several tries the one that nothing came between. */
static struct moment moment_now(void)
{
	struct moment best = { .len = UINT64_MAX };
	unsigned int i;

	for (i = 0; i < NR_TRIES; i++) {
		uint64_t before = host_tsc(), ns = clock_ns(), len = host_tsc() - before;

		if (len < best.len)
			best = (struct moment) { before + len / 2, ns, len };
	}
	return best;
}

uint32_t host_tsc_khz(void)
{
	struct moment first = moment_now(), last;

	if (clock_is_own())
		return NSEC_KHZ;
	while (clock_ns() - first.ns < MEASURE_NS)
		continue;
	last = moment_now();
	return (uint32_t)((last.tsc - first.tsc) * 1000000 / (last.ns - first.ns));
}

/* --- the guest's --- */

static uint64_t scaled(const struct soft_vcpu *vcpu, uint64_t ticks)
{
	return (uint64_t)((unsigned __int128)ticks * vcpu->tsc.khz / vcpu->vm->soft->tsc_khz);
}

uint64_t tsc_unshifted(const struct soft_vcpu *vcpu)
{
	return scaled(vcpu, host_tsc());
}

uint64_t tsc_guest(const struct soft_vcpu *vcpu)
{
	return tsc_unshifted(vcpu) + vcpu->tsc.offset;
}

static void offset_set(struct soft_vcpu *vcpu, uint64_t offset, uint64_t value)
{
	vcpu->tsc.offset = offset;
	paravirt_clock_changed(vcpu);
	vcpu->vm->tsc_last = (struct soft_tsc_write) {
		.at = host_tsc(), .value = value, .khz = vcpu->tsc.khz, .offset = offset,
	};
}

/* Whether @value is what the last one that was written would be by now, give or take a second; 0 always is. */
static bool is_like_last(const struct soft_vcpu *vcpu, uint64_t value)
{
	const struct soft_tsc_write *last = &vcpu->vm->tsc_last;
	uint64_t second = vcpu->tsc.khz * 1000ull, expected;

	if (last->khz != vcpu->tsc.khz)
		return false;
	expected = last->value + scaled(vcpu, host_tsc() - last->at);
	return !value || (value < expected + second && value + second > expected);
}

/* User space's write, of which the offset's is one. */
static void tsc_write(struct soft_vcpu *vcpu, uint64_t value)
{
	uint64_t offset = value - tsc_unshifted(vcpu);

	offset_set(vcpu, is_like_last(vcpu, value) ? vcpu->vm->tsc_last.offset : offset, value);
}

void tsc_init(struct soft_vcpu *vcpu)
{
	vcpu->tsc.khz = vcpu->vm->tsc_khz;
	tsc_write(vcpu, 0);
}

void tsc_set(struct soft_vcpu *vcpu, uint64_t value, bool is_host)
{
	uint64_t change = value - tsc_guest(vcpu);

	if (is_host) {
		tsc_write(vcpu, value);
		return;
	}
	vcpu->tsc.offset += change;
	paravirt_clock_changed(vcpu);
	vcpu->tsc.adjust += change;
}

void tsc_adjust_set(struct soft_vcpu *vcpu, uint64_t value, bool is_host)
{
	if (!is_host)
		vcpu->tsc.offset += value - vcpu->tsc.adjust;
	vcpu->tsc.adjust = value;
	paravirt_clock_changed(vcpu);
}

/* --- requests --- */

static long khz_of_call(const struct call *call, uint32_t *ret_khz)
{
	uint32_t khz = (uint32_t)call->argument;

	if (khz > MAX_KHZ)
		return -EINVAL;
	*ret_khz = khz ? khz : call->soft->tsc_khz;
	return 0;
}

static long answer_vm_get_khz(struct call *call)
{
	return call->vm->tsc_khz;
}

static long answer_vm_set_khz(struct call *call)
{
	return khz_of_call(call, &call->vm->tsc_khz);
}

static long answer_get_khz(struct call *call)
{
	return call->vcpu->tsc.khz;
}

static long answer_set_khz(struct call *call)
{
	paravirt_clock_changed(call->vcpu);
	return khz_of_call(call, &call->vcpu->tsc.khz);
}

static bool is_tsc_offset(const struct kvm_device_attr *attr)
{
	return attr->group == KVM_VCPU_TSC_CTRL && attr->attr == KVM_VCPU_TSC_OFFSET;
}

static long answer_has_attr(struct call *call)
{
	return is_tsc_offset(call->data) ? 0 : -ENXIO;
}

static long answer_get_attr(struct call *call)
{
	const struct kvm_device_attr *attr = call->data;

	if (!is_tsc_offset(attr))
		return -ENXIO;
	return user_write((uintptr_t)attr->addr, &call->vcpu->tsc.offset, sizeof(uint64_t));
}

static long answer_set_attr(struct call *call)
{
	const struct kvm_device_attr *attr = call->data;
	struct soft_vcpu *vcpu = call->vcpu;
	uint64_t offset;

	if (!is_tsc_offset(attr))
		return -ENXIO;
	if (user_read(&offset, (uintptr_t)attr->addr, sizeof(offset)))
		return -EFAULT;
	offset_set(vcpu, offset, tsc_unshifted(vcpu) + offset);
	return 0;
}

const struct answer vm_tsc_answers[] = {
	{ KVM_GET_TSC_KHZ, answer_vm_get_khz, true },
	{ KVM_SET_TSC_KHZ, answer_vm_set_khz, true },
	{ 0, NULL, false },
};

const struct answer vcpu_tsc_answers[] = {
	{ KVM_GET_TSC_KHZ, answer_get_khz, true },
	{ KVM_SET_TSC_KHZ, answer_set_khz, true },
	{ KVM_HAS_DEVICE_ATTR, answer_has_attr, false },
	{ KVM_GET_DEVICE_ATTR, answer_get_attr, false },
	{ KVM_SET_DEVICE_ATTR, answer_set_attr, false },
	{ 0, NULL, false },
};

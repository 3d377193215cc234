/* SPDX-License-Identifier: MIT */
#include "soft/paravirt.h"

#include <asm/kvm_para.h>
#include <errno.h>

#include "soft/lapic_private.h"
#include "soft/private.h"
#include "vm/x86/bits.h"

#define KVM_FEATURES_LEAF 0x40000001u
#define NSEC_PER_SEC 1000000000ull
#define ENABLED 1ull
#define CLOCK_TSC_STABLE 1u
#define CLOCK_GUEST_STOPPED 2u
#define STEAL_TIME_RESERVED 0x3eull
#define POLL_CONTROL_RESERVED (~1ull)
#define ASYNC_PF_RESERVED 0x30ull
#define EOI_PENDING 1u
#define BIT(n) (1u << (n))

/* The guest's half of the clock: struct pvclock_vcpu_time_info of msr.rst. */
struct clock_info {
	uint32_t version, pad;
	uint64_t tsc_timestamp, system_time;
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
	uint8_t flags, pad_end[2];
};

struct wall_info {
	uint32_t version, sec, nsec;
};

_Static_assert(sizeof(struct clock_info) == 32 && sizeof(struct wall_info) == 12, "msr.rst's sizes");

uint32_t paravirt_features(void)
{
	return BIT(KVM_FEATURE_CLOCKSOURCE) | BIT(KVM_FEATURE_NOP_IO_DELAY) | BIT(KVM_FEATURE_CLOCKSOURCE2) |
		BIT(KVM_FEATURE_STEAL_TIME) | BIT(KVM_FEATURE_ASYNC_PF) | BIT(KVM_FEATURE_ASYNC_PF_VMEXIT) |
		BIT(KVM_FEATURE_ASYNC_PF_INT) | BIT(KVM_FEATURE_PV_EOI) | BIT(KVM_FEATURE_POLL_CONTROL) |
		BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT) | BIT(KVM_FEATURE_PV_UNHALT) |
		BIT(KVM_FEATURE_PV_SEND_IPI) | BIT(KVM_FEATURE_PV_SCHED_YIELD);
}

void paravirt_reset(struct soft_vcpu *vcpu)
{
	vcpu->paravirt = (struct soft_paravirt) { .poll_control = 1 };
}

/* --- versions: odd while a structure is written; one that is found odd is junk --- */

/* False: there is no memory. The structure is the guest's at last with version_end(). */
static bool version_begin(struct soft_vm *vm, uint64_t gpa, uint32_t *ret_version)
{
	uint32_t version;

	if (guest_read(vm_space(vm), gpa, &version, sizeof(version)))
		return false;
	*ret_version = (version | 1) + (version & 1 ? 2 : 0);
	return !guest_write(vm_space(vm), gpa, ret_version, sizeof(*ret_version));
}

static void version_end(struct soft_vm *vm, uint64_t gpa, uint32_t version)
{
	version++;
	guest_write(vm_space(vm), gpa, &version, sizeof(version));
}

/* --- the clock --- */

/* 2^@ret_shift * @ret_mul / 2^32 nanoseconds a tick, the multiplier with its highest bit set. */
static void factor_of(uint32_t khz, uint32_t *ret_mul, int8_t *ret_shift)
{
	uint64_t mul = (1000000ull << 32) / khz;
	int8_t shift = 0;

	for (; mul >> 32; mul >>= 1)
		shift++;
	for (; !(mul >> 31); mul <<= 1)
		shift--;
	*ret_mul = (uint32_t)mul;
	*ret_shift = shift;
}

void paravirt_clock_write(struct soft_vcpu *vcpu, uint64_t gpa)
{
	struct soft_vm *vm = vcpu->vm;
	struct soft_paravirt *paravirt = &vcpu->paravirt;
	struct clock_info info, before;

	if (guest_read(vm_space(vm), gpa, &before, sizeof(before)) || !version_begin(vm, gpa, &info.version))
		return;
	info = (struct clock_info) {
		.version = info.version, .tsc_timestamp = tsc_guest(vcpu),
		.system_time = clock_ns() + (uint64_t)vm->clock_offset,
		.flags = CLOCK_TSC_STABLE | (before.flags & CLOCK_GUEST_STOPPED) |
			(paravirt->was_stopped ? CLOCK_GUEST_STOPPED : 0),
	};
	factor_of(vcpu->tsc.khz, &info.tsc_to_system_mul, &info.tsc_shift);
	paravirt->was_stopped = false;
	guest_write(vm_space(vm), gpa, &info, sizeof(info));
	version_end(vm, gpa, info.version);
}

/* When the clock was zero, of the world's time. */
static void wall_write(struct soft_vm *vm, uint64_t gpa)
{
	uint64_t ns = realtime_ns() - (clock_ns() + (uint64_t)vm->clock_offset);
	struct wall_info info;

	vm->wall_clock = gpa;
	if (!gpa || !version_begin(vm, gpa, &info.version))
		return;
	info.sec = (uint32_t)(ns / NSEC_PER_SEC);
	info.nsec = (uint32_t)(ns % NSEC_PER_SEC);
	guest_write(vm_space(vm), gpa, &info, sizeof(info));
	version_end(vm, gpa, info.version);
}

void paravirt_clock_changed(struct soft_vcpu *vcpu)
{
	vcpu->paravirt.is_time_old = true;
	hyperv_clock_changed(vcpu);
}

/* --- stolen time: that others ran on the machine --- */

static void steal_time_write(struct soft_vcpu *vcpu)
{
	struct soft_paravirt *paravirt = &vcpu->paravirt;
	uint64_t gpa = paravirt->steal_time & ~ENABLED;
	struct kvm_steal_time info;
	uint32_t version;

	if (guest_read(vm_space(vcpu->vm), gpa, &info, sizeof(info)) ||
	    !version_begin(vcpu->vm, gpa + offsetof(struct kvm_steal_time, version), &version))
		return;
	info.version = version;
	info.preempted = 0;
	info.steal += paravirt->stolen_ns;
	paravirt->stolen_ns = 0;
	guest_write(vm_space(vcpu->vm), gpa, &info, sizeof(info));
	version_end(vcpu->vm, gpa + offsetof(struct kvm_steal_time, version), version);
}

void paravirt_load(struct soft_vcpu *vcpu)
{
	vcpu->paravirt.is_steal_old = true;
}

/* --- the end of interrupt in memory --- */

/* With the interrupt, where nobody has to hear of its end: nothing waits for it, and no I/O APIC. */
static bool may_offer_eoi(const struct soft_vcpu *vcpu)
{
	const struct lapic *lapic = &vcpu->chips.lapic;
	int vector;

	if (!(vcpu->paravirt.eoi & ENABLED) || !vcpu->interrupt.is_injected || !vcpu->chips.has_lapic ||
	    lapic_highest_request(lapic) >= 0)
		return false;
	vector = lapic_highest_in_service(lapic);
	return vector >= 0 && !vector_test(lapic, LAPIC_TMR, (uint8_t)vector);
}

static void eoi_word_set(struct soft_vcpu *vcpu, uint8_t value)
{
	guest_write(vm_space(vcpu->vm), vcpu->paravirt.eoi & ~ENABLED, &value, sizeof(value));
	vcpu->paravirt.is_eoi_offered = value;
}

void paravirt_enter(struct soft_vcpu *vcpu)
{
	if (vcpu->paravirt.is_time_old) {
		vcpu->paravirt.is_time_old = false;
		if (vcpu->paravirt.time & ENABLED)
			paravirt_clock_write(vcpu, vcpu->paravirt.time & ~ENABLED);
	}
	if (vcpu->paravirt.is_steal_old) {
		vcpu->paravirt.is_steal_old = false;
		if (vcpu->paravirt.steal_time & ENABLED)
			steal_time_write(vcpu);
	}
	if (may_offer_eoi(vcpu))
		eoi_word_set(vcpu, EOI_PENDING);
}

/* The offer is taken back; the guest has used it when it is not there any more. */
void paravirt_leave(struct soft_vcpu *vcpu)
{
	uint8_t word = EOI_PENDING;

	if (!vcpu->paravirt.is_eoi_offered)
		return;
	guest_read(vm_space(vcpu->vm), vcpu->paravirt.eoi & ~ENABLED, &word, sizeof(word));
	eoi_word_set(vcpu, 0);
	if (!(word & EOI_PENDING))
		lapic_eoi(&vcpu->chips.lapic);
}

/* --- MSRs --- */

static const struct {
	uint32_t index;
	unsigned int feature;
} msrs[] = {
	{ MSR_KVM_WALL_CLOCK, KVM_FEATURE_CLOCKSOURCE },
	{ MSR_KVM_SYSTEM_TIME, KVM_FEATURE_CLOCKSOURCE },
	{ MSR_KVM_WALL_CLOCK_NEW, KVM_FEATURE_CLOCKSOURCE2 },
	{ MSR_KVM_SYSTEM_TIME_NEW, KVM_FEATURE_CLOCKSOURCE2 },
	{ MSR_KVM_STEAL_TIME, KVM_FEATURE_STEAL_TIME },
	{ MSR_KVM_PV_EOI_EN, KVM_FEATURE_PV_EOI },
	{ MSR_KVM_POLL_CONTROL, KVM_FEATURE_POLL_CONTROL },
	{ MSR_KVM_ASYNC_PF_EN, KVM_FEATURE_ASYNC_PF },
	{ MSR_KVM_ASYNC_PF_INT, KVM_FEATURE_ASYNC_PF_INT },
	{ MSR_KVM_ASYNC_PF_ACK, KVM_FEATURE_ASYNC_PF_INT },
};
#define NR_MSRS (sizeof(msrs) / sizeof(msrs[0]))

bool paravirt_has(const struct soft_vcpu *vcpu, unsigned int feature)
{
	return !vcpu->enforces_pv_cpuid || vcpu_has(vcpu, KVM_FEATURES_LEAF, 0, feature);
}

/* 1, 0: not one of theirs, -EINVAL: taken away. */
static int msr_check(const struct soft_vcpu *vcpu, uint32_t index)
{
	size_t i;

	for (i = 0; i < NR_MSRS; i++)
		if (msrs[i].index == index)
			return paravirt_has(vcpu, msrs[i].feature) ? 1 : -EINVAL;
	return 0;
}

int paravirt_msr_get(const struct soft_vcpu *vcpu, uint32_t index, uint64_t *ret_value)
{
	const struct soft_paravirt *paravirt = &vcpu->paravirt;
	int r = msr_check(vcpu, index);

	if (r <= 0)
		return r;
	switch (index) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW:
		*ret_value = vcpu->vm->wall_clock;
		return 1;
	case MSR_KVM_STEAL_TIME:
		*ret_value = paravirt->steal_time;
		return 1;
	case MSR_KVM_PV_EOI_EN:
		*ret_value = paravirt->eoi;
		return 1;
	case MSR_KVM_POLL_CONTROL:
		*ret_value = paravirt->poll_control;
		return 1;
	case MSR_KVM_ASYNC_PF_EN:
		*ret_value = paravirt->async_pf;
		return 1;
	case MSR_KVM_ASYNC_PF_INT:
		*ret_value = paravirt->async_pf_vector;
		return 1;
	case MSR_KVM_ASYNC_PF_ACK:
		*ret_value = 0;
		return 1;
	default:
		*ret_value = paravirt->time;
		return 1;
	}
}

static int eoi_set(struct soft_vcpu *vcpu, uint64_t value)
{
	if ((value & ~ENABLED) & 3 || (value & ENABLED && !slot_find(vm_space(vcpu->vm), value & ~ENABLED)))
		return -EINVAL;
	if (vcpu->paravirt.is_eoi_offered)
		eoi_word_set(vcpu, 0);
	vcpu->paravirt.eoi = value;
	return 1;
}

static int steal_time_set(struct soft_vcpu *vcpu, uint64_t value)
{
	if (value & STEAL_TIME_RESERVED)
		return -EINVAL;
	vcpu->paravirt.steal_time = value;
	vcpu->paravirt.stolen_ns = 0;
	vcpu->paravirt.is_steal_old = true;
	return 1;
}

static int async_pf_set(struct soft_vcpu *vcpu, uint64_t value)
{
	if ((value & ASYNC_PF_RESERVED) ||
	    ((value & KVM_ASYNC_PF_DELIVERY_AS_PF_VMEXIT) && !paravirt_has(vcpu, KVM_FEATURE_ASYNC_PF_VMEXIT)) ||
	    ((value & KVM_ASYNC_PF_DELIVERY_AS_INT) && !paravirt_has(vcpu, KVM_FEATURE_ASYNC_PF_INT)) ||
	    (value && !vcpu->chips.has_lapic))
		return -EINVAL;
	async_pf_forget(vcpu);
	vcpu->paravirt.async_pf = value;
	return 1;
}

static int async_pf_vector_set(struct soft_vcpu *vcpu, uint64_t value)
{
	if (value >> 8)
		return -EINVAL;
	vcpu->paravirt.async_pf_vector = value;
	return 1;
}

int paravirt_msr_set(struct soft_vcpu *vcpu, uint32_t index, uint64_t value)
{
	int r = msr_check(vcpu, index);

	if (r <= 0)
		return r;
	switch (index) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW:
		wall_write(vcpu->vm, value);
		return 1;
	case MSR_KVM_STEAL_TIME:
		return steal_time_set(vcpu, value);
	case MSR_KVM_PV_EOI_EN:
		return eoi_set(vcpu, value);
	case MSR_KVM_POLL_CONTROL:
		if (value & POLL_CONTROL_RESERVED)
			return -EINVAL;
		vcpu->paravirt.poll_control = value;
		return 1;
	case MSR_KVM_ASYNC_PF_EN:
		return async_pf_set(vcpu, value);
	case MSR_KVM_ASYNC_PF_INT:
		return async_pf_vector_set(vcpu, value);
	case MSR_KVM_ASYNC_PF_ACK:
		return 1;
	default:
		vcpu->paravirt.time = value;
		vcpu->paravirt.is_time_old = true;
		return 1;
	}
}

/* --- KVM_KVMCLOCK_CTRL --- */

static long answer_clock_ctrl(struct call *call)
{
	struct soft_paravirt *paravirt = &call->vcpu->paravirt;

	if (!(paravirt->time & ENABLED))
		return -EINVAL;
	paravirt->was_stopped = paravirt->is_time_old = true;
	return 0;
}

const struct answer paravirt_answers[] = {
	{ KVM_KVMCLOCK_CTRL, answer_clock_ctrl, true },
	{ 0, NULL, false },
};

/* SPDX-License-Identifier: MIT */
/*
 * KVM's own MSRs, what they write to the guest's memory, and the bits of CPUID leaf 40000001h EAX that offer them.
 *
 * Source: Documentation/virt/kvm/x86/msr.rst and cpuid.rst.
 */
#ifndef VMASSAY_PV_MSR_H
#define VMASSAY_PV_MSR_H

#include <asm/kvm_para.h>

#include "cases/ioctl/cpuid_change.h"

#define PV_LEAF 0x40000001u
#ifndef KVM_ENOSYS
#define KVM_ENOSYS 1000	/* linux/kvm_para.h; hypercalls.rst: there is no such call */
#endif

/* struct pvclock_vcpu_time_info and struct pvclock_wall_clock of msr.rst. */
struct pv_time {
	uint32_t version, pad0;
	uint64_t tsc_timestamp, system_time;
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
	uint8_t flags, pad[2];
} __attribute__((packed));

struct pv_wall {
	uint32_t version, sec, nsec;
} __attribute__((packed));

_Static_assert(sizeof(struct pv_time) == 32, "the manual says 32 bytes");
_Static_assert(sizeof(struct kvm_steal_time) == 64, "the manual says 64 bytes");

#define PV_TSC_STABLE 1u	/* struct pv_time's flags */
#define PV_GUEST_STOPPED 2u

/* The guest's own CPUID table: what KVM supports, without @features in the leaf of KVM's features. */
static inline void __attribute__((unused)) pv_features_hide(struct test *t, uint32_t features)
{
	cpuid_change(t, PV_LEAF, (struct cpuid_bits){ .eax_off = features });
}

/* From now on, a feature that the guest's CPUID lacks is not there. */
static inline void __attribute__((unused)) pv_features_enforce(struct test *t)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID, .args[0] = 1 };

	vcpu_ioctl(t->vcpu, KVM_ENABLE_CAP, &cap);
}

#endif

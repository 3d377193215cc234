/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's CPUID: what KVM supports, with one leaf changed. Before its first KVM_RUN, after which KVM takes no other.
 */
#ifndef VMASSAY_CPUID_CHANGE_H
#define VMASSAY_CPUID_CHANGE_H

#include <string.h>

#include "case.h"

#define LEAF_EXTENDED 0x80000001u
#define EXTENDED_ECX_OSVW (1u << 9)
#define EXTENDED_EDX_LM (1u << 29)

/* Bits of the leaf's registers; those not named stay. */
struct cpuid_bits {
	uint32_t eax_off, ebx_off, ebx_on, ecx_off, ecx_on, edx_off, edx_on;
};

static inline void __attribute__((unused)) cpuid_change(struct test *t, uint32_t leaf, struct cpuid_bits bits)
{
	const struct kvm_cpuid2 *supported = t->sys->cpuid;
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} table = { .head.nent = supported->nent };
	uint32_t i;

	require_true(t, supported->nent <= 256);
	memcpy(table.entries, supported->entries, supported->nent * sizeof(table.entries[0]));
	for (i = 0; i < supported->nent; i++) {
		struct kvm_cpuid_entry2 *entry = &table.entries[i];

		if (entry->function != leaf)
			continue;
		entry->eax &= ~bits.eax_off;
		entry->ebx = (entry->ebx & ~bits.ebx_off) | bits.ebx_on;
		entry->ecx = (entry->ecx & ~bits.ecx_off) | bits.ecx_on;
		entry->edx = (entry->edx & ~bits.edx_off) | bits.edx_on;
	}
	vcpu_ioctl(t->vcpu, KVM_SET_CPUID2, &table.head);
}

/* Leaf 0: "GenuineIntel", and a name that is nobody's. */
struct cpuid_vendor {
	uint32_t ebx, edx, ecx;
};

#define VENDOR_INTEL { 0x756e6547, 0x49656e69, 0x6c65746e }
#define VENDOR_NOBODY { 0x61737376, 0x79617373, 0x61737376 }

static inline void __attribute__((unused)) cpuid_vendor(struct test *t, struct cpuid_vendor vendor)
{
	cpuid_change(t, 0, (struct cpuid_bits){ .ebx_off = ~0u, .ebx_on = vendor.ebx, .ecx_off = ~0u, .ecx_on = vendor.ecx,
						.edx_off = ~0u, .edx_on = vendor.edx });
}

#endif

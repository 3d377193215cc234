/* SPDX-License-Identifier: MIT */
/* A vCPU whose CPUID does not have a feature that KVM could give it. */
#ifndef CASES_MMU_FEATURE_HIDE_H
#define CASES_MMU_FEATURE_HIDE_H

#include <stdlib.h>

#include "case.h"

/* Of t->vcpu, which has not run; @reg 0: EAX ... 3: EDX. Of leaves with subleaves it is number 0. */
static inline void feature_hide(struct test *t, uint32_t leaf, unsigned int reg, uint32_t bits)
{
	struct kvm_cpuid2 *cpuid = sys_supported_cpuid(t->sys);
	unsigned int i;

	for (i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		if (entry->function == leaf && entry->index == 0)
			(&entry->eax)[reg] &= ~bits;
	}
	vcpu_ioctl(t->vcpu, KVM_SET_CPUID2, cpuid);
	free(cpuid);
}

#endif

/* SPDX-License-Identifier: MIT */
/* The CPUID of L1 and of the machine: what both KVM and the machine can have. */
#include "fuzz/nested_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vm/x86/mode.h"

/* Registers whose bits are features; the others are the machine's, but for the width of addresses. */
static const struct {
	uint32_t leaf, subleaf;
	uint32_t masks[4];	/* of EAX to EDX */
} feature_words[] = {
	{ 1, 0, { 0, 0, ~0u, ~0u } }, { 7, 0, { 0, ~0u, ~0u, ~0u } }, { 0xd, 1, { ~0u, 0, 0, 0 } },
	{ 0x80000001, 0, { 0, 0, ~0u, ~0u } }, { 0x8000000a, 0, { 0, 0, 0, ~0u } },
};

static void cpuid_cut(struct machine_cpuid *ours, const struct kvm_cpuid_entry2 *theirs, const uint32_t *masks)
{
	ours->eax &= theirs->eax | ~masks[0];
	ours->ebx &= theirs->ebx | ~masks[1];
	ours->ecx &= theirs->ecx | ~masks[2];
	ours->edx &= theirs->edx | ~masks[3];
}

static void cpuid_common(struct nested *n, const struct kvm_cpuid2 *supported)
{
	size_t i, word;

	n->nr_cpuid = machine_nr_cpuid_default;
	memcpy(n->cpuid, machine_cpuid_default, n->nr_cpuid * sizeof(n->cpuid[0]));
	for (i = 0; i < n->nr_cpuid; i++) {
		struct machine_cpuid *ours = &n->cpuid[i];
		uint32_t subleaf = ours->subleaf == ~0u ? 0 : ours->subleaf;
		struct kvm_cpuid_entry2 theirs = { 0 };

		cpuid_find(supported, ours->leaf, subleaf, &theirs);
		for (word = 0; word < sizeof(feature_words) / sizeof(feature_words[0]); word++)
			if (feature_words[word].leaf == ours->leaf && feature_words[word].subleaf == subleaf)
				cpuid_cut(ours, &theirs, feature_words[word].masks);
		if (ours->leaf == 0x80000008)
			ours->eax = theirs.eax & 0xffff;
	}
}

int nested_cpuid_make(struct nested *n)
{
	size_t i;

	cpuid_common(n, n->sys->cpuid);
	n->kvm_cpuid = calloc(1, sizeof(*n->kvm_cpuid) + (n->nr_cpuid + NESTED_NR_HYPERV) * sizeof(n->kvm_cpuid->entries[0]));
	if (!n->kvm_cpuid)
		return -ENOMEM;
	n->kvm_cpuid->nent = (uint32_t)n->nr_cpuid;
	for (i = 0; i < n->nr_cpuid; i++) {
		const struct machine_cpuid *leaf = &n->cpuid[i];

		n->kvm_cpuid->entries[i] = (struct kvm_cpuid_entry2){
			.function = leaf->leaf, .index = leaf->subleaf == ~0u ? 0 : leaf->subleaf,
			.flags = leaf->subleaf == ~0u ? 0 : KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			.eax = leaf->eax, .ebx = leaf->ebx, .ecx = leaf->ecx, .edx = leaf->edx,
		};
	}
	return 0;
}

uint32_t nested_cpuid_read(const void *context, uint32_t leaf, uint32_t subleaf, unsigned int reg)
{
	const struct nested *n = context;
	struct machine_cpuid found = cpuid_lookup(n->cpuid, n->nr_cpuid, leaf, subleaf);

	return (uint32_t[]){ found.eax, found.ebx, found.ecx, found.edx }[reg];
}

const struct machine_cpuid *nested_cpuid(const struct nested *n, size_t *ret_nr)
{
	*ret_nr = n->nr_cpuid;
	return n->cpuid;
}

/* SPDX-License-Identifier: MIT */
/* CPUID: what the machine has, what KVM_GET_SUPPORTED_CPUID offers of it, and what a guest is answered. */
#include "soft/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vm/x86/bits.h"

#define BIT(n) (1u << (n))
#define ANY_SUBLEAF (~0u)
#define MISC_ENABLE_MWAIT (1u << 18)
#define KVM_SIGNATURE 0x40000000u
#define KVM_FEATURES 0x40000001u
/* What nested SVM has: nested paging, VMCB clean bits, virtual GIF, and VMCB addresses checked before the intercept. */
#define NESTED_FEATURES (BIT(0) | BIT(5) | BIT(16) | BIT(28))
#define NR_GUEST_ASIDS 8

const struct machine_cpuid *soft_machine_cpuid(size_t *ret_nr)
{
	*ret_nr = machine_nr_cpuid_default;
	return machine_cpuid_default;
}

/* --- what guests may have of it --- */

/* A guest that has the machine itself has all of it. */
static void entry_of_leaf(const struct machine_cpuid *leaf, struct kvm_cpuid_entry2 *entry, bool is_bare)
{
	*entry = (struct kvm_cpuid_entry2) {
		.function = leaf->leaf, .index = leaf->subleaf == ANY_SUBLEAF ? 0 : leaf->subleaf,
		.flags = leaf->subleaf == ANY_SUBLEAF ? 0 : KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.eax = leaf->eax, .ebx = leaf->ebx, .ecx = leaf->ecx, .edx = leaf->edx,
	};
	if (is_bare)
		return;
	switch (leaf->leaf) {
	case 1:
		entry->ecx |= BIT(31) | BIT(21);	/* a hypervisor is there; x2APIC */
		entry->ecx &= ~BIT(3);			/* MONITOR is not for guests */
		/* MCE, MCA, MTRR: registers that are kept; APIC */
		entry->edx |= BIT(7) | BIT(14) | BIT(12) | BIT(9);
		break;
	case 7:
		entry->ebx |= BIT(1);			/* IA32_TSC_ADJUST */
		break;
	case 0x80000008:
		entry->eax = 0x3900 | SOFT_GUEST_BITS;
		break;
	case 0x8000000a:
		entry->ebx = NR_GUEST_ASIDS;
		entry->edx = NESTED_FEATURES;
		break;
	default:
		break;
	}
}

/* Returns the number of entries, at most @max. */
static unsigned int supported_fill(struct kvm_cpuid_entry2 *entries, unsigned int max, bool is_bare)
{
	size_t nr_leaves, i;
	const struct machine_cpuid *table = soft_machine_cpuid(&nr_leaves);
	unsigned int nr = 0;

	for (i = 0; i < nr_leaves && nr < max; i++)
		entry_of_leaf(&table[i], &entries[nr++], is_bare);
	if (nr < max)
		entries[nr++] = (struct kvm_cpuid_entry2) {
			.function = KVM_SIGNATURE, .eax = KVM_FEATURES,
			.ebx = 0x4b4d564b, .ecx = 0x564b4d56, .edx = 0x4d,
		};
	if (nr < max)
		entries[nr++] = (struct kvm_cpuid_entry2) {
			.function = KVM_FEATURES, .eax = paravirt_features(),
		};
	return nr;
}

static long list_give(struct call *call, const struct kvm_cpuid_entry2 *entries, unsigned int nr)
{
	struct kvm_cpuid2 head;

	if (user_read(&head, call->argument, sizeof(head)))
		return -EFAULT;
	if (head.nent < nr)
		return -E2BIG;
	head.nent = nr;
	if (user_write(call->argument + sizeof(head), entries, nr * sizeof(*entries)) ||
	    user_write(call->argument, &head, sizeof(head)))
		return -EFAULT;
	return 0;
}

long system_supported_cpuid(struct call *call)
{
	struct kvm_cpuid_entry2 entries[32] = { 0 };

	return list_give(call, entries, supported_fill(entries, 32, call->soft->is_bare));
}

/* Nothing is emulated that the machine has not; the leaves say so. */
long system_emulated_cpuid(struct call *call)
{
	static const struct kvm_cpuid_entry2 entries[] = {
		{ .function = 0, .eax = 7 },
		{ .function = 1 },
		{ .function = 7, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX },
	};
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entry;
	uint32_t i;

	if (user_read(&head, call->argument, sizeof(head)))
		return -EFAULT;
	if (!head.nent)
		return -E2BIG;
	for (i = 0; i < head.nent && i < SOFT_MAX_CPUID; i++) {
		if (user_read(&entry, call->argument + sizeof(head) + i * sizeof(entry), sizeof(entry)) ||
		    entry.padding[0] || entry.padding[1] || entry.padding[2])
			return -EINVAL;
	}
	return list_give(call, entries, 3);
}

/* --- a vCPU's --- */

static int cpuid_check(const struct kvm_cpuid_entry2 *entries, uint32_t nr)
{
	uint32_t i;

	for (i = 0; i < nr; i++) {
		uint32_t bits = entries[i].eax >> 8 & 0xff;

		if (entries[i].function == 0x80000008 && bits && bits != 48 && bits != 57)
			return -EINVAL;
	}
	return 0;
}

/* After the first KVM_RUN, only what it is already. */
static int cpuid_replace(struct soft_vcpu *vcpu, struct kvm_cpuid_entry2 *entries, uint32_t nr)
{
	bool is_same = nr == vcpu->nr_cpuid && (!nr || !memcmp(entries, vcpu->cpuid, nr * sizeof(*entries)));

	if (vcpu->has_run && !is_same)
		return -EINVAL;
	if (cpuid_check(entries, nr))
		return -EINVAL;
	free(vcpu->cpuid);
	vcpu->cpuid = entries;
	vcpu->nr_cpuid = nr;
	recalc_instruction_intercepts(vcpu);
	nested_cpuid_changed(vcpu);
	hyperv_cpuid_changed(vcpu);
	return 0;
}

static long answer_set_cpuid2(struct call *call)
{
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 *entries;
	int r = -EFAULT;

	if (user_read(&head, call->argument, sizeof(head)))
		return -EFAULT;
	if (head.nent > SOFT_MAX_CPUID)
		return -E2BIG;
	entries = calloc(head.nent + 1, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	if (!user_read(entries, call->argument + sizeof(head), head.nent * sizeof(*entries)))
		r = cpuid_replace(call->vcpu, entries, head.nent);
	if (r)
		free(entries);
	return r;
}

static long answer_set_cpuid(struct call *call)
{
	struct kvm_cpuid_entry2 *entries;
	struct kvm_cpuid head;
	struct kvm_cpuid_entry old;
	uint32_t i;
	int r = 0;

	if (user_read(&head, call->argument, sizeof(head)))
		return -EFAULT;
	if (head.nent > SOFT_MAX_CPUID)
		return -E2BIG;
	entries = calloc(head.nent + 1, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	for (i = 0; i < head.nent && !r; i++) {
		r = user_read(&old, call->argument + sizeof(head) + i * sizeof(old), sizeof(old));
		entries[i] = (struct kvm_cpuid_entry2) {
			.function = old.function, .eax = old.eax, .ebx = old.ebx, .ecx = old.ecx, .edx = old.edx,
		};
	}
	if (!r)
		r = cpuid_replace(call->vcpu, entries, head.nent);
	if (r)
		free(entries);
	return r;
}

static long answer_get_cpuid2(struct call *call)
{
	struct soft_vcpu *vcpu = call->vcpu;
	struct kvm_cpuid2 head;

	if (user_read(&head, call->argument, sizeof(head)))
		return -EFAULT;
	/* The number needed does not reach user space when it is too small: KVM copies it only on success. */
	if (head.nent < vcpu->nr_cpuid)
		return -E2BIG;
	if (user_write(call->argument + sizeof(head), vcpu->cpuid, vcpu->nr_cpuid * sizeof(*vcpu->cpuid)))
		return -EFAULT;
	return user_write(call->argument, &head, sizeof(head));
}

const struct kvm_cpuid_entry2 *vcpu_cpuid(const struct soft_vcpu *vcpu, uint32_t leaf, uint32_t subleaf)
{
	uint32_t i;

	for (i = 0; i < vcpu->nr_cpuid; i++) {
		const struct kvm_cpuid_entry2 *entry = &vcpu->cpuid[i];

		if (entry->function == leaf &&
		    (!(entry->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || entry->index == subleaf))
			return entry;
	}
	return NULL;
}

bool vcpu_has(const struct soft_vcpu *vcpu, uint32_t leaf, unsigned int reg, unsigned int bit)
{
	const struct kvm_cpuid_entry2 *entry = vcpu_cpuid(vcpu, leaf, 0);
	uint32_t regs[4] = { 0 };

	if (entry)
		memcpy(regs, &entry->eax, sizeof(regs));
	return regs[reg] >> bit & 1;
}

/* Without the quirk MONITOR is there as IA32_MISC_ENABLE says. */
static void monitor_follow(const struct soft_vcpu *vcpu, struct kvm_cpuid_entry2 *leaf_1)
{
	if (!(vcpu->vm->disabled_quirks & KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT))
		return;
	leaf_1->ecx &= ~BIT(3);
	if (msr_misc_enable(vcpu) & MISC_ENABLE_MWAIT)
		leaf_1->ecx |= BIT(3);
}

struct kvm_cpuid_entry2 vcpu_cpuid_answer(const struct soft_vcpu *vcpu, uint32_t leaf, uint32_t subleaf)
{
	const struct kvm_cpuid_entry2 *entry = vcpu_cpuid(vcpu, leaf, subleaf);
	struct kvm_cpuid_entry2 answer = { 0 };

	if (!entry)
		return answer;
	answer = *entry;
	if (leaf == 1) {
		monitor_follow(vcpu, &answer);
		answer.ecx &= ~BIT(27);
		if (vcpu->vmcb->save.cr4 & X86_CR4_OSXSAVE)
			answer.ecx |= BIT(27);
		answer.edx &= ~BIT(9);
		if (vcpu->apic_base & BIT(11))
			answer.edx |= BIT(9);
	} else if (leaf == 7 && !subleaf) {
		answer.ecx &= ~BIT(4);
		if (vcpu->vmcb->save.cr4 & X86_CR4_PKE)
			answer.ecx |= BIT(4);
	}
	return answer;
}

static long answer_hyperv_cpuid(struct call *call)
{
	struct kvm_cpuid_entry2 entries[HYPERV_MAX_LEAVES];

	return list_give(call, entries, hyperv_leaves(entries));
}

/* Of the system and of a vCPU: the same. */
const struct answer hyperv_system_answers[] = {
	{ KVM_GET_SUPPORTED_HV_CPUID, answer_hyperv_cpuid, true },
	{ 0, NULL, false },
};

const struct answer cpuid_answers[] = {
	{ KVM_SET_CPUID, answer_set_cpuid, true },
	{ KVM_SET_CPUID2, answer_set_cpuid2, true },
	{ KVM_GET_CPUID2, answer_get_cpuid2, true },
	{ 0, NULL, false },
};

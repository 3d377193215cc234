/* SPDX-License-Identifier: MIT */
/*
 * Hyper-V's MSRs and hypercalls, and the CPUID leaves that give them to a vCPU. Numbers are of the Hyper-V Top-Level
 * Functional Specification: 3 (hypercalls), 11.8 (MSRs of the synthetic interrupt controller), appendix A (CPUID).
 */
#ifndef VMASSAY_CASES_IOCTL_HYPERV_H
#define VMASSAY_CASES_IOCTL_HYPERV_H

#include "case.h"

#include "cases/ioctl/irq_script.h"
#include "cases/ioctl/vcpu_state.h"

#define HV_GUEST_OS_ID 0x40000000
#define HV_HYPERCALL 0x40000001
#define HV_VP_INDEX 0x40000002
#define HV_RESET 0x40000003
#define HV_VP_RUNTIME 0x40000010
#define HV_TIME_REF_COUNT 0x40000020
#define HV_REFERENCE_TSC 0x40000021
#define HV_TSC_FREQUENCY 0x40000022
#define HV_APIC_FREQUENCY 0x40000023
#define HV_EOI 0x40000070
#define HV_ICR 0x40000071
#define HV_TPR 0x40000072
#define HV_ASSIST_PAGE 0x40000073
#define HV_SCONTROL 0x40000080
#define HV_SVERSION 0x40000081
#define HV_SIEFP 0x40000082
#define HV_SIMP 0x40000083
#define HV_EOM 0x40000084
#define HV_SINT(nr_) (0x40000090 + (nr_))
#define HV_STIMER_CONFIG(nr_) (0x400000b0 + 2 * (nr_))
#define HV_STIMER_COUNT(nr_) (0x400000b1 + 2 * (nr_))
#define HV_DEBUG_CONTROL 0x400000f1
#define HV_DEBUG_STATUS 0x400000f2
#define HV_DEBUG_SEND 0x400000f3
#define HV_DEBUG_RECEIVE 0x400000f4
#define HV_DEBUG_PENDING 0x400000f5
#define HV_DEBUG_OPTIONS 0x400000ff
#define HV_CRASH_P(nr_) (0x40000100 + (nr_))
#define HV_CRASH_CTL 0x40000105
#define HV_REENLIGHTENMENT 0x40000106
#define HV_TSC_EMULATION 0x40000107
#define HV_TSC_EMULATION_STATUS 0x40000108

#define HV_OS_ID 0x8100000000000123	/* an open-source system's */
#define HV_NO_RAM 0x70000000ull
#define HV_PAGE (SCRATCH_GPA + 0x3000)	/* the guest's page for what a row is about */

/* A hypercall's input: TLFS, 3.7. */
#define HV_FAST 0x10000ull
#define HV_VARIABLE(nr_) ((uint64_t)(nr_) << 17)	/* 8-byte words of a header of variable size */
#define HV_REP(nr_) ((uint64_t)(nr_) << 32)		/* and in the result: repetitions done */
#define HV_FLUSH_SPACE 2
#define HV_FLUSH_LIST 3
#define HV_SPIN_WAIT 8
#define HV_SEND_IPI 0xb
#define HV_FLUSH_SPACE_EX 0x13
#define HV_FLUSH_LIST_EX 0x14
#define HV_SEND_IPI_EX 0x15
#define HV_POST_MESSAGE 0x5c
#define HV_SIGNAL_EVENT 0x5d
#define HV_POST_DEBUG 0x69
#define HV_RETRIEVE_DEBUG 0x6a
#define HV_RESET_DEBUG 0x6b

/* TLFS, 3.12. */
enum {
	HV_OK = 0, HV_INVALID_CODE = 2, HV_INVALID_INPUT = 3, HV_INVALID_ALIGNMENT = 4, HV_INVALID_PARAMETER = 5,
	HV_DENIED = 6, HV_OPERATION_DENIED = 8,
};

enum hv_with { HV_ALL_LEAVES, HV_NO_LEAVES, HV_ENFORCED_NOTHING };

/* The guest's WRMSR leaves with the record of a kind: @control, @evt_, @msg_: the controller's state by then. */
#define HV_WRMSR_EXIT(msr_, value_, ...)						\
	{ OP(OP_WRMSR, "WRMSR " #msr_), .at = msr_, .value = value_,			\
	  .exit = &(const struct exit_record){ __VA_ARGS__ } }
#define HV_SYNIC_EXIT(msr_, value_, control_, evt_, msg_)				\
	HV_WRMSR_EXIT(msr_, value_, .reason = KVM_EXIT_HYPERV,				\
		      .hyperv = { .type = KVM_EXIT_HYPERV_SYNIC, .words = { msr_, control_, evt_, msg_ } })

/* A step that makes one hypercall, which user space answers with HV_ANSWER. */
#define HV_ANSWER 0x1234
#define HV_GUEST_CALL(function_, input_, one_, two_)					\
	{ OP(OP_GUEST, #function_), .guest = function_, .host = ON_HOST(hv_host_answer),	\
	  .exit = &(const struct exit_record){ .reason = KVM_EXIT_HYPERV,		\
			.hyperv = { .type = KVM_EXIT_HYPERV_HCALL, .words = { input_, 0, one_, two_ } } } }
/* The guest says what it is; hypercalls wait for that. Where it has no MSR to do so, the host does. */
#define HV_HYPERCALLS_ON WRMSR(HV_GUEST_OS_ID, HV_OS_ID)
#define HV_HOST_HYPERCALLS_ON HOST_DO(hv_host_os_id)

/* --- the host's half --- */

struct hv_leaves {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entries[256];
};

/* KVM's own leaves out, Hyper-V's in. */
static inline void hv_leaves_set(struct test *t, struct vcpu *vcpu, enum hv_with with)
{
	const struct kvm_cpuid2 *supported = t->sys->cpuid;
	struct hv_leaves hv = { .head.nent = 64 }, table = { .head.nent = 0 };
	uint32_t i;

	require_true(t, supported->nent < 200);
	for (i = 0; i < supported->nent; i++)
		if (supported->entries[i].function >> 8 != 0x400000)
			table.entries[table.head.nent++] = supported->entries[i];
	sys_call_must(t->sys, t->sys->fd, KVM_GET_SUPPORTED_HV_CPUID, (uintptr_t)&hv, "KVM_GET_SUPPORTED_HV_CPUID");
	for (i = 0; i < hv.head.nent; i++) {
		struct kvm_cpuid_entry2 *entry = &table.entries[table.head.nent];

		*entry = hv.entries[i];
		if (with == HV_ENFORCED_NOTHING && entry->function >= 0x40000003)
			entry->eax = entry->ebx = entry->ecx = entry->edx = 0;
		table.head.nent += with != HV_NO_LEAVES;
	}
	vcpu_ioctl(vcpu, KVM_SET_CPUID2, &table.head);
}

static inline void hv_cap_enable(struct vcpu *vcpu, uint32_t cap)
{
	struct kvm_enable_cap enable = { .cap = cap, .args[0] = cap == KVM_CAP_HYPERV_ENFORCE_CPUID };

	vcpu_ioctl(vcpu, KVM_ENABLE_CAP, &enable);
}

/* Every vCPU: @synic is the capability that turns its interrupt controller on, 0: off. */
static inline void hv_vcpus_set(struct test *t, enum hv_with with, uint32_t synic)
{
	unsigned int i;

	for (i = 0; i < t->vm->nr_vcpus; i++) {
		if (synic)
			hv_cap_enable(t->vm->vcpus[i], synic);
		hv_leaves_set(t, t->vm->vcpus[i], with);
		if (with == HV_ENFORCED_NOTHING)
			hv_cap_enable(t->vm->vcpus[i], KVM_CAP_HYPERV_ENFORCE_CPUID);
	}
}

static inline void hv_host_os_id(struct test *t)
{
	expect_result(t, 1, msr_set_try(t->vcpu, HV_GUEST_OS_ID, HV_OS_ID));
}

static inline void hv_host_answer(struct test *t)
{
	t->vcpu->run->hyperv.u.hcall.result = HV_ANSWER;
}

/* --- the guest's half --- */

/*
 * A hypercall in the words of the mode: TLFS, 3.7. By Intel's instruction, which KVM cures. @input and @output are
 * guest-physical addresses or, of a fast one, the first two words of the input.
 */
static inline uint64_t hypercall(uint64_t control, uint64_t input, uint64_t output)
{
	uint64_t result = 0;

#ifdef __x86_64__
	register uint64_t r8 __asm__("r8") = output;

	__asm__ volatile("vmcall" : "=a"(result), "+c"(control), "+d"(input), "+r"(r8) : : "memory");
#else
	uint32_t low, high;

	__asm__ volatile("vmcall" : "=a"(low), "=d"(high)
			 : "a"((uint32_t)control), "d"((uint32_t)(control >> 32)), "b"((uint32_t)(input >> 32)),
			   "c"((uint32_t)input), "D"((uint32_t)(output >> 32)), "S"((uint32_t)output) : "memory");
	result = low | (uint64_t)high << 32;
#endif
	return result;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Hyper-V's interface for guests whose CPUID has its leaves: MSRs, hypercalls, and a synthetic interrupt controller with
 * four timers, which user space turns on. Numbers are of the Hyper-V Top-Level Functional Specification (TLFS): 3
 * (hypercalls), 11 and 12 (interrupts, timers), appendices A to C; KVM API, 4.112, 4.118, KVM_EXIT_HYPERV.
 */
#ifndef VMASSAY_SOFT_HYPERV_H
#define VMASSAY_SOFT_HYPERV_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

struct soft_vcpu;
struct soft_vm;
struct soft_hyperv_event;

#define HYPERV_NR_SINTS 16
#define HYPERV_NR_TIMERS 4
#define HYPERV_NR_CRASH_PARAMETERS 5

/* A VM's. */
struct soft_hyperv {
	uint64_t os_id, hypercall;
	uint64_t reference_tsc;			/* the page of the clock by the TSC */
	uint64_t tsc_scale, tsc_offset;		/* what it says; 0: it is no use */
	uint64_t crash[HYPERV_NR_CRASH_PARAMETERS], crash_ctl;
	uint64_t reenlightenment, tsc_emulation, tsc_emulation_status;
	struct { uint64_t control, status, send, receive, pending, options; } debug;
	struct soft_hyperv_event *events;	/* KVM_HYPERV_EVENTFD */
};

struct soft_hyperv_timer {
	uint64_t config, count;
	uint64_t expires;	/* reference time; 0: has not begun */
	bool is_armed;
	bool is_waiting;	/* its message has no place yet */
};

struct soft_hyperv_vcpu {
	bool is_there;		/* CPUID has the leaves */
	bool enforces_cpuid;	/* KVM_CAP_HYPERV_ENFORCE_CPUID */
	bool has_synic, keeps_pages;	/* KVM_CAP_HYPERV_SYNIC(2) */
	bool has_timers;	/* one is armed, or was */
	uint32_t exit_msr;	/* whose write user space must hear of; 0: none */
	uint64_t vp_index, runtime_offset, assist_page;
	uint64_t control, version, events_page, messages_page;
	uint64_t sints[HYPERV_NR_SINTS];
	struct soft_hyperv_timer timers[HYPERV_NR_TIMERS];
};

/* --- CPUID (hyperv.c) --- */

#define HYPERV_MAX_LEAVES 12
/* Fills @entries, which have room; returns how many. */
unsigned int hyperv_leaves(struct kvm_cpuid_entry2 *entries);
void hyperv_cpuid_changed(struct soft_vcpu *vcpu);
bool hyperv_has(const struct soft_vcpu *vcpu, uint32_t leaf, unsigned int reg, unsigned int bit);
bool hyperv_has_debugger(const struct soft_vcpu *vcpu);

/* --- life, MSRs (hyperv.c) --- */

void hyperv_vcpu_init(struct soft_vcpu *vcpu);
void hyperv_free(struct soft_vm *vm);
/* 0 or -EINVAL. */
int hyperv_enable_cap(struct soft_vcpu *vcpu, const struct kvm_enable_cap *cap);
/* 1: done, 0: not one of theirs, -EINVAL. */
int hyperv_msr_get(struct soft_vcpu *vcpu, uint32_t index, uint64_t *ret_value, bool is_host);
int hyperv_msr_set(struct soft_vcpu *vcpu, uint32_t index, uint64_t value, bool is_host);
/* True: the MSR that was written leaves for user space; kvm_run says so. */
bool hyperv_exit_take(struct soft_vcpu *vcpu);

/* --- time (hyperv_clock.c) --- */

/* Reference time: 100 ns since the VM began. */
uint64_t hyperv_time(struct soft_vcpu *vcpu);
/* The page of the clock, as soon as a VM's clock or TSC changes. */
void hyperv_clock_changed(struct soft_vcpu *vcpu);
void hyperv_timer_config_set(struct soft_vcpu *vcpu, unsigned int i, uint64_t value);
void hyperv_timer_count_set(struct soft_vcpu *vcpu, unsigned int i, uint64_t value);
/* Makes what is due. */
void hyperv_timers_advance(struct soft_vcpu *vcpu);
/* Until the first timer is due; ~0: none runs. */
uint64_t hyperv_timers_wait_ns(struct soft_vcpu *vcpu);
/* The guest has taken a message. */
void hyperv_message_taken(struct soft_vcpu *vcpu);

/* --- the synthetic interrupt controller (hyperv.c) --- */

/* -EINVAL: there is none, -ENOENT: it is masked; else how many took it. */
int hyperv_sint_raise(struct soft_vcpu *vcpu, uint32_t sint);
/* By virtual processor index; NULL: there is none. */
struct soft_vcpu *hyperv_vp(struct soft_vm *vm, uint64_t vp_index);
/* The vector's interrupt ends with its delivery. */
bool hyperv_ends_by_itself(const struct soft_vcpu *vcpu, uint8_t vector);

/* --- hypercalls (hyperv_hypercall.c) --- */

/* VMMCALL is Hyper-V's: the guest has said what it is. */
bool hyperv_has_hypercalls(const struct soft_vcpu *vcpu);
int handle_hyperv_hypercall(struct soft_vcpu *vcpu);
void hyperv_events_free(struct soft_vm *vm);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What guests of KVM know of it: the clock, stolen time, the end of interrupt in memory and polling, by MSRs
 * (Documentation/virt/kvm/x86/msr.rst) and the features of CPUID leaf 40000001h.
 */
#ifndef VMASSAY_SOFT_PARAVIRT_H
#define VMASSAY_SOFT_PARAVIRT_H

#include <stdbool.h>
#include <stdint.h>

struct soft_vcpu;

struct soft_paravirt {
	uint64_t time;			/* MSR_KVM_SYSTEM_TIME(_NEW) */
	bool is_time_old;		/* the guest's clock has new values to get */
	bool was_stopped;		/* KVM_KVMCLOCK_CTRL: to be told with them */
	uint64_t steal_time;		/* MSR_KVM_STEAL_TIME */
	uint64_t stolen_ns;		/* not told yet */
	bool is_steal_old;		/* KVM_RUN was entered since it was told */
	uint64_t async_pf, async_pf_vector;	/* MSR_KVM_ASYNC_PF_EN, _INT */
	uint64_t eoi;			/* MSR_KVM_PV_EOI_EN */
	bool is_eoi_offered;		/* the guest may end its interrupt in memory */
	uint64_t poll_control;		/* MSR_KVM_POLL_CONTROL */
	bool is_kicked;			/* KVM_HC_KICK_CPU: the HLT it is in, or the next one, ends */
};

/* EAX of leaf 40000001h. */
uint32_t paravirt_features(void);
/* KVM_FEATURE_*: what KVM_CAP_ENFORCE_PV_FEATURE_CPUID leaves. */
bool paravirt_has(const struct soft_vcpu *vcpu, unsigned int feature);
void paravirt_reset(struct soft_vcpu *vcpu);
/* 1: done, 0: not one of theirs, -EINVAL. */
int paravirt_msr_get(const struct soft_vcpu *vcpu, uint32_t index, uint64_t *ret_value);
int paravirt_msr_set(struct soft_vcpu *vcpu, uint32_t index, uint64_t value);
/* At the door of KVM_RUN, and around the guest. */
void paravirt_load(struct soft_vcpu *vcpu);
void paravirt_enter(struct soft_vcpu *vcpu);
void paravirt_leave(struct soft_vcpu *vcpu);
/* The clock's structure at @gpa, as msr.rst has it. */
void paravirt_clock_write(struct soft_vcpu *vcpu, uint64_t gpa);
/* The clock was set. */
void paravirt_clock_changed(struct soft_vcpu *vcpu);

#endif

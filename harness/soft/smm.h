/* SPDX-License-Identifier: MIT */
/*
 * System management mode: what an SMI interrupts is saved at SMBASE + FE00h, and RSM brings it back. A vCPU in it uses
 * the slots of the second address space. APM vol. 2, chapter 10; KVM API, 4.105 (KVM_SMI).
 */
#ifndef VMASSAY_SOFT_SMM_H
#define VMASSAY_SOFT_SMM_H

#include <stdbool.h>
#include <stdint.h>

struct soft_vcpu;

#define MSR_SMI_COUNT 0x34
#define MSR_IA32_SMBASE 0x9e
#define SMBASE_RESET 0x30000

struct soft_smm {
	bool is_in;
	bool is_pending;	/* one SMI: those that come meanwhile are the same */
	bool is_inside_nmi;	/* NMIs were masked already when it came */
};

/* Out of it, without RSM. */
void smm_reset(struct soft_vcpu *vcpu);
/* In or out, as KVM_SET_VCPU_EVENTS has it: only the address space changes. */
void smm_switch(struct soft_vcpu *vcpu, bool is_in);
/* One is pending, and nothing holds it back. */
bool smm_accepts_smi(const struct soft_vcpu *vcpu);
void smm_enter(struct soft_vcpu *vcpu);
/* RSM. */
void smm_leave(struct soft_vcpu *vcpu);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Nested SVM: a guest (L1) that is a hypervisor itself and runs a guest of its own (L2). There are three VMCBs. vmcb01 is
 * L1's, as that of each vCPU; vmcb12 is in L1's memory, what L1 made for L2; vmcb02 is what L2 runs on, vmcb12 with what
 * this hypervisor (L0) wants added. The one in use is vcpu->vmcb, so what works on a guest works on L2.
 *
 * vmcb12 is read once, by VMRUN: what L1 writes there later is for the next. While L2 runs, vmcb01 has L1's state as on
 * hardware the host save area has it.
 *
 * Source: APM vol. 2, chapter 15.
 */
#ifndef VMASSAY_SOFT_NESTED_H
#define VMASSAY_SOFT_NESTED_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/svm_rules.h"
#include "soft/npt.h"
#include "vm/x86/vmcb.h"

struct soft_vcpu;

struct soft_nested {
	bool is_guest;			/* L2 runs, or would if the vCPU did */
	bool is_run_pending;		/* VMRUN was executed, and L2 not entered yet */
	bool has_gif;			/* the vCPU's; L2's virtual one is in vmcb02 */
	uint64_t vmcb12_gpa;		/* while is_guest */
	struct vmcb_control control;	/* vmcb12's, as VMRUN read it, and what of it the CPU writes since then */
	struct vmcb *vmcb01, *vmcb02;
	uint64_t vmcb01_spa, vmcb02_spa;
	uint32_t l1_asid;		/* the vCPU's, for vmcb01, and the generations of it */
	uint64_t l1_asid_generation, l1_npt_generation;
	struct soft_npt npt;		/* vmcb12's nested tables on the VM's: L2's physical addresses to the machine's */
	uint64_t vm_generation;		/* of the VM's tables that it was made from */
	uint64_t vm_cr, hsave_pa;	/* VM_CR, VM_HSAVE_PA: whose page has L1 while an SMI of L2 is handled; else vmcb01 has it */
	bool is_unchecked;		/* user space or RSM made this state, and what it points to was not looked at */
	struct svm_rule_cpu rules;	/* what the vCPU's CPUID says; by nested_cpuid_changed() */
};

/* -ENOMEM. The vCPU's VMCB is there; what was taken is the VM's, there is nothing to free. */
int nested_init(struct soft_vcpu *vcpu);
/* Out of L2 without a #VMEXIT, as by RESET and INIT. L1's state is what vmcb01 has. */
void nested_reset(struct soft_vcpu *vcpu);
void nested_cpuid_changed(struct soft_vcpu *vcpu);

/* --- entry and exit (nested.c) --- */

/*
 * VMRUN, behind its checks as an instruction: L2 is next, or L1 behind a #VMEXIT of VMEXIT_INVALID. As
 * vcpu_handle_exit().
 */
int nested_vmrun(struct soft_vcpu *vcpu, uint64_t vmcb12_gpa);
/* L2 from vmcb12's control area in .control; its registers are in vmcb02. */
void nested_enter(struct soft_vcpu *vcpu, uint64_t vmcb12_gpa);
/* The #VMEXIT of vmcb02 as the CPU gave it becomes L1's. */
void nested_reflect(struct soft_vcpu *vcpu);
/* A #VMEXIT that the CPU does not know of: what was to be injected into L2 is EXITINTINFO. */
void nested_exit(struct soft_vcpu *vcpu, uint64_t code, uint64_t info_1, uint64_t info_2);
/* What #VMEXIT writes into vmcb12, where there is a page for it, and no more: L2 goes on. */
void nested_vmcb12_update(struct soft_vcpu *vcpu);
/* L2 was in, and is out again: what the CPU has written is noted. */
void nested_sync(struct soft_vcpu *vcpu);
/* The MSR permission map can be read, or nobody would. */
bool nested_has_msrpm(struct soft_vcpu *vcpu, const struct vmcb_control *control);
/* What of a vmcb12's control area counts. */
void nested_cache_control(struct soft_nested *nested, const struct vmcb_control *control12);
/* What VMRUN loads and #VMEXIT saves; what VMLOAD loads and VMSAVE saves. */
void nested_copy_vmrun_state(struct vmcb_save *to, const struct vmcb_save *from);
void nested_copy_vmload_state(struct vmcb_save *to, const struct vmcb_save *from);

/* True when L1 intercepts what exits with @code. */
bool nested_intercepts(const struct soft_vcpu *vcpu, unsigned int code);
/* L2's CR8 is its own: V_TPR. L1's is the vCPU's then, and so is the mask of its interrupts. */
bool nested_has_own_tpr(const struct soft_vcpu *vcpu);
/* What L2's TSC is ahead of L1's. */
uint64_t nested_tsc_offset(const struct soft_vcpu *vcpu);
bool nested_has_npt(const struct soft_vcpu *vcpu);

/* False: what KVM_SET_NESTED_STATE or RSM pointed to is not what L2 can run with, which is the exit (nested_state.c). */
bool nested_state_is_runnable(struct soft_vcpu *vcpu);

/* --- events (nested_events.c) --- */

/* What L2 must not get, because L1 intercepts it, ends L2. Nothing else is between this and the entry. */
void nested_check_events(struct soft_vcpu *vcpu);
/* The event that VMRUN injects, into vmcb02. */
void nested_inject(struct soft_vcpu *vcpu);
/* SHUTDOWN of L2 that L1 intercepts: true when that was it. */
bool nested_shutdown(struct soft_vcpu *vcpu);
/* True when INIT waits: GIF is clear, or L1 hears of it by a #VMEXIT first. */
bool nested_holds_init(struct soft_vcpu *vcpu);

/* --- exits (nested_exits.c) --- */

/* True when vmcb02's exit is L1's; nested_handle_exit(): and is done. */
bool nested_wants_exit(struct soft_vcpu *vcpu);
bool nested_handle_exit(struct soft_vcpu *vcpu);
/* SVM's instructions, as vcpu_handle_exit(). */
int handle_vmrun(struct soft_vcpu *vcpu);
int handle_vmload(struct soft_vcpu *vcpu);
int handle_vmsave(struct soft_vcpu *vcpu);
int handle_stgi(struct soft_vcpu *vcpu);
int handle_clgi(struct soft_vcpu *vcpu);
int handle_invlpga(struct soft_vcpu *vcpu);

/* --- nested nested paging (nested_npt.c) --- */

/*
 * Where @gpa of L2 is in L1's physical memory, by vmcb12's nested tables: their A and D bits are set as by an access of
 * @error's kind. False: L1's tables do not allow it, and *@ret_error is the nested page fault's for L1.
 */
bool nested_translate(struct soft_vcpu *vcpu, uint64_t gpa, uint64_t error, uint64_t *ret_gpa, unsigned int *ret_rights,
	uint64_t *ret_error);
/* Before L2 is entered: forgets what the VM's own tables no longer have. */
void nested_npt_refresh(struct soft_vcpu *vcpu);

#endif

/* SPDX-License-Identifier: MIT */
/* A vCPU's VMCB: APM vol. 2, 15.5 and appendix B. */
#include "soft/private.h"

#include <asm/svm.h>
#include <string.h>

#include "vm/x86/bits.h"

/*
 * Exits that the hypervisor wants in every guest. CR0 and CR3 are the CPU's to check; which bits of CR4 may be set is
 * for the guest's CPUID to say, and CR8 is user space's interrupt controller's.
 */
static const uint16_t intercepts[] = {
	SVM_EXIT_WRITE_CR4, SVM_EXIT_WRITE_CR8, SVM_EXIT_INTR, SVM_EXIT_NMI, SVM_EXIT_SMI, SVM_EXIT_CPUID,
	SVM_EXIT_RSM, SVM_EXIT_RDPMC, SVM_EXIT_INVD, SVM_EXIT_INVLPGA, SVM_EXIT_HLT, SVM_EXIT_IOIO, SVM_EXIT_MSR,
	SVM_EXIT_SHUTDOWN, SVM_EXIT_VMRUN, SVM_EXIT_VMMCALL, SVM_EXIT_VMLOAD, SVM_EXIT_VMSAVE, SVM_EXIT_STGI,
	SVM_EXIT_CLGI, SVM_EXIT_SKINIT, SVM_EXIT_WBINVD, SVM_EXIT_MONITOR, SVM_EXIT_MWAIT, SVM_EXIT_XSETBV,
	SVM_EXIT_EXCP_BASE + VECTOR_UD,
};

void vcpu_intercepts_changed(struct soft_vcpu *vcpu)
{
	const uint32_t vmmcall = 1u << SVM_EXIT_VMMCALL % 32;
	uint32_t *intercept = vcpu->vmcb->control.intercept;
	unsigned int i;

	memcpy(intercept, vcpu->intercept, sizeof(vcpu->intercept));
	if (!vcpu->nested.is_guest)
		return;
	/* A hypercall is one to L1, or none. */
	intercept[SVM_EXIT_VMMCALL / 32] &= ~vmmcall;
	for (i = 0; i < NR_INTERCEPT_WORDS; i++)
		intercept[i] |= vcpu->nested.control.intercept[i];
}

bool vcpu_wants(const struct soft_vcpu *vcpu, unsigned int exit_code)
{
	return vcpu->intercept[exit_code / 32] >> exit_code % 32 & 1;
}

void vcpu_intercept(struct soft_vcpu *vcpu, unsigned int exit_code, bool is_on)
{
	if (vcpu_wants(vcpu, exit_code) == is_on)
		return;
	vcpu->intercept[exit_code / 32] ^= 1u << exit_code % 32;
	vcpu_intercepts_changed(vcpu);
}

struct soft_npt *vcpu_npt(struct soft_vcpu *vcpu)
{
	return nested_has_npt(vcpu) ? &vcpu->nested.npt : &vcpu_space(vcpu)->npt;
}

/* What the guest's CPUID has not is #UD, though the CPU has it. */
void recalc_instruction_intercepts(struct soft_vcpu *vcpu)
{
	vcpu_intercept(vcpu, SVM_EXIT_RDTSCP, !vcpu_has(vcpu, 0x80000001, 3, 27));
	vcpu_intercept(vcpu, SVM_EXIT_INVPCID, !vcpu_has(vcpu, 7, 1, 10));
}

static void init_segments(struct vmcb_save *save)
{
	const uint16_t data = SEG_P | SEG_S | SEG_TYPE_WRITABLE | SEG_TYPE_ACCESSED;

	save->es = (struct vmcb_seg) { 0, data, 0xffff, 0 };
	save->ss = save->ds = save->fs = save->gs = save->es;
	save->cs = (struct vmcb_seg) { 0xf000, data | SEG_TYPE_CODE, 0xffff, 0xffff0000 };
	save->gdtr.limit = save->idtr.limit = 0xffff;
	save->ldtr = (struct vmcb_seg) { 0, SEG_P | 2, 0xffff, 0 };
	save->tr = (struct vmcb_seg) { 0, SEG_P | 3, 0xffff, 0 };
}

/* What INIT leaves: APM vol. 2, table 14-1. */
static void msrs_keep(struct vmcb_save *save, const struct vmcb_save *before)
{
	save->star = before->star;
	save->lstar = before->lstar;
	save->cstar = before->cstar;
	save->sfmask = before->sfmask;
	save->kernel_gs_base = before->kernel_gs_base;
	save->sysenter_cs = before->sysenter_cs;
	save->sysenter_esp = before->sysenter_esp;
	save->sysenter_eip = before->sysenter_eip;
	save->g_pat = before->g_pat;
	save->cr0 = X86_CR0_ET | (before->cr0 & (X86_CR0_CD | X86_CR0_NW));
}

void init_vmcb(struct soft_vcpu *vcpu, bool is_init)
{
	const struct vmcb_save before = vcpu->vmcb->save;
	struct vmcb *vmcb = vcpu->vmcb;
	size_t i;

	memset(vmcb, 0, sizeof(*vmcb));
	memset(vcpu->intercept, 0, sizeof(vcpu->intercept));
	for (i = 0; i < sizeof(intercepts) / sizeof(intercepts[0]); i++)
		vcpu->intercept[intercepts[i] / 32] |= 1u << intercepts[i] % 32;
	vcpu_intercepts_changed(vcpu);
	recalc_instruction_intercepts(vcpu);
	vcpu->has_window = false;
	vmcb->control.iopm_base_pa = vcpu->vm->iopm_spa;
	vmcb->control.msrpm_base_pa = vcpu->vm->msrpm_spa;
	vmcb->control.int_ctl = V_INTR_MASKING;
	vmcb->control.nested_ctl = NP_ENABLE;
	vmcb->control.nested_cr3 = vcpu_space(vcpu)->npt.root_spa;
	init_segments(&vmcb->save);
	efer_write(vcpu, 0);
	vmcb->save.cr0 = X86_CR0_CD | X86_CR0_NW | X86_CR0_ET;
	vmcb->save.dr6 = 0xffff0ff0;
	vmcb->save.dr7 = 0x400;
	vmcb->save.rflags = X86_EFLAGS_FIXED;
	vmcb->save.rip = 0xfff0;
	vmcb->save.g_pat = 0x0007040600070406;
	if (is_init)
		msrs_keep(&vmcb->save, &before);
	vcpu->asid_generation = 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * VMRUN and #VMEXIT of a guest hypervisor: APM vol. 2, 15.5 and 15.6, with vmcb02 between vmcb12 and the CPU.
 *
 * The permission maps need no merging. L0's intercept all MSRs and ports, L2's accesses among them, and L1's maps are
 * looked at when such an exit comes (nested_exits.c), as the CPU would.
 */
#include "soft/nested.h"

#include <asm/svm.h>
#include <errno.h>
#include <string.h>

#include "soft/private.h"
#include "vm/x86/bits.h"

#define PAGE_MASK 0xfffull
#define DR6_BS (1ull << 14)
#define DR7_FIXED 0x400ull
#define INT_CTL_OF_L1 (V_IRQ | V_PRIORITY(0xf) | V_IGN_TPR)
#define CPUID_SVM 0x8000000a
#define CPUID_SVM_VGIF 16
#define INT_CTL_VGIF (V_GIF | V_GIF_ENABLE)

static uint32_t cpuid_register(const void *context, uint32_t leaf, uint32_t subleaf, unsigned int reg)
{
	const struct kvm_cpuid_entry2 *entry = vcpu_cpuid(context, leaf, subleaf);
	uint32_t regs[4] = { 0 };

	if (entry)
		memcpy(regs, &entry->eax, sizeof(regs));
	return regs[reg];
}

void nested_cpuid_changed(struct soft_vcpu *vcpu)
{
	svm_rule_cpu_init(&vcpu->nested.rules, cpuid_register, vcpu);
	vcpu->nested.rules.phys_bits = vcpu_physical_bits(vcpu);
}

int nested_init(struct soft_vcpu *vcpu)
{
	struct soft_nested *nested = &vcpu->nested;

	nested->has_gif = true;
	nested->vmcb01 = vcpu->vmcb;
	nested->vmcb01_spa = vcpu->vmcb_spa;
	nested->vmcb02 = pages_get(vcpu->vm, 1, &nested->vmcb02_spa);
	nested_cpuid_changed(vcpu);
	return nested->vmcb02 ? npt_init(&nested->npt, vcpu->vm) : -ENOMEM;
}

bool nested_intercepts(const struct soft_vcpu *vcpu, unsigned int code)
{
	return vcpu->nested.is_guest && (vcpu->nested.control.intercept[code / 32] >> code % 32 & 1);
}

bool nested_has_own_tpr(const struct soft_vcpu *vcpu)
{
	return vcpu->nested.is_guest && (vcpu->nested.control.int_ctl & V_INTR_MASKING);
}

uint64_t nested_tsc_offset(const struct soft_vcpu *vcpu)
{
	return vcpu->nested.is_guest ? vcpu->nested.control.tsc_offset : 0;
}

bool nested_has_npt(const struct soft_vcpu *vcpu)
{
	return vcpu->nested.is_guest && (vcpu->nested.control.nested_ctl & NP_ENABLE);
}

/* --- which VMCB --- */

static void vmcb02_switch_to(struct soft_vcpu *vcpu)
{
	struct soft_nested *nested = &vcpu->nested;

	nested->l1_asid = vcpu->asid;
	nested->l1_asid_generation = vcpu->asid_generation;
	nested->l1_npt_generation = vcpu->npt_generation;
	if (nested->control.tlb_control == TLB_FLUSH_ALL)
		nested->l1_asid_generation = 0;
	vcpu->asid_generation = 0;
	vcpu->vmcb = nested->vmcb02;
	vcpu->vmcb_spa = nested->vmcb02_spa;
	nested->is_guest = true;
}

static void vmcb01_switch_to(struct soft_vcpu *vcpu)
{
	struct soft_nested *nested = &vcpu->nested;

	vcpu->asid = nested->l1_asid;
	vcpu->asid_generation = nested->l1_asid_generation;
	vcpu->npt_generation = nested->l1_npt_generation;
	vcpu->vmcb = nested->vmcb01;
	vcpu->vmcb_spa = nested->vmcb01_spa;
	nested->is_guest = nested->is_run_pending = nested->is_unchecked = false;
	vcpu_intercepts_changed(vcpu);
}

void nested_reset(struct soft_vcpu *vcpu)
{
	vcpu->nested.has_gif = true;
	vcpu_window_close(vcpu);
	if (vcpu->nested.is_guest)
		vmcb01_switch_to(vcpu);
}

/* --- state that is moved --- */

void nested_copy_vmload_state(struct vmcb_save *to, const struct vmcb_save *from)
{
	to->fs = from->fs;
	to->gs = from->gs;
	to->tr = from->tr;
	to->ldtr = from->ldtr;
	to->kernel_gs_base = from->kernel_gs_base;
	to->star = from->star;
	to->lstar = from->lstar;
	to->cstar = from->cstar;
	to->sfmask = from->sfmask;
	to->sysenter_cs = from->sysenter_cs;
	to->sysenter_esp = from->sysenter_esp;
	to->sysenter_eip = from->sysenter_eip;
}

void nested_copy_vmrun_state(struct vmcb_save *to, const struct vmcb_save *from)
{
	to->es = from->es;
	to->cs = from->cs;
	to->ss = from->ss;
	to->ds = from->ds;
	to->gdtr = from->gdtr;
	to->idtr = from->idtr;
	to->cpl = from->cpl;
	to->efer = from->efer;
	to->cr0 = from->cr0;
	to->cr2 = from->cr2;
	to->cr3 = from->cr3;
	to->cr4 = from->cr4;
	to->dr6 = from->dr6;
	to->dr7 = from->dr7;
	to->rflags = from->rflags;
	to->rip = from->rip;
	to->rsp = from->rsp;
	to->rax = from->rax;
}

/* LMA is not vmcb12's to say. */
static uint64_t efer_of_l2(const struct vmcb_save *save)
{
	bool is_long = (save->efer & EFER_LME) && (save->cr0 & X86_CR0_PG);

	return is_long ? save->efer | EFER_LMA : save->efer & ~EFER_LMA;
}

/* Without nested paging L2's memory types are by L1's PAT: APM vol. 2, 15.25.2. */
static void save_prepare(struct soft_vcpu *vcpu, const struct vmcb_save *save12)
{
	const struct vmcb_save *save01 = &vcpu->nested.vmcb01->save;
	struct vmcb_save *save = &vcpu->nested.vmcb02->save;

	nested_copy_vmrun_state(save, save12);
	nested_copy_vmload_state(save, save01);
	save->efer = efer_of_l2(save12);
	save->rflags |= X86_EFLAGS_FIXED;
	save->g_pat = vcpu->nested.control.nested_ctl & NP_ENABLE ? save12->g_pat : save01->g_pat;
	vcpu->regs[REG_RAX] = save12->rax;
	vcpu->regs[REG_RSP] = save12->rsp;
}

/* --- entry --- */

void nested_cache_control(struct soft_nested *nested, const struct vmcb_control *control12)
{
	nested->control = (struct vmcb_control) {
		.pause_filter_threshold = control12->pause_filter_threshold,
		.pause_filter_count = control12->pause_filter_count,
		.iopm_base_pa = control12->iopm_base_pa & ~PAGE_MASK,
		.msrpm_base_pa = control12->msrpm_base_pa & ~PAGE_MASK,
		.tsc_offset = control12->tsc_offset, .asid = control12->asid, .tlb_control = control12->tlb_control,
		.int_ctl = control12->int_ctl, .int_vector = control12->int_vector, .int_state = control12->int_state,
		.exit_code = control12->exit_code, .exit_info_1 = control12->exit_info_1,
		.exit_info_2 = control12->exit_info_2, .exit_int_info = control12->exit_int_info,
		.exit_int_info_error = control12->exit_int_info_error, .nested_ctl = control12->nested_ctl,
		.event_inj = control12->event_inj, .event_inj_error = control12->event_inj_error,
		.nested_cr3 = control12->nested_cr3, .virt_ext = control12->virt_ext, .next_rip = control12->next_rip,
	};
	memcpy(nested->control.intercept, control12->intercept, sizeof(control12->intercept));
}

/* L1 enabled it, and its CPUID has it (APM vol. 2, 15.33). */
static bool has_vgif(const struct soft_vcpu *vcpu)
{
	return (vcpu->nested.control.int_ctl & V_GIF_ENABLE) && vcpu_has(vcpu, CPUID_SVM, 3, CPUID_SVM_VGIF);
}

static uint32_t int_ctl_merge(const struct soft_vcpu *vcpu)
{
	const struct vmcb_control *control01 = &vcpu->nested.vmcb01->control, *control12 = &vcpu->nested.control;
	uint32_t bits = INT_CTL_OF_L1;

	if (has_vgif(vcpu))
		bits |= INT_CTL_VGIF;
	return (control12->int_ctl & bits) | (control01->int_ctl & V_INTR_MASKING);
}

/* L0's part is vmcb01's; L1's intercepts come by vcpu_intercepts_changed(). */
static void control_prepare(struct soft_vcpu *vcpu)
{
	struct soft_nested *nested = &vcpu->nested;
	const struct vmcb_control *control01 = &nested->vmcb01->control, *control12 = &nested->control;

	nested->vmcb02->control = (struct vmcb_control) {
		.iopm_base_pa = control01->iopm_base_pa, .msrpm_base_pa = control01->msrpm_base_pa,
		.nested_ctl = NP_ENABLE,
		.nested_cr3 = control12->nested_ctl & NP_ENABLE ? nested->npt.root_spa : control01->nested_cr3,
		.int_ctl = int_ctl_merge(vcpu), .int_vector = control12->int_vector,
		.int_state = control12->int_state & INT_STATE_SHADOW,
	};
}

void nested_enter(struct soft_vcpu *vcpu, uint64_t vmcb12_gpa)
{
	vcpu_window_close(vcpu);
	vcpu->nested.vmcb12_gpa = vmcb12_gpa;
	control_prepare(vcpu);
	npt_zap(&vcpu->nested.npt);
	vmcb02_switch_to(vcpu);
	vcpu_intercepts_changed(vcpu);
}

bool nested_has_msrpm(struct soft_vcpu *vcpu, const struct vmcb_control *control)
{
	uint64_t gpa = control->msrpm_base_pa & ~PAGE_MASK;

	if (!(control->intercept[SVM_EXIT_MSR / 32] >> SVM_EXIT_MSR % 32 & 1))
		return true;
	return slot_page(vcpu_space(vcpu), gpa, false) && slot_page(vcpu_space(vcpu), gpa + VMCB_BYTES, false);
}

static bool is_legal(struct soft_vcpu *vcpu, const struct vmcb *vmcb12)
{
	struct svm_rule_cpu *rules = &vcpu->nested.rules;
	bool is_pae = (vmcb12->save.cr0 & X86_CR0_PG) && (vmcb12->save.cr4 & X86_CR4_PAE) && !(vmcb12->save.efer & EFER_LME);

	memset(rules->pdpte, 0, sizeof(rules->pdpte));
	if (is_pae && !(vmcb12->control.nested_ctl & NP_ENABLE) &&
	    guest_read(vcpu_space(vcpu), vmcb12->save.cr3 & 0xffffffe0, rules->pdpte, sizeof(rules->pdpte)))
		return false;
	return !svm_rule_broken(vmcb12, rules, 0) && nested_has_msrpm(vcpu, &vmcb12->control);
}

static void refuse(struct soft_vcpu *vcpu, struct vmcb *vmcb12)
{
	vmcb12->control.exit_code = (uint64_t)(int64_t)SVM_EXIT_ERR;
	vmcb12->control.exit_info_1 = vmcb12->control.exit_info_2 = 0;
	vmcb12->control.exit_int_info = vmcb12->control.exit_int_info_error = 0;
	vmcb12->control.event_inj &= ~EVENT_VALID;
	vcpu->vmcb->save.dr7 = DR7_FIXED;
	vcpu->nested.has_gif = false;
}

/* VMRUN is single-stepped when it is over: behind the #VMEXIT. */
static void host_step(struct soft_vcpu *vcpu)
{
	if (!(vcpu->vmcb->save.rflags & X86_EFLAGS_TF))
		return;
	vcpu->vmcb->save.dr6 |= DR6_BS;
	vcpu_queue_exception(vcpu, VECTOR_DB, false, 0);
}

int nested_vmrun(struct soft_vcpu *vcpu, uint64_t vmcb12_gpa)
{
	struct vmcb *page = slot_page(vcpu_space(vcpu), vmcb12_gpa, true), vmcb12;
	struct vmcb_save *save01 = &vcpu->vmcb->save;
	int r;

	if (!page || !vcpu->nested.hsave_pa) {
		vcpu_queue_exception(vcpu, VECTOR_GP, true, 0);
		return 1;
	}
	save01->rip = vcpu->vmcb->control.next_rip;
	vcpu->vmcb->control.int_state &= ~INT_STATE_SHADOW;
	r = save01->rflags & X86_EFLAGS_TF ? 1 : debug_step(vcpu);
	vmcb12 = *page;
	if (!is_legal(vcpu, &vmcb12)) {
		refuse(vcpu, page);
		host_step(vcpu);
		return r;
	}
	save01->rax = vcpu->regs[REG_RAX];
	save01->rsp = vcpu->regs[REG_RSP];
	nested_cache_control(&vcpu->nested, &vmcb12.control);
	save_prepare(vcpu, &vmcb12.save);
	nested_enter(vcpu, vmcb12_gpa);
	vcpu->nested.has_gif = vcpu->nested.is_run_pending = true;
	return r;
}

/* --- exit --- */

void nested_sync(struct soft_vcpu *vcpu)
{
	struct vmcb_control *control12 = &vcpu->nested.control;
	const struct vmcb_control *control02 = &vcpu->nested.vmcb02->control;
	uint32_t bits = vcpu->has_window ? 0 : V_IRQ;

	if (has_vgif(vcpu))
		bits |= V_GIF;
	if (nested_has_own_tpr(vcpu))
		bits |= V_TPR_BITS;
	control12->int_ctl = (control12->int_ctl & ~bits) | (control02->int_ctl & bits);
	control12->int_state = control02->int_state;
	control12->event_inj &= ~EVENT_VALID;
	vcpu->nested.is_run_pending = false;
}

static void vmcb12_write(struct soft_vcpu *vcpu, struct vmcb *vmcb12)
{
	const struct vmcb *vmcb02 = vcpu->nested.vmcb02;
	const struct vmcb_control *control02 = &vmcb02->control;
	struct vmcb_control *control = &vmcb12->control;

	nested_copy_vmrun_state(&vmcb12->save, &vmcb02->save);
	vmcb12->save.rax = vcpu->regs[REG_RAX];
	vmcb12->save.rsp = vcpu->regs[REG_RSP];
	if (nested_has_npt(vcpu))
		vmcb12->save.g_pat = vmcb02->save.g_pat;
	control->exit_code = control02->exit_code;
	control->exit_info_1 = control02->exit_info_1;
	control->exit_info_2 = control02->exit_info_2;
	control->exit_int_info = control02->exit_int_info;
	control->exit_int_info_error = control02->exit_int_info_error;
	control->int_state = (control02->int_state & INT_STATE_SHADOW) |
		(vmcb02->save.rflags & X86_EFLAGS_IF ? INT_STATE_GUEST_IF : 0);
	control->int_ctl = vcpu->nested.control.int_ctl;
	control->event_inj = vcpu->nested.control.event_inj;
	control->event_inj_error = vcpu->nested.control.event_inj_error;
}

void nested_vmcb12_update(struct soft_vcpu *vcpu)
{
	struct vmcb *vmcb12 = slot_page(vcpu_space(vcpu), vcpu->nested.vmcb12_gpa, true);

	if (vmcb12)
		vmcb12_write(vcpu, vmcb12);
}

/* APM vol. 2, 15.6: CR0.PE is forced, RFLAGS.VM is not there, breakpoints are off, CPL is 0, GIF is clear. */
static void l1_restore(struct soft_vcpu *vcpu)
{
	struct vmcb_save *save = &vcpu->vmcb->save;

	save->cr0 |= X86_CR0_PE;
	save->rflags &= ~X86_EFLAGS_VM;
	save->dr7 = DR7_FIXED;
	save->cpl = 0;
	vcpu->regs[REG_RAX] = save->rax;
	vcpu->regs[REG_RSP] = save->rsp;
	vcpu->nested.has_gif = false;
	vcpu->exception = (struct soft_exception) { 0 };
	vcpu->interrupt.is_injected = vcpu->nmi.is_injected = false;
	vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
}

/* What VMRUN leaves where it is, L1 finds as L2 left it. */
static void l1_take_over(struct soft_vcpu *vcpu)
{
	const struct vmcb_save *save02 = &vcpu->nested.vmcb02->save;
	struct vmcb_save *save01 = &vcpu->nested.vmcb01->save;

	nested_copy_vmload_state(save01, save02);
	save01->cr2 = save02->cr2;
	save01->dr6 = save02->dr6;
	if (!nested_has_npt(vcpu))
		save01->g_pat = save02->g_pat;
}

/* Without the VMCB there is nobody to tell: L2 gets a fault, and the exit waits for its next cause. */
void nested_reflect(struct soft_vcpu *vcpu)
{
	struct vmcb *vmcb12 = slot_page(vcpu_space(vcpu), vcpu->nested.vmcb12_gpa, true);

	if (!vmcb12) {
		vcpu_queue_exception(vcpu, VECTOR_GP, true, 0);
		return;
	}
	vcpu_window_close(vcpu);
	vmcb12_write(vcpu, vmcb12);
	l1_take_over(vcpu);
	vmcb01_switch_to(vcpu);
	l1_restore(vcpu);
	if (!vcpu_pdpes_are_valid(vcpu))
		vcpu->has_triple_fault = true;
	host_step(vcpu);
}

static uint32_t event_of(const struct soft_vcpu *vcpu)
{
	const struct soft_exception *exception = &vcpu->exception;

	if (exception->is_injected)
		return EVENT_VALID | EVENT_EXCEPTION | exception->vector | (exception->has_error ? EVENT_HAS_ERROR : 0);
	if (vcpu->nmi.is_injected)
		return EVENT_VALID | EVENT_NMI | VECTOR_NMI;
	if (vcpu->interrupt.is_injected)
		return EVENT_VALID | (vcpu->interrupt.is_soft ? EVENT_SOFT : EVENT_INTR) | vcpu->interrupt.vector;
	return 0;
}

void nested_exit(struct soft_vcpu *vcpu, uint64_t code, uint64_t info_1, uint64_t info_2)
{
	struct vmcb_control *control = &vcpu->vmcb->control;

	control->exit_code = code;
	control->exit_info_1 = info_1;
	control->exit_info_2 = info_2;
	control->exit_int_info = event_of(vcpu);
	control->exit_int_info_error = vcpu->exception.is_injected ? vcpu->exception.error : 0;
	nested_reflect(vcpu);
}

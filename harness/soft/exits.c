/* SPDX-License-Identifier: MIT */
/* What each #VMEXIT means: exit_handlers[]. APM vol. 2, appendix C. */
#include "soft/private.h"

#include <asm/svm.h>
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "machine/svm.h"
#include "vm/x86/bits.h"

#define PAGE_MASK 0xfffull
#define PFERR_W 2u
#define NR_COUNTERS 4
#define CPUID_MONITOR (1u << 3)	/* leaf 1, ECX */

typedef int (*exit_handler)(struct soft_vcpu *vcpu);

static uint64_t *rip_of(struct soft_vcpu *vcpu)
{
	return &vcpu->vmcb->save.rip;
}

int instruction_skip(struct soft_vcpu *vcpu)
{
	*rip_of(vcpu) = vcpu->vmcb->control.next_rip;
	vcpu->vmcb->control.int_state &= ~INT_STATE_SHADOW;
	return debug_step(vcpu);
}

static int inject_gp(struct soft_vcpu *vcpu)
{
	vcpu_queue_exception(vcpu, VECTOR_GP, true, 0);
	return 1;
}

static int inject_ud(struct soft_vcpu *vcpu)
{
	vcpu_queue_exception(vcpu, VECTOR_UD, false, 0);
	return 1;
}

/* --- nested page faults --- */

/* Writable once it is written: until then the page may be one that user space shares with others. */
enum npf npf_map(struct soft_vcpu *vcpu, uint64_t *ret_gpa)
{
	struct vmcb_control *control = &vcpu->vmcb->control;
	uint64_t error = control->exit_info_1, gpa = control->exit_info_2, offset;
	unsigned int rights = NPT_WRITE | NPT_EXEC;
	bool is_write = error & PFERR_W;
	struct soft_slot *slot;

	if (nested_has_npt(vcpu) && !nested_translate(vcpu, gpa, error, &gpa, &rights, &control->exit_info_1))
		return NPF_L1;
	*ret_gpa = gpa;
	slot = slot_find(vcpu_space(vcpu), gpa);
	if (!slot)
		return NPF_MMIO;
	if (is_write && (slot->flags & KVM_MEM_READONLY))
		return NPF_MMIO;
	offset = (gpa & ~PAGE_MASK) - slot->gpa;
	if (async_pf_begin(vcpu, slot->hva + offset, gpa, is_write))
		return NPF_LATE;
	if (!user_has_page(slot->hva + offset, is_write))
		return NPF_BAD;
	if (is_write)
		slot_mark_dirty(vcpu->vm, slot, gpa);
	if (!is_write)
		rights &= ~NPT_WRITE;
	if (npt_map(vcpu_npt(vcpu), control->exit_info_2, slot->spa + offset, rights))
		return NPF_BAD;
	return NPF_MAPPED;
}

/* Each attempt has a window of the bus there: the mark is set anew behind it. */
static int mmio_emulate(struct soft_vcpu *vcpu, uint64_t mapped_gpa, uint64_t gpa)
{
	stat_count(&vcpu->stats, STAT_pf_emulate);
	if (!slot_find(vcpu_space(vcpu), gpa) && npt_mark_mmio(vcpu_npt(vcpu), mapped_gpa))
		stat_count(&vcpu->stats, STAT_pf_mmio_spte_created);
	return vcpu_emulate(vcpu, 0);
}

static int handle_npf(struct soft_vcpu *vcpu)
{
	uint64_t gpa;

	stat_count(&vcpu->stats, STAT_pf_taken);
	switch (npf_map(vcpu, &gpa)) {
	case NPF_MAPPED:
		stat_count(&vcpu->stats, STAT_pf_fixed);
		return 1;
	case NPF_LATE:
		return 1;
	case NPF_MMIO:
		return mmio_emulate(vcpu, vcpu->vmcb->control.exit_info_2, gpa);
	case NPF_L1:
		nested_reflect(vcpu);
		return 1;
	default:
		return -EFAULT;
	}
}

/* --- instructions --- */

static int handle_cpuid(struct soft_vcpu *vcpu)
{
	uint64_t *regs = vcpu->regs;
	struct kvm_cpuid_entry2 answer;

	if (vcpu->vmcb->save.cpl && msr_faults_cpuid(vcpu))
		return inject_gp(vcpu);
	answer = vcpu_cpuid_answer(vcpu, (uint32_t)regs[REG_RAX], (uint32_t)regs[REG_RCX]);
	regs[REG_RAX] = answer.eax;
	regs[REG_RBX] = answer.ebx;
	regs[REG_RCX] = answer.ecx;
	regs[REG_RDX] = answer.edx;
	return instruction_skip(vcpu);
}

/* The four counters that each of AMD's CPUs has, CPUID or not. They stand still. */
static int handle_rdpmc(struct soft_vcpu *vcpu)
{
	if ((uint32_t)vcpu->regs[REG_RCX] >= NR_COUNTERS)
		return inject_gp(vcpu);
	vcpu->regs[REG_RAX] = 0;
	vcpu->regs[REG_RDX] = 0;
	return instruction_skip(vcpu);
}

static int handle_hlt(struct soft_vcpu *vcpu)
{
	int r = instruction_skip(vcpu);

	if (vcpu->vm->disabled_exits & KVM_X86_DISABLE_EXITS_HLT) {
		vcpu->is_idle = true;
		return r;
	}
	stat_count(&vcpu->stats, STAT_halt_exits);
	if (vcpu->chips.has_lapic) {
		vcpu->mp_state = KVM_MP_STATE_HALTED;
		return r;
	}
	vcpu->run->exit_reason = KVM_EXIT_HLT;
	return 0;
}

static int handle_skip(struct soft_vcpu *vcpu)
{
	return instruction_skip(vcpu);
}

static int handle_xsetbv(struct soft_vcpu *vcpu)
{
	const uint64_t *regs = vcpu->regs;

	if (!(vcpu->vmcb->save.cr4 & X86_CR4_OSXSAVE))
		return inject_ud(vcpu);
	if (vcpu->vmcb->save.cpl || (uint32_t)regs[REG_RCX] ||
	    xcr0_set(vcpu, (uint32_t)regs[REG_RAX] | regs[REG_RDX] << 32))
		return inject_gp(vcpu);
	return instruction_skip(vcpu);
}

/* MONITOR and MWAIT do nothing, though CPUID has them not: KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS. */
static int handle_mwait(struct soft_vcpu *vcpu)
{
	if ((vcpu->vm->disabled_quirks & KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS) &&
	    !(vcpu_cpuid_answer(vcpu, 1, 0).ecx & CPUID_MONITOR))
		return inject_ud(vcpu);
	return handle_skip(vcpu);
}

static int handle_cr4_write(struct soft_vcpu *vcpu)
{
	uint64_t info = vcpu->vmcb->control.exit_info_1;

	if (cr4_set(vcpu, vcpu->regs[info & 0xf]))
		return inject_gp(vcpu);
	return instruction_skip(vcpu);
}

/* Without a local APIC, user space is told when the guest lowers its priority. */
static int handle_cr8_write(struct soft_vcpu *vcpu)
{
	uint64_t value = vcpu->regs[vcpu->vmcb->control.exit_info_1 & 0xf], before = vcpu->cr8;
	int r;

	if (value & ~0xfull)
		return inject_gp(vcpu);
	vcpu_cr8_set(vcpu, (uint8_t)value);
	r = instruction_skip(vcpu);
	if (vcpu->chips.has_lapic || before <= value)
		return r;
	vcpu->run->exit_reason = KVM_EXIT_SET_TPR;
	return 0;
}

/* --- events --- */

static int handle_nothing(struct soft_vcpu *vcpu)
{
	(void)vcpu;
	return 1;
}

static int handle_vintr(struct soft_vcpu *vcpu)
{
	stat_count(&vcpu->stats, STAT_irq_window_exits);
	vcpu_window_close(vcpu);
	return 1;
}

static int handle_iret(struct soft_vcpu *vcpu)
{
	vcpu_intercept(vcpu, SVM_EXIT_IRET, false);
	vcpu->nmi.is_masked = false;
	return 1;
}

static int handle_shutdown(struct soft_vcpu *vcpu)
{
	vcpu_reset(vcpu);
	vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
	return 0;
}

static int handle_rsm(struct soft_vcpu *vcpu)
{
	if (!vcpu->smm.is_in)
		return inject_ud(vcpu);
	smm_leave(vcpu);
	return nested_state_is_runnable(vcpu);
}

static int handle_invalid(struct soft_vcpu *vcpu)
{
	vcpu->run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	vcpu->run->fail_entry.hardware_entry_failure_reason = (uint32_t)vcpu->vmcb->control.exit_code;
	vcpu->run->fail_entry.cpu = sched_getcpu();
	return 0;
}

#define EXCEPTION(vector) (SVM_EXIT_EXCP_BASE + (vector))
#define NR_HANDLERS (SVM_EXIT_NPF + 1)

static const exit_handler exit_handlers[NR_HANDLERS] = {
	[SVM_EXIT_WRITE_CR4] = handle_cr4_write,
	[SVM_EXIT_WRITE_CR8] = handle_cr8_write,
	[SVM_EXIT_READ_DR0 ... SVM_EXIT_READ_DR0 + 15] = handle_dr,
	[SVM_EXIT_WRITE_DR0 ... SVM_EXIT_WRITE_DR0 + 15] = handle_dr,
	[EXCEPTION(VECTOR_DB)] = handle_db,
	[EXCEPTION(VECTOR_BP)] = handle_bp,
	[EXCEPTION(VECTOR_UD)] = handle_ud,
	[SVM_EXIT_INTR] = handle_nothing,
	[SVM_EXIT_NMI] = handle_nothing,
	[SVM_EXIT_SMI] = handle_nothing,
	[SVM_EXIT_VINTR] = handle_vintr,
	[SVM_EXIT_RDPMC] = handle_rdpmc,
	[SVM_EXIT_CPUID] = handle_cpuid,
	[SVM_EXIT_RSM] = handle_rsm,
	[SVM_EXIT_IRET] = handle_iret,
	[SVM_EXIT_PAUSE] = handle_skip,		/* the loop gives the turn away */
	[SVM_EXIT_INVD] = handle_skip,
	[SVM_EXIT_WBINVD] = handle_skip,
	[SVM_EXIT_HLT] = handle_hlt,
	[SVM_EXIT_IOIO] = handle_ioio,
	[SVM_EXIT_MSR] = handle_msr,
	[SVM_EXIT_SHUTDOWN] = handle_shutdown,
	[SVM_EXIT_VMMCALL] = handle_vmmcall,
	[SVM_EXIT_INVLPGA] = handle_invlpga,
	[SVM_EXIT_VMRUN] = handle_vmrun,
	[SVM_EXIT_VMLOAD] = handle_vmload,
	[SVM_EXIT_VMSAVE] = handle_vmsave,
	[SVM_EXIT_STGI] = handle_stgi,
	[SVM_EXIT_CLGI] = handle_clgi,
	[SVM_EXIT_SKINIT] = inject_ud,
	[SVM_EXIT_RDTSCP] = inject_ud,
	[SVM_EXIT_INVPCID] = inject_ud,
	[SVM_EXIT_MONITOR] = handle_mwait,
	[SVM_EXIT_MWAIT] = handle_mwait,
	[SVM_EXIT_XSETBV] = handle_xsetbv,
	[SVM_EXIT_NPF] = handle_npf,
};

int vcpu_handle_exit(struct soft_vcpu *vcpu)
{
	uint64_t code = vcpu->vmcb->control.exit_code;
	struct kvm_run *run = vcpu->run;

	stat_count(&vcpu->stats, STAT_exits);
	if (nested_handle_exit(vcpu))
		return 1;
	if (code == (uint64_t)SVM_EXIT_ERR)
		return handle_invalid(vcpu);
	if (code < NR_HANDLERS && exit_handlers[code])
		return exit_handlers[code](vcpu);
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON;
	run->internal.ndata = 2;
	run->internal.data[0] = code;
	run->internal.data[1] = vcpu->index;
	return 0;
}

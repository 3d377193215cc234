/* SPDX-License-Identifier: MIT */
/*
 * KVM_SET_GUEST_DEBUG: user space as the guest's debugger (KVM API, 4.87). Its breakpoints are in DR0 to DR3 and DR7, and
 * its step is in RFLAGS.TF, only while the guest runs; the guest's own are kept beside them. APM vol. 2, 13.1.
 */
#include "soft/private.h"

#include <asm/svm.h>
#include <errno.h>
#include <string.h>

#include "vm/x86/bits.h"

#define DR6_IDLE 0xffff0ff0u
#define DR6_BS (1u << 14)
#define NR_DRS 16

static bool is_stepping(const struct soft_vcpu *vcpu)
{
	return vcpu->debug.control & KVM_GUESTDBG_SINGLESTEP;
}

static bool has_breakpoints(const struct soft_vcpu *vcpu)
{
	return vcpu->debug.control & KVM_GUESTDBG_USE_HW_BP;
}

/* All #DB is the debugger's then, and DR6 what it says of one. */
static bool takes_db(const struct soft_vcpu *vcpu)
{
	return is_stepping(vcpu) || has_breakpoints(vcpu);
}

void debug_prepare(struct soft_vcpu *vcpu)
{
	unsigned int i;

	vcpu_intercept(vcpu, SVM_EXIT_EXCP_BASE + VECTOR_DB, takes_db(vcpu));
	vcpu_intercept(vcpu, SVM_EXIT_EXCP_BASE + VECTOR_BP, vcpu->debug.control & KVM_GUESTDBG_USE_SW_BP);
	for (i = 0; i < NR_DRS; i++) {
		vcpu_intercept(vcpu, SVM_EXIT_READ_DR0 + i, takes_db(vcpu));
		vcpu_intercept(vcpu, SVM_EXIT_WRITE_DR0 + i, takes_db(vcpu));
	}
}

void debug_load(struct soft_vcpu *vcpu)
{
	struct vmcb_save *save = &vcpu->vmcb->save;
	unsigned int i;

	for (i = 0; i < 4; i++)
		vcpu->cpu->dr[i] = has_breakpoints(vcpu) ? vcpu->debug.arch.debugreg[i] : vcpu->dr[i];
	vcpu->debugged = (struct soft_debugged) {
		.dr6 = save->dr6, .dr7 = save->dr7, .has_tf = save->rflags & X86_EFLAGS_TF,
	};
	if (is_stepping(vcpu))
		save->rflags |= X86_EFLAGS_TF;
	if (takes_db(vcpu))
		save->dr6 = DR6_IDLE;
	if (has_breakpoints(vcpu))
		save->dr7 = vcpu->debug.arch.debugreg[7];
}

void debug_unload(struct soft_vcpu *vcpu)
{
	struct vmcb_save *save = &vcpu->vmcb->save;

	vcpu->debug_dr6 = save->dr6;
	vcpu->debug_dr7 = save->dr7;
	if (is_stepping(vcpu) && !vcpu->debugged.has_tf)
		save->rflags &= ~(uint64_t)X86_EFLAGS_TF;
	if (takes_db(vcpu))
		save->dr6 = vcpu->debugged.dr6;
	if (has_breakpoints(vcpu))
		save->dr7 = vcpu->debugged.dr7;
	else
		memcpy(vcpu->dr, vcpu->cpu->dr, sizeof(vcpu->dr));
}

static int debug_exit(struct soft_vcpu *vcpu, uint32_t vector, uint64_t dr6, uint64_t dr7)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_DEBUG;
	run->debug.arch.exception = vector;
	run->debug.arch.dr6 = dr6;
	run->debug.arch.dr7 = dr7;
	run->debug.arch.pc = vcpu->vmcb->save.cs.base + vcpu->vmcb->save.rip;
	return 0;
}

int handle_db(struct soft_vcpu *vcpu)
{
	return debug_exit(vcpu, VECTOR_DB, vcpu->debug_dr6, vcpu->debug_dr7);
}

int handle_bp(struct soft_vcpu *vcpu)
{
	return debug_exit(vcpu, VECTOR_BP, 0, 0);
}

int debug_step(struct soft_vcpu *vcpu)
{
	struct vmcb_save *save = &vcpu->vmcb->save;

	if (is_stepping(vcpu))
		return debug_exit(vcpu, VECTOR_DB, DR6_IDLE | DR6_BS, save->dr7);
	if (save->rflags & X86_EFLAGS_TF) {
		save->dr6 |= DR6_BS;
		vcpu_queue_exception(vcpu, VECTOR_DB, false, 0);
	}
	return 1;
}

/* --- the guest's debug registers, while the debugger's are loaded --- */

static uint64_t dr_get(const struct soft_vcpu *vcpu, unsigned int number)
{
	if (number < 4)
		return vcpu->dr[number];
	return number & 1 ? vcpu->vmcb->save.dr7 : vcpu->vmcb->save.dr6;
}

static void dr_set(struct soft_vcpu *vcpu, unsigned int number, uint64_t value)
{
	if (number < 4)
		vcpu->dr[number] = value;
	else if (number & 1)
		vcpu->vmcb->save.dr7 = (value & 0xffff2fff) | 0x400;
	else
		vcpu->vmcb->save.dr6 = (value & 0xffffefff) | DR6_IDLE;
}

/* The machine has checked CPL, CR4.DE and reserved bits before the intercept. */
int handle_dr(struct soft_vcpu *vcpu)
{
	uint64_t code = vcpu->vmcb->control.exit_code, *reg = &vcpu->regs[vcpu->vmcb->control.exit_info_1 & 0xf];
	bool is_64bit = save_is_64bit(&vcpu->vmcb->save);

	if (code >= SVM_EXIT_WRITE_DR0)
		dr_set(vcpu, (unsigned int)(code - SVM_EXIT_WRITE_DR0), is_64bit ? *reg : (uint32_t)*reg);
	else
		*reg = is_64bit ? dr_get(vcpu, (unsigned int)(code - SVM_EXIT_READ_DR0)) :
			(uint32_t)dr_get(vcpu, (unsigned int)(code - SVM_EXIT_READ_DR0));
	return instruction_skip(vcpu);
}

/* --- the request --- */

static long answer_guest_debug(struct call *call)
{
	const struct kvm_guest_debug *debug = call->data;
	struct soft_vcpu *vcpu = call->vcpu;

	if (debug->control & (KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP)) {
		if (vcpu->exception.is_pending)
			return -EBUSY;
		vcpu_queue_exception(vcpu, debug->control & KVM_GUESTDBG_INJECT_DB ? VECTOR_DB : VECTOR_BP, false, 0);
	}
	vcpu->debug = *debug;
	if (!(debug->control & KVM_GUESTDBG_ENABLE))
		vcpu->debug.control = 0;
	return 0;
}

const struct answer guest_debug_answers[] = {
	{ KVM_SET_GUEST_DEBUG, answer_guest_debug, false },
	{ 0, NULL, false },
};

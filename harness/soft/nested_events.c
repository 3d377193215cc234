/* SPDX-License-Identifier: MIT */
/*
 * Events that come while L2 is to run: L1 has those that it intercepts, by a #VMEXIT, and all others are L2's. APM vol. 2,
 * 15.12 to 15.21.
 */
#include "soft/nested.h"

#include <asm/svm.h>

#include "soft/private.h"

#define DR7_GD (1ull << 13)

static void exception_exit(struct soft_vcpu *vcpu)
{
	const struct soft_exception exception = vcpu->exception;
	uint64_t info_2 = 0;

	/* What is intercepted is not delivered: #PF has not changed CR2. A #DB is in DR6 already. */
	if (exception.vector == VECTOR_PF)
		info_2 = exception.has_payload ? exception.payload : vcpu->vmcb->save.cr2;
	else
		vcpu_deliver_payload(vcpu);
	if (exception.vector == VECTOR_DB)
		vcpu->vmcb->save.dr7 &= ~DR7_GD;
	vcpu->exception.is_pending = false;
	nested_exit(vcpu, SVM_EXIT_EXCP_BASE + exception.vector, exception.has_error ? exception.error : 0, info_2);
}

void nested_check_events(struct soft_vcpu *vcpu)
{
	if (!vcpu->nested.is_guest)
		return;
	if (vcpu->exception.is_pending) {
		if (nested_intercepts(vcpu, SVM_EXIT_EXCP_BASE + vcpu->exception.vector))
			exception_exit(vcpu);
		return;
	}
	if (vcpu_needs_reinjection(vcpu))
		return;
	/* Note, what exits stays pending: it is L1's behind its STGI. */
	if (smm_accepts_smi(vcpu)) {
		if (nested_intercepts(vcpu, SVM_EXIT_SMI))
			nested_exit(vcpu, SVM_EXIT_SMI, 0, 0);
		return;
	}
	if (vcpu->nmi.nr_pending && nested_intercepts(vcpu, SVM_EXIT_NMI) && vcpu_accepts_nmi(vcpu))
		nested_exit(vcpu, SVM_EXIT_NMI, 0, 0);
	else if (chips_has_interrupt(vcpu) && nested_intercepts(vcpu, SVM_EXIT_INTR) && vcpu_accepts_interrupt(vcpu))
		nested_exit(vcpu, SVM_EXIT_INTR, 0, 0);
}

void nested_inject(struct soft_vcpu *vcpu)
{
	const struct vmcb_control *control12 = &vcpu->nested.control;

	if (!vcpu->nested.is_guest || !(control12->event_inj & EVENT_VALID))
		return;
	vcpu->vmcb->control.event_inj = control12->event_inj;
	vcpu->vmcb->control.event_inj_error = control12->event_inj_error;
	vcpu->vmcb->control.next_rip = 0;
	vcpu->interrupt.is_l1s = true;
}

bool nested_shutdown(struct soft_vcpu *vcpu)
{
	if (!nested_intercepts(vcpu, SVM_EXIT_SHUTDOWN))
		return false;
	nested_exit(vcpu, SVM_EXIT_SHUTDOWN, 0, 0);
	return true;
}

bool nested_holds_init(struct soft_vcpu *vcpu)
{
	struct soft_nested *nested = &vcpu->nested;

	if (!nested->has_gif)
		return true;
	if (!nested->is_guest)
		return false;
	if (nested->is_run_pending || vcpu_needs_reinjection(vcpu))
		return true;
	if (!nested_intercepts(vcpu, SVM_EXIT_INIT))
		return false;
	nested_exit(vcpu, SVM_EXIT_INIT, 0, 0);
	return true;
}

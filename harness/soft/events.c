/* SPDX-License-Identifier: MIT */
/* Events on their way into a guest: what user space queues, KVM_GET/SET_VCPU_EVENTS. */
#include "soft/private.h"

#include <asm/svm.h>
#include <errno.h>
#include <string.h>

#include "vm/x86/bits.h"

#define VALID_FLAGS (KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR |		\
	KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM | KVM_VCPUEVENT_VALID_PAYLOAD |		\
	KVM_VCPUEVENT_VALID_TRIPLE_FAULT)
#define MAX_PENDING_NMIS 2

void vcpu_queue_exception(struct soft_vcpu *vcpu, uint8_t vector, bool has_error, uint32_t error)
{
	vcpu->exception = (struct soft_exception) {
		.is_pending = true, .vector = vector, .has_error = has_error, .error = error,
	};
}

/* What a #PF or #DB brings beside its error code becomes the guest's when it is delivered. */
void vcpu_deliver_payload(struct soft_vcpu *vcpu)
{
	struct soft_exception *exception = &vcpu->exception;
	struct vmcb_save *save = &vcpu->vmcb->save;

	if (!exception->has_payload)
		return;
	if (exception->vector == VECTOR_PF)
		save->cr2 = exception->payload;
	if (exception->vector == VECTOR_DB)
		save->dr6 = (save->dr6 & ~0xfull) | exception->payload;
	exception->has_payload = false;
	exception->payload = 0;
}

static bool is_soft_exception(uint8_t vector)
{
	return vector == VECTOR_BP || vector == VECTOR_OF;
}

static void exception_get(struct soft_vcpu *vcpu, struct kvm_vcpu_events *events)
{
	const struct soft_exception *exception = &vcpu->exception;

	if (!vcpu->vm->has_payloads && exception->is_pending)
		vcpu_deliver_payload(vcpu);
	if (!is_soft_exception(exception->vector)) {
		events->exception.injected = exception->is_injected;
		events->exception.pending = exception->is_pending;
		if (!vcpu->vm->has_payloads)
			events->exception.injected |= exception->is_pending;
	}
	events->exception.nr = exception->vector;
	events->exception.has_error_code = exception->has_error;
	events->exception.error_code = exception->error;
	events->exception_has_payload = exception->has_payload;
	events->exception_payload = exception->payload;
}

void vcpu_events_get(struct soft_vcpu *vcpu, struct kvm_vcpu_events *events)
{
	*events = (struct kvm_vcpu_events) { 0 };
	exception_get(vcpu, events);
	events->interrupt.injected = vcpu->interrupt.is_injected && !vcpu->interrupt.is_soft;
	events->interrupt.nr = vcpu->interrupt.vector;
	if (vcpu->vmcb->control.int_state & INT_STATE_SHADOW)
		events->interrupt.shadow = KVM_X86_SHADOW_INT_MOV_SS | KVM_X86_SHADOW_INT_STI;
	events->nmi.injected = vcpu->nmi.is_injected;
	events->nmi.pending = vcpu->nmi.nr_pending != 0;
	events->nmi.masked = vcpu->nmi.is_masked;
	events->smi.smm = vcpu->smm.is_in;
	events->smi.pending = vcpu->smm.is_pending;
	events->smi.smm_inside_nmi = vcpu->smm.is_inside_nmi;
	events->smi.latched_init = vcpu->smm.is_in && vcpu->chips.has_init;
	events->flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM;
	if (vcpu->vm->has_payloads)
		events->flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
	if (vcpu->vm->has_triple_fault_event) {
		events->flags |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
		events->triple_fault.pending = vcpu->has_triple_fault;
	}
}

static long answer_get_events(struct call *call)
{
	vcpu_events_get(call->vcpu, call->data);
	return 0;
}

/* Without the capability's flag an exception is one that was injected already. */
static int events_check(const struct soft_vcpu *vcpu, struct kvm_vcpu_events *events)
{
	if (events->flags & ~(uint32_t)VALID_FLAGS)
		return -EINVAL;
	if (events->flags & KVM_VCPUEVENT_VALID_PAYLOAD) {
		if (!vcpu->vm->has_payloads)
			return -EINVAL;
		if (events->exception.pending)
			events->exception.injected = 0;
		else
			events->exception_has_payload = 0;
	} else {
		events->exception.pending = 0;
		events->exception_has_payload = 0;
	}
	if ((events->exception.injected || events->exception.pending) &&
	    (events->exception.nr > 31 || events->exception.nr == VECTOR_NMI))
		return -EINVAL;
	if (vcpu->vm->is_bare && (events->flags & KVM_VCPUEVENT_VALID_SMM) && (events->smi.smm || events->smi.pending))
		return -EINVAL;
	return 0;
}

static void smi_set(struct soft_vcpu *vcpu, const struct kvm_vcpu_events *events)
{
	if (vcpu->smm.is_in != !!events->smi.smm)
		smm_switch(vcpu, events->smi.smm);
	vcpu->smm.is_pending = events->smi.pending;
	if (!events->smi.smm)
		return;
	vcpu->smm.is_inside_nmi = events->smi.smm_inside_nmi;
	if (vcpu->chips.has_lapic)
		vcpu->chips.has_init = events->smi.latched_init;
}

int vcpu_events_set(struct soft_vcpu *vcpu, struct kvm_vcpu_events *events)
{
	int r = events_check(vcpu, events);

	if (r)
		return r;
	vcpu->exception = (struct soft_exception) {
		.is_injected = events->exception.injected, .is_pending = events->exception.pending,
		.vector = events->exception.nr, .has_error = events->exception.has_error_code,
		.error = events->exception.error_code, .has_payload = events->exception_has_payload,
		.payload = events->exception_payload,
	};
	vcpu->interrupt.is_injected = events->interrupt.injected;
	vcpu->interrupt.vector = events->interrupt.nr;
	vcpu->interrupt.is_soft = events->interrupt.soft;
	vcpu->interrupt.is_l1s = false;
	if (events->flags & KVM_VCPUEVENT_VALID_SHADOW)
		vcpu->vmcb->control.int_state = events->interrupt.shadow ? INT_STATE_SHADOW : 0;
	vcpu->nmi.is_injected = events->nmi.injected;
	if (events->flags & KVM_VCPUEVENT_VALID_NMI_PENDING)
		vcpu->nmi.nr_pending = events->nmi.pending != 0;
	vcpu->nmi.is_masked = events->nmi.masked;
	if ((events->flags & KVM_VCPUEVENT_VALID_SIPI_VECTOR) && vcpu->chips.has_lapic)
		vcpu->chips.sipi_vector = (uint8_t)events->sipi_vector;
	vcpu_intercept(vcpu, SVM_EXIT_IRET, vcpu->nmi.is_masked);
	if (events->flags & KVM_VCPUEVENT_VALID_SMM)
		smi_set(vcpu, events);
	if (events->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT) {
		if (!vcpu->vm->has_triple_fault_event)
			return -EINVAL;
		vcpu->has_triple_fault = events->triple_fault.pending;
	}
	return 0;
}

static long answer_set_events(struct call *call)
{
	return vcpu_events_set(call->vcpu, call->data);
}

static long answer_interrupt(struct call *call)
{
	const struct kvm_interrupt *interrupt = call->data;

	int r;

	if (interrupt->irq > 255)
		return -EINVAL;
	r = chips_interrupt(call->vcpu, interrupt->irq);
	if (r <= 0)
		return r;
	call->vcpu->interrupt.is_injected = true;
	call->vcpu->interrupt.is_soft = false;
	call->vcpu->interrupt.vector = (uint8_t)interrupt->irq;
	return 0;
}

void vcpu_nmi_queue(struct soft_vcpu *vcpu)
{
	unsigned int max = vcpu->nmi.is_masked || vcpu->nmi.is_injected ? 1 : MAX_PENDING_NMIS;

	if (vcpu->nmi.nr_pending < max)
		vcpu->nmi.nr_pending++;
}

static long answer_nmi(struct call *call)
{
	vcpu_nmi_queue(call->vcpu);
	return 0;
}

const struct answer event_answers[] = {
	{ KVM_GET_VCPU_EVENTS, answer_get_events, false },
	{ KVM_SET_VCPU_EVENTS, answer_set_events, false },
	{ KVM_INTERRUPT, answer_interrupt, false },
	{ KVM_NMI, answer_nmi, true },
	{ 0, NULL, false },
};

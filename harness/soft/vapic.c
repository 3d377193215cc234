/* SPDX-License-Identifier: MIT */
/*
 * KVM_SET_VAPIC_ADDR: a word in guest memory that stands for the local APIC's TPR. User space makes a guest's code use it
 * instead (QEMU's kvmvapic), so that most of its accesses do not exit: the TPR is taken from the word behind each exit,
 * and what is in service and waits is written there before each entry, so that the code knows when it has to ask.
 *
 * The word: TPR in bits 7:0, the priority class in service in 15:12, the highest vector that waits in 31:24.
 */
#include "soft/private.h"

#include <errno.h>

void vapic_enter(struct soft_vcpu *vcpu)
{
	struct lapic *lapic = &vcpu->chips.lapic;
	int waits, served;
	uint32_t word;

	if (!vcpu->chips.vapic_gpa)
		return;
	waits = lapic_highest_request(lapic);
	served = lapic_highest_in_service(lapic);
	word = lapic_tpr_get(lapic) | (served < 0 ? 0 : (uint32_t)(served & 0xf0) << 8) | (waits < 0 ? 0 : (uint32_t)waits << 24);
	guest_write(vcpu_space(vcpu), vcpu->chips.vapic_gpa, &word, sizeof(word));
}

void vapic_leave(struct soft_vcpu *vcpu)
{
	uint32_t word;

	if (!vcpu->chips.vapic_gpa || guest_read(vcpu_space(vcpu), vcpu->chips.vapic_gpa, &word, sizeof(word)))
		return;
	lapic_tpr_set(&vcpu->chips.lapic, (uint8_t)word);
	vcpu->cr8 = lapic_cr8_get(&vcpu->chips.lapic);
}

static long answer_set_vapic_addr(struct call *call)
{
	const struct kvm_vapic_addr *vapic = call->data;
	uint32_t word;

	if (!call->vcpu->chips.has_lapic)
		return -EINVAL;
	if (vapic->vapic_addr && guest_read(vm_space(call->vm), vapic->vapic_addr, &word, sizeof(word)))
		return -EINVAL;
	call->vcpu->chips.vapic_gpa = vapic->vapic_addr;
	return 0;
}

const struct answer vapic_answers[] = {
	{ KVM_SET_VAPIC_ADDR, answer_set_vapic_addr, false },
	{ 0, NULL, false },
};

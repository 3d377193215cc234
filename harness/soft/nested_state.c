/* SPDX-License-Identifier: MIT */
/*
 * KVM_GET_NESTED_STATE and KVM_SET_NESTED_STATE: KVM API, 4.114 and 4.115. While L2 runs, the data are a VMCB: its control
 * area is vmcb12's as VMRUN read it, its save area is L1's.
 */
#include "soft/nested.h"

#include <errno.h>

#include "soft/private.h"
#include "vm/x86/bits.h"

#define PAGE_MASK 0xfffull
#define SVM_FLAGS (KVM_STATE_NESTED_GUEST_MODE | KVM_STATE_NESTED_RUN_PENDING | KVM_STATE_NESTED_GIF_SET)
#define SIZE_IN_GUEST (sizeof(struct kvm_nested_state) + KVM_STATE_NESTED_SVM_VMCB_SIZE)

static uint16_t flags_of(const struct soft_nested *nested)
{
	return (uint16_t)((nested->is_guest ? KVM_STATE_NESTED_GUEST_MODE : 0) |
		(nested->is_run_pending ? KVM_STATE_NESTED_RUN_PENDING : 0) |
		(nested->has_gif ? KVM_STATE_NESTED_GIF_SET : 0));
}

static long answer_get_nested_state(struct call *call)
{
	const struct soft_nested *nested = &call->vcpu->nested;
	uintptr_t at_size = call->argument + offsetof(struct kvm_nested_state, size), at = call->argument;
	struct kvm_nested_state head = {
		.flags = flags_of(nested), .format = KVM_STATE_NESTED_FORMAT_SVM, .size = sizeof(head),
	};
	uint32_t room;

	if (call->vm->is_bare)
		return -EINVAL;
	if (user_read(&room, at_size, sizeof(room)))
		return -EFAULT;
	if (nested->is_guest) {
		head.size = SIZE_IN_GUEST;
		head.hdr.svm.vmcb_pa = nested->vmcb12_gpa;
	}
	if (room < head.size)
		return user_write(at_size, &head.size, sizeof(head.size)) ? -EFAULT : -E2BIG;
	if (user_write(at, &head, sizeof(head)))
		return -EFAULT;
	if (!nested->is_guest)
		return 0;
	at += sizeof(head);
	if (user_write(at, &nested->control, sizeof(nested->control)))
		return -EFAULT;
	return user_write(at + offsetof(struct vmcb, save), &nested->vmcb01->save, sizeof(nested->vmcb01->save));
}

static bool is_head_valid(const struct soft_vcpu *vcpu, const struct kvm_nested_state *head)
{
	if (head->size < sizeof(*head) || head->flags & ~SVM_FLAGS)
		return false;
	if ((head->flags & KVM_STATE_NESTED_RUN_PENDING) && !(head->flags & KVM_STATE_NESTED_GUEST_MODE))
		return false;
	if (head->format != KVM_STATE_NESTED_FORMAT_SVM)
		return false;
	/* Without SVM there is no L2, and GIF is not to be cleared. */
	if (vcpu->hidden_efer && head->flags != KVM_STATE_NESTED_GIF_SET)
		return false;
	if (!(head->flags & KVM_STATE_NESTED_GUEST_MODE))
		return true;
	return head->size >= SIZE_IN_GUEST && !(head->hdr.svm.vmcb_pa & PAGE_MASK) &&
		vcpu_is_legal_gpa(vcpu, head->hdr.svm.vmcb_pa);
}

/* The registers at hand are L2's; @vmcb has L2's controls and what L1 was when it executed VMRUN. */
static bool is_vmcb_valid(const struct soft_vcpu *vcpu, const struct vmcb *vmcb)
{
	const struct svm_rule *broken = svm_rule_broken(vmcb, &vcpu->nested.rules, 0);
	uint64_t cr0 = vcpu->vmcb->save.cr0;

	/* What the rules behind these say is known when L2 is entered. */
	if (broken && broken <= &svm_rules[SVM_RULE_iopm_beyond])
		return false;
	if (((cr0 & X86_CR0_NW) && !(cr0 & X86_CR0_CD)) || !vcpu_is_legal_gpa(vcpu, vcpu->vmcb->save.cr3))
		return false;
	return (vmcb->save.cr0 & X86_CR0_PG) && (vmcb->save.cr0 & X86_CR0_PE) &&
		!(vmcb->save.rflags & X86_EFLAGS_VM);
}

static void l2_set(struct soft_vcpu *vcpu, const struct kvm_nested_state *head, const struct vmcb *vmcb)
{
	struct soft_nested *nested = &vcpu->nested;

	if (nested->is_guest)
		nested_reset(vcpu);
	else
		nested->vmcb02->save = nested->vmcb01->save;
	nested_copy_vmrun_state(&nested->vmcb01->save, &vmcb->save);
	nested->vmcb01->save.rflags |= X86_EFLAGS_FIXED;
	nested_cache_control(nested, &vmcb->control);
	nested_enter(vcpu, head->hdr.svm.vmcb_pa);
	nested->is_unchecked = true;
}

bool nested_state_is_runnable(struct soft_vcpu *vcpu)
{
	struct soft_nested *nested = &vcpu->nested;

	if (!nested->is_unchecked)
		return true;
	if ((nested_has_npt(vcpu) || vcpu_pdpes_are_valid(vcpu)) && nested_has_msrpm(vcpu, &nested->control)) {
		nested->is_unchecked = false;
		return true;
	}
	vcpu->run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	vcpu->run->internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
	vcpu->run->internal.ndata = 0;
	return false;
}

static long answer_set_nested_state(struct call *call)
{
	struct soft_vcpu *vcpu = call->vcpu;
	struct kvm_nested_state head;
	struct vmcb vmcb;

	if (call->vm->is_bare)
		return -EINVAL;
	if (user_read(&head, call->argument, sizeof(head)))
		return -EFAULT;
	if (!is_head_valid(vcpu, &head))
		return -EINVAL;
	if (head.flags & KVM_STATE_NESTED_GUEST_MODE) {
		if (user_read(&vmcb, call->argument + sizeof(head), sizeof(vmcb)))
			return -EFAULT;
		if (!is_vmcb_valid(vcpu, &vmcb))
			return -EINVAL;
		l2_set(vcpu, &head, &vmcb);
	} else {
		nested_reset(vcpu);
	}
	vcpu->nested.has_gif = head.flags & KVM_STATE_NESTED_GIF_SET;
	vcpu->nested.is_run_pending = head.flags & KVM_STATE_NESTED_RUN_PENDING;
	return 0;
}

const struct answer nested_answers[] = {
	{ KVM_GET_NESTED_STATE, answer_get_nested_state, true },
	{ KVM_SET_NESTED_STATE, answer_set_nested_state, true },
	{ 0, NULL, false },
};

/* SPDX-License-Identifier: MIT */
/*
 * What user space does to the vCPU while L1 or L2 runs: it takes nested state out and puts it back, as it was or with a
 * change, and sets what else a vCPU has. Whether KVM takes it is up to KVM; a VM that was changed is used for the rest of
 * the input only.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "fuzz/nested_private.h"
#include "fuzz/vmcb_ops.h"
#include "vm/x86/bits.h"

#define SMM_SLOTS (1u << 16)		/* slots of the address space that a vCPU in SMM has */
#define SMM_CODE_GPA 0x38000u
#define HV_SIGNATURE 0x31237648		/* "Hv#1" */
#define HV_MSR_GUEST_OS_ID 0x40000000

union state {
	struct kvm_nested_state head;
	struct {
		uint8_t head[sizeof(struct kvm_nested_state)];
		struct vmcb vmcb;	/* L1's intercepts, and what L1 is behind the #VMEXIT */
	} all;
};

/* --- nested state --- */

/* Where KVM says that L2 does not run, it is made to, with the VMCB that L1 has. */
static void state_enter(const struct nested *n, union state *state)
{
	struct vmcb *vmcb = &state->all.vmcb;

	memset(vmcb, 0, sizeof(*vmcb));
	vmcb->control = vmcb_world_vmcb(n->ram)->control;
	vmcb->save.efer = n->sregs.efer;
	vmcb->save.cr0 = n->sregs.cr0;
	vmcb->save.cr3 = n->sregs.cr3;
	vmcb->save.cr4 = n->sregs.cr4;
	vmcb->save.rip = n->regs.rip;
	vmcb->save.rsp = n->regs.rsp;
	vmcb->save.rflags = n->regs.rflags;
	state->head.flags |= KVM_STATE_NESTED_GUEST_MODE;
	state->head.hdr.svm.vmcb_pa = VMCB_VMCB_GPA;
	state->head.size = sizeof(*state);
}

static bool state_get(const struct nested *n, union state *state)
{
	state->head.size = sizeof(*state);
	return !vcpu_ioctl_try(n->vcpu, KVM_GET_NESTED_STATE, &state->head);
}

/* What was set is looked at once more. */
static void state_set(const struct nested *n, union state *state)
{
	if (!vcpu_ioctl_try(n->vcpu, KVM_SET_NESTED_STATE, &state->head))
		state_get(n, state);
}

static bool state_migrate(struct nested *n)
{
	union state state;

	if (!state_get(n, &state))
		return true;
	n->counts.nr_migrations++;
	return !vcpu_ioctl_try(n->vcpu, KVM_SET_NESTED_STATE, &state.head);
}

/* False: KVM does not give it. */
static bool state_get_of_l2(const struct nested *n, union state *state)
{
	if (!state_get(n, state))
		return false;
	if (!(state->head.flags & KVM_STATE_NESTED_GUEST_MODE))
		state_enter(n, state);
	return true;
}

static void field_set(const struct nested *n, const struct input_op *op)
{
	const struct vmcb_field *field = &vmcb_fields[op->args[1]];
	union state state;

	if (!state_get_of_l2(n, &state))
		return;
	memcpy((uint8_t *)&state.all.vmcb + field->offset, &op->args[2], field->len_bytes);
	state_set(n, &state);
}

static void header_set(const struct nested *n, const struct input_op *op)
{
	union state state;

	if (!state_get(n, &state))
		return;
	if (op->args[1] == HEADER_FORMAT)
		state.head.format = (uint16_t)op->args[2];
	else if (op->args[1] == HEADER_SIZE)
		state.head.size = (uint32_t)op->args[2];
	else if (op->args[1] == HEADER_VMCB)
		state.head.hdr.svm.vmcb_pa = op->args[2];
	else
		state.head.flags = (uint16_t)op->args[2];
	state_set(n, &state);
}

/* --- what else a vCPU has --- */

static void sregs_set(const struct nested *n, const struct input_op *op)
{
	struct kvm_sregs sregs;
	__u64 *words[] = { &sregs.cr0, &sregs.cr3, &sregs.cr4, &sregs.efer };

	vcpu_ioctl(n->vcpu, KVM_GET_SREGS, &sregs);
	*words[op->args[1]] = op->args[2];
	vcpu_ioctl_try(n->vcpu, KVM_SET_SREGS, &sregs);
}

static void exception_set(const struct nested *n, struct kvm_vcpu_events *events, const struct input_op *op)
{
	struct kvm_enable_cap payload = { .cap = KVM_CAP_EXCEPTION_PAYLOAD, .args = { 1 } };
	uint8_t vector = op->args[2] & 0x1f;

	events->exception.nr = vector;
	events->exception.has_error_code = 0x27d00 >> vector & 1;
	events->exception.injected = op->args[1] == EVENTS_EXCEPTION_INJECTED;
	if (events->exception.injected || vm_ioctl_try(n->vm, KVM_ENABLE_CAP, &payload))
		return;
	events->exception.pending = 1;
	events->flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
}

/* SMM has an address space of its own. */
static void smm_map(struct nested *n)
{
	static const uint8_t rsm[] = { 0x0f, 0xaa };

	memcpy(n->ram + SMM_CODE_GPA, rsm, sizeof(rsm));
	vm_region_try(n->vm, SMM_SLOTS, 0, 0, VMCB_RAM_BYTES, n->ram);
	vm_region_try(n->vm, SMM_SLOTS | 1, 0, NESTED_L1_GPA, NESTED_L1_BYTES, n->l1);
}

static void events_set(struct nested *n, const struct input_op *op)
{
	static const size_t offsets[] = {
		[EVENTS_NMI_INJECTED] = offsetof(struct kvm_vcpu_events, nmi.injected),
		[EVENTS_NMI_PENDING] = offsetof(struct kvm_vcpu_events, nmi.pending),
		[EVENTS_NMI_MASKED] = offsetof(struct kvm_vcpu_events, nmi.masked),
		[EVENTS_SHADOW] = offsetof(struct kvm_vcpu_events, interrupt.shadow),
		[EVENTS_SMM] = offsetof(struct kvm_vcpu_events, smi.smm),
		[EVENTS_SMI_PENDING] = offsetof(struct kvm_vcpu_events, smi.pending),
		[EVENTS_SMM_INSIDE_NMI] = offsetof(struct kvm_vcpu_events, smi.smm_inside_nmi),
		[EVENTS_LATCHED_INIT] = offsetof(struct kvm_vcpu_events, smi.latched_init),
	};
	struct kvm_vcpu_events events;

	vcpu_ioctl(n->vcpu, KVM_GET_VCPU_EVENTS, &events);
	events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM;
	if (op->args[1] == EVENTS_SMM || op->args[1] == EVENTS_SMI_PENDING)
		smm_map(n);
	if (op->args[1] == EVENTS_EXCEPTION || op->args[1] == EVENTS_EXCEPTION_INJECTED) {
		exception_set(n, &events, op);
	} else if (op->args[1] == EVENTS_INTERRUPT_INJECTED) {
		events.interrupt.injected = 1;
		events.interrupt.nr = (uint8_t)op->args[2];
	} else {
		*((uint8_t *)&events + offsets[op->args[1]]) = op->args[2] & 1;
	}
	vcpu_ioctl_try(n->vcpu, KVM_SET_VCPU_EVENTS, &events);
}

static void msr_set(const struct nested *n, const struct input_op *op)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr = { .head.nmsrs = 1, .entry = { .index = (uint32_t)op->args[1], .data = op->args[2] } };

	vcpu_ioctl_try(n->vcpu, KVM_SET_MSRS, &msr.head);
}

/* --- acts without an operand --- */

static void state_leave(const struct nested *n)
{
	struct kvm_nested_state state = {
		.format = KVM_STATE_NESTED_FORMAT_SVM, .size = sizeof(state), .flags = KVM_STATE_NESTED_GIF_SET,
	};

	vcpu_ioctl_try(n->vcpu, KVM_SET_NESTED_STATE, &state);
}

/* L1 has 32-bit paging with PAE, and so have its nested tables. */
static void pae_set(const struct nested *n)
{
	union state state;

	if (!state_get_of_l2(n, &state))
		return;
	state.all.vmcb.save.efer = EFER_SVME;
	state.all.vmcb.save.cs.attrib &= ~SEG_ATTRIB_L;
	state_set(n, &state);
}

static void single_step(const struct nested *n)
{
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP };

	vcpu_ioctl_try(n->vcpu, KVM_SET_GUEST_DEBUG, &debug);
}

static void act(struct nested *n, uint64_t what)
{
	switch (what) {
	case HOST_UNMAP:
		vm_region_try(n->vm, 0, 0, 0, 0, NULL);
		break;
	case HOST_SMI:
		smm_map(n);
		vcpu_ioctl_value_try(n->vcpu, KVM_SMI, 0);
		break;
	case HOST_NMI:
		vcpu_ioctl_value_try(n->vcpu, KVM_NMI, 0);
		break;
	case HOST_STEP:
		single_step(n);
		break;
	case HOST_PAE:
		pae_set(n);
		break;
	default:
		state_leave(n);
		break;
	}
}

/* What the guest has asked of user space is done with first. False: that takes more than one call. */
static bool vcpu_settle(struct nested *n)
{
	int r;

	vcpu_kick(n->vcpu);
	r = vcpu_run_try(n->vcpu);
	n->vcpu->run->immediate_exit = 0;
	return r == -EINTR;
}

bool nested_host_do(struct nested *n, const struct input_op *op)
{
	if (!vcpu_settle(n))
		return true;
	if (op->kind == VMCB_OP_HOST && op->args[1] == HOST_MIGRATE)
		return state_migrate(n);
	n->is_changed = n->is_hopeless = true;
	if (op->kind == VMCB_OP_HOST)
		act(n, op->args[1]);
	else if (op->kind == VMCB_OP_HOST_STATE)
		field_set(n, op);
	else if (op->kind == VMCB_OP_HOST_HEADER)
		header_set(n, op);
	else if (op->kind == VMCB_OP_HOST_SREGS)
		sregs_set(n, op);
	else if (op->kind == VMCB_OP_HOST_EVENTS)
		events_set(n, op);
	else
		msr_set(n, op);
	return true;
}

/* --- Hyper-V's interface --- */

bool nested_has_hyperv(const struct input *input)
{
	unsigned int i;

	for (i = 0; i < input->nr_ops; i++)
		if (input->ops[i].kind == VMCB_OP_HYPERV)
			return true;
	return false;
}

void nested_hyperv_cpuid(struct kvm_cpuid2 *cpuid)
{
	static const struct kvm_cpuid_entry2 leaves[NESTED_NR_HYPERV] = {
		{ .function = 0x40000000, .eax = 0x4000000a, .ebx = 0x7263694d, .ecx = 0x666f736f, .edx = 0x76482074 },
		{ .function = 0x40000001, .eax = HV_SIGNATURE },
		{ .function = 0x40000003, .eax = 0x2e7f, .edx = 0xffff },
		{ .function = 0x4000000a, .eax = 1u << 17 | 1u << 19 | 1u << 22 },
	};

	memcpy(&cpuid->entries[cpuid->nent], leaves, sizeof(leaves));
	cpuid->nent += NESTED_NR_HYPERV;
}

void nested_hyperv_begin(struct nested *n)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr = { .head.nmsrs = 1, .entry = { .index = HV_MSR_GUEST_OS_ID, .data = 0x8100000000000001 } };

	vcpu_ioctl_try(n->vcpu, KVM_SET_MSRS, &msr.head);
	n->is_hopeless = true;
}

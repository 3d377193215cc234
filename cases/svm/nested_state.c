/* SPDX-License-Identifier: MIT */
/*
 * KVM_GET_NESTED_STATE tells whether the vCPU is in L2 and with which VMCB, KVM_SET_NESTED_STATE takes just that: while
 * L2 waits for user space its state is read, put into a fresh VM together with all the rest, and L2 goes on there and
 * comes back to L1. A state that cannot be is refused, and nothing is changed.
 *
 * Can break: GIF or the guest-mode flag lost, L1's state behind L2's, the permission maps not rebuilt, a check of the
 * layout dropped (what follows is a copy from user space).
 * Source: KVM API, KVM_GET_NESTED_STATE, KVM_SET_NESTED_STATE.
 */
#include <stdlib.h>
#include <string.h>

#include "cases/ioctl/vcpu_state.h"
#include "guests/l1_svm.h"
#include "case.h"

INSN(s_wait, "mov $0x41, %r12d\n\tout %al, $0x80\n\tinc %r12\n\tcpuid\n\tvmmcall")

#define STATE_BYTES (sizeof(struct kvm_nested_state) + KVM_STATE_NESTED_SVM_VMCB_SIZE)

enum where { BEFORE, IN_L1, IN_L1_GIF_CLEAR, IN_L2 };

struct row {
	ROW_FIELDS;
	enum where where;
	int error;		/* of SET with what @spoil makes of a good one; 0: it is taken */
	uint32_t size, flags, format;	/* what is changed, by XOR */
	uint64_t vmcb_pa;
	bool is_hole;		/* the buffer's end cannot be read */
	bool is_twin;		/* goes on in a fresh VM */
	uint16_t save_offset;	/* a word of L1's save area in the buffer, of the VMCB; 0: none */
	uint64_t save_xor;
	uint16_t control_offset;
	uint64_t control_xor;
};

#define SAVE_AT(field_) (0x400 + offsetof(struct vmcb_save, field_))
#define CONTROL_AT(field_) offsetof(struct vmcb_control, field_)

static const struct row rows[] = {
	{ .label = "before", .where = BEFORE }, { .label = "l1", .where = IN_L1 },
	{ .label = "l1_gif_clear", .where = IN_L1_GIF_CLEAR }, { .label = "l2", .where = IN_L2 },
	{ .label = "l2_twin", .where = IN_L2, .is_twin = true }, { .label = "l1_twin", .where = IN_L1, .is_twin = true },
	{ .label = "l1_gif_clear_twin", .where = IN_L1_GIF_CLEAR, .is_twin = true },
	{ .label = "format_vmx", .where = IN_L2, .error = EINVAL, .format = 1 },
	{ .label = "format_unknown", .where = IN_L2, .error = EINVAL, .format = 7 },
	{ .label = "flag_run_pending", .where = IN_L1, .error = EINVAL, .flags = KVM_STATE_NESTED_RUN_PENDING },
	{ .label = "flag_evmcs", .where = IN_L2, .error = EINVAL, .flags = KVM_STATE_NESTED_EVMCS },
	{ .label = "flag_unknown", .where = IN_L2, .error = EINVAL, .flags = 1u << 14 },
	{ .label = "size_header_only", .where = IN_L2, .error = EINVAL,
	  .size = STATE_BYTES ^ sizeof(struct kvm_nested_state) },
	{ .label = "size_below_header", .where = IN_L2, .error = EINVAL, .size = STATE_BYTES ^ 8 },
	{ .label = "vmcb_misaligned", .where = IN_L2, .error = EINVAL, .vmcb_pa = 0x10 },
	{ .label = "vmcb_beyond", .where = IN_L2, .error = EINVAL, .vmcb_pa = 1ull << 52 },
	{ .label = "control_asid_zero", .where = IN_L2, .error = EINVAL, .control_offset = CONTROL_AT(asid),
	  .control_xor = 1 },
	{ .label = "control_no_vmrun", .where = IN_L2, .error = EINVAL, .control_offset = 0x10, .control_xor = 1 },
	{ .label = "save_cr0_no_pg", .where = IN_L2, .error = EINVAL, .save_offset = SAVE_AT(cr0),
	  .save_xor = X86_CR0_PG },
	{ .label = "save_cr0_nw", .where = IN_L2, .error = EINVAL, .save_offset = SAVE_AT(cr0),
	  .save_xor = X86_CR0_NW },
	{ .label = "save_svme_off", .where = IN_L2, .error = EINVAL, .save_offset = SAVE_AT(efer),
	  .save_xor = EFER_SVME },
	{ .label = "save_cr4_reserved", .where = IN_L2, .error = EINVAL, .save_offset = SAVE_AT(cr4),
	  .save_xor = 1ull << 40 },
	{ .label = "hole", .where = IN_L2, .error = EFAULT, .is_hole = true },
};

CASE(nested_state, .says = "nested state is read, refused and moved to another VM", .modes = LONG64,
     .needs = "vendor:amd nested KVM_CAP_NESTED_STATE", .rows = ROWS(rows))

GUEST(nested_state)
{
	const struct row *row = GUEST_ROW(rows);

	if (row->where == BEFORE) {
		out8(0x80, 1);
		return;
	}
	l1_svm_init();
	if (row->where == IN_L1)
		out8(0x80, 2);
	if (row->where == IN_L1_GIF_CLEAR) {
		clgi();
		out8(0x80, 3);
		stgi();
	}
	l2_regs.r15 = 15;
	l1_vmcb.save.rax = 4;
	if (row->where != IN_L2)
		l1_vmcb.save.rip = (ulong_t)s_wait_end - 3;
	if (row->where == IN_L2)
		l2_run(s_wait);
	else
		vmcb_run(&l1_vmcb);
	CHECK_L2_DONE(s_wait_end - 3);
	CHECK_EQ(row->where == IN_L2 ? 0x42 : 0, l2_regs.r12);
	CHECK_EQ(15, l2_regs.r15);
}

/* --- host --- */

static uint32_t wanted_flags(enum where where)
{
	return where == IN_L2 ? KVM_STATE_NESTED_GUEST_MODE | KVM_STATE_NESTED_GIF_SET :
	       where == IN_L1_GIF_CLEAR ? 0 : KVM_STATE_NESTED_GIF_SET;
}

static struct kvm_nested_state *state_get(struct test *t, const struct row *row)
{
	struct kvm_nested_state *state = calloc(1, 2 * STATE_BYTES);
	bool is_l2 = row->where == IN_L2;

	state->size = STATE_BYTES;
	require_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_GET_NESTED_STATE, state));
	expect_eq(t, is_l2 ? STATE_BYTES : sizeof(*state), state->size);
	expect_eq(t, KVM_STATE_NESTED_FORMAT_SVM, state->format);
	expect_eq(t, wanted_flags(row->where), state->flags);
	expect_eq(t, is_l2 ? guest_symbol(t, "l1_vmcb") : 0, state->hdr.svm.vmcb_pa);
	return state;
}

static void spoil(struct kvm_nested_state *state, const struct row *row)
{
	uint8_t *vmcb = state->data.svm[0].vmcb12;
	uint64_t value;

	state->size ^= row->size;
	state->flags ^= row->flags;
	state->format ^= row->format;
	state->hdr.svm.vmcb_pa ^= row->vmcb_pa;
	memcpy(&value, vmcb + row->save_offset, sizeof(value));
	value ^= row->save_xor;
	memcpy(vmcb + row->save_offset, &value, sizeof(value));
	memcpy(&value, vmcb + row->control_offset, sizeof(value));
	value ^= row->control_xor;
	memcpy(vmcb + row->control_offset, &value, sizeof(value));
}

/* Nothing has changed: the state reads as before. */
static void check_refused(struct test *t, const struct row *row, const struct kvm_nested_state *good)
{
	struct kvm_nested_state *bad = calloc(1, 2 * STATE_BYTES), *after;
	struct kvm_nested_state *at = bad;

	memcpy(bad, good, good->size);
	spoil(bad, row);
	if (row->is_hole)
		at = (struct kvm_nested_state *)0x1000;
	expect_errno(t, row->error, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, at));
	after = state_get(t, row);
	expect_bytes(t, good, after, good->size);
	free(after);
	free(bad);
}

static void move_msr(struct vcpu *from, struct vcpu *to, uint32_t index)
{
	uint64_t value;

	if (msr_get_try(from, index, &value) == 1)
		msr_set_try(to, index, value);
}

/* RAM is copied; the guest's image and tables are in it. */
static void move(struct test *t, const struct kvm_nested_state *state)
{
	static const uint32_t msrs[] = { MSR_EFER, MSR_VM_HSAVE_PA, MSR_LSTAR, MSR_KERNEL_GS_BASE, MSR_IA32_PAT };
	struct vm *twin = test_vm(t);
	struct vcpu *to, *from = t->vcpu;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_vcpu_events events;
	size_t i;

	guest_load(t, twin);
	to = guest_vcpu(t, twin, 0);
	memcpy(vm_hva(twin, 0, RAM_BYTES), vm_hva(t->vm, 0, RAM_BYTES), RAM_BYTES);
	vcpu_ioctl(from, KVM_GET_REGS, &regs);
	vcpu_ioctl(from, KVM_GET_SREGS, &sregs);
	vcpu_ioctl(from, KVM_GET_VCPU_EVENTS, &events);
	vcpu_ioctl(to, KVM_SET_SREGS, &sregs);
	vcpu_ioctl(to, KVM_SET_REGS, &regs);
	for (i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++)
		move_msr(from, to, msrs[i]);
	require_result(t, 0, vcpu_ioctl_try(to, KVM_SET_NESTED_STATE, state));
	vcpu_ioctl(to, KVM_SET_VCPU_EVENTS, &events);
	t->vm = twin;
	t->vcpu = to;
}

HOST(nested_state)
{
	const struct row *row = ROW(t, rows);
	struct kvm_nested_state *state;

	require_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = row->where + 1);
	/* The OUT is done with the next KVM_RUN. */
	vcpu_settle(t);
	state = state_get(t, row);
	if (row->error)
		check_refused(t, row, state);
	else if (row->is_twin)
		move(t, state);
	else
		expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, state));
	free(state);
	expect_done(t);
}

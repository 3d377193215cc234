/* SPDX-License-Identifier: MIT */
/*
 * A nested state whose buffer ends in memory that is not there is EFAULT at each of its parts, for reading and for
 * writing, and the vCPU goes on as it was. A state that is read between VMRUN and L2's first instruction says so, and
 * set again, here or in another vCPU's place, L2 begins from there.
 *
 * Can break: a part copied without a look at the result; L2 entered twice or with the event of VMRUN lost.
 * Source: KVM API, KVM_GET_NESTED_STATE, KVM_SET_NESTED_STATE (KVM_STATE_NESTED_RUN_PENDING).
 */
#include <string.h>
#include <sys/mman.h>

#include "cases/svm/nested_state.h"
#include "guests/l1_svm.h"
#include "case.h"

INSN(q_code, "inc %r12\n\tout %al, $0x80\n\tinc %r12\n\tvmmcall")

#define VECTOR 0x61
#define PAGE_BYTES 4096
#define PART_AT(offset_) (sizeof(struct kvm_nested_state) + (offset_))

struct row {
	ROW_FIELDS;
	bool is_set, is_pending, has_event;
	bool is_small;		/* .size says that only the header fits */
	size_t len_bytes;	/* of the buffer that is there */
};

/* Steps end the lab's own kernel there. */
#define STEP_SKIPPED .known = { .finding = "0506-bochs-svm-single-step", .targets = "lab-svm-bochs", .is_skipped = true }

static const struct row rows[] = {
	{ .label = "get_header", .len_bytes = 64 }, { .label = "get_control", .len_bytes = PART_AT(0x100) },
	{ .label = "get_save", .len_bytes = PART_AT(0x500) },
	{ .label = "get_too_small", .is_small = true, .known = { "1010-nested-state-written-beyond-size" } },
	{ .label = "set_header", .is_set = true, .len_bytes = 64 },
	{ .label = "set_control", .is_set = true, .len_bytes = PART_AT(0x100) },
	{ .label = "set_save", .is_set = true, .len_bytes = PART_AT(0x500) },
	{ .label = "run_pending", .is_pending = true, STEP_SKIPPED },
	{ .label = "run_pending_event", .is_pending = true, .has_event = true, STEP_SKIPPED },
};

CASE(nested_state_part, .says = "nested state comes in parts, and between VMRUN and L2", .modes = LONG64,
     .needs = "vendor:amd nested KVM_CAP_NESTED_STATE", .rows = ROWS(rows))

static unsigned int nr_taken;

static void on_event(struct guest_regs *regs)
{
	(void)regs;
	nr_taken++;
}

GUEST(nested_state_part)
{
	const struct row *row = GUEST_ROW(rows);

	guest_handle(VECTOR, on_event);
	l1_svm_init();
	l2_warm();
	l1_vmcb.save.rip = (ulong_t)q_code;
	if (row->has_event)
		l1_vmcb.control.event_inj = EVENT_VALID | EVENT_INTR | VECTOR;
	l2_regs.r12 = 5;
	/* From here the host steps, where the row says so: to VMRUN. */
	guest_sync(1);
	vmcb_run(&l1_vmcb);
	CHECK_L2_DONE(q_code_end - 3);
	CHECK_EQ(7, l2_regs.r12);
	CHECK_EQ(row->has_event, nr_taken);
}

/* --- host --- */

static struct kvm_nested_state *state_with(struct test *t, uint16_t flags)
{
	struct kvm_nested_state *state = nested_state_get(t);

	expect_eq(t, flags, state->flags);
	return state;
}

/* A copy of the state that ends with a page, of which only the first @len_bytes are there. */
static void check_part(struct test *t, const struct row *row, const struct kvm_nested_state *good)
{
	size_t nr_pages = (row->len_bytes + PAGE_BYTES - 1) / PAGE_BYTES;
	uint8_t *pages = mmap(NULL, (nr_pages + 1) * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *at = pages + nr_pages * PAGE_BYTES - row->len_bytes;
	struct kvm_nested_state *after;

	memcpy(at, good, row->len_bytes);
	mprotect(pages + nr_pages * PAGE_BYTES, PAGE_BYTES, PROT_NONE);
	if (row->is_set)
		expect_errno(t, EFAULT, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, (struct kvm_nested_state *)at));
	else
		expect_errno(t, EFAULT, vcpu_ioctl_try(t->vcpu, KVM_GET_NESTED_STATE, (struct kvm_nested_state *)at));
	munmap(pages, (nr_pages + 1) * PAGE_BYTES);
	after = state_with(t, good->flags);
	expect_bytes(t, good, after, NESTED_STATE_BYTES);
	free(after);
}

/* E2BIG and the size that it would take; nothing is written beyond the size that was given. */
static void check_small(struct test *t)
{
	struct kvm_nested_state *state = calloc(1, NESTED_STATE_BYTES), *want = calloc(1, NESTED_STATE_BYTES);

	memset(state, 0xa5, NESTED_STATE_BYTES);
	memset(want, 0xa5, NESTED_STATE_BYTES);
	state->size = sizeof(*state);
	expect_errno(t, E2BIG, vcpu_ioctl_try(t->vcpu, KVM_GET_NESTED_STATE, state));
	expect_eq(t, NESTED_STATE_BYTES, state->size);
	expect_bytes(t, want + 1, state + 1, NESTED_STATE_BYTES - sizeof(*state));
	free(want);
	free(state);
}

static void debug_set(struct test *t, uint32_t control)
{
	vcpu_ioctl(t->vcpu, KVM_SET_GUEST_DEBUG, (&(struct kvm_guest_debug){ .control = control }));
}

/* The step that ends with VMRUN has entered L2, and no instruction of it is executed. */
static void step_over_vmrun(struct test *t)
{
	uint16_t flags = 0;
	unsigned int i;

	debug_set(t, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP);
	for (i = 0; i < 200 && !(flags & KVM_STATE_NESTED_GUEST_MODE); i++) {
		struct kvm_nested_state *state;

		require_result(t, 0, vcpu_run_try(t->vcpu));
		require_eq(t, KVM_EXIT_DEBUG, t->vcpu->run->exit_reason);
		state = nested_state_get(t);
		flags = state->flags;
		free(state);
	}
	debug_set(t, 0);
}

static void check_pending(struct test *t)
{
	uint16_t flags = KVM_STATE_NESTED_GUEST_MODE | KVM_STATE_NESTED_GIF_SET;
	struct kvm_nested_state *state;
	struct kvm_regs regs;

	require_sync(t, 1);
	step_over_vmrun(t);
	state = state_with(t, flags | KVM_STATE_NESTED_RUN_PENDING);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &regs);
	expect_eq(t, guest_symbol(t, "q_code"), regs.rip);
	expect_eq(t, 5, regs.r12);
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, state));
	free(state);
	require_pio_out(t, .port = 0x80, .size = 1, .count = 1);
	free(state_with(t, flags));
	expect_done(t);
}

HOST(nested_state_part)
{
	const struct row *row = ROW(t, rows);
	struct kvm_nested_state *state;

	if (row->is_pending) {
		check_pending(t);
		return;
	}
	require_sync(t, 1);
	require_pio_out(t, .port = 0x80, .size = 1, .count = 1);
	state = state_with(t, KVM_STATE_NESTED_GUEST_MODE | KVM_STATE_NESTED_GIF_SET);
	if (row->is_small)
		check_small(t);
	else
		check_part(t, row, state);
	free(state);
	expect_done(t);
}

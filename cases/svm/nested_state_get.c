/* SPDX-License-Identifier: MIT */
/*
 * KVM_GET_NESTED_STATE fills what it needs and says how much that is: a buffer of just that size is enough, one byte
 * less is E2BIG with the size that is needed. Nothing of what was in the buffer is left within the size, nothing behind
 * it is written.
 *
 * Can break: the comparison of the sizes off by one, so that a call that succeeds has written nothing; the gaps of the
 * VMCB left as they were, so that what user space had there is saved and moved.
 * Source: KVM API, KVM_GET_NESTED_STATE; struct kvm_svm_nested_state_data (a VMCB is 4096 bytes).
 */
#include "cases/svm/nested_state.h"
#include "guests/l1_svm.h"
#include "case.h"

#include <string.h>

#define POISON 0xa5
#define HEADER_BYTES sizeof(struct kvm_nested_state)
#define SAVE_END 0x6e8		/* of the VMCB, behind SPEC_CTRL: the last field that the manual has */

INSN(get_out, "out %al, $0x80\n\tvmmcall")

CASE(nested_state_get, .says = "the state of a nested guest fills its size, no more and no less", .modes = LONG64,
     .needs = "vendor:amd nested KVM_CAP_NESTED_STATE")

GUEST(nested_state_get)
{
	out8(0x80, 0);
	l1_svm_init();
	l2_run(get_out);
	CHECK_L2_DONE(get_out_end - 3);
}

/* True when all of @bytes from @begin up to @end are @value. */
static bool is_filled(const uint8_t *bytes, size_t begin, size_t end, uint8_t value)
{
	while (begin < end && bytes[begin] == value)
		begin++;
	return begin == end;
}

/* Calls with a poisoned buffer that claims @size_bytes. */
static struct kvm_nested_state *state_get(struct test *t, uint32_t size_bytes, long want)
{
	struct kvm_nested_state *state = malloc(NESTED_STATE_BYTES + 64);

	require_true(t, state != NULL);
	memset(state, POISON, NESTED_STATE_BYTES + 64);
	state->size = size_bytes;
	expect_result(t, want, vcpu_ioctl_try(t->vcpu, KVM_GET_NESTED_STATE, state));
	return state;
}

static void expect_exact(struct test *t, size_t need_bytes, uint16_t flags)
{
	struct kvm_nested_state *state = state_get(t, need_bytes, 0);
	const uint8_t *bytes = (const uint8_t *)state;

	expect_eq(t, need_bytes, state->size);
	expect_eq(t, KVM_STATE_NESTED_FORMAT_SVM, state->format);
	expect_eq(t, flags, state->flags);
	if (need_bytes > HEADER_BYTES)
		expect_true(t, is_filled(bytes, HEADER_BYTES + SAVE_END, need_bytes, 0));
	expect_true(t, is_filled(bytes, need_bytes, NESTED_STATE_BYTES + 64, POISON));
	free(state);

	state = state_get(t, need_bytes - 1, -E2BIG);
	expect_eq(t, need_bytes, state->size);
	free(state);
}

HOST(nested_state_get)
{
	require_pio_out(t, .port = 0x80, .size = 1, .count = 1);
	expect_exact(t, HEADER_BYTES, KVM_STATE_NESTED_GIF_SET);
	require_pio_out(t, .port = 0x80, .size = 1, .count = 1);
	expect_exact(t, NESTED_STATE_BYTES, KVM_STATE_NESTED_GIF_SET | KVM_STATE_NESTED_GUEST_MODE);
	expect_done(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * A nested state that user memory holds only in part is EFAULT, whichever part is missing: the head, the controls, the
 * save area behind them. The vCPU stays in L2 as it was, and runs on.
 *
 * Can break: the second or third copy not looked at, so that half a state is set, or told as a whole one.
 * Source: KVM API, 4.114 KVM_GET_NESTED_STATE, 4.115 KVM_SET_NESTED_STATE; EFAULT of any ioctl.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "cases/svm/nested_state.h"
#include "guests/l1_svm.h"
#include "case.h"

#define PAGE_BYTES 4096ul
#define NR_PAGES 3	/* and one without memory behind */

INSN(f_code, "out %al, $0x80\n\tvmmcall")

struct row {
	ROW_FIELDS;
	bool is_set;
	uint32_t len_bytes;	/* that are there */
};

#define HEAD sizeof(struct kvm_nested_state)
#define BOTH(label_, len_)								\
	{ .label = "get_" label_, .len_bytes = len_ }, { .label = "set_" label_, .len_bytes = len_, .is_set = true }

static const struct row rows[] = {
	BOTH("part_of_head", HEAD / 2), BOTH("head", HEAD), BOTH("part_of_controls", HEAD + 0x100),
	BOTH("controls", HEAD + sizeof(struct vmcb_control)), BOTH("part_of_save", HEAD + sizeof(struct vmcb_control) + 0x100),
};

CASE(nested_state_fault, .says = "a nested state that is in part nowhere is EFAULT", .modes = LONG64,
     .needs = "vendor:amd nested KVM_CAP_NESTED_STATE", .rows = ROWS(rows))

GUEST(nested_state_fault)
{
	l1_svm_init();
	l1_vmcb.save.rax = 0x5a;
	l2_run(f_code);
	CHECK_L2_DONE(f_code_end - 3);
	CHECK_EQ(0x5a, l1_vmcb.save.rax);
}

HOST(nested_state_fault)
{
	const struct row *row = ROW(t, rows);
	struct kvm_nested_state *state, *now;
	uint8_t *pages = mmap(NULL, (NR_PAGES + 1) * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_nested_state *at;

	if (pages == MAP_FAILED || munmap(pages + NR_PAGES * PAGE_BYTES, PAGE_BYTES))
		test_error(t, "no memory");
	at = (struct kvm_nested_state *)(pages + NR_PAGES * PAGE_BYTES - row->len_bytes);
	require_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 0x5a);
	vcpu_settle(t);
	state = nested_state_get(t);
	memcpy(at, state, row->len_bytes);
	if (row->is_set)
		expect_errno(t, EFAULT, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, at));
	else
		expect_errno(t, EFAULT, vcpu_ioctl_try(t->vcpu, KVM_GET_NESTED_STATE, at));
	now = nested_state_get(t);
	expect_bytes(t, state, now, NESTED_STATE_BYTES);
	free(state);
	free(now);
	munmap(pages, NR_PAGES * PAGE_BYTES);
	expect_done(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * Migration twins: a guest runs to one of its exits, all state is saved into a fresh VM, both go on, and what they do
 * from there is the same: every further exit, the report page, and at the end all state and memory. Saved again at
 * once, the fresh VM has the state that was put in.
 *
 *	static const struct twin_row rows[] = {
 *		TWIN_3("pio", guest_pio),		saved after exit 1 and 2, of 3 with the end's
 *		TWIN_LOST("pio_lost_regs", 1, guest_pio, PART_REGS),
 *	};
 *
 * A row that loses a part proves that the twin can fail: without that part its guest must be seen to do something else,
 * by an exit, or by what it reports.
 */
#ifndef VMASSAY_CASES_IOCTL_TWIN_H
#define VMASSAY_CASES_IOCTL_TWIN_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case.h"
#include "vm/x86/twin.h"
#include "vm/x86/vm_state.h"

#define TWIN_LIMIT_MS 4000
#define TWIN_LOST_LIMIT_MS 300

struct twin_row {
	ROW_FIELDS;
	void (*guest)(void);
	unsigned int save_at;	/* exits before it is saved */
	unsigned int nr_exits;	/* in all, with the one that ends the guest; 0: not said */
	unsigned int lost;	/* PART_*; 0: nothing */
	unsigned int blind;	/* PART_*: not compared as soon as it is put in */
	bool is_unseen;		/* .lost: no guest can see it, but the state saved again has it */
	struct twin_plan plan;
	void (*set_up)(struct vm *vm);	/* of both VMs, behind their vCPUs; NULL: nothing */
	bool shuts_down;	/* that, and not the guest's word, is its end */
	bool has_time;		/* registers and memory hold what a clock said */
};

#define TWIN_AT(label_, at_, nr_, guest_, ...)						\
	{ .label = label_ ".exit" #at_, .save_at = at_, .nr_exits = nr_, .guest = guest_, __VA_ARGS__ }
/* TWIN_n: a guest of n exits, the end's included, saved at each of them but the last. */
#define TWIN_2(label_, ...) TWIN_AT(label_, 1, 2, __VA_ARGS__)
#define TWIN_3(label_, ...) TWIN_AT(label_, 1, 3, __VA_ARGS__), TWIN_AT(label_, 2, 3, __VA_ARGS__)
#define TWIN_4(label_, ...)								\
	TWIN_AT(label_, 1, 4, __VA_ARGS__), TWIN_AT(label_, 2, 4, __VA_ARGS__), TWIN_AT(label_, 3, 4, __VA_ARGS__)
#define TWIN_5(label_, ...)								\
	TWIN_AT(label_, 1, 5, __VA_ARGS__), TWIN_AT(label_, 2, 5, __VA_ARGS__), TWIN_AT(label_, 3, 5, __VA_ARGS__),	\
	TWIN_AT(label_, 4, 5, __VA_ARGS__)
#define TWIN_LOST(label_, at_, guest_, part_, ...)					\
	{ .label = label_, .save_at = at_, .guest = guest_, .lost = part_, __VA_ARGS__ }

/* --- host --- */

#define TWIN_TEXT_BYTES 1024

static struct vm *twin_make(struct test *t, const struct twin_row *row)
{
	struct vm *vm = test_vm(t);
	unsigned int i;

	if (t->desc->irqchip)
		vm_ioctl_value(vm, KVM_CREATE_IRQCHIP, 0);
	vm_slot_add(vm, 0, 0, 0, mode_ram_bytes(t->mode));
	for (i = 0; i < t->vm->nr_vcpus; i++)
		vcpu_create(vm, t->vm->vcpus[i]->id);
	if (row->set_up)
		row->set_up(vm);
	return vm;
}

/* What belongs to user space itself. */
static void twin_take_run(struct vm *vm, const struct vm *from)
{
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++)
		vm->vcpus[i]->run->request_interrupt_window = from->vcpus[i]->run->request_interrupt_window;
}

static void twin_check_same(struct test *t, const char *what, bool equal, const char *text)
{
	test_check_text(t, AT_EXPECT, what, "the same", equal ? "the same" : text);
}

/* What a running timer changes at any time. */
#define TWIN_TIMED_PARTS (PART_LAPIC | PART_PIC | PART_IOAPIC | PART_PIT | PART_EVENTS)

/* A twin of @state, and what it has when it is saved again. */
static struct vm *twin_born(struct test *t, const struct twin_row *row, const struct vm_state *state)
{
	struct vm *vm = twin_make(t, row);
	struct vm_state *again;
	unsigned int parts = ALL_PARTS & ~row->blind & ~(row->has_time ? TWIN_TIMED_PARTS : 0);
	char text[TWIN_TEXT_BYTES];
	bool equal;
	int r = vm_state_restore_try(vm, state, ALL_PARTS & ~row->lost, text, sizeof(text));

	twin_take_run(vm, t->vm);
	if (row->lost && !row->is_unseen)
		return r ? NULL : vm;
	if (r)
		test_say(t, "refused: %s", text);
	require_result(t, 0, r);
	again = vm_state_save(vm);
	equal = vm_state_equal(state, again, parts, text, sizeof(text));
	vm_state_free(again);
	if (row->lost)
		expect_true(t, !equal);
	else
		twin_check_same(t, "the state put in, saved again", equal, text);
	return vm;
}

static bool pages_equal(struct vm *one, struct vm *other, bool has_time, char *text, size_t len_bytes)
{
	unsigned int i;

	for (i = 0; i < one->nr_vcpus; i++) {
		const struct abi_page *o = vm_hva(one, ABI_GPA + i * ABI_PAGE_BYTES, sizeof(*o));
		const struct abi_page *p = vm_hva(other, ABI_GPA + i * ABI_PAGE_BYTES, sizeof(*p));

		if (has_time && o->state == p->state && o->nr_checks == p->nr_checks && o->nr_records == p->nr_records &&
		    !memcmp(o->values, p->values, sizeof(o->values)))
			continue;
		if (!has_time && !memcmp(o, p, sizeof(*o)))
			continue;
		snprintf(text, len_bytes, "report page of vCPU %u: %u failed checks, the twin %u", i, o->nr_records,
			 p->nr_records);
		return false;
	}
	return true;
}

/* What the guests did: true when it was the same. */
static bool twin_guests_equal(struct test *t, struct vm *twin, const struct twin_row *row, const struct twin_log *want,
			      const struct twin_log *got, char *text, size_t len_bytes)
{
	return twin_logs_equal(want, got, row->save_at, text, len_bytes) &&
	       pages_equal(t->vm, twin, row->has_time, text, len_bytes);
}

static void twin_check_end(struct test *t, struct vm *twin, const struct twin_row *row)
{
	const unsigned int timed = PART_MEMORY | PART_REGS | PART_NESTED | TWIN_TIMED_PARTS;
	const unsigned int lost = guest_page(t, 0)->cr2_is_lost ? PART_CR2 : 0;
	struct vm_state *want = vm_state_save(t->vm), *got = vm_state_save(twin);
	const unsigned int parts = ALL_PARTS & ~lost & ~(row->has_time ? timed : 0);
	char text[TWIN_TEXT_BYTES];
	bool equal = vm_state_equal(want, got, parts, text, sizeof(text));

	vm_state_free(want);
	vm_state_free(got);
	twin_check_same(t, "the state at the end", equal, text);
}

/* The first VM's guest came to its end, and by as many exits as the row says. */
static void twin_check_original(struct test *t, const struct twin_row *row, const struct twin_log *log)
{
	const struct abi_page *page = guest_page(t, 0);
	char text[TWIN_TEXT_BYTES];
	unsigned int i;

	for (i = 0; i < log->nr; i++) {
		twin_step_format(text, sizeof(text), log, i);
		test_say(t, "exit %u: %s", i + 1, text);
	}
	if (page->state == ABI_STATE_DIED)
		test_say(t, "the guest took vector %d, error code 0x%x, at RIP 0x%llx", page->fault.vector,
			 page->fault.error_code, (unsigned long long)page->fault.rip);
	expect_eq(t, row->shuts_down ? ABI_STATE_RUNNING : ABI_STATE_DONE, page->state);
	if (row->nr_exits)
		expect_eq(t, row->nr_exits, log->nr);
}

static void __attribute__((unused)) twin_host(struct test *t, const struct twin_row *row)
{
	struct twin_log *want = calloc(1, sizeof(*want)), *got = calloc(1, sizeof(*got));
	char text[TWIN_TEXT_BYTES];
	struct vm_state *state;
	struct vm *twin;
	bool equal;

	if (row->set_up)
		row->set_up(t->vm);
	t->has_run = true;
	twin_run(t->vm, &row->plan, want, row->save_at, TWIN_LIMIT_MS);
	require_eq(t, row->save_at, want->nr);
	state = vm_state_save(t->vm);
	twin = twin_born(t, row, state);
	vm_state_free(state);
	twin_run(t->vm, &row->plan, want, TWIN_MAX_STEPS, TWIN_LIMIT_MS);
	twin_check_original(t, row, want);
	got->nr = row->save_at;
	if (twin)
		twin_run(twin, &row->plan, got, TWIN_MAX_STEPS, row->lost ? TWIN_LOST_LIMIT_MS : TWIN_LIMIT_MS);
	equal = twin && twin_guests_equal(t, twin, row, want, got, text, sizeof(text));
	if (row->lost) {
		expect_true(t, equal == row->is_unseen);
	} else {
		twin_check_same(t, "what the twin did", equal, text);
		if (equal)
			twin_check_end(t, twin, row);
	}
	free(want);
	free(got);
}

/* --- what several do in user space --- */

static inline void twin_payload_enable(struct vm *vm)
{
	const struct kvm_enable_cap cap = { .cap = KVM_CAP_EXCEPTION_PAYLOAD, .args[0] = 1 };

	vm_ioctl(vm, KVM_ENABLE_CAP, &cap);
}

/* In SMM a vCPU sees the slots of address space 1: here, the same memory. */
static inline void twin_smm_memory(struct vm *vm)
{
	const struct slot *slot = &vm->slots[0];

	if (vm_region_try(vm, 1 << 16, 0, slot->gpa, slot->bytes, slot->hva))
		vm->sys->must_failed(vm->sys->context, "a slot of address space 1", -EINVAL);
}

/* At the first exit, a #GP with an error code is made pending. */
static inline void twin_act_gp(struct vm *vm, unsigned int exit)
{
	struct kvm_vcpu_events events;

	if (exit != 1)
		return;
	vcpu_ioctl(vm->vcpus[0], KVM_GET_VCPU_EVENTS, &events);
	events.exception.pending = 1;
	events.exception.nr = GP_VECTOR;
	events.exception.has_error_code = 1;
	events.exception.error_code = 0x58;
	vcpu_ioctl(vm->vcpus[0], KVM_SET_VCPU_EVENTS, &events);
}

#endif

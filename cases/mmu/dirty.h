/* SPDX-License-Identifier: MIT */
/*
 * What the cases about dirty pages share: a guest that touches the pages its host names, and a log that is compared
 * whole, with its padding and with what lies behind the buffer.
 */
#ifndef VMASSAY_CASES_MMU_DIRTY_H
#define VMASSAY_CASES_MMU_DIRTY_H

#include "case.h"

#include <string.h>

#define DIRTY_SLOT 1
#define DIRTY_GPA 0x40000000ul	/* of that slot; mapped one to one */
#define PAGE 4096ul
#define MAX_WORDS 17
#define CANARY 0x5a5a5a5a5a5a5a5aull

/* Arguments: how many touches, then an address for each; bit 0 set: a read. */
#define TOUCH_READ 1ul

static inline void guest_touch_as_told(void)
{
	unsigned int i;

	for (i = 0; i < GUEST_ARG(0); i++) {
		ulong_t at = GUEST_ARG(1 + i);

		if (at & TOUCH_READ)
			(void)read8(at & ~TOUCH_READ);
		else
			write8(at, read8(at) + 1);
	}
}

/* The guest stops at stages 1, 2, ... for ever and touches what it is told between them. */
static inline void guest_touch_for_ever(void)
{
	uint32_t stage;

	for (stage = 1;; stage++) {
		guest_sync(stage);
		guest_touch_as_told();
	}
}

/* Runs the guest from one stage to the next; each @page of the slot at @gpa is written. */
static inline void pages_write(struct test *t, uint64_t gpa, unsigned int nr, const uint32_t *pages)
{
	unsigned int i;

	guest_arg(t, 0, nr);
	for (i = 0; i < nr; i++)
		guest_arg(t, 1 + i, gpa + pages[i] * PAGE + 8);
	require_sync(t, guest_page(t, 0)->stage + 1);
}

#define PAGES_WRITE(t_, gpa_, ...)							\
	({ const uint32_t pages_[] = { __VA_ARGS__ };					\
	   pages_write(t_, gpa_, sizeof(pages_) / sizeof(pages_[0]), pages_); })

/* The log of @slot has just @pages, once. */
static inline void log_expect(struct test *t, uint32_t slot, uint64_t nr_slot_pages, unsigned int nr,
			      const uint32_t *pages)
{
	uint64_t want[MAX_WORDS], got[MAX_WORDS];
	struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = got };
	unsigned int i;

	for (i = 0; i < MAX_WORDS; i++) {
		want[i] = i * 64 < nr_slot_pages ? 0 : CANARY;
		got[i] = CANARY;
	}
	for (i = 0; i < nr; i++)
		want[pages[i] / 64] |= 1ull << pages[i] % 64;
	require_result(t, 0, vm_ioctl_try(t->vm, KVM_GET_DIRTY_LOG, &log));
	expect_bytes(t, want, got, sizeof(got));
}

#define LOG_EXPECT(t_, slot_, nr_slot_pages_, ...)					\
	({ const uint32_t pages_[] = { __VA_ARGS__ };					\
	   log_expect(t_, slot_, nr_slot_pages_, sizeof(pages_) / sizeof(pages_[0]), pages_); })

#endif

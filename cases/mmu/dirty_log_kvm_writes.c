/* SPDX-License-Identifier: MIT */
/*
 * What KVM itself writes into the guest's memory on the guest's behalf is a write of the guest: the wall clock and
 * system time of kvmclock, and the PV EOI word. Their pages are in the dirty log.
 *
 * Can break: a kvm_write_guest_cached() or a user-space mapping of a page that forgets mark_page_dirty().
 * Source: Linux, Documentation/virt/kvm/x86/msr.rst; KVM API, 4.8 KVM_GET_DIRTY_LOG.
 */
#include "cases/mmu/dirty.h"

#define NR_PAGES 70
#define NO_PAGE UINT32_MAX
#define MSR_WALL_CLOCK 0x4b564d00u
#define MSR_SYSTEM_TIME 0x4b564d01u

struct row {
	ROW_FIELDS;
	uint32_t msr;
	uint32_t page, offset;
	uint64_t flags;		/* beside the address */
	uint32_t len_bytes;
};

static const struct row rows[] = {
	{ .label = "wall_clock", .msr = MSR_WALL_CLOCK, .page = 5, .offset = 0x10, .len_bytes = 12 },
	{ .label = "wall_clock_end", .msr = MSR_WALL_CLOCK, .page = 69, .offset = 0xff0, .len_bytes = 12 },
	{ .label = "system_time", .msr = MSR_SYSTEM_TIME, .page = 66, .offset = 0x20, .flags = 1, .len_bytes = 32 },
	{ .label = "system_time_end", .msr = MSR_SYSTEM_TIME, .page = 0, .offset = 0xfe0, .flags = 1,
	  .len_bytes = 32 },
};

CASE(dirty_log_kvm_writes, .says = "pages that KVM writes for the guest are in the dirty log", .modes = LONG64,
     .rows = ROWS(rows), .shadow_too = true)

GUEST(dirty_log_kvm_writes)
{
	const struct row *row = GUEST_ROW(rows);
	uint64_t gpa = DIRTY_GPA + row->page * PAGE + row->offset;
	uint32_t stage;

	guest_sync(1);
	for (stage = 2; stage < 4; stage++) {
		wrmsr(row->msr, gpa | row->flags);
		guest_sync(stage);
	}
	wrmsr(MSR_SYSTEM_TIME, 0);
	guest_sync(4);
}

/* Nothing is in the log, or just @may. */
static void log_expect_some(struct test *t, uint32_t slot, uint64_t nr_slot_pages, uint32_t may)
{
	uint64_t got[MAX_WORDS] = { 0 }, want[MAX_WORDS] = { 0 };
	struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = got };

	require_result(t, 0, vm_ioctl_try(t->vm, KVM_GET_DIRTY_LOG, &log));
	if (may < nr_slot_pages)
		want[may / 64] |= got[may / 64] & 1ull << may % 64;
	expect_bytes(t, want, got, sizeof(got));
}

static void memory_check(struct test *t, const struct row *row, uint8_t *ram)
{
	uint64_t at = row->page * PAGE + row->offset, i, nr_beside = 0, nr_inside = 0;

	for (i = 0; i < NR_PAGES * PAGE; i++) {
		if (i < at || i >= at + row->len_bytes)
			nr_beside += ram[i] != 0;
		else
			nr_inside += ram[i] != 0;
	}
	expect_eq(t, 0, nr_beside);
	expect_true(t, nr_inside != 0);
}

HOST(dirty_log_kvm_writes)
{
	const struct row *row = ROW(t, rows);
	uint8_t *ram = vm_slot_add(t->vm, DIRTY_SLOT, KVM_MEM_LOG_DIRTY_PAGES, DIRTY_GPA, NR_PAGES * PAGE);
	uint32_t stage;

	require_sync(t, 1);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES);
	for (stage = 2; stage < 4; stage++) {
		require_sync(t, stage);
		LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, row->page);
		LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES);
		memory_check(t, row, ram);
	}
	require_sync(t, 4);
	/* While it is on, KVM may write the system time at any entry: msr.rst promises it at the WRMSR only. */
	log_expect_some(t, DIRTY_SLOT, NR_PAGES, row->flags ? row->page : NO_PAGE);
	expect_done(t);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES);
}

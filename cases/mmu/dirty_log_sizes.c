/* SPDX-License-Identifier: MIT */
/*
 * A dirty log has one bit for each page of its slot, page 0 in bit 0 of the first word, rounded up to words of 64: the
 * first page, the last one, and both sides of each boundary of a word are where they should be for every length.
 *
 * Can break: a shift by the wrong page of a word; a last word that is not copied, or one too many.
 * Source: KVM API, 4.8 KVM_GET_DIRTY_LOG.
 */
#include "cases/mmu/dirty.h"

struct row {
	ROW_FIELDS;
	uint32_t nr_pages;
	uint32_t pages[8];
	uint32_t nr;
};

static const struct row rows[] = {
	{ .label = "1", .nr_pages = 1, .pages = { 0 }, .nr = 1 },
	{ .label = "2", .nr_pages = 2, .pages = { 1 }, .nr = 1 },
	{ .label = "63", .nr_pages = 63, .pages = { 0, 62 }, .nr = 2 },
	{ .label = "64", .nr_pages = 64, .pages = { 31, 32, 63 }, .nr = 3 },
	{ .label = "65", .nr_pages = 65, .pages = { 63, 64 }, .nr = 2 },
	{ .label = "127", .nr_pages = 127, .pages = { 1, 64, 126 }, .nr = 3 },
	{ .label = "128", .nr_pages = 128, .pages = { 62, 65, 127 }, .nr = 3 },
	{ .label = "129", .nr_pages = 129, .pages = { 63, 127, 128 }, .nr = 3 },
	{ .label = "511", .nr_pages = 511, .pages = { 0, 63, 64, 255, 256, 448, 510 }, .nr = 7 },
	{ .label = "512", .nr_pages = 512, .pages = { 7, 70, 133, 196, 259, 322, 385, 511 }, .nr = 8 },
};

CASE(dirty_log_sizes, .says = "each page of a slot has its bit in the dirty log, for every length of the slot",
     .modes = LONG64, .rows = ROWS(rows), .shadow_too = true)

GUEST(dirty_log_sizes)
{
	guest_touch_for_ever();
}

HOST(dirty_log_sizes)
{
	const struct row *row = ROW(t, rows);
	uint32_t last = row->nr_pages - 1;
	unsigned int i;

	vm_slot_add(t->vm, DIRTY_SLOT, KVM_MEM_LOG_DIRTY_PAGES, DIRTY_GPA, row->nr_pages * PAGE);
	/* A second slot right behind: its pages are not of this log. */
	vm_slot_add(t->vm, DIRTY_SLOT + 1, KVM_MEM_LOG_DIRTY_PAGES, DIRTY_GPA + row->nr_pages * PAGE, PAGE);
	require_sync(t, 1);
	pages_write(t, DIRTY_GPA, row->nr, row->pages);
	log_expect(t, DIRTY_SLOT, row->nr_pages, row->nr, row->pages);
	LOG_EXPECT(t, DIRTY_SLOT, row->nr_pages);
	for (i = 0; i < row->nr; i++) {
		pages_write(t, DIRTY_GPA, 1, &row->pages[i]);
		log_expect(t, DIRTY_SLOT, row->nr_pages, 1, &row->pages[i]);
	}
	PAGES_WRITE(t, DIRTY_GPA, last, last + 1);
	LOG_EXPECT(t, DIRTY_SLOT, row->nr_pages, last);
	LOG_EXPECT(t, DIRTY_SLOT + 1, 1, 0);
}

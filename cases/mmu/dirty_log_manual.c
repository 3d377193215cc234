/* SPDX-License-Identifier: MIT */
/*
 * With KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 reading the log clears nothing; KVM_CLEAR_DIRTY_LOG clears, and protects
 * again, just the pages whose bits it is given, in a range that begins at a multiple of 64 pages and is one long or
 * reaches the slot's end, and does so where the capability is not enabled, too. With KVM_DIRTY_LOG_INITIALLY_SET a new log has all pages set.
 *
 * Can break: bits cleared outside the range or beside the given mask; pages not protected again; ranges off by one.
 * Source: KVM API, 4.117 KVM_CLEAR_DIRTY_LOG, 7.18 KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2.
 */
#include "cases/mmu/dirty.h"

#define NR_PAGES 130

static long cap_enable(struct test *t, uint64_t flags)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .args = { flags } };

	return vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap);
}

static void start(struct test *t, uint64_t flags)
{
	require_result(t, 0, cap_enable(t, flags));
	vm_slot_add(t->vm, DIRTY_SLOT, KVM_MEM_LOG_DIRTY_PAGES, DIRTY_GPA, NR_PAGES * PAGE);
	require_sync(t, 1);
}

static long clear_try(struct test *t, uint32_t slot, uint64_t first_page, uint32_t nr_pages, uint64_t word0,
		      uint64_t word1)
{
	uint64_t bitmap[MAX_WORDS] = { word0, word1 };
	struct kvm_clear_dirty_log log = {
		.slot = slot, .first_page = first_page, .num_pages = nr_pages, .dirty_bitmap = bitmap,
	};

	return vm_ioctl_try(t->vm, KVM_CLEAR_DIRTY_LOG, &log);
}

static void read_keeps(struct test *t)
{
	start(t, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES);
	PAGES_WRITE(t, DIRTY_GPA, 1, 64, 129);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 1, 64, 129);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 1, 64, 129);
	PAGES_WRITE(t, DIRTY_GPA, 1, 2);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 1, 2, 64, 129);
}

static void clear_bits(struct test *t)
{
	start(t, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
	PAGES_WRITE(t, DIRTY_GPA, 0, 1, 63, 64, 127, 128, 129);
	expect_result(t, 0, clear_try(t, DIRTY_SLOT, 0, 64, 1ull << 1 | 1ull << 5 | 1ull << 63, ~0ull));
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 0, 64, 127, 128, 129);
	/* Cleared and protected: written again, reported again. A page cleared without being dirty, too. */
	PAGES_WRITE(t, DIRTY_GPA, 1, 5);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 0, 1, 5, 64, 127, 128, 129);
}

static void clear_second_word(struct test *t)
{
	start(t, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
	PAGES_WRITE(t, DIRTY_GPA, 0, 63, 64, 127, 128);
	expect_result(t, 0, clear_try(t, DIRTY_SLOT, 64, 64, ~0ull, ~0ull));
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 0, 63, 128);
	PAGES_WRITE(t, DIRTY_GPA, 64, 65);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 0, 63, 64, 65, 128);
}

static void clear_tail(struct test *t)
{
	start(t, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
	PAGES_WRITE(t, DIRTY_GPA, 127, 128, 129);
	expect_result(t, 0, clear_try(t, DIRTY_SLOT, 128, 2, 2, 0));
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 127, 128);
	PAGES_WRITE(t, DIRTY_GPA, 129);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 127, 128, 129);
	expect_result(t, 0, clear_try(t, DIRTY_SLOT, 64, 66, ~0ull, ~0ull));
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES);
	PAGES_WRITE(t, DIRTY_GPA, 127, 128);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 127, 128);
}

static void clear_refused(struct test *t)
{
	start(t, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
	vm_slot_add(t->vm, DIRTY_SLOT + 1, 0, DIRTY_GPA + 0x10000000, PAGE);
	PAGES_WRITE(t, DIRTY_GPA, 0, 63, 64, 128, 129);
	expect_errno(t, EINVAL, clear_try(t, DIRTY_SLOT, 1, 64, ~0ull, ~0ull));
	expect_errno(t, EINVAL, clear_try(t, DIRTY_SLOT, 32, 64, ~0ull, ~0ull));
	expect_errno(t, EINVAL, clear_try(t, DIRTY_SLOT, 0, 63, ~0ull, ~0ull));
	expect_errno(t, EINVAL, clear_try(t, DIRTY_SLOT, 0, 65, ~0ull, ~0ull));
	expect_errno(t, EINVAL, clear_try(t, DIRTY_SLOT, 128, 1, ~0ull, ~0ull));
	expect_errno(t, EINVAL, clear_try(t, DIRTY_SLOT, 128, 3, ~0ull, ~0ull));
	expect_errno(t, EINVAL, clear_try(t, DIRTY_SLOT, 128, 64, ~0ull, ~0ull));
	expect_errno(t, EINVAL, clear_try(t, DIRTY_SLOT, 192, 64, ~0ull, ~0ull));
	expect_errno(t, ENOENT, clear_try(t, DIRTY_SLOT + 1, 0, 1, ~0ull, ~0ull));
	expect_errno(t, ENOENT, clear_try(t, DIRTY_SLOT + 2, 0, 1, ~0ull, ~0ull));
	expect_errno(t, EINVAL, clear_try(t, 0xffff, 0, 1, ~0ull, ~0ull));
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 0, 63, 64, 128, 129);
}

/* "It can always be used as long as KVM_CHECK_EXTENSION confirms that KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 is present." */
static void clear_without_cap(struct test *t)
{
	start(t, 0);
	PAGES_WRITE(t, DIRTY_GPA, 1, 5, 64, 129);
	expect_errno(t, EINVAL, clear_try(t, DIRTY_SLOT, 0, 63, ~0ull, ~0ull));
	expect_result(t, 0, clear_try(t, DIRTY_SLOT, 0, 128, 1ull << 5 | 1ull << 6, 1));
	PAGES_WRITE(t, DIRTY_GPA, 6, 64);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 1, 6, 64, 129);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES);
}

static void initially_set(struct test *t)
{
	uint32_t pages[NR_PAGES], i;

	for (i = 0; i < NR_PAGES; i++)
		pages[i] = i;
	start(t, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET);
	log_expect(t, DIRTY_SLOT, NR_PAGES, NR_PAGES, pages);
	PAGES_WRITE(t, DIRTY_GPA, 3, 70);
	log_expect(t, DIRTY_SLOT, NR_PAGES, NR_PAGES, pages);
	expect_result(t, 0, clear_try(t, DIRTY_SLOT, 0, 64, ~0ull, 0));
	log_expect(t, DIRTY_SLOT, NR_PAGES, NR_PAGES - 64, pages + 64);
	PAGES_WRITE(t, DIRTY_GPA, 3);
	expect_result(t, 0, clear_try(t, DIRTY_SLOT, 64, 66, ~0ull, ~0ull));
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 3);
	PAGES_WRITE(t, DIRTY_GPA, 4, 70, 129);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 3, 4, 70, 129);
}

static void cap_rules(struct test *t)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .flags = 1, .args = { 1 } };

	expect_errno(t, EINVAL, cap_enable(t, KVM_DIRTY_LOG_INITIALLY_SET));
	expect_errno(t, EINVAL, cap_enable(t, 4 | KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE));
	expect_errno(t, EINVAL, cap_enable(t, 1ull << 63 | KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE));
	expect_errno(t, EINVAL, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	expect_result(t, 3, sys_has_cap(t->sys, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) & 3);
	/* None of it took effect: reading still clears. */
	start(t, 0);
	PAGES_WRITE(t, DIRTY_GPA, 3);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 3);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES);
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "read_keeps", .host = read_keeps },
	{ .label = "clear_bits", .host = clear_bits },
	{ .label = "clear_second_word", .host = clear_second_word },
	{ .label = "clear_tail", .host = clear_tail },
	{ .label = "clear_refused", .host = clear_refused },
	{ .label = "clear_without_cap", .host = clear_without_cap },
	{ .label = "initially_set", .host = initially_set, .needs = "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2&3" },
	{ .label = "cap_rules", .host = cap_rules, .needs = "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2&3" },
};

CASE(dirty_log_manual, .says = "KVM_CLEAR_DIRTY_LOG clears and protects the pages it names, nothing else does",
     .modes = LONG64, .needs = "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2", .rows = ROWS(rows),
     .shadow_too = true)

GUEST(dirty_log_manual)
{
	guest_touch_for_ever();
}

HOST(dirty_log_manual)
{
	ROW(t, rows)->host(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * The kernel that looks for pages nobody uses sees the guest's accesses: what the guest has touched since the last look
 * is kept, what it has not is given up. A look makes every page old, and the guest's next access makes it young again,
 * though the page stays mapped all the time.
 *
 * MADV_PAGEOUT is the look: it forgets the accesses of the host's own mapping, asks KVM, and leaves the page "referenced"
 * when the guest had used it; else it tries to write it to swap, of which there is none, and leaves it "active".
 *
 * Can break: an accessed bit that is not asked for, not cleared, or set in a copy that the CPU does not use; a young
 * page reclaimed, an old one kept for ever; the neighbour's bit; a question that is answered by forgetting.
 * Source: madvise(2), MADV_PAGEOUT; admin-guide/mm/transhuge.rst, khugepaged; KVM API, KVM_CAP_SYNC_MMU; mm/mmu_notifier (clear_flush_young).
 */
#include "cases/mmu/host_page.h"

#include <stdlib.h>

#include "cases/mmu/dirty.h"

#define NR_PAGES 8
#define YOUNG (1ull << KPF_REFERENCED)
#define OLD (1ull << KPF_ACTIVE)

static uint8_t *start(struct test *t)
{
	uint8_t *ram = mmap(NULL, NR_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int i;

	require_true(t, ram != MAP_FAILED);
	require_result(t, 0, vm_region_try(t->vm, DIRTY_SLOT, 0, DIRTY_GPA, NR_PAGES * PAGE, ram));
	for (i = 0; i < NR_PAGES; i++)
		ram[i * PAGE + 8] = i;
	require_sync(t, 1);
	return ram;
}

/* The pages whose bit is in @want_young were used since the last look, the others were not. */
static void look(struct test *t, uint8_t *ram, uint32_t want_young)
{
	unsigned int i;

	/* Page after page: the kernel goes about many in a batch. */
	for (i = 0; i < NR_PAGES; i++)
		require_result(t, 0, madvise(ram + i * PAGE, PAGE, MADV_PAGEOUT));
	for (i = 0; i < NR_PAGES; i++)
		expect_eq(t, want_young >> i & 1 ? YOUNG : OLD, host_page_flags(t, ram + i * PAGE) & (YOUNG | OLD));
}

static void page_touch(struct test *t, uint32_t page, bool is_read)
{
	guest_arg(t, 0, 1);
	guest_arg(t, 1, (DIRTY_GPA + page * PAGE + 8) | (is_read ? TOUCH_READ : 0));
	require_sync(t, guest_page(t, 0)->stage + 1);
}

static void written(struct test *t)
{
	uint8_t *ram = start(t);

	PAGES_WRITE(t, DIRTY_GPA, 0, 1, 2, 3, 4, 5, 6, 7);
	look(t, ram, 0xff);
	look(t, ram, 0);
	PAGES_WRITE(t, DIRTY_GPA, 0, 3);
	look(t, ram, 0x09);
	look(t, ram, 0);
	PAGES_WRITE(t, DIRTY_GPA, 7);
	look(t, ram, 0x80);
	expect_eq(t, 2, ram[8]);
	expect_eq(t, 3 + 2, ram[3 * PAGE + 8]);
	expect_eq(t, 7 + 2, ram[7 * PAGE + 8]);
}

static void read_only(struct test *t)
{
	uint8_t *ram = start(t);
	uint32_t i;

	for (i = 0; i < NR_PAGES; i += 2)
		page_touch(t, i, true);
	look(t, ram, 0x55);
	look(t, ram, 0);
	page_touch(t, 4, true);
	look(t, ram, 0x10);
	page_touch(t, 4, true);
	page_touch(t, 5, true);
	look(t, ram, 0x30);
}

/* The first write after a look at a page that was only read: old and read-only at once. */
static void read_then_written(struct test *t)
{
	uint8_t *ram = start(t);

	page_touch(t, 2, true);
	look(t, ram, 0x04);
	look(t, ram, 0);
	page_touch(t, 2, false);
	look(t, ram, 0x04);
	page_touch(t, 2, false);
	expect_eq(t, 2 + 2, ram[2 * PAGE + 8]);
}

/* Under a dirty log pages are made old and clean independently. */
static void with_a_log(struct test *t)
{
	uint8_t *ram = start(t);

	require_result(t, 0, vm_region_try(t->vm, DIRTY_SLOT, KVM_MEM_LOG_DIRTY_PAGES, DIRTY_GPA, NR_PAGES * PAGE, ram));
	PAGES_WRITE(t, DIRTY_GPA, 1, 6);
	look(t, ram, 0x42);
	look(t, ram, 0);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 1, 6);
	look(t, ram, 0);
	page_touch(t, 1, true);
	look(t, ram, 0x02);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES);
	PAGES_WRITE(t, DIRTY_GPA, 6);
	look(t, ram, 0x40);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 6);
}

#define KHUGEPAGED "/sys/kernel/mm/transparent_hugepage/khugepaged/"

static uint64_t khugepaged_get(struct test *t, const char *name)
{
	char path[128], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), KHUGEPAGED "%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		test_error(t, "%s: cannot be read", path);
	close(fd);
	return strtoull(text, NULL, 10);
}

static void khugepaged_set(struct test *t, const char *name, uint64_t value)
{
	char path[128], text[32];
	int fd;

	snprintf(path, sizeof(path), KHUGEPAGED "%s", name);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		test_error(t, "%s: cannot be written", path);
	close(fd);
}

/* khugepaged goes over everything twice: a round that was under way, and a whole one. */
static void khugepaged_wait(struct test *t)
{
	uint64_t old_scan = khugepaged_get(t, "scan_sleep_millisecs"), rounds = khugepaged_get(t, "full_scans");
	unsigned int i;

	khugepaged_set(t, "scan_sleep_millisecs", 10);
	for (i = 0; khugepaged_get(t, "full_scans") < rounds + 2 && i < 1000; i++)
		usleep(10000);
	khugepaged_set(t, "scan_sleep_millisecs", old_scan);
	require_true(t, khugepaged_get(t, "full_scans") >= rounds + 2);
}

/*
 * The kernel makes a huge page of small ones only when one of them was used; asked for that, KVM forgets nothing. The
 * host's own mapping is old, so it is the guest's access alone that counts.
 */
static void whole_when_used(struct test *t)
{
	uint8_t *ram = host_huge_map(t, 1);

	require_result(t, 0, madvise(ram, HUGE_BYTES, MADV_DONTNEED));
	require_result(t, 0, madvise(ram, HUGE_BYTES, MADV_NOHUGEPAGE));
	memset(ram, 7, HUGE_BYTES);
	require_result(t, 0, vm_region_try(t->vm, DIRTY_SLOT, 0, DIRTY_GPA, HUGE_BYTES, ram));
	require_sync(t, 1);
	PAGES_WRITE(t, DIRTY_GPA, 3, 4);
	/* The first look leaves "referenced", which counts as use; the second takes that away. */
	require_result(t, 0, madvise(ram, HUGE_BYTES, MADV_PAGEOUT));
	require_result(t, 0, madvise(ram, HUGE_BYTES, MADV_PAGEOUT));
	require_result(t, 0, madvise(ram, HUGE_BYTES, MADV_HUGEPAGE));
	khugepaged_wait(t);
	expect_eq(t, 0, host_page_flags(t, ram + 3 * PAGE) & 1ull << KPF_THP);
	page_touch(t, 3, true);
	khugepaged_wait(t);
	expect_eq(t, 1ull << KPF_THP, host_page_flags(t, ram + 3 * PAGE) & 1ull << KPF_THP);
	PAGES_WRITE(t, DIRTY_GPA, 3, 511);
	expect_eq(t, 7 + 2, ram[3 * PAGE + 8]);
	expect_eq(t, 7 + 1, ram[4 * PAGE + 8]);
	expect_eq(t, 7 + 1, ram[511 * PAGE + 8]);
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "written", .host = written },
	{ .label = "read_only", .host = read_only },
	{ .label = "read_then_written", .host = read_then_written },
	{ .label = "with_a_log", .host = with_a_log },
	{ .label = "whole_when_used", .host = whole_when_used },
};

CASE(page_age, .says = "the kernel sees which pages the guest has used since its last look", .modes = LONG64,
     .needs = "lab root KVM_CAP_SYNC_MMU", .rows = ROWS(rows), .alone = true, .shadow_too = true)

GUEST(page_age)
{
	guest_touch_for_ever();
}

HOST(page_age)
{
	ROW(t, rows)->host(t);
}

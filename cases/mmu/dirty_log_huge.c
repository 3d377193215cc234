/* SPDX-License-Identifier: MIT */
/*
 * A slot on huge pages is mapped by huge pages; while it has a dirty log the log still names single pages, so KVM maps
 * single pages: split when the log begins, or when KVM_CLEAR_DIRTY_LOG protects them where that is manual, and only
 * those huge pages of which pages are cleared. Without eager_page_split it is the first write that splits. When the log
 * ends, huge pages come back.
 *
 * Can break: a huge page that stays writable under a log, so that writes are lost; single pages that stay for ever; a
 * neighbour that is split, too; contents or permissions lost in the split.
 * Source: KVM API, 4.8 KVM_GET_DIRTY_LOG, 4.117 KVM_CLEAR_DIRTY_LOG, 7.18 KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2;
 * admin-guide/kernel-parameters.txt, kvm.eager_page_split. The statistics pages_4k and pages_2m show it.
 */
#include "cases/mmu/dirty.h"

#include "cases/ioctl/stats.h"
#include "cases/mmu/host_page.h"

#define NR_PAGES 1024ul
#define SMALL_PER_HUGE 512

/* What the host did, without the guest, changed the numbers of mappings by this. */
struct mapped {
	int64_t small, huge;
};

static struct mapped mapped_now(struct test *t)
{
	return (struct mapped){ stat_get(t, t->vm->fd, "pages_4k"), stat_get(t, t->vm->fd, "pages_2m") };
}

static void mapped_expect(struct test *t, struct mapped since, int64_t small, int64_t huge)
{
	struct mapped now = mapped_now(t);

	expect_result(t, small, (long)(now.small - since.small));
	expect_result(t, huge, (long)(now.huge - since.huge));
}

static void huge_expect(struct test *t, struct mapped since, int64_t huge)
{
	expect_result(t, huge, (long)(mapped_now(t).huge - since.huge));
}

static void log_set(struct test *t, uint8_t *ram, bool is_on)
{
	require_result(t, 0, vm_region_try(t->vm, DIRTY_SLOT, is_on ? KVM_MEM_LOG_DIRTY_PAGES : 0, DIRTY_GPA,
					   NR_PAGES * PAGE, ram));
}

/* Two huge pages, both mapped; the guest has run, so that what else it needs is mapped, too. */
static uint8_t *start(struct test *t, uint64_t cap_flags)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .args = { cap_flags } };
	uint8_t *ram = host_huge_map(t, 2);
	struct mapped before;
	unsigned int i;

	for (i = 0; i < NR_PAGES; i++)
		ram[i * PAGE + 8] = i;
	if (cap_flags)
		require_result(t, 0, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	log_set(t, ram, false);
	require_sync(t, 1);
	before = mapped_now(t);
	PAGES_WRITE(t, DIRTY_GPA, 3, 512 + 70);
	huge_expect(t, before, 2);
	return ram;
}

static void clear(struct test *t, uint64_t first_page, uint32_t nr_pages, uint64_t bits)
{
	uint64_t bitmap[MAX_WORDS] = { bits };
	struct kvm_clear_dirty_log log = {
		.slot = DIRTY_SLOT, .first_page = first_page, .num_pages = nr_pages, .dirty_bitmap = bitmap,
	};

	require_result(t, 0, vm_ioctl_try(t->vm, KVM_CLEAR_DIRTY_LOG, &log));
}

static void ram_expect(struct test *t, const uint8_t *ram, uint32_t page, unsigned int nr_writes)
{
	expect_eq(t, (uint8_t)(page + nr_writes), ram[page * PAGE + 8]);
}

/* Whatever the mappings are, the log is exact. */
static void single_pages(struct test *t)
{
	uint8_t *ram = start(t, 0);

	log_set(t, ram, true);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES);
	PAGES_WRITE(t, DIRTY_GPA, 3, 511, 512);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 3, 511, 512);
	PAGES_WRITE(t, DIRTY_GPA, 3, 4, 1023);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 3, 4, 1023);
	log_set(t, ram, false);
	PAGES_WRITE(t, DIRTY_GPA, 3);
	log_set(t, ram, true);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES);
	PAGES_WRITE(t, DIRTY_GPA, 3);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 3);
	ram_expect(t, ram, 3, 5);
	ram_expect(t, ram, 511, 1);
	ram_expect(t, ram, 512 + 70, 1);
}

static void split_and_whole_again(struct test *t)
{
	uint8_t *ram = start(t, 0);
	struct mapped before = mapped_now(t);

	log_set(t, ram, true);
	mapped_expect(t, before, 2 * SMALL_PER_HUGE, -2);
	PAGES_WRITE(t, DIRTY_GPA, 3, 500);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 3, 500);
	log_set(t, ram, false);
	before = mapped_now(t);
	PAGES_WRITE(t, DIRTY_GPA, 4);
	huge_expect(t, before, 1);
	PAGES_WRITE(t, DIRTY_GPA, 600);
	huge_expect(t, before, 2);
	ram_expect(t, ram, 3, 2);
	ram_expect(t, ram, 4, 1);
	ram_expect(t, ram, 600, 1);
}

/* Nothing is split before something is cleared, and only where it is. */
static void clear_splits(struct test *t)
{
	uint8_t *ram = start(t, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET);
	uint32_t pages[NR_PAGES], i;
	struct mapped before = mapped_now(t);

	log_set(t, ram, true);
	mapped_expect(t, before, 0, 0);
	for (i = 0; i < NR_PAGES; i++)
		pages[i] = i;
	log_expect(t, DIRTY_SLOT, NR_PAGES, NR_PAGES, pages);
	clear(t, 512, 64, ~0ull);
	mapped_expect(t, before, SMALL_PER_HUGE, -1);
	clear(t, 512, 64, ~0ull);
	mapped_expect(t, before, SMALL_PER_HUGE, -1);
	clear(t, 448, 64, 1ull << 63);
	mapped_expect(t, before, 2 * SMALL_PER_HUGE, -2);
	/* Pages 511 to 575 are clean. */
	for (i = 511; i + 65 < NR_PAGES; i++)
		pages[i] = i + 65;
	log_expect(t, DIRTY_SLOT, NR_PAGES, NR_PAGES - 65, pages);
}

static void clear_without_eager(struct test *t)
{
	uint8_t *ram = start(t, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET);
	struct kvm_param eager = kvm_param_set(t, "eager_page_split", "N");
	struct mapped before = mapped_now(t);
	struct mapped after;

	log_set(t, ram, true);
	clear(t, 512, 64, ~0ull);
	after = mapped_now(t);
	kvm_param_restore(t, &eager);
	expect_result(t, 0, (long)(after.small - before.small));
	expect_result(t, 0, (long)(after.huge - before.huge));
	PAGES_WRITE(t, DIRTY_GPA, 513);
	huge_expect(t, before, -1);
	ram_expect(t, ram, 513, 1);
	ram_expect(t, ram, 512 + 70, 1);
}

/*
 * A slot that begins within a huge page: pages 960 to 1023, which one word of the bitmap has, are of two huge pages, of
 * which the second begins with 992. Bits of both are cleared at once, and both huge pages are protected.
 */
static void clear_across_to(struct test *t, uint32_t last, const char *eager_split)
{
	uint64_t bits = 1ull << 31 | 1ull << (last - 960);
	struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
				      .args = { KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET } };
	uint8_t *ram = host_huge_map(t, 3) + 32 * PAGE;
	uint64_t gpa = DIRTY_GPA + 32 * PAGE, bytes = 3 * HUGE_BYTES - 32 * PAGE, bitmap[24];
	struct kvm_dirty_log log = { .slot = DIRTY_SLOT, .dirty_bitmap = bitmap };
	struct mapped before;
	struct kvm_param eager;

	require_result(t, 0, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	require_result(t, 0, vm_region_try(t->vm, DIRTY_SLOT, 0, gpa, bytes, ram));
	require_sync(t, 1);
	before = mapped_now(t);
	PAGES_WRITE(t, gpa, 991, last);
	huge_expect(t, before, 2);
	eager = kvm_param_set(t, "eager_page_split", eager_split);
	require_result(t, 0, vm_region_try(t->vm, DIRTY_SLOT, KVM_MEM_LOG_DIRTY_PAGES, gpa, bytes, ram));
	clear(t, 960, 64, bits);
	kvm_param_restore(t, &eager);
	require_result(t, 0, vm_ioctl_try(t->vm, KVM_GET_DIRTY_LOG, &log));
	expect_eq(t, ~bits, bitmap[15]);
	PAGES_WRITE(t, gpa, 991, last);
	require_result(t, 0, vm_ioctl_try(t->vm, KVM_GET_DIRTY_LOG, &log));
	expect_eq(t, ~0ull, bitmap[15]);
	expect_eq(t, 2, ram[991 * PAGE + 8]);
	expect_eq(t, 2, ram[last * PAGE + 8]);
}

static void clear_across(struct test *t)
{
	clear_across_to(t, 993, "Y");
}

static void clear_across_without_eager(struct test *t)
{
	clear_across_to(t, 993, "N");
}

static void clear_to_first(struct test *t)
{
	clear_across_to(t, 992, "Y");
}

static void clear_to_first_without_eager(struct test *t)
{
	clear_across_to(t, 992, "N");
}

static void start_without_eager(struct test *t)
{
	struct kvm_param eager = kvm_param_set(t, "eager_page_split", "N");
	uint8_t *ram = start(t, 0);
	struct mapped before = mapped_now(t);
	struct mapped after;

	log_set(t, ram, true);
	after = mapped_now(t);
	kvm_param_restore(t, &eager);
	expect_result(t, 0, (long)(after.small - before.small));
	expect_result(t, 0, (long)(after.huge - before.huge));
	PAGES_WRITE(t, DIRTY_GPA, 3, 5);
	huge_expect(t, before, -1);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 3, 5);
	PAGES_WRITE(t, DIRTY_GPA, 1000);
	huge_expect(t, before, -2);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 1000);
}

/* A log that comes and goes before anything was cleared leaves the huge pages alone, and they stay writable. */
static void never_split(struct test *t)
{
	uint8_t *ram = start(t, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET);
	struct mapped before = mapped_now(t);

	log_set(t, ram, true);
	log_set(t, ram, false);
	mapped_expect(t, before, 0, 0);
	PAGES_WRITE(t, DIRTY_GPA, 3, 600);
	huge_expect(t, before, 0);
	ram_expect(t, ram, 3, 2);
	ram_expect(t, ram, 600, 1);
}

/* Where the memory is not huge, there is nothing to make whole: the end of a log takes no mapping away. */
static void stays_small(struct test *t)
{
	uint8_t *ram = host_huge_map(t, 2);
	struct mapped before;

	require_result(t, 0, madvise(ram, 2 * HUGE_BYTES, MADV_DONTNEED));
	require_result(t, 0, madvise(ram, 2 * HUGE_BYTES, MADV_NOHUGEPAGE));
	log_set(t, ram, true);
	require_sync(t, 1);
	PAGES_WRITE(t, DIRTY_GPA, 0, 3, 511, 512);
	before = mapped_now(t);
	log_set(t, ram, false);
	mapped_expect(t, before, 0, 0);
	PAGES_WRITE(t, DIRTY_GPA, 3);
	huge_expect(t, before, 0);
}

/* Two slots in one huge page: the log of one is nothing to the other's mappings. */
static void neighbour_kept(struct test *t)
{
	uint8_t *ram = host_huge_map(t, 2);
	uint64_t half = HUGE_BYTES / 2;
	struct mapped before;

	require_result(t, 0, vm_region_try(t->vm, DIRTY_SLOT + 1, 0, DIRTY_GPA, half, ram));
	require_result(t, 0, vm_region_try(t->vm, DIRTY_SLOT, KVM_MEM_LOG_DIRTY_PAGES, DIRTY_GPA + half, half, ram + half));
	require_sync(t, 1);
	PAGES_WRITE(t, DIRTY_GPA, 1, 2, 257, 258);
	LOG_EXPECT(t, DIRTY_SLOT, 256, 1, 2);
	before = mapped_now(t);
	require_result(t, 0, vm_region_try(t->vm, DIRTY_SLOT, 0, DIRTY_GPA + half, half, ram + half));
	mapped_expect(t, before, 0, 0);
	PAGES_WRITE(t, DIRTY_GPA, 1, 257);
	expect_eq(t, 2, ram[1 * PAGE + 8]);
	expect_eq(t, 2, ram[257 * PAGE + 8]);
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

#define ACROSS "lab KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2&3 param:kvm.eager_page_split=Y"

/* It maps by pages of 4 KiB alone. */
#define SOFT_IS_SMALL .known = { .finding = "3201-soft-offers-less", .targets = "soft-svm" }

static const struct row rows[] = {
	{ .label = "single_pages", .host = single_pages, SOFT_IS_SMALL },
	{ .label = "never_split", .host = never_split, .needs = "tdp KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2&3", SOFT_IS_SMALL },
	{ .label = "stays_small", .host = stays_small },
	{ .label = "neighbour_kept", .host = neighbour_kept },
	{ .label = "split_and_whole_again", .host = split_and_whole_again, .needs = "tdp param:kvm.eager_page_split=Y" },
	{ .label = "clear_splits", .host = clear_splits,
	  .needs = "tdp KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2&3 param:kvm.eager_page_split=Y" },
	{ .label = "clear_without_eager", .host = clear_without_eager,
	  .needs = "lab tdp KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2&3 param:kvm.eager_page_split=Y" },
	{ .label = "clear_across", .host = clear_across, .needs = ACROSS },
	{ .label = "clear_across_without_eager", .host = clear_across_without_eager, .needs = ACROSS },
	{ .label = "clear_to_first", .host = clear_to_first, .needs = ACROSS, .known = { "4300-clear-log-to-huge-page-start" } },
	{ .label = "clear_to_first_without_eager", .host = clear_to_first_without_eager, .needs = ACROSS,
	  .known = { "4300-clear-log-to-huge-page-start" } },
	{ .label = "start_without_eager", .host = start_without_eager, .needs = "lab param:kvm.eager_page_split=Y" },
};

CASE(dirty_log_huge, .says = "the dirty log of a slot on huge pages names single pages, and they are huge again after it",
     .modes = LONG64, .needs = "root KVM_CAP_BINARY_STATS_FD KVM_CAP_SYNC_MMU", .rows = ROWS(rows), .alone = true,
     .shadow_too = true)

GUEST(dirty_log_huge)
{
	guest_touch_for_ever();
}

HOST(dirty_log_huge)
{
	ROW(t, rows)->host(t);
}

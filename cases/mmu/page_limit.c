/* SPDX-License-Identifier: MIT */
/*
 * KVM_SET_NR_MMU_PAGES limits the pages that shadow page tables take: a guest that needs more goes on, with the oldest
 * given up again and again, and so it does when the host's memory is short (drop_caches) or the limit falls while it
 * runs. With two-dimensional paging nothing is shadowed, and the guest is the same.
 *
 * Can break: a table given up that is in use, or whose entries are still pointed at; a guest that never gets further;
 * a limit that is not kept.
 * Source: KVM API, KVM_SET_NR_MMU_PAGES; the statistic mmu_recycled.
 */
#include "cases/ioctl/stats.h"
#include "runner/needs.h"


#define SLOT 1
#define GPA 0x40000000ul
#define APART 0x200000ul	/* each page under a table of its own */
#define NR_PLACES 160ul
#define LIMIT 64ul		/* KVM's least */

/* Counts at each place, as often as the host lets it. */
GUEST(page_limit)
{
	uint32_t stage;

	for (stage = 1;; stage++) {
		ulong_t i;

		guest_sync(stage);
		for (i = 0; i < NR_PLACES; i++) {
			ulong_t at = GPA + i * APART + i * 8;

			CHECK_EQ((stage - 1) * NR_PLACES + i, read32(at));
			write32(at, read32(at) + NR_PLACES);
		}
	}
}

/* Each place's word is its number to begin with. */
static void start(struct test *t)
{
	uint8_t *ram = vm_slot_add(t->vm, SLOT, 0, GPA, NR_PLACES * APART);
	uint32_t i;

	for (i = 0; i < NR_PLACES; i++)
		*(uint32_t *)(ram + i * APART + i * 8) = i;
	require_sync(t, 1);
}

static void go_round(struct test *t, uint32_t nr)
{
	while (nr--)
		require_sync(t, guest_page(t, 0)->stage + 1);
}

static void expect_limit(struct test *t, long want)
{
	expect_result(t, want, vm_ioctl_value_try(t->vm, KVM_GET_NR_MMU_PAGES, 0));
}

static uint64_t nr_recycled(struct test *t)
{
	return stat_get(t, t->vm->fd, "mmu_recycled");
}

/* At most the limit are there at once, so that each round has to give up what is more. */
static void expect_recycled(struct test *t, uint64_t before, uint64_t least)
{
	uint64_t got = nr_recycled(t) - before;
	char missing[64];

	if (needs_met("tdp", t->sys, missing, sizeof(missing)))
		expect_eq(t, 0, got);
	else
		expect_true(t, got >= least);
}

static void from_the_start(struct test *t)
{
	require_result(t, 0, vm_ioctl_value_try(t->vm, KVM_SET_NR_MMU_PAGES, LIMIT));
	expect_limit(t, LIMIT);
	start(t);
	go_round(t, 4);
	expect_recycled(t, 0, 4 * (NR_PLACES - LIMIT) - LIMIT);
}

static void lowered(struct test *t)
{
	uint64_t before;

	require_result(t, 0, vm_ioctl_value_try(t->vm, KVM_SET_NR_MMU_PAGES, 1024));
	expect_limit(t, 1024);
	start(t);
	go_round(t, 2);
	expect_eq(t, 0, nr_recycled(t));
	require_result(t, 0, vm_ioctl_value_try(t->vm, KVM_SET_NR_MMU_PAGES, LIMIT));
	expect_limit(t, LIMIT);
	/* Those above it are given up at once. */
	before = nr_recycled(t);
	expect_recycled(t, 0, NR_PLACES - LIMIT);
	go_round(t, 2);
	expect_recycled(t, before, NR_PLACES - LIMIT);
	before = nr_recycled(t);
	require_result(t, 0, vm_ioctl_value_try(t->vm, KVM_SET_NR_MMU_PAGES, 1024));
	go_round(t, 1);
	before = nr_recycled(t);
	go_round(t, 2);
	expect_eq(t, before, nr_recycled(t));
}

static void memory_short(struct test *t)
{
	unsigned int i;

	start(t);
	for (i = 0; i < 4; i++) {
		int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

		go_round(t, 1);
		if (fd < 0 || write(fd, "2", 1) != 1)
			test_error(t, "/proc/sys/vm/drop_caches cannot be written");
		close(fd);
	}
	go_round(t, 1);
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "from_the_start", .host = ON_HOST(from_the_start) },
	{ .label = "lowered", .host = ON_HOST(lowered) },
	{ .label = "memory_short", .host = ON_HOST(memory_short), .needs = "lab root" },
};

CASE(page_limit, .says = "a guest goes on when the pages for its shadow tables do not suffice",
     .modes = PAGE32 | PAE32 | LONG64, .needs = "KVM_CAP_BINARY_STATS_FD", .rows = ROWS(rows), .alone = true,
     .shadow_too = true)

HOST(page_limit)
{
	ROW(t, rows)->host(t);
}

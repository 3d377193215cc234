/* SPDX-License-Identifier: MIT */
/*
 * A memory slot may be of memory that has no pages of the process's own: a device's, or, here, what the kernel maps to
 * every process for its clocks, which is readable only. The guest reads what the host reads there. In a read-only slot
 * a write is MMIO, and nothing is changed.
 *
 * Can break: a page frame number of a neighbour, a reference that such a frame does not have, a write that goes through.
 * Source: KVM API, KVM_SET_USER_MEMORY_REGION (KVM_MEM_READONLY), KVM_EXIT_MMIO; proc(5), /proc/pid/maps ([vvar]).
 */
#include "case.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SLOT 5
#define MAPPED_GPA 0x18000000ull
#define PAGE_WORDS 512
#define WORDS 5
#define WORD_BITS 9	/* of an index, in GUEST_ARG(1) */

struct row {
	ROW_FIELDS;
	uint32_t flags;
	bool writes;
};

static const struct row rows[] = {
	{ .label = "read_only", .flags = KVM_MEM_READONLY, .writes = true },
	{ .label = "writable_read" },
};

CASE(pfnmap_slot, .says = "memory that the kernel maps without pages is read, and not written", .modes = LONG64,
     .needs = "KVM_CAP_READONLY_MEM", .shadow_too = true, .rows = ROWS(rows))

static unsigned int word_of(uint64_t words, unsigned int i)
{
	return words >> i * WORD_BITS & (PAGE_WORDS - 1);
}

static uint64_t read_word(unsigned int word)
{
	return *(volatile uint64_t *)(ulong_t)(MAPPED_GPA + 8 * word);
}

GUEST(pfnmap_slot)
{
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		GUEST_VALUE(i, read_word(word_of(GUEST_ARG(1), i)));
	guest_sync(1);
	if (GUEST_ARG(0)) {
		write32(MAPPED_GPA + 8 * word_of(GUEST_ARG(1), 0), 0x5a5a1234);
		GUEST_VALUE(WORDS, read_word(word_of(GUEST_ARG(1), 0)));
	}
}

/* The first page of [vvar]; NULL: this kernel has none. */
static void *vvar_find(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start = 0, end;
	char line[512];

	while (maps && fgets(line, sizeof(line), maps)) {
		if (strstr(line, "[vvar]") && sscanf(line, "%lx-%lx r--p", &start, &end) == 2)
			break;
		start = 0;
	}
	if (maps)
		fclose(maps);
	return (void *)start;
}

/* What is not zero and stays as it is, while the clocks around it change: where it lies is the kernel's own matter. */
static uint64_t words_choose(const volatile uint64_t *page, uint64_t *ret_words)
{
	const struct timespec tick = { .tv_nsec = 20 * 1000 * 1000 };
	uint64_t before[PAGE_WORDS];
	unsigned int i, nr = 0;

	for (i = 0; i < PAGE_WORDS; i++)
		before[i] = page[i];
	nanosleep(&tick, NULL);
	*ret_words = 0;
	for (i = 0; i < PAGE_WORDS && nr < WORDS; i++)
		if (before[i] && page[i] == before[i])
			*ret_words |= (uint64_t)i << nr++ * WORD_BITS;
	return nr;
}

HOST(pfnmap_slot)
{
	const struct row *row = ROW(t, rows);
	const volatile uint64_t *page = vvar_find();
	uint64_t words;
	unsigned int i;

	require_true(t, page != NULL);
	require_true(t, words_choose(page, &words) > 0);
	require_result(t, 0, vm_region_try(t->vm, SLOT, row->flags, MAPPED_GPA, 4096, (void *)(uintptr_t)page));
	guest_arg(t, 0, row->writes);
	guest_arg(t, 1, words);
	require_sync(t, 1);
	for (i = 0; i < WORDS; i++)
		expect_eq(t, page[word_of(words, i)], guest_value(t, i));
	if (row->writes)
		expect_mmio_write(t, .phys_addr = MAPPED_GPA + 8 * word_of(words, 0), .len = 4, .data = 0x5a5a1234);
	expect_done(t);
	if (row->writes)
		expect_eq(t, page[word_of(words, 0)], guest_value(t, WORDS));
}

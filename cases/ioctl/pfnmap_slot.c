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

#define SLOT 5
#define MAPPED_GPA 0x18000000ull
#define RESOLUTION_WORD 45	/* struct vdso_data is at 128, .hrtimer_res is 232 bytes into it */

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

/* The page's words that are always the same. */
static const unsigned int words[] = { 0, 1, 7, 15, RESOLUTION_WORD };

#define WORDS (sizeof(words) / sizeof(words[0]))

static uint64_t read_word(unsigned int word)
{
	return *(volatile uint64_t *)(ulong_t)(MAPPED_GPA + 8 * word);
}

GUEST(pfnmap_slot)
{
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		GUEST_VALUE(i, read_word(words[i]));
	guest_sync(1);
	if (GUEST_ARG(0)) {
		write32(MAPPED_GPA + 8 * RESOLUTION_WORD, 0x5a5a1234);
		GUEST_VALUE(WORDS, read_word(RESOLUTION_WORD));
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

HOST(pfnmap_slot)
{
	const struct row *row = ROW(t, rows);
	const volatile uint64_t *page = vvar_find();
	unsigned int i;

	require_true(t, page != NULL);
	require_result(t, 0, vm_region_try(t->vm, SLOT, row->flags, MAPPED_GPA, 4096, (void *)(uintptr_t)page));
	guest_arg(t, 0, row->writes);
	require_sync(t, 1);
	/* The timers' resolution, whatever the clock is; what lies around it changes. */
	expect_true(t, page[RESOLUTION_WORD] != 0);
	for (i = 0; i < WORDS; i++)
		expect_eq(t, page[words[i]], guest_value(t, i));
	if (row->writes)
		expect_mmio_write(t, .phys_addr = MAPPED_GPA + 8 * RESOLUTION_WORD, .len = 4, .data = 0x5a5a1234);
	expect_done(t);
	if (row->writes)
		expect_eq(t, page[RESOLUTION_WORD], guest_value(t, WORDS));
}

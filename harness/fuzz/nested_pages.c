/* SPDX-License-Identifier: MIT */
/* Memory between two inputs: what may have been written is put back, and what nobody should have written is looked for. */
#include "fuzz/nested_private.h"

#include <string.h>

#include "vm/x86/bits.h"

#define PAGE_BYTES 0x1000u
#define SWEEP_EVERY 64		/* inputs between two looks at all pages */
#define SWEEP_CLOSELY 256	/* inputs that are looked at one by one behind a find */

void nested_page_written(void *context, uint64_t gpa, uint64_t len_bytes)
{
	struct nested *n = context;
	uint64_t page, last = (gpa + len_bytes - 1) / PAGE_BYTES;

	n->last_written = gpa;
	for (page = gpa / PAGE_BYTES; page <= last && page < VMCB_NR_PAGES; page++)
		n->suspects[page / 64] |= 1ull << page % 64;
}

static bool is_nested_table(uint64_t gpa)
{
	return gpa >= VMCB_NPML4_GPA && gpa < VMCB_NPT_GPA + PAGE_BYTES;
}

uint64_t nested_get64(const uint8_t *ram, uint64_t gpa)
{
	uint64_t value;

	memcpy(&value, ram + gpa, sizeof(value));
	return value;
}

/*
 * A hypervisor that shadows L1's nested tables sees L1's own writes to them, and not ours. False: there are too many, and
 * only a new VM will do.
 */
static bool table_restore(struct nested *n, uint64_t table)
{
	uint64_t gpa;

	for (gpa = table; gpa < table + PAGE_BYTES; gpa += 8) {
		uint64_t golden = nested_get64(n->golden, gpa);

		if (!((nested_get64(n->ram, gpa) ^ golden) & ~(PTE_A | PTE_D)))
			continue;
		if (n->nr_steps >= NESTED_MAX_STEPS / 4)
			return false;
		nested_step_add(n, NESTED_STEP_WRITE, gpa, golden);
	}
	return true;
}

static void page_restore(struct nested *n, unsigned int page)
{
	size_t at = (size_t)page * PAGE_BYTES;

	if (!memcmp(n->ram + at, n->golden + at, PAGE_BYTES))
		return;
	if (is_nested_table(at) && !table_restore(n, at))
		n->is_hopeless = true;
	memcpy(n->ram + at, n->golden + at, PAGE_BYTES);
}

/* Pages that nobody had reason to suspect, and that are changed: the first of them, or 0. */
static uint64_t sweep(struct nested *n)
{
	uint64_t found = 0;
	unsigned int page;

	for (page = 0; page < VMCB_NR_PAGES; page++) {
		size_t at = (size_t)page * PAGE_BYTES;

		if ((n->suspects[page / 64] >> page % 64 & 1) || !memcmp(n->ram + at, n->golden + at, PAGE_BYTES))
			continue;
		memcpy(n->ram + at, n->golden + at, PAGE_BYTES);
		n->is_hopeless |= is_nested_table(at);
		found = found ? found : at;
	}
	return found;
}

void nested_pages_restore(struct nested *n)
{
	unsigned int i;

	for (i = 0; i < NESTED_NR_WORDS; i++)
		for (; n->suspects[i]; n->suspects[i] &= n->suspects[i] - 1)
			page_restore(n, i * 64 + (unsigned int)__builtin_ctzll(n->suspects[i]));
}

void nested_suspects_set(struct nested *n, const uint64_t *touched)
{
	/* What any run writes: stack, VMCB, and marks in tables and descriptors, which may be another target's or not. */
	static const uint32_t always[] = { VMCB_PML4_GPA, VMCB_PDPT_GPA, VMCB_PD_GPA, VMCB_PT_GPA, VMCB_GDT_GPA,
		VMCB_STACK_GPA - PAGE_BYTES, VMCB_PAE_PDPT_GPA, VMCB_VMCB_GPA, VMCB_NPML4_GPA, VMCB_NPDPT_GPA, VMCB_NPD_GPA,
		VMCB_NPT_GPA };
	unsigned int i;

	if (touched)
		memcpy(n->suspects, touched, sizeof(n->suspects));
	else
		memset(n->suspects, 0xff, sizeof(n->suspects));
	for (i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		nested_page_written(n, always[i], 1);
}

static bool is_l1_intact(const struct nested *n)
{
	return !memcmp(n->l1 + NESTED_CODE, n->l1_golden + NESTED_CODE, PAGE_BYTES) &&
	       !memcmp(n->l1 + NESTED_PML4, n->l1_golden + NESTED_PML4, NESTED_IDT + PAGE_BYTES - NESTED_PML4);
}

void nested_look_around(struct nested *n, struct vmcb_result *result)
{
	uint64_t found;

	if (n->is_changed)
		return;
	if (!n->nr_close && ++n->nr_since_sweep < SWEEP_EVERY)
		return;
	n->nr_since_sweep = 0;
	found = sweep(n);
	/* Of one of many inputs it is not known which did it: from now on they are looked at one by one for a while. */
	if (found && n->nr_close)
		nested_violate(result, "a page that only this target wrote", 0, found);
	if (found || n->nr_close)
		n->nr_close = found ? SWEEP_CLOSELY : n->nr_close - 1;
	if (is_l1_intact(n))
		return;
	nested_violate(result, "L1's own pages were written", 0, 1);
	n->is_lost = true;
	memcpy(n->l1, n->l1_golden, NESTED_L1_BYTES);
}

void nested_suspect_all(struct nested *n)
{
	memset(n->suspects, 0xff, sizeof(n->suspects));
}

/* SPDX-License-Identifier: MIT */
/*
 * Nested page tables of 4 KiB pages, built as the guest meets what is not mapped. APM vol. 2, 15.25.
 *
 * What is taken away from them, the vCPUs' TLBs may still have: .generation counts that, and pre_run_asid() flushes.
 */
#include "soft/private.h"

#include <errno.h>
#include <string.h>

#include "vm/x86/bits.h"

#define NR_LEVELS 4
#define NR_ENTRIES 512
#define ADDRESS_BITS 0x000ffffffffff000ull
#define MMIO_MARK (1ull << 62)
#define TABLE_BITS (PTE_P | PTE_W | PTE_U)

int npt_init(struct soft_npt *npt, struct soft_vm *vm)
{
	npt->vm = vm;
	npt->root = pages_get(vm, 1, &npt->root_spa);
	return npt->root ? 0 : -ENOMEM;
}

/* The last level's entry; NULL where a table is missing and @is_made is false, or there is no memory. */
static uint64_t *npt_entry(struct soft_npt *npt, uint64_t gpa, bool is_made)
{
	uint64_t *table = npt->root, spa;
	unsigned int level;

	for (level = NR_LEVELS - 1; level; level--) {
		uint64_t *entry = &table[gpa >> (12 + 9 * level) & (NR_ENTRIES - 1)];

		if (!(*entry & PTE_P)) {
			if (!is_made)
				return NULL;
			table = pages_get(npt->vm, 1, &spa);
			if (!table)
				return NULL;
			*entry = spa | TABLE_BITS;
		} else {
			table = pages_host(npt->vm, *entry & ADDRESS_BITS);
		}
	}
	return &table[gpa >> 12 & (NR_ENTRIES - 1)];
}

int npt_map(struct soft_npt *npt, uint64_t gpa, uint64_t spa, unsigned int rights)
{
	uint64_t *entry = npt_entry(npt, gpa, true);

	if (!entry)
		return -ENOMEM;
	*entry = (spa & ADDRESS_BITS) | PTE_P | PTE_U | PTE_A | (rights & NPT_WRITE ? PTE_W | PTE_D : 0) |
		(rights & NPT_EXEC ? 0 : PTE_NX);
	return 0;
}

void npt_unmap(struct soft_npt *npt, uint64_t gpa)
{
	uint64_t *entry = npt_entry(npt, gpa, false);

	if (entry && *entry) {
		*entry = 0;
		npt->generation++;
	}
}

/* The walk looks at nothing of an entry that is not present. */
bool npt_mark_mmio(struct soft_npt *npt, uint64_t gpa)
{
	uint64_t *entry = npt_entry(npt, gpa, true);

	if (!entry || *entry == MMIO_MARK)
		return false;
	if (*entry)
		npt->generation++;
	*entry = MMIO_MARK;
	return true;
}

void npt_write_protect(struct soft_npt *npt, uint64_t gpa)
{
	uint64_t *entry = npt_entry(npt, gpa, false);

	if (entry && (*entry & PTE_W)) {
		*entry &= ~PTE_W;
		npt->generation++;
	}
}

/* Tables stay, to be filled again; only the last level forgets. */
static void table_zap(struct soft_vm *vm, uint64_t *table, unsigned int level)
{
	unsigned int i;

	if (!level) {
		memset(table, 0, NR_ENTRIES * sizeof(*table));
		return;
	}
	for (i = 0; i < NR_ENTRIES; i++)
		if (table[i] & PTE_P)
			table_zap(vm, pages_host(vm, table[i] & ADDRESS_BITS), level - 1);
}

void npt_zap(struct soft_npt *npt)
{
	table_zap(npt->vm, npt->root, NR_LEVELS - 1);
	npt->generation++;
}

/* SPDX-License-Identifier: MIT */
/*
 * Nested page tables in the machine's memory: from a guest's physical addresses to the machine's, by pages of 4 KiB.
 *
 * Source: APM vol. 2, 15.25.
 */
#ifndef VMASSAY_SOFT_NPT_H
#define VMASSAY_SOFT_NPT_H

#include <stdbool.h>
#include <stdint.h>

struct soft_vm;

struct soft_npt {
	struct soft_vm *vm;		/* whose memory the tables are in; it frees them */
	uint64_t root_spa;
	uint64_t *root;
	uint64_t generation;		/* counts flushes: vCPUs with another flush their TLB */
};

/* What a guest may do in a page beside reading it. */
#define NPT_WRITE 1u
#define NPT_EXEC 2u

/* -ENOMEM. */
int npt_init(struct soft_npt *npt, struct soft_vm *vm);
/* Maps the page at @gpa to @spa; @rights are NPT_*. -ENOMEM. */
int npt_map(struct soft_npt *npt, uint64_t gpa, uint64_t spa, unsigned int rights);
void npt_unmap(struct soft_npt *npt, uint64_t gpa);
/* There is no memory at @gpa, which npt_zap() forgets, too; false: it was marked already. */
bool npt_mark_mmio(struct soft_npt *npt, uint64_t gpa);
void npt_write_protect(struct soft_npt *npt, uint64_t gpa);
/* Forgets all translations. */
void npt_zap(struct soft_npt *npt);

#endif

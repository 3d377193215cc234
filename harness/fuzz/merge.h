/* SPDX-License-Identifier: MIT */
/*
 * Corpora of several searches become one: of each input it is asked what is new about it, as in a search, and what shows
 * nothing beside those before it is left out. Short inputs come first, so what is kept is small.
 */
#ifndef VMASSAY_FUZZ_MERGE_H
#define VMASSAY_FUZZ_MERGE_H

#include <stddef.h>
#include <stdint.h>

#include "fuzz/executor.h"

struct err;

struct merge_stats {
	uint64_t nr_read;	/* inputs of the executor's domain */
	uint64_t nr_kept;	/* written into the folder; what it had is not counted */
	uint64_t nr_broken;	/* break an oracle: findings, and no part of a corpus */
	uint64_t nr_features;	/* that the merged corpus shows */
};

/*
 * @into is made when it is not there; what it has stays. -errno and a line: a folder that cannot be read, a file ".input"
 * in it that is none, or no memory.
 */
int merge_run(struct executor *executor, const char *const *from, size_t nr_from, const char *into,
	      struct merge_stats *ret_stats, struct err *err);

#endif

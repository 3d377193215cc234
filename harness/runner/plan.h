/* SPDX-License-Identifier: MIT */
/*
 * Which tests run, in which order: selection by glob and suite, shard, repetition, shuffle.
 */
#ifndef VMASSAY_PLAN_H
#define VMASSAY_PLAN_H

#include "runner/registry.h"

struct err;

struct selection {
	const char *const *globs;	/* of test names, with or without "@target"; NULL-terminated; none: all */
	const char *suite;		/* area, NULL: all */
	const char *target;		/* what a glob's "@target" part is matched with */
	unsigned int shard, nr_shards;	/* 1-based; nr_shards 0: not sharded. Stable by test name. */
	unsigned int repeat;		/* 0 stands for 1 */
	bool shadow_too;		/* of those, only the tests that also want shadow paging: may be none */
	bool smp_too;			/* likewise, those that also want more than one CPU */
	bool shuffle;
	bool with_nightly;		/* and those that a case says are too many for every day */
	bool as_given;			/* the globs are whole names, "name" or "name#round", in this order */
	uint64_t seed;
	unsigned int part, nr_parts;	/* of the plan that all this makes, only what plan_part() gives to @part; nr_parts 0: all */
};

struct plan_item {
	const struct test_entry *entry;
	unsigned int round;
};

struct plan {
	struct plan_item *items;
	size_t nr_items;
};

/*
 * -ENOENT names a glob or suite that matches nothing. An empty shard is not an error. The plan points into the
 * registry; free with plan_close().
 */
int plan_open(struct plan *plan, const struct registry *registry, const struct selection *selection,
	      struct err *err);
void plan_close(struct plan *plan);

/*
 * Deals a plan's items out to @nr_parts (1 or more) that run side by side: the part, from 0, that the @index-th item goes
 * to. They get as many each, and of a table with rows in several modes no part gets one mode only.
 */
unsigned int plan_part(size_t index, unsigned int nr_parts);

/* A test's own seed: the same for the same run seed, name and round. */
uint64_t test_seed(uint64_t run_seed, const char *name, unsigned int round);

#endif

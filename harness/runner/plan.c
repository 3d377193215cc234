/* SPDX-License-Identifier: MIT */
#include "runner/plan.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "grow.h"

/* FNV-1a: only has to be stable and spread names. */
static uint64_t hash_string(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3ull;
	return hash;
}

/* splitmix64 */
static uint64_t random_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint64_t test_seed(uint64_t run_seed, const char *name, unsigned int round)
{
	uint64_t state = run_seed ^ hash_string(name) ^ round;

	return random_next(&state);
}

static bool glob_matches(const char *glob, const struct test_entry *entry, const char *target)
{
	char full[512];

	if (!fnmatch(glob, entry->name, 0))
		return true;
	snprintf(full, sizeof(full), "%s@%s", entry->name, target ? target : "");
	return !fnmatch(glob, full, 0);
}

static bool is_selected(const struct test_entry *entry, const struct selection *selection)
{
	const char *const *glob;

	if (selection->suite && strcmp(selection->suite, entry->area))
		return false;
	if (entry->desc->is_nightly && !selection->with_nightly)
		return false;
	if (!selection->globs || !selection->globs[0])
		return true;
	for (glob = selection->globs; *glob; glob++)
		if (glob_matches(*glob, entry, selection->target))
			return true;
	return false;
}

/* Before it is sharded: a part of a selection may be empty, all of it may not. */
static int check_selection(const struct registry *registry, const struct selection *selection, struct err *err)
{
	const char *const *glob;
	size_t i;

	for (glob = selection->globs; glob && *glob; glob++) {
		for (i = 0; i < registry->nr_tests; i++)
			if (glob_matches(*glob, &registry->tests[i], selection->target))
				break;
		if (i == registry->nr_tests)
			return err_set(err, ENOENT, "no test matches '%s'", *glob);
	}
	for (i = 0; i < registry->nr_tests; i++)
		if (is_selected(&registry->tests[i], selection))
			return 0;
	if (!selection->suite)
		return err_set(err, ENOENT, "the names given are of nightly tests: --nightly selects them, too");
	return err_set(err, ENOENT, "no test is in suite '%s'%s", selection->suite,
		       selection->globs && selection->globs[0] ? " and matches the names given" : "");
}

static bool is_in_shard(const struct test_entry *entry, const struct selection *selection)
{
	return !selection->nr_shards || hash_string(entry->name) % selection->nr_shards == selection->shard - 1;
}

static int plan_add(struct plan *plan, const struct test_entry *entry, unsigned int round)
{
	struct plan_item *grown = grow_by_one(plan->items, plan->nr_items, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	plan->items = grown;
	plan->items[plan->nr_items++] = (struct plan_item){ .entry = entry, .round = round };
	return 0;
}

/* "name" or "name#round". */
static int add_given(struct plan *plan, const struct registry *registry, const char *given, struct err *err)
{
	const char *hash = strchr(given, '#');
	const struct test_entry *entry;
	char name[512];

	snprintf(name, sizeof(name), "%.*s", (int)(hash ? hash - given : (long)strlen(given)), given);
	entry = registry_find(registry, name);
	if (!entry)
		return err_set(err, ENOENT, "no test has the name '%s'", name);
	return plan_add(plan, entry, hash ? strtoul(hash + 1, NULL, 10) : 0);
}

static int plan_given(struct plan *plan, const struct registry *registry, const struct selection *selection,
		      struct err *err)
{
	const char *const *given;
	int r = 0;

	for (given = selection->globs; given && *given && !r; given++)
		r = add_given(plan, registry, *given, err);
	return r;
}

static int add_round(struct plan *plan, const struct registry *registry, const struct selection *selection,
		     unsigned int round)
{
	size_t i;
	int r = 0;

	for (i = 0; i < registry->nr_tests && !r; i++) {
		const struct test_entry *entry = &registry->tests[i];

		if (is_selected(entry, selection) && is_in_shard(entry, selection) &&
		    (!selection->shadow_too || entry->desc->shadow_too) &&
		    (!selection->smp_too || entry->desc->smp_too))
			r = plan_add(plan, entry, round);
	}
	return r;
}

static int plan_selected(struct plan *plan, const struct registry *registry, const struct selection *selection,
			 struct err *err)
{
	unsigned int round, nr_rounds = selection->repeat ? selection->repeat : 1;
	int r = check_selection(registry, selection, err);

	for (round = 0; round < nr_rounds && !r; round++)
		r = add_round(plan, registry, selection, round);
	return r;
}

static void plan_shuffle(struct plan *plan, uint64_t seed)
{
	size_t i, j;

	for (i = plan->nr_items; i > 1; i--) {
		struct plan_item item = plan->items[i - 1];

		j = random_next(&seed) % i;
		plan->items[i - 1] = plan->items[j];
		plan->items[j] = item;
	}
}

/* Of @nr_parts items in a row every part gets one; chance says who gets the first, so that no table's period is met. */
unsigned int plan_part(size_t index, unsigned int nr_parts)
{
	uint64_t state = index / nr_parts;

	return (index + random_next(&state) % nr_parts) % nr_parts;
}

static void plan_keep_part(struct plan *plan, unsigned int part, unsigned int nr_parts)
{
	size_t i, nr_kept = 0;

	for (i = 0; i < plan->nr_items; i++)
		if (plan_part(i, nr_parts) == part)
			plan->items[nr_kept++] = plan->items[i];
	plan->nr_items = nr_kept;
}

int plan_open(struct plan *plan, const struct registry *registry, const struct selection *selection, struct err *err)
{
	int r;

	*plan = (struct plan){ 0 };
	if (selection->as_given)
		r = plan_given(plan, registry, selection, err);
	else
		r = plan_selected(plan, registry, selection, err);
	if (r) {
		plan_close(plan);
		return r;
	}
	if (selection->shuffle)
		plan_shuffle(plan, selection->seed);
	if (selection->nr_parts)
		plan_keep_part(plan, selection->part, selection->nr_parts);
	return 0;
}

void plan_close(struct plan *plan)
{
	free(plan->items);
	*plan = (struct plan){ 0 };
}

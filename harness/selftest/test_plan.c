/* SPDX-License-Identifier: MIT */
/* Selections: which tests, in which order. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "case.h"
#include "err.h"
#include "runner/plan.h"

#define NR_TESTS 60
#define TEXT_BYTES 4096

static char names[NR_TESTS][32];
static struct test_entry entries[NR_TESTS];
static const struct registry registry = { .tests = entries, .nr_tests = NR_TESTS };
static struct err err;
static const struct case_desc every_day, nightly = { .is_nightly = true };

/* "ioctl.t00" .. "ioctl.t29", "mmu.t00" .. "mmu.t29" */
static int make_registry(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < NR_TESTS; i++) {
		const char *area = i < NR_TESTS / 2 ? "ioctl" : "mmu";

		snprintf(names[i], sizeof(names[i]), "%s.t%02u", area, i % (NR_TESTS / 2));
		entries[i] = (struct test_entry){ .name = names[i], .area = (char *)area, .desc = &every_day };
	}
	return 0;
}

/* The plan as "name#round name#round ...". */
static void plan_text(const struct selection *selection, char *text)
{
	struct plan plan;
	size_t i, used = 0;

	text[0] = '\0';
	if (plan_open(&plan, &registry, selection, &err))
		fail_msg("%s", err.text);
	for (i = 0; i < plan.nr_items; i++)
		used += snprintf(text + used, TEXT_BYTES - used, "%s%s#%u", i ? " " : "", plan.items[i].entry->name,
				 plan.items[i].round);
	plan_close(&plan);
	assert_null(plan.items);
}

static void assert_plan(const struct selection *selection, const char *want)
{
	char text[TEXT_BYTES];

	plan_text(selection, text);
	assert_string_equal(text, want);
}

static void assert_refused(const struct selection *selection, const char *want)
{
	struct plan plan;

	assert_int_equal(plan_open(&plan, &registry, selection, &err), -ENOENT);
	assert_string_equal(err.text, want);
	assert_null(plan.items);
}

#define SELECT(...) (&(struct selection){ .target = "lab-svm", __VA_ARGS__ })
#define GLOBS(...) .globs = (const char *const []){ __VA_ARGS__, NULL }

static void test_globs(void **state)
{
	(void)state;
	assert_plan(SELECT(GLOBS("mmu.t0[12]")), "mmu.t01#0 mmu.t02#0");
	assert_plan(SELECT(GLOBS("*.t07")), "ioctl.t07#0 mmu.t07#0");
	assert_plan(SELECT(GLOBS("mmu.t07", "ioctl.t08", "*.t08")), "ioctl.t08#0 mmu.t07#0 mmu.t08#0");
	assert_plan(SELECT(GLOBS("mmu.t07@lab-*")), "mmu.t07#0");
	assert_plan(SELECT(GLOBS("*.t07"), .suite = "mmu"), "mmu.t07#0");
	assert_refused(SELECT(GLOBS("mmu.t07@kvm")), "no test matches 'mmu.t07@kvm'");
	assert_refused(SELECT(GLOBS("mmu.t07", "mmu.u*")), "no test matches 'mmu.u*'");
	assert_refused(SELECT(GLOBS("mmu")), "no test matches 'mmu'");
	assert_refused(SELECT(.suite = "mm"), "no test is in suite 'mm'");
	assert_refused(SELECT(GLOBS("ioctl.*"), .suite = "mmu"),
		       "no test is in suite 'mmu' and matches the names given");
	/* A part of nothing is nothing too. */
	assert_refused(SELECT(.suite = "mm", .shard = 1, .nr_shards = 2), "no test is in suite 'mm'");
	assert_refused(SELECT(GLOBS("mmu.u*"), .shard = 1, .nr_shards = 2), "no test matches 'mmu.u*'");
}

/* What is not for every day is left out until it is asked for; a lab's program gets whole names and takes it. */
static void test_nightly(void **state)
{
	(void)state;
	entries[NR_TESTS / 2 + 7].desc = &nightly;
	assert_plan(SELECT(GLOBS("*.t07")), "ioctl.t07#0");
	assert_plan(SELECT(GLOBS("*.t07"), .with_nightly = true), "ioctl.t07#0 mmu.t07#0");
	assert_plan(SELECT(GLOBS("mmu.t07"), .as_given = true), "mmu.t07#0");
	assert_refused(SELECT(GLOBS("mmu.t07")), "the names given are of nightly tests: --nightly selects them, too");
	entries[NR_TESTS / 2 + 7].desc = &every_day;
}

static void test_as_given(void **state)
{
	(void)state;
	assert_plan(SELECT(GLOBS("mmu.t07", "ioctl.t03#2", "mmu.t01"), .as_given = true),
		    "mmu.t07#0 ioctl.t03#2 mmu.t01#0");
	assert_plan(SELECT(.as_given = true), "");
	assert_refused(SELECT(GLOBS("mmu.t07", "mmu.t0"), .as_given = true), "no test has the name 'mmu.t0'");
	assert_refused(SELECT(GLOBS("mmu.*"), .as_given = true), "no test has the name 'mmu.*'");
}

static void test_repeat(void **state)
{
	(void)state;
	assert_plan(SELECT(GLOBS("*.t07"), .repeat = 2), "ioctl.t07#0 mmu.t07#0 ioctl.t07#1 mmu.t07#1");
}

/* Every test is in one shard, in just one, and in the same whatever else is selected. */
static void test_shards(void **state)
{
	unsigned int nr_shards, shard, i, nr_seen;

	(void)state;
	for (nr_shards = 1; nr_shards < 9; nr_shards++) {
		unsigned int shard_of[NR_TESTS] = { 0 };

		for (shard = 1, nr_seen = 0; shard <= nr_shards; shard++) {
			struct plan plan;

			assert_int_equal(plan_open(&plan, &registry, SELECT(.shard = shard, .nr_shards = nr_shards),
						   &err), 0);
			for (i = 0; i < plan.nr_items; i++) {
				unsigned int *of = &shard_of[plan.items[i].entry - entries];

				assert_int_equal(*of, 0);
				*of = shard;
				nr_seen++;
			}
			/* They spread. */
			assert_in_range(plan.nr_items, NR_TESTS / nr_shards / 4, NR_TESTS / nr_shards * 3);
			plan_close(&plan);
		}
		assert_int_equal(nr_seen, NR_TESTS);
		for (i = 0; i < NR_TESTS; i++) {
			char want[64];
			const char *globs[] = { names[i], NULL };

			snprintf(want, sizeof(want), "%s#0", names[i]);
			assert_plan(SELECT(.globs = globs, .shard = shard_of[i], .nr_shards = nr_shards), want);
		}
	}
}

/* These may not change: runs of different versions of this program are merged. */
/* Whatever else is selected: the parts of a plan are all of it, in its order, and as good as equal in size. */
static void test_parts(void **state)
{
	unsigned int nr_parts, part;

	(void)state;
	for (nr_parts = 1; nr_parts < 9; nr_parts++) {
		struct selection selection = { .shuffle = true, .seed = 5, .repeat = 3, .shard = 1, .nr_shards = 2 };
		size_t next[8] = { 0 }, i;
		struct plan whole, parts[8];

		assert_int_equal(plan_open(&whole, &registry, &selection, &err), 0);
		selection.nr_parts = nr_parts;
		for (part = 0; part < nr_parts; part++) {
			selection.part = part;
			assert_int_equal(plan_open(&parts[part], &registry, &selection, &err), 0);
			assert_in_range(parts[part].nr_items, whole.nr_items / nr_parts, whole.nr_items / nr_parts + 1);
		}
		for (i = 0; i < whole.nr_items; i++) {
			part = plan_part(i, nr_parts);
			assert_true(part < nr_parts && next[part] < parts[part].nr_items);
			assert_ptr_equal(parts[part].items[next[part]].entry, whole.items[i].entry);
			assert_int_equal(parts[part].items[next[part]++].round, whole.items[i].round);
		}
		for (part = 0; part < nr_parts; part++)
			plan_close(&parts[part]);
		plan_close(&whole);
	}
}

/* A table whose rows have @period modes: each mode is on both sides. */
static void test_parts_have_no_period(void **state)
{
	unsigned int period, mode, i;

	(void)state;
	for (period = 2; period < 13; period++) {
		for (mode = 0; mode < period; mode++) {
			unsigned int nr = 0;

			for (i = mode; i < 64 * period; i += period)
				nr += plan_part(i, 2);
			assert_in_range(nr, 18, 46);
		}
	}
}

static void test_shards_are_stable(void **state)
{
	(void)state;
	assert_plan(SELECT(GLOBS("ioctl.t0?"), .shard = 1, .nr_shards = 4), "ioctl.t00#0 ioctl.t04#0 ioctl.t08#0");
	assert_int_equal(test_seed(1, "mmu.t00", 0), 0x1f330652d13f3c27);
}

static void test_shuffle(void **state)
{
	char plain[TEXT_BYTES], one[TEXT_BYTES], again[TEXT_BYTES], other[TEXT_BYTES];
	unsigned int i;

	(void)state;
	plan_text(SELECT(.seed = 1), plain);
	plan_text(SELECT(.shuffle = true, .seed = 1), one);
	plan_text(SELECT(.shuffle = true, .seed = 1), again);
	plan_text(SELECT(.shuffle = true, .seed = 2), other);
	assert_string_equal(one, again);
	assert_string_not_equal(one, other);
	assert_string_not_equal(one, plain);
	assert_int_equal(strlen(one), strlen(plain));
	for (i = 0; i < NR_TESTS; i++)
		assert_non_null(strstr(one, names[i]));
}

/* Any test may come first, and any last. */
static void test_shuffles_all(void **state)
{
	bool was_first[NR_TESTS] = { false }, was_last[NR_TESTS] = { false };
	unsigned int seed, i, nr_first = 0, nr_last = 0;

	(void)state;
	for (seed = 0; seed < 1000; seed++) {
		struct plan plan;

		assert_int_equal(plan_open(&plan, &registry, SELECT(.shuffle = true, .seed = seed), &err), 0);
		was_first[plan.items[0].entry - entries] = true;
		was_last[plan.items[NR_TESTS - 1].entry - entries] = true;
		plan_close(&plan);
	}
	for (i = 0; i < NR_TESTS; i++) {
		nr_first += was_first[i];
		nr_last += was_last[i];
	}
	assert_int_equal(nr_first, NR_TESTS);
	assert_int_equal(nr_last, NR_TESTS);
}

static void test_seeds(void **state)
{
	(void)state;
	assert_int_equal(test_seed(1, "a", 0), test_seed(1, "a", 0));
	assert_int_not_equal(test_seed(1, "a", 0), test_seed(2, "a", 0));
	assert_int_not_equal(test_seed(1, "a", 0), test_seed(1, "b", 0));
	assert_int_not_equal(test_seed(1, "a", 0), test_seed(1, "a", 1));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_globs), cmocka_unit_test(test_nightly), cmocka_unit_test(test_as_given), cmocka_unit_test(test_repeat),
		cmocka_unit_test(test_shards), cmocka_unit_test(test_parts),
		cmocka_unit_test(test_parts_have_no_period), cmocka_unit_test(test_shards_are_stable), cmocka_unit_test(test_shuffle),
		cmocka_unit_test(test_shuffles_all),
		cmocka_unit_test(test_seeds),
	};

	return cmocka_run_group_tests(tests, make_registry, NULL);
}

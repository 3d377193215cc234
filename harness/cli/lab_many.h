/* SPDX-License-Identifier: MIT */
/*
 * Several labs, or one lab under several module parameters, in one run: side by side, one report, a table of what
 * differs.
 */
#ifndef VMASSAY_LAB_MANY_H
#define VMASSAY_LAB_MANY_H

#include "cli/matrix.h"
#include "reports/compare.h"
#include "reports/sink.h"
#include "runner/plan.h"
#include "runner/runner.h"

struct args;
struct err;

/*
 * True when these options want more than one emulator. Tests that also want shadow paging, or several CPUs, do, unless
 * options name the parameter of two-dimensional paging (then the machine is the one that was asked for, and no other), or
 * the number of CPUs. So do more tests than one emulator is given where another has a CPU for itself.
 */
bool lab_is_many(const char *names, const struct args *args);

/* @names: "all" or "svm,vmx"; @args: as parsed. Returns the program's exit code. */
int lab_many(const char *names, struct args *args);

/* --- the parts, for tests --- */

/*
 * "all", or names with commas between, to @labs, which is filled so that it can be freed in any case. -EINVAL: one is
 * unknown or there twice.
 */
int lab_names_parse(struct strlist *labs, const char *names, struct err *err);

/* Tests that are worth an emulator of their own: they take it about as long as it takes to begin. */
#define MANY_MIN_TESTS 64

/* A lab's machines: that of each combination of parameters, and those beside it for the tests that want them, too. */
enum lab_variant { LAB_PLAIN, LAB_SHADOW, LAB_SMP, LAB_NR_VARIANTS };

struct many_run {
	const struct registry *registry;
	struct args *args;		/* of the whole */
	const struct strlist *labs;
	const struct matrix *matrix;
	bool has_variant[LAB_NR_VARIANTS];	/* beside the plain one: with shadow paging, with more than one CPU */
	bool is_plain;			/* one lab, nothing beside: reported as what one emulator runs, nothing is compared */
	int (*run)(struct args *args);	/* a lab's run, in a process of its own */
	struct sink *sinks[RUN_MAX_SINKS];
	struct compare compare;		/* filled by many_run(); compare_free() it */
	struct summary summary;
	bool has_refused;		/* a lab said before its first test that it cannot run: exit code 2 */
	bool has_trouble;		/* a lab could not be judged although all tests have results: exit code 99 */
};

/* How many emulators share @nr_tests tests of a target: 1 or more. */
unsigned int many_nr_machines(const struct many_run *many, size_t nr_tests);

/*
 * Runs all and tells the sinks, all but the closing of them. 0, or -errno when nothing was started. A target that dies
 * is an ERROR in each test that it still owes.
 */
int many_run(struct many_run *many, struct err *err);

#endif

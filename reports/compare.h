/* SPDX-License-Identifier: MIT */
/*
 * One run on several targets, test by target: which results are not the same everywhere, and who stands alone.
 *
 * Rows of the same pattern, for the same reasons, become one group: a table of hundreds of tests that a target cannot
 * run is one line.
 */
#ifndef VMASSAY_COMPARE_H
#define VMASSAY_COMPARE_H

#include <stdio.h>

#include "reports/result.h"

struct compare_target {
	char *name;		/* what a result of it is called: lab-svm, lab-svm[npt=0] */
	struct summary summary;
	bool is_partial;	/* it was asked for some of the tests only: no result of it is no difference */
	char *note;		/* why it did not run, or is not quite what it is called; NULL */
};

/* A test on a target, of all its rounds the worst. All zero: no result. */
struct compare_cell {
	bool is_present;
	enum verdict verdict;
	uint64_t nr_checks;
	char *why;		/* one line, printable: a SKIP's need, a FAIL's first check with want and got; NULL for a PASS */
	char *like;		/* the same for tests that fail alike: without lines and values, as far as fields are named */
};

struct compare_row {
	char *test;
	char *flag;		/* what changes the result and should not; NULL */
	struct compare_cell *cells;	/* of all targets */
};

/* All zero is empty, without targets. */
struct compare {
	struct compare_target *targets;
	size_t nr_targets;
	struct compare_row *rows;	/* in the order of their first result */
	size_t nr_rows;
	size_t next;		/* where the next row is looked for first */
	int error;		/* -ENOMEM: results are missing */
};

/* Targets first, then results. Returns the target's index. */
size_t compare_add_target(struct compare *compare, const char *name);
void compare_add_result(struct compare *compare, size_t target, const struct result *result);
/* Both replace what was said before. */
void compare_set_note(struct compare *compare, size_t target, const char *note);
void compare_set_flag(struct compare *compare, struct compare_row *row, const char *flag);
void compare_free(struct compare *compare);

/*
 * True when a guest, or the person who waits for its result, could tell the two apart: by verdict, by the number of
 * checks that a PASS has made, by what a FAIL or KNOWN has got. A cell without a result is like any other.
 */
bool compare_cells_differ(const struct compare_cell *one, const struct compare_cell *other);

/* What sets the rows of a group apart, the most telling first. */
enum compare_kind {
	COMPARE_VERDICT,	/* verdicts that are not SKIP */
	COMPARE_OUTCOME,	/* the same verdict, FAIL or KNOWN, for another reason */
	COMPARE_CHECKS,		/* PASS after another number of checks */
	COMPARE_SKIP,		/* some skip it, or have no result of it; the others agree */
	COMPARE_SAME,
};

const char *compare_kind_name(enum compare_kind kind);

/* The group's rows fail alike, or are skipped for the same reason: the first row stands for all. */
struct compare_group {
	enum compare_kind kind;
	const struct compare_row **rows;	/* borrowed from the comparison, in its order */
	size_t nr_rows;
	int alone;		/* the target whose result all others contradict with one voice; -1: none */
};

struct compare_groups {
	struct compare_group *groups;	/* flagged ones first, then by kind and worst verdict; never COMPARE_SAME */
	size_t nr_groups;
};

/* 0 or -ENOMEM. @ret borrows from @compare; compare_groups_free() it. */
int compare_groups_find(const struct compare *compare, struct compare_groups *ret);
void compare_groups_free(struct compare_groups *groups);

/*
 * The table for people: counts by target, a line for each group of skipped tests, a row for each other group. Every
 * group is shown; of its tests' names the first few and how many more. Returns 0 or -ENOMEM.
 */
int compare_print(const struct compare *compare, FILE *out);

/* {"type":"comparison", ...} of reports/schema.md, with every name; the caller puts it. NULL when out of memory. */
struct json_object *compare_to_json(const struct compare *compare);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What the tests said of one kernel, and what that means to git bisect.
 */
#ifndef VMASSAY_CLI_BISECT_RESULTS_H
#define VMASSAY_CLI_BISECT_RESULTS_H

#include <stdio.h>

#include "reports/result.h"

/* git bisect's own: any code from 1 to 127 but 125 says bad, any above ends the bisection. */
enum bisect_code {
	BISECT_GOOD = 0,
	BISECT_BAD = 1,
	BISECT_SKIP = 125,
	BISECT_END = 255,
};

/* Of each test the worst of its rounds, in the order in which they came first. All zero: there are none. */
struct bisect_results {
	struct result **results;
	size_t nr;
};

/*
 * Adds the results of a file of JSON lines (reports/schema.md). What is not a whole line is passed over: a crash may
 * have cut it. 0 or -errno.
 */
int bisect_results_read(struct bisect_results *results, const char *path);
void bisect_results_free(struct bisect_results *results);

/* A FAIL is bad, else an ERROR cannot be judged, else a PASS is good; where nothing passed, nothing was judged. */
enum bisect_code bisect_results_code(const struct bisect_results *results);

/* "ioctl.x: FAIL", or "3 tests: 2 PASS, 1 FAIL"; into @text, which always ends. */
void bisect_results_summarise(const struct bisect_results *results, char *text, size_t size_bytes);

struct bisect_side {
	const char *title;	/* "last good 0123456789ab" */
	const struct bisect_results *results;
};

/* A table of both sides' verdicts by test, under each test what its checks wanted and got. */
void bisect_print_sides(FILE *out, const struct bisect_side *good, const struct bisect_side *bad);

#endif

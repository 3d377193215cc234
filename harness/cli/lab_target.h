/* SPDX-License-Identifier: MIT */
/* One column of a run in several labs: a lab under one combination of parameters, its process, and what it owes. */
#ifndef VMASSAY_LAB_TARGET_H
#define VMASSAY_LAB_TARGET_H

#include "cli/cli.h"
#include "cli/lab_child.h"
#include "cli/lab_many.h"

struct lab_target {
	struct many_run *many;
	size_t index;			/* in many->compare */
	size_t combination;
	bool is_shadow;			/* beside the combination, without two-dimensional paging */
	struct lab_child child;
	struct args args;		/* its own; what they point to is below or the whole run's */
	char *lab_name;			/* "lab-svm" */
	char *name;			/* "lab-svm[npt=0]" */
	char *console;
	char *gcov;			/* where its counters go */
	const char *module, *tdp_param;
	struct strlist params;
	struct plan plan;
	bool *is_reported;		/* the plan's items */
	size_t next;			/* where the next result's item is looked for first */
	bool has_begun;
	char last_words[300];
};

/*
 * Plans its tests and gives it a column. @is_shadow: with shadow paging, for the tests that want that too.
 * lab_target_close() it in any case.
 */
int lab_target_open(struct lab_target *target, struct many_run *many, const char *lab, size_t combination,
		    bool is_shadow, struct err *err);
void lab_target_close(struct lab_target *target);

int lab_target_start(struct lab_target *target, struct err *err);

/*
 * Reads what poll() has found, as lab_child_read() does, and hands it on. False when the process has ended: what it
 * then owes is an ERROR, or when all are told to stop, and when it has refused to run, a note on its column.
 */
bool lab_target_read(struct lab_target *target, const struct pollfd *fds, bool is_stopping);

/* Reports an ERROR for each test that has no result. */
void lab_target_give_up(struct lab_target *target, const char *why);

#endif

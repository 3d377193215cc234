/* SPDX-License-Identifier: MIT */
/* One column of a run in several labs: a lab under one combination of parameters, its machines, and what it owes. */
#ifndef VMASSAY_LAB_TARGET_H
#define VMASSAY_LAB_TARGET_H

#include "cli/cli.h"
#include "cli/lab_machine.h"
#include "cli/lab_many.h"

struct lab_target {
	struct many_run *many;
	size_t index;			/* in many->compare */
	size_t combination;
	enum lab_variant variant;	/* of the combination */
	unsigned int nr_cpus_smp;	/* of the variant with more than one */
	struct args args;		/* its own; what they point to is below or the whole run's */
	char *lab_name;			/* "lab-svm" */
	char *name;			/* "lab-svm[npt=0]" */
	const char *module, *tdp_param;
	struct strlist params;
	struct plan plan;
	bool *is_reported;		/* the plan's items */
	size_t next;			/* where the next result's item is looked for first */
	struct lab_machine *machines;	/* which share the plan, as plan_part() deals it out */
	unsigned int nr_machines;
	bool has_begun;
};

/*
 * Plans its tests, those that want the variant, gives it a column, and shares the tests out to machines.
 * lab_target_close() it in any case.
 */
int lab_target_open(struct lab_target *target, struct many_run *many, const char *lab, size_t combination,
		    enum lab_variant variant, struct err *err);
void lab_target_close(struct lab_target *target);

/* A line of a machine's results; NULL is none. True when it says that the run inside has begun. */
bool lab_target_take(struct lab_target *target, struct json_object *line);

/* True when a test of that machine's has no result. */
bool lab_target_owes(const struct lab_target *target, unsigned int part);

/* Reports an ERROR for each test of that machine's that has no result. */
void lab_target_give_up(struct lab_target *target, unsigned int part, const char *why);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * One of the emulators that share the tests of a target: a process that runs its part of the plan as "vmassay lab NAME"
 * does, what it says, and its end.
 */
#ifndef VMASSAY_LAB_MACHINE_H
#define VMASSAY_LAB_MACHINE_H

#include "cli/cli.h"
#include "cli/lab_child.h"

struct lab_target;

struct lab_machine {
	struct lab_target *target;
	struct lab_child child;
	struct args args;		/* its own; what they point to is below, the target's or the whole run's */
	char *name;			/* "lab-svm[npt=0]"; of the second one "lab-svm[npt=0].2" */
	char *console;
	char *gcov;			/* where its counters go */
	bool has_begun;
	char last_words[300];
};

/*
 * The @part-th (from 0) of @target's machines, whose args and plan are there. 0 or -ENOMEM; lab_machine_close() it in
 * any case.
 */
int lab_machine_open(struct lab_machine *machine, struct lab_target *target, unsigned int part);
void lab_machine_close(struct lab_machine *machine);

/* When it cannot be started, its tests are ERRORs. */
bool lab_machine_start(struct lab_machine *machine);

/*
 * Reads what poll() has found, as lab_child_read() does, and hands it on. False when the process has ended: what it
 * then owes is an ERROR, or when all are told to stop, and when it has refused to run, a note on the target's column.
 */
bool lab_machine_read(struct lab_machine *machine, const struct pollfd *fds, bool is_stopping);

#endif

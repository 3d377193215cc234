/* SPDX-License-Identifier: MIT */
/*
 * A process that runs tests, seen from the runner.
 *
 * On a target in the kernel it runs one test and ends. Where the target answers in the process itself, a test takes less
 * time than a process: a worker is handed one test after the other, and its variables are put back between them
 * (variables.h). It ends, and the next test gets a new one, as soon as a test did not pass or left something behind
 * (leftover.h); and what does not pass behind others is run again in a process of its own, which is what counts.
 */
#ifndef VMASSAY_WORKER_H
#define VMASSAY_WORKER_H

#include <stdbool.h>
#include <sys/types.h>

#include "err.h"
#include "runner/test.h"

struct worker {
	pid_t pid;
	int pid_fd;		/* readable when it has ended; -1 on a kernel without pidfd_open() */
	int result_fd;		/* the tests' JSON lines; EOF when it and all it forked have gone */
	int output_fd;		/* memfd with its stdout and stderr */
	int setup_fd;		/* where it is told the next test; -1: it runs one */
	struct vm_marker *marker;
	unsigned int nr_tests;	/* given to it so far */
};

/* Forks, and runs @setup there. 0 or -errno; on failure nothing is left. */
int worker_start(struct worker *worker, const struct test_setup *setup, bool stays, struct err *err);

/* The next one: it has said TEST_LINE_FREE. */
void worker_give(struct worker *worker, const struct test_setup *setup);

/* True when the process has ended by itself or been killed; one that hangs in the kernel is left behind after a while. */
bool worker_reap(struct worker *worker, int *ret_status);

/* Kills what the tests have started, and frees all but the process. */
void worker_close(struct worker *worker);

/* Kills it. */
void worker_end(struct worker *worker);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * One of several labs that run side by side: a process that runs it and sends JSON lines, and whatever it or its
 * emulator says beside. A process of its own, since a fault of the code that drives an emulator shall cost one lab.
 */
#ifndef VMASSAY_LAB_CHILD_H
#define VMASSAY_LAB_CHILD_H

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

#include "lab/stream.h"

struct args;
struct err;

enum lab_child_stream { CHILD_RESULTS, CHILD_WORDS, NR_CHILD_STREAMS };

/* All zero was never started. */
struct lab_child {
	pid_t pid;			/* 0: does not run */
	int fds[NR_CHILD_STREAMS];	/* -1 at its end */
	struct line_buffer lines[NR_CHILD_STREAMS];
	int status;			/* of waitpid(), once it has ended */
};

/*
 * Starts a process that calls @run with a copy of @args, whose results_fd is CHILD_RESULTS, and ends with the exit code
 * that this returns. Its stdout and stderr are CHILD_WORDS. It does not outlive the caller.
 */
int lab_child_start(struct lab_child *child, int (*run)(struct args *args), const struct args *args, struct err *err);

/* What poll() has to wait for; negative descriptors for one that does not run. */
void lab_child_poll_fds(const struct lab_child *child, struct pollfd fds[NR_CHILD_STREAMS]);

/* Reads what poll() has found: calls @on_line for each whole line. False when the process has ended: see status. */
bool lab_child_read(struct lab_child *child, const struct pollfd fds[NR_CHILD_STREAMS],
		    void (*on_line)(void *context, enum lab_child_stream stream, const char *line), void *context);

/* Sends a signal to one that runs. */
void lab_child_kill(const struct lab_child *child, int signal);

#endif

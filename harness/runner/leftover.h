/* SPDX-License-Identifier: MIT */
/*
 * What a test leaves behind in its process, and what the next one there could meet: descriptors, threads, children,
 * signal handlers and masks, an interval timer, an affinity, memory.
 */
#ifndef VMASSAY_LEFTOVER_H
#define VMASSAY_LEFTOVER_H

#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/time.h>

struct process_state {
	uint64_t fds;			/* a sum over number, device and inode of each */
	uint64_t nr_threads;
	uint64_t has_child;
	sighandler_t handlers[NSIG];
	sigset_t mask, pending;
	struct itimerval timer;
	struct rlimit max_fds;
	cpu_set_t cpus;
	uint64_t nr_pages;		/* of the address space */
};

void process_state_read(struct process_state *state);

/* What is otherwise in @now than in @before, as a noun, or NULL. */
const char *leftover_find(const struct process_state *before, const struct process_state *now);

#endif

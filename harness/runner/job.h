/* SPDX-License-Identifier: MIT */
/*
 * A test in a process of its own, seen from the runner: started, watched, ended, and its result collected whatever
 * becomes of it.
 *
 * A job that is out of time is kicked first (TEST_KICK_SIGNAL: a vCPU stuck in KVM_RUN comes back and the test reports
 * the hang with its dump), then killed. Whether a death or a hang accuses KVM or the test is told by the marker: the
 * call the process was in.
 */
#ifndef VMASSAY_JOB_H
#define VMASSAY_JOB_H

#include <sys/types.h>

#include "reports/result.h"
#include "runner/test.h"

struct job {
	struct test_setup setup;
	pid_t pid;
	int pid_fd;		/* readable when it has ended; -1 on a kernel without pidfd_open() */
	int result_fd;		/* the child's JSON lines; EOF when it and all it forked have gone */
	int output_fd;		/* memfd with its stdout and stderr */
	struct vm_marker *marker;
	uint64_t start_us;
	uint64_t kick_us;	/* when the next step against a late job is due */
	unsigned int nr_kicks;
	char *line;		/* what has been read and not yet ended by a newline */
	size_t len_line;
	struct result *result;	/* the last state that came */
	bool is_lost;		/* a later state could not be read */
	bool is_closing;	/* TEST_LINE_CLOSING came */
	bool is_complete;	/* TEST_LINE_END came */
	uint64_t kmsg_from;	/* the runner's: where the kernel's log was when it began */
	uint64_t judged_until;	/* the runner's: reports before that are another's */
	unsigned int nr_suspects;	/* the runner's: it ran with others when the kernel reported something; or 0 */
};

/* Forks. 0 or -errno; on failure nothing is left. @setup is copied. */
int job_start(struct job *job, const struct test_setup *setup, uint64_t timeout_us, struct err *err);

/* What to poll for; job_read() is due when any of them has something. */
#define JOB_NR_FDS 2
struct pollfd;
void job_poll_fds(const struct job *job, struct pollfd *fds);

/* Reads what is there; true when the process has ended: the job can be collected. */
bool job_read(struct job *job);

/* Kicks or kills the job when it is late; call whenever job->kick_us has passed. */
void job_hurry(struct job *job);

/*
 * Ends and reaps the process and all it started; the result is the caller's. *@ret_is_stuck: the process cannot be
 * killed and is left behind in the kernel.
 */
struct result *job_collect(struct job *job, bool *ret_is_stuck);

/* Kills without collecting. */
void job_abandon(struct job *job);

uint64_t clock_us(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A test in its process (worker.h), seen from the runner: started, watched, ended, and its result collected whatever
 * becomes of it.
 *
 * A job that is out of time is kicked first (TEST_KICK_SIGNAL: a vCPU stuck in KVM_RUN comes back and the test reports
 * the hang with its dump), then killed. Whether a death or a hang accuses KVM or the test is told by the marker: the
 * call the process was in.
 */
#ifndef VMASSAY_JOB_H
#define VMASSAY_JOB_H

#include "reports/result.h"
#include "runner/test.h"
#include "runner/worker.h"

struct job {
	struct test_setup setup;
	struct worker worker;
	uint64_t start_us;
	uint64_t kick_us;	/* when the next step against a late job is due */
	unsigned int nr_kicks;
	char *line;		/* what has been read and not yet ended by a newline */
	size_t len_line;
	struct result *result;	/* the last state that came */
	bool is_lost;		/* a later state could not be read */
	bool is_closing;	/* TEST_LINE_CLOSING came */
	bool is_complete;	/* the result is the last */
	bool is_free;		/* TEST_LINE_FREE came: its worker can be given another */
	bool is_again;		/* the runner's: it did not pass in a process that had run others */
	uint64_t kmsg_from;	/* the runner's: where the kernel's log was when it began */
	uint64_t judged_until;	/* the runner's: reports before that are another's */
	unsigned int nr_suspects;	/* the runner's: it ran with others when the kernel reported something; or 0 */
};

/*
 * In @worker, which is copied, or, NULL, in a new one, that stays or runs this one test. 0 or -errno; on failure nothing
 * is left. @setup is copied.
 */
int job_start(struct job *job, const struct test_setup *setup, uint64_t timeout_us, const struct worker *worker,
	      bool stays, struct err *err);

/* What to poll for; job_read() is due when any of them has something. */
#define JOB_NR_FDS 2
struct pollfd;
void job_poll_fds(const struct job *job, struct pollfd *fds);

/* Reads what is there; true when the process has ended or is free: the job can be collected. */
bool job_read(struct job *job);

/* Kicks or kills the job when it is late; call whenever job->kick_us has passed. */
void job_hurry(struct job *job);

/*
 * The result is the caller's, and so is job->worker when job->is_free; otherwise the process and all it started are ended
 * and reaped. *@ret_is_stuck: the process cannot be killed and is left behind in the kernel.
 */
struct result *job_collect(struct job *job, bool *ret_is_stuck);

/* Kills without collecting. */
void job_abandon(struct job *job);

uint64_t clock_us(void);

#endif

/* SPDX-License-Identifier: MIT */
#include "runner/job.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "err.h"

#define GRACE_US 2000000	/* between the kick and the kill */
#define MAX_LINE_BYTES (1 << 20)
#define MAX_OUTPUT_BYTES 8192

uint64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

int job_start(struct job *job, const struct test_setup *setup, uint64_t timeout_us, const struct worker *worker,
	      bool stays, struct err *err)
{
	int r = 0;

	*job = (struct job){ .setup = *setup };
	job->start_us = clock_us();
	job->kick_us = job->start_us + timeout_us;
	if (worker) {
		job->worker = *worker;
		worker_give(&job->worker, setup);
	} else {
		r = worker_start(&job->worker, setup, stays, err);
	}
	return r;
}

/* --- the child's lines --- */

static void line_take(struct job *job, const char *line)
{
	struct json_object *object;
	struct result *result;

	if (!strcmp(line, TEST_LINE_CLOSING)) {
		job->is_closing = true;
		return;
	}
	if (!strcmp(line, TEST_LINE_END) || !strcmp(line, TEST_LINE_FREE)) {
		job->is_complete = job->result && !job->is_lost;
		job->is_free = !strcmp(line, TEST_LINE_FREE);
		return;
	}
	object = json_tokener_parse(line);
	result = object ? result_from_json(object) : NULL;
	json_object_put(object);
	job->is_lost = !result;
	if (!result)
		return;
	result_free(job->result);
	job->result = result;
}

static void lines_take(struct job *job)
{
	char *start = job->line, *newline;

	while ((newline = memchr(start, '\n', job->line + job->len_line - start))) {
		*newline = '\0';
		line_take(job, start);
		start = newline + 1;
	}
	job->len_line -= start - job->line;
	memmove(job->line, start, job->len_line);
}

/* True at EOF, or when nothing more can be read. */
static bool pipe_read(struct job *job)
{
	char buf[16384];

	for (;;) {
		ssize_t n = read(job->worker.result_fd, buf, sizeof(buf));
		char *grown;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno != EAGAIN;
		if (n == 0)
			return true;
		if (job->len_line + n > MAX_LINE_BYTES)
			continue;
		grown = realloc(job->line, job->len_line + n);
		if (!grown)
			return true;
		job->line = grown;
		memcpy(job->line + job->len_line, buf, n);
		job->len_line += n;
		lines_take(job);
	}
}

void job_poll_fds(const struct job *job, struct pollfd *fds)
{
	fds[0] = (struct pollfd){ .fd = job->worker.result_fd, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = job->worker.pid_fd, .events = POLLIN };
}

/*
 * EOF alone does not do: what the test has forked and left behind keeps the pipe open. Note the order, all that an
 * ended process wrote is in the pipe.
 */
bool job_read(struct job *job)
{
	struct pollfd end = { .fd = job->worker.pid_fd, .events = POLLIN };
	bool has_ended = poll(&end, 1, 0) > 0;

	return pipe_read(job) || has_ended || job->is_free;
}

/* --- lateness --- */

void job_hurry(struct job *job)
{
	if (job->nr_kicks++ == 0) {
		kill(job->worker.pid, TEST_KICK_SIGNAL);
		job->kick_us = clock_us() + GRACE_US;
		return;
	}
	kill(-job->worker.pid, SIGKILL);
	kill(job->worker.pid, SIGKILL);
	job->kick_us = UINT64_MAX;
}

/* --- the end --- */

static struct result *result_for(struct job *job)
{
	const struct test_entry *entry = job->setup.entry;

	if (!job->result) {
		job->result = result_new(entry->name, job->setup.target, entry->file);
		job->result->round = job->setup.round;
	}
	return job->result;
}

static void judge_death(struct job *job, bool is_reaped, int status, uint64_t in_request)
{
	struct result *result = result_for(job);
	enum verdict verdict = in_request ? VERDICT_FAIL : VERDICT_ERROR;
	const char *where = in_request == KVM_RUN ? "inside KVM_RUN" : in_request ? "inside a KVM ioctl" :
			    "outside KVM";
	char text[256];

	if (!is_reaped)
		snprintf(text, sizeof(text), "hang: the process is stuck in the kernel (%s) and cannot be killed",
			 where);
	else if (job->nr_kicks > 1)
		snprintf(text, sizeof(text), "hang: killed after its time (%s, request 0x%llx)", where,
			 (unsigned long long)in_request);
	else if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "the test's process died by signal %d (%s) %s", WTERMSIG(status),
			 strsignal(WTERMSIG(status)), where);
	else if (WIFEXITED(status) && WEXITSTATUS(status))
		snprintf(text, sizeof(text), "the test's process ended with status %d %s", WEXITSTATUS(status), where);
	else
		snprintf(text, sizeof(text), "the test's process ended without a result %s", where);
	result_worsen(result, verdict, text);
	result->duration_us = clock_us() - job->start_us;
}

static void output_take(struct job *job)
{
	char buf[MAX_OUTPUT_BYTES + 1];
	ssize_t n = pread(job->worker.output_fd, buf, MAX_OUTPUT_BYTES, 0);

	if (n <= 0)
		return;
	buf[n] = '\0';
	result_add_note(result_for(job), &(struct note){ .kind = NOTE_OUTPUT, .text = buf });
}

static void judge_end(struct job *job, bool *ret_is_stuck)
{
	uint64_t in_request = vm_marker_in_run(job->worker.marker) ? KVM_RUN : job->worker.marker->request;
	int status = 0;
	bool is_reaped = worker_reap(&job->worker, &status);

	*ret_is_stuck = !is_reaped;
	if (!is_reaped || !WIFEXITED(status) || WEXITSTATUS(status) || !job->is_complete)
		judge_death(job, is_reaped, status, in_request);
}

struct result *job_collect(struct job *job, bool *ret_is_stuck)
{
	struct result *result;

	*ret_is_stuck = false;
	/* What is free without a result has lost it. */
	if (job->is_free && !job->is_complete) {
		kill(job->worker.pid, SIGKILL);
		job->is_free = false;
	}
	if (!job->is_free)
		judge_end(job, ret_is_stuck);
	output_take(job);
	result = result_for(job);
	if (!job->is_free)
		worker_close(&job->worker);
	free(job->line);
	return result;
}

void job_abandon(struct job *job)
{
	worker_end(&job->worker);
	result_free(job->result);
	free(job->line);
}

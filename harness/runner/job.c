/* SPDX-License-Identifier: MIT */
#include "runner/job.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "err.h"

#define GRACE_US 2000000	/* between the kick and the kill */
#define REAP_MS 3000		/* for a killed process to go: one stuck in the kernel never does */
#define MAX_LINE_BYTES (1 << 20)
#define MAX_OUTPUT_BYTES 8192

uint64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

static void __attribute__((noreturn)) child(struct job *job, pid_t parent, int result_fd)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	setpgid(0, 0);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(job->output_fd, STDOUT_FILENO);
	dup2(job->output_fd, STDERR_FILENO);
	job->setup.result_fd = result_fd;
	test_process(&job->setup);
}

int job_start(struct job *job, const struct test_setup *setup, uint64_t timeout_us, struct err *err)
{
	int pipe_fds[2], error;
	pid_t parent = getpid();

	*job = (struct job){ .setup = *setup, .pid = -1 };
	job->marker = mmap(NULL, sizeof(*job->marker), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (job->marker == MAP_FAILED)
		return err_set(err, errno, "mmap: %s", strerror(errno));
	job->setup.marker = job->marker;
	if (pipe2(pipe_fds, O_CLOEXEC)) {
		error = errno;
		goto err_unmap;
	}
	job->output_fd = memfd_create("vmassay-output", MFD_CLOEXEC);
	if (job->output_fd < 0) {
		error = errno;
		goto err_pipe;
	}
	job->start_us = clock_us();
	job->kick_us = job->start_us + timeout_us;
	/* What this process has not written yet, the child would write again. */
	fflush(NULL);
	job->pid = fork();
	if (job->pid < 0) {
		error = errno;
		goto err_output;
	}
	if (!job->pid) {
		close(pipe_fds[0]);
		child(job, parent, pipe_fds[1]);
	}
	setpgid(job->pid, job->pid);
	close(pipe_fds[1]);
	job->pid_fd = pidfd_open(job->pid, 0);
	job->result_fd = pipe_fds[0];
	fcntl(job->result_fd, F_SETFL, O_NONBLOCK);
	return 0;

err_output:
	close(job->output_fd);
err_pipe:
	close(pipe_fds[0]);
	close(pipe_fds[1]);
err_unmap:
	munmap(job->marker, sizeof(*job->marker));
	return err_set(err, error, "cannot start a test process: %s", strerror(error));
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
	if (!strcmp(line, TEST_LINE_END)) {
		job->is_complete = job->result && !job->is_lost;
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
		ssize_t n = read(job->result_fd, buf, sizeof(buf));
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
	fds[0] = (struct pollfd){ .fd = job->result_fd, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = job->pid_fd, .events = POLLIN };
}

/*
 * EOF alone does not do: what the test has forked and left behind keeps the pipe open. Note the order, all that an
 * ended process wrote is in the pipe.
 */
bool job_read(struct job *job)
{
	struct pollfd end = { .fd = job->pid_fd, .events = POLLIN };
	bool has_ended = poll(&end, 1, 0) > 0;

	return pipe_read(job) || has_ended;
}

/* --- lateness --- */

void job_hurry(struct job *job)
{
	if (job->nr_kicks++ == 0) {
		kill(job->pid, TEST_KICK_SIGNAL);
		job->kick_us = clock_us() + GRACE_US;
		return;
	}
	kill(-job->pid, SIGKILL);
	kill(job->pid, SIGKILL);
	job->kick_us = UINT64_MAX;
}

/* --- the end --- */

/* True when the process is gone; a process that hangs in the kernel is left behind after REAP_MS. */
static bool reap(struct job *job, int *status)
{
	struct pollfd end = { .fd = job->pid_fd, .events = POLLIN };
	uint64_t give_up_us = clock_us() + REAP_MS * 1000;

	do {
		if (waitpid(job->pid, status, WNOHANG) == job->pid)
			return true;
		poll(&end, 1, 10);
	} while (clock_us() < give_up_us);
	return false;
}

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
	ssize_t n = pread(job->output_fd, buf, MAX_OUTPUT_BYTES, 0);

	if (n <= 0)
		return;
	buf[n] = '\0';
	result_add_note(result_for(job), &(struct note){ .kind = NOTE_OUTPUT, .text = buf });
}

static void job_free(struct job *job)
{
	if (job->pid_fd >= 0)
		close(job->pid_fd);
	close(job->result_fd);
	close(job->output_fd);
	munmap(job->marker, sizeof(*job->marker));
	free(job->line);
}

struct result *job_collect(struct job *job, bool *ret_is_stuck)
{
	uint64_t in_request = vm_marker_in_run(job->marker) ? KVM_RUN : job->marker->request;
	int status = 0;
	bool is_reaped = reap(job, &status);
	struct result *result;

	*ret_is_stuck = !is_reaped;
	/* Whatever the test has started goes with it. */
	kill(-job->pid, SIGKILL);
	if (!is_reaped || !WIFEXITED(status) || WEXITSTATUS(status) || !job->is_complete)
		judge_death(job, is_reaped, status, in_request);
	output_take(job);
	result = result_for(job);
	job_free(job);
	return result;
}

void job_abandon(struct job *job)
{
	int status;

	kill(-job->pid, SIGKILL);
	kill(job->pid, SIGKILL);
	reap(job, &status);
	result_free(job->result);
	job_free(job);
}

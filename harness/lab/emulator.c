/* SPDX-License-Identifier: MIT */
#include "lab/emulator.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "kernel_log.h"
#include "lab/spawn.h"
#include "lab/stream.h"

enum stream { RESULTS, CONSOLE, DIAGNOSTICS, NR_STREAMS };

/* How long an emulator may take to end after the last line. */
static const int64_t farewell_ms = 10000;

/*
 * How long a kernel that said it has crashed may take to show that it still runs programs: the
 * next results, from the one that met it.
 */
static const int64_t crash_ms = 20000;

/* How often is looked whether a signal has come; most end the wait themselves. */
static const int64_t look_ms = 500;
static const int64_t silent_ms = 3000;

struct run {
	const struct emulator_watch *watch;
	pid_t pid;
	int read_fds[NR_STREAMS];	/* -1 once at its end */
	int write_fds[NR_STREAMS];	/* the child's ends */
	struct line_buffer lines;
	struct line_buffer console_lines;
	struct emulator_record *record;
	struct tail diagnostics;
	int64_t deadline_ms;
	int64_t results_ms;		/* when the last results came */
	int64_t work_ms;		/* and the emulator's CPU time then */
	int64_t silence_ms;		/* since then, when it was ended for that */
	bool has_words;			/* a line that is not empty has come */
	bool is_over;			/* the last line has come */
	bool is_killed;
	int error;			/* why results could not be kept; or 0 */
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* CPU time of the emulator; 0 when that cannot be had. */
static int64_t work_ms(pid_t pid)
{
	struct timespec work;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &work))
		return 0;
	return work.tv_sec * INT64_C(1000) + work.tv_nsec / 1000000;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_ends(int fds[NR_STREAMS])
{
	for (int i = 0; i < NR_STREAMS; i++)
		close_fd(&fds[i]);
}

/* Fills @ends with ours and the child's. Returns 0 or -errno with @ends undefined. */
static int open_terminal(int ends[2])
{
	char name[64];
	struct termios termios;
	int error;

	ends[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (ends[0] < 0)
		return -errno;
	error = grantpt(ends[0]) || unlockpt(ends[0]) ? errno :
		ptsname_r(ends[0], name, sizeof(name));
	ends[1] = error ? -1 : open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (ends[1] < 0) {
		error = error ? error : errno;
		close(ends[0]);
		return -error;
	}
	tcgetattr(ends[1], &termios);
	cfmakeraw(&termios);
	tcsetattr(ends[1], TCSANOW, &termios);
	return 0;
}

static int open_port(int ends[2], enum emulator_port port)
{
	if (port == EMULATOR_TERMINAL)
		return open_terminal(ends);
	if (port == EMULATOR_SOCKET)
		return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) ? -errno : 0;
	return pipe2(ends, O_CLOEXEC) ? -errno : 0;
}

static int open_pipes(struct run *run, enum emulator_port port)
{
	for (int i = 0; i < NR_STREAMS; i++) {
		int ends[2];
		int status = open_port(ends, i == RESULTS ? port : EMULATOR_PIPE);

		if (status)
			return status;
		run->read_fds[i] = ends[0];
		run->write_fds[i] = ends[1];
	}
	return 0;
}

static int open_monitor(struct emulator_plan *plan)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return -errno;
	plan->control_fd = ends[0];
	plan->monitor_fd = ends[1];
	return 0;
}

int emulator_send(const struct emulator_plan *plan, const char *bytes, size_t len_bytes)
{
	while (len_bytes) {
		ssize_t len = send(plan->send_fd, bytes, len_bytes, MSG_NOSIGNAL);

		if (len < 0 && errno == ENOTSOCK)
			len = write(plan->send_fd, bytes, len_bytes);
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return -errno;
		bytes += len;
		len_bytes -= len;
	}
	return 0;
}

void emulator_nudge(const struct emulator_plan *plan)
{
	send(plan->send_fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void end_emulator(struct run *run, enum emulator_end end)
{
	run->is_killed = true;
	run->record->end = end;
	kill(run->pid, SIGKILL);
}

/*
 * One that stands still does not run its machine, whatever that may be doing. A tenth of the time: others may want
 * this machine's CPUs, too, and an emulator whose machine waits needs a fiftieth.
 */
static enum emulator_end end_by_silence(const struct run *run)
{
	if (run->is_over)
		return EMULATOR_TOLD;
	return work_ms(run->pid) - run->work_ms >= run->silence_ms / 10 ? EMULATOR_BUSY : EMULATOR_IDLE;
}

static void allow_silence(struct run *run, unsigned int silence_s)
{
	run->deadline_ms = now_ms() + silence_s * INT64_C(1000);
}

static void take_line(void *context, const char *line)
{
	struct run *run = context;

	run->has_words |= *line;
	if (!run->is_over && run->watch->on_line(run->watch->context, line))
		run->is_over = true;
}

static void take_results(struct run *run, const char *bytes, size_t len_bytes)
{
	bool was_over = run->is_over;
	int status = line_buffer_feed(&run->lines, bytes, len_bytes, take_line, run);

	if (status && !run->error) {
		run->error = -status;
		end_emulator(run, EMULATOR_TOLD);
	}
	/* Where the first words are waited for, noise is none. */
	if (!run->has_words && run->watch->first_timeout_s)
		return;
	/* Counted from the end of the callbacks, whose time is not the emulator's. */
	if (run->is_over && !was_over)
		run->deadline_ms = now_ms() + farewell_ms;
	else if (!run->is_over && (run->has_words || !run->watch->first_timeout_s))
		allow_silence(run, run->watch->timeout_s);
	run->results_ms = now_ms();
	run->work_ms = work_ms(run->pid);
}

static void take_console_line(void *context, const char *line)
{
	struct run *run = context;
	int64_t deadline_ms = now_ms() + crash_ms;

	if (kernel_line_report(line) >= KERNEL_OOPSES && deadline_ms < run->deadline_ms)
		run->deadline_ms = deadline_ms;
}

static void take_console(struct run *run, const char *bytes, size_t len_bytes)
{
	int fd = run->watch->console_fd;

	tail_feed(&run->record->console, bytes, len_bytes);
	line_buffer_feed(&run->console_lines, bytes, len_bytes, take_console_line, run);
	/* A copy for people: a full disk is no reason to lose the results. */
	if (fd >= 0 && write(fd, bytes, len_bytes) < 0)
		return;
}

static void take(struct run *run, enum stream stream)
{
	char bytes[1 << 14];
	ssize_t len = read(run->read_fds[stream], bytes, sizeof(bytes));

	if (len < 0 && errno == EINTR)
		return;
	if (len <= 0) {
		close(run->read_fds[stream]);
		run->read_fds[stream] = -1;
	} else if (stream == RESULTS) {
		take_results(run, bytes, len);
	} else if (stream == CONSOLE) {
		take_console(run, bytes, len);
	} else {
		tail_feed(&run->diagnostics, bytes, len);
	}
}

static bool is_interrupted(const struct run *run)
{
	return run->watch->is_interrupted && *run->watch->is_interrupted;
}

/* Waits for the next piece of anything; the deadline ends the emulator, not the wait. */
static void watch_once(struct run *run)
{
	struct pollfd polled[NR_STREAMS];
	int64_t left_ms = run->deadline_ms - now_ms();

	for (int i = 0; i < NR_STREAMS; i++)
		polled[i] = (struct pollfd){ .fd = run->read_fds[i], .events = POLLIN };
	if (left_ms < 0)
		left_ms = 0;
	if (left_ms > look_ms)
		left_ms = look_ms;
	if (!run->is_killed && is_interrupted(run))
		end_emulator(run, EMULATOR_TOLD);
	if (poll(polled, NR_STREAMS, run->is_killed ? -1 : (int)left_ms) < 0)
		return;
	for (int i = 0; i < NR_STREAMS; i++) {
		if (polled[i].revents)
			take(run, i);
	}
	if (!run->is_killed && !run->is_over && run->watch->on_silence && now_ms() - run->results_ms >= silent_ms)
		run->watch->on_silence(run->watch->context);
	/*
	 * Only results count as life: a kernel that hangs repeats on its console that it does.
	 */
	if (!run->is_killed && now_ms() >= run->deadline_ms) {
		run->silence_ms = now_ms() - run->results_ms;
		end_emulator(run, end_by_silence(run));
	}
}

/* All three streams end with the emulator, for nobody else has their write ends. */
static bool is_running(const struct run *run)
{
	for (int i = 0; i < NR_STREAMS; i++) {
		if (run->read_fds[i] >= 0)
			return true;
	}
	return false;
}

static void describe_end(const struct run *run, int wait_status)
{
	char *words = run->record->last_words;
	size_t size_bytes = sizeof(run->record->last_words);

	if (run->is_killed && is_interrupted(run))
		snprintf(words, size_bytes, "interrupted");
	else if (run->is_killed && run->is_over)
		snprintf(words, size_bytes, "emulator did not end after the command and was ended");
	else if (run->is_killed)
		snprintf(words, size_bytes, "emulator %ssent no results for %.0f s and was ended",
			 run->record->end == EMULATOR_IDLE ? "stood still, " : "",
			 run->silence_ms / 1e3);
	else if (WIFSIGNALED(wait_status))
		snprintf(words, size_bytes, "emulator ended by signal %d (%s)",
			 WTERMSIG(wait_status), sigdescr_np(WTERMSIG(wait_status)));
	else if (WEXITSTATUS(wait_status))
		snprintf(words, size_bytes, "emulator ended with status %d",
			 WEXITSTATUS(wait_status));
	else
		snprintf(words, size_bytes, "emulator ended before the command did");
	tail_quote(&run->diagnostics, 1, "; last line on stderr: ", words, size_bytes);
	tail_quote(&run->record->console, 3, "; console: ", words, size_bytes);
}

/* By env(1): to change the environment between fork() and exec() takes memory. */
static int locate_env(char *path, size_t size_bytes, struct err *err)
{
	return spawn_locate(path, size_bytes, "env") ?
	       err_set(err, ENOENT, "env: not found (Debian package coreutils)") : 0;
}

static int locate(char *path, size_t size_bytes, const struct emulator *emulator, struct err *err)
{
	return spawn_locate(path, size_bytes, emulator->program) ?
	       err_set(err, ENOENT, "%s: not found (Debian %s)", emulator->program,
		       emulator->package) : 0;
}

/* Fills @argv and the path of what is executed. */
static int make_command(struct strlist *argv, char path[PATH_MAX], const struct emulator *emulator,
			const struct emulator_plan *plan, struct err *err)
{
	strlist_add(argv, emulator->program);
	if (emulator->add_environment) {
		char program[PATH_MAX];
		int status;

		snprintf(program, sizeof(program), "%s", path);
		status = locate_env(path, PATH_MAX, err);
		if (status)
			return status;
		emulator->add_environment(argv, plan);
		strlist_add(argv, program);
	}
	emulator->add_arguments(argv, plan);
	return argv->error ? err_set(err, ENOMEM, "out of memory") : 0;
}

static int spawn(struct run *run, const char *path, const struct strlist *argv,
		 const struct emulator *emulator, const struct emulator_plan *plan)
{
	struct spawn_fd inherited[5 + NR_EMULATOR_MEDIA] = {
		{ .fd = plan->kernel_fd },
		{ .fd = plan->initramfs_fd },
		{ .fd = plan->console_fd, .alias = EMULATOR_ALIAS_CONSOLE },
		{ .fd = plan->results_fd, .alias = EMULATOR_ALIAS_RESULTS },
		{ .fd = plan->monitor_fd },
	};

	for (int i = 0; i < NR_EMULATOR_MEDIA; i++)
		inherited[5 + i].fd = plan->media_fds[i];
	inherited[5 + EMULATOR_DISK].alias = EMULATOR_ALIAS_DISK;
	return spawn_program(path, argv->strings, run->write_fds[DIAGNOSTICS], inherited,
			     sizeof(inherited) / sizeof(*inherited), !emulator->listens);
}

static int start(struct run *run, const struct emulator *emulator, struct emulator_plan *plan,
		 struct err *err)
{
	struct strlist argv = { 0 };
	char path[PATH_MAX];
	int status = locate(path, sizeof(path), emulator, err);

	if (!status && emulator->make_media)
		status = emulator->make_media(plan, err);
	if (!status)
		status = make_command(&argv, path, emulator, plan, err);
	if (!status) {
		run->pid = spawn(run, path, &argv, emulator, plan);
		if (run->pid < 0)
			status = err_set(err, -run->pid, "cannot start %s: %s", path,
					 strerror(-run->pid));
	}
	strlist_free(&argv);
	return status;
}

static void close_media(struct emulator_plan *plan)
{
	for (int i = 0; i < NR_EMULATOR_MEDIA; i++)
		close_fd(&plan->media_fds[i]);
}

static int wait_for_end(pid_t pid)
{
	int wait_status = 0;

	while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR)
		;
	return wait_status;
}

int emulator_run(const struct emulator *emulator, struct emulator_plan *plan,
		 const struct emulator_watch *watch, struct emulator_record *record,
		 struct err *err)
{
	struct run run = {
		.watch = watch,
		.record = record,
		.read_fds = { -1, -1, -1 },
		.write_fds = { -1, -1, -1 },
	};
	int wait_status, status;

	*record = (struct emulator_record){ 0 };
	status = open_pipes(&run, emulator->port);
	plan->monitor_fd = plan->control_fd = -1;
	for (int i = 0; i < NR_EMULATOR_MEDIA; i++)
		plan->media_fds[i] = -1;
	if (!status && emulator->save)
		status = open_monitor(plan);
	if (status) {
		err_set(err, -status, "cannot make a pipe: %s", strerror(-status));
		goto err_close;
	}
	plan->console_fd = run.write_fds[CONSOLE];
	plan->results_fd = run.write_fds[RESULTS];
	plan->send_fd = emulator->port == EMULATOR_PIPE ? -1 : run.read_fds[RESULTS];
	status = start(&run, emulator, plan, err);
	close_ends(run.write_fds);
	close_fd(&plan->monitor_fd);
	close_media(plan);
	if (status)
		goto err_close;
	plan->pid = run.pid;
	if (watch->on_start)
		watch->on_start(watch->context);
	run.results_ms = now_ms();
	allow_silence(&run, watch->first_timeout_s ? watch->first_timeout_s : watch->timeout_s);
	while (is_running(&run))
		watch_once(&run);
	wait_status = wait_for_end(run.pid);
	if (!run.is_killed && wait_status)
		record->end = EMULATOR_FAILED;
	describe_end(&run, wait_status);
	line_buffer_free(&run.lines);
	line_buffer_free(&run.console_lines);
	close_fd(&plan->control_fd);
	if (run.error)
		status = err_set(err, run.error, "the emulator's results cannot be kept: %s",
				 strerror(run.error));
	return status;

err_close:
	close_fd(&plan->control_fd);
	close_ends(run.write_fds);
	close_ends(run.read_fds);
	return status;
}

/* SPDX-License-Identifier: MIT */
#include "cli/lab_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "err.h"

/* Note, _exit(): what the parent's streams hold unwritten must not be written twice. */
static void __attribute__((noreturn))
become_child(pid_t parent, int (*run)(struct args *args), struct args args, const int fds[NR_CHILD_STREAMS],
	     const int parents_fds[NR_CHILD_STREAMS])
{
	int code, null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	/* A parent that died before the prctl() will send no signal. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(99);
	if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(fds[CHILD_WORDS], STDOUT_FILENO) < 0 ||
	    dup2(fds[CHILD_WORDS], STDERR_FILENO) < 0)
		_exit(99);
	close(parents_fds[CHILD_RESULTS]);
	close(parents_fds[CHILD_WORDS]);
	args.results_fd = fds[CHILD_RESULTS];
	code = run(&args);
	fflush(stdout);
	_exit(code);
}

static int open_pipes(int ours[NR_CHILD_STREAMS], int theirs[NR_CHILD_STREAMS])
{
	int ends[2], error;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	ours[CHILD_RESULTS] = ends[0];
	theirs[CHILD_RESULTS] = ends[1];
	if (pipe2(ends, O_CLOEXEC)) {
		error = errno;
		close(ours[CHILD_RESULTS]);
		close(theirs[CHILD_RESULTS]);
		return -error;
	}
	ours[CHILD_WORDS] = ends[0];
	theirs[CHILD_WORDS] = ends[1];
	return 0;
}

int lab_child_start(struct lab_child *child, int (*run)(struct args *args), const struct args *args, struct err *err)
{
	int theirs[NR_CHILD_STREAMS] = { -1, -1 }, error;
	pid_t parent = getpid(), pid;

	error = -open_pipes(child->fds, theirs);
	if (error)
		return err_set(err, error, "cannot make a pipe: %s", strerror(error));
	fflush(NULL);
	pid = fork();
	error = errno;
	if (!pid)
		become_child(parent, run, *args, theirs, child->fds);
	close(theirs[CHILD_RESULTS]);
	close(theirs[CHILD_WORDS]);
	if (pid > 0) {
		child->pid = pid;
		return 0;
	}
	close(child->fds[CHILD_RESULTS]);
	close(child->fds[CHILD_WORDS]);
	return err_set(err, error, "cannot start a process: %s", strerror(error));
}

void lab_child_poll_fds(const struct lab_child *child, struct pollfd fds[NR_CHILD_STREAMS])
{
	int i;

	for (i = 0; i < NR_CHILD_STREAMS; i++)
		fds[i] = (struct pollfd){ .fd = child->pid ? child->fds[i] : -1, .events = POLLIN };
}

struct stream_context {
	enum lab_child_stream stream;
	void (*on_line)(void *context, enum lab_child_stream stream, const char *line);
	void *context;
};

static void take_line(void *context, const char *line)
{
	const struct stream_context *stream = context;

	stream->on_line(stream->context, stream->stream, line);
}

/* At the stream's end, or when its lines cannot be kept, the descriptor is closed. */
static void read_stream(struct lab_child *child, struct stream_context *context)
{
	int *fd = &child->fds[context->stream];
	struct line_buffer *lines = &child->lines[context->stream];
	char bytes[65536];
	ssize_t len = read(*fd, bytes, sizeof(bytes));

	if (len < 0 && errno == EINTR)
		return;
	if (len > 0 && !line_buffer_feed(lines, bytes, len, take_line, context))
		return;
	close(*fd);
	*fd = -1;
	line_buffer_free(lines);
}

static bool has_open_stream(const struct lab_child *child)
{
	return child->fds[CHILD_RESULTS] >= 0 || child->fds[CHILD_WORDS] >= 0;
}

bool lab_child_read(struct lab_child *child, const struct pollfd fds[NR_CHILD_STREAMS],
		    void (*on_line)(void *context, enum lab_child_stream stream, const char *line), void *context)
{
	struct stream_context stream = { .on_line = on_line, .context = context };
	int i;

	for (i = 0; i < NR_CHILD_STREAMS; i++) {
		stream.stream = i;
		if (fds[i].revents && child->fds[i] >= 0)
			read_stream(child, &stream);
	}
	if (has_open_stream(child))
		return true;
	while (waitpid(child->pid, &child->status, 0) < 0 && errno == EINTR)
		;
	child->pid = 0;
	return false;
}

void lab_child_kill(const struct lab_child *child, int signal)
{
	if (child->pid)
		kill(child->pid, signal);
}

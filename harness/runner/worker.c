/* SPDX-License-Identifier: MIT */
#include "runner/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/job.h"
#include "runner/leftover.h"
#include "runner/variables.h"

#define REAP_MS 3000		/* for a killed process to go: one stuck in the kernel never does */

/* --- the process --- */

/* False when there will be none. The kick of a test that has just ended may come here. */
static bool setup_read(int fd, struct test_setup *setup)
{
	ssize_t n;

	do
		n = recv(fd, setup, sizeof(*setup), MSG_WAITALL);
	while (n < 0 && errno == EINTR);
	return n == sizeof(*setup);
}

static void __attribute__((noreturn)) serve(struct test_setup *setup, int setup_fd)
{
	struct process_state before, now;
	int result_fd = setup->result_fd;

	process_state_read(&before);
	for (;;) {
		bool has_passed = test_publish(setup);

		process_state_read(&now);
		if (!has_passed || leftover_find(&before, &now))
			break;
		variables_restore();
		test_say_line(result_fd, TEST_LINE_FREE);
		if (!setup_read(setup_fd, setup))
			break;
		setup->result_fd = result_fd;
	}
	test_say_line(result_fd, TEST_LINE_END);
	_exit(0);
}

static void __attribute__((noreturn)) child(const struct worker *worker, const struct test_setup *first, pid_t parent,
					    int result_fd, int setup_fd)
{
	struct test_setup setup = *first;
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	setpgid(0, 0);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(worker->output_fd, STDOUT_FILENO);
	dup2(worker->output_fd, STDERR_FILENO);
	setup.result_fd = result_fd;
	setup.marker = worker->marker;
	if (setup_fd >= 0)
		serve(&setup, setup_fd);
	test_publish(&setup);
	test_say_line(result_fd, TEST_LINE_END);
	_exit(0);
}

/* --- the runner's side --- */

/* All -1 or all open. */
static int fds_open(int pipe_fds[2], int setup_fds[2], int *output_fd, bool stays)
{
	int error;

	setup_fds[0] = setup_fds[1] = -1;
	if (pipe2(pipe_fds, O_CLOEXEC))
		return errno;
	*output_fd = memfd_create("vmassay-output", MFD_CLOEXEC);
	if (*output_fd < 0) {
		error = errno;
		goto err_pipe;
	}
	if (stays && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, setup_fds)) {
		error = errno;
		goto err_output;
	}
	return 0;

err_output:
	close(*output_fd);
err_pipe:
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return error;
}

static void fd_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

int worker_start(struct worker *worker, const struct test_setup *setup, bool stays, struct err *err)
{
	int pipe_fds[2], setup_fds[2], error;
	pid_t parent = getpid();

	*worker = (struct worker){ .pid = -1, .nr_tests = 1 };
	worker->marker = mmap(NULL, sizeof(*worker->marker), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (worker->marker == MAP_FAILED)
		return err_set(err, errno, "mmap: %s", strerror(errno));
	error = fds_open(pipe_fds, setup_fds, &worker->output_fd, stays);
	if (error)
		goto err_unmap;
	/* What this process has not written yet, the child would write again. */
	fflush(NULL);
	worker->pid = fork();
	if (worker->pid < 0) {
		error = errno;
		goto err_fds;
	}
	if (!worker->pid) {
		close(pipe_fds[0]);
		fd_close(setup_fds[0]);
		child(worker, setup, parent, pipe_fds[1], setup_fds[1]);
	}
	setpgid(worker->pid, worker->pid);
	close(pipe_fds[1]);
	fd_close(setup_fds[1]);
	worker->pid_fd = pidfd_open(worker->pid, 0);
	worker->result_fd = pipe_fds[0];
	worker->setup_fd = setup_fds[0];
	fcntl(worker->result_fd, F_SETFL, O_NONBLOCK);
	return 0;

err_fds:
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	fd_close(setup_fds[0]);
	fd_close(setup_fds[1]);
	close(worker->output_fd);
err_unmap:
	munmap(worker->marker, sizeof(*worker->marker));
	return err_set(err, error, "cannot start a test process: %s", strerror(error));
}

/* One that has died meanwhile does not hear of it, which its result's pipe tells. */
void worker_give(struct worker *worker, const struct test_setup *setup)
{
	struct test_setup told = *setup;

	told.marker = worker->marker;
	*worker->marker = (struct vm_marker){ 0 };
	worker->nr_tests++;
	/* Both sides write at one place. */
	if (!ftruncate(worker->output_fd, 0))
		lseek(worker->output_fd, 0, SEEK_SET);
	send(worker->setup_fd, &told, sizeof(told), MSG_NOSIGNAL);
}

bool worker_reap(struct worker *worker, int *ret_status)
{
	struct pollfd end = { .fd = worker->pid_fd, .events = POLLIN };
	uint64_t give_up_us = clock_us() + REAP_MS * 1000;

	do {
		if (waitpid(worker->pid, ret_status, WNOHANG) == worker->pid)
			return true;
		poll(&end, 1, 10);
	} while (clock_us() < give_up_us);
	return false;
}

void worker_close(struct worker *worker)
{
	kill(-worker->pid, SIGKILL);
	fd_close(worker->pid_fd);
	fd_close(worker->setup_fd);
	close(worker->result_fd);
	close(worker->output_fd);
	munmap(worker->marker, sizeof(*worker->marker));
}

void worker_end(struct worker *worker)
{
	int status;

	kill(-worker->pid, SIGKILL);
	kill(worker->pid, SIGKILL);
	worker_reap(worker, &status);
	worker_close(worker);
}

/* SPDX-License-Identifier: MIT */
#include "lab/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int spawn_locate(char *path, size_t size_bytes, const char *program)
{
	const char *folder = getenv("PATH");

	while (folder && *folder) {
		int len = strcspn(folder, ":");

		snprintf(path, size_bytes, "%.*s/%s", len, folder, program);
		if (len && !access(path, X_OK))
			return 0;
		folder += len + (folder[len] == ':');
	}
	return -ENOENT;
}

static void say(const char *words)
{
	/* Nobody to tell when this fails, too. */
	if (write(STDERR_FILENO, words, strlen(words)) < 0)
		return;
}

/* After fork() in what may be a threaded program: only async-signal-safe calls. */
static void __attribute__((noreturn))
become_program(const char *path, char *const *argv, int output_fd,
	       const struct spawn_fd *inherited, size_t nr_inherited)
{
	int null_fd = open("/dev/null", O_RDWR);

	if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 ||
	    dup2(output_fd, STDOUT_FILENO) < 0 || dup2(output_fd, STDERR_FILENO) < 0)
		_exit(127);
	/* A kernel before 5.11 refuses: then what others left inheritable stays open. */
	syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
	/* Negative ones fail, which is as well. */
	for (size_t i = 0; i < nr_inherited; i++) {
		fcntl(inherited[i].fd, F_SETFD, 0);
		if (inherited[i].alias)
			dup2(inherited[i].fd, inherited[i].alias);
	}
	execv(path, argv);
	say(path);
	say(": cannot be executed\n");
	_exit(127);
}

/* Who may not make a network namespace may do so in a user namespace, on most machines. */
static void leave_network(void)
{
	if (unshare(CLONE_NEWNET))
		unshare(CLONE_NEWUSER | CLONE_NEWNET);
}

pid_t spawn_program(const char *path, char *const *argv, int output_fd,
		    const struct spawn_fd *inherited, size_t nr_inherited, bool has_network)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid)
		return pid;
	/* Before the signal is asked for: a change of credentials would forget it. */
	if (!has_network)
		leave_network();
	/* A parent that died before the prctl() will send no signal. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(127);
	become_program(path, argv, output_fd, inherited, nr_inherited);
}

/* SPDX-License-Identifier: MIT */
#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"

#define LOOK_MS 10
#define FAREWELL_MS 10000

static void __attribute__((noreturn))
become(const char *const *argv, int stdout_fd, int stderr_fd, pid_t parent)
{
	int null_fd = open("/dev/null", O_RDONLY);

	setpgid(0, 0);
	/* A parent that died before the prctl() will send no signal. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) || getppid() != parent)
		_exit(127);
	/* Either may be the other's number. */
	stdout_fd = fcntl(stdout_fd, F_DUPFD_CLOEXEC, 3);
	stderr_fd = fcntl(stderr_fd, F_DUPFD_CLOEXEC, 3);
	if (dup2(null_fd, STDIN_FILENO) < 0 || dup2(stdout_fd, STDOUT_FILENO) < 0 ||
	    dup2(stderr_fd, STDERR_FILENO) < 0)
		_exit(127);
	signal(SIGPIPE, SIG_DFL);
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

/*
 * Also for those that the program did not wait for; but not for ever: where nobody reaps orphans, they stay in the
 * group.
 */
static int group_wait(pid_t pid)
{
	unsigned int nr_looks = 0;
	bool has_ended = false, is_told = false;
	int status = 0;

	while (!has_ended || (!kill(-pid, 0) && nr_looks++ < FAREWELL_MS / LOOK_MS)) {
		if (cli_is_interrupted && !is_told)
			is_told = !kill(-pid, SIGTERM);
		if (!has_ended && waitpid(pid, &status, WNOHANG))
			has_ended = true;
		else
			poll(NULL, 0, LOOK_MS);
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int child_run(const char *const *argv, int stdout_fd, int stderr_fd)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0)
		return 127;
	if (!pid)
		become(argv, stdout_fd, stderr_fd, parent);
	/* Both sides do it: whoever comes first. */
	setpgid(pid, pid);
	return group_wait(pid);
}

int child_run_logged(const char *const *argv, const char *log)
{
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	int code;

	if (fd < 0)
		return 127;
	code = child_run(argv, fd, fd);
	close(fd);
	return code;
}

static char *text_of(int fd)
{
	struct stat stat;
	char *text;

	if (fstat(fd, &stat))
		return NULL;
	text = calloc(1, stat.st_size + 1);
	if (!text || pread(fd, text, stat.st_size, 0) != stat.st_size) {
		free(text);
		return NULL;
	}
	if (stat.st_size && text[stat.st_size - 1] == '\n')
		text[stat.st_size - 1] = '\0';
	return text;
}

char *child_read(const char *const *argv)
{
	int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int fd = memfd_create("output", MFD_CLOEXEC);
	char *text = NULL;

	if (null_fd >= 0 && fd >= 0 && !child_run(argv, fd, null_fd))
		text = text_of(fd);
	close(fd);
	close(null_fd);
	return text;
}

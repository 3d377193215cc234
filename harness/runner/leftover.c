/* SPDX-License-Identifier: MIT */
#include "runner/leftover.h"

#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "runner/test.h"

#define SPARE_PAGES (64u << 8)		/* 64 MiB: heaps and stacks that the C library keeps */

static uint64_t fds_read(void)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;
	uint64_t sum = 0;

	while (dir && (entry = readdir(dir))) {
		struct stat stat;
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && fd != dirfd(dir) && !fstat(fd, &stat))
			sum += (stat.st_ino * 31 + stat.st_dev) * 1000003 + fd + 1;
	}
	if (dir)
		closedir(dir);
	return sum;
}

static uint64_t threads_count(void)
{
	struct stat stat_now;

	return stat("/proc/self/task", &stat_now) ? 0 : stat_now.st_nlink;
}

static uint64_t pages_count(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long nr_pages = 0;

	if (file && fscanf(file, "%lu", &nr_pages) != 1)
		nr_pages = 0;
	if (file)
		fclose(file);
	return nr_pages;
}

void process_state_read(struct process_state *state)
{
	siginfo_t info;
	struct sigaction action;
	int i;

	/* Compared byte by byte. */
	memset(state, 0, sizeof(*state));
	state->fds = fds_read();
	state->nr_threads = threads_count();
	state->has_child = !waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT);
	/* The kick's is set by each test. */
	for (i = 1; i < NSIG; i++)
		if (i != TEST_KICK_SIGNAL && !sigaction(i, NULL, &action))
			state->handlers[i] = action.sa_handler;
	sigprocmask(SIG_BLOCK, NULL, &state->mask);
	sigpending(&state->pending);
	getitimer(ITIMER_REAL, &state->timer);
	getrlimit(RLIMIT_NOFILE, &state->max_fds);
	sched_getaffinity(0, sizeof(state->cpus), &state->cpus);
	state->nr_pages = pages_count();
}

#define DIFFERS(field) memcmp(&before->field, &now->field, sizeof(before->field))

const char *leftover_find(const struct process_state *before, const struct process_state *now)
{
	if (DIFFERS(fds))
		return "descriptor";
	if (DIFFERS(nr_threads))
		return "thread";
	if (DIFFERS(has_child))
		return "child";
	if (DIFFERS(handlers))
		return "signal handler";
	if (DIFFERS(mask) || DIFFERS(pending))
		return "signal";
	if (DIFFERS(timer))
		return "timer";
	if (DIFFERS(max_fds))
		return "limit";
	if (DIFFERS(cpus))
		return "affinity";
	if (now->nr_pages > before->nr_pages + SPARE_PAGES)
		return "memory";
	return NULL;
}

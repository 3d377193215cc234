/* SPDX-License-Identifier: MIT */
#include "fuzz/touches.h"

#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct touches {
	size_t nr;
	bool is_on;
	int fds[TOUCHES_MAX];		/* the first one reads them all */
};

static int breakpoint_open(const void *place, int group_fd)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT, .size = sizeof(attr), .bp_type = HW_BREAKPOINT_RW,
		.bp_addr = (uintptr_t)place, .bp_len = HW_BREAKPOINT_LEN_8, .read_format = PERF_FORMAT_GROUP,
		.exclude_kernel = 1, .exclude_hv = 1, .disabled = 1,
	};

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, group_fd, PERF_FLAG_FD_CLOEXEC);
}

static void on_trap(int number)
{
	(void)number;
}

/* Where the system is a guest itself, a trap may come when its breakpoint is no longer there: it is nobody's, and kills. */
static void traps_outlive(void)
{
	struct sigaction action = { .sa_handler = on_trap, .sa_flags = SA_RESTART }, before;

	if (!sigaction(SIGTRAP, NULL, &before) && before.sa_handler == SIG_DFL)
		sigaction(SIGTRAP, &action, NULL);
}

struct touches *touches_open(const void *const *places, size_t nr)
{
	struct touches *touches = calloc(1, sizeof(*touches));

	traps_outlive();
	while (touches && touches->nr < nr) {
		int fd = breakpoint_open(places[touches->nr], touches->nr ? touches->fds[0] : -1);

		if (fd < 0) {
			touches_close(touches);
			return NULL;
		}
		touches->fds[touches->nr++] = fd;
	}
	return touches;
}

void touches_close(struct touches *touches)
{
	if (!touches)
		return;
	while (touches->nr)
		close(touches->fds[--touches->nr]);
	free(touches);
}

void touches_set(struct touches *touches, bool is_on)
{
	if (touches->is_on == is_on)
		return;
	ioctl(touches->fds[0], is_on ? PERF_EVENT_IOC_ENABLE : PERF_EVENT_IOC_DISABLE, PERF_IOC_FLAG_GROUP);
	touches->is_on = is_on;
}

void touches_read(const struct touches *touches, uint64_t *counts)
{
	uint64_t values[1 + TOUCHES_MAX] = { 0 };	/* how many, and each */
	size_t i;

	if (read(touches->fds[0], values, sizeof(values)) < 0)
		abort();
	for (i = 0; i < touches->nr; i++)
		counts[i] = values[1 + i];
}

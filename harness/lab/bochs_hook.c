/* SPDX-License-Identifier: MIT */
/*
 * Loaded into Bochs (LD_PRELOAD), which can save a machine, but only at the push of a button that
 * none of its displays without a screen has.
 *
 * Bochs' debugger reads its commands with readline(), in the thread of the machine and between two
 * of its instructions. Ours answers "continue"; before that it saves the machine in the folder that
 * waits at the monitor, if one does. There are prompts at the start (the machine's, or that of what
 * is resumed), at each SIGINT, and at each triple fault of a guest of SVM.
 *
 * Resuming, Bochs copies the machine's memory, holes and all, into a temporary file, from which it
 * then reads what is used. It gets the saved file itself for that, which cannot be written: Bochs
 * does not look whether its copy succeeds. That spares a gigabyte on the way to the disk.
 */
#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lab/bochs_hook.h"

char *readline(const char *prompt);

/* The C library's. NULL: there is none, and Bochs, which has no other use for it, says so. */
FILE *tmpfile64(void)
{
	const char *memory = getenv(BOCHS_HOOK_MEMORY);

	return memory ? fopen(memory, "rbe") : NULL;
}

static bool is_ready;

/* Who does not listen any more will end us. */
static void answer(int monitor_fd, const char *line)
{
	send(monitor_fd, line, BOCHS_HOOK_LINE_BYTES, MSG_NOSIGNAL);
}

/* Bochs' SIM->save_state(). */
static bool save_state(const char *folder)
{
	void **sim = dlsym(RTLD_DEFAULT, "SIM");
	bool (*save)(void *sim, const char *folder) =
		dlsym(RTLD_DEFAULT, "_ZN13bx_real_sim_c10save_stateEPKc");

	return sim && save && save(*sim, folder);
}

char *readline(const char *prompt)
{
	const char *number = getenv(BOCHS_HOOK_MONITOR);
	int monitor_fd = number ? atoi(number) : -1;
	char folder[PATH_MAX];
	ssize_t len;

	(void)prompt;
	if (!is_ready)
		answer(monitor_fd, BOCHS_HOOK_READY);
	is_ready = true;
	len = recv(monitor_fd, folder, sizeof(folder), MSG_DONTWAIT);
	if (len > 0 && !folder[len - 1])
		answer(monitor_fd, save_state(folder) ? BOCHS_HOOK_DONE : BOCHS_HOOK_FAILED);
	return strdup("c");
}

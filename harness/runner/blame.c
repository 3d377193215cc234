/* SPDX-License-Identifier: MIT */
#include "runner/blame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* True for a thread of the job's process; the job is running. */
static bool has_task(const struct job *job, int pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)job->worker.pid, pid);
	return pid == job->worker.pid || !access(path, F_OK);
}

/* Tests have the name that this process has, unless they give themselves another. */
static bool is_our_name(const char *comm)
{
	char name[17] = "";

	prctl(PR_GET_NAME, name);
	return *comm && !strcmp(comm, name);
}

enum blame blame_find(const struct kernel_words *words, const struct job *job, const struct job *others,
		      unsigned int nr_others, bool owns_kernel)
{
	unsigned int i;

	if (words->worst == KERNEL_QUIET)
		return BLAME_NONE;
	if (words->pid > 0 && words->pid == job->worker.pid)
		return BLAME_ONE;
	for (i = 0; words->pid > 0 && i < nr_others; i++)
		if (has_task(&others[i], words->pid))
			return BLAME_NONE;
	/* A thread of a process that has ended: this one. */
	if (is_our_name(words->comm))
		return BLAME_ONE;
	if (!owns_kernel)
		return BLAME_NONE;
	return nr_others ? BLAME_ALL : BLAME_ONE;
}

void result_add_dmesg(struct result *result, const char *text)
{
	char *excerpt = *text ? kernel_text_excerpt(text) : NULL;

	if (excerpt)
		result_add_note(result, &(struct note){ .kind = NOTE_DMESG, .text = excerpt });
	free(excerpt);
}

void result_blame(struct result *result, enum verdict verdict, const char *why, unsigned int nr_suspects)
{
	char text[1280];
	int len = snprintf(text, sizeof(text), "%s", why);

	if (nr_suspects > 1 && len < (int)sizeof(text))
		snprintf(text + len, sizeof(text) - len, " (%u tests ran then: which of them is to blame is not known)",
			 nr_suspects);
	result_worsen(result, verdict, text);
}

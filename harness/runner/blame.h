/* SPDX-License-Identifier: MIT */
/*
 * What the kernel said while a test ran, as a part of its result, and whether the test answers for it.
 */
#ifndef VMASSAY_BLAME_H
#define VMASSAY_BLAME_H

#include <stdbool.h>

#include "kernel_log.h"
#include "runner/job.h"

enum blame {
	BLAME_NONE,	/* the kernel reported nothing, or nothing that is about this test */
	BLAME_ONE,
	BLAME_ALL,	/* which of the tests that ran then is not told */
};

/*
 * @words were said while @job ran, and the @nr_others with it. The task that the report names decides. Where that is
 * none of theirs (an interrupt, a kernel's thread), it is about the tests only if the kernel is there for them alone.
 */
enum blame blame_find(const struct kernel_words *words, const struct job *job, const struct job *others,
		      unsigned int nr_others, bool owns_kernel);

/* Adds the NOTE_DMESG, unless @text is empty. */
void result_add_dmesg(struct result *result, const char *text);

/* @why, and with @nr_suspects tests that ran then, this one among them, that no more than this is known. */
void result_blame(struct result *result, enum verdict verdict, const char *why, unsigned int nr_suspects);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * One step of a bisection: the kernel of one commit is built, and judged by this very program in a lab.
 *
 * A step leaves a folder of its own in the work folder, with build.log, bzImage, lab.log, results.json (the lab's JSON
 * lines) and console, and a line in the work folder's steps.json (reports/schema.md).
 */
#ifndef VMASSAY_CLI_BISECT_STEP_H
#define VMASSAY_CLI_BISECT_STEP_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/bisect_results.h"

struct args;
struct strlist;

#define COMMIT_SIZE 65		/* a SHA-256 and its end */

struct bisect_step {
	unsigned int number;		/* from 1 */
	char commit[COMMIT_SIZE];
	char folder[PATH_MAX];
	char says[512];			/* what the tests said, or why they could not */
	enum bisect_code code;
	uint64_t build_us, lab_us;
};

/*
 * Judges @commit, a full name, of args->bisect.tree; NULL: what is checked out there, with changes that are not
 * committed. Tells its progress on stderr, in one line. BISECT_END when no commit could be judged: the builder or
 * the work folder is not usable, or the user has interrupted.
 */
enum bisect_code bisect_step_run(const struct args *args, const char *commit, struct bisect_step *ret);

/* The last step of that commit, or of any when it is NULL. False when there is none. */
bool bisect_step_find(const char *work, const char *commit, struct bisect_step *ret);

/* Adds what its tests said; nothing when it came to no tests. */
void bisect_step_results(const struct bisect_step *step, struct bisect_results *results);

/* The options that a lab is given and a bisection takes, too. */
void bisect_add_lab_words(struct strlist *words, const struct args *args);

/* What "git -C TREE ..." prints, free() it; NULL when it ends with an error. */
char *git_read(const char *tree, const char *const *words);
#define git_ask(tree, ...) git_read(tree, (const char *const[]){ __VA_ARGS__, NULL })

#endif

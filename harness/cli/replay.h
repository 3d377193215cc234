/* SPDX-License-Identifier: MIT */
/*
 * "vmassay replay": runs stored inputs again, here or inside a lab, and says what comes of them.
 *
 * In a lab the agent (replay_agent.c) runs inputs one by one and tells of each, as JSON lines of type "replay":
 *
 *	at	file: the index of the one that runs now
 *	done	file, run, lines, violation, missing, known: as struct replayed has them
 *
 * so that the outside knows which one killed the machine, and goes on behind it on another.
 */
#ifndef VMASSAY_CLI_REPLAY_H
#define VMASSAY_CLI_REPLAY_H

#include <stdbool.h>

#include "cli/cli.h"
#include "fuzz/executor.h"
#include "fuzz/expect.h"
#include "lab/strlist.h"

/* What came of an input: of its first run that was wrong, or of the last. */
struct replayed {
	unsigned int run;		/* which, from 1; 0: it is not known */
	struct strlist lines;		/* of the outcome; of a lab also what is known of the kernel's words */
	char violation[EXPECT_LINE_BYTES];	/* what must not be; "" */
	char missing[EXPECT_LINE_BYTES + 512];	/* what is not as the file expects it; "" */
	char known[64];			/* why something is not, and may be so (input.h); "" */
};

/* Runs @input until a run is wrong, @repeat times at most. @ret: to free with replayed_free(). */
void replay_run(struct executor *executor, const struct input *input, unsigned int repeat, struct replayed *ret);
bool replayed_is_right(const struct replayed *replayed);
void replayed_print(const struct replayed *replayed, const char *path, const struct args *args);
void replayed_free(struct replayed *replayed);

/* The inputs of @inputs, by the index of their names in @paths, in the lab of @args. Returns the exit code. */
int replay_in_lab(const struct args *args, const char *const *paths, const struct input *inputs, unsigned int nr,
		  lab_boot_fn *boot);

/*
 * Inside: argv[1...] are how often each runs, the index of the first, and the inputs' texts. Returns the exit code: 0, or
 * 99 behind a line when none can be run.
 */
int replay_agent(int argc, char **argv);

#endif

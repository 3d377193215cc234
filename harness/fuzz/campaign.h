/* SPDX-License-Identifier: MIT */
/*
 * A search in this process: inputs of one domain on one target, each a mutant of one that has shown something new. What shows
 * a new feature (struct trial) is kept in the corpus, what breaks an oracle is minimised and kept as a finding, once for each
 * kind. Both are written the moment they are met, so that a killed campaign loses the running input only;
 * it goes on from its corpus.
 */
#ifndef VMASSAY_FUZZ_CAMPAIGN_H
#define VMASSAY_FUZZ_CAMPAIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "fuzz/executor.h"

struct err;

struct campaign_stats {
	uint64_t nr_inputs, nr_kept, nr_features, nr_findings;
	uint64_t nr_once;		/* violations that did not come again, which are no findings */
	double seconds, cpu_seconds;	/* of the clock, and of the processor */
};

struct campaign_options {
	struct executor *executor;
	uint64_t seed;
	uint64_t first;			/* the number of the first input that is made: to go on where another ended */
	const struct input *seeds;	/* the corpus to begin with, run in this order; all of it is kept */
	size_t nr_seeds;
	size_t nr_ran;			/* the first so many of them are not run: what they have shown is told here */
	const uint16_t *features;
	size_t nr_features;
	const struct input_words *words;	/* of the target; may grow between inputs. NULL: none */
	const uint64_t *kinds;		/* violations that others have found (violation_kind()) */
	size_t nr_kinds;
	double seconds;			/* 0: no limit */
	uint64_t nr_inputs;		/* 0: no limit */
	const char *corpus;		/* folder, read first and written; NULL: in memory only */
	const char *findings;		/* folder; NULL: they are only told */
	/* About once a second, and at the end; returns false to end it. NULL is fine. */
	bool (*tell)(void *context, const struct campaign_stats *stats);
	/* A finding, minimised; @path is NULL where it is not kept. NULL is fine. */
	void (*found)(void *context, const struct input *input, const struct trial *trial, const char *path);
	/* Input number @number is to run; seeds have none: CAMPAIGN_SEED. NULL is fine. */
	void (*begin)(void *context, uint64_t number);
	/* It ran. True when it showed something that features do not say: it is kept then. NULL is fine. */
	bool (*is_new)(void *context, const struct input *input, uint64_t number);
	/* It showed features that none before it did. NULL is fine. */
	void (*features_new)(void *context, const struct trial *trial);
	/* It is in the corpus now. NULL is fine. */
	void (*kept)(void *context, const struct input *input, uint64_t number);
	void *context;
};

#define CAMPAIGN_SEED UINT64_MAX

/* 0 whatever it finds; -errno and a line: a folder or a file in it. */
int campaign_run(const struct campaign_options *options, struct campaign_stats *ret_stats, struct err *err);

/*
 * Input number @number of a search by @seed, of which @corpus is what it had kept when it made that one, in its order, and
 * @words (NULL: none) what it had learnt: for an input that was lost with the machine it ran on.
 */
void campaign_make(uint64_t seed, uint64_t number, const struct input *const *corpus, size_t nr_corpus,
		   const struct input_words *words, struct input *ret);

#endif

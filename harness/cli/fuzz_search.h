/* SPDX-License-Identifier: MIT */
/*
 * The parts of a search in labs, as cli/fuzz_lab.c runs it: what is known of it outside, and what is done with the lines that
 * the agent sends (cli/fuzz_agent.h) and with a machine's death.
 */
#ifndef VMASSAY_CLI_FUZZ_SEARCH_H
#define VMASSAY_CLI_FUZZ_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/fuzz_board.h"
#include "cli/fuzz_lab.h"
#include "err.h"
#include "fuzz/corpus.h"

struct json_object;

#define SEARCH_TEXT_BYTES 16384	/* of an input */
#define SEARCH_PATH_BYTES 512
#define SEARCH_NR_CAREFUL 64		/* inputs told one by one, behind a death that named none */

struct entry {
	struct input input;
	uint64_t number;		/* CAMPAIGN_SEED: it was there before */
};

struct totals {
	uint64_t inputs;
	double seconds;			/* of running inputs */
};

struct search {
	const struct fuzz_lab_options *options;
	struct fuzz_board *board;	/* shared with the other labs */
	unsigned int lab;		/* which of them */
	uint64_t seed;
	struct entry **corpus;
	size_t nr_corpus, room;
	struct input_words words;	/* that the kernel compares with */
	uint64_t word_numbers[INPUT_MAX_WORDS];	/* of the inputs that showed them */
	struct corpus_features features;	/* of what ran here */
	size_t nr_ran;			/* of the corpus: the first ones */
	size_t nr_before;		/* in the corpus when it began */
	uint64_t nr_kept;		/* by this lab */
	uint64_t start_us, told_us;

	/* Of the boot that runs. */
	uint64_t run_us;		/* when its first input was told; 0: not yet */
	uint64_t at;			/* the last number told */
	size_t nr_told;			/* of the corpus: up to the one that runs, where that is told */
	bool is_settled;		/* the machine died of an input that does not run again */
	uint64_t first, nr_careful;
	bool has_run;			/* an input */
	struct totals boot, all;	/* that one's, and those before */
	struct json_object *known;	/* of the boot that told last */
	uint64_t nr_deaths;
	FILE *csv, *cover, *dictionary;
	struct err err;
};

/* --- the corpus (fuzz_search_corpus.c) --- */

int search_corpus_add(struct search *s, const struct input *input, uint64_t number);
/* What is in the folder and not known yet: from before, or from another lab. 0, or -errno and s->err. */
int search_corpus_read(struct search *s);
/* The same at first: there is always one to begin with. */
int search_corpus_open(struct search *s);
/* Adds the golden state. */
int search_corpus_golden(struct search *s);
void search_corpus_free(struct search *s);
/* Input number @number, as the agent made it. */
void search_input_again(const struct search *s, uint64_t number, struct input *ret);
/* A file of the corpus or of findings, whole or not at all; its name is @text's hash. @head are lines for the reader. */
void search_file_write(const char *folder, const char *suffix, const char *head, const char *text);

/* --- findings (fuzz_search_findings.c) --- */

/* A "found" line. */
void search_take_found(struct search *s, struct json_object *line);
/*
 * The input that killed the machine is known by the kernel's words, or because each was told before it ran. Otherwise the
 * next machine begins with the last that was told, and tells each: they are the same.
 */
void search_take_death(struct search *s, const struct lab_outcome *outcome);

/* --- lines (fuzz_search_lines.c) --- */

/* Of lab_boot(); @search is the search. */
void search_take_line(void *search, const char *text);
/* Of all labs. */
size_t search_nr_findings(const struct search *s);
void search_status_print(FILE *file, const struct search *s);
/* Where one may stand, before something else is printed. */
void search_status_clear(void);
/* To the other labs. */
void search_tell(const struct search *s);

#endif

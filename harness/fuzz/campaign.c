/* SPDX-License-Identifier: MIT */
#include "fuzz/campaign.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "err.h"
#include "folder.h"
#include "fuzz/corpus.h"

#define MAX_KINDS 256
#define CLOCK_EVERY 256		/* inputs between two looks at the clock */
#define CROSS_PERCENT 15
#define WORD_PERCENT 15

struct campaign {
	const struct campaign_options *options;
	struct campaign_stats stats;
	struct executor *executor;
	uint64_t number;		/* of the next input that is made */
	struct input **corpus;
	size_t nr_corpus, room;
	struct corpus_features features;
	uint64_t kinds[MAX_KINDS];	/* of violations that have been found */
	double start, cpu_start, told;
	struct err *err;
};

static double seconds_now(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- the corpus --- */

static int corpus_add(struct campaign *c, const struct input *input)
{
	struct input *copy;

	if (c->nr_corpus == c->room) {
		size_t room = c->room ? 2 * c->room : 64;
		struct input **corpus = realloc(c->corpus, room * sizeof(struct input *));

		if (!corpus)
			return err_set(c->err, ENOMEM, "%s", strerror(ENOMEM));
		c->corpus = corpus;
		c->room = room;
	}
	copy = malloc(sizeof(*copy));
	if (!copy)
		return err_set(c->err, ENOMEM, "%s", strerror(ENOMEM));
	*copy = *input;
	c->corpus[c->nr_corpus++] = copy;
	return 0;
}

static unsigned int features_take(struct campaign *c, const struct trial *trial)
{
	unsigned int nr_new = corpus_features_take(&c->features, trial);

	c->stats.nr_features = c->features.nr;
	if (nr_new && c->options->features_new)
		c->options->features_new(c->options->context, trial);
	return nr_new;
}

/* --- findings --- */

/* True for the first of its kind, while there is room for it. */
static bool is_kind_new(const struct campaign *c, uint64_t kind)
{
	uint64_t i;

	for (i = 0; i < c->options->nr_kinds; i++)
		if (c->options->kinds[i] == kind)
			return false;
	for (i = 0; i < c->stats.nr_findings; i++)
		if (c->kinds[i] == kind)
			return false;
	return c->stats.nr_findings < MAX_KINDS;
}

/* A finding is what can be shown again. What a kernel's timing has done once is counted only. */
static bool comes_again(struct campaign *c, const struct input *input, uint64_t kind)
{
	struct trial again;

	if (c->executor->is_exact)
		return true;
	c->executor->run(c->executor, input, &again);
	return again.violation[0] && violation_kind(again.violation) == kind;
}

static int finding_take(struct campaign *c, const struct input *input, const struct trial *trial)
{
	const struct campaign_options *options = c->options;
	struct trial again;
	struct input small = *input;
	uint64_t kind = violation_kind(trial->violation);
	char path[CORPUS_MAX_PATH_BYTES];
	int r = 0;

	if (!is_kind_new(c, kind))
		return 0;
	if (!comes_again(c, input, kind)) {
		c->stats.nr_once++;
		return 0;
	}
	c->kinds[c->stats.nr_findings++] = kind;
	executor_minimise(c->executor, &small);
	executor_run_twice(c->executor, &small, &again);
	/* What does not come again is told as it came. */
	if (!again.violation[0]) {
		small = *input;
		again = *trial;
	}
	if (options->findings)
		r = corpus_keep(&small, options->findings, path, c->err);
	if (!r && options->found)
		options->found(options->context, &small, &again, options->findings ? path : NULL);
	return r;
}

/* --- the search --- */

/* Into the corpus, and into its folder unless it is from there. */
static int corpus_take(struct campaign *c, const struct input *input, uint64_t number)
{
	const struct campaign_options *options = c->options;
	char path[CORPUS_MAX_PATH_BYTES];
	int r = corpus_add(c, input);

	c->stats.nr_kept++;
	if (!r && number != CAMPAIGN_SEED && options->corpus)
		r = corpus_keep(input, options->corpus, path, c->err);
	if (!r && number != CAMPAIGN_SEED && options->kept)
		options->kept(options->context, input, number);
	return r;
}

/* @number: CAMPAIGN_SEED for one that is stored already. */
static int try_input(struct campaign *c, const struct input *input, uint64_t number)
{
	const struct campaign_options *options = c->options;
	struct trial trial;
	bool is_new;

	if (options->begin)
		options->begin(options->context, number);
	c->executor->run(c->executor, input, &trial);
	c->stats.nr_inputs++;
	is_new = options->is_new && options->is_new(options->context, input, number);
	if (trial.violation[0])
		return finding_take(c, input, &trial);
	is_new |= features_take(c, &trial) != 0;
	if (!is_new)
		return 0;
	executor_run_twice(c->executor, input, &trial);
	return trial.violation[0] ? finding_take(c, input, &trial) : corpus_take(c, input, number);
}

static int try_stored(void *context, const char *path, const struct input *input)
{
	(void)path;
	return try_input(context, input, CAMPAIGN_SEED);
}

static int corpus_read(struct campaign *c)
{
	const char *folder = c->options->corpus;
	int r;

	if (!folder)
		return 0;
	r = folder_make(folder);
	if (r)
		return err_set(c->err, -r, "%s: %s", folder, strerror(-r));
	return corpus_each(folder, c->executor->domain, try_stored, c, c->err);
}

/* The shorter of two: inputs would grow, and take longer to say no more. */
static const struct input *corpus_pick(const struct input *const *corpus, size_t nr, struct rng *rng)
{
	const struct input *one = corpus[rng_below(rng, nr)];
	const struct input *other = corpus[rng_below(rng, nr)];

	return one->nr_ops < other->nr_ops ? one : other;
}

void campaign_make(uint64_t seed, uint64_t number, const struct input *const *corpus, size_t nr_corpus,
		   const struct input_words *words, struct input *ret)
{
	struct rng of_number = { number }, rng = { seed ^ rng_next(&of_number) };
	const struct input *one = corpus_pick(corpus, nr_corpus, &rng);

	if (rng_percent(&rng, CROSS_PERCENT)) {
		input_cross(one, corpus_pick(corpus, nr_corpus, &rng), ret, &rng);
		return;
	}
	*ret = *one;
	input_mutate(ret, &rng);
	if (words && words->nr && rng_percent(&rng, WORD_PERCENT))
		input_word_place(ret, words, &rng);
}

static void stats_clock(struct campaign *c)
{
	c->stats.seconds = seconds_now(CLOCK_MONOTONIC) - c->start;
	c->stats.cpu_seconds = seconds_now(CLOCK_PROCESS_CPUTIME_ID) - c->cpu_start;
}

static bool goes_on(struct campaign *c)
{
	const struct campaign_options *options = c->options;
	double now;

	if (options->nr_inputs && c->stats.nr_inputs >= options->nr_inputs)
		return false;
	if (c->stats.nr_inputs % CLOCK_EVERY)
		return true;
	now = seconds_now(CLOCK_MONOTONIC);
	stats_clock(c);
	if (options->seconds && c->stats.seconds >= options->seconds)
		return false;
	if (!options->tell || now - c->told < 1)
		return true;
	c->told = now;
	return options->tell(options->context, &c->stats);
}

static void seed_run(struct campaign *c, const struct input *seed)
{
	const struct campaign_options *options = c->options;
	struct trial trial;

	if (options->begin)
		options->begin(options->context, CAMPAIGN_SEED);
	c->executor->run(c->executor, seed, &trial);
	if (options->is_new)
		options->is_new(options->context, seed, CAMPAIGN_SEED);
	features_take(c, &trial);
}

/* All are kept, whether they show anything or not: who makes inputs of them elsewhere has all of them. */
static int seeds_take(struct campaign *c)
{
	const struct campaign_options *options = c->options;
	size_t i;
	int r = 0;

	for (i = 0; i < options->nr_features; i++)
		corpus_feature_take(&c->features, options->features[i]);
	for (i = 0; i < options->nr_seeds && !r; i++) {
		if (i >= options->nr_ran)
			seed_run(c, &options->seeds[i]);
		r = corpus_add(c, &options->seeds[i]);
	}
	return r;
}

static int search(struct campaign *c)
{
	struct input input;
	int r = corpus_read(c);

	if (!r)
		r = seeds_take(c);
	input_init(&input, c->executor->domain);
	if (!r && !c->nr_corpus)
		r = try_input(c, &input, CAMPAIGN_SEED);
	/* There is always one to begin with, also when the golden state breaks an oracle. */
	if (!r && !c->nr_corpus)
		r = corpus_add(c, &input);
	while (!r && goes_on(c)) {
		uint64_t number = c->number++;

		campaign_make(c->options->seed, number, (const struct input *const *)c->corpus, c->nr_corpus,
			      c->options->words, &input);
		r = try_input(c, &input, number);
	}
	return r;
}

int campaign_run(const struct campaign_options *options, struct campaign_stats *ret_stats, struct err *err)
{
	struct campaign *c = calloc(1, sizeof(*c));
	int r = 0;

	if (!c)
		return err_set(err, ENOMEM, "%s", strerror(ENOMEM));
	c->options = options;
	c->number = options->first;
	c->err = err;
	c->start = c->told = seconds_now(CLOCK_MONOTONIC);
	c->cpu_start = seconds_now(CLOCK_PROCESS_CPUTIME_ID);
	c->executor = options->executor;
	if (options->findings && (r = folder_make(options->findings)))
		err_set(err, -r, "%s: %s", options->findings, strerror(-r));
	if (!r)
		r = search(c);
	stats_clock(c);
	*ret_stats = c->stats;
	while (c->nr_corpus)
		free(c->corpus[--c->nr_corpus]);
	free(c->corpus);
	free(c);
	return r;
}

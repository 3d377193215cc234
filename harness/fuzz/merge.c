/* SPDX-License-Identifier: MIT */
#include "fuzz/merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "folder.h"
#include "fuzz/corpus.h"

struct merge {
	struct executor *executor;
	const char *into;
	struct merge_stats stats;
	struct corpus_features features;
	struct input *inputs;		/* of all folders that are merged */
	size_t nr_inputs, room;
	struct err *err;
};

static int take_old(void *context, const char *path, const struct input *input)
{
	struct merge *merge = context;
	struct trial trial;

	(void)path;
	merge->executor->run(merge->executor, input, &trial);
	corpus_features_take(&merge->features, &trial);
	return 0;
}

static int collect(void *context, const char *path, const struct input *input)
{
	struct merge *merge = context;

	(void)path;
	if (merge->nr_inputs == merge->room) {
		size_t room = merge->room ? 2 * merge->room : 256;
		struct input *inputs = realloc(merge->inputs, room * sizeof(*inputs));

		if (!inputs)
			return err_set(merge->err, ENOMEM, "%s", strerror(ENOMEM));
		merge->inputs = inputs;
		merge->room = room;
	}
	merge->inputs[merge->nr_inputs++] = *input;
	return 0;
}

static int take_new(struct merge *merge, const struct input *input)
{
	char path[CORPUS_MAX_PATH_BYTES];
	struct trial trial;

	merge->stats.nr_read++;
	merge->executor->run(merge->executor, input, &trial);
	if (trial.violation[0]) {
		merge->stats.nr_broken++;
		return 0;
	}
	if (!corpus_features_take(&merge->features, &trial))
		return 0;
	merge->stats.nr_kept++;
	return corpus_keep(input, merge->into, path, merge->err);
}

static int by_length(const void *one, const void *other)
{
	const struct input *a = one, *b = other;

	return (a->nr_ops > b->nr_ops) - (a->nr_ops < b->nr_ops);
}

static int merge_all(struct merge *merge, const char *const *from, size_t nr_from)
{
	const struct input_domain *domain = merge->executor->domain;
	int r = corpus_each(merge->into, domain, take_old, merge, merge->err);
	size_t i;

	for (i = 0; i < nr_from && !r; i++)
		r = corpus_each(from[i], domain, collect, merge, merge->err);
	if (merge->nr_inputs)
		qsort(merge->inputs, merge->nr_inputs, sizeof(*merge->inputs), by_length);
	for (i = 0; i < merge->nr_inputs && !r; i++)
		r = take_new(merge, &merge->inputs[i]);
	return r;
}

int merge_run(struct executor *executor, const char *const *from, size_t nr_from, const char *into,
	      struct merge_stats *ret_stats, struct err *err)
{
	struct merge *merge = calloc(1, sizeof(*merge));
	int r = folder_make(into);

	if (r)
		err_set(err, -r, "%s: %s", into, strerror(-r));
	if (!merge)
		r = err_set(err, ENOMEM, "%s", strerror(ENOMEM));
	if (!r) {
		merge->executor = executor;
		merge->into = into;
		merge->err = err;
		r = merge_all(merge, from, nr_from);
		merge->stats.nr_features = merge->features.nr;
		*ret_stats = merge->stats;
	}
	if (merge)
		free(merge->inputs);
	free(merge);
	return r;
}

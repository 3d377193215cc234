/* SPDX-License-Identifier: MIT */
/* A folder of inputs, a file ".input" each, and what of all that an executor's features can be has been seen. */
#ifndef VMASSAY_FUZZ_CORPUS_H
#define VMASSAY_FUZZ_CORPUS_H

#include <stdint.h>

#include "fuzz/executor.h"

struct err;

#define CORPUS_MAX_PATH_BYTES 512

/*
 * Writes @input into @folder; the file's name is its contents', so that the same input is one file in all folders. @path
 * has room for CORPUS_MAX_PATH_BYTES, and is the file's name. -errno and a line.
 */
int corpus_keep(const struct input *input, const char *folder, char *path, struct err *err);

/* Returns 0, or -errno, which ends it. */
typedef int corpus_fn(void *context, const char *path, const struct input *input);

/*
 * Each input of @domain in @folder, by the order of their names, so that a seed leads the same way everywhere. -errno and
 * a line: a folder or file that cannot be read, or what @fn has returned.
 */
int corpus_each(const char *folder, const struct input_domain *domain, corpus_fn *fn, void *context, struct err *err);

struct corpus_features {
	uint8_t seen[EXECUTOR_NR_FEATURES / 8];
	uint64_t nr;
};

/* True when it is new, which now it is not. */
bool corpus_feature_take(struct corpus_features *features, uint16_t feature);
/* How many of a run's features are new, and now are not. */
unsigned int corpus_features_take(struct corpus_features *features, const struct trial *trial);

#endif

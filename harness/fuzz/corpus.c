/* SPDX-License-Identifier: MIT */
#include "fuzz/corpus.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"

#define FILE_SUFFIX ".input"
#define TEXT_BYTES 16384

static uint64_t text_hash(const char *text, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325ull;
	size_t i;

	for (i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3ull;
	return hash;
}

int corpus_keep(const struct input *input, const char *folder, char *path, struct err *err)
{
	char text[TEXT_BYTES];
	size_t len = input_print(input, text, sizeof(text));

	snprintf(path, CORPUS_MAX_PATH_BYTES, "%s/%016" PRIx64 FILE_SUFFIX, folder,
		 text_hash(text, len < sizeof(text) ? len : sizeof(text)));
	return input_write(input, path, err);
}

static bool has_suffix(const char *name)
{
	size_t len = strlen(name), suffix_len = strlen(FILE_SUFFIX);

	return len > suffix_len && !strcmp(name + len - suffix_len, FILE_SUFFIX);
}

static int corpus_file(const char *path, const struct input_domain *domain, corpus_fn *fn, void *context, struct err *err)
{
	struct input input;
	int r = input_read(path, &input, err);

	return r || input.domain != domain ? r : fn(context, path, &input);
}

int corpus_each(const char *folder, const struct input_domain *domain, corpus_fn *fn, void *context, struct err *err)
{
	struct dirent **names;
	int nr = scandir(folder, &names, NULL, alphasort), i, r = 0;

	if (nr < 0)
		return err_set(err, errno, "%s: %s", folder, strerror(errno));
	for (i = 0; i < nr; i++) {
		char path[CORPUS_MAX_PATH_BYTES];

		snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
		if (!r && has_suffix(names[i]->d_name))
			r = corpus_file(path, domain, fn, context, err);
		free(names[i]);
	}
	free(names);
	return r;
}

bool corpus_feature_take(struct corpus_features *features, uint16_t feature)
{
	uint8_t *byte = &features->seen[feature / 8], bit = (uint8_t)(1u << feature % 8);

	if (*byte & bit)
		return false;
	*byte |= bit;
	features->nr++;
	return true;
}

unsigned int corpus_features_take(struct corpus_features *features, const struct trial *trial)
{
	unsigned int i, nr_new = 0;

	for (i = 0; i < trial->nr_features; i++)
		nr_new += corpus_feature_take(features, trial->features[i]);
	return nr_new;
}

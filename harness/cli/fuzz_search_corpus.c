/* SPDX-License-Identifier: MIT */
#include "cli/fuzz_search.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "folder.h"
#include "fuzz/campaign.h"

int search_corpus_add(struct search *s, const struct input *input, uint64_t number)
{
	struct entry *entry = malloc(sizeof(*entry));

	if (entry && s->nr_corpus == s->room) {
		size_t room = s->room ? 2 * s->room : 64;
		struct entry **corpus = realloc(s->corpus, room * sizeof(struct entry *));

		if (corpus) {
			s->corpus = corpus;
			s->room = room;
		}
	}
	if (!entry || s->nr_corpus == s->room) {
		free(entry);
		return -ENOMEM;
	}
	*entry = (struct entry){ *input, number };
	s->corpus[s->nr_corpus++] = entry;
	return 0;
}

static int is_input_name(const struct dirent *name)
{
	const char *suffix = strrchr(name->d_name, '.');

	return suffix && !strcmp(suffix, ".input");
}

static bool corpus_has(const struct search *s, const struct input *input)
{
	size_t i;

	for (i = 0; i < s->nr_corpus; i++)
		if (input_is_equal(&s->corpus[i]->input, input))
			return true;
	return false;
}

int search_corpus_read(struct search *s)
{
	const char *folder = s->options->corpus;
	struct dirent **names;
	struct input input;
	int nr, i, r = folder ? folder_make(folder) : 0;

	if (r || !folder)
		return r ? err_set(&s->err, -r, "%s: %s", folder, strerror(-r)) : 0;
	nr = scandir(folder, &names, is_input_name, alphasort);
	if (nr < 0)
		return err_set(&s->err, errno, "%s: %s", folder, strerror(errno));
	for (i = 0; i < nr; i++) {
		char path[SEARCH_PATH_BYTES];

		snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
		if (!r)
			r = input_read(path, &input, &s->err);
		if (!r && input.domain == s->options->domain && !corpus_has(s, &input) && search_corpus_add(s, &input, CAMPAIGN_SEED))
			r = err_set(&s->err, ENOMEM, "out of memory");
		free(names[i]);
	}
	free(names);
	return r;
}

int search_corpus_open(struct search *s)
{
	int r = search_corpus_read(s);

	if (!r && !s->nr_corpus && search_corpus_golden(s))
		r = err_set(&s->err, ENOMEM, "out of memory");
	return r;
}

int search_corpus_golden(struct search *s)
{
	struct input golden;

	input_init(&golden, s->options->domain);
	return search_corpus_add(s, &golden, CAMPAIGN_SEED);
}

void search_corpus_free(struct search *s)
{
	while (s->nr_corpus)
		free(s->corpus[--s->nr_corpus]);
	free(s->corpus);
}

void search_input_again(const struct search *s, uint64_t number, struct input *ret)
{
	const struct input **corpus = calloc(s->nr_corpus, sizeof(struct input *));
	struct input_words words = s->words;
	size_t i, nr = 0;

	input_init(ret, s->options->domain);
	if (!corpus)
		return;
	for (i = 0; i < s->nr_corpus; i++)
		if (s->corpus[i]->number == CAMPAIGN_SEED || s->corpus[i]->number < number)
			corpus[nr++] = &s->corpus[i]->input;
	while (words.nr && s->word_numbers[words.nr - 1] >= number)
		words.nr--;
	campaign_make(s->seed, number, corpus, nr, &words, ret);
	free(corpus);
}

/* --- files --- */

static uint64_t text_hash(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	while (*text)
		hash = (hash ^ (uint8_t)*text++) * 0x100000001b3ull;
	return hash;
}

void search_file_write(const char *folder, const char *suffix, const char *head, const char *text)
{
	char path[SEARCH_PATH_BYTES], new_path[SEARCH_PATH_BYTES + 8];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%016" PRIx64 "%s", folder, text_hash(text), suffix);
	snprintf(new_path, sizeof(new_path), "%s.new", path);
	file = fopen(new_path, "we");
	if (!file) {
		fprintf(stderr, "vmassay: fuzz: %s: %s\n", new_path, strerror(errno));
		return;
	}
	fprintf(file, "%s%s", head, text);
	if (fclose(file) || rename(new_path, path))
		fprintf(stderr, "vmassay: fuzz: %s: %s\n", path, strerror(errno));
}

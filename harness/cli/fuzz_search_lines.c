/* SPDX-License-Identifier: MIT */
#include "cli/fuzz_search.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>
#include <unistd.h>

#include "cli/gcov_files.h"
#include "fuzz/kcov.h"
#include "reports/json_add.h"
#include "runner/job.h"

#define STATUS_S 30			/* between two lines of status, where nobody watches */

static void take_kept(struct search *s, struct json_object *line)
{
	const char *text = json_text(line, "input");
	struct input input;
	struct err err;

	if (input_parse(text, strlen(text), &input, &err) || search_corpus_add(s, &input, json_number(line, "number")))
		return;
	s->nr_kept++;
	if (s->options->corpus)
		search_file_write(s->options->corpus, ".input", "", text);
}

static void take_places(struct search *s, struct json_object *line)
{
	const char *text = json_text(line, "places");
	double seconds = (double)(clock_us() - s->start_us) / 1e6;

	while (*text) {
		char *end;
		uint64_t offset = strtoull(text, &end, 16);

		if (fuzz_board_place(s->board, offset) && s->cover)
			fprintf(s->cover, "0x%" PRIx64 " %.0f\n", KCOV_BASE + offset, seconds);
		text = *end ? end + 1 : end;
	}
	if (s->cover)
		fflush(s->cover);
}

static void take_features(struct search *s, struct json_object *line)
{
	const char *text = json_text(line, "features");

	while (*text) {
		char *end;

		corpus_feature_take(&s->features, (uint16_t)strtoull(text, &end, 16));
		text = *end ? end + 1 : end;
	}
}

static void take_words(struct search *s, struct json_object *line)
{
	const char *text = json_text(line, "words");

	while (*text) {
		char *end;
		uint64_t word = strtoull(text, &end, 16);

		if (input_words_add(&s->words, s->options->domain, word)) {
			s->word_numbers[s->words.nr - 1] = json_number(line, "number");
			if (s->dictionary)
				fprintf(s->dictionary, "0x%" PRIx64 "\n", word);
		}
		text = *end ? end + 1 : end;
	}
}

size_t search_nr_findings(const struct search *s)
{
	uint64_t kinds[BOARD_MAX_KINDS];

	return fuzz_board_kinds(s->board, kinds);
}

void search_status_clear(void)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}

void search_tell(const struct search *s)
{
	struct board_totals totals = {
		.inputs = s->all.inputs + s->boot.inputs, .deaths = s->nr_deaths, .kept = s->nr_kept,
		.seconds = s->all.seconds + s->boot.seconds,
	};

	fuzz_board_tell(s->board, s->lab, &totals);
}

void search_status_print(FILE *file, const struct search *s)
{
	struct board_totals sum = fuzz_board_sum(s->board);

	fprintf(file, "%.0f s, %" PRIu64 " inputs, %.0f/s, corpus %" PRIu64 ", cover %" PRIu64 ", %zu findings, %" PRIu64
		" deaths", (double)(clock_us() - s->start_us) / 1e6, sum.inputs,
		sum.seconds > 0 ? (double)sum.inputs / sum.seconds : 0, s->nr_before + sum.kept,
		fuzz_board_nr_places(s->board), search_nr_findings(s), sum.deaths);
}

static void csv_print(const struct search *s)
{
	struct board_totals sum = fuzz_board_sum(s->board);

	fprintf(s->csv, "%.1f,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%zu,%" PRIu64 "\n",
		(double)(clock_us() - s->start_us) / 1e6, sum.inputs, s->nr_before + sum.kept,
		fuzz_board_nr_places(s->board), search_nr_findings(s), sum.deaths);
}

static void take_stats(struct search *s, struct json_object *line)
{
	struct json_object *known = NULL;
	uint64_t now = clock_us();

	/* By our clock: that of a lab on a busy machine leaps. */
	s->boot = (struct totals){ json_number(line, "inputs"), s->run_us ? (double)(now - s->run_us) / 1e6 : 0 };
	if (json_object_object_get_ex(line, "known", &known)) {
		json_object_put(s->known);
		s->known = json_object_get(known);
	}
	search_tell(s);
	/* One tells of all. */
	if (s->lab)
		return;
	if (s->csv)
		csv_print(s);
	if (isatty(STDERR_FILENO)) {
		search_status_clear();
		search_status_print(stderr, s);
		fflush(stderr);
	} else if (now - s->told_us > STATUS_S * 1000000ull) {
		s->told_us = now;
		search_status_print(stdout, s);
		printf("\n");
		fflush(stdout);
	}
}

static void take_at(struct search *s, struct json_object *line)
{
	if (!s->has_run)
		s->run_us = clock_us();
	s->has_run = true;
	s->at = json_number(line, "number");
}

static void take_seed(struct search *s, struct json_object *line)
{
	s->nr_told = json_number(line, "number") + 1;
}

static void take_gcov(struct search *s, struct json_object *line)
{
	struct err err;

	if (s->options->gcov && gcov_file_take(line, s->options->gcov, 1, &err))
		fprintf(stderr, "vmassay: fuzz: %s\n", err.text);
}

void search_take_line(void *context, const char *text)
{
	struct search *s = context;
	struct json_object *line = json_tokener_parse(text);
	const char *event = json_text(line, "event");

	if (!strcmp(json_text(line, "type"), "text"))
		printf("%s\n", json_text(line, "text"));
	else if (!strcmp(json_text(line, "type"), "gcov"))
		take_gcov(s, line);
	else if (!strcmp(event, "at"))
		take_at(s, line);
	else if (!strcmp(event, "seed"))
		take_seed(s, line);
	else if (!strcmp(event, "kept"))
		take_kept(s, line);
	else if (!strcmp(event, "found"))
		search_take_found(s, line);
	else if (!strcmp(event, "cover"))
		take_places(s, line);
	else if (!strcmp(event, "features"))
		take_features(s, line);
	else if (!strcmp(event, "words"))
		take_words(s, line);
	else if (!strcmp(event, "stats") || !strcmp(event, "end"))
		take_stats(s, line);
	json_object_put(line);
}

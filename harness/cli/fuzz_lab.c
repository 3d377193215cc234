/* SPDX-License-Identifier: MIT */
#include "cli/fuzz_lab.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/fuzz_board.h"
#include "cli/fuzz_plot.h"
#include "cli/gcov_files.h"
#include "err.h"
#include "folder.h"
#include "fuzz/campaign.h"
#include "fuzz/corpus.h"
#include "fuzz/kcov.h"
#include "kernel_log.h"
#include "lab/strlist.h"
#include "reports/json_add.h"
#include "runner/job.h"

#define TEXT_BYTES 16384
#define MAX_PATH_BYTES 512
#define NR_CAREFUL 64			/* inputs told one by one, behind a death that named none */
#define MAX_SILENT 3			/* boots in a row that run no input */
#define STATUS_S 30			/* between two lines of status, where nobody watches */
#define FOREVER_S 1e9
#define ROUND_S 300			/* until several labs give each other what they have kept */
#define ROUND_NUMBERS 64		/* that may have run behind the last that was told */

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
	uint64_t start_us, told_us, round_us;

	/* Of the boot that runs. */
	uint64_t run_us;		/* when its first input was told; 0: not yet */
	uint64_t at;			/* the last number told */
	size_t nr_told;			/* of the corpus: up to the one that runs, where that is told */
	bool has_dropped;		/* one of the corpus that killed the machine */
	uint64_t first, nr_careful;
	bool has_run;			/* an input */
	struct totals boot, all;	/* that one's, and those before */
	struct json_object *known;	/* of the boot that told last */
	uint64_t nr_deaths;
	FILE *csv, *cover, *dictionary;
	struct err err;
};

/* --- the corpus --- */

static int corpus_add(struct search *s, const struct input *input, uint64_t number)
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

/* What is in the folder and not known yet: from before, or from another lab. */
static int corpus_read(struct search *s)
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
		char path[MAX_PATH_BYTES];

		snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
		if (!r)
			r = input_read(path, &input, &s->err);
		if (!r && input.domain == s->options->domain && !corpus_has(s, &input) && corpus_add(s, &input, CAMPAIGN_SEED))
			r = err_set(&s->err, ENOMEM, "out of memory");
		free(names[i]);
	}
	free(names);
	return r;
}

/* There is always one to begin with. */
static int corpus_open(struct search *s)
{
	struct input golden;
	int r = corpus_read(s);

	input_init(&golden, s->options->domain);
	if (!r && !s->nr_corpus && corpus_add(s, &golden, CAMPAIGN_SEED))
		r = err_set(&s->err, ENOMEM, "out of memory");
	return r;
}

/* Input number @number, as the agent made it. */
static void input_again(const struct search *s, uint64_t number, struct input *ret)
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

/* Whole or not at all: @head are lines for the reader. */
static void file_write(const char *folder, const char *suffix, const char *head, const char *text)
{
	char path[MAX_PATH_BYTES], new_path[MAX_PATH_BYTES + 8];
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

/* --- findings --- */

/* True for the first of its kind. */
static bool kind_take(struct search *s, const char *violation)
{
	return fuzz_board_kind(s->board, violation_kind(violation));
}

static void status_clear(void)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}

static void finding_write(struct search *s, const char *violation, const char *outcome, const char *text)
{
	char head[8192];

	snprintf(head, sizeof(head), "# %s\n%s", violation, outcome);
	if (s->options->findings)
		file_write(s->options->findings, ".input", head, text);
	status_clear();
	printf("FOUND  %s\n%s%s", violation, outcome, text);
	fflush(stdout);
}

/* "# " before each line of the outcome. */
static void outcome_join(struct json_object *outcome, char *buf, size_t len_bytes)
{
	size_t i, at = 0;

	buf[0] = 0;
	for (i = 0; outcome && i < json_object_array_length(outcome) && at < len_bytes; i++)
		at += (size_t)snprintf(buf + at, len_bytes - at, "#   %s\n",
				       json_object_get_string(json_object_array_get_idx(outcome, i)));
}

static uint64_t number_of(struct json_object *line, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(line, key, &value);
	return (uint64_t)json_object_get_int64(value);
}

static void take_found(struct search *s, struct json_object *line)
{
	const char *violation = json_text(line, "violation"), *kernel = json_text(line, "kernel");
	struct json_object *outcome = NULL;
	char joined[4096], text[TEXT_BYTES];
	struct input input;

	if (!kind_take(s, *kernel ? kernel : violation))
		return;
	json_object_object_get_ex(line, "outcome", &outcome);
	outcome_join(outcome, joined, sizeof(joined));
	if (!*kernel) {
		finding_write(s, violation, joined, json_text(line, "input"));
		return;
	}
	input_again(s, number_of(line, "number"), &input);
	input_print(&input, text, sizeof(text));
	finding_write(s, kernel, "", text);
}

/* --- lines --- */

static void take_kept(struct search *s, struct json_object *line)
{
	const char *text = json_text(line, "input");
	struct input input;
	struct err err;

	if (input_parse(text, strlen(text), &input, &err) || corpus_add(s, &input, number_of(line, "number")))
		return;
	s->nr_kept++;
	if (s->options->corpus)
		file_write(s->options->corpus, ".input", "", text);
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
			s->word_numbers[s->words.nr - 1] = number_of(line, "number");
			if (s->dictionary)
				fprintf(s->dictionary, "0x%" PRIx64 "\n", word);
		}
		text = *end ? end + 1 : end;
	}
}

static size_t nr_findings(const struct search *s)
{
	uint64_t kinds[BOARD_MAX_KINDS];

	return fuzz_board_kinds(s->board, kinds);
}

/* To the other labs. */
static void board_tell(const struct search *s)
{
	struct board_totals totals = {
		.inputs = s->all.inputs + s->boot.inputs, .deaths = s->nr_deaths, .kept = s->nr_kept,
		.seconds = s->all.seconds + s->boot.seconds,
	};

	fuzz_board_tell(s->board, s->lab, &totals);
}

/* Of all labs. */
static void status_print(FILE *file, const struct search *s)
{
	struct board_totals sum = fuzz_board_sum(s->board);

	fprintf(file, "%.0f s, %" PRIu64 " inputs, %.0f/s, corpus %" PRIu64 ", cover %" PRIu64 ", %zu findings, %" PRIu64
		" deaths", (double)(clock_us() - s->start_us) / 1e6, sum.inputs,
		sum.seconds > 0 ? (double)sum.inputs / sum.seconds : 0, s->nr_before + sum.kept,
		fuzz_board_nr_places(s->board), nr_findings(s), sum.deaths);
}

static void csv_print(const struct search *s)
{
	struct board_totals sum = fuzz_board_sum(s->board);

	fprintf(s->csv, "%.1f,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%zu,%" PRIu64 "\n",
		(double)(clock_us() - s->start_us) / 1e6, sum.inputs, s->nr_before + sum.kept,
		fuzz_board_nr_places(s->board), nr_findings(s), sum.deaths);
}

static void take_stats(struct search *s, struct json_object *line)
{
	struct json_object *known = NULL;
	uint64_t now = clock_us();

	/* By our clock: that of a lab on a busy machine leaps. */
	s->boot = (struct totals){ number_of(line, "inputs"), s->run_us ? (double)(now - s->run_us) / 1e6 : 0 };
	if (json_object_object_get_ex(line, "known", &known)) {
		json_object_put(s->known);
		s->known = json_object_get(known);
	}
	board_tell(s);
	/* One tells of all. */
	if (s->lab)
		return;
	if (s->csv)
		csv_print(s);
	if (isatty(STDERR_FILENO)) {
		status_clear();
		status_print(stderr, s);
		fflush(stderr);
	} else if (now - s->told_us > STATUS_S * 1000000ull) {
		s->told_us = now;
		status_print(stdout, s);
		printf("\n");
		fflush(stdout);
	}
}

static void take_at(struct search *s, struct json_object *line)
{
	if (!s->has_run)
		s->run_us = clock_us();
	s->has_run = true;
	s->at = number_of(line, "number");
}

static void take_seed(struct search *s, struct json_object *line)
{
	s->nr_told = number_of(line, "number") + 1;
}

static void take_gcov(struct search *s, struct json_object *line)
{
	struct err err;

	if (s->options->gcov && gcov_file_take(line, s->options->gcov, 1, &err))
		fprintf(stderr, "vmassay: fuzz: %s\n", err.text);
}

static void on_line(void *context, const char *text)
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
		take_found(s, line);
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

/* --- deaths --- */

/* The kernel names who ran: "f" and the number. */
static bool number_in_report(const struct kernel_words *words, uint64_t *ret)
{
	unsigned long long number;

	if (sscanf(words->comm, "f%llu", &number) != 1)
		return false;
	*ret = number;
	return true;
}

static void killer_write(struct search *s, const struct input *input, const char *why, const char *console)
{
	char text[TEXT_BYTES], *excerpt = console ? kernel_text_excerpt(console) : NULL;

	input_print(input, text, sizeof(text));
	if (kind_take(s, why)) {
		finding_write(s, why, "", text);
		if (excerpt && s->options->findings)
			file_write(s->options->findings, ".log", "", excerpt);
	}
	free(excerpt);
}

/* What the emulator or process 1 said, without the console's end, which may be about anything. */
static void why_died(const struct lab_outcome *outcome, const struct kernel_words *words, char *buf, size_t len_bytes)
{
	int len = (int)strcspn(outcome->last_words, ";");

	if (words->worst >= KERNEL_OOPSES)
		snprintf(buf, len_bytes, "the lab died: %s", words->headline);
	else if (outcome->is_complete)
		snprintf(buf, len_bytes, "the agent ended with %d", outcome->exit_code);
	else
		snprintf(buf, len_bytes, "the lab died: %.*s", len < 400 ? len : 400, outcome->last_words);
}

/* One of the corpus killed the machine: it is told by the next machine which, and the one behind that does without it. */
static void take_death_by_seed(struct search *s, const char *why, const char *console)
{
	struct entry *entry;

	s->nr_careful = NR_CAREFUL;
	if (!s->nr_told || s->nr_told > s->nr_corpus || s->nr_corpus == 1)
		return;
	entry = s->corpus[s->nr_told - 1];
	killer_write(s, &entry->input, why, console);
	memmove(&s->corpus[s->nr_told - 1], &s->corpus[s->nr_told], (s->nr_corpus - s->nr_told) * sizeof(entry));
	s->nr_corpus--;
	s->has_dropped = true;
	free(entry);
}

/*
 * The input that killed the machine is known by the kernel's words, or because each was told before it ran. Otherwise the
 * next machine begins with the last that was told, and tells each: they are the same.
 */
static void take_death(struct search *s, const struct lab_outcome *outcome)
{
	char *console = tail_since(&outcome->emulator.console, 0), why[600];
	bool is_told = s->has_run && s->nr_careful && s->at < s->first + s->nr_careful;
	struct kernel_words words = { 0 };
	uint64_t number = s->at;
	struct input input;

	s->nr_deaths++;
	if (console)
		kernel_text_read(console, &words);
	why_died(outcome, &words, why, sizeof(why));
	if (words.worst >= KERNEL_OOPSES && number_in_report(&words, &number))
		is_told = true;
	if (is_told) {
		input_again(s, number, &input);
		killer_write(s, &input, why, console);
	} else if (!s->has_run) {
		take_death_by_seed(s, why, console);
	}
	if (is_told || s->has_run) {
		s->first = is_told ? number + 1 : s->at;
		s->nr_careful = is_told ? 0 : NR_CAREFUL;
	}
	free(console);
}

/* --- boots --- */

static volatile sig_atomic_t is_over;

/* The end of the time is an interruption that is no trouble. */
static void on_alarm(int number)
{
	(void)number;
	is_over = 1;
	cli_is_interrupted = 1;
}

static double seconds_left(const struct search *s)
{
	if (!s->options->seconds)
		return FOREVER_S;
	return s->options->seconds - (double)(clock_us() - s->start_us) / 1e6;
}

/* Of several labs a boot is a round at most. */
static void clock_set(const struct search *s)
{
	struct sigaction action = { .sa_handler = on_alarm };
	double left = seconds_left(s);

	sigaction(SIGALRM, &action, NULL);
	alarm((unsigned int)(s->options->nr_labs > 1 && left > ROUND_S ? ROUND_S : left));
}

/* True when the end of the round is not that of the search, which goes on then with what the others have kept. */
static bool round_end(struct search *s)
{
	if (!is_over || s->options->nr_labs <= 1 || seconds_left(s) <= 1)
		return false;
	is_over = 0;
	cli_is_interrupted = 0;
	s->first = s->at + ROUND_NUMBERS;
	s->nr_careful = 0;
	return true;
}

/* Numbers with commas between them, or "-" for none. */
static void numbers_add(struct strlist *words, const uint64_t *numbers, size_t nr)
{
	char text[INPUT_MAX_WORDS * 17 + 2] = "-";
	size_t i, at = 0;

	for (i = 0; i < nr; i++)
		at += (size_t)sprintf(text + at, "%s%" PRIx64, i ? "," : "", numbers[i]);
	strlist_add(words, text);
}

/* NULL: no memory. The caller's to free. */
static char *features_print(const struct search *s)
{
	char *text = NULL;
	size_t len_bytes;
	FILE *file = open_memstream(&text, &len_bytes);
	uint32_t feature;

	for (feature = 0; file && feature < EXECUTOR_NR_FEATURES; feature++)
		if (s->features.seen[feature / 8] >> feature % 8 & 1)
			fprintf(file, "%x,", feature);
	return file && !fclose(file) ? text : NULL;
}

static char *places_print(const struct search *s)
{
	char *text = NULL;
	size_t len_bytes;
	FILE *file = open_memstream(&text, &len_bytes);
	uint64_t at = 0;

	while (file && (at = fuzz_board_next_place(s->board, at)) < BOARD_PLACES_BYTES)
		fprintf(file, "%" PRIx64 ",", at++);
	return file && !fclose(file) ? text : NULL;
}

/* What the corpus has shown on an earlier machine needs no second run. */
static void met_add(const struct search *s, struct strlist *words)
{
	char *features = features_print(s), *places = places_print(s);
	bool is_known = s->nr_ran && features && places;

	strlist_add(words, is_known ? features : "-");
	strlist_add(words, is_known ? places : "-");
	strlist_addf(words, "%zu", is_known ? s->nr_ran : 0);
	free(features);
	free(places);
}

static void words_make(const struct search *s, struct strlist *words)
{
	uint64_t kinds[BOARD_MAX_KINDS];
	char text[TEXT_BYTES];
	size_t i;
	strlist_add(words, "fuzz");
	strlist_add(words, "agent");
	strlist_add(words, s->options->domain->name);
	strlist_addf(words, "%" PRIu64, s->seed);
	strlist_addf(words, "%" PRIu64, s->first);
	strlist_addf(words, "%" PRIu64, s->nr_careful);
	strlist_addf(words, "%" PRIu64, s->options->nr_inputs);
	strlist_add(words, s->options->gcov ? "1" : "0");
	numbers_add(words, kinds, fuzz_board_kinds(s->board, kinds));
	numbers_add(words, s->words.values, s->words.nr);
	met_add(s, words);
	for (i = 0; i < s->nr_corpus; i++) {
		input_print(&s->corpus[i]->input, text, sizeof(text));
		strlist_add(words, text);
	}
}

/* 0: the search is over; 1: it goes on; -errno and a line. */
static int boot(struct search *s)
{
	struct lab_outcome outcome = { 0 };
	struct strlist words = { 0 };
	int r;

	words_make(s, &words);
	s->has_run = s->has_dropped = false;
	s->nr_told = 0;
	s->run_us = 0;
	s->at = s->first;
	s->boot = (struct totals){ 0 };
	r = words.error ? err_set(&s->err, ENOMEM, "out of memory") :
	    lab_boot(&s->options->lab, (const char *const *)words.strings, on_line, s, &outcome, &s->err);
	strlist_free(&words);
	if (s->has_run)
		s->nr_ran = s->nr_corpus;
	s->all.inputs += s->boot.inputs;
	s->all.seconds += s->boot.seconds;
	s->boot = (struct totals){ 0 };
	if (r)
		return r;
	if ((outcome.is_complete && !outcome.exit_code) || cli_is_interrupted)
		return 0;
	status_clear();
	if (outcome.is_complete)
		printf("the agent ended with %d\n", outcome.exit_code);
	else
		printf("the lab died: %s\n", outcome.last_words);
	take_death(s, &outcome);
	return 1;
}

static int boots(struct search *s)
{
	unsigned int nr_silent = 0;
	int r = 1;

	while (r == 1 && seconds_left(s) > 1) {
		clock_set(s);
		r = boot(s);
		if (!r && round_end(s)) {
			r = corpus_read(s) ? -EIO : 1;
			continue;
		}
		nr_silent = s->has_run || s->has_dropped ? 0 : nr_silent + 1;
		if (r == 1 && nr_silent == MAX_SILENT)
			r = err_set(&s->err, EIO, "%u boots in a row ran no input", MAX_SILENT);
	}
	return r < 0 ? r : 0;
}

/* --- the end --- */

static void end_print(const struct search *s)
{
	status_clear();
	status_print(stdout, s);
	printf("\n");
	if (s->known) {
		json_object_object_foreach(s->known, id, count)
			printf("  known %-24s %" PRId64 "\n", id, json_object_get_int64(count));
	}
}

/* The last line may be half of one, of a search that was killed. */
static void line_end(FILE *file)
{
	if (!fseek(file, -1, SEEK_END) && fgetc(file) != '\n')
		fputs("\n", file);
	rewind(file);
}

/* A file of the corpus folder that grows while the search goes on. */
static int log_open(struct search *s, const char *name, FILE **ret)
{
	char path[MAX_PATH_BYTES];

	snprintf(path, sizeof(path), "%s/%s", s->options->corpus, name);
	*ret = fopen(path, "a+e");
	if (!*ret)
		return err_set(&s->err, errno, "%s: %s", path, strerror(errno));
	line_end(*ret);
	return 0;
}

/* What an earlier campaign of this corpus has met. */
static void places_read(struct search *s)
{
	char line[64];

	while (fgets(line, sizeof(line), s->cover))
		fuzz_board_place(s->board, strtoull(line, NULL, 16) - KCOV_BASE);
}

/* What an earlier campaign of this corpus has learnt; or another lab. */
static void dictionary_read(struct search *s)
{
	char line[64];

	while (fgets(line, sizeof(line), s->dictionary))
		input_words_add(&s->words, s->options->domain, strtoull(line, NULL, 16));
}

static int search_open(struct search *s)
{
	int r;

	if (s->options->findings) {
		r = folder_make(s->options->findings);
		if (r)
			return err_set(&s->err, -r, "%s: %s", s->options->findings, strerror(-r));
	}
	r = corpus_open(s);
	s->nr_before = s->nr_corpus;
	if (r || !s->options->corpus)
		return r;
	r = log_open(s, "cover.txt", &s->cover);
	if (!r)
		r = log_open(s, "dictionary.txt", &s->dictionary);
	if (!r)
		r = log_open(s, "campaign.csv", &s->csv);
	if (r)
		return r;
	places_read(s);
	dictionary_read(s);
	setlinebuf(s->dictionary);
	setlinebuf(s->csv);
	if (!s->lab)
		fprintf(s->csv, "# seconds,inputs,corpus,cover,findings,deaths\n");
	return 0;
}

/* What it has not come to is no reason to say that the search failed. */
static void plot(const struct search *s)
{
	char csv[MAX_PATH_BYTES], svg[MAX_PATH_BYTES];
	struct err err;

	snprintf(csv, sizeof(csv), "%s/campaign.csv", s->options->corpus);
	snprintf(svg, sizeof(svg), "%s/campaign.svg", s->options->corpus);
	if (fuzz_plot(csv, svg, &err))
		fprintf(stderr, "vmassay: fuzz: %s\n", err.text);
}

static void search_close(struct search *s)
{
	if (s->csv)
		fclose(s->csv);
	if (s->cover)
		fclose(s->cover);
	if (s->dictionary)
		fclose(s->dictionary);
	json_object_put(s->known);
	while (s->nr_corpus)
		free(s->corpus[--s->nr_corpus]);
	free(s->corpus);
}

/* One lab's; returns its exit code. */
static int search_run(struct search *s)
{
	const struct fuzz_lab_options *options = s->options;
	int r = search_open(s);

	if (!r) {
		if (!s->lab)
			printf("fuzz %s: lab %s, seed %" PRIu64 ", corpus %zu\n", options->domain->name, options->lab.name,
			       options->seed, s->nr_corpus);
		fflush(stdout);
		r = boots(s);
		board_tell(s);
		end_print(s);
	}
	if (r)
		usage_error("fuzz: %s", s->err.text);
	if (!s->lab && !r && options->corpus)
		plot(s);
	r = r ? 99 : cli_is_interrupted && !is_over ? EXIT_INTERRUPTED : nr_findings(s) ? 1 : 0;
	search_close(s);
	return r;
}

/* --- several labs --- */

/* Its kernel's console is another file: as for several emulators elsewhere. */
static void __attribute__((noreturn)) lab_child(struct search *s, pid_t parent)
{
	struct fuzz_lab_options options = *s->options;
	char console[MAX_PATH_BYTES];
	int code;

	/* A parent that died before the prctl() will send no signal. */
	if (prctl(PR_SET_PDEATHSIG, SIGINT) || getppid() != parent)
		_exit(99);
	if (s->lab) {
		snprintf(console, sizeof(console), "%s.%u", options.lab.console, s->lab + 1);
		options.lab.console = console;
	}
	s->options = &options;
	s->seed += s->lab;
	code = search_run(s);
	fflush(stdout);
	_exit(code);
}

/* An interrupt of this process is one of theirs. */
static int child_wait(const pid_t *pids, unsigned int nr, pid_t pid)
{
	unsigned int i;
	int status;

	while (waitpid(pid, &status, 0) < 0)
		for (i = 0; i < nr && cli_is_interrupted; i++)
			kill(pids[i], SIGINT);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static int labs_run(struct search *s)
{
	pid_t pids[BOARD_MAX_LABS], parent = getpid();
	unsigned int nr = 0, i;
	int code = 0;

	fflush(NULL);
	for (; nr < s->options->nr_labs; nr++) {
		s->lab = nr;
		pids[nr] = fork();
		if (!pids[nr])
			lab_child(s, parent);
		if (pids[nr] < 0)
			break;
	}
	if (nr < s->options->nr_labs)
		code = usage_error("fuzz: fork: %s", strerror(errno));
	for (i = 0; i < nr; i++) {
		int one = child_wait(pids, nr, pids[i]);

		code = one > code ? one : code;
	}
	return code;
}

int fuzz_lab(const struct fuzz_lab_options *options)
{
	struct search s = { .options = options, .seed = options->seed, .start_us = clock_us(), .board = fuzz_board_new() };
	int r;

	if (!s.board)
		return usage_error("fuzz: out of memory");
	r = options->nr_labs > 1 ? labs_run(&s) : search_run(&s);
	fuzz_board_free(s.board);
	return r;
}

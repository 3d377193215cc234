/* SPDX-License-Identifier: MIT */
#include "cli/fuzz_lab.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/fuzz_plot.h"
#include "cli/fuzz_search.h"
#include "folder.h"
#include "fuzz/kcov.h"
#include "lab/strlist.h"
#include "runner/job.h"

#define MAX_SILENT 3			/* boots in a row that run no input */
#define FOREVER_S 1e9
#define ROUND_S 300			/* until several labs give each other what they have kept */
#define ROUND_NUMBERS 64		/* that may have run behind the last that was told */

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
	char text[SEARCH_TEXT_BYTES];
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
	s->has_run = s->is_settled = false;
	s->nr_told = 0;
	s->run_us = 0;
	s->at = s->first;
	s->boot = (struct totals){ 0 };
	r = words.error ? err_set(&s->err, ENOMEM, "out of memory") :
	    s->options->boot(&s->options->lab, (const char *const *)words.strings, search_take_line, s, &outcome, &s->err);
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
	search_status_clear();
	if (outcome.is_complete)
		printf("the agent ended with %d\n", outcome.exit_code);
	else
		printf("the lab died: %s\n", outcome.last_words);
	search_take_death(s, &outcome);
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
			r = search_corpus_read(s) ? -EIO : 1;
			continue;
		}
		nr_silent = s->has_run || s->is_settled ? 0 : nr_silent + 1;
		if (r == 1 && nr_silent == MAX_SILENT)
			r = err_set(&s->err, EIO, "%u boots in a row ran no input", MAX_SILENT);
	}
	return r < 0 ? r : 0;
}

/* --- the end --- */

static void end_print(const struct search *s)
{
	search_status_clear();
	search_status_print(stdout, s);
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
	char path[SEARCH_PATH_BYTES];

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
	r = search_corpus_open(s);
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
	char csv[SEARCH_PATH_BYTES], svg[SEARCH_PATH_BYTES];
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
	search_corpus_free(s);
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
		search_tell(s);
		end_print(s);
	}
	if (r)
		usage_error("fuzz: %s", s->err.text);
	if (!s->lab && !r && options->corpus)
		plot(s);
	r = r ? 99 : cli_is_interrupted && !is_over ? EXIT_INTERRUPTED : search_nr_findings(s) ? 1 : 0;
	search_close(s);
	return r;
}

/* --- several labs --- */

/* Its kernel's console is another file: as for several emulators elsewhere. */
static void __attribute__((noreturn)) lab_child(struct search *s, pid_t parent)
{
	struct fuzz_lab_options options = *s->options;
	char console[SEARCH_PATH_BYTES];
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

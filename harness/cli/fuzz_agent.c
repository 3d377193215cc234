/* SPDX-License-Identifier: MIT */
#include "cli/fuzz_agent.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <termios.h>

#include "cli/cli.h"
#include "cli/fuzz_inside.h"
#include "cli/fuzz_target.h"
#include "cli/gcov_files.h"
#include "err.h"
#include "fuzz/campaign.h"
#include "fuzz/corpus.h"
#include "fuzz/kcov.h"
#include "fuzz/nested_differ.h"
#include "fuzz/nested_executor.h"
#include "fuzz/vmcb_ops.h"
#include "kernel_log.h"
#include "lab/lab.h"
#include "reports/json_add.h"
#include "runner/kmsg.h"

#define TEXT_BYTES 16384
#define TELL_EVERY 16		/* inputs between two lines of where it is */
#define LISTEN_EVERY 32		/* and between two looks at the kernel's log */
#define MAX_KINDS 256
#define PLACES_BYTES 2048
#define NR_WORDS 12			/* before the corpus */

struct agent {
	struct campaign_options options;
	struct executor *executor;
	struct kcov *kcov;
	struct kmsg kmsg;
	uint64_t number, nr_careful;
	uint64_t seed;			/* of the corpus: the next that runs */
	bool send_gcov;			/* at the end */
	char places[PLACES_BYTES];	/* met and not told yet */
	size_t places_len;
	uint64_t kinds[MAX_KINDS];
	uint64_t nr_kernel;
	struct json_object *known_reports;	/* of the kernel: how many of each finding */
	struct input_words words;	/* that the kernel compares with */
	unsigned int nr_told;		/* of them */
	struct corpus_features met;	/* and told */
	uint16_t features[EXECUTOR_NR_FEATURES];	/* met on another machine */
};

/* --- lines --- */

static struct json_object *line_new(const char *event)
{
	return inside_line_new("fuzz", event);
}

static void add_number(struct json_object **line, const char *key, uint64_t value)
{
	json_add(line, key, json_object_new_int64((int64_t)value));
}

static void add_input(struct json_object **line, const struct input *input)
{
	char text[TEXT_BYTES];

	input_print(input, text, sizeof(text));
	json_add(line, "input", json_object_new_string(text));
}

static void places_send(struct agent *agent)
{
	struct json_object *line;

	if (!agent->places_len)
		return;
	line = line_new("cover");
	json_add(&line, "places", json_object_new_string(agent->places));
	inside_line_send(line);
	agent->places_len = 0;
}

static void place_take(void *context, uint32_t offset)
{
	struct agent *agent = context;

	if (agent->places_len + 16 > sizeof(agent->places))
		places_send(agent);
	agent->places_len += (size_t)sprintf(agent->places + agent->places_len, "%s%x", agent->places_len ? "," : "", offset);
}

static void count_add(struct json_object **counts, const char *id, uint64_t count)
{
	add_number(counts, id, count + json_number(*counts, id));
}

/* What a finding explains may have several rows. */
static void add_known(const struct agent *agent, const struct campaign_stats *stats, struct json_object **line)
{
	struct json_object *known = json_object_new_object();
	const uint64_t *counts = agent->executor->domain == &vmcb_domain ? nested_executor_known(agent->executor) : NULL;
	unsigned int i;

	for (i = 0; counts && nested_known_at(i); i++)
		if (counts[i])
			count_add(&known, nested_known_at(i)->id, counts[i]);
	if (agent->known_reports) {
		json_object_object_foreach(agent->known_reports, id, count)
			count_add(&known, id, (uint64_t)json_object_get_int64(count));
	}
	if (stats->nr_once)
		add_number(&known, "once, and not again", stats->nr_once);
	json_add(line, "known", known);
}

static void add_counts(const struct agent *agent, struct json_object **line)
{
	struct nested_counts counts;

	if (agent->executor->domain != &vmcb_domain)
		return;
	counts = nested_counts(nested_executor_target(agent->executor));
	add_number(line, "runs", counts.nr_runs);
	add_number(line, "entries", counts.nr_entries);
	add_number(line, "resets", counts.nr_resets);
	add_number(line, "made", counts.nr_made);
}

static void stats_send(struct agent *agent, const char *event, const struct campaign_stats *stats)
{
	struct json_object *line = line_new(event);

	places_send(agent);
	add_number(&line, "number", agent->number);
	add_number(&line, "inputs", stats->nr_inputs);
	add_number(&line, "kept", stats->nr_kept);
	add_number(&line, "features", stats->nr_features);
	add_number(&line, "findings", stats->nr_findings + agent->nr_kernel);
	add_number(&line, "cover", agent->kcov ? kcov_nr(agent->kcov) : 0);
	json_add(&line, "seconds", json_object_new_double(stats->seconds));
	add_known(agent, stats, &line);
	add_counts(agent, &line);
	inside_line_send(line);
}

/* --- the campaign's calls --- */

static bool is_due(const struct agent *agent, unsigned int every)
{
	return agent->number % every == 0;
}

static void number_send(const char *event, uint64_t number)
{
	struct json_object *line = line_new(event);

	add_number(&line, "number", number);
	inside_line_send(line);
}

static void begin(void *context, uint64_t number)
{
	struct agent *agent = context;
	char name[24];

	if (agent->kcov)
		kcov_begin(agent->kcov);
	if (number == CAMPAIGN_SEED) {
		if (agent->nr_careful) {
			number_send("seed", agent->seed);
			tcdrain(cli_results_fd);
		}
		agent->seed++;
		return;
	}
	agent->number = number;
	snprintf(name, sizeof(name), "f%" PRIu64, number);
	prctl(PR_SET_NAME, name);
	if (!is_due(agent, TELL_EVERY) && !agent->nr_careful)
		return;
	number_send("at", number);
	if (agent->nr_careful && agent->nr_careful--)
		tcdrain(cli_results_fd);
}

/* The kernel names the input by our own name; @seed has no number, and is told as it is. */
static void report_send(struct agent *agent, const struct kernel_words *words, const struct input *seed)
{
	struct json_object *line = line_new("found");
	unsigned long long number;

	agent->nr_kernel++;
	add_number(&line, "number", sscanf(words->comm, "f%llu", &number) == 1 ? number : agent->number);
	json_add(&line, seed ? "violation" : "kernel", json_object_new_string(words->headline));
	if (seed)
		add_input(&line, seed);
	inside_line_send(line);
}

/* @seed: that ran just now; NULL: inputs with a number did. */
static void kernel_listen(struct agent *agent, const struct input *seed)
{
	struct kernel_words words;
	const char *known;

	if (!inside_kernel_hear(&agent->kmsg, &words, &known))
		return;
	if (known)
		count_add(&agent->known_reports, known, 1);
	else
		report_send(agent, &words, seed);
}

static bool is_new(void *context, const struct input *input, uint64_t number)
{
	struct agent *agent = context;

	if (number == CAMPAIGN_SEED || is_due(agent, LISTEN_EVERY))
		kernel_listen(agent, number == CAMPAIGN_SEED ? input : NULL);
	return agent->kcov && kcov_take(agent->kcov, place_take, agent);
}

static void word_take(void *context, uint64_t value)
{
	struct agent *agent = context;

	/* The numbers of calls themselves are nothing that an input makes up. */
	if ((value >> 8 & 0xff) != KVMIO)
		input_words_add(&agent->words, agent->executor->domain, value);
}

static void words_send(struct agent *agent, uint64_t number)
{
	char text[INPUT_MAX_WORDS * 17 + 1] = "";
	struct json_object *line;
	size_t at = 0;

	if (agent->nr_told == agent->words.nr)
		return;
	for (; agent->nr_told < agent->words.nr; agent->nr_told++)
		at += (size_t)sprintf(text + at, "%s%" PRIx64, at ? "," : "", agent->words.values[agent->nr_told]);
	line = line_new("words");
	add_number(&line, "number", number);
	json_add(&line, "words", json_object_new_string(text));
	inside_line_send(line);
}

/* Runs an input that has shown something new once more, for what the kernel compares on the way. */
static void words_learn(struct agent *agent, const struct input *input, uint64_t number)
{
	static struct trial trial;

	if (!agent->kcov || !kcov_words_begin(agent->kcov))
		return;
	agent->executor->run(agent->executor, input, &trial);
	kcov_words_end(agent->kcov, word_take, agent);
	words_send(agent, number);
}

static void kept(void *context, const struct input *input, uint64_t number)
{
	struct agent *agent = context;
	struct json_object *line = line_new("kept");

	words_learn(agent, input, number);
	add_number(&line, "number", number);
	add_input(&line, input);
	inside_line_send(line);
	tcdrain(cli_results_fd);
}

static void found(void *context, const struct input *input, const struct trial *trial, const char *path)
{
	struct agent *agent = context;
	struct json_object *line = line_new("found"), *outcome = json_object_new_array();
	char text[2048];
	unsigned int i;

	(void)path;
	for (i = 0; i < trial->nr_lines; i++) {
		agent->executor->line(agent->executor, i, text, sizeof(text));
		json_append(&outcome, json_object_new_string(text));
	}
	add_number(&line, "number", agent->number);
	json_add(&line, "violation", json_object_new_string(trial->violation));
	json_add(&line, "outcome", outcome);
	add_input(&line, input);
	inside_line_send(line);
	tcdrain(cli_results_fd);
}

static void features_new(void *context, const struct trial *trial)
{
	char text[EXECUTOR_MAX_FEATURES * 5 + 1] = "";
	struct agent *agent = context;
	struct json_object *line = line_new("features");
	unsigned int i;
	size_t at = 0;

	for (i = 0; i < trial->nr_features; i++)
		if (corpus_feature_take(&agent->met, trial->features[i]))
			at += (size_t)sprintf(text + at, "%s%x", at ? "," : "", trial->features[i]);
	json_add(&line, "features", json_object_new_string(text));
	inside_line_send(line);
}

static bool tell(void *context, const struct campaign_stats *stats)
{
	stats_send(context, "stats", stats);
	return true;
}

/* --- the command --- */

/* Numbers with commas between them, or "-". */
static size_t numbers_read(uint64_t *numbers, size_t max, const char *text)
{
	size_t nr = 0;

	while (nr < max && *text && *text != '-') {
		char *end;

		numbers[nr++] = strtoull(text, &end, 16);
		text = *end ? end + 1 : end;
	}
	return nr;
}

static void features_read(struct agent *agent, const char *text)
{
	while (*text && *text != '-') {
		char *end;
		uint16_t feature = (uint16_t)strtoull(text, &end, 16);

		if (corpus_feature_take(&agent->met, feature))
			agent->features[agent->options.nr_features++] = feature;
		text = *end ? end + 1 : end;
	}
	agent->options.features = agent->features;
}

static void places_read(struct kcov *kcov, const char *text)
{
	while (*text && *text != '-') {
		char *end;

		kcov_mark(kcov, (uint32_t)strtoull(text, &end, 16));
		text = *end ? end + 1 : end;
	}
}

static int seeds_read(struct campaign_options *options, int nr, char **texts)
{
	struct input *seeds = calloc((size_t)nr + 1, sizeof(*seeds));
	struct err err;
	int i;

	if (!seeds)
		return usage_error("fuzz agent: out of memory");
	options->seeds = seeds;
	for (i = 0; i < nr; i++) {
		if (input_parse(texts[i], strlen(texts[i]), &seeds[i], &err))
			return usage_error("fuzz agent: %s", err.text);
		options->nr_seeds++;
	}
	return 0;
}

static int agent_run(struct agent *agent)
{
	struct json_object *line = line_new("begin");
	struct campaign_stats stats;
	struct err err;

	add_number(&line, "seed", agent->options.seed);
	json_add(&line, "cover", json_object_new_boolean(agent->kcov != NULL));
	inside_line_send(line);
	if (campaign_run(&agent->options, &stats, &err)) {
		cli_print("fuzz agent: %s", err.text);
		return 99;
	}
	kernel_listen(agent, NULL);
	stats_send(agent, "end", &stats);
	if (agent->send_gcov && gcov_files_send(cli_results_fd, &err)) {
		cli_print("fuzz agent: %s", err.text);
		return 99;
	}
	return 0;
}

int fuzz_agent(int argc, char **argv)
{
	struct agent *agent = calloc(1, sizeof(*agent));
	const struct input_domain *domain = argc > NR_WORDS - 1 ? input_domain_find(argv[1]) : NULL;
	struct err err;
	int r;

	if (!agent || !domain || cli_results_fd < 0)
		return usage_error("fuzz agent: it is for labs");
	agent->options = (struct campaign_options){
		.seed = strtoull(argv[2], NULL, 0), .first = strtoull(argv[3], NULL, 0),
		.nr_inputs = strtoull(argv[5], NULL, 0), .kinds = agent->kinds,
		.nr_kinds = numbers_read(agent->kinds, MAX_KINDS, argv[7]), .words = &agent->words, .begin = begin, .is_new = is_new,
		.features_new = features_new, .kept = kept, .found = found, .tell = tell,
		.nr_ran = strtoull(argv[11], NULL, 0), .context = agent,
	};
	agent->nr_careful = strtoull(argv[4], NULL, 0);
	agent->words.nr = agent->nr_told = (unsigned int)numbers_read(agent->words.values, INPUT_MAX_WORDS, argv[8]);
	features_read(agent, argv[9]);
	agent->seed = agent->options.nr_ran;
	agent->send_gcov = strtoull(argv[6], NULL, 0);
	r = seeds_read(&agent->options, argc - NR_WORDS, argv + NR_WORDS);
	if (!r && fuzz_target_open(domain, "kvm", &agent->executor, &err)) {
		cli_print("fuzz agent: %s", err.text);
		r = 99;
	}
	if (!r) {
		agent->options.executor = agent->executor;
		kmsg_open(&agent->kmsg, "/dev/kmsg");
		lab_be_patient();
		agent->known_reports = json_object_new_object();
		agent->kcov = kcov_open();
		if (agent->kcov)
			places_read(agent->kcov, argv[10]);
		r = agent_run(agent);
		kcov_close(agent->kcov);
		json_object_put(agent->known_reports);
		kmsg_close(&agent->kmsg);
	}
	executor_free(agent->executor);
	free((void *)agent->options.seeds);
	free(agent);
	return r;
}

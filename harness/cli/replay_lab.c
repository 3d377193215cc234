/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "cli/lab_death.h"
#include "cli/replay.h"
#include "err.h"
#include "reports/json_add.h"

#define TEXT_BYTES 16384

struct replay {
	const struct args *args;
	const char *const *paths;
	unsigned int nr;
	unsigned int next;		/* the first that has no outcome yet */
	bool has_begun;			/* that one, on the machine that runs */
	lab_boot_fn *boot;
	bool all_right;
};

static void take_done(struct replay *replay, struct json_object *line)
{
	struct replayed replayed = { .run = (unsigned int)json_number(line, "run") };
	struct json_object *lines = NULL;
	size_t i;

	json_object_object_get_ex(line, "lines", &lines);
	for (i = 0; lines && i < json_object_array_length(lines); i++)
		strlist_add(&replayed.lines, json_object_get_string(json_object_array_get_idx(lines, i)));
	snprintf(replayed.violation, sizeof(replayed.violation), "%s", json_text(line, "violation"));
	snprintf(replayed.missing, sizeof(replayed.missing), "%s", json_text(line, "missing"));
	snprintf(replayed.known, sizeof(replayed.known), "%s", json_text(line, "known"));
	replayed_print(&replayed, replay->paths[replay->next], replay->args);
	replay->all_right &= replayed_is_right(&replayed);
	replayed_free(&replayed);
	replay->next++;
	replay->has_begun = false;
}

static void on_line(void *context, const char *text)
{
	struct replay *replay = context;
	struct json_object *line = json_tokener_parse(text);
	bool is_ours = !strcmp(json_text(line, "type"), "replay") && replay->next < replay->nr &&
		       json_number(line, "file") == replay->next;

	if (!strcmp(json_text(line, "type"), "text"))
		fprintf(stderr, "vmassay: %s\n", json_text(line, "text"));
	else if (is_ours && !strcmp(json_text(line, "event"), "at"))
		replay->has_begun = true;
	else if (is_ours && !strcmp(json_text(line, "event"), "done"))
		take_done(replay, line);
	json_object_put(line);
}

/* The one that ran when the machine ended. */
static void take_death(struct replay *replay, const struct lab_outcome *outcome)
{
	struct replayed replayed = { 0 };
	struct lab_death death;

	lab_death_judge(&death, outcome, 0);
	snprintf(replayed.violation, sizeof(replayed.violation), "the lab died: %.900s",
		 outcome->is_complete ? "its process ended in the middle" : death.why);
	replayed_print(&replayed, replay->paths[replay->next++], replay->args);
	replay->all_right = false;
	lab_death_free(&death);
}

static void words_make(const struct replay *replay, const struct input *inputs, struct strlist *words)
{
	char text[TEXT_BYTES];
	unsigned int i;

	strlist_add(words, "replay");
	strlist_addf(words, "%u", replay->args->selection.repeat);
	strlist_addf(words, "%u", replay->next);
	for (i = replay->next; i < replay->nr; i++) {
		input_print(&inputs[i], text, sizeof(text));
		strlist_add(words, text);
	}
}

/* 0: it goes on, if there are more; or an exit code. */
static int run_boot(struct replay *replay, const struct input *inputs)
{
	struct lab_outcome outcome = { 0 };
	struct strlist words = { 0 };
	struct err err;
	int r;

	words_make(replay, inputs, &words);
	replay->has_begun = false;
	r = words.error ? err_set(&err, ENOMEM, "out of memory") :
	    replay->boot(&replay->args->lab, (const char *const *)words.strings, on_line, replay, &outcome, &err);
	strlist_free(&words);
	if (r)
		return usage_error("replay: %s", err.text);
	if (cli_is_interrupted)
		return EXIT_INTERRUPTED;
	if (replay->next == replay->nr)
		return 0;
	if (replay->has_begun) {
		take_death(replay, &outcome);
		return 0;
	}
	if (!outcome.is_complete)
		usage_error("replay: lab: %s", outcome.last_words);
	return 99;
}

int replay_in_lab(const struct args *args, const char *const *paths, const struct input *inputs, unsigned int nr,
		  lab_boot_fn *boot)
{
	struct replay replay = { .args = args, .paths = paths, .nr = nr, .all_right = true, .boot = boot };
	int r = 0;

	while (!r && replay.next < nr)
		r = run_boot(&replay, inputs);
	return r ? r : !replay.all_right;
}

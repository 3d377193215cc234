/* SPDX-License-Identifier: MIT */
#include "cli/fuzz_search.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/executor.h"
#include "kernel_log.h"
#include "reports/json_add.h"

/* True for the first of its kind. */
static bool kind_take(struct search *s, const char *violation)
{
	return fuzz_board_kind(s->board, violation_kind(violation));
}

static void finding_write(struct search *s, const char *violation, const char *outcome, const char *text)
{
	char head[8192];

	snprintf(head, sizeof(head), "# %s\n%s", violation, outcome);
	if (s->options->findings)
		search_file_write(s->options->findings, ".input", head, text);
	search_status_clear();
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

void search_take_found(struct search *s, struct json_object *line)
{
	const char *violation = json_text(line, "violation"), *kernel = json_text(line, "kernel");
	struct json_object *outcome = NULL;
	char joined[4096], text[SEARCH_TEXT_BYTES];
	struct input input;

	if (!kind_take(s, *kernel ? kernel : violation))
		return;
	json_object_object_get_ex(line, "outcome", &outcome);
	outcome_join(outcome, joined, sizeof(joined));
	if (!*kernel) {
		finding_write(s, violation, joined, json_text(line, "input"));
		return;
	}
	search_input_again(s, json_number(line, "number"), &input);
	input_print(&input, text, sizeof(text));
	finding_write(s, kernel, "", text);
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
	char text[SEARCH_TEXT_BYTES], *excerpt = console ? kernel_text_excerpt(console) : NULL;

	input_print(input, text, sizeof(text));
	if (kind_take(s, why)) {
		finding_write(s, why, "", text);
		if (excerpt && s->options->findings)
			search_file_write(s->options->findings, ".log", "", excerpt);
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

	s->nr_careful = SEARCH_NR_CAREFUL;
	if (!s->nr_told || s->nr_told > s->nr_corpus)
		return;
	entry = s->corpus[s->nr_told - 1];
	/* There is always one; where that cannot be run, nothing can. */
	if (s->nr_corpus == 1 && (!entry->input.nr_ops || search_corpus_golden(s)))
		return;
	killer_write(s, &entry->input, why, console);
	memmove(&s->corpus[s->nr_told - 1], &s->corpus[s->nr_told], (s->nr_corpus - s->nr_told) * sizeof(entry));
	s->nr_corpus--;
	s->is_settled = true;
	free(entry);
}

void search_take_death(struct search *s, const struct lab_outcome *outcome)
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
		s->is_settled = true;
		search_input_again(s, number, &input);
		killer_write(s, &input, why, console);
	} else if (!s->has_run) {
		take_death_by_seed(s, why, console);
	}
	if (is_told || s->has_run) {
		s->first = is_told ? number + 1 : s->at;
		s->nr_careful = is_told ? 0 : SEARCH_NR_CAREFUL;
	}
	free(console);
}

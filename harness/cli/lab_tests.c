/* SPDX-License-Identifier: MIT */
/*
 * Tests in a lab: planned outside, run inside, reported outside. What the plan holds and the lab did not report is
 * tried again in a fresh boot: the run inside ends itself after a test that made the kernel report a bug, and a boot
 * that dies costs the tests that were running (see lab_death.h).
 *
 * When several were, a boot of their own tells who of them does it: one after the other, each alone. It costs none of
 * those that --boots allows. If none does it alone, all of them answer for it together.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/brief.h"
#include "cli/gcov_files.h"
#include "cli/lab_death.h"
#include "cli/lab_notes.h"
#include "cli/lab_tests.h"
#include "err.h"
#include "lab/strlist.h"
#include "reports/json_add.h"
#include "runner/blame.h"

enum item_state { ITEM_WAITING, ITEM_SUSPECT, ITEM_RUNNING, ITEM_DONE };

struct lab_run {
	struct args *args;
	const struct plan *plan;
	enum item_state *states;	/* of the plan's items */
	unsigned int *suspicions;	/* likewise: how near they are to tests that cost a boot */
	bool *are_second;		/* likewise: the emulator failed under it once */
	struct sink *const *sinks;
	lab_boot_fn *boot;
	struct summary summary;
	struct err unanswered;		/* how a boot died that no test answers for; or "" */
	bool has_begun;
	bool is_stopping;		/* --fail-fast */

	/* Of the tests that ran together when a boot died; nr_suspects is 0 when there are none. */
	unsigned int nr_suspects;
	struct lab_death together;
	struct result **held;		/* what came of them alone */
	unsigned int nr_held;

	/* Of this boot. */
	size_t *given;			/* the items that it was given, in their order */
	size_t nr_given;
	struct lab_outcome outcome;
	unsigned int nr_running;
	unsigned int nr_results;
	size_t last_done;		/* the item whose result came last */
	uint64_t console_from;		/* where the console was when the tests that run now began */
	struct lab_clock clock;		/* of the boot that runs */
	unsigned int nr_boots;
	unsigned int nr_gcov_files;
};

/* --- lines from inside --- */

/* The first item of that name and round that is not done; NULL for a line about a test that is not ours. */
static enum item_state *state_find(struct lab_run *run, const char *test, unsigned int round)
{
	size_t i;

	for (i = 0; i < run->plan->nr_items; i++)
		if (run->states[i] != ITEM_DONE && run->plan->items[i].round == round &&
		    !strcmp(run->plan->items[i].entry->name, test))
			return &run->states[i];
	return NULL;
}

static void take_run(struct lab_run *run, struct json_object *line)
{
	struct run_info info = {
		.target = run->args->run.target,
		.nr_planned = run->plan->nr_items,
		.seed = run->args->run.seed,
	};

	if (run->has_begun)
		return;
	run->has_begun = true;
	json_object_object_get_ex(line, "facts", &info.facts);
	sinks_run_begin(run->sinks, &info);
}

static void take_start(struct lab_run *run, const char *test, unsigned int round)
{
	enum item_state *state = state_find(run, test, round);

	if (!run->clock.first_test_us)
		run->clock.first_test_us = clock_us();
	if (!state)
		return;
	if (!run->nr_running++)
		run->console_from = run->outcome.emulator.console.nr_bytes;
	*state = ITEM_RUNNING;
	sinks_test_begin(run->sinks, test, run->args->run.target, round);
}

static void report(struct lab_run *run, const struct result *result)
{
	run->summary.count[result->verdict]++;
	if (run->args->run.fail_fast && result->verdict >= VERDICT_ERROR)
		run->is_stopping = true;
	sinks_test_end(run->sinks, result);
}

/* Takes over @result; NULL is none. */
static void take_result(struct lab_run *run, struct result *result)
{
	enum item_state *state = result ? state_find(run, result->test, result->round) : NULL;

	if (!state) {
		result_free(result);
		return;
	}
	run->nr_running -= *state == ITEM_RUNNING;
	run->nr_results++;
	*state = ITEM_DONE;
	run->last_done = state - run->states;
	if (run->nr_suspects) {
		run->held[run->nr_held++] = result;
		return;
	}
	report(run, result);
	result_free(result);
}

static void take_gcov(struct lab_run *run, struct json_object *line)
{
	struct err err;

	if (!run->args->gcov)
		return;
	if (gcov_file_take(line, run->args->gcov, run->nr_boots, &err))
		usage_error("%s", err.text);
	else
		run->nr_gcov_files++;
}

static void take_brief(struct lab_run *run, const struct brief *brief)
{
	const struct plan_item *item;
	struct result *result;

	if (brief->place >= run->nr_given)
		return;
	item = &run->plan->items[run->given[brief->place]];
	if (brief->is_start) {
		take_start(run, item->entry->name, item->round);
		return;
	}
	result = result_new(item->entry->name, run->args->run.target, item->entry->file);
	if (!result)
		return;
	result->round = item->round;
	result->duration_us = brief->duration_us;
	result->nr_checks = brief->nr_checks;
	take_result(run, result);
}

static void on_line(void *context, const char *text)
{
	struct lab_run *run = context;
	struct json_object *line;
	struct brief brief;
	const char *type;

	if (brief_read(&brief, text)) {
		take_brief(run, &brief);
		return;
	}
	line = json_tokener_parse(text);
	type = line ? json_text(line, "type") : "";
	if (!strcmp(type, "run")) {
		take_run(run, line);
	} else if (!strcmp(type, "start")) {
		take_start(run, json_text(line, "test"), (unsigned int)json_number(line, "round"));
	} else if (!strcmp(type, "result")) {
		take_result(run, result_from_json(line));
	} else if (!strcmp(type, "gcov")) {
		take_gcov(run, line);
	}
	json_object_put(line);
}

/* --- the words that the run inside is given --- */

/* Tests that are like one that cost a boot come last, for they may cost the boots that others need. */
static void add_waiting(struct lab_run *run, struct strlist *words)
{
	enum item_state wanted = run->nr_suspects ? ITEM_SUSPECT : ITEM_WAITING;
	unsigned int level, max = 0;
	size_t i;

	for (i = 0; i < run->plan->nr_items; i++)
		if (run->suspicions[i] > max)
			max = run->suspicions[i];
	run->nr_given = 0;
	for (level = 0; level <= max; level++)
		for (i = 0; i < run->plan->nr_items; i++)
			if (run->states[i] == wanted && run->suspicions[i] == level) {
				strlist_addf(words, "%s#%u", run->plan->items[i].entry->name,
					     run->plan->items[i].round);
				run->given[run->nr_given++] = i;
			}
}

static struct strlist words_for_tests(struct lab_run *run, bool is_last)
{
	const struct args *args = run->args;
	struct strlist words = { 0 };

	strlist_add(&words, "run");
	strlist_add(&words, "--as-given");
	strlist_addf(&words, "--target=%s", args->run.target);
	strlist_addf(&words, "--seed=0x%llx", (unsigned long long)args->run.seed);
	strlist_addf(&words, "--timeout=%g", args->run.timeout_ms / 1000.0);
	strlist_addf(&words, "--jobs=%u", args->run.nr_jobs && !run->nr_suspects ? args->run.nr_jobs : 1);
	if (args->run.fail_fast)
		strlist_add(&words, "--fail-fast");
	if (args->run.is_recorded)
		strlist_add(&words, "--record");
	if (args->run.is_alone || run->nr_suspects)
		strlist_add(&words, "--alone");
	if (args->gcov)
		strlist_add(&words, "--send-gcov");
	/* Without another boot, a kernel that can go on does. */
	strlist_addf(&words, "--leave-at=%s", is_last ? "oops" : "warning");
	strlist_add(&words, "--");
	add_waiting(run, &words);
	return words;
}

/* --- boots --- */

/* @item cost a boot: so may other modes of the same row, and other rows of the same case. */
static void suspect(struct lab_run *run, const struct plan_item *item)
{
	size_t i;

	for (i = 0; i < run->plan->nr_items; i++) {
		const struct test_entry *entry = run->plan->items[i].entry;

		if (entry->desc == item->entry->desc)
			run->suspicions[i] += entry->row == item->entry->row ? 2 : 1;
	}
}

static void report_lost(struct lab_run *run, size_t index, const struct lab_death *death)
{
	const struct plan_item *item = &run->plan->items[index];
	struct result *result = result_new(item->entry->name, run->args->run.target, item->entry->file);

	result->round = item->round;
	if (death->console)
		result_add_dmesg(result, death->console);
	result_blame(result, death->verdict, death->why, run->nr_running);
	run->states[index] = ITEM_DONE;
	report(run, result);
	result_free(result);
}

/* Gives up what has no result. */
static void report_not_run(struct lab_run *run, const char *why)
{
	struct lab_death death = { .verdict = VERDICT_ERROR };
	size_t i;

	run->nr_running = 0;
	snprintf(death.why, sizeof(death.why), "not run: %s", why);
	for (i = 0; i < run->plan->nr_items; i++)
		if (run->states[i] != ITEM_DONE)
			report_lost(run, i, &death);
}

/* Takes @death, which is settled after a boot of the suspects' own. */
static void suspects_begin(struct lab_run *run, const struct lab_death *death)
{
	size_t i;

	for (i = 0; i < run->plan->nr_items; i++)
		if (run->states[i] == ITEM_RUNNING)
			run->states[i] = ITEM_SUSPECT;
	run->nr_suspects = run->nr_running;
	run->together = *death;
}

/* After their boot: the others are cleared when one of them did it alone; those that did not run then wait again. */
static void suspects_end(struct lab_run *run, bool is_found)
{
	struct lab_death *death = &run->together;
	unsigned int h;
	size_t i;

	for (h = 0; h < run->nr_held; h++) {
		struct result *result = run->held[h];

		if (!is_found && !death->is_emulators) {
			result_add_dmesg(result, death->console ? death->console : "");
			result_blame(result, death->verdict, death->why, run->nr_suspects);
		}
		report(run, result);
		result_free(result);
	}
	for (i = 0; i < run->plan->nr_items; i++)
		if (run->states[i] == ITEM_SUSPECT)
			run->states[i] = ITEM_WAITING;
	run->nr_suspects = run->nr_held = 0;
	lab_death_free(death);
}

/* An emulator that fails by itself has faults of its own, which come and go: a test answers for the second time. */
static bool gets_second_try(struct lab_run *run, size_t index, const struct lab_death *death, bool is_last)
{
	if (!death->is_emulators || is_last || run->are_second[index])
		return false;
	run->are_second[index] = true;
	run->states[index] = ITEM_WAITING;
	fprintf(stderr, "vmassay: lab: %s runs once more: %s\n", run->plan->items[index].entry->name, death->why);
	return true;
}

/*
 * The tests that ran when the lab died answer for it. When none ran, and none had before in this boot, the next one
 * would meet the same end.
 */
static void settle_death(struct lab_run *run, bool is_last)
{
	struct lab_death death;
	size_t i;

	lab_death_judge(&death, &run->outcome, run->console_from);
	if (run->nr_running > 1 && !is_last) {
		suspects_begin(run, &death);
		return;
	}
	for (i = 0; i < run->plan->nr_items; i++)
		if (run->states[i] == ITEM_RUNNING) {
			suspect(run, &run->plan->items[i]);
			if (!gets_second_try(run, i, &death, is_last))
				report_lost(run, i, &death);
		}
	if (!run->nr_running && run->nr_results)
		err_set(&run->unanswered, ENOTRECOVERABLE, "the lab died when no test ran: %.400s", death.why);
	if (is_last || (!run->nr_running && !run->nr_results))
		report_not_run(run, death.why);
	lab_death_free(&death);
}

/* The run inside does not trust its kernel any more: what it gave up is tried in the next boot. */
static void settle_left(struct lab_run *run, bool is_last)
{
	size_t i;

	for (i = 0; i < run->plan->nr_items; i++)
		if (run->states[i] == ITEM_RUNNING)
			run->states[i] = ITEM_WAITING;
	if (run->nr_results)
		suspect(run, &run->plan->items[run->last_done]);
	if (is_last)
		report_not_run(run, "the kernel could not be trusted after what it reported, and no boot was left "
			       "(--boots)");
}

static bool has_suspect(const struct lab_run *run)
{
	size_t i;

	for (i = 0; i < run->plan->nr_items; i++)
		if (run->states[i] == ITEM_SUSPECT)
			return true;
	return false;
}

static bool has_waiting(const struct lab_run *run)
{
	size_t i;

	for (i = 0; i < run->plan->nr_items; i++)
		if (run->states[i] != ITEM_DONE)
			return true;
	return false;
}

static int boot_once(struct lab_run *run, bool is_last, struct err *err)
{
	bool are_suspects = run->nr_suspects, has_left, has_ended;
	struct strlist words = words_for_tests(run, is_last);
	struct lab_outcome *outcome = &run->outcome;
	int r;

	if (words.error)
		return err_set(err, ENOMEM, "out of memory");
	run->clock.boot_us = clock_us();
	run->clock.first_test_us = 0;
	run->nr_boots++;
	run->nr_running = run->nr_results = 0;
	run->console_from = 0;
	r = run->boot(&run->args->lab, (const char *const *)words.strings, on_line, run, outcome, err);
	strlist_free(&words);
	if (r || cli_is_interrupted)
		return r;
	lab_notes_print(run->args, outcome, &run->clock);
	run->clock.start_us = clock_us();
	has_left = outcome->is_complete && outcome->exit_code == EXIT_LEFT;
	has_ended = outcome->is_complete && !has_left && !run->nr_running;
	/* Left after one of them: the rest of them come first, in another boot. */
	if (are_suspects && !(has_left && run->nr_results && has_suspect(run)))
		suspects_end(run, run->nr_running);
	if ((are_suspects && has_ended) || (outcome->is_complete && (run->is_stopping || !has_waiting(run))))
		return 0;
	if (has_left)
		settle_left(run, is_last);
	else
		settle_death(run, is_last);
	return 0;
}

static void run_free(struct lab_run *run)
{
	unsigned int i;

	for (i = 0; i < run->nr_held; i++)
		result_free(run->held[i]);
	lab_death_free(&run->together);
	free(run->held);
	free(run->states);
	free(run->suspicions);
	free(run->are_second);
	free(run->given);
}

int lab_run_plan(struct args *args, const struct plan *plan, struct sink *const *sinks, lab_boot_fn *boot,
		 struct summary *ret_summary, struct err *err)
{
	struct lab_run run = { .args = args, .plan = plan, .sinks = sinks, .boot = boot,
			       .clock.start_us = args->start_us };
	uint64_t start_us = clock_us();
	unsigned int nr_boots = 0;
	int r = 0;

	run.states = calloc(plan->nr_items + 1, sizeof(*run.states));
	run.suspicions = calloc(plan->nr_items + 1, sizeof(*run.suspicions));
	run.held = calloc(plan->nr_items + 1, sizeof(*run.held));
	run.are_second = calloc(plan->nr_items + 1, sizeof(*run.are_second));
	run.given = calloc(plan->nr_items + 1, sizeof(*run.given));
	if (!run.states || !run.suspicions || !run.held || !run.are_second || !run.given) {
		run_free(&run);
		return err_set(err, ENOMEM, "out of memory");
	}
	while (has_waiting(&run) && !run.is_stopping && !cli_is_interrupted && !r) {
		bool are_suspects = run.nr_suspects;

		r = boot_once(&run, !are_suspects && nr_boots == args->nr_boots, err);
		nr_boots += !are_suspects;
	}
	run_free(&run);
	run.summary.duration_us = clock_us() - start_us;
	if (run.has_begun || !r)
		sinks_run_end(sinks, &run.summary);
	*ret_summary = run.summary;
	if (!r && run.unanswered.text[0])
		r = err_set(err, ENOTRECOVERABLE, "%s", run.unanswered.text);
	else if (!r && args->gcov && !run.nr_gcov_files)
		r = err_set(err, ENOENT, "--gcov: the kernel has no coverage counters (ci/kernel/build gcov makes one)");
	return r;
}

/* No test that may take longer than the lab's tests do shall be taken for silence. */
static int timeout_stretch(struct args *args, const struct plan *plan, struct err *err)
{
	struct lab_defaults defaults;
	unsigned int longest_ms = args->run.timeout_ms;
	int r = lab_check(args->lab.name, &defaults, err);
	size_t i;

	for (i = 0; i < plan->nr_items; i++)
		if (plan->items[i].entry->desc->timeout_ms > longest_ms)
			longest_ms = plan->items[i].entry->desc->timeout_ms;
	if (!r && longest_ms > defaults.test_timeout_ms)
		args->lab.timeout_s = (uint64_t)defaults.timeout_s * longest_ms / defaults.test_timeout_ms;
	return r;
}

int lab_run_tests(struct args *args)
{
	struct sink *sinks[RUN_MAX_SINKS];
	struct registry registry;
	struct summary summary;
	struct plan plan;
	struct err err;
	int code, r;

	if (registry_open(&registry, &err))
		return usage_error("%s", err.text);
	r = plan_open(&plan, &registry, &args->selection, &err);
	if (r) {
		code = usage_error("%s", err.text);
		goto out_registry;
	}
	r = timeout_stretch(args, &plan, &err);
	code = r ? usage_error("%s", err.text) : outputs_open(args, sinks);
	if (code)
		goto out_plan;
	r = lab_run_plan(args, &plan, sinks, lab_boot, &summary, &err);
	code = outputs_close(sinks);
	if (r)
		usage_error("%s", err.text);
	if (r == -ENOTRECOVERABLE && !code)
		code = summary.count[VERDICT_FAIL] ? 1 : 99;
	else if (r)
		code = EXIT_USAGE;
	else if (!code)
		code = cli_is_interrupted ? EXIT_INTERRUPTED :
		       plan.nr_items ? summary_exit_code(&summary) : 0;
out_plan:
	plan_close(&plan);
out_registry:
	registry_close(&registry);
	return code;
}

/* SPDX-License-Identifier: MIT */
/*
 * Tests in a lab: planned outside, run inside, reported outside. What the plan holds and the lab did not report is
 * tried again in a fresh boot; the test that was running when a boot died is an ERROR with the emulator's last words.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/gcov_files.h"
#include "cli/lab_tests.h"
#include "err.h"
#include "lab/strlist.h"
#include "runner/job.h"

enum item_state { ITEM_WAITING, ITEM_RUNNING, ITEM_DONE };

struct lab_run {
	struct args *args;
	struct plan plan;
	enum item_state *states;	/* of the plan's items */
	struct sink *sinks[RUN_MAX_SINKS];
	struct summary summary;
	bool has_begun;
	bool is_stopping;		/* --fail-fast */
	double first_test_s;
	uint64_t boot_us;
	unsigned int nr_boots;
	unsigned int nr_gcov_files;
};

/* --- lines from inside --- */

static const char *json_text(struct json_object *object, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(object, key, &value) ? json_object_get_string(value) : "";
}

/* The first item of that name and round that is not done; NULL for a line about a test that is not ours. */
static enum item_state *state_find(struct lab_run *run, const char *test, unsigned int round)
{
	size_t i;

	for (i = 0; i < run->plan.nr_items; i++)
		if (run->states[i] != ITEM_DONE && run->plan.items[i].round == round &&
		    !strcmp(run->plan.items[i].entry->name, test))
			return &run->states[i];
	return NULL;
}

static void take_run(struct lab_run *run, struct json_object *line)
{
	struct run_info info = {
		.target = run->args->run.target,
		.nr_planned = run->plan.nr_items,
		.seed = run->args->run.seed,
	};

	if (run->has_begun)
		return;
	run->has_begun = true;
	json_object_object_get_ex(line, "facts", &info.facts);
	sinks_run_begin(run->sinks, &info);
}

static void take_start(struct lab_run *run, struct json_object *line)
{
	struct json_object *round = NULL;
	enum item_state *state;

	json_object_object_get_ex(line, "round", &round);
	state = state_find(run, json_text(line, "test"), json_object_get_int(round));
	if (!run->first_test_s)
		run->first_test_s = (clock_us() - run->boot_us) / 1e6;
	if (!state)
		return;
	*state = ITEM_RUNNING;
	sinks_test_begin(run->sinks, json_text(line, "test"), run->args->run.target, json_object_get_int(round));
}

static void report(struct lab_run *run, const struct result *result)
{
	run->summary.count[result->verdict]++;
	if (run->args->run.fail_fast && result->verdict >= VERDICT_ERROR)
		run->is_stopping = true;
	sinks_test_end(run->sinks, result);
}

static void take_result(struct lab_run *run, struct json_object *line)
{
	struct result *result = result_from_json(line);
	enum item_state *state = result ? state_find(run, result->test, result->round) : NULL;

	if (state) {
		*state = ITEM_DONE;
		report(run, result);
	}
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

static void on_line(void *context, const char *text)
{
	struct lab_run *run = context;
	struct json_object *line = json_tokener_parse(text);
	const char *type = line ? json_text(line, "type") : "";

	if (!strcmp(type, "run"))
		take_run(run, line);
	else if (!strcmp(type, "start"))
		take_start(run, line);
	else if (!strcmp(type, "result"))
		take_result(run, line);
	else if (!strcmp(type, "gcov"))
		take_gcov(run, line);
	json_object_put(line);
}

/* --- the words that the run inside is given --- */

static struct strlist words_for_tests(const struct lab_run *run)
{
	const struct args *args = run->args;
	struct strlist words = { 0 };
	size_t i;

	strlist_add(&words, "run");
	strlist_add(&words, "--as-given");
	strlist_addf(&words, "--target=%s", args->run.target);
	strlist_addf(&words, "--seed=0x%llx", (unsigned long long)args->run.seed);
	strlist_addf(&words, "--timeout=%g", args->run.timeout_ms / 1000.0);
	strlist_addf(&words, "--jobs=%u", args->run.nr_jobs ? args->run.nr_jobs : 1);
	if (args->run.fail_fast)
		strlist_add(&words, "--fail-fast");
	if (args->gcov)
		strlist_add(&words, "--send-gcov");
	strlist_add(&words, "--");
	for (i = 0; i < run->plan.nr_items; i++)
		if (run->states[i] == ITEM_WAITING)
			strlist_addf(&words, "%s#%u", run->plan.items[i].entry->name, run->plan.items[i].round);
	return words;
}

/* --- boots --- */

static void report_lost(struct lab_run *run, const struct plan_item *item, const char *why)
{
	struct result *result = result_new(item->entry->name, run->args->run.target, item->entry->file);

	result->round = item->round;
	result_worsen(result, VERDICT_ERROR, why);
	report(run, result);
	result_free(result);
}

/* What ran when the lab died is an ERROR; when nothing ran, the next boot would meet the same end: all are. */
static void settle_death(struct lab_run *run, const char *last_words, bool is_last)
{
	bool was_running = false;
	size_t i;

	for (i = 0; i < run->plan.nr_items; i++)
		was_running |= run->states[i] == ITEM_RUNNING;
	for (i = 0; i < run->plan.nr_items; i++) {
		if (run->states[i] == ITEM_DONE)
			continue;
		if (run->states[i] == ITEM_WAITING && was_running && !is_last)
			continue;
		run->states[i] = ITEM_DONE;
		report_lost(run, &run->plan.items[i], last_words);
	}
}

static bool has_waiting(const struct lab_run *run)
{
	size_t i;

	for (i = 0; i < run->plan.nr_items; i++)
		if (run->states[i] != ITEM_DONE)
			return true;
	return false;
}

static int boot_once(struct lab_run *run, bool is_last, struct err *err)
{
	struct strlist words = words_for_tests(run);
	struct lab_outcome outcome = { 0 };
	int r;

	if (words.error)
		return err_set(err, ENOMEM, "out of memory");
	run->boot_us = clock_us();
	run->nr_boots++;
	run->first_test_s = 0;
	r = lab_boot(&run->args->lab, (const char *const *)words.strings, on_line, run, &outcome, err);
	strlist_free(&words);
	if (r || cli_is_interrupted)
		return r;
	if (run->args->timings)
		fprintf(stderr, "lab: boot %.1f s, first test %.1f s, whole run %.1f s\n", outcome.boot_s,
			run->first_test_s, outcome.total_s);
	if (outcome.is_complete && !has_waiting(run))
		return 0;
	if (outcome.is_complete && run->is_stopping)
		return 0;
	settle_death(run, outcome.is_complete ? "the run inside the lab ended without this test" :
		     outcome.last_words, is_last);
	return 0;
}

static int boots(struct lab_run *run, struct err *err)
{
	uint64_t start_us = clock_us();
	unsigned int boot;
	int r = 0;

	for (boot = 0; has_waiting(run) && !run->is_stopping && !cli_is_interrupted && !r; boot++)
		r = boot_once(run, boot == run->args->nr_boots, err);
	run->summary.duration_us = clock_us() - start_us;
	return r;
}

int lab_run_tests(struct args *args)
{
	struct lab_run run = { .args = args };
	struct registry registry;
	struct err err;
	int code, r;

	if (registry_open(&registry, &err))
		return usage_error("%s", err.text);
	r = plan_open(&run.plan, &registry, &args->selection, &err);
	if (r) {
		code = usage_error("%s", err.text);
		goto out_registry;
	}
	run.states = calloc(run.plan.nr_items + 1, sizeof(*run.states));
	code = outputs_open(args, run.sinks);
	if (code)
		goto out_plan;
	r = boots(&run, &err);
	if (run.has_begun || !r)
		sinks_run_end(run.sinks, &run.summary);
	code = outputs_close(run.sinks);
	if (r)
		code = usage_error("%s", err.text);
	else if (args->gcov && !run.nr_gcov_files)
		code = usage_error("--gcov: the kernel has no coverage counters (ci/kernel/build gcov makes one)");
	else if (!code)
		code = cli_is_interrupted ? EXIT_INTERRUPTED :
		       run.plan.nr_items ? summary_exit_code(&run.summary) : 0;
out_plan:
	free(run.states);
	plan_close(&run.plan);
out_registry:
	registry_close(&registry);
	return code;
}

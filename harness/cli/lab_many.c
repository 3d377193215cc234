/* SPDX-License-Identifier: MIT */
/*
 * Each target, a lab under one combination of parameters, is a process that runs as "vmassay lab NAME" does and sends
 * its JSON lines here. Inside, a target has the lab's plain name, which selections and known divergences go by; a
 * result gets its full name here.
 */
#include "cli/lab_many.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/lab_child.h"
#include "cli/lab_tests.h"
#include "err.h"
#include "runner/job.h"

/* How long a target may take to end when it is told to. */
#define FAREWELL_US 20000000ull

struct target {
	struct many_run *many;
	size_t index;			/* in many->compare */
	size_t combination;
	struct lab_child child;
	struct args args;		/* its own; what they point to is below or the whole run's */
	char *lab_name;			/* "lab-svm" */
	char *name;			/* "lab-svm[npt=0]" */
	char *console;
	const char *module;
	struct strlist params;
	struct plan plan;
	bool *is_reported;		/* the plan's items */
	size_t next;			/* where the next result's item is looked for first */
	bool has_begun;
	char last_words[300];
};

struct fleet {
	struct many_run *many;
	struct target *targets;
	size_t nr_targets;
	size_t nr_started, nr_running;
	bool is_stopping;		/* interrupted, or --fail-fast */
	uint64_t kill_us;		/* when those that do not end are killed */
};

/* --- names --- */

bool lab_is_many(const char *names, const struct args *args)
{
	return args->matrix || !strcmp(names, "all") || strchr(names, ',');
}

static int add_lab(struct strlist *labs, const char *name, struct err *err)
{
	struct lab_defaults defaults;

	if (lab_check(name, &defaults, err))
		return -EINVAL;
	if (strlist_has(labs, name))
		return err_set(err, EINVAL, "lab '%s' is there twice", name);
	return strlist_add(labs, name) ? err_set(err, ENOMEM, "out of memory") : 0;
}

int lab_names_parse(struct strlist *labs, const char *names, struct err *err)
{
	char name[64];
	size_t len, i;
	int r = 0;

	if (!strcmp(names, "all")) {
		for (i = 0; lab_name(i) && !r; i++)
			r = add_lab(labs, lab_name(i), err);
		return r;
	}
	for (;; names++) {
		len = strcspn(names, ",");
		snprintf(name, sizeof(name), "%.*s", (int)len, names);
		r = add_lab(labs, name, err);
		names += len;
		if (r || !*names)
			return r;
	}
}

/* --- making targets --- */

/* "lab-svm", "lab-svm[npt=0]"; the console's file is named after it. */
static int target_name(struct target *target, const char *lab)
{
	const struct args *args = target->many->args;
	char *label = matrix_label(target->many->matrix, target->combination);
	int r = -ENOMEM;

	if (label && asprintf(&target->lab_name, "lab-%s", lab) > 0 &&
	    asprintf(&target->name, *label ? "lab-%s[%s]" : "lab-%s", lab, label) > 0 &&
	    (args->lab.console ? asprintf(&target->console, "%s.%s", args->lab.console, target->name) :
				 asprintf(&target->console, "vmassay-%s.console", target->name)) > 0)
		r = 0;
	free(label);
	return r;
}

static int target_params(struct target *target)
{
	const char *const *param;

	for (param = target->many->args->params; *param; param++)
		strlist_add(&target->params, *param);
	matrix_add_words(target->many->matrix, target->combination, target->module, &target->params);
	return target->params.error;
}

static void target_args(struct target *target, const char *lab, const struct lab_defaults *defaults)
{
	struct args *args = &target->args;

	*args = *target->many->args;
	args->matrix = args->table = args->json = args->junit = NULL;
	args->tap = args->verbose = false;
	args->lab.name = lab;
	args->lab.console = target->console;
	args->lab.params = (const char *const *)target->params.strings;
	args->run.target = args->selection.target = target->lab_name;
	if (!args->run.timeout_ms)
		args->run.timeout_ms = defaults->test_timeout_ms;
}

static int target_open(struct target *target, const char *lab, struct err *err)
{
	struct lab_defaults defaults;
	int r = lab_check(lab, &defaults, err);

	if (r)
		return r;
	target->module = defaults.module;
	if (target_name(target, lab) || target_params(target))
		return err_set(err, ENOMEM, "out of memory");
	target_args(target, lab, &defaults);
	r = plan_open(&target->plan, target->many->registry, &target->args.selection, err);
	if (r)
		return r;
	target->is_reported = calloc(target->plan.nr_items + 1, sizeof(*target->is_reported));
	target->index = compare_add_target(&target->many->compare, target->name);
	if (!target->is_reported || target->many->compare.error)
		return err_set(err, ENOMEM, "out of memory");
	return 0;
}

static void target_close(struct target *target)
{
	plan_close(&target->plan);
	free(target->is_reported);
	free(target->lab_name);
	free(target->name);
	free(target->console);
	strlist_free(&target->params);
}

static int fleet_open(struct fleet *fleet, struct err *err)
{
	struct many_run *many = fleet->many;
	size_t nr_combinations = matrix_nr_combinations(many->matrix), i;
	int r = 0;

	fleet->targets = calloc(many->labs->nr * nr_combinations, sizeof(*fleet->targets));
	if (!fleet->targets)
		return err_set(err, ENOMEM, "out of memory");
	for (i = 0; i < many->labs->nr * nr_combinations && !r; i++) {
		struct target *target = &fleet->targets[fleet->nr_targets++];

		target->many = many;
		target->combination = i % nr_combinations;
		r = target_open(target, many->labs->strings[i / nr_combinations], err);
	}
	return r;
}

static void fleet_close(struct fleet *fleet)
{
	size_t i;

	for (i = 0; i < fleet->nr_targets; i++)
		target_close(&fleet->targets[i]);
	free(fleet->targets);
}

/* --- results --- */

static void report(struct target *target, const struct result *result)
{
	target->many->summary.count[result->verdict]++;
	compare_add_result(&target->many->compare, target->index, result);
	sinks_test_end(target->many->sinks, result);
}

/* The item of that name and round that is not reported yet; NULL for a line about a test that is not ours. */
static bool *item_find(struct target *target, const char *test, unsigned int round)
{
	size_t i, at;

	for (i = 0; i < target->plan.nr_items; i++) {
		at = (target->next + i) % target->plan.nr_items;
		if (target->is_reported[at] || target->plan.items[at].round != round ||
		    strcmp(target->plan.items[at].entry->name, test))
			continue;
		target->next = at;
		return &target->is_reported[at];
	}
	return NULL;
}

static const char *line_text(struct json_object *line, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(line, key, &value) ? json_object_get_string(value) : "";
}

/* The parameter's value as the kernel has it; NULL when there is no such parameter. */
static const char *fact_of(struct json_object *facts, const char *module, const char *name)
{
	struct json_object *parameters, *of_module;

	if (!json_object_object_get_ex(facts, "parameters", &parameters) ||
	    !json_object_object_get_ex(parameters, module, &of_module) ||
	    !json_object_object_get_ex(of_module, name, NULL))
		return NULL;
	return line_text(of_module, name);
}

static const char *bool_word(const char *value)
{
	if (!strcasecmp(value, "y"))
		return "1";
	return !strcasecmp(value, "n") ? "0" : value;
}

/* A kernel may not have the parameter, or not take the value: then the column is not what its head says. */
static void check_params(struct target *target, struct json_object *facts)
{
	const struct matrix *matrix = target->many->matrix;
	char note[200];
	size_t i;

	for (i = 0; i < matrix->nr_params; i++) {
		const struct matrix_param *param = &matrix->params[i];
		const char *module = param->module ? param->module : target->module;
		const char *want = matrix_value(matrix, target->combination, i);
		const char *got = fact_of(facts, module, param->name);

		if (got && !strcmp(bool_word(got), bool_word(want)))
			continue;
		if (got)
			snprintf(note, sizeof(note), "%s.%s is %s, not %s", module, param->name, got, want);
		else
			snprintf(note, sizeof(note), "%s has no parameter %s", module, param->name);
		compare_set_note(&target->many->compare, target->index, note);
		fprintf(stderr, "%s: %s\n", target->name, note);
	}
}

static void take_run(struct target *target, struct json_object *line)
{
	struct json_object *facts = NULL;

	json_object_object_get_ex(line, "facts", &facts);
	target->has_begun = true;
	sinks_target_begin(target->many->sinks, target->name, facts);
	check_params(target, facts);
}

static void take_start(struct target *target, struct json_object *line)
{
	struct json_object *round = NULL;

	json_object_object_get_ex(line, "round", &round);
	if (item_find(target, line_text(line, "test"), json_object_get_int(round)))
		sinks_test_begin(target->many->sinks, line_text(line, "test"), target->name,
				 json_object_get_int(round));
}

static void take_result(struct target *target, struct json_object *line)
{
	struct result *result = result_from_json(line);
	bool *is_reported = result ? item_find(target, result->test, result->round) : NULL;
	char *name = is_reported ? strdup(target->name) : NULL;

	if (name) {
		*is_reported = true;
		free(result->target);
		result->target = name;
		report(target, result);
	}
	result_free(result);
}

static void on_line(void *context, enum lab_child_stream stream, const char *text)
{
	struct target *target = context;
	struct json_object *line;
	const char *type;

	if (stream == CHILD_WORDS) {
		fprintf(stderr, "%s: %s\n", target->name, text);
		snprintf(target->last_words, sizeof(target->last_words), "%s", text);
		return;
	}
	line = json_tokener_parse(text);
	type = line ? line_text(line, "type") : "";
	if (!strcmp(type, "run"))
		take_run(target, line);
	else if (!strcmp(type, "start"))
		take_start(target, line);
	else if (!strcmp(type, "result"))
		take_result(target, line);
	json_object_put(line);
}

/* --- ends --- */

static void describe_end(const struct target *target, char *why, size_t len_bytes)
{
	int status = target->child.status, len;

	if (WIFSIGNALED(status))
		len = snprintf(why, len_bytes, "the lab's process was ended by signal %d", WTERMSIG(status));
	else
		len = snprintf(why, len_bytes, "the lab's process ended with exit code %d", WEXITSTATUS(status));
	if (target->last_words[0])
		snprintf(why + len, len_bytes - len, ": %s", target->last_words);
}

static void report_owed(struct target *target, const char *why)
{
	size_t i;

	for (i = 0; i < target->plan.nr_items; i++) {
		const struct plan_item *item = &target->plan.items[i];
		struct result *result;

		if (target->is_reported[i])
			continue;
		target->is_reported[i] = true;
		result = result_new(item->entry->name, target->name, item->entry->file);
		if (!result)
			continue;
		result->round = item->round;
		result_worsen(result, VERDICT_ERROR, why);
		report(target, result);
		result_free(result);
	}
}

static bool owes_results(const struct target *target)
{
	size_t i;

	for (i = 0; i < target->plan.nr_items; i++)
		if (!target->is_reported[i])
			return true;
	return false;
}

/* A lab without an emulator or a kernel has refused as a command line is refused: that is no verdict on any test. */
static void target_settle(struct fleet *fleet, struct target *target)
{
	bool is_refusal = !target->has_begun && WIFEXITED(target->child.status) &&
			  WEXITSTATUS(target->child.status) == EXIT_USAGE;
	char why[400];

	if (!owes_results(target))
		return;
	describe_end(target, why, sizeof(why));
	if (fleet->is_stopping || is_refusal)
		compare_set_note(&target->many->compare, target->index,
				 is_refusal ? target->last_words : "stopped before its end");
	else
		report_owed(target, why);
	target->many->has_refused |= is_refusal;
}

static void fleet_stop(struct fleet *fleet)
{
	size_t i;

	if (!fleet->is_stopping) {
		fleet->is_stopping = true;
		fleet->kill_us = clock_us() + FAREWELL_US;
		for (i = 0; i < fleet->nr_targets; i++)
			lab_child_kill(&fleet->targets[i].child, SIGTERM);
	} else if (clock_us() > fleet->kill_us) {
		for (i = 0; i < fleet->nr_targets; i++)
			lab_child_kill(&fleet->targets[i].child, SIGKILL);
	}
}

/* --- the run --- */

static void start_next(struct fleet *fleet)
{
	struct target *target = &fleet->targets[fleet->nr_started++];
	struct err err;

	if (!lab_child_start(&target->child, fleet->many->run, &target->args, &err)) {
		fleet->nr_running++;
		return;
	}
	compare_set_note(&fleet->many->compare, target->index, err.text);
	report_owed(target, err.text);
}

static bool wants_stop(const struct fleet *fleet)
{
	const struct summary *summary = &fleet->many->summary;

	return cli_is_interrupted || (fleet->many->args->run.fail_fast &&
				      summary->count[VERDICT_ERROR] + summary->count[VERDICT_FAIL]);
}

static void wait_for_targets(struct fleet *fleet, struct pollfd *fds)
{
	size_t i;

	for (i = 0; i < fleet->nr_started; i++)
		lab_child_poll_fds(&fleet->targets[i].child, fds + i * NR_CHILD_STREAMS);
	/* Note, a signal that comes right before poll() does not end it. */
	if (poll(fds, fleet->nr_started * NR_CHILD_STREAMS, 500) <= 0)
		return;
	for (i = 0; i < fleet->nr_started; i++) {
		struct target *target = &fleet->targets[i];

		if (!target->child.pid ||
		    lab_child_read(&target->child, fds + i * NR_CHILD_STREAMS, on_line, target))
			continue;
		fleet->nr_running--;
		target_settle(fleet, target);
	}
}

static unsigned int nr_at_once(const struct args *args)
{
	long nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return args->nr_at_once ? args->nr_at_once : nr_cpus > 0 ? nr_cpus : 1;
}

static int fleet_run(struct fleet *fleet, struct err *err)
{
	struct pollfd *fds = calloc(fleet->nr_targets * NR_CHILD_STREAMS, sizeof(*fds));
	unsigned int nr_max = nr_at_once(fleet->many->args);

	if (!fds)
		return err_set(err, ENOMEM, "out of memory");
	for (;;) {
		if (wants_stop(fleet))
			fleet_stop(fleet);
		while (!fleet->is_stopping && fleet->nr_running < nr_max && fleet->nr_started < fleet->nr_targets)
			start_next(fleet);
		if (!fleet->nr_running)
			break;
		wait_for_targets(fleet, fds);
	}
	for (; fleet->nr_started < fleet->nr_targets; fleet->nr_started++)
		compare_set_note(&fleet->many->compare, fleet->targets[fleet->nr_started].index, "was not started");
	free(fds);
	return 0;
}

static void tell_begin(const struct fleet *fleet)
{
	struct run_info info = { .seed = fleet->many->args->run.seed };
	struct strlist names = { 0 };
	char *joined;
	size_t i;

	for (i = 0; i < fleet->nr_targets; i++) {
		strlist_add(&names, fleet->targets[i].name);
		info.nr_planned += fleet->targets[i].plan.nr_items;
	}
	joined = strlist_join(&names, ",");
	info.target = joined ? joined : "labs";
	sinks_run_begin(fleet->many->sinks, &info);
	free(joined);
	strlist_free(&names);
}

/* --- flags --- */

/* What sets two targets of the same lab apart, when that is one parameter and it should not matter for the test. */
static const struct matrix_param *find_culprit(const struct fleet *fleet, const struct compare_row *row, size_t one,
					       size_t other, const char *needs)
{
	const struct target *a = &fleet->targets[one], *b = &fleet->targets[other];
	const struct compare_cell *cells = row->cells;
	const struct matrix_param *param;

	if (strcmp(a->lab_name, b->lab_name) || !cells[one].is_present || !cells[other].is_present ||
	    !compare_cells_differ(&cells[one], &cells[other]))
		return NULL;
	param = matrix_difference(fleet->many->matrix, a->combination, b->combination);
	return param && !matrix_may_matter(param, needs) ? param : NULL;
}

static void flag_row(const struct fleet *fleet, struct compare_row *row)
{
	const struct test_entry *entry = registry_find(fleet->many->registry, row->test);
	const struct matrix_param *culprit;
	struct strlist names = { 0 };
	char needs[512], *joined;
	size_t i, j;

	if (!entry)
		return;
	test_entry_needs(entry, needs, sizeof(needs));
	for (i = 0; i < fleet->nr_targets; i++) {
		for (j = 0; j < i; j++) {
			culprit = find_culprit(fleet, row, j, i, needs);
			if (culprit && !strlist_has(&names, culprit->name))
				strlist_add(&names, culprit->name);
		}
	}
	joined = names.nr ? strlist_join(&names, ", ") : NULL;
	if (joined)
		compare_set_flag(&fleet->many->compare, row, joined);
	free(joined);
	strlist_free(&names);
}

int many_run(struct many_run *many, struct err *err)
{
	struct fleet fleet = { .many = many };
	uint64_t start_us = clock_us();
	size_t i;
	int r = fleet_open(&fleet, err);

	if (!r) {
		tell_begin(&fleet);
		r = fleet_run(&fleet, err);
		for (i = 0; i < many->compare.nr_rows; i++)
			flag_row(&fleet, &many->compare.rows[i]);
		many->summary.duration_us = clock_us() - start_us;
		sinks_comparison(many->sinks, &many->compare);
		sinks_run_end(many->sinks, &many->summary);
	}
	fleet_close(&fleet);
	return r;
}

/* --- the command --- */

/* In the lab's own process. */
static int run_lab(struct args *args)
{
	int code = console_begin(args->lab.console);

	return code ? code : lab_run_tests(args);
}

static int write_table(const struct compare *compare, FILE *file, const char *path)
{
	int r = compare_print(compare, file);

	if (!fflush(file) && !ferror(file) && !r)
		return 0;
	usage_error("%s: %s", path, strerror(r ? -r : errno));
	return 99;
}

static int many_exit_code(const struct many_run *many)
{
	if (cli_is_interrupted)
		return EXIT_INTERRUPTED;
	if (many->has_refused)
		return EXIT_USAGE;
	return summary_total(&many->summary) ? summary_exit_code(&many->summary) : 0;
}

static int run_and_report(struct many_run *many, FILE *table)
{
	struct err err;
	int code = outputs_open(many->args, many->sinks), code_of_outputs;

	if (code)
		return code;
	if (many_run(many, &err))
		code = usage_error("%s", err.text);
	else if (table)
		code = write_table(&many->compare, table, many->args->table);
	code_of_outputs = outputs_close(many->sinks);
	if (code || code_of_outputs)
		return code ? code : code_of_outputs;
	return many_exit_code(many);
}

static int run_with_table(struct many_run *many)
{
	const char *path = many->args->table;
	FILE *table = path ? fopen(path, "we") : NULL;
	int code;

	if (path && !table)
		return usage_error("%s: %s", path, strerror(errno));
	code = run_and_report(many, table);
	if (table)
		fclose(table);
	compare_free(&many->compare);
	return code;
}

int lab_many(const char *names, struct args *args)
{
	struct registry registry;
	struct matrix matrix = { 0 };
	struct strlist labs = { 0 };
	struct many_run many = {
		.registry = &registry, .args = args, .labs = &labs, .matrix = &matrix, .run = run_lab,
	};
	struct err err;
	int code;

	if (args->matrix && matrix_parse(&matrix, args->matrix, &err))
		return usage_error("lab: option '--matrix': %s", err.text);
	if (lab_names_parse(&labs, names, &err) || registry_open(&registry, &err)) {
		code = usage_error("%s", err.text);
	} else {
		code = run_with_table(&many);
		registry_close(&registry);
	}
	strlist_free(&labs);
	matrix_free(&matrix);
	return code;
}

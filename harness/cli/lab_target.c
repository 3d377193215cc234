/* SPDX-License-Identifier: MIT */
#include "cli/lab_target.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "reports/json_add.h"
#include "runner/needs.h"

/* --- making one --- */

/* "npt=0" or "smp=2", with what the matrix says before it; NULL without memory. */
static char *target_label(const struct lab_target *target)
{
	char *label = matrix_label(target->many->matrix, target->combination), *longer;
	bool is_shadow = target->variant == LAB_SHADOW;

	if (!label || target->variant == LAB_PLAIN)
		return label;
	if (asprintf(&longer, "%s%s%s=%u", label, *label ? "," : "", is_shadow ? target->tdp_param : "smp",
		     is_shadow ? 0 : target->nr_cpus_smp) < 0)
		longer = NULL;
	free(label);
	return longer;
}

/* "lab-svm", "lab-svm[npt=0]" */
static int target_name(struct lab_target *target, const char *lab)
{
	char *label = target_label(target);
	int r = -ENOMEM;

	if (label && asprintf(&target->lab_name, "lab-%s", lab) > 0 &&
	    asprintf(&target->name, *label ? "lab-%s[%s]" : "lab-%s", lab, label) > 0)
		r = 0;
	free(label);
	return r;
}

static int target_params(struct lab_target *target)
{
	const char *const *param;

	for (param = target->many->args->params; *param; param++)
		strlist_add(&target->params, *param);
	matrix_add_words(target->many->matrix, target->combination, target->module, &target->params);
	if (target->variant == LAB_SHADOW)
		strlist_addf(&target->params, "%s.%s=0", target->module, target->tdp_param);
	return target->params.error;
}

static void target_args(struct lab_target *target, const char *lab, const struct lab_defaults *defaults)
{
	struct args *args = &target->args;

	*args = *target->many->args;
	args->matrix = args->table = args->json = args->junit = NULL;
	args->tap = args->verbose = false;
	args->lab.name = lab;
	args->lab.params = (const char *const *)target->params.strings;
	args->run.target = args->selection.target = target->lab_name;
	args->selection.shadow_too = target->variant == LAB_SHADOW;
	args->selection.smp_too = target->variant == LAB_SMP;
	if (target->variant == LAB_SMP)
		args->lab.nr_cpus = target->nr_cpus_smp;
	if (!args->run.timeout_ms)
		args->run.timeout_ms = defaults->test_timeout_ms;
}

static int machines_open(struct lab_target *target)
{
	unsigned int nr_most = many_nr_machines(target->many, target->plan.nr_items), part;
	int r = 0;

	target->machines = calloc(nr_most, sizeof(*target->machines));
	if (!target->machines)
		return -ENOMEM;
	target->nr_machines = nr_most;
	for (part = 0; part < nr_most && !r; part++)
		r = lab_machine_open(&target->machines[part], target, part);
	return r;
}

int lab_target_open(struct lab_target *target, struct many_run *many, const char *lab, size_t combination,
		    enum lab_variant variant, struct err *err)
{
	struct lab_defaults defaults;
	int r;

	*target = (struct lab_target){ .many = many, .combination = combination, .variant = variant };
	r = lab_check(lab, &defaults, err);
	if (r)
		return r;
	target->module = defaults.module;
	target->tdp_param = defaults.tdp_param;
	target->nr_cpus_smp = defaults.nr_cpus_smp;
	if (target_name(target, lab) || target_params(target))
		return err_set(err, ENOMEM, "out of memory");
	target_args(target, lab, &defaults);
	r = plan_open(&target->plan, target->many->registry, &target->args.selection, err);
	if (r)
		return r;
	target->is_reported = calloc(target->plan.nr_items + 1, sizeof(*target->is_reported));
	target->index = compare_add_target(&target->many->compare, target->name);
	if (!target->is_reported || target->many->compare.error || machines_open(target))
		return err_set(err, ENOMEM, "out of memory");
	target->many->compare.targets[target->index].is_partial = variant != LAB_PLAIN;
	return 0;
}

void lab_target_close(struct lab_target *target)
{
	unsigned int part;

	for (part = 0; part < target->nr_machines; part++)
		lab_machine_close(&target->machines[part]);
	free(target->machines);
	plan_close(&target->plan);
	free(target->is_reported);
	free(target->lab_name);
	free(target->name);
	strlist_free(&target->params);
}

/* --- results --- */

/* Says so once; @facts: of its first machine to begin. A run on one target begins with its first one. */
static void begin(struct lab_target *target, struct json_object *facts)
{
	const struct many_run *many = target->many;
	const struct run_info info = {
		.target = target->name, .nr_planned = target->plan.nr_items, .seed = many->args->run.seed, .facts = facts,
	};

	if (target->has_begun)
		return;
	target->has_begun = true;
	if (many->is_plain)
		sinks_run_begin(many->sinks, &info);
	else
		sinks_target_begin(many->sinks, target->name, facts);
}

static void report(struct lab_target *target, const struct result *result)
{
	if (target->many->is_plain)
		begin(target, NULL);
	target->many->summary.count[result->verdict]++;
	compare_add_result(&target->many->compare, target->index, result);
	sinks_test_end(target->many->sinks, result);
}

/* The item of that name and round that is not reported yet; NULL for a line about a test that is not ours. */
static bool *item_find(struct lab_target *target, const char *test, unsigned int round)
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

/* The parameter's value as the kernel has it; NULL when there is no such parameter. */
static const char *fact_of(struct json_object *facts, const char *module, const char *name)
{
	struct json_object *parameters, *of_module;

	if (!json_object_object_get_ex(facts, "parameters", &parameters) ||
	    !json_object_object_get_ex(parameters, module, &of_module) ||
	    !json_object_object_get_ex(of_module, name, NULL))
		return NULL;
	return json_text(of_module, name);
}

/* A kernel may not have the parameter, or not take the value: then the column is not what its head says. */
static void check_param(struct lab_target *target, struct json_object *facts, const char *module, const char *name,
			const char *want)
{
	const char *got = fact_of(facts, module, name);
	char note[200];

	if (got && param_values_equal(got, want))
		return;
	if (got)
		snprintf(note, sizeof(note), "%s.%s is %s, not %s", module, name, got, want);
	else
		snprintf(note, sizeof(note), "%s has no parameter %s", module, name);
	compare_set_note(&target->many->compare, target->index, note);
	fprintf(stderr, "%s: %s\n", target->name, note);
}

static void check_params(struct lab_target *target, struct json_object *facts)
{
	const struct matrix *matrix = target->many->matrix;
	size_t i;

	for (i = 0; i < matrix->nr_params; i++) {
		const struct matrix_param *param = &matrix->params[i];

		check_param(target, facts, param->module ? param->module : target->module, param->name,
			    matrix_value(matrix, target->combination, i));
	}
	if (target->variant == LAB_SHADOW)
		check_param(target, facts, target->module, target->tdp_param, "0");
}

static void take_run(struct lab_target *target, struct json_object *line)
{
	struct json_object *facts = NULL;

	if (target->has_begun)
		return;
	json_object_object_get_ex(line, "facts", &facts);
	begin(target, facts);
	check_params(target, facts);
}

static void take_start(struct lab_target *target, struct json_object *line)
{
	unsigned int round = (unsigned int)json_number(line, "round");

	if (item_find(target, json_text(line, "test"), round))
		sinks_test_begin(target->many->sinks, json_text(line, "test"), target->name, round);
}

static void take_result(struct lab_target *target, struct json_object *line)
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

bool lab_target_take(struct lab_target *target, struct json_object *line)
{
	const char *type = line ? json_text(line, "type") : "";

	if (!strcmp(type, "run"))
		take_run(target, line);
	else if (!strcmp(type, "start"))
		take_start(target, line);
	else if (!strcmp(type, "result"))
		take_result(target, line);
	return !strcmp(type, "run");
}

/* --- what is owed --- */

static bool owes_item(const struct lab_target *target, size_t index, unsigned int part)
{
	return !target->is_reported[index] && plan_part(index, target->nr_machines) == part;
}

void lab_target_give_up(struct lab_target *target, unsigned int part, const char *why)
{
	size_t i;

	for (i = 0; i < target->plan.nr_items; i++) {
		const struct plan_item *item = &target->plan.items[i];
		struct result *result;

		if (!owes_item(target, i, part))
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

bool lab_target_owes(const struct lab_target *target, unsigned int part)
{
	size_t i;

	for (i = 0; i < target->plan.nr_items; i++)
		if (owes_item(target, i, part))
			return true;
	return false;
}

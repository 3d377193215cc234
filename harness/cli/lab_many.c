/* SPDX-License-Identifier: MIT */
/*
 * Each target, a lab under one combination of parameters, is one or several emulators that share its tests. Each of these
 * is a process that runs its part as "vmassay lab NAME" does and sends its JSON lines here. Inside, a target has the lab's
 * plain name, which selections and known divergences go by; a result gets its full name here.
 */
#include "cli/lab_many.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/lab_target.h"
#include "cli/lab_tests.h"
#include "err.h"
#include "lab/kernel.h"
#include "runner/job.h"

/* How long a target may take to end when it is told to. */
#define FAREWELL_US 20000000ull

struct fleet {
	struct many_run *many;
	struct lab_target *targets;
	size_t nr_targets;
	struct lab_machine **machines;	/* of all targets, in the order in which they start */
	size_t nr_machines;
	size_t nr_started, nr_running;
	bool is_stopping;		/* interrupted, or --fail-fast */
	uint64_t kill_us;		/* when those that do not end are killed */
};

/* --- names --- */

/* True when an option says which kind of paging there shall be, in whatever lab. */
static bool names_paging(const char *const *params)
{
	struct lab_defaults defaults;
	struct err err;
	char start[64];
	size_t i;

	for (; *params; params++) {
		for (i = 0; lab_name(i); i++) {
			if (lab_check(lab_name(i), &defaults, &err) || !defaults.tdp_param)
				continue;
			snprintf(start, sizeof(start), "%s.%s=", defaults.module, defaults.tdp_param);
			if (!strncmp(*params, start, strlen(start)))
				return true;
		}
	}
	return false;
}

/* False for one lab that is not judged so; several are true. */
static bool has_variant(const char *names, enum lab_variant variant)
{
	struct lab_defaults defaults;
	struct err err;

	if (lab_check(names, &defaults, &err))
		return true;
	return variant == LAB_SHADOW ? defaults.tdp_param != NULL : variant != LAB_SMP || defaults.nr_cpus_smp;
}

/* Of the selected tests, in the one lab of that name; 0 where none is, or something else is to run. */
static size_t count_selected(const char *names, const struct args *args, enum lab_variant variant)
{
	struct selection selection = args->selection;
	struct registry registry;
	char target[64];
	struct plan plan;
	struct err err;
	size_t nr;

	if (args->guest || registry_open(&registry, &err))
		return 0;
	snprintf(target, sizeof(target), "lab-%s", names);
	selection.target = target;
	selection.shadow_too = variant == LAB_SHADOW;
	selection.smp_too = variant == LAB_SMP;
	nr = plan_open(&plan, &registry, &selection, &err) ? 0 : plan.nr_items;
	if (nr)
		plan_close(&plan);
	registry_close(&registry);
	return nr;
}

/* True when some of the selected tests want it, too, and nobody has said which paging, or how many CPUs, there shall be. */
static bool wants_variant(const char *names, const struct args *args, enum lab_variant variant)
{
	return !args->matrix && !args->no_shadow && has_variant(names, variant) && !names_paging(args->params) &&
	       (variant != LAB_SMP || !args->lab.nr_cpus) && count_selected(names, args, variant);
}

static bool wants_variants(const char *names, const struct args *args)
{
	return wants_variant(names, args, LAB_SHADOW) || wants_variant(names, args, LAB_SMP);
}

static bool is_several(const char *names, const struct args *args)
{
	return args->matrix || !strcmp(names, "all") || strchr(names, ',');
}

/* As many emulators as run side by side; one with several CPUs takes as many of ours. */
static unsigned int nr_at_once(const struct args *args)
{
	long nr_cpus = sysconf(_SC_NPROCESSORS_ONLN), nr_each = args->lab.nr_cpus ? args->lab.nr_cpus : 1;

	if (args->nr_at_once)
		return args->nr_at_once;
	return nr_cpus > nr_each ? nr_cpus / nr_each : 1;
}

static unsigned int nr_machines_for(const struct args *args, size_t nr_tests)
{
	size_t nr = nr_tests / MANY_MIN_TESTS;

	return nr < 1 ? 1 : nr < nr_at_once(args) ? nr : nr_at_once(args);
}

unsigned int many_nr_machines(const struct many_run *many, size_t nr_tests)
{
	return nr_machines_for(many->args, nr_tests);
}

bool lab_is_many(const char *names, const struct args *args)
{
	if (is_several(names, args) || wants_variants(names, args))
		return true;
	/* There is no table of one target: who asks for it is to hear so. */
	return !args->table && nr_machines_for(args, count_selected(names, args, LAB_PLAIN)) > 1;
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

static int list_machines(struct fleet *fleet, struct err *err)
{
	unsigned int part;
	size_t i, nr = 0;

	for (i = 0; i < fleet->nr_targets; i++)
		nr += fleet->targets[i].nr_machines;
	fleet->machines = calloc(nr, sizeof(*fleet->machines));
	if (!fleet->machines)
		return err_set(err, ENOMEM, "out of memory");
	for (i = 0; i < fleet->nr_targets; i++)
		for (part = 0; part < fleet->targets[i].nr_machines; part++)
			fleet->machines[fleet->nr_machines++] = &fleet->targets[i].machines[part];
	return 0;
}

static int fleet_open(struct fleet *fleet, struct err *err)
{
	struct many_run *many = fleet->many;
	size_t nr_of_each = matrix_nr_combinations(many->matrix) * LAB_NR_VARIANTS, i;
	int r = 0;

	fleet->targets = calloc(many->labs->nr * nr_of_each, sizeof(*fleet->targets));
	if (!fleet->targets)
		return err_set(err, ENOMEM, "out of memory");
	for (i = 0; i < many->labs->nr * nr_of_each && !r; i++) {
		size_t combination = i % nr_of_each / LAB_NR_VARIANTS;
		const char *lab = many->labs->strings[i / nr_of_each];
		enum lab_variant variant = i % LAB_NR_VARIANTS;

		if (variant == LAB_PLAIN || (many->has_variant[variant] && has_variant(lab, variant)))
			r = lab_target_open(&fleet->targets[fleet->nr_targets++], many, lab, combination, variant, err);
	}
	return r ? r : list_machines(fleet, err);
}

static void fleet_close(struct fleet *fleet)
{
	size_t i;

	for (i = 0; i < fleet->nr_targets; i++)
		lab_target_close(&fleet->targets[i]);
	free(fleet->targets);
	free(fleet->machines);
}

static void fleet_stop(struct fleet *fleet)
{
	size_t i;

	if (!fleet->is_stopping) {
		fleet->is_stopping = true;
		fleet->kill_us = clock_us() + FAREWELL_US;
		for (i = 0; i < fleet->nr_machines; i++)
			lab_child_kill(&fleet->machines[i]->child, SIGTERM);
	} else if (clock_us() > fleet->kill_us) {
		for (i = 0; i < fleet->nr_machines; i++)
			lab_child_kill(&fleet->machines[i]->child, SIGKILL);
	}
}

/* --- the run --- */

static void start_next(struct fleet *fleet)
{
	fleet->nr_running += lab_machine_start(fleet->machines[fleet->nr_started++]);
}

static bool wants_stop(const struct fleet *fleet)
{
	const struct summary *summary = &fleet->many->summary;

	return cli_is_interrupted || (fleet->many->args->run.fail_fast &&
				      summary->count[VERDICT_ERROR] + summary->count[VERDICT_FAIL]);
}

static void wait_for_machines(struct fleet *fleet, struct pollfd *fds)
{
	size_t i;

	for (i = 0; i < fleet->nr_started; i++)
		lab_child_poll_fds(&fleet->machines[i]->child, fds + i * NR_CHILD_STREAMS);
	/* Note, a signal that comes right before poll() does not end it. */
	if (poll(fds, fleet->nr_started * NR_CHILD_STREAMS, 500) <= 0)
		return;
	for (i = 0; i < fleet->nr_started; i++) {
		struct lab_machine *machine = fleet->machines[i];

		if (machine->child.pid &&
		    !lab_machine_read(machine, fds + i * NR_CHILD_STREAMS, fleet->is_stopping))
			fleet->nr_running--;
	}
}

static void note_not_started(struct fleet *fleet, const struct lab_machine *machine)
{
	const struct lab_target *target = machine->target;
	bool is_first = machine == target->machines;

	compare_set_note(&fleet->many->compare, target->index, is_first ? "was not started" : "stopped before its end");
}

static int fleet_run(struct fleet *fleet, struct err *err)
{
	struct pollfd *fds = calloc(fleet->nr_machines * NR_CHILD_STREAMS, sizeof(*fds));
	unsigned int nr_max = nr_at_once(fleet->many->args);

	if (!fds)
		return err_set(err, ENOMEM, "out of memory");
	for (;;) {
		if (wants_stop(fleet))
			fleet_stop(fleet);
		while (!fleet->is_stopping && fleet->nr_running < nr_max && fleet->nr_started < fleet->nr_machines)
			start_next(fleet);
		if (!fleet->nr_running)
			break;
		wait_for_machines(fleet, fds);
	}
	for (; fleet->nr_started < fleet->nr_machines; fleet->nr_started++)
		note_not_started(fleet, fleet->machines[fleet->nr_started]);
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
	const struct lab_target *a = &fleet->targets[one], *b = &fleet->targets[other];
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

static void tell_comparison(const struct fleet *fleet)
{
	struct compare *compare = &fleet->many->compare;
	size_t i;

	for (i = 0; i < compare->nr_rows; i++)
		flag_row(fleet, &compare->rows[i]);
	sinks_comparison(fleet->many->sinks, compare);
}

int many_run(struct many_run *many, struct err *err)
{
	struct fleet fleet = { .many = many };
	uint64_t start_us = clock_us();
	int r = fleet_open(&fleet, err);

	if (!r) {
		if (!many->is_plain)
			tell_begin(&fleet);
		r = fleet_run(&fleet, err);
		many->summary.duration_us = clock_us() - start_us;
		if (!many->is_plain)
			tell_comparison(&fleet);
		/* In a plain run, the target's beginning is the run's. */
		if (!many->is_plain || fleet.targets->has_begun)
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

	/* It may have waited for its turn. */
	args->start_us = clock_us();
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
	int code = summary_total(&many->summary) ? summary_exit_code(&many->summary) : 0;

	if (cli_is_interrupted)
		return EXIT_INTERRUPTED;
	if (many->has_refused)
		return EXIT_USAGE;
	return many->has_trouble && code != 1 ? 99 : code;
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

/* Each machine would say by itself that there is no such kernel. */
static int check_kernel(const struct lab_options *options, struct err *err)
{
	struct kernel kernel = { 0 };
	int r = kernel_find(&kernel, options->kernel, options->modules, err);

	kernel_free(&kernel);
	return r;
}

int lab_many(const char *names, struct args *args)
{
	struct registry registry;
	struct matrix matrix = { 0 };
	struct strlist labs = { 0 };
	struct many_run many = {
		.registry = &registry, .args = args, .labs = &labs, .matrix = &matrix,
		.has_variant[LAB_SHADOW] = wants_variant(names, args, LAB_SHADOW),
		.has_variant[LAB_SMP] = wants_variant(names, args, LAB_SMP), .run = run_lab,
	};
	struct err err;
	int code;

	many.is_plain = !is_several(names, args) && !wants_variants(names, args);
	if (args->matrix && matrix_parse(&matrix, args->matrix, &err))
		return usage_error("lab: option '--matrix': %s", err.text);
	if (lab_names_parse(&labs, names, &err) || check_kernel(&args->lab, &err) || registry_open(&registry, &err)) {
		code = usage_error("%s", err.text);
	} else {
		code = run_with_table(&many);
		registry_close(&registry);
	}
	strlist_free(&labs);
	matrix_free(&matrix);
	return code;
}

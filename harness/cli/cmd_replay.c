/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fuzz_target.h"
#include "cli/replay.h"
#include "err.h"

#define MAX_CUT 5		/* runs in a row that the clock ends, and that are wrong, before one counts */

/* --- one input --- */

static void run_once(struct executor *executor, const struct input *input, struct trial *trial, struct replayed *ret)
{
	executor_run_twice(executor, input, trial);
	snprintf(ret->violation, sizeof(ret->violation), "%s", trial->violation);
	ret->known[0] = 0;
	if (!executor_expect(executor, trial, input, ret->missing, sizeof(ret->missing)))
		return;
	snprintf(ret->known, sizeof(ret->known), "%.*s", (int)sizeof(ret->known) - 1, ret->missing);
	ret->missing[0] = 0;
}

void replay_run(struct executor *executor, const struct input *input, unsigned int repeat, struct replayed *ret)
{
	static struct trial trial;
	char line[EXPECT_LINE_BYTES];
	unsigned int i;

	*ret = (struct replayed){ 0 };
	do {
		ret->run++;
		for (i = 0; i < MAX_CUT; i++) {
			run_once(executor, input, &trial, ret);
			if (replayed_is_right(ret) || !trial.is_cut)
				break;
		}
	} while (replayed_is_right(ret) && ret->run < repeat);
	for (i = 0; i < trial.nr_lines; i++) {
		executor->line(executor, i, line, sizeof(line));
		strlist_add(&ret->lines, line);
	}
}

bool replayed_is_right(const struct replayed *replayed)
{
	return !replayed->violation[0] && !replayed->missing[0];
}

void replayed_print(const struct replayed *replayed, const char *path, const struct args *args)
{
	bool is_right = replayed_is_right(replayed);
	size_t i;

	if (args->is_quiet && is_right)
		return;
	printf("%s  %s", is_right ? "ok    " : "WRONG ", path);
	if (is_right && replayed->known[0])
		printf(" (known: %s)", replayed->known);
	if (!is_right && replayed->run && args->selection.repeat > 1)
		printf(" (run %u of %u)", replayed->run, args->selection.repeat);
	printf("\n");
	for (i = 0; i < replayed->lines.nr && !args->is_quiet; i++)
		printf("  %zu  %s\n", i, replayed->lines.strings[i]);
	if (replayed->violation[0])
		printf("  must not be: %s\n", replayed->violation);
	if (replayed->missing[0])
		printf("  is not as expected: %s\n", replayed->missing);
	fflush(stdout);
}

void replayed_free(struct replayed *replayed)
{
	strlist_free(&replayed->lines);
}

/* --- in this process --- */

static int replay_here(const struct args *args, const char *const *paths, const struct input *inputs, unsigned int nr)
{
	struct executor *executor = NULL;
	struct replayed replayed;
	bool all_right = true;
	struct err err;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (fuzz_target_switch(inputs[i].domain, args->run.target, &executor, &err))
			return usage_error("%s: %s", paths[i], err.text);
		replay_run(executor, &inputs[i], args->selection.repeat, &replayed);
		replayed_print(&replayed, paths[i], args);
		all_right &= replayed_is_right(&replayed);
		replayed_free(&replayed);
	}
	executor_free(executor);
	return !all_right;
}

/* --- the command --- */

static bool has_lab_option(const struct args *args)
{
	const struct lab_options *lab = &args->lab;

	return lab->kernel || lab->modules || lab->cpu || lab->nr_cpus || lab->memory_mib || lab->append || lab->console ||
	       lab->is_fresh || args->params[0];
}

static int check_target(const struct args *args)
{
	const char *target = args->run.target;

	if (args->lab.name)
		return target ? usage_error("replay: --target and --lab: a lab's KVM is the target") : 0;
	if (has_lab_option(args))
		return usage_error("replay: --kernel, --modules, --cpu, --smp, --mem, --param, --append, --console and --fresh are for --lab");
	return fuzz_target_check("replay", target, args->may_danger);
}

static int lab_begin(struct args *args)
{
	static char console[128];
	struct lab_defaults defaults;
	struct err err;
	int r;

	if (lab_check(args->lab.name, &defaults, &err))
		return usage_error("replay: --lab: %s", err.text);
	snprintf(console, sizeof(console), "vmassay-replay-%s.console", args->lab.name);
	if (!args->lab.console)
		args->lab.console = console;
	r = console_begin(args->lab.console);
	interrupts_catch();
	args->lab.is_interrupted = &cli_is_interrupted;
	return r;
}

/* All of them, before anything runs. */
static int inputs_read(const char *const *paths, unsigned int nr, struct input *inputs)
{
	struct err err;
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (input_read(paths[i], &inputs[i], &err))
			return usage_error("%s", err.text);
	return 0;
}

int cmd_replay(int argc, char **argv)
{
	const char *const *paths;
	struct input *inputs;
	unsigned int nr = 0;
	struct args args;
	int r;

	if (cli_results_fd >= 0)
		return replay_agent(argc, argv);
	r = args_parse(&args, argc, argv, ARGS_REPLAY);
	if (r)
		return r < 0 ? 0 : r;
	paths = args.selection.globs;
	while (paths[nr])
		nr++;
	if (!nr)
		return usage_error("replay: it takes a file");
	inputs = calloc(nr, sizeof(*inputs));
	r = inputs ? inputs_read(paths, nr, inputs) : usage_error("replay: out of memory");
	if (!r)
		r = check_target(&args);
	if (!r && args.lab.name)
		r = lab_begin(&args);
	if (!r)
		r = args.lab.name ? replay_in_lab(&args, paths, inputs, nr, lab_boot) : replay_here(&args, paths, inputs, nr);
	free(inputs);
	return r;
}

/* SPDX-License-Identifier: MIT */
/* "vmassay lab NAME": tests, a user's guest or the bench, on a real KVM in an emulator. */
#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/lab_many.h"
#include "cli/lab_notes.h"
#include "cli/lab_tests.h"
#include "err.h"
#include "lab/strlist.h"
#include "reports/json_add.h"
#include "runner/job.h"

static void words_for_guest(struct strlist *words, const struct args *args, const char *guest)
{
	strlist_add(words, "run");
	strlist_addf(words, "--guest=%s", guest);
	strlist_addf(words, "--max-exits=%u", args->max_exits);
	strlist_addf(words, "--timeout=%g", args->run.timeout_ms / 1000.0);
	if (args->mode)
		strlist_addf(words, "--mode=%s", args->mode);
	if (args->entry)
		strlist_addf(words, "--entry=%s", args->entry);
}

/* What the command inside prints. */
static void print_text(void *context, const char *text)
{
	struct json_object *line = json_tokener_parse(text);

	(void)context;
	if (!strcmp(json_text(line, "type"), "text"))
		cli_print("%s", json_text(line, "text"));
	json_object_put(line);
}

/* Something other than tests: its words go inside, its lines come back. @guest: a user's ELF, an absolute path. */
static int run_command(struct args *args, const char *guest)
{
	const char *const files[] = { guest, NULL };
	struct lab_clock clock = { .start_us = args->start_us };
	struct lab_outcome outcome = { 0 };
	struct strlist words = { 0 };
	const char *const *word;
	struct err err;
	int r;

	if (guest)
		words_for_guest(&words, args, guest);
	for (word = args->selection.globs; *word; word++)
		strlist_add(&words, *word);
	if (words.error)
		return usage_error("out of memory");
	args->lab.files = files;
	clock.boot_us = clock_us();
	r = lab_boot(&args->lab, (const char *const *)words.strings, print_text, NULL, &outcome, &err);
	strlist_free(&words);
	if (r)
		return usage_error("%s", err.text);
	if (cli_is_interrupted)
		return EXIT_INTERRUPTED;
	lab_notes_print(args, &outcome, &clock);
	if (!outcome.is_complete) {
		fprintf(stderr, "vmassay: lab: %s\n", outcome.last_words);
		return 99;
	}
	return outcome.exit_code;
}

static int run_guest(struct args *args)
{
	char path[PATH_MAX];

	if (!realpath(args->guest, path))
		return usage_error("%s: %s", args->guest, strerror(errno));
	return run_command(args, path);
}

/* The names that there are, for who gave none. */
static int ask_which(void)
{
	struct strlist names = { 0 };
	char *joined;
	size_t i;

	for (i = 0; lab_name(i); i++)
		strlist_add(&names, lab_name(i));
	joined = strlist_join(&names, ",");
	usage_error("lab: which one? (vmassay lab LAB [OPTION]... [GLOB]..., LAB being all, or of %s one or several)",
		    joined ? joined : "");
	free(joined);
	strlist_free(&names);
	return EXIT_USAGE;
}

/* What is not tests takes one lab. NULL: there is only what can be done in several. */
static const char *wants_one_lab(const struct args *args)
{
	if (args->guest)
		return "--guest";
	if (args->selection.globs[0] && !strcmp(args->selection.globs[0], "bench"))
		return "bench";
	return NULL;
}

static int run_several(const char *names, struct args *args)
{
	if (wants_one_lab(args))
		return usage_error("lab: %s runs in one lab, without a matrix", wants_one_lab(args));
	return lab_many(names, args);
}

static int run_one(const char *name, struct args *args)
{
	static char console[128], target[64];
	struct lab_defaults defaults;
	struct err err;
	int r;

	if (args->table)
		return usage_error("lab: option '--table' takes several labs or a --matrix");
	snprintf(target, sizeof(target), "lab-%s", name);
	args->lab.name = target + strlen("lab-");
	args->run.target = args->selection.target = target;
	snprintf(console, sizeof(console), "vmassay-%s.console", target);
	if (!args->lab.console)
		args->lab.console = console;
	r = lab_check(args->lab.name, &defaults, &err) ? usage_error("%s", err.text) :
	    console_begin(args->lab.console);
	if (r)
		return r;
	if (!args->run.timeout_ms)
		args->run.timeout_ms = defaults.test_timeout_ms;
	if (args->guest)
		return run_guest(args);
	return wants_one_lab(args) ? run_command(args, NULL) : lab_run_tests(args);
}

int cmd_lab(int argc, char **argv)
{
	const char *names = argc >= 2 ? argv[1] : NULL;
	struct args args;
	int r;

	if (names && (!strcmp(names, "--help") || !strcmp(names, "-h")))
		return args_parse(&args, argc, argv, ARGS_LAB) > 0;
	if (!names || names[0] == '-')
		return ask_which();
	argv[1] = argv[0];
	r = args_parse(&args, argc - 1, argv + 1, ARGS_LAB);
	if (r)
		return r < 0 ? 0 : r;
	/* "lab svm run GLOB" and "lab svm GLOB" say the same. */
	if (args.selection.globs[0] && !strcmp(args.selection.globs[0], "run"))
		args.selection.globs++;
	interrupts_catch();
	args.lab.is_interrupted = &cli_is_interrupted;
	return lab_is_many(names, &args) ? run_several(names, &args) : run_one(names, &args);
}

/* SPDX-License-Identifier: MIT */
#include "cli/fuzz_files.h"

#include <ctype.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/fuzz_target.h"
#include "err.h"
#include "fuzz/export.h"
#include "fuzz/merge.h"
#include "fuzz/vmcb_ops.h"

#define CASE_BYTES 32768
#define TEXT_BYTES 16384
#define MAX_ID_BYTES 64

struct file_options {
	const char *into, *domain, *target, *id;
};

enum { OPTION_INTO = 256, OPTION_DOMAIN, OPTION_TARGET, OPTION_ID };

/* 0 and what is left is argv[optind...], or EXIT_USAGE after a line. */
static int options_parse(int argc, char **argv, const struct option *long_options, struct file_options *options)
{
	int option;

	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		switch (option) {
		case OPTION_INTO:
			options->into = optarg;
			break;
		case OPTION_DOMAIN:
			options->domain = optarg;
			break;
		case OPTION_TARGET:
			options->target = optarg;
			break;
		case OPTION_ID:
			options->id = optarg;
			break;
		case ':':
			return usage_error("fuzz %s: '%s' lacks its value", argv[0], argv[optind - 1]);
		default:
			return usage_error("fuzz %s: there is no option '%s'", argv[0], argv[optind - 1]);
		}
	}
	return 0;
}

/* --- minimise --- */

int fuzz_minimise(int argc, char **argv)
{
	static const struct option long_options[] = { { "target", required_argument, NULL, OPTION_TARGET }, { 0 } };
	struct file_options options = { NULL };
	struct executor *executor;
	char text[TEXT_BYTES];
	struct input input;
	struct err err;
	int r = options_parse(argc, argv, long_options, &options);

	if (r)
		return r;
	if (optind + 1 != argc)
		return usage_error("fuzz minimise: it takes one file");
	r = fuzz_target_check("fuzz minimise", options.target, false);
	if (r)
		return r;
	if (input_read(argv[optind], &input, &err))
		return usage_error("fuzz minimise: %s", err.text);
	if (fuzz_target_open(input.domain, options.target, &executor, &err))
		return usage_error("fuzz minimise: %s: %s", argv[optind], err.text);
	executor_minimise(executor, &input);
	executor_free(executor);
	input_print(&input, text, sizeof(text));
	fputs(text, stdout);
	return 0;
}

/* --- merge --- */

int fuzz_merge(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "into", required_argument, NULL, OPTION_INTO }, { "domain", required_argument, NULL, OPTION_DOMAIN },
		{ "target", required_argument, NULL, OPTION_TARGET }, { 0 },
	};
	struct file_options options = { .domain = "vmcb" };
	const struct input_domain *domain;
	struct executor *executor;
	struct merge_stats stats;
	struct err err;
	int r = options_parse(argc, argv, long_options, &options);

	if (r)
		return r;
	if (!options.into || optind == argc)
		return usage_error("fuzz merge: it takes folders and --into FOLDER");
	domain = input_domain_find(options.domain);
	if (!domain)
		return usage_error("fuzz merge: --domain: there is no '%s': vmcb or ioctl", options.domain);
	r = fuzz_target_check("fuzz merge", options.target, false);
	if (r)
		return r;
	if (fuzz_target_open(domain, options.target, &executor, &err))
		return usage_error("fuzz merge: %s", err.text);
	r = merge_run(executor, (const char *const *)argv + optind, (size_t)(argc - optind), options.into, &stats, &err);
	executor_free(executor);
	if (r)
		return usage_error("fuzz merge: %s", err.text);
	printf("%" PRIu64 " inputs, %" PRIu64 " new in %s, %" PRIu64 " features, %" PRIu64 " break an oracle\n", stats.nr_read,
	       stats.nr_kept, options.into, stats.nr_features, stats.nr_broken);
	return 0;
}

/* --- export --- */

/* A word of C from the file's name: what else is in it becomes '_'. */
static void id_of(const char *path, char *id, size_t len_bytes)
{
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	size_t i, len = strcspn(name, ".");

	snprintf(id, len_bytes, "fuzz_%.*s", (int)len, name);
	for (i = 0; id[i]; i++)
		if (!isalnum((unsigned char)id[i]))
			id[i] = '_';
}

static bool is_word(const char *id)
{
	return *id && !isdigit((unsigned char)*id) && strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(id);
}

/* By the CPU itself, and by a guest hypervisor's CPU, which has fewer features: what both say is asserted. */
static int print_case(const struct input *input, const char *id)
{
	static const char *const targets[] = { "machine", "soft-svm" };
	struct export_run runs[2] = { { NULL, 0 } };
	struct executor *executors[2] = { NULL };
	static char text[CASE_BYTES];
	struct trial trial;
	struct err err;
	size_t i;
	int r = 0;

	for (i = 0; i < 2 && !r; i++) {
		r = fuzz_target_open(input->domain, targets[i], &executors[i], &err);
		if (r)
			break;
		executors[i]->run(executors[i], input, &trial);
		runs[i] = (struct export_run){ executors[i], trial.nr_lines };
	}
	if (!r) {
		export_case(runs, 2, input, id, text, sizeof(text));
		fputs(text, stdout);
	}
	for (i = 0; i < 2; i++)
		executor_free(executors[i]);
	return r ? usage_error("fuzz export: %s", err.text) : 0;
}

int fuzz_export(int argc, char **argv)
{
	static const struct option long_options[] = { { "id", required_argument, NULL, OPTION_ID }, { 0 } };
	struct file_options options = { NULL };
	char id[MAX_ID_BYTES];
	struct input input;
	struct err err;
	int r = options_parse(argc, argv, long_options, &options);

	if (r)
		return r;
	if (optind + 1 != argc)
		return usage_error("fuzz export: it takes one file");
	if (options.id && !is_word(options.id))
		return usage_error("fuzz export: --id: '%s' is no name of a case", options.id);
	if (input_read(argv[optind], &input, &err))
		return usage_error("fuzz export: %s", err.text);
	if (input.domain != &vmcb_domain)
		return usage_error("fuzz export: %s: cases are made of 'input vmcb' only", argv[optind]);
	id_of(argv[optind], id, sizeof(id));
	return print_case(&input, options.id ? options.id : id);
}

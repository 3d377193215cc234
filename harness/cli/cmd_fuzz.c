/* SPDX-License-Identifier: MIT */
/* "vmassay fuzz": searches for inputs that break an oracle, and what is done with one; "vmassay replay" runs them. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "err.h"
#include "fuzz/campaign.h"
#include "fuzz/ioctl_ops.h"
#include "fuzz/vmcb_ops.h"

#define TEXT_BYTES 16384

static const char fuzz_help[] =
	"usage: vmassay fuzz vmcb [OPTION]...    search, in this process\n"
	"       vmassay fuzz minimise FILE       print what of it is enough to do the same\n"
	"       vmassay fuzz ops [DOMAIN]        print the operations that inputs are made of\n"
	"\n"
	"  --target machine   what runs the inputs: the emulated CPU (default)\n"
	"  --time SECONDS     how long (default 60; 0: until it is interrupted)\n"
	"  --count N          at most this many inputs\n"
	"  --seed N           the same search again\n"
	"  --corpus FOLDER    begin with the inputs in it, and add what shows something new\n"
	"  --findings FOLDER  write what breaks an oracle (default: findings)\n"
	"\n"
	"Exit code: 0 nothing was found, 1 something was. This machine's /dev/kvm is never touched. harness/fuzz/README.md has\n"
	"the format of inputs and the oracles.\n";

static const char replay_help[] =
	"usage: vmassay replay [OPTION]... FILE...\n"
	"\n"
	"  --target machine   what runs the inputs: the emulated CPU (default)\n"
	"  -q, --quiet        only what is wrong\n"
	"\n"
	"Prints what comes of each VMRUN. Exit code: 0 all is as it must be and as the files expect it, 1 something is not.\n";

/* --- numbers and names --- */

static bool parse_number(const char *text, uint64_t *ret)
{
	char *stop;

	errno = 0;
	*ret = strtoull(text, &stop, 0);
	return *text >= '0' && *text <= '9' && !*stop && !errno;
}

static bool is_target_known(const char *target)
{
	return !strcmp(target, "machine");
}

/* --- ops --- */

static void print_operand(const struct input_operand *operand)
{
	switch (operand->type) {
	case OPERAND_NEW:
	case OPERAND_LINK:
		printf(" %sN", operand->prefix);
		break;
	case OPERAND_BYTES:
		printf(" HEX");
		break;
	default:
		printf(" %s", operand->name);
		break;
	}
}

/* The words of an operand, where no row before has had them. */
static void print_words(const struct input_domain *domain, unsigned int at, unsigned int n)
{
	const struct input_operand *operand = &domain->ops[at].operands[n];
	unsigned int i, column;

	if (operand->type != OPERAND_NAME)
		return;
	for (i = 0; i < at; i++)
		for (column = 0; column < domain->ops[i].nr_operands; column++)
			if (domain->ops[i].operands[column].names == operand->names)
				return;
	printf("    %s is one of", operand->name);
	for (i = 0, column = 120; i < operand->names->nr; i++) {
		const char *name = operand->names->name(i);

		column += (unsigned int)strlen(name) + 1;
		if (column > 110)
			column = (unsigned int)printf("\n        %s", name);
		else
			printf(" %s", name);
	}
	printf("\n");
}

static void print_domain(const struct input_domain *domain)
{
	unsigned int i, n;

	printf("input %s\n", domain->name);
	for (i = 0; i < domain->nr_ops; i++) {
		printf("%s", domain->ops[i].name);
		for (n = 0; n < domain->ops[i].nr_operands; n++)
			print_operand(&domain->ops[i].operands[n]);
		printf("\n    %s\n", domain->ops[i].says);
		for (n = 0; n < domain->ops[i].nr_operands; n++)
			print_words(domain, i, n);
	}
}

static int fuzz_ops(int argc, char **argv)
{
	const struct input_domain *domain = argc > 1 ? input_domain_find(argv[1]) : NULL;

	if (argc > 2)
		return usage_error("fuzz ops: too much: '%s'", argv[2]);
	if (argc > 1 && !domain)
		return usage_error("fuzz ops: there is no '%s': vmcb or ioctl", argv[1]);
	if (domain) {
		print_domain(domain);
		return 0;
	}
	print_domain(&vmcb_domain);
	printf("\n");
	print_domain(&ioctl_domain);
	return 0;
}

/* --- files --- */

/* 0, or EXIT_USAGE after a line. */
static int read_vmcb_input(const char *path, struct input *input)
{
	struct err err;

	if (input_read(path, input, &err))
		return usage_error("%s", err.text);
	if (input->domain != &vmcb_domain)
		return usage_error("%s: 'input %s' has no target yet that runs it", path, input->domain->name);
	return 0;
}

static int fuzz_minimise(int argc, char **argv)
{
	struct vmcb_machine *machine;
	char text[TEXT_BYTES];
	struct input input;
	int r;

	if (argc != 2)
		return usage_error("fuzz minimise: it takes one file");
	r = read_vmcb_input(argv[1], &input);
	if (r)
		return r;
	machine = vmcb_machine_new();
	if (!machine)
		return usage_error("fuzz minimise: %s", strerror(ENOMEM));
	vmcb_minimise(machine, &input);
	vmcb_machine_free(machine);
	input_print(&input, text, sizeof(text));
	fputs(text, stdout);
	return 0;
}

/* --- the search --- */

struct search {
	const char *target;
	struct campaign_options options;
};

enum { OPTION_TARGET = 256, OPTION_TIME, OPTION_COUNT, OPTION_SEED, OPTION_CORPUS, OPTION_FINDINGS };

static int search_option(struct search *search, int option)
{
	struct campaign_options *options = &search->options;
	uint64_t number;

	switch (option) {
	case OPTION_TARGET:
		search->target = optarg;
		return is_target_known(optarg) ? 0 : usage_error("fuzz: --target: there is no '%s'", optarg);
	case OPTION_CORPUS:
		options->corpus = optarg;
		return 0;
	case OPTION_FINDINGS:
		options->findings = optarg;
		return 0;
	default:
		break;
	}
	if (!parse_number(optarg, &number))
		return usage_error("fuzz: '%s' is no number", optarg);
	if (option == OPTION_TIME)
		options->seconds = (double)number;
	else if (option == OPTION_COUNT)
		options->nr_inputs = number;
	else
		options->seed = number;
	return 0;
}

/* 0, -1: --help was answered, or EXIT_USAGE. */
static int search_parse(struct search *search, int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "target", required_argument, NULL, OPTION_TARGET }, { "time", required_argument, NULL, OPTION_TIME },
		{ "count", required_argument, NULL, OPTION_COUNT }, { "seed", required_argument, NULL, OPTION_SEED },
		{ "corpus", required_argument, NULL, OPTION_CORPUS },
		{ "findings", required_argument, NULL, OPTION_FINDINGS }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	int option, r = 0;

	opterr = 0;
	optind = 1;
	while (!r && (option = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		if (option == 'h') {
			fputs(fuzz_help, stdout);
			return -1;
		}
		if (option == ':')
			return usage_error("fuzz: '%s' lacks its value", argv[optind - 1]);
		if (option == '?')
			return usage_error("fuzz: there is no option '%s'", argv[optind - 1]);
		r = search_option(search, option);
	}
	if (!r && optind < argc)
		return usage_error("fuzz: what is '%s'?", argv[optind]);
	return r;
}

static void print_stats(FILE *file, const struct campaign_stats *stats)
{
	fprintf(file, "%.0f s, %" PRIu64 " inputs, %.0f/s of CPU time, %" PRIu64 " kept, %" PRIu64 " features, %" PRIu64
		" findings", stats->seconds, stats->nr_inputs, stats->cpu_seconds ? (double)stats->nr_inputs /
		stats->cpu_seconds : 0, stats->nr_kept, stats->nr_features, stats->nr_findings);
}

static bool tell(void *context, const struct campaign_stats *stats)
{
	(void)context;
	if (isatty(STDERR_FILENO)) {
		fprintf(stderr, "\r\033[K");
		print_stats(stderr, stats);
		fflush(stderr);
	}
	return !cli_is_interrupted;
}

static void found(void *context, const struct input *input, const struct vmcb_result *result, const char *path)
{
	char text[TEXT_BYTES];

	(void)context;
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
	input_print(input, text, sizeof(text));
	printf("FOUND  %s\n%s       %s\n", result->violation, text, path ? path : "");
	fflush(stdout);
}

static int fuzz_vmcb(int argc, char **argv)
{
	struct search search = {
		.target = "machine",
		.options = { .seed = (uint64_t)time(NULL), .seconds = 60, .findings = "findings", .tell = tell, .found = found },
	};
	struct campaign_stats stats;
	struct err err;
	int r = search_parse(&search, argc, argv);

	if (r)
		return r < 0 ? 0 : r;
	interrupts_catch();
	printf("fuzz vmcb: target %s, seed %" PRIu64 "\n", search.target, search.options.seed);
	fflush(stdout);
	if (campaign_run(&search.options, &stats, &err))
		return usage_error("fuzz: %s", err.text);
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
	print_stats(stdout, &stats);
	printf("\n");
	return stats.nr_findings ? 1 : 0;
}

int cmd_fuzz(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--help")) {
		fputs(fuzz_help, stdout);
		return 0;
	}
	if (argc > 1 && !strcmp(argv[1], "vmcb"))
		return fuzz_vmcb(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "minimise"))
		return fuzz_minimise(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "ops"))
		return fuzz_ops(argc - 1, argv + 1);
	return usage_error("fuzz: %s%s%s (see vmassay fuzz --help)", argc > 1 ? "there is no '" : "what shall it do?",
			   argc > 1 ? argv[1] : "", argc > 1 ? "'" : "");
}

/* --- replay --- */

static void print_result(const struct vmcb_result *result)
{
	char line[1024];
	unsigned int i;

	for (i = 0; i < result->nr_runs; i++) {
		vmcb_outcome_print(&result->runs[i], line, sizeof(line));
		printf("  run %u  %s\n", i, line);
	}
	printf("  memory 0x%016" PRIx64 "\n", result->memory_hash);
}

/* True when all is as it must be. */
static bool replay_file(struct vmcb_machine *machine, const char *path, const struct input *input, bool is_quiet)
{
	static struct vmcb_result result;
	char missing[1536];
	bool is_right;

	vmcb_machine_run(machine, input, &result);
	is_right = vmcb_result_expect(&result, input->expect, missing, sizeof(missing));
	if (!is_quiet || !is_right || result.violation[0])
		printf("%s  %s\n", is_right && !result.violation[0] ? "ok    " : "WRONG ", path);
	if (!is_quiet)
		print_result(&result);
	if (result.violation[0])
		printf("  must not be: %s\n", result.violation);
	if (!is_right)
		printf("  is not as expected: %s\n", missing);
	return is_right && !result.violation[0];
}

static int replay_files(char **paths, bool is_quiet)
{
	struct vmcb_machine *machine = vmcb_machine_new();
	bool all_right = true;
	struct input input;
	int r = 0;

	if (!machine)
		return usage_error("replay: %s", strerror(ENOMEM));
	for (; *paths && !r; paths++) {
		r = read_vmcb_input(*paths, &input);
		if (!r)
			all_right &= replay_file(machine, *paths, &input, is_quiet);
	}
	vmcb_machine_free(machine);
	return r ? r : !all_right;
}

int cmd_replay(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "target", required_argument, NULL, 't' }, { "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	bool is_quiet = false;
	int option;

	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, ":q", long_options, NULL)) != -1) {
		switch (option) {
		case 'h':
			fputs(replay_help, stdout);
			return 0;
		case 'q':
			is_quiet = true;
			break;
		case 't':
			if (!is_target_known(optarg))
				return usage_error("replay: --target: there is no '%s'", optarg);
			break;
		case ':':
			return usage_error("replay: '%s' lacks its value", argv[optind - 1]);
		default:
			return usage_error("replay: there is no option '%s'", argv[optind - 1]);
		}
	}
	if (optind == argc)
		return usage_error("replay: it takes a file");
	return replay_files(argv + optind, is_quiet);
}

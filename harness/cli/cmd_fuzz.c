/* SPDX-License-Identifier: MIT */
/* "vmassay fuzz": searches for inputs that break an oracle, and what is done with one. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/fuzz_agent.h"
#include "cli/fuzz_board.h"
#include "cli/fuzz_files.h"
#include "cli/fuzz_lab.h"
#include "cli/fuzz_target.h"
#include "err.h"
#include "fuzz/campaign.h"
#include "fuzz/ioctl_ops.h"
#include "fuzz/vmcb_ops.h"

#define TEXT_BYTES 16384

static const char fuzz_help[] =
	"usage: vmassay fuzz vmcb|ioctl [OPTION]...    search, in this process or in a lab\n"
	"       vmassay fuzz minimise [--target TARGET] FILE\n"
	"                                              print what of it is enough to do the same\n"
	"       vmassay fuzz merge DIR... --into DIR [--domain vmcb|ioctl] [--target TARGET]\n"
	"                                              of corpora, keep what shows something new beside the rest\n"
	"       vmassay fuzz export [--id NAME] FILE   print a case of the suite in C that asserts what comes of it\n"
	"       vmassay fuzz ops [DOMAIN]              print the operations that inputs are made of\n"
	"\n"
	"  --target TARGET    what runs the inputs. vmcb: machine, the emulated CPU (default); soft-svm, a hypervisor with a\n"
	"                     nested guest, judged by the machine. ioctl: soft-svm, the hypervisor in this process (default);\n"
	"                     kvm, this kernel's own /dev/kvm, with --danger-host-kvm only\n"
	"  --danger-host-kvm  yes, fuzz this kernel's KVM: it may panic, hang or corrupt this machine\n"
	"  --time SECONDS     how long (default 60; 0: until it is interrupted)\n"
	"  --count N          at most this many inputs\n"
	"  --seed N           the same search again\n"
	"  --corpus FOLDER    begin with the inputs in it, and add what shows something new\n"
	"  --findings FOLDER  write what breaks an oracle (default: findings)\n"
	"  --lab NAME         search inside a lab, where a real KVM runs the inputs and the machine judges\n"
	"  -j, --jobs N       so many labs at a time, which give each other what they keep (default 1)\n"
	"  --kernel IMAGE, --modules DIR, --param MODULE.NAME=VALUE, --append WORDS, --console FILE, --fresh\n"
	"                     of the lab, as vmassay lab has them; a kernel of ci/kernel/build kcov tells its coverage\n"
	"  --gcov DIR         of the lab, with --count: fetch the kernel's counters at the end (ci/kernel/build gcov)\n"
	"\n"
	"Exit code: 0 nothing was found, 1 something was. This machine's /dev/kvm is never touched without\n"
	"--danger-host-kvm. harness/fuzz/README.md has the format of inputs and the oracles.\n";

/* --- numbers and names --- */

static bool parse_number(const char *text, uint64_t *ret)
{
	char *stop;

	errno = 0;
	*ret = strtoull(text, &stop, 0);
	return *text >= '0' && *text <= '9' && !*stop && !errno;
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

/* --- the search --- */

struct search {
	const char *target;
	bool may_danger;
	struct campaign_options options;
	struct lab_options lab;		/* .name is NULL: in this process */
	const char *params[ARGS_MAX_PARAMS + 1];
	const char *gcov;
	unsigned int nr_labs;
};

enum {
	OPTION_TARGET = 256, OPTION_TIME, OPTION_COUNT, OPTION_SEED, OPTION_CORPUS, OPTION_FINDINGS, OPTION_LAB,
	OPTION_KERNEL, OPTION_MODULES, OPTION_PARAM, OPTION_APPEND, OPTION_CONSOLE, OPTION_FRESH, OPTION_GCOV,
	OPTION_DANGER,
};

static int param_add(struct search *search, const char *param)
{
	unsigned int nr = 0;

	while (search->params[nr])
		nr++;
	if (nr == ARGS_MAX_PARAMS)
		return usage_error("fuzz: more than %u --param", ARGS_MAX_PARAMS);
	search->params[nr] = param;
	search->lab.params = search->params;
	return 0;
}

/* True when it is one; *@ret is 0 or EXIT_USAGE. */
static bool lab_option(struct search *search, int option, int *ret)
{
	struct lab_defaults defaults;
	struct err err;

	*ret = 0;
	switch (option) {
	case OPTION_LAB:
		search->lab.name = optarg;
		if (lab_check(optarg, &defaults, &err))
			*ret = usage_error("fuzz: --lab: %s", err.text);
		return true;
	case OPTION_KERNEL:
		search->lab.kernel = optarg;
		return true;
	case OPTION_MODULES:
		search->lab.modules = optarg;
		return true;
	case OPTION_PARAM:
		*ret = param_add(search, optarg);
		return true;
	case OPTION_APPEND:
		search->lab.append = optarg;
		return true;
	case OPTION_CONSOLE:
		search->lab.console = optarg;
		return true;
	case OPTION_GCOV:
		search->gcov = optarg;
		return true;
	case OPTION_FRESH:
		search->lab.is_fresh = true;
		return true;
	default:
		return false;
	}
}

static int jobs_take(struct search *search, uint64_t number)
{
	if (!number || number > BOARD_MAX_LABS)
		return usage_error("fuzz: --jobs: it takes 1 to %u", BOARD_MAX_LABS);
	search->nr_labs = (unsigned int)number;
	return 0;
}

static int search_option(struct search *search, int option)
{
	struct campaign_options *options = &search->options;
	uint64_t number;
	int r;

	if (lab_option(search, option, &r))
		return r;
	switch (option) {
	case OPTION_TARGET:
		search->target = optarg;
		return 0;
	case OPTION_DANGER:
		search->may_danger = true;
		return 0;
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
	if (option == 'j')
		return jobs_take(search, number);
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
		{ "findings", required_argument, NULL, OPTION_FINDINGS }, { "lab", required_argument, NULL, OPTION_LAB },
		{ "kernel", required_argument, NULL, OPTION_KERNEL }, { "modules", required_argument, NULL, OPTION_MODULES },
		{ "param", required_argument, NULL, OPTION_PARAM }, { "append", required_argument, NULL, OPTION_APPEND },
		{ "console", required_argument, NULL, OPTION_CONSOLE }, { "fresh", no_argument, NULL, OPTION_FRESH },
		{ "gcov", required_argument, NULL, OPTION_GCOV }, { "jobs", required_argument, NULL, 'j' },
		{ "danger-host-kvm", no_argument, NULL, OPTION_DANGER }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	int option, r = 0;

	opterr = 0;
	optind = 1;
	while (!r && (option = getopt_long(argc, argv, ":j:", long_options, NULL)) != -1) {
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
	if (!r && search->nr_labs && !search->lab.name)
		return usage_error("fuzz: --jobs is for --lab");
	return r ? r : fuzz_target_check("fuzz", search->target, search->may_danger);
}

static void print_stats(FILE *file, const struct campaign_stats *stats)
{
	fprintf(file, "%.0f s, %" PRIu64 " inputs, %.0f/s of CPU time, %" PRIu64 " kept, %" PRIu64 " features, %" PRIu64
		" findings", stats->seconds, stats->nr_inputs, stats->cpu_seconds ? (double)stats->nr_inputs /
		stats->cpu_seconds : 0, stats->nr_kept, stats->nr_features, stats->nr_findings);
	if (stats->nr_once)
		fprintf(file, ", %" PRIu64 " more once only", stats->nr_once);
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

static void found(void *context, const struct input *input, const struct trial *trial, const char *path)
{
	char text[TEXT_BYTES];

	(void)context;
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
	input_print(input, text, sizeof(text));
	printf("FOUND  %s\n%s       %s\n", trial->violation, text, path ? path : "");
	fflush(stdout);
}

static int search_in_lab(const struct input_domain *domain, struct search *search)
{
	static char console[128];
	struct fuzz_lab_options options = {
		.domain = domain, .lab = search->lab, .boot = lab_boot, .seed = search->options.seed, .seconds = search->options.seconds,
		.nr_inputs = search->options.nr_inputs, .corpus = search->options.corpus,
		.findings = search->options.findings, .gcov = search->gcov, .nr_labs = search->nr_labs,
	};
	int r;

	snprintf(console, sizeof(console), "vmassay-fuzz-%s.console", search->lab.name);
	if (!options.lab.console)
		options.lab.console = console;
	r = console_begin(options.lab.console);
	if (r)
		return r;
	interrupts_catch();
	options.lab.is_interrupted = &cli_is_interrupted;
	return fuzz_lab(&options);
}

static int fuzz_domain(const struct input_domain *domain, int argc, char **argv)
{
	struct search search = {
		.options = { .seed = (uint64_t)time(NULL), .seconds = 60, .findings = "findings", .tell = tell, .found = found },
	};
	struct campaign_stats stats;
	struct err err;
	int r = search_parse(&search, argc, argv);

	if (r)
		return r < 0 ? 0 : r;
	if (search.lab.name)
		return search_in_lab(domain, &search);
	if (fuzz_target_open(domain, search.target, &search.options.executor, &err))
		return usage_error("fuzz: %s", err.text);
	interrupts_catch();
	printf("fuzz %s: target %s, seed %" PRIu64 "\n", domain->name, search.options.executor->target, search.options.seed);
	fflush(stdout);
	r = campaign_run(&search.options, &stats, &err);
	executor_free(search.options.executor);
	if (r)
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
		return fuzz_domain(&vmcb_domain, argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "ioctl"))
		return fuzz_domain(&ioctl_domain, argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "agent"))
		return fuzz_agent(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "minimise"))
		return fuzz_minimise(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "merge"))
		return fuzz_merge(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "export"))
		return fuzz_export(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "ops"))
		return fuzz_ops(argc - 1, argv + 1);
	return usage_error("fuzz: %s%s%s (see vmassay fuzz --help)", argc > 1 ? "there is no '" : "what shall it do?",
			   argc > 1 ? argv[1] : "", argc > 1 ? "'" : "");
}

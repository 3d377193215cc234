/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "runner/job.h"

enum {
	OPT_SUITE = 256, OPT_TARGET, OPT_TIMEOUT, OPT_SEED, OPT_REPEAT, OPT_SHUFFLE, OPT_FAIL_FAST, OPT_SHARD, OPT_TAP,
	OPT_JUNIT, OPT_JSON, OPT_GUEST, OPT_MODE, OPT_ENTRY, OPT_MAX_EXITS, OPT_AS_GIVEN, OPT_LEAVE_AT, OPT_KERNEL,
	OPT_MODULES, OPT_CPU, OPT_SMP, OPT_MEM, OPT_PARAM, OPT_APPEND, OPT_CONSOLE, OPT_BOOTS, OPT_FRESH, OPT_TIMINGS,
	OPT_GCOV, OPT_NO_SHADOW, OPT_SEND_GCOV, OPT_MATRIX, OPT_TABLE, OPT_AT_ONCE, OPT_RECORD, OPT_ALONE, OPT_ISOLATE, OPT_HELP,
	OPT_NIGHTLY, OPT_DANGER,
	OPT_TREE, OPT_GOOD, OPT_BAD, OPT_CASE, OPT_LAB, OPT_VARIANT, OPT_BUILDER, OPT_WORK, OPT_JUDGE, OPT_STEP,
};

struct option_row {
	const char *name;
	int value;
	char letter;		/* 0: none */
	const char *argument;	/* NULL: none; its name in the help */
	unsigned int commands;	/* enum args_for */
	const char *help;
};

#define ANY (ARGS_LIST | ARGS_RUN | ARGS_LAB)
#define RUNS (ARGS_RUN | ARGS_LAB)
#define BOOTS (ARGS_LAB | ARGS_BISECT | ARGS_REPLAY)

static const struct option_row rows[] = {
	{ "tree", OPT_TREE, 0, "LINUX_GIT", ARGS_BISECT, "the git tree to search; it is left as it is" },
	{ "good", OPT_GOOD, 0, "COMMIT", ARGS_BISECT, "where the tests pass" },
	{ "bad", OPT_BAD, 0, "COMMIT", ARGS_BISECT, "a later one where one fails" },
	{ "case", OPT_CASE, 0, "GLOB", ARGS_BISECT, "the tests that judge; may be given several times" },
	{ "lab", OPT_LAB, 0, "LAB", ARGS_BISECT, "where they run: svm (default), vmx, svm-bochs" },
	{ "variant", OPT_VARIANT, 0, "NAME", ARGS_BISECT, "kernel configuration: plain (default), kasan" },
	{ "work", OPT_WORK, 0, "DIR", ARGS_BISECT, "new folder for logs and results (default in ~/.cache/vmassay/bisect)" },
	{ "builder", OPT_BUILDER, 0, "PROGRAM", ARGS_BISECT, "builds the kernels (default: this project's ci/kernel/build)" },
	{ "judge", OPT_JUDGE, 0, "PROGRAM", ARGS_BISECT, "another vmassay to run the tests" },
	{ "step", OPT_STEP, 0, NULL, ARGS_BISECT, "judge what is checked out and end as git bisect run wants it" },
	{ "target", OPT_TARGET, 0, "NAME", ARGS_REPLAY,
	  "what runs the inputs, as for vmassay fuzz: machine, soft-svm, kvm" },
	{ "danger-host-kvm", OPT_DANGER, 0, NULL, ARGS_REPLAY, "with --target kvm: yes, run them on this kernel's KVM" },
	{ "lab", OPT_LAB, 0, "LAB", ARGS_REPLAY, "run them on a kernel's KVM in an emulator: svm, vmx, svm-bochs" },
	{ "suite", OPT_SUITE, 's', "AREA", ANY, "only tests of this area (ioctl, mmu, ...)" },
	{ "nightly", OPT_NIGHTLY, 0, NULL, ANY, "and the tests that are too many for every day" },
	{ "shard", OPT_SHARD, 0, "K/N", ANY, "the K-th of N parts of the selection, stable by test name" },
	{ "target", OPT_TARGET, 0, "NAME", ANY & ~ARGS_LAB, "what answers the system calls: kvm, soft-svm, bare" },
	{ "jobs", 'j', 'j', "N", RUNS | ARGS_BISECT, "tests at once (default 1; on soft-svm and bare two for each CPU)" },
	{ "timeout", OPT_TIMEOUT, 't', "SECONDS", RUNS | ARGS_BISECT,
	  "for one test (default 10; in a lab 20 or, under Bochs, 60)" },
	{ "seed", OPT_SEED, 0, "N", RUNS | ARGS_BISECT, "replay a run's randomness" },
	{ "repeat", OPT_REPEAT, 0, "N", RUNS | ARGS_BISECT, "run the selection N times" },
	{ "repeat", OPT_REPEAT, 0, "N", ARGS_REPLAY, "each N times, or until it is wrong" },
	{ "shuffle", OPT_SHUFFLE, 0, NULL, RUNS, "in an order drawn from the seed" },
	{ "fail-fast", OPT_FAIL_FAST, 0, NULL, RUNS, "start nothing after the first FAIL or ERROR" },
	{ "alone", OPT_ALONE, 0, NULL, RUNS, "start no test while the VMs of the one before are taken down" },
	{ "isolate", OPT_ISOLATE, 0, NULL, ARGS_RUN, "a process for each test on soft-svm and bare, too" },
	{ "tap", OPT_TAP, 0, NULL, RUNS, "TAP 14 on standard output" },
	{ "junit", OPT_JUNIT, 0, "FILE", RUNS, "write JUnit XML" },
	{ "json", OPT_JSON, 0, "FILE", RUNS, "append JSON lines (reports/schema.md)" },
	{ "record", OPT_RECORD, 0, NULL, RUNS, "note in --json what each test meets of the API (vmassay tables)" },
	{ "verbose", 'v', 'v', NULL, RUNS, "name passed and skipped tests too" },
	{ "quiet", 'q', 'q', NULL, ARGS_REPLAY, "only what is wrong" },
	{ "guest", OPT_GUEST, 0, "FILE.elf", RUNS, "run this guest instead of tests and print its exits" },
	{ "mode", OPT_MODE, 0, "MODE", RUNS, "its mode: real16 prot32 page32 pae32 long64 la57" },
	{ "entry", OPT_ENTRY, 0, "SYMBOL", RUNS, "where it starts (default: the ELF's entry)" },
	{ "max-exits", OPT_MAX_EXITS, 0, "N", RUNS, "end it after N exits (default 1000)" },
	{ "as-given", OPT_AS_GIVEN, 0, NULL, ARGS_RUN | ARGS_INSIDE, "names are whole names, run in this order" },
	{ "leave-at", OPT_LEAVE_AT, 0, "warning|oops", ARGS_RUN | ARGS_INSIDE, "leave the rest to a fresh kernel then" },
	{ "kernel", OPT_KERNEL, 0, "IMAGE", ARGS_LAB | ARGS_REPLAY, "kernel under test (default: newest Debian linux-image)" },
	{ "modules", OPT_MODULES, 0, "DIR", ARGS_LAB | ARGS_REPLAY, "its lib/modules/VERSION folder" },
	{ "cpu", OPT_CPU, 0, "MODEL", BOOTS, "the emulator's CPU model" },
	{ "smp", OPT_SMP, 0, "N", BOOTS, "the lab's CPUs" },
	{ "mem", OPT_MEM, 0, "MIB", BOOTS, "the lab's memory" },
	{ "param", OPT_PARAM, 0, "MODULE.NAME=VALUE", BOOTS, "module parameter; may be given several times" },
	{ "matrix", OPT_MATRIX, 0, "NAME=V,V:NAME=V", ARGS_LAB, "run under each combination of module parameters" },
	{ "table", OPT_TABLE, 0, "FILE", ARGS_LAB, "labs or matrix: write what differs between them" },
	{ "no-shadow", OPT_NO_SHADOW, 0, NULL, ARGS_LAB, "one machine: no test again under npt=0, ept=0 or on two CPUs" },
	{ "at-once", OPT_AT_ONCE, 0, "N", ARGS_LAB, "that many emulators side by side (default: the CPUs)" },
	{ "append", OPT_APPEND, 0, "WORDS", BOOTS, "more kernel command line" },
	{ "console", OPT_CONSOLE, 0, "FILE", ARGS_REPLAY, "the kernel's console (default vmassay-replay-LAB.console)" },
	{ "console", OPT_CONSOLE, 0, "FILE", ARGS_LAB, "the kernel's console; of further emulators FILE.2, ... (default vmassay-LAB.console)" },
	{ "boots", OPT_BOOTS, 0, "N", BOOTS & ~ARGS_REPLAY, "fresh boots of each emulator after a kernel's report or a death, up to N (default 5)" },
	{ "fresh", OPT_FRESH, 0, NULL, ARGS_LAB | ARGS_REPLAY, "boot; neither resume a saved machine nor save it" },
	{ "timings", OPT_TIMINGS, 0, NULL, ARGS_LAB, "say how long it took to boot or resume, to the first test, in all" },
	{ "gcov", OPT_GCOV, 0, "DIR", ARGS_LAB, "fetch the kernel's coverage counters into DIR (ci/coverage)" },
	{ "send-gcov", OPT_SEND_GCOV, 0, NULL, ARGS_RUN | ARGS_INSIDE, "inside a lab: send them" },
	{ "help", OPT_HELP, 'h', NULL, ANY | ARGS_BISECT | ARGS_REPLAY, "this" },
};

#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

int usage_error(const char *format, ...)
{
	va_list args;

	fputs("vmassay: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return EXIT_USAGE;
}

static void print_labs(void)
{
	size_t i;

	printf("LAB is \"all\", or one, or several with commas between, of:");
	for (i = 0; lab_name(i); i++)
		printf(" %s", lab_name(i));
	printf("\n\n");
}

static void print_help(const char *command, enum args_for what)
{
	size_t i;
	char left[64];

	if (what == ARGS_BISECT)
		printf("usage: vmassay bisect --tree LINUX_GIT --good COMMIT --bad COMMIT --case GLOB [OPTION]...\n"
		       "       git bisect run vmassay bisect --step --case GLOB [OPTION]...\n");
	else if (what == ARGS_REPLAY)
		printf("usage: vmassay replay [OPTION]... FILE...\n\nPrints what comes of each VMRUN, call and exit. Exit code: 0 "
		       "all is as it must be and as the files\nexpect it, 1 something is not.\n\n");
	else
		printf("usage: vmassay %s%s [OPTION]... [GLOB]...\n", command, what == ARGS_LAB ? " LAB" : "");
	if (what != ARGS_REPLAY)
		printf("\nA GLOB matches test names, \"ioctl.pio*\" or \"*@lab-svm\".\n\n");
	if (what == ARGS_LAB)
		print_labs();
	for (i = 0; i < NR_ROWS; i++) {
		if (!(rows[i].commands & what) || (rows[i].commands & ARGS_INSIDE))
			continue;
		snprintf(left, sizeof(left), "%s%c%s --%s%s%s", rows[i].letter ? "-" : " ",
			 rows[i].letter ? rows[i].letter : ' ', rows[i].letter ? "," : " ", rows[i].name,
			 rows[i].argument ? " " : "", rows[i].argument ? rows[i].argument : "");
		printf("  %-34s %s\n", left, rows[i].help);
	}
}

static bool parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	char *stop;

	errno = 0;
	*ret = strtoull(text, &stop, 0);
	return *text && *text != '-' && !*stop && !errno && *ret >= min && *ret <= max;
}

static bool parse_uint(const char *text, unsigned int min, unsigned int max, unsigned int *ret)
{
	uint64_t value;

	if (!parse_u64(text, min, max, &value))
		return false;
	*ret = value;
	return true;
}

static bool parse_shard(const char *text, struct selection *selection)
{
	char k[16];
	const char *slash = strchr(text, '/');

	if (!slash || slash - text >= (long)sizeof(k))
		return false;
	snprintf(k, sizeof(k), "%.*s", (int)(slash - text), text);
	return parse_uint(slash + 1, 1, 1000000, &selection->nr_shards) &&
	       parse_uint(k, 1, selection->nr_shards, &selection->shard);
}

static bool parse_timeout(const char *text, unsigned int *ret_ms)
{
	char *stop;
	double seconds = strtod(text, &stop);

	if (!*text || *stop || !(seconds >= 0.1 && seconds <= 86400))
		return false;
	*ret_ms = seconds * 1000;
	return true;
}

static bool parse_leave_at(const char *text, enum kernel_report *ret)
{
	*ret = !strcmp(text, "warning") ? KERNEL_WARNS : !strcmp(text, "oops") ? KERNEL_OOPSES : KERNEL_QUIET;
	return *ret != KERNEL_QUIET;
}

/* @words: ARGS_MAX_PARAMS of them and a NULL. */
static bool word_add(const char **words, const char *text)
{
	unsigned int i;

	for (i = 0; i < ARGS_MAX_PARAMS; i++) {
		if (words[i])
			continue;
		words[i] = text;
		return true;
	}
	return false;
}

static bool param_add(struct args *args, const char *text)
{
	const char *dot = strchr(text, '.');

	return dot && dot != text && strchr(dot, '=') && word_add(args->params, text);
}

static bool is_variant(const char *text)
{
	return !strcmp(text, "plain") || !strcmp(text, "kasan");
}

/* False when the argument has not the form that the option wants. */
static bool option_take(struct args *args, int option, const char *text)
{
	switch (option) {
	case OPT_SUITE: case 's': args->selection.suite = text; return true;
	case OPT_NIGHTLY: args->selection.with_nightly = true; return true;
	case OPT_SHARD: return parse_shard(text, &args->selection);
	case OPT_TARGET: args->run.target = text; return true;
	case 'j': return parse_uint(text, 1, 256, &args->run.nr_jobs);
	case OPT_TIMEOUT: case 't': return parse_timeout(text, &args->run.timeout_ms);
	case OPT_SEED: return parse_u64(text, 0, UINT64_MAX, &args->run.seed);
	case OPT_REPEAT: return parse_uint(text, 1, 1000000, &args->selection.repeat);
	case OPT_SHUFFLE: args->selection.shuffle = true; return true;
	case OPT_RECORD: args->run.is_recorded = true; return true;
	case OPT_FAIL_FAST: args->run.fail_fast = true; return true;
	case OPT_ALONE: args->run.is_alone = true; return true;
	case OPT_ISOLATE: args->is_isolated = true; return true;
	case OPT_TAP: args->tap = true; return true;
	case OPT_JUNIT: args->junit = text; return true;
	case OPT_JSON: args->json = text; return true;
	case 'v': args->verbose = true; return true;
	case 'q': args->is_quiet = true; return true;
	case OPT_DANGER: args->may_danger = true; return true;
	case OPT_GUEST: args->guest = text; return true;
	case OPT_MODE: args->mode = text; return mode_from_name(text) > 0;
	case OPT_ENTRY: args->entry = text; return true;
	case OPT_MAX_EXITS: return parse_uint(text, 1, 100000000, &args->max_exits);
	case OPT_AS_GIVEN: args->selection.as_given = true; return true;
	case OPT_LEAVE_AT: return parse_leave_at(text, &args->run.leave_at);
	case OPT_KERNEL: args->lab.kernel = text; return true;
	case OPT_MODULES: args->lab.modules = text; return true;
	case OPT_CPU: args->lab.cpu = text; return true;
	case OPT_SMP: return parse_uint(text, 1, 64, &args->lab.nr_cpus);
	case OPT_MEM: return parse_uint(text, 128, 65536, &args->lab.memory_mib);
	case OPT_PARAM: return param_add(args, text);
	case OPT_MATRIX: args->matrix = text; return true;
	case OPT_TABLE: args->table = text; return true;
	case OPT_AT_ONCE: return parse_uint(text, 1, 64, &args->nr_at_once);
	case OPT_APPEND: args->lab.append = text; return true;
	case OPT_CONSOLE: args->lab.console = text; return true;
	case OPT_BOOTS: return parse_uint(text, 0, 1000, &args->nr_boots);
	case OPT_TREE: args->bisect.tree = text; return true;
	case OPT_GOOD: args->bisect.good = text; return *text && *text != '-';
	case OPT_BAD: args->bisect.bad = text; return *text && *text != '-';
	case OPT_CASE: return word_add(args->cases, text);
	case OPT_LAB: args->lab.name = text; return true;
	case OPT_VARIANT: args->bisect.variant = text; return is_variant(text);
	case OPT_BUILDER: args->bisect.builder = text; return true;
	case OPT_WORK: args->bisect.work = text; return true;
	case OPT_JUDGE: args->bisect.judge = text; return true;
	case OPT_STEP: args->bisect.is_step = true; return true;
	case OPT_FRESH: args->lab.is_fresh = true; return true;
	case OPT_TIMINGS: args->timings = true; return true;
	case OPT_NO_SHADOW: args->no_shadow = true; return true;
	case OPT_GCOV: args->gcov = text; return true;
	case OPT_SEND_GCOV: args->send_gcov = true; return true;
	default: return false;
	}
}

static void options_make(enum args_for what, struct option *longs, char *shorts)
{
	size_t i;

	*shorts++ = ':';
	for (i = 0; i < NR_ROWS; i++) {
		if (!(rows[i].commands & what))
			continue;
		*longs++ = (struct option){ rows[i].name, rows[i].argument ? required_argument : no_argument, NULL,
					    rows[i].value };
		if (rows[i].letter) {
			*shorts++ = rows[i].letter;
			if (rows[i].argument)
				*shorts++ = ':';
		}
	}
	*longs = (struct option){ 0 };
	*shorts = '\0';
}

static uint64_t seed_draw(void)
{
	uint64_t seed = 1;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = getpid();
	return seed;
}

/* What getopt calls the option, which may be its letter. */
static const char *option_name(int option)
{
	size_t i;

	for (i = 0; i < NR_ROWS; i++)
		if (rows[i].value == option || (rows[i].letter && rows[i].letter == option))
			return rows[i].name;
	return NULL;
}

/*
 * getopt has moved the names given to the front and back: only a whole word that it has just left is at optind - 1,
 * and a letter may be inside one that it has not.
 */
static int unknown_option(char **argv)
{
	char letter[] = { '-', optopt, '\0' };
	bool is_letter = optopt && !option_name(optopt);

	return usage_error("%s: unknown option '%s' (see vmassay %s --help)", argv[0],
			   is_letter ? letter : argv[optind - 1], argv[0]);
}

int args_parse(struct args *args, int argc, char **argv, enum args_for what)
{
	struct option longs[NR_ROWS + 1];
	char shorts[3 * NR_ROWS + 2];
	int option;

	*args = (struct args){ .results_fd = -1, .max_exits = 1000, .nr_boots = 5, .start_us = clock_us() };
	args->run.seed = seed_draw();
	args->lab.params = args->params;
	options_make(what, longs, shorts);
	optind = 0;
	opterr = 0;
	for (;;) {
		option = getopt_long(argc, argv, shorts, longs, NULL);
		if (option == -1)
			break;
		if (option == OPT_HELP || option == 'h') {
			print_help(argv[0], what);
			return -1;
		}
		if (option == '?')
			return unknown_option(argv);
		if (option == ':')
			return usage_error("%s: option '--%s' needs a value", argv[0], option_name(optopt));
		if (!option_take(args, option, optarg))
			return usage_error("%s: option '--%s' does not take '%s'", argv[0], option_name(option), optarg);
	}
	args->selection.globs = (const char *const *)argv + optind;
	args->selection.seed = args->run.seed;
	return 0;
}

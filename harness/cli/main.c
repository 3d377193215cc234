/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/cli.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "list", cmd_list, "name the tests, with what each claims" },
	{ "needs", cmd_needs, "say what this machine would skip, and why" },
	{ "run", cmd_run, "run tests on this machine's KVM, or a guest of your own" },
	{ "lab", cmd_lab, "run tests on a Linux kernel's KVM inside an emulator" },
	{ "bisect", cmd_bisect, "find the commit that broke a test, in a lab" },
	{ "tables", cmd_tables, "write or check the tables of which calls and exits have tests" },
	{ "bench", cmd_bench, "measure the harness against raw system calls" },
	{ "rules", cmd_rules, "print the rules of VMRUN with the tests of each" },
	{ "fuzz", cmd_fuzz, "search for inputs that break an oracle, on the emulated CPU" },
	{ "replay", cmd_replay, "run fuzzed inputs, and say what comes of them" },
	{ "bundle", cmd_bundle, "write this program with its libraries as a tarball" },
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(void)
{
	size_t i;

	printf("vmassay %s: judges KVM\n\nusage: vmassay COMMAND [OPTION]...\n\n", VMASSAY_VERSION);
	for (i = 0; i < NR_COMMANDS; i++)
		printf("  %-8s %s\n", commands[i].name, commands[i].help);
	printf("\n'vmassay COMMAND --help' has the options. Exit code: 0 nothing failed, 1 a test failed, 2 the command\n"
	       "line is wrong, 77 all skipped, 99 could not be judged.\n");
}

static int run_inside(int argc, char **argv, int results_fd)
{
	size_t i;

	cli_results_fd = results_fd;
	for (i = 0; i < NR_COMMANDS && argc; i++)
		if (!strcmp(commands[i].name, argv[0]))
			return commands[i].run(argc, argv);
	return usage_error("lab: no command");
}

/*
 * The cases' static variables are MBs, of which a test uses next to nothing. In a huge page, two of them would be
 * cleared for the first use, and split, copied and taken down again by every test's process.
 */
static void keep_pages_small(void)
{
	extern char __bss_start[], _end[];
	uintptr_t page_bytes = sysconf(_SC_PAGESIZE), start = (uintptr_t)__bss_start & -page_bytes;

	/* Without effect where there are no huge pages. */
	madvise((void *)start, (uintptr_t)_end - start, MADV_NOHUGEPAGE);
}

int main(int argc, char **argv)
{
	size_t i;

	keep_pages_small();
	if (lab_is_inside())
		lab_init(run_inside);
	if (argc < 2)
		return usage_error("what shall it do? (see vmassay --help)");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_help();
		return 0;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("vmassay %s\n", VMASSAY_VERSION);
		return 0;
	}
	for (i = 0; i < NR_COMMANDS; i++)
		if (!strcmp(commands[i].name, argv[1]))
			return commands[i].run(argc - 1, argv + 1);
	return usage_error("unknown command '%s' (see vmassay --help)", argv[1]);
}

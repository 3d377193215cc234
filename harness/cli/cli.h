/* SPDX-License-Identifier: MIT */
/*
 * The program's commands and what they share: options, outputs, messages.
 *
 * Exit codes: 0 nothing failed, 1 a test failed, 2 the command line or a file on it is wrong, 77 every test was
 * skipped, 99 the tests could not be judged, 130 interrupted.
 */
#ifndef VMASSAY_CLI_H
#define VMASSAY_CLI_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "lab/lab.h"
#include "reports/sink.h"
#include "runner/plan.h"
#include "runner/runner.h"

#define EXIT_USAGE 2
#define EXIT_INTERRUPTED 130
/* Of the run inside a lab: what has no result yet is left to a fresh kernel. */
#define EXIT_LEFT 3

int cmd_list(int argc, char **argv);
int cmd_needs(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_lab(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_bundle(int argc, char **argv);
int cmd_bisect(int argc, char **argv);
int cmd_rules(int argc, char **argv);
int cmd_fuzz(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_tables(int argc, char **argv);

/* "vmassay: ..." on stderr; returns EXIT_USAGE. */
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- options of run, list, needs, lab, bisect and replay --- */

enum args_for {
	ARGS_LIST = 1,		/* selection only */
	ARGS_RUN = 2,
	ARGS_LAB = 4,		/* run's and the lab's own */
	ARGS_BISECT = 8,	/* a lab's, and which commits */
	ARGS_REPLAY = 32,	/* of inputs, here or in a lab */
	ARGS_INSIDE = 16,	/* of run, for the one that a lab starts: not in the help */
};

#define ARGS_MAX_PARAMS 32

/* Absolute paths, once the command has looked at them. */
struct bisect_options {
	const char *tree;		/* a git tree of Linux */
	const char *good, *bad;		/* commits */
	const char *variant;		/* of the kernel's configuration */
	const char *builder;		/* ci/kernel/build */
	const char *work;		/* folder for the steps' records */
	const char *judge;		/* the program that runs the tests: this one */
	bool is_step;			/* judge one commit, for git bisect run */
};

struct args {
	struct selection selection;
	struct run_options run;
	struct lab_options lab;
	const char *params[ARGS_MAX_PARAMS + 1];
	struct bisect_options bisect;
	const char *cases[ARGS_MAX_PARAMS + 1];	/* of --case */
	unsigned int nr_boots;		/* lab: at most this many after an emulator's death */
	bool timings;
	uint64_t start_us;		/* the command's, on clock_us() */
	const char *gcov;		/* lab: folder for the kernel's coverage; NULL: not asked for */
	bool send_gcov;			/* in a lab: send it at the end */
	bool is_canary_only;
	bool is_isolated;		/* run: no test in a process that has run another */
	bool no_shadow;			/* lab: no second machine with shadow paging */
	const char *matrix;		/* lab: under each combination of these module parameters (cli/matrix.h) */
	const char *table;		/* labs: file for what differs between them */
	unsigned int nr_at_once;	/* labs; 0: as many as there are CPUs */
	bool tap;
	bool verbose;
	bool is_quiet;
	bool may_danger;		/* replay: on this kernel's own KVM */
	const char *junit;
	const char *json;
	const char *guest;		/* run a user's ELF instead of tests */
	const char *mode;
	const char *entry;
	unsigned int max_exits;
	struct soft *soft;		/* run's target, when it is soft-svm; owned */
	int results_fd;			/* in a lab, or in one of several: JSON lines go here and nowhere else; -1 */
};

/*
 * Parses @argv (argv[0] is the command). 0, -1 when --help was asked for and answered, else EXIT_USAGE after one line.
 * selection.globs points into @argv.
 */
int args_parse(struct args *args, int argc, char **argv, enum args_for what);

/* The sinks that the options ask for, NULL-terminated. 0 or EXIT_USAGE after one line. */
int outputs_open(const struct args *args, struct sink **sinks);
/* 0, or 99 after a line for each output that could not be written. */
int outputs_close(struct sink **sinks);

/* Starts a lab's console file afresh; boots append to it. 0 or EXIT_USAGE after one line. */
int console_begin(const char *path);

/* A line for the person who asked: to stdout, or from inside a lab to the outside. */
void cli_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The descriptor that a lab's process 1 gives the run inside; -1 outside. */
extern int cli_results_fd;

/* Set by SIGINT and SIGTERM after interrupts_catch(). */
extern volatile sig_atomic_t cli_is_interrupted;
void interrupts_catch(void);

/* True when this CPU and kernel offer KVM on hardware: /dev/kvm opens and the CPU has VMX or SVM. */
bool host_has_kvm(void);

/* Runs a user's ELF: prints its exits. */
int guest_run(const struct args *args);

#endif

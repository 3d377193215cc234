/* SPDX-License-Identifier: MIT */
/*
 * "vmassay fuzz ... --lab NAME": a search inside a lab (cli/fuzz_agent.h), seen from outside: its corpus, coverage and findings
 * are written the moment they are told, and a machine that dies is booted again and goes on behind the input that killed it,
 * which is a finding.
 */
#ifndef VMASSAY_CLI_FUZZ_LAB_H
#define VMASSAY_CLI_FUZZ_LAB_H

#include <stddef.h>
#include <stdint.h>

#include "fuzz/input.h"
#include "lab/lab.h"

struct fuzz_lab_options {
	const struct input_domain *domain;
	struct lab_options lab;
	lab_boot_fn *boot;		/* lab_boot() */
	unsigned int nr_labs;		/* at the same time, BOARD_MAX_LABS at most; 0 and 1 are one */
	uint64_t seed;			/* of the first; the others have the next ones */
	double seconds;			/* 0: until it is interrupted */
	uint64_t nr_inputs;		/* of one boot, beside the corpus; 0: no limit */
	const char *gcov;		/* folder for the kernel's coverage counters at the end of that; NULL: not asked for */
	const char *corpus;		/* folder; NULL: in memory only. campaign.csv and cover.txt are left in it */
	const char *findings;		/* folder */
};

/* Returns the exit code. */
int fuzz_lab(const struct fuzz_lab_options *options);

#endif

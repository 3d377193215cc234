/* SPDX-License-Identifier: MIT */
/* Runs the tests that options select in a lab, over as many boots as it takes. */
#ifndef VMASSAY_LAB_TESTS_H
#define VMASSAY_LAB_TESTS_H

#include "cli/cli.h"

/* @args: as parsed for a lab, its target and time-out filled in. Returns the program's exit code. */
int lab_run_tests(struct args *args);

/*
 * Runs @plan in as many boots as that takes and @args allows. 0 when every test of it has a result, or the run was
 * stopped before; -ENOTRECOVERABLE when a lab also died with no test to answer for it, which @err tells; -errno when it could not
 * be booted.
 */
int lab_run_plan(struct args *args, const struct plan *plan, struct sink *const *sinks, lab_boot_fn *boot,
		 struct summary *ret_summary, struct err *err);

#endif

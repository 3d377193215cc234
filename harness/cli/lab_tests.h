/* SPDX-License-Identifier: MIT */
/* Runs the tests that options select in a lab, over as many boots as it takes. */
#ifndef VMASSAY_LAB_TESTS_H
#define VMASSAY_LAB_TESTS_H

struct args;

/* @args: as parsed for a lab, its target and time-out filled in. Returns the program's exit code. */
int lab_run_tests(struct args *args);

#endif

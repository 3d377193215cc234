/* SPDX-License-Identifier: MIT */
/*
 * A hand-made case, run in the test's own process on the fake backend; and what its result must hold.
 */
#ifndef VMASSAY_SELFTEST_HERE_H
#define VMASSAY_SELFTEST_HERE_H

#include "case.h"
#include "reports/result.h"
#include "runner/registry.h"

#include "fake_backend.h"

/* Built into every program of the unit tests that links fake_guest. */
#define FAKE_CASE_FILE "harness/selftest/cases/fake.c"

/* Runs desc->host in @mode; the result is the caller's. Everything opened must have been closed again. */
struct result *run_here(struct fake *fake, const struct case_desc *desc, unsigned int mode);

/* The @index-th note of @kind, or NULL. */
const struct note *note_find(const struct result *result, enum note_kind kind, unsigned int index);
unsigned int note_count(const struct result *result, enum note_kind kind);

/* All notes on stderr, for a person who looks at a failed test. */
void result_print(const struct result *result);

/* True when @text holds @part; both are printed when not. */
void assert_holds(const char *text, const char *part);

#endif

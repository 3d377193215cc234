/* SPDX-License-Identifier: MIT */
/* Cases that are inputs of the fuzzer, as "vmassay fuzz export" makes them: harness/fuzz/README.md has their text. */
#ifndef VMASSAY_FUZZ_VMCB_CASE_H
#define VMASSAY_FUZZ_VMCB_CASE_H

#include "case.h"

/*
 * Runs an input of "vmcb". Each run must come out as the input's "expect" lines say, and no oracle may have anything against
 * any. The case has no guest of its own. On "bare" the machine itself runs it. Elsewhere it is L1's in a VM of its own
 * (nested.h), and the machine's outcome is the other half of the check: where they differ in what is known to be nothing
 * (nested_known.c), that is what the check says, and the "expect" lines are not asked for.
 */
void test_vmcb_input(struct test *t, struct check_at at, const char *text);

#define expect_vmcb_input(t_, text_) test_vmcb_input(t_, AT_EXPECT, text_)

#endif

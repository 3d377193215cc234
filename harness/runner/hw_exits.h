/* SPDX-License-Identifier: MIT */
/*
 * The hardware exits of a test: collected from the trace as the test goes on, compared, and dumped at a failure.
 */
#ifndef VMASSAY_HW_EXITS_H
#define VMASSAY_HW_EXITS_H

#include "case.h"

/* Begins to record; where that is not possible the test says so when it asks for exits. */
void hw_log_open(struct test *t);
void hw_log_close(struct test *t);

/* The last exits as lines for a dump; an empty string when nothing is recorded. Returns snprintf's length. */
int hw_log_format(struct test *t, char *buf, size_t len_bytes);

#endif

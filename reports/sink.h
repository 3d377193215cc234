/* SPDX-License-Identifier: MIT */
/*
 * Where results go: a terminal, TAP, JUnit XML, JSON lines. Any number of sinks hear the same calls in the same order:
 *
 *	run_begin, { test_begin, test_end }..., run_end
 *
 * A run on several targets also has a target_begin before a target's first test, and one comparison before run_end.
 * test_begin and test_end of different tests interleave when several run at once. A sink that cannot write remembers
 * the first error and reports it in its close function; it never stops the run.
 */
#ifndef VMASSAY_SINK_H
#define VMASSAY_SINK_H

#include <stdbool.h>
#include <stdio.h>

#include "reports/result.h"

struct compare;
struct err;

struct run_info {
	const char *target;		/* of several, their names with commas between */
	unsigned int nr_planned;	/* tests, repetitions counted */
	uint64_t seed;
	struct json_object *facts;	/* host facts, an object; borrowed; NULL: unknown, or each target has its own */
};

struct sink;

struct sink_ops {
	void (*run_begin)(struct sink *sink, const struct run_info *info);
	void (*test_begin)(struct sink *sink, const char *test, const char *target, unsigned int round);
	void (*test_end)(struct sink *sink, const struct result *result);
	void (*run_end)(struct sink *sink, const struct summary *summary);
	/* Either may be NULL. @facts: the target's, as in struct run_info. */
	void (*target_begin)(struct sink *sink, const char *target, struct json_object *facts);
	void (*comparison)(struct sink *sink, const struct compare *compare);
	/* Flushes and frees; returns 0 or -errno of the first failed write with one line in @err. */
	int (*close)(struct sink *sink, struct err *err);
};

struct sink {
	const struct sink_ops *ops;
};

/* Constructors return 0 or -errno; *@ret is untouched on failure; @err names the file. */

/* For people. On a terminal one line shows what runs now; otherwise plain lines. @verbose also lists passes. */
int sink_console_open(FILE *out, bool is_terminal, bool verbose, struct sink **ret, struct err *err);

/* A note as the sink for people shows it, indented; no byte of it steers a terminal. */
void note_print(FILE *out, const struct note *note);

/* TAP version 14 on @out, which the sink does not close. */
int sink_tap_open(FILE *out, struct sink **ret, struct err *err);

/*
 * JUnit XML: "PATH.tmp" is opened at once (a bad path is refused before the run), written at the end
 * of the run and renamed, so that a reader never sees half a file.
 */
int sink_junit_open(const char *path, struct sink **ret, struct err *err);

/*
 * Append-only JSON lines, each written with one write(2) as it happens: {"type":"run",...}, {"type":"start",...},
 * {"type":"result",...}, {"type":"end",...}. Schema: reports/schema.md.
 */
int sink_jsonl_open(const char *path, struct sink **ret, struct err *err);

/* The same to a file descriptor that stays the caller's (a lab's serial port). */
int sink_jsonl_open_fd(int fd, struct sink **ret, struct err *err);

#endif

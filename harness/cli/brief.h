/* SPDX-License-Identifier: MIT */
/*
 * What a run inside a lab has to say most often, in few bytes: each one crosses an emulated serial port, which costs an
 * emulator as much as hundreds of instructions do. A test is named by its place in the plan, which is its place among
 * the names that the run was given.
 *
 *	+PLACE				it starts
 *	=PLACE DURATION_US NR_CHECKS	it has passed, and there is nothing more to say of it
 *
 * All else is said in JSON lines.
 */
#ifndef VMASSAY_BRIEF_H
#define VMASSAY_BRIEF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct plan;
struct sink;

struct brief {
	bool is_start;
	size_t place;
	uint64_t duration_us, nr_checks;	/* 0 at a start */
};

/* A sink to @fd, which stays the caller's as @plan does. 0 or -ENOMEM. */
int sink_brief_open(int fd, const struct plan *plan, struct sink **ret, struct err *err);

/* False for a line that is none of these two. */
bool brief_read(struct brief *ret, const char *line);

#endif

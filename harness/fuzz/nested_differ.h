/* SPDX-License-Identifier: MIT */
/*
 * Two targets on one input of "vmcb": what the machine predicts, and what a hypervisor with a nested guest did. A difference
 * is either explained (nested_known.c: by a row with a reason), or it is somebody's bug.
 */
#ifndef VMASSAY_FUZZ_NESTED_DIFFER_H
#define VMASSAY_FUZZ_NESTED_DIFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fuzz/input.h"
#include "fuzz/nested.h"

/* One side: what came of it, its VMCBs, and its RAM behind the last VMRUN. */
struct nested_side {
	const struct vmcb_result *result;
	const struct vmcb *after;	/* by run */
	const uint8_t *ram;
};

struct nested_difference {
	const struct input *input;
	unsigned int run;
	const char *field;		/* as vmcb_fields has it, a register's name, "end" or "memory" */
	uint64_t want, got;
	/* Of the run, in arrays that have those of the runs before it, too; .before is on the target's side. */
	const struct vmcb *before, *want_after, *got_after;
	const struct vmcb_outcome *want_outcome, *got_outcome;
};

/* Why a difference is none: of a hypervisor, of what it runs on, or of what the machine can say. */
struct nested_known {
	const char *id;
	const char *reason;
	bool (*is)(const struct nested_difference *d);
	bool goes_on;			/* what is behind it in the same input is comparable all the same */
};

enum nested_verdict {
	NESTED_SAME,
	NESTED_KNOWN,			/* and nothing unknown before it */
	NESTED_DIFFERS,
};

struct nested_judgement {
	enum nested_verdict verdict;
	const struct nested_known *known;	/* the first that applied; NULL: none */
	bool is_whole;				/* all was compared: nothing ended it before */
	char text[256];				/* NESTED_DIFFERS: "run 0: exit_code: want 0x78, got 0x72" */
};

/*
 * @touched: a bit for each page that either side may have written; @before: the target's VMCBs before each run. What is
 * not comparable is the same as everything, and so is all behind it.
 */
void nested_differ(const struct input *input, const struct nested_side *want, const struct nested_side *got,
		   const struct vmcb *before, const uint64_t *touched, struct nested_judgement *ret);

/* By index, from 0; NULL behind the last. */
const struct nested_known *nested_known_at(unsigned int index);
unsigned int nested_known_index(const struct nested_known *known);
/* NULL: it is somebody's bug. */
const struct nested_known *nested_known_find(const struct nested_difference *d);

/* The finding that has what a kernel reported, by a line as kernel_log.h's .headline; NULL: none. */
const char *nested_known_report(const char *headline);

#endif

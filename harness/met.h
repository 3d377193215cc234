/* SPDX-License-Identifier: MIT */
/*
 * What a test met of the interface that it judges: a set of facts that runs with --record keep, and from which
 * "vmassay tables" tells which tests there are for a call, an errno, an exit.
 *
 * A set is carried as words with blanks between: "ioctl:0xae80" (the call succeeded), "ioctl:0xae80=14" (it failed with
 * an errno that a check asked for), "ioctl:0x4068aea3/72=22" (the same, for capability 72), "exit:17/1" (a reason that
 * a check asked for, and its sub-reason), "svm:114", "vmx:10" (an exit of L2 that L1 checked), "svm-off:114",
 * "vmx-off:10" (L1 checked that there was none).
 */
#ifndef VMASSAY_MET_H
#define VMASSAY_MET_H

#include <stdbool.h>
#include <stdint.h>

enum met_kind {
	MET_IOCTL,
	MET_EXIT,
	MET_SVM,
	MET_SVM_OFF,
	MET_VMX,
	MET_VMX_OFF,
	NR_MET_KINDS,
};

#define MET_NO_PART (-1)

struct met_fact {
	enum met_kind kind;
	uint64_t number;	/* request, exit reason or exit code */
	int64_t part;		/* capability or sub-reason; MET_NO_PART */
	int error;		/* MET_IOCTL: 0, or a positive errno */
};

struct met;

/* NULL when out of memory. Any number of threads may use one. */
struct met *met_new(void);
/* Accepts NULL. */
void met_free(struct met *met);

/* Once or several times, it is the same. Accepts NULL, and then does nothing; out of memory the fact is lost. */
void met_add(struct met *met, struct met_fact fact);

/* In the order of first meeting; free() it. NULL when out of memory. */
char *met_text(struct met *met);

/* Reads a word and moves *@text behind it. False at the end, and at what is no such word. */
bool met_next(const char **text, struct met_fact *ret);

#endif

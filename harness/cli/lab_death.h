/* SPDX-License-Identifier: MIT */
/*
 * What the end of a boot means for the tests that ran then: is the kernel under test to blame (FAIL) or not (ERROR)?
 *
 * The kernel is when its console says so since the tests began (a panic, an oops, a lockup), or when the emulator was at
 * work all the time and yet nothing came: a kernel that runs in circles with interrupts off says no more. It is not when
 * the emulator itself failed, unless the kernel had panicked before (its reboot is how Bochs ends), stood still, or
 * ended without a word.
 */
#ifndef VMASSAY_LAB_DEATH_H
#define VMASSAY_LAB_DEATH_H

#include <stdint.h>

#include "lab/lab.h"
#include "reports/result.h"

struct lab_death {
	enum verdict verdict;
	char why[1200];
	bool is_emulators;		/* it failed by itself, which says nothing of the kernel */
	char *console;		/* what it said since; NULL without memory */
};

/* @console_from: outcome->emulator.console.nr_bytes when the tests began. Free with lab_death_free(). */
void lab_death_judge(struct lab_death *death, const struct lab_outcome *outcome, uint64_t console_from);
void lab_death_free(struct lab_death *death);

#endif

/* SPDX-License-Identifier: MIT */
/* What is said about a lab's boot itself, on stderr. */
#ifndef VMASSAY_LAB_NOTES_H
#define VMASSAY_LAB_NOTES_H

#include <stdint.h>

struct args;
struct lab_outcome;

/* All in microseconds of clock_us(). */
struct lab_clock {
	uint64_t start_us;	/* of the command, or of a later boot */
	uint64_t boot_us;	/* of the call to lab_boot() */
	uint64_t first_test_us;	/* 0: there was none */
};

/* What went wrong with a saved machine, and, where @args asks for them, the timings. */
void lab_notes_print(const struct args *args, const struct lab_outcome *outcome,
		     const struct lab_clock *clock);

#endif

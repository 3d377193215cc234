/* SPDX-License-Identifier: MIT */
#include "cli/lab_notes.h"

#include <stdio.h>

#include "cli/cli.h"
#include "runner/job.h"

static double seconds(uint64_t from_us, uint64_t to_us)
{
	return (to_us - from_us) / 1e6;
}

static void print_timings(const struct lab_outcome *outcome, const struct lab_clock *clock)
{
	fprintf(stderr, "lab: %s %.1f s", outcome->is_resumed ? "saved machine resumed" : "fresh boot",
		seconds(clock->start_us, clock->boot_us) + outcome->boot_s);
	if (clock->first_test_us)
		fprintf(stderr, ", first test %.1f s", seconds(clock->start_us, clock->first_test_us));
	fprintf(stderr, ", whole run %.1f s", seconds(clock->start_us, clock_us()));
	if (outcome->save_s)
		fprintf(stderr, " (saving the machine %.1f s of it)", outcome->save_s);
	fputc('\n', stderr);
}

void lab_notes_print(const struct args *args, const struct lab_outcome *outcome,
		     const struct lab_clock *clock)
{
	if (*outcome->note)
		fprintf(stderr, "vmassay: lab: %s\n", outcome->note);
	if (args->timings)
		print_timings(outcome, clock);
}

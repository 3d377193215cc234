/* SPDX-License-Identifier: MIT */
#include "cli/lab_death.h"

#include <stdio.h>
#include <stdlib.h>

#include "kernel_log.h"

void lab_death_judge(struct lab_death *death, const struct lab_outcome *outcome, uint64_t console_from)
{
	const char *words = outcome->is_complete ? "the run inside the lab ended without this test" : outcome->last_words;
	struct kernel_words kernel = { 0 };

	*death = (struct lab_death){ .verdict = VERDICT_ERROR };
	death->console = tail_since(&outcome->emulator.console, console_from);
	if (death->console)
		kernel_text_read(death->console, &kernel);
	if (kernel.worst == KERNEL_DIES || (kernel.worst && outcome->emulator.end != EMULATOR_FAILED)) {
		death->verdict = VERDICT_FAIL;
		words = kernel.headline;
	} else if (outcome->emulator.end == EMULATOR_BUSY) {
		death->verdict = VERDICT_FAIL;
	}
	death->is_emulators = outcome->emulator.end == EMULATOR_FAILED && death->verdict == VERDICT_ERROR;
	snprintf(death->why, sizeof(death->why), "%s%s",
		 words != kernel.headline && death->verdict == VERDICT_FAIL ? "the kernel hung: " : "", words);
}

void lab_death_free(struct lab_death *death)
{
	free(death->console);
	death->console = NULL;
}

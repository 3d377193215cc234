/* SPDX-License-Identifier: MIT */
/*
 * A case of the suite from an input of "vmcb": C that asserts what has come of it, on every target with nested SVM, by
 * running the input there (vmcb_case.h).
 */
#ifndef VMASSAY_FUZZ_EXPORT_H
#define VMASSAY_FUZZ_EXPORT_H

#include <stddef.h>

#include "fuzz/executor.h"

/* An executor that has run the input, and how many lines came of it. */
struct export_run {
	const struct executor *executor;
	unsigned int nr_lines;
};

/*
 * What the case asserts is what the input expects. Where it says nothing, words that do not depend on a CPU's optional
 * features, and that are in the outcomes of all @runs, become expectations. As snprintf().
 *
 * @id: the case's name, a word of C.
 */
size_t export_case(const struct export_run *runs, size_t nr_runs, const struct input *input, const char *id, char *buf,
		   size_t len_bytes);

#endif

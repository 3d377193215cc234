/* SPDX-License-Identifier: MIT */
#include "fuzz/vmcb_case.h"

#include <string.h>

#include "err.h"
#include "fuzz/expect.h"
#include "fuzz/vmcb_machine.h"
#include "fuzz/vmcb_ops.h"

static size_t run_line(const void *context, unsigned int n, char *buf, size_t len_bytes)
{
	const struct vmcb_result *result = context;

	return vmcb_outcome_print(&result->runs[n], buf, len_bytes);
}

void test_vmcb_input(struct test *t, struct check_at at, const char *text)
{
	static struct vmcb_result result;
	char what[1536] = "the runs are as expected";
	struct vmcb_machine *machine;
	struct input input;
	struct err err;
	bool holds;

	if (input_parse(text, strlen(text), &input, &err))
		test_error(t, "the case's input: %s", err.text);
	if (input.domain != &vmcb_domain || !input.expect[0])
		test_error(t, "the case's input is not of vmcb, or expects nothing");
	if (strcmp(t->sys->backend->name, "bare"))
		test_error(t, "inputs of vmcb are cases on the target bare only");
	machine = vmcb_machine_new();
	if (!machine)
		test_error(t, "out of memory");
	vmcb_machine_run(machine, &input, &result);
	vmcb_machine_free(machine);
	holds = expect_holds(input.expect, result.nr_runs, run_line, &result, what, sizeof(what));
	test_check_true(t, at, what, holds);
	test_check_true(t, at, result.violation[0] ? result.violation : "no oracle has anything against it", !result.violation[0]);
}

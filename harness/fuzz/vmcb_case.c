/* SPDX-License-Identifier: MIT */
#include "fuzz/vmcb_case.h"

#include <string.h>

#include "err.h"
#include "fuzz/nested_differ.h"
#include "fuzz/nested_executor.h"
#include "fuzz/vmcb_ops.h"

static bool is_bare(const struct test *t)
{
	return !strcmp(t->sys->backend->name, "bare");
}

static struct executor *executor_open(struct test *t)
{
	struct executor *executor;
	struct err err;

	if (is_bare(t) ? executor_new(&vmcb_domain, NULL, &executor, &err) : nested_executor_open_on(t->sys, &executor, &err))
		test_error(t, "the case's executor: %s", err.text);
	return executor;
}

/* Why the outcome may be another than the machine's; NULL: it may not. */
static const char *explanation(const struct test *t, const struct executor *executor)
{
	const struct nested_known *known = is_bare(t) ? NULL : nested_executor_explained(executor);

	return known ? known->reason : NULL;
}

void test_vmcb_input(struct test *t, struct check_at at, const char *text)
{
	char what[1536] = "the runs are as expected";
	const char *reason;
	struct executor *executor;
	struct trial trial;
	struct input input;
	struct err err;
	bool holds;

	if (input_parse(text, strlen(text), &input, &err))
		test_error(t, "the case's input: %s", err.text);
	if (input.domain != &vmcb_domain || !input.expect[0])
		test_error(t, "the case's input is not of vmcb, or expects nothing");
	executor = executor_open(t);
	executor->run(executor, &input, &trial);
	if (!is_bare(t) && !nested_executor_has_run(executor))
		test_error(t, "the case's input has no end, and runs on bare only");
	reason = explanation(t, executor);
	holds = reason || executor_expect(executor, &trial, &input, what, sizeof(what));
	test_check_true(t, at, reason ? reason : what, holds);
	test_check_true(t, at, trial.violation[0] ? trial.violation : "no oracle has anything against it", !trial.violation[0]);
	executor_free(executor);
}

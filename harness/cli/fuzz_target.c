/* SPDX-License-Identifier: MIT */
#include "cli/fuzz_target.h"

#include <string.h>

#include "cli/cli.h"
#include "fuzz/nested_executor.h"
#include "fuzz/vmcb_ops.h"

static bool is_nested(const char *target)
{
	return target && (!strcmp(target, "soft-svm") || (!strcmp(target, "kvm") && cli_results_fd >= 0));
}

bool fuzz_target_is(const char *target)
{
	return is_nested(target) || executor_is_target(target);
}

int fuzz_target_open(const struct input_domain *domain, const char *target, struct executor **ret, struct err *err)
{
	if (domain == &vmcb_domain && is_nested(target))
		return nested_executor_open(target, ret, err);
	return executor_new(domain, target, ret, err);
}

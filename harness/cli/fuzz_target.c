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

static bool is_target(const char *target)
{
	return is_nested(target) || executor_is_target(target);
}

int fuzz_target_check(const char *command, const char *target, bool may_danger)
{
	if (target && !is_target(target))
		return usage_error("%s: --target: there is no '%s'", command, target);
	if (!executor_is_dangerous(target) || may_danger)
		return 0;
	return usage_error("%s: --target %s is this kernel's own KVM, which inputs may break: it takes --danger-host-kvm", command,
			   target);
}

int fuzz_target_open(const struct input_domain *domain, const char *target, struct executor **ret, struct err *err)
{
	if (domain == &vmcb_domain && is_nested(target))
		return nested_executor_open(target, ret, err);
	return executor_new(domain, target, ret, err);
}

int fuzz_target_switch(const struct input_domain *domain, const char *target, struct executor **executor, struct err *err)
{
	if (*executor && (*executor)->domain == domain)
		return 0;
	executor_free(*executor);
	*executor = NULL;
	return fuzz_target_open(domain, target, executor, err);
}

/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "err.h"
#include "runner/needs.h"

int cmd_list(int argc, char **argv)
{
	struct registry registry;
	struct plan plan;
	struct args args;
	struct err err;
	size_t i;
	int r = args_parse(&args, argc, argv, ARGS_LIST);

	if (r)
		return r < 0 ? 0 : r;
	if (registry_open(&registry, &err))
		return usage_error("%s", err.text);
	r = plan_open(&plan, &registry, &args.selection, &err);
	for (i = 0; !r && i < plan.nr_items; i++)
		printf("%-44s %s\n", plan.items[i].entry->name, plan.items[i].entry->desc->says);
	if (!r)
		plan_close(&plan);
	registry_close(&registry);
	return r ? usage_error("%s", err.text) : 0;
}

static void must_failed(void *context, const char *what, long error)
{
	(void)context;
	usage_error("%s failed: %ld", what, error);
	_Exit(99);
}

static void print_needs(const struct plan *plan, struct sys *sys)
{
	unsigned int nr_met = 0;
	size_t i;

	for (i = 0; i < plan->nr_items; i++) {
		const struct test_entry *entry = plan->items[i].entry;
		char needs[512], missing[256];

		test_entry_needs(entry, needs, sizeof(needs));
		if (needs_met(needs, sys, missing, sizeof(missing))) {
			nr_met++;
			continue;
		}
		printf("skip  %-44s %s\n", entry->name, missing);
	}
	printf("%u of %zu tests would run\n", nr_met, plan->nr_items);
}

int cmd_needs(int argc, char **argv)
{
	struct registry registry;
	struct plan plan;
	struct args args;
	struct sys sys;
	struct err err;
	int r = args_parse(&args, argc, argv, ARGS_LIST);

	if (r)
		return r < 0 ? 0 : r;
	if (args.run.target && strcmp(args.run.target, "kvm"))
		return usage_error("needs: unknown target '%s' (there is: kvm)", args.run.target);
	if (registry_open(&registry, &err))
		return usage_error("%s", err.text);
	r = plan_open(&plan, &registry, &args.selection, &err);
	if (r)
		goto out_registry;
	r = sys_open(&sys, backend_kvm(), NULL, &err);
	if (r)
		goto out_plan;
	sys.must_failed = must_failed;
	print_needs(&plan, &sys);
	sys_close(&sys);
out_plan:
	plan_close(&plan);
out_registry:
	registry_close(&registry);
	return r ? usage_error("%s", err.text) : 0;
}

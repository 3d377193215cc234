/* SPDX-License-Identifier: MIT */
#include "one_input.h"

#include <stdio.h>
#include <stdlib.h>

#include "err.h"
#include "fuzz/executor.h"

#define TWICE_EVERY 16

/* libFuzzer takes them for coverage: how runs ended. */
__attribute__((used, section("__libfuzzer_extra_counters"))) static uint8_t counters[EXECUTOR_NR_FEATURES];

static struct executor *executor_get(const struct input_domain *domain)
{
	static struct executor *executor;
	struct err err;

	if (executor || !executor_new(domain, NULL, &executor, &err))
		return executor;
	fprintf(stderr, "fuzz_%s: %s\n", domain->name, err.text);
	abort();
}

int one_input(const struct input_domain *domain, const uint8_t *data, size_t len_bytes)
{
	struct executor *executor = executor_get(domain);
	static struct trial trial;
	struct input input;
	unsigned int i;

	if (input_parse((const char *)data, len_bytes, &input, NULL) || input.domain != domain)
		return -1;
	if (len_bytes % TWICE_EVERY)
		executor->run(executor, &input, &trial);
	else
		executor_run_twice(executor, &input, &trial);
	for (i = 0; i < trial.nr_features; i++)
		counters[trial.features[i]] = 1;
	if (!trial.violation[0])
		return 0;
	fprintf(stderr, "fuzz_%s: must not be: %s\n", domain->name, trial.violation);
	abort();
}

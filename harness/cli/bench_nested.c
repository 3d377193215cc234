/* SPDX-License-Identifier: MIT */
/*
 * The nested executor's part of "vmassay bench fuzz": entries of a nested guest in a second, with what is looked at between
 * them, and inputs that have a VM each beside a loop of bare system calls that makes, runs and destroys one.
 */
#include "cli/bench_fuzz.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench_raw.h"
#include "cli/cli.h"
#include "err.h"
#include "fuzz/nested_executor.h"
#include "fuzz/vmcb_ops.h"
#include "runner/job.h"
#include "vm/vm.h"
#include "vm/x86/mode.h"

#define SAMPLE_US 2000000
#define NR_PAIRS 15		/* of batches, each of both sides */
#define NR_VMS 10		/* in one */

static const struct sample {
	const char *name, *text;
} samples[] = {
	{ "nested, golden", "input vmcb\n" },
	{ "nested, refused", "input vmcb\nset asid 0\n" },
	{ "nested, L2 code", "input vmcb\nintercept cpuid off\nl2 cpuid\nl2_mem store 0x30000\nl2_io in8 0x80\n" },
	{ "nested, five runs", "input vmcb\nl2 cpuid\nrun\nskip\nl2 cpuid\nrun\nskip\nl2 cpuid\nrun\nskip\nl2 cpuid\nrun\nskip\n" },
};

static void bench_sample(struct executor *executor, const struct sample *sample)
{
	static struct vmcb_result result;
	struct nested *nested = nested_executor_target(executor);
	uint64_t start, nr = 0, entries, touched[VMCB_NR_PAGES / 64] = { 0 };
	double alone, judged;
	struct trial trial;
	struct input input;
	struct err err;

	if (input_parse(sample->text, strlen(sample->text), &input, &err)) {
		cli_print("bench: %s: %s", sample->name, err.text);
		return;
	}
	entries = nested_counts(nested).nr_entries;
	for (start = clock_us(); clock_us() - start < SAMPLE_US;) {
		nested_run(nested, &input, touched, &result, NULL);
		nested_look_around(nested, &result);
	}
	alone = (double)(nested_counts(nested).nr_entries - entries) * 1e6 / (double)(clock_us() - start);
	for (start = clock_us(); clock_us() - start < SAMPLE_US; nr++)
		executor->run(executor, &input, &trial);
	judged = (double)nr * 1e6 / (double)(clock_us() - start);
	cli_print("%-28s %9.0f entries/s  with the machine's judgement %9.0f inputs/s", sample->name, alone, judged);
}

/* --- a VM for each input --- */

static int raw_loop(struct kvm_cpuid2 *cpuid, unsigned int nr)
{
	struct raw_vm raw;
	int r = 0;

	while (nr-- && !r) {
		r = raw_vm_open(&raw, cpuid);
		if (!r)
			r = raw_vm_run(&raw, 1);
		if (!r)
			raw_vm_close(&raw);
	}
	return r;
}

static int compare_ratios(const void *one, const void *other)
{
	double a = *(const double *)one, b = *(const double *)other;

	return a < b ? -1 : a > b;
}

static int bench_fresh(struct executor *executor, struct kvm_cpuid2 *cpuid)
{
	static struct vmcb_result result;
	struct nested *nested = nested_executor_target(executor);
	double ratios[NR_PAIRS], raw_us = 0, our_us = 0;
	uint64_t touched[VMCB_NR_PAGES / 64] = { 0 };
	struct input golden;
	sigset_t alarms;
	unsigned int i, vm;
	int r = 0;

	input_init(&golden, &vmcb_domain);
	nested_set_fresh(nested, true);
	/* The executor's clock ends calls that a loop of bare ones does not begin again; the golden state needs none. */
	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	sigprocmask(SIG_BLOCK, &alarms, NULL);
	for (i = 0; i < NR_PAIRS && !r; i++) {
		uint64_t start = clock_us(), middle;

		r = raw_loop(cpuid, NR_VMS);
		middle = clock_us();
		for (vm = 0; vm < NR_VMS; vm++) {
			nested_run(nested, &golden, touched, &result, NULL);
			nested_look_around(nested, &result);
		}
		nested_vms_wait(nested);
		ratios[i] = (double)(middle - start) / (double)(clock_us() - middle);
		raw_us += (double)(middle - start);
		our_us += (double)(clock_us() - middle);
	}
	sigprocmask(SIG_UNBLOCK, &alarms, NULL);
	nested_set_fresh(nested, false);
	if (r)
		return r;
	qsort(ratios, NR_PAIRS, sizeof(ratios[0]), compare_ratios);
	cli_print("%-28s %9.2f ms, raw %.2f ms: %.0f %% of the raw rate", "nested, a VM for each", our_us / NR_PAIRS / NR_VMS /
		  1000, raw_us / NR_PAIRS / NR_VMS / 1000, 100 * ratios[NR_PAIRS / 2]);
	return 0;
}

int bench_nested(const char *target)
{
	struct executor *executor;
	struct err err;
	size_t i;
	int r;

	if (nested_executor_open(target, &executor, &err)) {
		cli_print("bench: %s: %s", target, err.text);
		return 99;
	}
	for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
		bench_sample(executor, &samples[i]);
	/* Only the system calls themselves can be called bare. */
	r = strcmp(target, "kvm") ? 0 : bench_fresh(executor, nested_executor_cpuid(executor));
	if (r)
		cli_print("bench: %s", strerror(-r));
	executor_free(executor);
	return r ? 99 : 0;
}

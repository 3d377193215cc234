/* SPDX-License-Identifier: MIT */
/*
 * "vmassay bench": what the harness adds to the system calls it makes, as ratios measured in one run. Batches of both
 * sides alternate, so that a change of clock or load meets both, and the median of the pairs' ratios is what counts.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/bench_fuzz.h"
#include "cli/bench_raw.h"
#include "cli/bench_soft.h"
#include "cli/cli.h"
#include "err.h"
#include "runner/hold.h"
#include "runner/job.h"

#define NR_BATCHES 201
#define BATCH_EXITS 100
#define NR_HELLOS 81
#define TICK_US 4000

struct bench {
	struct kvm_cpuid2 *cpuid;
	const struct test_entry *hello;
	struct hold hold;		/* as in a run */
	double raw[NR_BATCHES], ours[NR_BATCHES];	/* microseconds for one */
};

static int compare_doubles(const void *one, const void *other)
{
	double a = *(const double *)one, b = *(const double *)other;

	return a < b ? -1 : a > b;
}

static double median(double *values, unsigned int nr)
{
	qsort(values, nr, sizeof(*values), compare_doubles);
	return values[nr / 2];
}

/* --- the run loop --- */

/* The run loop of a case: each exit expected whole. */
static int run_expected(struct test *t, unsigned int n)
{
	while (n--)
		if (!expect_pio_out(t, .port = 0x80, .size = 1, .count = 1))
			return -EPROTO;
	return 0;
}

static void publish_nothing(struct test *t)
{
	(void)t;
}

static int bench_exits(struct bench *bench)
{
	static const struct case_desc desc = { .id = "bench", .file = "bench.c", .modes = LONG64 };
	struct sys sys;
	struct vm vm = { .sys = &sys };
	struct vcpu vcpu = { .vm = &vm };
	struct test t = { .desc = &desc, .sys = &sys, .vm = &vm, .vcpu = &vcpu, .mode = LONG64,
			  .publish = publish_nothing };
	struct raw_vm raw;
	unsigned int i;
	int r = raw_vm_open(&raw, bench->cpuid);

	if (!r)
		r = sys_open(&sys, backend_kvm(), NULL, NULL);
	if (r)
		return r;
	vm.fd = raw.vm_fd;
	vm.nr_vcpus = 1;
	vm.slots[0] = (struct slot){ .is_used = true, .bytes = RAW_RAM_BYTES, .hva = raw.ram };
	vcpu.fd = raw.vcpu_fd;
	vcpu.run = raw.run;
	vcpu.report = (uint8_t *)raw.ram + ABI_GPA;
	((struct abi_page *)vcpu.report)->state = ABI_STATE_RUNNING;
	t.result = result_new("bench", "bench", "bench.c");
	for (i = 0; i < NR_BATCHES && !r; i++) {
		uint64_t start = clock_us(), middle;

		r = raw_vm_run(&raw, BATCH_EXITS);
		middle = clock_us();
		if (!r)
			r = run_expected(&t, BATCH_EXITS);
		bench->raw[i] = (double)(middle - start) / BATCH_EXITS;
		bench->ours[i] = (double)(clock_us() - middle) / BATCH_EXITS;
	}
	result_free(t.result);
	sys_close(&sys);
	raw_vm_close(&raw);
	return r;
}

/* --- a whole test --- */

static int run_hello(struct bench *bench)
{
	struct test_setup setup = {
		.entry = bench->hello, .target = "bench", .backend = backend_kvm(), .cpuid = bench->cpuid,
		.is_traced = bench->hold.trace,
	};
	struct result *result;
	enum verdict verdict;
	struct err err;
	struct job job;
	bool is_stuck;
	int r = job_start(&job, &setup, RUN_TIMEOUT_MS * 1000ull, NULL, false, &err);

	if (r)
		return r;
	do {
		struct pollfd fd = { .fd = job.worker.result_fd, .events = POLLIN };

		poll(&fd, 1, RUN_TIMEOUT_MS);
	} while (!job_read(&job));
	result = job_collect(&job, &is_stuck);
	verdict = result->verdict;
	result_free(result);
	return verdict == VERDICT_PASS ? 0 : -EPROTO;
}

/*
 * The end of a VM waits for the kernel's ticks. One that is begun right behind another is always at the same distance
 * from a tick, which makes a part of a millisecond a whole tick more or none: each begins somewhere else.
 */
static void leave_tick(unsigned int i)
{
	usleep(i * 1009 % TICK_US);
}

static int bench_hello(struct bench *bench)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < NR_HELLOS && !r; i++) {
		uint64_t start;

		leave_tick(2 * i);
		start = clock_us();
		r = raw_hello(bench->cpuid);
		bench->raw[i] = clock_us() - start;
		leave_tick(2 * i + 1);
		start = clock_us();
		if (!r)
			r = run_hello(bench);
		bench->ours[i] = clock_us() - start;
	}
	return r;
}

/* --- the command --- */

static void print_ratio(const char *what, struct bench *bench, unsigned int nr)
{
	double ratios[NR_BATCHES];
	unsigned int i;

	for (i = 0; i < nr; i++)
		ratios[i] = bench->ours[i] / bench->raw[i];
	cli_print("%-24s raw %9.2f us  vmassay %9.2f us  ratio %.3f", what, median(bench->raw, nr),
		  median(bench->ours, nr), median(ratios, nr));
}

static void must_failed(void *context, const char *what, long error)
{
	(void)context;
	cli_print("bench: %s: %s", what, strerror(-error));
	exit(99);
}

static int bench_all(struct bench *bench)
{
	int r = bench_exits(bench);

	if (r)
		return r;
	print_ratio("exit to user space", bench, NR_BATCHES);
	r = bench_hello(bench);
	if (!r)
		print_ratio("hello, a whole test", bench, NR_HELLOS);
	return r;
}

/* Inside a lab, of what it is there for. */
static int bench_fuzz_all(void)
{
	int r = cli_results_fd < 0 ? bench_fuzz() : 0;

	return r ? r : bench_nested(cli_results_fd < 0 ? "soft-svm" : "kvm");
}

int cmd_bench(int argc, char **argv)
{
	struct bench bench = { 0 };
	struct registry registry;
	struct sys sys;
	struct err err;
	int r;

	if (argc > 1 && !strcmp(argv[1], "--help")) {
		printf("usage: vmassay bench\n       vmassay lab svm bench\n       vmassay bench fuzz|soft\n       vmassay lab svm bench fuzz\n\nPrints what an exit and "
		       "a whole test cost beside the bare system calls; with fuzz, how many\ninputs a core runs in a second, "
		       "without any KVM; with soft, what the self-contained\nhypervisor costs.\n");
		return 0;
	}
	if (argc == 2 && !strcmp(argv[1], "fuzz"))
		return bench_fuzz_all();
	if (argc == 2 && !strcmp(argv[1], "soft"))
		return bench_soft();
	if (argc > 1)
		return usage_error("bench: takes no '%s'", argv[1]);
	if (!host_has_kvm())
		return usage_error("bench: no KVM on virtualisation hardware here; try 'vmassay lab svm bench'");
	if (registry_open(&registry, &err) || sys_open(&sys, backend_kvm(), NULL, &err))
		return usage_error("%s", err.text);
	sys.must_failed = must_failed;
	bench.cpuid = sys_supported_cpuid(&sys);
	bench.hello = registry_canary(&registry);
	hold_open(&bench.hold, &sys);
	r = bench.hello ? bench_all(&bench) : -ENOENT;
	if (r)
		cli_print("bench: %s", strerror(-r));
	hold_close(&bench.hold);
	free(bench.cpuid);
	sys_close(&sys);
	registry_close(&registry);
	return r ? 99 : 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Runs a plan: each test in a process of its own, or where that may be in one behind others (worker.h); several at once;
 * results to the sinks.
 *
 * Taking down a VM is waiting, mostly: the kernel lets every CPU pass through a quiescent state, which takes several of
 * its ticks. So, for each test that runs, another may be at that: it has done all else, and is not counted. Where
 * processes are shared, nothing waits for a tick.
 */
#ifndef VMASSAY_RUNNER_H
#define VMASSAY_RUNNER_H

#include <signal.h>

#include "backend/backend.h"
#include "kernel_log.h"
#include "reports/sink.h"
#include "runner/plan.h"

struct sys;

struct run_options {
	const char *target;
	const struct backend *backend;
	unsigned int nr_jobs;		/* 0: 1 */
	unsigned int timeout_ms;	/* of a test; 0: RUN_TIMEOUT_MS; a case's own is kept when longer */
	uint64_t seed;
	bool is_recorded;		/* note what each test meets of the interface: result.met */
	bool fail_fast;			/* start nothing after the first FAIL or ERROR */
	bool shares_processes;		/* the target is in the process: a worker runs one test after the other */
	bool is_alone;			/* start nothing while VMs of a test before are taken down */
	const char *kmsg;		/* "/dev/kmsg": what the kernel says belongs to the results; NULL: it does not */
	bool owns_kernel;		/* the kernel is there for these tests alone: whatever it reports is about them */
	enum kernel_report leave_at;	/* leave the rest to a fresh kernel when this one reports so much; 0: never */
	const volatile sig_atomic_t *is_interrupted;	/* stop soon and report what there is; may be NULL */
};

#define RUN_TIMEOUT_MS 10000

/* The sinks of a run; NULL-terminated, at most this many. */
#define RUN_MAX_SINKS 5

/*
 * The canary first: when it fails, every test of the plan is an ERROR that says so. *@ret_summary counts what was
 * reported. 0, RUN_LEFT when tests are left to a fresh kernel (see leave_at; what ran then has no result), or -errno
 * when the run could not begin at all.
 */
#define RUN_LEFT 1

int run_plan(const struct plan *plan, const struct registry *registry, const struct run_options *options,
	     struct sink *const *sinks, struct summary *ret_summary, struct err *err);

/* Sink calls for a list of them; also used for results that come from a lab. */
void sinks_run_begin(struct sink *const *sinks, const struct run_info *info);
void sinks_test_begin(struct sink *const *sinks, const char *test, const char *target, unsigned int round);
void sinks_test_end(struct sink *const *sinks, const struct result *result);
void sinks_run_end(struct sink *const *sinks, const struct summary *summary);
void sinks_target_begin(struct sink *const *sinks, const char *target, struct json_object *facts);
void sinks_comparison(struct sink *const *sinks, const struct compare *compare);

/*
 * The first of the list (may be NULL) that speaks of this target and kernel, and whose needs are met; NULL when none
 * does. @kernel is a release as uname has it.
 */
const struct known *known_find(const struct known *known, const char *target, const char *kernel, struct sys *sys);

/* FAIL becomes KNOWN where a finding says so, and a PASS there a FAIL. @known: what was found, may be NULL. */
void apply_known(struct result *result, const struct known *known);

/* The host's and the target's facts, an object that the caller puts: cpu, microcode, kernel, kvm, parameters, caps. */
struct json_object *facts_read(const struct backend *backend, const char *target);

#endif

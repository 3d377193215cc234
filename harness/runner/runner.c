/* SPDX-License-Identifier: MIT */
#include "runner/runner.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "err.h"
#include "runner/blame.h"
#include "runner/hold.h"
#include "runner/job.h"
#include "runner/kmsg.h"
#include "runner/needs.h"
#include "runner/variables.h"
#include "vm/x86/mode.h"

struct run {
	const struct plan *plan;
	const struct run_options *options;
	struct sink *const *sinks;
	struct summary summary;
	struct utsname uts;
	struct hold hold;
	struct sys sys;			/* for needs, and what it learns about CPUID */
	const struct test_entry *canary;
	char blocked[600];		/* not empty: nothing can run, and why */
	size_t next;			/* of plan->items */
	struct job *jobs;
	unsigned int nr_jobs;		/* running */
	bool workers_stay;
	struct worker *free_workers;
	unsigned int nr_free_workers;
	struct kmsg kmsg;
	bool is_stopping;
	bool is_leaving;		/* the kernel is not to be trusted any more */
};

/* --- sinks --- */

void sinks_run_begin(struct sink *const *sinks, const struct run_info *info)
{
	for (; *sinks; sinks++)
		(*sinks)->ops->run_begin(*sinks, info);
}

void sinks_test_begin(struct sink *const *sinks, const char *test, const char *target, unsigned int round)
{
	for (; *sinks; sinks++)
		(*sinks)->ops->test_begin(*sinks, test, target, round);
}

void sinks_test_end(struct sink *const *sinks, const struct result *result)
{
	for (; *sinks; sinks++)
		(*sinks)->ops->test_end(*sinks, result);
}

void sinks_run_end(struct sink *const *sinks, const struct summary *summary)
{
	for (; *sinks; sinks++)
		(*sinks)->ops->run_end(*sinks, summary);
}

void sinks_target_begin(struct sink *const *sinks, const char *target, struct json_object *facts)
{
	for (; *sinks; sinks++)
		if ((*sinks)->ops->target_begin)
			(*sinks)->ops->target_begin(*sinks, target, facts);
}

void sinks_comparison(struct sink *const *sinks, const struct compare *compare)
{
	for (; *sinks; sinks++)
		if ((*sinks)->ops->comparison)
			(*sinks)->ops->comparison(*sinks, compare);
}

/* --- one result --- */

static const struct known *known_of(struct run *run, const struct test_entry *entry)
{
	return known_find(test_entry_known(entry), run->options->target, run->uts.release, &run->sys);
}

/* What names no target is KVM's: a hypervisor in process may do as KVM does, or as the manual says. */
static bool is_kvms_own(struct run *run, const struct known *known)
{
	return known && !known->targets && run->sys.backend && run->sys.backend->module;
}

static void report(struct run *run, const struct test_entry *entry, struct result *result)
{
	const struct known *known = known_of(run, entry);

	if (result->verdict != VERDICT_PASS || !is_kvms_own(run, known))
		apply_known(result, known);
	run->summary.count[result->verdict]++;
	if (run->options->fail_fast && result->verdict >= VERDICT_ERROR)
		run->is_stopping = true;
	sinks_test_end(run->sinks, result);
	result_free(result);
}

/* A result for a test that is not started. */
static void report_without_run(struct run *run, const struct plan_item *item, enum verdict verdict,
			       const char *reason)
{
	struct result *result = result_new(item->entry->name, run->options->target, item->entry->file);

	result->round = item->round;
	result_worsen(result, verdict, reason);
	sinks_test_begin(run->sinks, item->entry->name, run->options->target, item->round);
	report(run, item->entry, result);
}

/* --- starting --- */

static uint64_t timeout_us(struct run *run, const struct test_entry *entry)
{
	unsigned int timeout_ms = run->options->timeout_ms ? run->options->timeout_ms : RUN_TIMEOUT_MS;

	if (entry->desc->timeout_ms > timeout_ms)
		timeout_ms = entry->desc->timeout_ms;
	/* What is known to hang shall not cost every run the whole of its time. */
	if (known_of(run, entry))
		timeout_ms /= 8;
	return timeout_ms * 1000ull;
}

/* @worker: NULL: a new one. */
static int start_in(struct run *run, struct job *job, const struct worker *worker, const struct test_entry *entry,
		    unsigned int round, struct err *err)
{
	struct test_setup setup = {
		.entry = entry,
		.target = run->options->target,
		.backend = run->options->backend,
		.cpuid = run->sys.cpuid,
		.seed = test_seed(run->options->seed, entry->name, round),
		.round = round,
		.is_traced = run->hold.trace,
		.is_recorded = run->options->is_recorded,
	};

	/* What was said since the last test ended may be its late consequence, or else nobody would tell it. */
	uint64_t from = kmsg_now(&run->kmsg);
	int r = job_start(job, &setup, timeout_us(run, entry), worker, run->workers_stay, err);

	job->kmsg_from = job->judged_until = from;
	return r;
}

static int start(struct run *run, struct job *job, const struct test_entry *entry, unsigned int round,
		 struct err *err)
{
	const struct worker *worker = run->nr_free_workers ? &run->free_workers[--run->nr_free_workers] : NULL;

	return start_in(run, job, worker, entry, round, err);
}

/* Starts the next test of the plan, or reports it at once when it cannot run. */
static void start_next(struct run *run)
{
	const struct plan_item *item = &run->plan->items[run->next++];
	const struct known *known = known_of(run, item->entry);
	char needs[512], missing[256];
	struct err err;

	if (item->entry == run->canary && item->round == 0)
		return;		/* has been run and reported */
	if (run->blocked[0]) {
		report_without_run(run, item, VERDICT_ERROR, run->blocked);
		return;
	}
	test_entry_needs(item->entry, needs, sizeof(needs));
	if (needs_parse(needs, &err)) {
		report_without_run(run, item, VERDICT_ERROR, err.text);
		return;
	}
	if (!needs_met(needs, &run->sys, missing, sizeof(missing))) {
		report_without_run(run, item, VERDICT_SKIP, missing);
		return;
	}
	if (known && known->is_skipped) {
		snprintf(missing, sizeof(missing), "not run on this target: reports/findings/%s.md", known->finding);
		report_without_run(run, item, VERDICT_SKIP, missing);
		return;
	}
	sinks_test_begin(run->sinks, item->entry->name, run->options->target, item->round);
	if (start(run, &run->jobs[run->nr_jobs], item->entry, item->round, &err)) {
		struct result *result = result_new(item->entry->name, run->options->target, item->entry->file);

		result->round = item->round;
		result_worsen(result, VERDICT_ERROR, err.text);
		report(run, item->entry, result);
		return;
	}
	run->nr_jobs++;
}

/* --- waiting --- */

static int poll_timeout_ms(const struct run *run)
{
	uint64_t now = clock_us(), due = UINT64_MAX;
	unsigned int i;

	for (i = 0; i < run->nr_jobs; i++)
		if (run->jobs[i].kick_us < due)
			due = run->jobs[i].kick_us;
	if (due == UINT64_MAX)
		return 1000;
	return due <= now ? 0 : (due - now) / 1000 + 1;
}

/* --- what the kernel said --- */

static void leave_if(struct run *run, enum kernel_report report)
{
	if (run->options->leave_at && report >= run->options->leave_at)
		run->is_leaving = true;
}

/* Those that run now cannot be told from @job by the report. */
static void suspect_all(struct run *run, struct job *job)
{
	unsigned int i;

	job->nr_suspects = run->nr_jobs + 1;
	for (i = 0; i < run->nr_jobs; i++)
		run->jobs[i].nr_suspects = job->nr_suspects;
}

/* Somebody answers for what was said until now. */
static void clear_others(struct run *run)
{
	unsigned int i;

	for (i = 0; i < run->nr_jobs; i++)
		run->jobs[i].judged_until = kmsg_now(&run->kmsg);
}

/* @job has ended, and is not among run->jobs any more. */
static void judge_kernel(struct run *run, struct job *job, struct result *result)
{
	struct kernel_words words;
	enum blame blame;

	kmsg_read(&run->kmsg);
	result_add_dmesg(result, kmsg_since(&run->kmsg, job->kmsg_from));
	kernel_text_read(kmsg_since(&run->kmsg, job->judged_until), &words);
	blame = blame_find(&words, job, run->jobs, run->nr_jobs, run->options->owns_kernel);
	if (blame == BLAME_ALL && !job->nr_suspects)
		suspect_all(run, job);
	if (blame == BLAME_ONE && !job->nr_suspects)
		clear_others(run);
	if (blame != BLAME_NONE) {
		result_blame(result, VERDICT_FAIL, words.headline, job->nr_suspects);
		leave_if(run, words.worst);
	}
}

/* What no running test will ask for. */
static void forget(struct run *run)
{
	uint64_t until = kmsg_now(&run->kmsg);
	unsigned int i;

	for (i = 0; i < run->nr_jobs; i++)
		if (run->jobs[i].kmsg_from < until)
			until = run->jobs[i].kmsg_from;
	kmsg_forget(&run->kmsg, until);
}

/* Ends a test that the kernel's report accuses, too, and that shall not go on. */
static void report_suspect(struct run *run, struct job *job)
{
	const struct test_entry *entry = job->setup.entry;
	struct result *result = result_new(entry->name, run->options->target, entry->file);
	struct kernel_words words;

	result->round = job->setup.round;
	kernel_text_read(kmsg_since(&run->kmsg, job->judged_until), &words);
	result_add_dmesg(result, kmsg_since(&run->kmsg, job->kmsg_from));
	result_blame(result, VERDICT_FAIL, words.headline, job->nr_suspects);
	job_abandon(job);
	report(run, entry, result);
}

static void worker_put(struct run *run, const struct job *job)
{
	if (job->is_free)
		run->free_workers[run->nr_free_workers++] = job->worker;
}

/*
 * True when @job, which did not pass behind others in its process, has been started again in one of its own: only that
 * accuses the test.
 */
static bool is_tried_again(struct run *run, const struct job *job, struct result *result)
{
	struct job *again = &run->jobs[run->nr_jobs];
	struct err err;

	if (job->worker.nr_tests == 1 || result->verdict == VERDICT_PASS)
		return false;
	if (start_in(run, again, NULL, job->setup.entry, job->setup.round, &err))
		return false;
	again->is_again = true;
	run->nr_jobs++;
	result_free(result);
	return true;
}

static void collect(struct run *run, unsigned int index)
{
	struct job job = run->jobs[index];
	struct result *result;
	bool is_stuck;

	run->jobs[index] = run->jobs[--run->nr_jobs];
	result = job_collect(&job, &is_stuck);
	worker_put(run, &job);
	judge_kernel(run, &job, result);
	forget(run);
	if (is_stuck)
		leave_if(run, KERNEL_OOPSES);
	if (is_tried_again(run, &job, result))
		return;
	if (job.is_again && result->verdict == VERDICT_PASS)
		result_add_note(result, &(struct note){ .kind = NOTE_MESSAGE,
				.text = "did not pass behind other tests in one process; passes in its own" });
	report(run, job.setup.entry, result);
}

/* A killed process that is stuck in the kernel keeps its pipe open: it is collected without EOF. */
static bool is_beyond_hope(const struct job *job)
{
	return job->kick_us == UINT64_MAX && job->nr_kicks > 1;
}

static bool has_news(const struct pollfd *fds)
{
	return fds[0].revents || fds[1].revents;
}

static void wait_for_jobs(struct run *run, struct pollfd *fds)
{
	unsigned int i;

	for (i = 0; i < run->nr_jobs; i++)
		job_poll_fds(&run->jobs[i], fds + i * JOB_NR_FDS);
	poll(fds, run->nr_jobs * JOB_NR_FDS, poll_timeout_ms(run));
	/* Downwards: collect() moves the last job into the place of the one that ended. */
	for (i = run->nr_jobs; i-- > 0;) {
		if (has_news(fds + i * JOB_NR_FDS) && job_read(&run->jobs[i]))
			collect(run, i);
		else if (is_beyond_hope(&run->jobs[i]))
			collect(run, i);
		else if (clock_us() >= run->jobs[i].kick_us)
			job_hurry(&run->jobs[i]);
	}
}

static bool is_interrupted(const struct run *run)
{
	return run->options->is_interrupted && *run->options->is_interrupted;
}

/* True when the next test, or one that runs, is not to have company. */
static bool wants_alone(const struct run *run)
{
	unsigned int i;

	for (i = 0; i < run->nr_jobs; i++)
		if (run->jobs[i].setup.entry->desc->alone)
			return true;
	return run->plan->items[run->next].entry->desc->alone;
}

/* True when the next test, there is one, may run beside those that do. */
static bool has_room(const struct run *run)
{
	const struct run_options *options = run->options;
	unsigned int i, nr_closing = 0, nr_max = options->nr_jobs ? options->nr_jobs : 1;

	if (run->nr_jobs && wants_alone(run))
		return false;
	if (options->is_alone || options->fail_fast || run->workers_stay)
		return run->nr_jobs < nr_max;
	for (i = 0; i < run->nr_jobs; i++)
		nr_closing += run->jobs[i].is_closing;
	return run->nr_jobs - nr_closing < nr_max && run->nr_jobs < 2 * nr_max;
}

static int run_items(struct run *run)
{
	unsigned int nr_jobs = 2 * (run->options->nr_jobs ? run->options->nr_jobs : 1);
	struct pollfd *fds = calloc(nr_jobs * JOB_NR_FDS, sizeof(*fds));

	run->jobs = calloc(nr_jobs, sizeof(*run->jobs));
	if (!fds || !run->jobs) {
		free(fds);
		free(run->jobs);
		return -ENOMEM;
	}
	/* Where nothing can run, there is nothing to leave. */
	while (!is_interrupted(run) && (!run->is_leaving || run->blocked[0])) {
		while (run->next < run->plan->nr_items && has_room(run) && !run->is_stopping)
			start_next(run);
		if (!run->nr_jobs)
			break;
		wait_for_jobs(run, fds);
	}
	while (run->nr_jobs) {
		struct job *job = &run->jobs[--run->nr_jobs];

		if (run->is_leaving && job->nr_suspects)
			report_suspect(run, job);
		else
			job_abandon(job);
	}
	free(fds);
	free(run->jobs);
	return 0;
}

/* --- the canary --- */

static bool is_planned(const struct plan *plan, const struct test_entry *entry)
{
	size_t i;

	for (i = 0; i < plan->nr_items; i++)
		if (plan->items[i].entry == entry && plan->items[i].round == 0)
			return true;
	return false;
}

static const char *why(const struct result *result)
{
	size_t i;

	for (i = 0; i < result->nr_notes; i++)
		if (result->notes[i].text &&
		    (result->notes[i].kind == NOTE_REASON || result->notes[i].kind == NOTE_CHECK))
			return result->notes[i].text;
	return verdict_name(result->verdict);
}

static void run_canary(struct run *run)
{
	struct job job;
	struct result *result;
	struct err err;
	bool planned = is_planned(run->plan, run->canary), is_stuck;

	if (planned)
		sinks_test_begin(run->sinks, run->canary->name, run->options->target, 0);
	if (start(run, &job, run->canary, 0, &err)) {
		result = result_new(run->canary->name, run->options->target, run->canary->file);
		result_worsen(result, VERDICT_ERROR, err.text);
	} else {
		struct pollfd fds[JOB_NR_FDS];
		struct run one = { .jobs = &job, .nr_jobs = 1 };

		job_poll_fds(&job, fds);
		while (!is_interrupted(run)) {
			if (poll(fds, JOB_NR_FDS, poll_timeout_ms(&one)) > 0 && job_read(&job))
				break;
			if (is_beyond_hope(&job))
				break;
			if (clock_us() >= job.kick_us)
				job_hurry(&job);
		}
		if (is_interrupted(run)) {
			job_abandon(&job);
			return;
		}
		result = job_collect(&job, &is_stuck);
		worker_put(run, &job);
		judge_kernel(run, &job, result);
		forget(run);
	}
	if (result->verdict != VERDICT_PASS) {
		snprintf(run->blocked, sizeof(run->blocked), "the environment is broken: canary %s: %s",
			 verdict_name(result->verdict), why(result));
		result->verdict = VERDICT_ERROR;
	}
	if (planned)
		report(run, run->canary, result);
	else
		result_free(result);
}

/* --- the run --- */

static void workers_open(struct run *run)
{
	unsigned int nr_jobs = run->options->nr_jobs ? run->options->nr_jobs : 1;

	run->free_workers = calloc(2 * nr_jobs + 1, sizeof(*run->free_workers));
	run->workers_stay = run->options->shares_processes && run->free_workers && !variables_keep();
}

static void workers_close(struct run *run)
{
	while (run->nr_free_workers)
		worker_end(&run->free_workers[--run->nr_free_workers]);
	free(run->free_workers);
}

/* What needs are answered from. Where not even that can be had, no test is started: all of them say why. */
static void open_system(struct run *run)
{
	struct err err;
	int r = sys_open(&run->sys, run->options->backend, NULL, &err);

	if (!r) {
		r = sys_supported_cpuid_try(&run->sys, &run->sys.cpuid);
		err_set(&err, -r, "KVM_GET_SUPPORTED_CPUID: %s", strerror(-r));
	}
	if (r)
		snprintf(run->blocked, sizeof(run->blocked), "the environment is broken: %s", err.text);
}

int run_plan(const struct plan *plan, const struct registry *registry, const struct run_options *options,
	     struct sink *const *sinks, struct summary *ret_summary, struct err *err)
{
	struct run run = { .plan = plan, .options = options, .sinks = sinks };
	struct run_info info = { .target = options->target, .nr_planned = plan->nr_items, .seed = options->seed };
	uint64_t start_us = clock_us();
	int r;

	uname(&run.uts);
	info.facts = facts_read(options->backend, options->target);
	sinks_run_begin(sinks, &info);
	json_object_put(info.facts);
	open_system(&run);
	if (!run.blocked[0])
		run.canary = registry_canary(registry);
	if (!run.blocked[0])
		hold_open(&run.hold, &run.sys);
	/* What it said before is about no test. */
	kmsg_open(&run.kmsg, options->kmsg);
	workers_open(&run);
	if (run.canary)
		run_canary(&run);
	r = run_items(&run);
	workers_close(&run);
	if (r)
		err_set(err, -r, "cannot run tests: %s", strerror(-r));
	kmsg_close(&run.kmsg);
	/* A kernel with locks held by the dead may never come back from it; this process ends now anyway. */
	if (!run.is_leaving)
		hold_close(&run.hold);
	sys_close(&run.sys);
	run.summary.duration_us = clock_us() - start_us;
	sinks_run_end(sinks, &run.summary);
	*ret_summary = run.summary;
	return r ? r : run.is_leaving ? RUN_LEFT : 0;
}

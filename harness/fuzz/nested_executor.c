/* SPDX-License-Identifier: MIT */
#include "fuzz/nested_executor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "err.h"
#include "fuzz/expect.h"
#include "fuzz/nested_differ.h"
#include "fuzz/vmcb_machine.h"
#include "fuzz/vmcb_ops.h"
#include "soft/soft.h"
#include "vm/vm.h"

#define TICK_US 20000
#define MAX_KNOWN 128

struct nested_executor {
	struct executor executor;	/* first: the functions find the rest behind it */
	struct soft *soft;		/* NULL: /dev/kvm */
	struct sys own_sys, *sys;
	struct nested *nested;
	struct vmcb_machine *machine;
	struct vmcb_result want, got;
	struct vmcb want_after[VMCB_MAX_RUNS];
	struct nested_trace trace;
	struct nested_judgement judgement;
	uint64_t known[MAX_KNOWN];
};

/* --- a clock for those that do not come back --- */

/* The signal has no other way to it. */
static struct nested *ticking;

static void on_alarm(int number)
{
	(void)number;
	if (ticking)
		nested_tick(ticking);
}

/* What runs in this process is given its own time, so that others that run do not end it. */
static void clock_start(struct nested *nested, bool is_soft)
{
	/* KVM_RUN ends all the same; what is written to a port is not cut short. */
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct itimerval timer = { { 0, TICK_US }, { 0, TICK_US } };

	ticking = nested;
	sigaction(SIGALRM, &action, NULL);
	sigaction(SIGPROF, &action, NULL);
	setitimer(is_soft ? ITIMER_PROF : ITIMER_REAL, &timer, NULL);
}

static void clock_stop(void)
{
	struct itimerval timer = { 0 };

	setitimer(ITIMER_REAL, &timer, NULL);
	setitimer(ITIMER_PROF, &timer, NULL);
	ticking = NULL;
}

/* --- running --- */

static bool is_endless(const struct vmcb_result *result)
{
	return result->nr_runs && result->runs[result->nr_runs - 1].end == VMCB_END_BUDGET;
}

/* Whether the comparison came to its end. */
static bool has_same_end(const struct nested_executor *of)
{
	unsigned int i;

	for (i = 0; i < of->got.nr_runs && i < of->want.nr_runs; i++)
		if (of->got.runs[i].end != of->want.runs[i].end || of->got.runs[i].end == VMCB_END_UNIMPLEMENTED)
			return false;
	return true;
}

static void judge(struct nested_executor *of, const struct input *input)
{
	struct nested_side want = { &of->want, of->want_after, vmcb_machine_ram(of->machine) };
	struct nested_side got = { &of->got, of->trace.after, nested_ram(of->nested) };

	nested_differ(input, &want, &got, of->trace.before, vmcb_machine_changed(of->machine), &of->judgement);
	if (of->judgement.known)
		of->known[nested_known_index(of->judgement.known)]++;
	if (of->judgement.is_whole && has_same_end(of))
		nested_look_around(of->nested, &of->got);
	if (of->judgement.verdict != NESTED_SAME || !has_same_end(of))
		nested_suspect_all(of->nested);
}

/* Known differences are something that an input can show, too. */
static void features_take(const struct nested_executor *of, struct trial *trial)
{
	trial->nr_features = vmcb_result_features(&of->got, trial->features);
	if (of->judgement.known)
		trial->features[trial->nr_features++] = (uint16_t)(0x8000 + nested_known_index(of->judgement.known));
}

static void executor_run(struct executor *executor, const struct input *input, struct trial *trial)
{
	struct nested_executor *of = (struct nested_executor *)executor;
	unsigned int i;

	*trial = (struct trial){ .nr_lines = 1 };
	of->judgement = (struct nested_judgement){ NESTED_SAME };
	of->got.nr_runs = 0;
	vmcb_machine_run(of->machine, input, &of->want);
	/* It would take the clock to end it. */
	if (is_endless(&of->want))
		return;
	nested_run(of->nested, input, vmcb_machine_changed(of->machine), &of->got, &of->trace);
	judge(of, input);
	features_take(of, trial);
	trial->nr_lines = of->got.nr_runs + 1;
	for (i = 0; i < of->got.nr_runs; i++)
		trial->is_cut |= of->got.runs[i].end == VMCB_END_BUDGET;
	if (of->got.violation[0])
		snprintf(trial->violation, sizeof(trial->violation), "%s", of->got.violation);
	else if (of->judgement.verdict == NESTED_DIFFERS)
		snprintf(trial->violation, sizeof(trial->violation), "%s", of->judgement.text);
}

static size_t judgement_print(const struct nested_executor *of, char *buf, size_t len_bytes)
{
	const struct nested_known *known = of->judgement.known;

	if (is_endless(&of->want))
		return (size_t)snprintf(buf, len_bytes, "not run: on the machine it has no end");
	if (of->judgement.verdict == NESTED_DIFFERS)
		return (size_t)snprintf(buf, len_bytes, "differs: %s", of->judgement.text);
	if (known)
		return (size_t)snprintf(buf, len_bytes, "known=%s %s", known->id, known->reason);
	return (size_t)snprintf(buf, len_bytes, "same");
}

static size_t executor_line(const struct executor *executor, unsigned int n, char *buf, size_t len_bytes)
{
	const struct nested_executor *of = (const struct nested_executor *)executor;

	if (n < of->got.nr_runs)
		return vmcb_outcome_print(&of->got.runs[n], buf, len_bytes);
	return judgement_print(of, buf, len_bytes);
}

/* Nobody but the machine has every feature that an expectation may be about. */
static const char *executor_excuse(const struct executor *executor, unsigned int n, const char *word, size_t len)
{
	const struct nested_executor *of = (const struct nested_executor *)executor;
	char line[EXPECT_LINE_BYTES];

	if (of->judgement.known)
		return of->judgement.known->id;
	if (n >= of->want.nr_runs)
		return NULL;
	vmcb_outcome_print(&of->want.runs[n], line, sizeof(line));
	return expect_has_word(line, word, len) ? NULL : "cpu";
}

/* --- making --- */

static void nested_executor_free(struct executor *executor)
{
	struct nested_executor *of = (struct nested_executor *)executor;

	if (of->nested && ticking == of->nested)
		clock_stop();
	vmcb_machine_free(of->machine);
	nested_close(of->nested);
	sys_close(&of->own_sys);
	soft_destroy(of->soft);
	free(of);
}

static void must_failed(void *context, const char *what, long error)
{
	(void)context;
	fprintf(stderr, "vmassay: fuzz: %s: %s\n", what, strerror((int)-error));
	exit(99);
}

static int target_open(struct nested_executor *of, const char *target, struct err *err)
{
	bool is_soft = !strcmp(target, "soft-svm");
	int r = is_soft ? soft_create(&of->soft) : 0;

	if (r)
		return err_set(err, -r, "soft-svm: %s", strerror(-r));
	r = sys_open(&of->own_sys, is_soft ? soft_backend(of->soft) : backend_kvm(), NULL, err);
	if (r)
		return r;
	of->own_sys.must_failed = must_failed;
	of->sys = &of->own_sys;
	return 0;
}

static int both_open(struct nested_executor *of, struct err *err)
{
	const struct machine_cpuid *cpuid;
	size_t nr;
	int r = nested_open(of->sys, &of->nested, err);

	if (r)
		return r;
	cpuid = nested_cpuid(of->nested, &nr);
	of->machine = vmcb_machine_new_with(cpuid, nr);
	if (!of->machine)
		return err_set(err, ENOMEM, "%s", strerror(ENOMEM));
	vmcb_machine_keep(of->machine, of->want_after);
	return 0;
}

static struct nested_executor *nested_executor_new(const char *target)
{
	struct nested_executor *of = calloc(1, sizeof(*of));

	if (!of)
		return NULL;
	of->executor = (struct executor){
		.domain = &vmcb_domain, .target = target, .run = executor_run, .line = executor_line,
		.excuse = executor_excuse, .free = nested_executor_free,
	};
	return of;
}

int nested_executor_open(const char *target, struct executor **ret, struct err *err)
{
	struct nested_executor *of = nested_executor_new(target);
	int r;

	if (!of)
		return err_set(err, ENOMEM, "%s", strerror(ENOMEM));
	r = target_open(of, target, err);
	if (!r)
		r = both_open(of, err);
	if (r) {
		nested_executor_free(&of->executor);
		return r;
	}
	/* A kernel that runs elsewhere is not to be watched so; without breakpoints it is not, either. */
	if (of->soft)
		nested_watch_fetches(of->nested);
	clock_start(of->nested, of->soft);
	*ret = &of->executor;
	return 0;
}

int nested_executor_open_on(struct sys *sys, struct executor **ret, struct err *err)
{
	struct nested_executor *of = nested_executor_new(sys->backend->name);
	int r;

	if (!of)
		return err_set(err, ENOMEM, "%s", strerror(ENOMEM));
	of->sys = sys;
	r = both_open(of, err);
	if (r)
		nested_executor_free(&of->executor);
	else
		*ret = &of->executor;
	return r;
}

struct nested *nested_executor_target(struct executor *executor)
{
	return ((struct nested_executor *)executor)->nested;
}

struct kvm_cpuid2 *nested_executor_cpuid(struct executor *executor)
{
	return ((struct nested_executor *)executor)->sys->cpuid;
}

const struct nested_known *nested_executor_explained(const struct executor *executor)
{
	return ((const struct nested_executor *)executor)->judgement.known;
}

bool nested_executor_has_run(const struct executor *executor)
{
	return !is_endless(&((const struct nested_executor *)executor)->want);
}

const uint64_t *nested_executor_known(const struct executor *executor)
{
	return ((const struct nested_executor *)executor)->known;
}

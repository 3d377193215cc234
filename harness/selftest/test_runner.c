/* SPDX-License-Identifier: MIT */
/*
 * Runs of hand-made cases on the fake backend, each in its process: every way a test can end has its verdict and its
 * reason, and the runner is left as it was.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "err.h"
#include "here.h"
#include "runner/job.h"
#include "runner/runner.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_TESTS 128
#define MAX_EVENTS 512

/* What the cases' processes and the tests share. */
static struct shared {
	pid_t pids[8];
	unsigned int nr_started;
	unsigned int nr_now;
	unsigned int nr_at_once;	/* the most ever */
} *shared;

/* --- a sink that remembers --- */

struct event {
	char kind;		/* 'r'un, 's'tart, 't'est result, 'e'nd */
	char test[64];
	unsigned int round;
	struct result *result;
};

struct recorder {
	struct sink sink;
	struct event events[MAX_EVENTS];
	unsigned int nr_events;
	unsigned int nr_planned;
	volatile sig_atomic_t is_interrupted;
	unsigned int interrupt_after;	/* this many results; 0: never */
	unsigned int nr_results;
	bool starves;		/* no descriptor is left for a test */
	struct rlimit limit;
};

static struct event *event_add(struct sink *sink, char kind)
{
	struct recorder *self = (struct recorder *)sink;

	assert_true(self->nr_events < MAX_EVENTS);
	self->events[self->nr_events] = (struct event){ .kind = kind };
	return &self->events[self->nr_events++];
}

static void on_run_begin(struct sink *sink, const struct run_info *info)
{
	event_add(sink, 'r');
	((struct recorder *)sink)->nr_planned = info->nr_planned;
}

static void starve(struct recorder *self)
{
	struct rlimit none;

	if (!self->starves)
		return;
	getrlimit(RLIMIT_NOFILE, &self->limit);
	none = self->limit;
	none.rlim_cur = 3;
	setrlimit(RLIMIT_NOFILE, &none);
}

static void on_test_begin(struct sink *sink, const char *test, const char *target, unsigned int round)
{
	struct event *event = event_add(sink, 's');

	assert_string_equal(target, "fake");
	snprintf(event->test, sizeof(event->test), "%s", test);
	event->round = round;
	starve((struct recorder *)sink);
}

/* A result outlives the call: copied through the format it travels in. */
static void on_test_end(struct sink *sink, const struct result *result)
{
	struct recorder *self = (struct recorder *)sink;
	struct event *event = event_add(sink, 't');
	struct result *copy = result_new(result->test, result->target, result->file);
	size_t i;

	if (self->starves)
		setrlimit(RLIMIT_NOFILE, &self->limit);
	copy->verdict = result->verdict;
	copy->round = result->round;
	copy->nr_checks = result->nr_checks;
	for (i = 0; i < result->nr_notes; i++)
		result_add_note(copy, &result->notes[i]);
	snprintf(event->test, sizeof(event->test), "%s", result->test);
	event->round = result->round;
	event->result = copy;
	if (++self->nr_results == self->interrupt_after)
		self->is_interrupted = 1;
}

static void on_run_end(struct sink *sink, const struct summary *summary)
{
	event_add(sink, 'e');
	assert_int_equal(summary_total(summary), ((struct recorder *)sink)->nr_results);
}

static const struct sink_ops recorder_ops = {
	.run_begin = on_run_begin, .test_begin = on_test_begin, .test_end = on_test_end, .run_end = on_run_end,
};

/* --- a registry by hand --- */

static struct fake fake;
static pid_t runner_pid;
static int (*close_at_once)(const struct backend *backend, int fd);
static struct case_desc descs[MAX_TESTS];
static struct test_entry entries[MAX_TESTS];
static struct registry registry = { .tests = entries };
static struct recorder recorder;
static struct summary summary;
static struct run_options options;
static struct selection selection;
static struct err run_err;

static int compare_names(const void *one, const void *other)
{
	return strcmp(((const struct test_entry *)one)->name, ((const struct test_entry *)other)->name);
}

static struct case_desc *case_add(const char *name, void (*host)(struct test *t))
{
	struct case_desc *desc = &descs[registry.nr_tests];

	assert_true(registry.nr_tests < MAX_TESTS);
	*desc = (struct case_desc){ .id = name, .file = FAKE_CASE_FILE, .says = "x", .host = host };
	entries[registry.nr_tests++] = (struct test_entry){
		.name = (char *)name, .area = (char *)"area", .file = FAKE_CASE_FILE, .desc = desc, .mode = LONG64,
		.image = guest_image_find(FAKE_CASE_FILE, LONG64),
	};
	return desc;
}

static void recorder_clear(void)
{
	unsigned int i;

	for (i = 0; i < recorder.nr_events; i++)
		result_free(recorder.events[i].result);
	recorder = (struct recorder){ .sink.ops = &recorder_ops };
}

static int fresh(void **state)
{
	(void)state;
	fake_init(&fake);
	memset(entries, 0, sizeof(entries));
	registry.nr_tests = 0;
	recorder_clear();
	memset(shared, 0, sizeof(*shared));
	options = (struct run_options){
		.target = "fake", .backend = &fake.backend, .timeout_ms = 5000,
		.is_interrupted = &recorder.is_interrupted,
	};
	selection = (struct selection){ .target = "fake" };
	return 0;
}

static int done(void **state)
{
	(void)state;
	recorder_clear();
	return 0;
}

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int nr = 0;

	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

static void run_all(void)
{
	struct sink *sinks[] = { &recorder.sink, NULL };
	unsigned int nr_fds = count_fds();
	struct plan plan;

	qsort(entries, registry.nr_tests, sizeof(entries[0]), compare_names);
	assert_int_equal(plan_open(&plan, &registry, &selection, &run_err), 0);
	assert_int_equal(run_plan(&plan, &registry, &options, sinks, &summary, &run_err), 0);
	plan_close(&plan);
	assert_int_equal(recorder.events[0].kind, 'r');
	assert_int_equal(recorder.events[recorder.nr_events - 1].kind, 'e');
	assert_int_equal(count_fds(), nr_fds);
	assert_int_equal(fake_nr_open(&fake), 0);
	assert_int_equal(fake.nr_bad_closes, 0);
	/* All children were waited for. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static const struct event *event_find(char kind, const char *test, unsigned int round)
{
	unsigned int i;

	for (i = 0; i < recorder.nr_events; i++)
		if (recorder.events[i].kind == kind && !strcmp(recorder.events[i].test, test) &&
		    recorder.events[i].round == round)
			return &recorder.events[i];
	return NULL;
}

/* Which of all events it was. */
static unsigned int event_at(char kind, const char *test)
{
	const struct event *event = event_find(kind, test, 0);

	assert_non_null(event);
	return event - recorder.events;
}

static const struct result *result_of(const char *test)
{
	const struct event *event = event_find('t', test, 0);

	if (!event)
		fail_msg("%s has no result", test);
	return event->result;
}

static void assert_verdict(const char *test, enum verdict verdict, const char *reason)
{
	const struct result *result = result_of(test);
	const char *got = result_reason(result);

	if (result->verdict != verdict || strcmp(got ? got : "", reason ? reason : "")) {
		result_print(result);
		fail_msg("%s: want %s (%s)", test, verdict_name(verdict), reason ? reason : "no reason");
	}
}

/* --- the cases --- */

static void script(struct test *t, const struct fake_step *steps)
{
	fake_of(t->sys->backend)->scripts[0] = steps;
}

static void host_pass(struct test *t)
{
	expect_true(t, true);
}

static void host_wrong(struct test *t)
{
	expect_eq(t, 1, 2);
}

static void host_nothing(struct test *t)
{
	(void)t;
}

static void host_guest_check(struct test *t)
{
	static const struct fake_step steps[] = {
		STEP_LEAVES(DONE_PORT, ABI_STATE_DONE, .record = {
			ABI_RECORD_CHECK, 12, "cases/mmu/x.c", "page->magic", 1, 2 }), { 0 },
	};

	script(t, steps);
	expect_done(t);
}

static void host_died(struct test *t)
{
	static const struct fake_step steps[] = { STEP_DIED(.vector = 6, .rip = 0x5), { 0 } };

	script(t, steps);
	expect_done(t);
}

static void host_hang(struct test *t)
{
	static const struct fake_step steps[] = {
		STEP_LEAVES(SYNC_PORT, ABI_STATE_SYNC, .stage = 1),
		{ .kind = FAKE_HANG, .record = { ABI_RECORD_CHECK, 7, "cases/mmu/x.c", "before", 1, 0 } }, { 0 },
	};

	script(t, steps);
	expect_sync(t, 1);
	expect_done(t);
	shared->nr_now = 99;	/* a hang ends the case */
}

static void host_hang_deaf(struct test *t)
{
	static const struct fake_step steps[] = { { .kind = FAKE_HANG_DEAF }, { 0 } };

	script(t, steps);
	expect_done(t);
}

static void host_hang_one_of_two(struct test *t)
{
	static const struct fake_step first[] = { { .kind = FAKE_HANG_DEAF }, { 0 } };
	static const struct fake_step second[] = { STEP_DONE, { 0 } };

	script(t, first);
	fake_of(t->sys->backend)->scripts[1] = second;
	expect_all_done(t);
}

static void host_hang_outside(struct test *t)
{
	expect_true(t, true);
	for (;;)
		pause();
}

/* Slow by itself; every KVM_RUN came back at once. */
static void host_slow(struct test *t)
{
	static const struct fake_step steps[] = { STEP_DONE, { 0 } };
	uint64_t until_us = clock_us() + 700000;

	script(t, steps);
	while (clock_us() < until_us)
		;
	expect_done(t);
}

static void host_killed_inside(struct test *t)
{
	static const struct fake_step steps[] = { { .kind = FAKE_SIGNAL, .number = SIGKILL }, { 0 } };

	script(t, steps);
	expect_done(t);
}

static void host_segv_inside(struct test *t)
{
	static const struct fake_step steps[] = { { .kind = FAKE_SIGNAL, .number = SIGSEGV }, { 0 } };

	script(t, steps);
	expect_done(t);
}

static void host_killed(struct test *t)
{
	expect_true(t, true);
	raise(SIGKILL);
}

static void host_segv(struct test *t)
{
	expect_true(t, true);
	signal(SIGSEGV, SIG_DFL);
	raise(SIGSEGV);
}

static void host_leaves_inside(struct test *t)
{
	static const struct fake_step steps[] = { { .kind = FAKE_LEAVE, .number = 0 }, { 0 } };

	script(t, steps);
	expect_done(t);
}

static void host_leaves(struct test *t)
{
	expect_true(t, true);
	_exit(0);
}

/* A state of the result was sent, and it was a good one. */
static void host_leaves_later(struct test *t)
{
	static const struct fake_step steps[] = {
		STEP_LEAVES(SYNC_PORT, ABI_STATE_SYNC, .stage = 1, .record = {
			ABI_RECORD_MESSAGE, 7, "cases/mmu/x.c", "hello", 0, 0 }), { 0 },
	};

	script(t, steps);
	expect_sync(t, 1);
	_exit(0);
}

static void host_leaves_3(struct test *t)
{
	expect_true(t, true);
	_exit(3);
}

/* What failed before the death is not lost. */
static void host_wrong_then_killed(struct test *t)
{
	expect_eq(t, 1, 2);
	raise(SIGKILL);
}

/* More than the runner takes. */
static void host_talks(struct test *t)
{
	unsigned int i;

	expect_true(t, true);
	for (i = 0; i < 3000; i++)
		test_say(t, "%500u", i);
}

/* The last state is lost, and the one before it was a good one. */
static void host_talks_later(struct test *t)
{
	static const struct fake_step steps[] = {
		STEP_LEAVES(DONE_PORT, ABI_STATE_DONE, .record = {
			ABI_RECORD_MESSAGE, 7, "cases/mmu/x.c", "hello", 0, 0 }), { 0 },
	};

	script(t, steps);
	expect_done(t);
	host_talks(t);
}

static void host_must(struct test *t)
{
	fake_of(t->sys->backend)->fail_request = KVM_CREATE_VM;
	fake_of(t->sys->backend)->fail_error = EPERM;
	test_vm(t);
}

static void host_no_memory(struct test *t)
{
	fake_of(t->sys->backend)->fail_request = KVM_CREATE_VM;
	fake_of(t->sys->backend)->fail_error = ENOMEM;
	test_vm(t);
}

static void host_prints(struct test *t)
{
	printf("out of the test\n");
	fprintf(stderr, "and an error\n");
	expect_true(t, true);
}

/* --- verdicts --- */

static const struct ending {
	const char *name;
	void (*host)(struct test *t);
	enum verdict verdict;
	const char *reason;
} endings[] = {
	{ "died", host_died, VERDICT_FAIL,
	  "vCPU 0 of the guest took #UD(0x0) that nobody expected, at unknown code, RIP 0x5, CR2 0x0" },
	{ "guest_check", host_guest_check, VERDICT_FAIL, NULL },
	{ "killed", host_killed, VERDICT_ERROR, "the test's process died by signal 9 (Killed) outside KVM" },
	{ "killed_inside", host_killed_inside, VERDICT_FAIL,
	  "the test's process died by signal 9 (Killed) inside KVM_RUN" },
	{ "leaves", host_leaves, VERDICT_ERROR, "the test's process ended without a result outside KVM" },
	{ "leaves_3", host_leaves_3, VERDICT_ERROR, "the test's process ended with status 3 outside KVM" },
	{ "leaves_inside", host_leaves_inside, VERDICT_FAIL,
	  "the test's process ended without a result inside KVM_RUN" },
	{ "leaves_later", host_leaves_later, VERDICT_ERROR, "the test's process ended without a result outside KVM" },
	{ "must", host_must, VERDICT_FAIL, "KVM_CREATE_VM must succeed, but: EPERM" },
	{ "no_memory", host_no_memory, VERDICT_ERROR, "KVM_CREATE_VM must succeed, but: ENOMEM" },
	{ "nothing", host_nothing, VERDICT_ERROR, "no check was made" },
	{ "pass", host_pass, VERDICT_PASS, NULL },
	{ "segv", host_segv, VERDICT_ERROR, "the test's process died by signal 11 (Segmentation fault) outside KVM" },
	{ "segv_inside", host_segv_inside, VERDICT_FAIL,
	  "the test's process died by signal 11 (Segmentation fault) inside KVM_RUN" },
	{ "talks", host_talks, VERDICT_ERROR, "the test's process ended without a result outside KVM" },
	{ "talks_later", host_talks_later, VERDICT_ERROR,
	  "the test's process ended without a result outside KVM" },
	{ "wrong", host_wrong, VERDICT_FAIL, NULL },
	{ "wrong_then_killed", host_wrong_then_killed, VERDICT_FAIL,
	  "the test's process died by signal 9 (Killed) outside KVM" },
	{ "zz_pass", host_pass, VERDICT_PASS, NULL },
};

static void check_endings(void)
{
	unsigned int count[NR_VERDICTS] = { 0 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(endings); i++) {
		assert_verdict(endings[i].name, endings[i].verdict, endings[i].reason);
		assert_string_equal(result_of(endings[i].name)->file, FAKE_CASE_FILE);
		assert_non_null(event_find('s', endings[i].name, 0));
		count[endings[i].verdict]++;
	}
	assert_int_equal(recorder.nr_events, 2 + 2 * ARRAY_SIZE(endings));
	assert_int_equal(recorder.nr_planned, ARRAY_SIZE(endings));
	assert_memory_equal(count, summary.count, sizeof(count));
}

static void add_endings(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(endings); i++)
		case_add(endings[i].name, endings[i].host);
}

static void test_endings(void **state)
{
	(void)state;
	add_endings();
	run_all();
	check_endings();
	assert_int_equal(note_count(result_of("wrong_then_killed"), NOTE_CHECK), 1);
	assert_string_equal(note_find(result_of("guest_check"), NOTE_CHECK, 0)->text, "page->magic");
}

/* The same at once: no result is lost or taken for another's. */
static void test_endings_at_once(void **state)
{
	(void)state;
	add_endings();
	options.nr_jobs = 4;
	run_all();
	check_endings();
}

/* Hangs, all at once: a hang costs its time and no more. */
static void test_hangs(void **state)
{
	uint64_t start_us = clock_us();
	const struct result *result;

	(void)state;
	case_add("hang", host_hang);
	case_add("hang_deaf", host_hang_deaf);
	case_add("hang_one_of_two", host_hang_one_of_two)->nr_vcpus = 2;
	case_add("hang_outside", host_hang_outside);
	case_add("pass", host_pass);
	case_add("slow", host_slow);
	options.nr_jobs = 6;
	options.timeout_ms = 300;
	run_all();
	assert_in_range(clock_us() - start_us, 2300000, 8000000);
	assert_verdict("hang", VERDICT_FAIL, "hang: vCPU 0 did not leave KVM_RUN in time");
	assert_verdict("hang_deaf", VERDICT_FAIL, "hang: killed after its time (inside KVM_RUN, request 0xae80)");
	assert_verdict("hang_one_of_two", VERDICT_FAIL, "hang: killed after its time (inside KVM_RUN, request 0xae80)");
	assert_verdict("hang_outside", VERDICT_ERROR, "hang: killed after its time (outside KVM, request 0x0)");
	assert_verdict("pass", VERDICT_PASS, NULL);
	assert_verdict("slow", VERDICT_ERROR, "out of time outside KVM_RUN");
	result = result_of("hang");
	assert_int_equal(note_count(result, NOTE_DUMP), 1);
	assert_holds(note_find(result, NOTE_DUMP, 0)->text, "vCPU 0, mode long64, last exit: IO direction=out port=0xf5");
	/* What the guest had reported before is there. */
	assert_int_equal(note_count(result, NOTE_CHECK), 1);
	assert_string_equal(note_find(result, NOTE_CHECK, 0)->text, "before");
	assert_int_equal(shared->nr_now, 0);
}

/* A case's own time is kept when longer. */
static void test_own_timeout(void **state)
{
	(void)state;
	case_add("slow", host_slow)->timeout_ms = 20000;
	options.timeout_ms = 200;
	run_all();
	assert_verdict("slow", VERDICT_PASS, NULL);
}

static void test_needs(void **state)
{
	(void)state;
	fake.caps[KVM_CAP_IRQCHIP] = 1;
	case_add("a_met", host_pass)->needs = "KVM_CAP_IRQCHIP";
	case_add("b_unmet", host_wrong)->needs = "KVM_CAP_IRQCHIP KVM_CAP_NR_MEMSLOTS>=3";
	case_add("c_unknown", host_wrong)->needs = "KVM_CAP_IRQCHIP hovercraft";
	case_add("d_la57", host_wrong);
	entries[3].mode = LA57;
	case_add("e_pass", host_pass);
	run_all();
	assert_verdict("a_met", VERDICT_PASS, NULL);
	assert_verdict("b_unmet", VERDICT_SKIP, "needs KVM_CAP_NR_MEMSLOTS>=3");
	assert_verdict("c_unknown", VERDICT_ERROR, "unknown need 'hovercraft'");
	assert_verdict("d_la57", VERDICT_SKIP, "needs cpuid:la57");
	assert_verdict("e_pass", VERDICT_PASS, NULL);
}

static void test_skip_all(void **state)
{
	(void)state;
	case_add("a", host_pass)->needs = "KVM_CAP_IRQCHIP";
	run_all();
	assert_int_equal(summary_exit_code(&summary), 77);
}

static void test_known(void **state)
{
	static const struct known known = { .finding = "0001-x" }, elsewhere = { "0001-x", "lab-*", NULL };
	static struct known past = { "0001-x", NULL, "2.0..2.6" }, now = { "0001-x", "fa*", NULL };
	static const struct known skipped = { .finding = "0002-x", .targets = "@(other|fake)", .is_skipped = true };
	static const struct known first = { "0001-x", "@(other|fake)", NULL, .next = &skipped };
	static const struct known second = { "0001-x", "other", NULL, .next = &known };
	static char range[64];
	struct utsname uts;

	(void)state;
	uname(&uts);
	snprintf(range, sizeof(range), "%.*s..", (int)strcspn(uts.release, "-"), uts.release);
	now.kernels = range;
	case_add("a_fails", host_wrong)->known = known;
	case_add("b_passes", host_pass)->known = known;
	case_add("c_elsewhere", host_wrong)->known = elsewhere;
	case_add("d_past", host_wrong)->known = past;
	case_add("e_now", host_wrong)->known = now;
	case_add("f_past_passes", host_pass)->known = past;
	case_add("g_error", host_nothing)->known = known;
	case_add("h_first", host_wrong)->known = first;
	case_add("i_second", host_wrong)->known = second;
	case_add("j_skipped", host_wrong)->known = skipped;
	run_all();
	assert_verdict("a_fails", VERDICT_KNOWN, "known: reports/findings/0001-x.md");
	assert_int_equal(note_count(result_of("a_fails"), NOTE_CHECK), 1);
	assert_verdict("b_passes", VERDICT_FAIL,
		       "passes, but reports/findings/0001-x.md says that it fails here");
	assert_verdict("c_elsewhere", VERDICT_FAIL, NULL);
	assert_verdict("d_past", VERDICT_FAIL, NULL);
	assert_verdict("e_now", VERDICT_KNOWN, "known: reports/findings/0001-x.md");
	assert_verdict("f_past_passes", VERDICT_PASS, NULL);
	assert_verdict("g_error", VERDICT_ERROR, "no check was made");
	assert_verdict("h_first", VERDICT_KNOWN, "known: reports/findings/0001-x.md");
	assert_verdict("i_second", VERDICT_KNOWN, "known: reports/findings/0001-x.md");
	assert_verdict("j_skipped", VERDICT_SKIP, "not run on this target: reports/findings/0002-x.md");
	assert_int_equal(result_of("j_skipped")->nr_checks, 0);
}

static void test_kernel_ranges(void **state)
{
	static const struct {
		const char *kernel, *range;
		bool is_inside;
	} rows[] = {
		{ "6.1.0-56-amd64", "6.1..6.1", true },	{ "6.1.0-56-amd64", "6.2..", false },
		{ "6.1.0-56-amd64", "..6.0", false },	{ "6.1.0-56-amd64", "5.10..6.6", true },
		{ "6.10.3", "6.1..6.9", false },	{ "6.10.3", "..6.10", true },
		{ "6.10.3", "6.10.4..", false },	{ "6.10.3", "6.10.3..6.10.3", true },
		{ "5.10.0", "..", true },		{ "5.10.0", NULL, true },
		{ "10.0", "9.1..", true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct known known = { .finding = "0001-x", .kernels = rows[i].range };
		struct result *result = result_new("a", "fake", "f");

		result_worsen(result, VERDICT_FAIL, NULL);
		apply_known(result, known_find(&known, "fake", rows[i].kernel, NULL));
		if ((result->verdict == VERDICT_KNOWN) != rows[i].is_inside)
			fail_msg("%s in %s", rows[i].kernel, rows[i].range ? rows[i].range : "all");
		result_free(result);
	}
}

/* --- broken environments --- */

static void host_started(struct test *t)
{
	shared->nr_started++;
	expect_true(t, true);
}

static void add_canary_and_two(void (*canary)(struct test *t))
{
	case_add("a", host_started);
	case_add("b", host_started);
	case_add("canary", canary)->is_canary = true;
}

static void test_no_kvm(void **state)
{
	(void)state;
	add_canary_and_two(host_started);
	fake.open_error = EACCES;
	run_all();
	assert_int_equal(shared->nr_started, 0);
	assert_int_equal(summary.count[VERDICT_ERROR], 3);
	assert_verdict("a", VERDICT_ERROR, "the environment is broken: /dev/kvm: Permission denied");
	assert_verdict("canary", VERDICT_ERROR, "the environment is broken: /dev/kvm: Permission denied");
	assert_int_equal(summary_exit_code(&summary), 99);
}

/* Note, its descriptor is closed once. */
static void test_wrong_kvm(void **state)
{
	(void)state;
	add_canary_and_two(host_started);
	fake.api_version = 11;
	run_all();
	assert_int_equal(shared->nr_started, 0);
	assert_int_equal(summary.count[VERDICT_ERROR], 3);
	assert_holds(result_reason(result_of("b")), "the environment is broken: /dev/kvm: API version 11");
}

static void test_no_cpuid(void **state)
{
	(void)state;
	add_canary_and_two(host_started);
	fake.fail_request = KVM_GET_SUPPORTED_CPUID;
	fake.fail_error = E2BIG;
	run_all();
	assert_int_equal(summary.count[VERDICT_ERROR], 3);
	assert_verdict("a", VERDICT_ERROR,
		       "the environment is broken: KVM_GET_SUPPORTED_CPUID: Argument list too long");
}

static void test_canary_fails(void **state)
{
	(void)state;
	add_canary_and_two(host_wrong);
	run_all();
	assert_int_equal(shared->nr_started, 0);
	assert_int_equal(summary.count[VERDICT_ERROR], 3);
	assert_verdict("a", VERDICT_ERROR, "the environment is broken: canary FAIL: 2");
	assert_int_equal(note_count(result_of("canary"), NOTE_CHECK), 1);
	assert_string_equal(recorder.events[1].test, "canary");
}

static void test_canary_hangs(void **state)
{
	(void)state;
	add_canary_and_two(host_hang_deaf);
	options.timeout_ms = 200;
	run_all();
	assert_int_equal(summary.count[VERDICT_ERROR], 3);
	assert_verdict("a", VERDICT_ERROR, "the environment is broken: canary FAIL: hang: killed after its time "
		       "(inside KVM_RUN, request 0xae80)");
}

/* The canary is run before and even if it was not asked for, but only reported if it was. */
static void test_canary_good(void **state)
{
	static const char *const globs[] = { "a", NULL };

	(void)state;
	add_canary_and_two(host_started);
	run_all();
	assert_int_equal(shared->nr_started, 3);
	assert_string_equal(recorder.events[1].test, "canary");
	assert_int_equal(recorder.nr_results, 3);
	recorder_clear();
	selection.globs = globs;
	run_all();
	assert_int_equal(shared->nr_started, 5);
	assert_int_equal(recorder.nr_results, 1);
}

/* --- more than one at once, and less than all --- */

static void host_overlaps(struct test *t)
{
	unsigned int now = __atomic_add_fetch(&shared->nr_now, 1, __ATOMIC_SEQ_CST);

	if (now > shared->nr_at_once)
		shared->nr_at_once = now;
	usleep(100000);
	__atomic_sub_fetch(&shared->nr_now, 1, __ATOMIC_SEQ_CST);
	expect_true(t, true);
}

static const char *const letters[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l" };

static void add_letters(void (*host)(struct test *t))
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(letters); i++)
		case_add(letters[i], host);
}

static void test_jobs(void **state)
{
	(void)state;
	add_letters(host_overlaps);
	options.nr_jobs = 4;
	run_all();
	assert_int_equal(summary.count[VERDICT_PASS], ARRAY_SIZE(letters));
	assert_int_equal(shared->nr_at_once, 4);
	memset(shared, 0, sizeof(*shared));
	recorder_clear();
	options.nr_jobs = 0;
	selection.repeat = 1;
	run_all();
	assert_int_equal(shared->nr_at_once, 1);
}

static void test_case_alone(void **state)
{
	(void)state;
	case_add("a", host_overlaps);
	case_add("b", host_overlaps)->alone = true;
	case_add("c", host_overlaps);
	case_add("d", host_overlaps);
	options.nr_jobs = 4;
	run_all();
	assert_int_equal(summary.count[VERDICT_PASS], 4);
	assert_true(event_at('s', "b") > event_at('t', "a"));
	assert_true(event_at('s', "c") > event_at('t', "b"));
	assert_int_equal(shared->nr_at_once, 2);
}

/* Takes a VM down as long as it takes the next test to start, but not for ever. */
static int close_after_next(const struct backend *backend, int fd)
{
	unsigned int i;

	for (i = 0; getpid() != runner_pid && i < 500 && shared->nr_started < 2; i++)
		usleep(1000);
	return close_at_once(backend, fd);
}

static void close_slowly(void)
{
	runner_pid = getpid();
	close_at_once = fake.backend.close;
	fake.backend.close = close_after_next;
	case_add("a", host_started);
	case_add("b", host_started);
	run_all();
	assert_int_equal(summary.count[VERDICT_PASS], 2);
}

static void test_closing_is_waited_for_by_nobody(void **state)
{
	(void)state;
	close_slowly();
	assert_true(event_at('s', "b") < event_at('t', "a"));
}

/* One that runs, and one that is taken down. */
static void test_closing_beside_jobs(void **state)
{
	(void)state;
	add_letters(host_overlaps);
	options.nr_jobs = 2;
	run_all();
	assert_int_equal(summary.count[VERDICT_PASS], ARRAY_SIZE(letters));
	assert_int_equal(shared->nr_at_once, 2);
}

static void test_alone(void **state)
{
	(void)state;
	options.is_alone = true;
	close_slowly();
	assert_true(event_at('s', "b") > event_at('t', "a"));
}

static void test_closing_before_fail_fast(void **state)
{
	(void)state;
	options.fail_fast = true;
	close_slowly();
	assert_true(event_at('s', "b") > event_at('t', "a"));
}

static void test_fail_fast(void **state)
{
	(void)state;
	case_add("a", host_started);
	case_add("b", host_wrong);
	case_add("c", host_started);
	options.fail_fast = true;
	run_all();
	assert_int_equal(shared->nr_started, 1);
	assert_int_equal(recorder.nr_results, 2);
	assert_verdict("b", VERDICT_FAIL, NULL);
}

static void test_repeat(void **state)
{
	unsigned int round;

	(void)state;
	case_add("a", host_started);
	case_add("b", host_wrong);
	selection.repeat = 3;
	run_all();
	assert_int_equal(recorder.nr_results, 6);
	assert_int_equal(shared->nr_started, 3);
	for (round = 0; round < 3; round++) {
		assert_non_null(event_find('s', "a", round));
		assert_int_equal(event_find('t', "b", round)->result->verdict, VERDICT_FAIL);
	}
}

/* A test that cannot be started is told from the others, in its round. */
static void test_no_descriptor(void **state)
{
	unsigned int round;

	(void)state;
	case_add("a", host_started);
	selection.repeat = 2;
	recorder.starves = true;
	run_all();
	assert_int_equal(shared->nr_started, 0);
	assert_int_equal(recorder.nr_results, 2);
	for (round = 0; round < 2; round++) {
		assert_int_equal(event_find('t', "a", round)->result->verdict, VERDICT_ERROR);
		assert_string_equal(result_reason(event_find('t', "a", round)->result),
				    "cannot start a test process: Too many open files");
	}
}

static void host_start_seed(struct test *t)
{
	shared->pids[shared->nr_started++] = (pid_t)t->seed;
	expect_true(t, true);
}

/* A test's own seed: the same in the next run, another in the next round and for another test. */
static void test_seeds(void **state)
{
	pid_t seeds[4];
	unsigned int i, j;

	(void)state;
	case_add("a", host_start_seed);
	case_add("b", host_start_seed);
	selection.repeat = 2;
	options.seed = 5;
	run_all();
	memcpy(seeds, shared->pids, sizeof(seeds));
	for (i = 0; i < 4; i++)
		for (j = 0; j < i; j++)
			assert_int_not_equal(seeds[i], seeds[j]);
	shared->nr_started = 0;
	recorder_clear();
	run_all();
	assert_memory_equal(seeds, shared->pids, sizeof(seeds));
	shared->nr_started = 0;
	recorder_clear();
	options.seed = 6;
	run_all();
	assert_int_not_equal(seeds[0], shared->pids[0]);
}

static void test_interrupted(void **state)
{
	(void)state;
	options.is_alone = true;
	add_letters(host_started);
	recorder.interrupt_after = 3;
	run_all();
	assert_int_equal(recorder.nr_results, 3);
	assert_int_equal(summary_total(&summary), 3);
}

static void interrupt_now(int signal)
{
	(void)signal;
	recorder.is_interrupted = 1;
}

/* A running job is ended without a result, at once. */
static void test_interrupted_in_test(void **state)
{
	struct sigaction action = { .sa_handler = interrupt_now };
	uint64_t start_us = clock_us();

	(void)state;
	case_add("a", host_hang_outside);
	sigaction(SIGALRM, &action, NULL);
	alarm(1);
	run_all();
	assert_in_range(clock_us() - start_us, 500000, 3000000);
	assert_int_equal(recorder.nr_results, 0);
}

static void test_interrupted_in_canary(void **state)
{
	struct sigaction action = { .sa_handler = interrupt_now };

	(void)state;
	add_canary_and_two(host_hang_outside);
	sigaction(SIGALRM, &action, NULL);
	alarm(1);
	run_all();
	assert_int_equal(recorder.nr_results, 0);
	assert_int_equal(shared->nr_started, 0);
}

/* --- what tests leave behind --- */

static void fork_sleeper(unsigned int index)
{
	pid_t pid = fork();

	if (!pid) {
		for (;;)
			pause();
	}
	shared->pids[index] = pid;
}

/* A child and a grandchild, both with the result's pipe open. */
static void host_forks(struct test *t)
{
	pid_t pid;

	fork_sleeper(0);
	pid = fork();
	if (!pid) {
		fork_sleeper(1);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	expect_true(t, true);
}

static bool is_alive(pid_t pid)
{
	char path[64], state = 'X';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = 'X';
	fclose(file);
	/* A zombie is its new parent's business. */
	return state != 'X' && state != 'Z';
}

static void assert_gone(pid_t pid)
{
	unsigned int i;

	assert_int_not_equal(pid, 0);
	for (i = 0; i < 100 && is_alive(pid); i++)
		usleep(10000);
	assert_false(is_alive(pid));
}

static void test_no_process_is_left(void **state)
{
	uint64_t start_us = clock_us();

	(void)state;
	case_add("forks", host_forks);
	run_all();
	assert_verdict("forks", VERDICT_PASS, NULL);
	assert_gone(shared->pids[0]);
	assert_gone(shared->pids[1]);
	/* They hold the pipe open, and still nobody waits for them. */
	assert_true(clock_us() - start_us < 3000000);
}

static void host_forks_and_dies(struct test *t)
{
	host_forks(t);
	raise(SIGKILL);
}

static void host_forks_and_hangs(struct test *t)
{
	host_forks(t);
	host_hang_outside(t);
}

static void test_no_process_is_left_by_death(void **state)
{
	(void)state;
	case_add("dies", host_forks_and_dies);
	run_all();
	assert_verdict("dies", VERDICT_ERROR, "the test's process died by signal 9 (Killed) outside KVM");
	assert_gone(shared->pids[0]);
	assert_gone(shared->pids[1]);
}

static void test_no_process_is_left_by_hang(void **state)
{
	(void)state;
	case_add("hangs", host_forks_and_hangs);
	options.timeout_ms = 200;
	run_all();
	assert_verdict("hangs", VERDICT_ERROR, "hang: killed after its time (outside KVM, request 0x0)");
	assert_gone(shared->pids[0]);
	assert_gone(shared->pids[1]);
}

static void test_no_process_is_left_by_interrupt(void **state)
{
	struct sigaction action = { .sa_handler = interrupt_now };

	(void)state;
	case_add("hangs", host_forks_and_hangs);
	sigaction(SIGALRM, &action, NULL);
	alarm(1);
	run_all();
	assert_int_equal(recorder.nr_results, 0);
	assert_gone(shared->pids[0]);
	assert_gone(shared->pids[1]);
}

/* run_all() counts descriptors and children. */
static void test_a_hundred(void **state)
{
	(void)state;
	case_add("a", host_pass);
	case_add("b", host_killed_inside);
	selection.repeat = 50;
	options.nr_jobs = 4;
	run_all();
	assert_int_equal(summary.count[VERDICT_PASS], 50);
	assert_int_equal(summary.count[VERDICT_FAIL], 50);
}

static void test_output(void **state)
{
	(void)state;
	case_add("a", host_prints);
	case_add("b", host_pass);
	/* What this process has not written yet is not the test's. */
	setvbuf(stdout, NULL, _IOFBF, 65536);
	printf("# the runner's\n");
	run_all();
	assert_int_equal(note_count(result_of("a"), NOTE_OUTPUT), 1);
	assert_holds(note_find(result_of("a"), NOTE_OUTPUT, 0)->text, "out of the test\n");
	assert_holds(note_find(result_of("a"), NOTE_OUTPUT, 0)->text, "and an error\n");
	assert_int_equal(strlen(note_find(result_of("a"), NOTE_OUTPUT, 0)->text), 29);
	assert_int_equal(result_of("b")->nr_notes, 0);
}

/* --- what the kernel says --- */

static int kmsg_fds[2];

static void kernel_says(const char *record)
{
	assert_int_equal(write(kmsg_fds[1], record, strlen(record)), strlen(record));
}

static void host_quiet_words(struct test *t)
{
	kernel_says("6,1,1000000,-;a word\n");
	kernel_says("12,1,1000000,-;WARNING: a program's\n");
	expect_true(t, true);
}

static void host_warned(struct test *t)
{
	kernel_says("4,2,2000000,-;WARNING: CPU: 0 PID: 1 at x.c:1 f+0x1/0x2\n");
	expect_true(t, true);
}

static void host_warned_by_name(struct test *t)
{
	char record[128];

	snprintf(record, sizeof(record), "4,2,2000000,-;WARNING: CPU: 0 PID: %d at x.c:1 f+0x1/0x2\n", (int)getpid());
	kernel_says(record);
	expect_true(t, true);
}

/* Another runs when the kernel warns, and is there still. */
static void host_warned_beside(struct test *t)
{
	while (__atomic_add_fetch(&shared->nr_started, 0, __ATOMIC_SEQ_CST) < 1)
		usleep(1000);
	host_warned(t);
}

static void host_beside(struct test *t)
{
	__atomic_add_fetch(&shared->nr_started, 1, __ATOMIC_SEQ_CST);
	sleep(3);
	expect_true(t, true);
}

static int hear(void **state)
{
	static char path[32];

	fresh(state);
	if (pipe2(kmsg_fds, O_DIRECT | O_CLOEXEC))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", kmsg_fds[0]);
	options.kmsg = path;
	options.owns_kernel = true;
	return 0;
}

static int hear_no_more(void **state)
{
	close(kmsg_fds[0]);
	close(kmsg_fds[1]);
	return done(state);
}

/* What the runner holds is not released when it leaves a kernel: LeakSanitizer asks this function what it may keep. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:hold_open\n";
}

static void run_left(void)
{
	struct sink *sinks[] = { &recorder.sink, NULL };
	struct plan plan;

	qsort(entries, registry.nr_tests, sizeof(entries[0]), compare_names);
	assert_int_equal(plan_open(&plan, &registry, &selection, &run_err), 0);
	assert_int_equal(run_plan(&plan, &registry, &options, sinks, &summary, &run_err), RUN_LEFT);
	plan_close(&plan);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

#define WARNED "the kernel reported: WARNING: CPU: 0 PID: 1 at x.c:1 f+0x1/0x2"
#define WARNED_LINE "[    2.000000] WARNING: CPU: 0 PID: 1 at x.c:1 f+0x1/0x2\n"

static void assert_dmesg(const char *test, const char *want)
{
	const struct note *note = note_find(result_of(test), NOTE_DMESG, 0);

	assert_string_equal(note ? note->text : "", want);
}

static void test_kernel_is_heard(void **state)
{
	(void)state;
	options.is_alone = true;
	case_add("a", host_quiet_words);
	case_add("b", host_warned);
	case_add("c", host_pass);
	options.leave_at = KERNEL_OOPSES;
	run_all();
	assert_verdict("a", VERDICT_PASS, NULL);
	assert_dmesg("a", "[    1.000000] a word\n");
	assert_verdict("b", VERDICT_FAIL, WARNED);
	assert_dmesg("b", WARNED_LINE);
	assert_verdict("c", VERDICT_PASS, NULL);
	assert_dmesg("c", "");
}

static void test_kernel_is_left(void **state)
{
	(void)state;
	options.is_alone = true;
	case_add("a", host_pass);
	case_add("b", host_warned);
	case_add("c", host_pass);
	options.leave_at = KERNEL_WARNS;
	run_left();
	assert_verdict("a", VERDICT_PASS, NULL);
	assert_verdict("b", VERDICT_FAIL, WARNED);
	assert_null(event_find('s', "c", 0));
}

/* Of a kernel that others use, too, only what names a test is about it. */
static void test_kernel_is_shared(void **state)
{
	(void)state;
	options.is_alone = true;
	case_add("a", host_warned);
	case_add("b", host_warned_by_name);
	options.owns_kernel = false;
	run_all();
	assert_verdict("a", VERDICT_PASS, NULL);
	assert_dmesg("a", WARNED_LINE);
	assert_int_equal(result_of("b")->verdict, VERDICT_FAIL);
}

static void test_kernel_accuses_all(void **state)
{
	static const char why[] = WARNED " (2 tests ran then: which of them is to blame is not known)";

	(void)state;
	options.is_alone = true;
	case_add("a", host_warned_beside);
	case_add("b", host_beside);
	case_add("c", host_pass);
	options.nr_jobs = 2;
	options.leave_at = KERNEL_WARNS;
	run_left();
	assert_verdict("a", VERDICT_FAIL, why);
	assert_verdict("b", VERDICT_FAIL, why);
	assert_dmesg("b", WARNED_LINE);
	assert_null(event_find('t', "c", 0));
}

/* The one that is named is no longer there, or has not ended yet. */
static void host_warned_by_name_beside(struct test *t)
{
	while (__atomic_add_fetch(&shared->nr_started, 0, __ATOMIC_SEQ_CST) < 1)
		usleep(1000);
	host_warned_by_name(t);
}

static void test_kernel_accuses_one(void **state)
{
	(void)state;
	case_add("a", host_warned_by_name_beside);
	case_add("b", host_beside);
	options.nr_jobs = 2;
	run_all();
	assert_int_equal(result_of("a")->verdict, VERDICT_FAIL);
	assert_null(strstr(result_reason(result_of("a")), "tests ran then"));
	assert_verdict("b", VERDICT_PASS, NULL);
}

static void test_shuffle(void **state)
{
	char first[ARRAY_SIZE(letters) + 1] = "", second[ARRAY_SIZE(letters) + 1] = "";
	unsigned int i, nr;

	(void)state;
	add_letters(host_pass);
	selection.shuffle = true;
	selection.seed = 3;
	run_all();
	for (i = nr = 0; i < recorder.nr_events; i++)
		if (recorder.events[i].kind == 's')
			first[nr++] = recorder.events[i].test[0];
	recorder_clear();
	run_all();
	for (i = nr = 0; i < recorder.nr_events; i++)
		if (recorder.events[i].kind == 's')
			second[nr++] = recorder.events[i].test[0];
	assert_string_equal(first, second);
	assert_string_not_equal(first, "abcdefghijkl");
}

/* --- processes that run several tests --- */

#ifdef __SANITIZE_ADDRESS__
#define SHARES false
#else
#define SHARES true
#endif

static unsigned int nr_here;	/* what a test writes is not what the next one finds */

static void host_notes_process(struct test *t)
{
	shared->pids[shared->nr_started++] = getpid();
	expect_eq(t, 0, nr_here++);
}

static void host_notes_and_leaves_fd(struct test *t)
{
	host_notes_process(t);
	expect_true(t, dup(STDOUT_FILENO) >= 0);
}

static void host_notes_and_is_wrong(struct test *t)
{
	host_notes_process(t);
	expect_eq(t, 1, 2);
}

static void host_notes_and_dies(struct test *t)
{
	host_notes_process(t);
	abort();
}

static void host_notes_and_says(struct test *t)
{
	host_notes_process(t);
	printf("said by %s\n", t->desc->id);
}

/* Left behind where nobody looks for it. */
static void host_sets_word(struct test *t)
{
	host_notes_process(t);
	setenv("VMASSAY_WORD", "x", 1);
}

static void host_wants_no_word(struct test *t)
{
	host_notes_process(t);
	expect_true(t, !getenv("VMASSAY_WORD"));
}

static void run_shared(void)
{
	if (!SHARES)
		skip();
	options.shares_processes = true;
	run_all();
}

static void test_shared_process(void **state)
{
	(void)state;
	case_add("a", host_notes_process);
	case_add("b", host_notes_and_says);
	case_add("c", host_notes_and_says);
	run_shared();
	assert_int_equal(shared->nr_started, 3);
	assert_int_equal(shared->pids[0], shared->pids[1]);
	assert_int_equal(shared->pids[0], shared->pids[2]);
	assert_verdict("a", VERDICT_PASS, NULL);
	assert_verdict("c", VERDICT_PASS, NULL);
	assert_int_equal(result_of("c")->nr_notes, 1);
	assert_string_equal(result_of("c")->notes[0].text, "said by c\n");
}

static void test_not_shared_process(void **state)
{
	(void)state;
	case_add("a", host_notes_process);
	case_add("b", host_notes_process);
	run_all();
	assert_int_not_equal(shared->pids[0], shared->pids[1]);
}

static void test_shared_process_with_leftover(void **state)
{
	(void)state;
	case_add("a", host_notes_and_leaves_fd);
	case_add("b", host_notes_process);
	case_add("c", host_notes_process);
	run_shared();
	assert_int_not_equal(shared->pids[0], shared->pids[1]);
	assert_int_equal(shared->pids[1], shared->pids[2]);
	assert_verdict("a", VERDICT_PASS, NULL);
}

static void assert_runs_alone_behind(void (*host)(struct test *t), enum verdict verdict, const char *reason)
{
	case_add("a", host_notes_process);
	case_add("b", host);
	case_add("c", host_notes_process);
	run_shared();
	assert_int_equal(shared->nr_started, 4);
	assert_int_equal(shared->pids[0], shared->pids[1]);
	assert_int_not_equal(shared->pids[1], shared->pids[2]);
	assert_int_not_equal(shared->pids[2], shared->pids[3]);
	assert_verdict("b", verdict, reason);
	assert_verdict("c", VERDICT_PASS, NULL);
}

static void test_shared_process_with_failure(void **state)
{
	(void)state;
	assert_runs_alone_behind(host_notes_and_is_wrong, VERDICT_FAIL, NULL);
}

static void test_shared_process_with_death(void **state)
{
	(void)state;
	assert_runs_alone_behind(host_notes_and_dies, VERDICT_ERROR,
				 "the test's process died by signal 6 (Aborted) outside KVM");
}

static void test_shared_process_is_to_blame(void **state)
{
	(void)state;
	case_add("a", host_sets_word);
	case_add("b", host_wants_no_word);
	run_shared();
	assert_int_equal(shared->nr_started, 3);
	assert_verdict("b", VERDICT_PASS, NULL);
	assert_int_equal(result_of("b")->nr_notes, 1);
	assert_non_null(strstr(result_of("b")->notes[0].text, "behind other tests"));
}

#define RUNS(test_) cmocka_unit_test_setup_teardown(test_, fresh, done)
#define HEARS(test_) cmocka_unit_test_setup_teardown(test_, hear, hear_no_more)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RUNS(test_endings), RUNS(test_endings_at_once), RUNS(test_hangs), RUNS(test_own_timeout),
		RUNS(test_needs), RUNS(test_skip_all), RUNS(test_known), RUNS(test_kernel_ranges), RUNS(test_no_kvm),
		RUNS(test_wrong_kvm), RUNS(test_no_cpuid), RUNS(test_canary_fails), RUNS(test_canary_hangs),
		RUNS(test_canary_good), RUNS(test_jobs),
		RUNS(test_closing_is_waited_for_by_nobody), RUNS(test_closing_beside_jobs), RUNS(test_alone),
		RUNS(test_case_alone),
		RUNS(test_closing_before_fail_fast), RUNS(test_fail_fast), RUNS(test_repeat),
		RUNS(test_no_descriptor), RUNS(test_seeds),
		RUNS(test_shuffle), RUNS(test_interrupted), RUNS(test_interrupted_in_test),
		RUNS(test_interrupted_in_canary), RUNS(test_no_process_is_left), RUNS(test_no_process_is_left_by_death),
		RUNS(test_no_process_is_left_by_hang), RUNS(test_no_process_is_left_by_interrupt),
		RUNS(test_a_hundred), RUNS(test_output), RUNS(test_shared_process),
		RUNS(test_not_shared_process), RUNS(test_shared_process_with_leftover),
		RUNS(test_shared_process_with_failure), RUNS(test_shared_process_with_death),
		RUNS(test_shared_process_is_to_blame), HEARS(test_kernel_is_heard), HEARS(test_kernel_is_left),
		HEARS(test_kernel_is_shared), HEARS(test_kernel_accuses_all), HEARS(test_kernel_accuses_one),
	};

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

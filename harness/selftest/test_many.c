/* SPDX-License-Identifier: MIT */
/* Runs on several targets, whose labs are processes that only say what labs say; and matrices of parameters. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "cli/cli.h"
#include "cli/lab_many.h"
#include "err.h"

/* --- three tests --- */

static const struct case_desc plain = { .says = "", .smp_too = true };
static const struct case_desc with_npt = { .says = "", .shadow_too = true, .needs = "cpuid:nx param:kvm_amd.npt=0" };
static const struct case_desc with_nested = { .says = "", .needs = "nested vendor:amd" };

static struct test_entry entries[] = {
	{ .name = (char *)"a.nested", .area = (char *)"a", .file = "cases/a/nested.c", .desc = &with_nested },
	{ .name = (char *)"a.npt", .area = (char *)"a", .file = "cases/a/npt.c", .desc = &with_npt },
	{ .name = (char *)"a.plain", .area = (char *)"a", .file = "cases/a/plain.c", .desc = &plain },
};

static const struct registry registry = { .tests = entries, .nr_tests = 3 };

/* --- a sink that remembers --- */

static struct recorder {
	struct sink sink;
	struct run_info info;
	char target[200];
	char results[65536];	/* "test@target VERDICT\n"... */
	char reasons[65536];
	char targets[512];	/* "target:fact "... */
	unsigned int nr_begins, nr_compared, nr_ends;
	bool has_facts;		/* in the header */
	bool interrupts;	/* at the first result */
} recorder;

static void append(char *text, size_t len_bytes, const char *format, ...)
{
	size_t used = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + used, len_bytes - used, format, args);
	va_end(args);
}

static void on_run_begin(struct sink *sink, const struct run_info *info)
{
	(void)sink;
	recorder.info = *info;
	recorder.has_facts = info->facts;
	recorder.nr_begins++;
	snprintf(recorder.target, sizeof(recorder.target), "%s", info->target);
}

static void on_test_begin(struct sink *sink, const char *test, const char *target, unsigned int round)
{
	(void)sink;
	(void)test;
	(void)target;
	(void)round;
}

static void on_test_end(struct sink *sink, const struct result *result)
{
	const char *reason = result_reason(result);

	(void)sink;
	append(recorder.results, sizeof(recorder.results), "%s@%s %s\n", result->test, result->target,
	       verdict_name(result->verdict));
	append(recorder.reasons, sizeof(recorder.reasons), "%s\n", reason ? reason : "");
	if (recorder.interrupts)
		cli_is_interrupted = 1;
}

static void on_run_end(struct sink *sink, const struct summary *summary)
{
	(void)sink;
	(void)summary;
	recorder.nr_ends++;
}

static void on_target_begin(struct sink *sink, const char *target, struct json_object *facts)
{
	struct json_object *value;

	(void)sink;
	append(recorder.targets, sizeof(recorder.targets), "%s:%s ", target,
	       json_object_object_get_ex(facts, "cpu", &value) ? json_object_get_string(value) : "?");
}

static void on_comparison(struct sink *sink, const struct compare *compare)
{
	(void)sink;
	(void)compare;
	recorder.nr_compared += !recorder.nr_ends;
}

static const struct sink_ops recorder_ops = {
	.run_begin = on_run_begin, .test_begin = on_test_begin, .test_end = on_test_end, .run_end = on_run_end,
	.target_begin = on_target_begin, .comparison = on_comparison,
};

/* --- what labs say --- */

/* Note, there is no list when there are none. */
static bool has_param(const struct args *args, const char *word)
{
	const char *const *param;

	for (param = args->lab.params; param && *param; param++)
		if (!strcmp(*param, word))
			return true;
	return false;
}

static void say_run(const struct args *args)
{
	/* A fault here must not come back into cmocka's own process as if it were the test's. */
	signal(SIGSEGV, SIG_DFL);
	dprintf(args->results_fd, "{\"type\":\"run\",\"version\":1,\"target\":\"%s\",\"nr_planned\":3,\"seed\":1,"
		"\"facts\":{\"cpu\":\"%s\",\"parameters\":{\"kvm_amd\":{\"npt\":\"%s\",\"nested\":\"1\"}}}}\n",
		args->run.target, args->lab.name,
		has_param(args, "kvm_amd.npt=0") ? "N" : "Y");
}

static void say_result(const struct args *args, const char *test, const char *verdict, unsigned int nr_checks)
{
	dprintf(args->results_fd, "{\"type\":\"start\",\"test\":\"%s\",\"target\":\"%s\",\"round\":0}\n"
		"{\"type\":\"result\",\"test\":\"%s\",\"target\":\"%s\",\"file\":\"cases/a.c\",\"verdict\":\"%s\","
		"\"round\":0,\"duration_us\":1,\"nr_checks\":%u}\n", test, args->run.target, test,
		args->run.target, verdict, nr_checks);
}

static int lab_passes(struct args *args)
{
	size_t i;

	say_run(args);
	for (i = 0; i < 3; i++)
		say_result(args, entries[i].name, "PASS", 1);
	return 0;
}

static bool is_vmx(const struct args *args)
{
	return !strcmp(args->lab.name, "vmx");
}

/* --- the run --- */

static struct args whole;
static struct matrix matrix;
static struct strlist names;
static struct many_run many;
static struct err err;

static int make_run(void **state)
{
	(void)state;
	recorder = (struct recorder){ .sink.ops = &recorder_ops };
	whole = (struct args){ .results_fd = -1, .nr_at_once = 3, .run.seed = 77 };
	whole.lab.params = whole.params;
	many = (struct many_run){
		.registry = &registry, .args = &whole, .labs = &names, .matrix = &matrix, .run = lab_passes,
		.sinks = { &recorder.sink },
	};
	cli_is_interrupted = 0;
	return 0;
}

static int drop_run(void **state)
{
	(void)state;
	compare_free(&many.compare);
	strlist_free(&names);
	matrix_free(&matrix);
	cli_is_interrupted = 0;
	return 0;
}

static void run_labs(const char *text, const char *parameters)
{
	assert_int_equal(lab_names_parse(&names, text, &err), 0);
	if (parameters)
		assert_int_equal(matrix_parse(&matrix, parameters, &err), 0);
	if (many_run(&many, &err))
		fail_msg("%s", err.text);
	assert_int_equal(recorder.nr_compared, 1);
	assert_int_equal(recorder.nr_ends, 1);
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no '%s' in:\n%s", part, text);
}

static unsigned int count_results(const char *part)
{
	const char *at;
	unsigned int nr = 0;

	for (at = recorder.results; (at = strstr(at, part)); at++)
		nr++;
	return nr;
}

static void test_one_report(void **state)
{
	(void)state;
	run_labs("all", NULL);
	assert_string_equal(recorder.target, "lab-svm,lab-vmx,lab-svm-bochs");
	assert_int_equal(recorder.info.nr_planned, 9);
	assert_int_equal(recorder.info.seed, 77);
	assert_int_equal(many.summary.count[VERDICT_PASS], 9);
	assert_int_equal(count_results("\n"), 9);
	assert_int_equal(count_results("a.npt@lab-svm-bochs PASS\n"), 1);
	assert_int_equal(count_results("a.npt@lab-vmx PASS\n"), 1);
	assert_has(recorder.targets, "lab-svm-bochs:svm-bochs ");
	assert_false(many.has_refused);
}

static int lab_vmx_dies(struct args *args)
{
	if (!is_vmx(args))
		return lab_passes(args);
	say_run(args);
	say_result(args, "a.npt", "PASS", 1);
	dprintf(args->results_fd, "{\"type\":\"result\",\"test\":\"a.plain\",\"tar");
	fprintf(stderr, "emulator: cannot go on\n");
	raise(SIGKILL);
	return 0;
}

static void test_death_costs_its_rest(void **state)
{
	(void)state;
	many.run = lab_vmx_dies;
	run_labs("all", NULL);
	assert_int_equal(many.summary.count[VERDICT_PASS], 7);
	assert_int_equal(many.summary.count[VERDICT_ERROR], 2);
	assert_int_equal(count_results("a.nested@lab-vmx ERROR\n"), 1);
	assert_int_equal(count_results("a.plain@lab-vmx ERROR\n"), 1);
	assert_has(recorder.reasons, "the lab's process was ended by signal 9: emulator: cannot go on\n");
	assert_false(many.has_refused);
}

static int lab_vmx_ends_early(struct args *args)
{
	if (!is_vmx(args))
		return lab_passes(args);
	say_run(args);
	return 99;
}

static void test_early_end_is_an_error(void **state)
{
	(void)state;
	many.run = lab_vmx_ends_early;
	run_labs("svm,vmx", NULL);
	assert_int_equal(many.summary.count[VERDICT_ERROR], 3);
	assert_has(recorder.reasons, "the lab's process ended with exit code 99\n");
}

static int lab_vmx_refuses(struct args *args)
{
	return is_vmx(args) ? usage_error("bochs is not here: Debian package bochs") : lab_passes(args);
}

static void test_refusal_is_no_verdict(void **state)
{
	(void)state;
	many.run = lab_vmx_refuses;
	run_labs("svm,vmx", NULL);
	assert_true(many.has_refused);
	assert_int_equal(summary_total(&many.summary), 3);
	assert_string_equal(many.compare.targets[1].note, "vmassay: bochs is not here: Debian package bochs");
}

/* Twice the same, tests that nobody planned, what is not JSON, and types to come. */
static int lab_babbles(struct args *args)
{
	say_run(args);
	say_result(args, "a.plain", "PASS", 1);
	say_result(args, "a.plain", "FAIL", 1);
	say_result(args, "b.other", "FAIL", 1);
	dprintf(args->results_fd, "{\"type\":\"result\"}\n{]\n\n7\n{\"type\":\"news\"}\n");
	say_result(args, "a.nested", "PASS", 1);
	say_result(args, "a.npt", "PASS", 1);
	return 0;
}

static void test_what_is_not_ours(void **state)
{
	(void)state;
	many.run = lab_babbles;
	run_labs("svm,vmx", NULL);
	assert_int_equal(many.summary.count[VERDICT_PASS], 6);
	assert_int_equal(summary_total(&many.summary), 6);
}

/* Both labs' machines with shadow paging pass, too, what nobody planned there. */
static void test_shadow_paging(void **state)
{
	struct compare_groups groups;

	(void)state;
	many.has_variant[LAB_SHADOW] = true;
	run_labs("svm,vmx", NULL);
	assert_string_equal(recorder.target, "lab-svm,lab-svm[npt=0],lab-vmx,lab-vmx[ept=0]");
	assert_int_equal(recorder.info.nr_planned, 8);
	assert_int_equal(many.summary.count[VERDICT_PASS], 8);
	assert_int_equal(count_results("a.npt@lab-vmx[ept=0] PASS\n"), 1);
	assert_int_equal(count_results("a.plain@lab-svm[npt=0]"), 0);
	/* What was not asked for there is no difference. */
	assert_int_equal(compare_groups_find(&many.compare, &groups), 0);
	assert_int_equal(groups.nr_groups, 0);
	compare_groups_free(&groups);
}

/* QEMU's lab has such a machine, Bochs' has none. */
static void test_several_cpus(void **state)
{
	(void)state;
	many.has_variant[LAB_SHADOW] = many.has_variant[LAB_SMP] = true;
	run_labs("svm,vmx", NULL);
	assert_string_equal(recorder.target, "lab-svm,lab-svm[npt=0],lab-svm[smp=2],lab-vmx,lab-vmx[ept=0]");
	assert_int_equal(recorder.info.nr_planned, 9);
	assert_int_equal(count_results("a.plain@lab-svm[smp=2] PASS\n"), 1);
	assert_int_equal(count_results("a.npt@lab-svm[smp=2]"), 0);
}

static int lab_fails_in_shadow(struct args *args)
{
	bool is_shadow = has_param(args, "kvm_amd.npt=0");

	say_run(args);
	say_result(args, "a.npt", is_shadow ? "FAIL" : "PASS", 1);
	say_result(args, "a.nested", "PASS", 1);
	say_result(args, "a.plain", "PASS", 1);
	return 0;
}

static void test_failure_in_shadow(void **state)
{
	struct compare_groups groups;

	(void)state;
	many.has_variant[LAB_SHADOW] = true;
	many.run = lab_fails_in_shadow;
	run_labs("svm", NULL);
	assert_int_equal(many.summary.count[VERDICT_FAIL], 1);
	assert_int_equal(many.summary.count[VERDICT_PASS], 3);
	assert_int_equal(compare_groups_find(&many.compare, &groups), 0);
	assert_int_equal(groups.nr_groups, 1);
	assert_int_equal(groups.groups[0].kind, COMPARE_VERDICT);
	compare_groups_free(&groups);
}

/* --- side by side --- */

static struct {
	unsigned int nr_now, nr_most;
} *shared;

static int lab_counts(struct args *args)
{
	unsigned int nr = __atomic_add_fetch(&shared->nr_now, 1, __ATOMIC_SEQ_CST);

	if (nr > shared->nr_most)
		shared->nr_most = nr;
	usleep(100000);
	__atomic_sub_fetch(&shared->nr_now, 1, __ATOMIC_SEQ_CST);
	return lab_passes(args);
}

static void test_at_once(void **state)
{
	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(shared, MAP_FAILED);
	many.run = lab_counts;
	whole.nr_at_once = 2;
	run_labs("svm", "npt=0,1:nested=0,1");
	assert_int_equal(shared->nr_most, 2);
	assert_int_equal(many.summary.count[VERDICT_PASS], 12);
	munmap(shared, sizeof(*shared));
}

/* --- several emulators for one target --- */

/* Its part of three tests in 100 rounds, as the program's own plan has it. */
static void say_part(const struct args *args)
{
	struct plan plan;
	size_t i;

	assert_int_equal(plan_open(&plan, &registry, &args->selection, &err), 0);
	for (i = 0; i < plan.nr_items; i++)
		dprintf(args->results_fd, "{\"type\":\"result\",\"test\":\"%s\",\"target\":\"%s\",\"file\":\"f\","
			"\"verdict\":\"PASS\",\"round\":%u,\"duration_us\":1,\"nr_checks\":1}\n",
			plan.items[i].entry->name, args->run.target, plan.items[i].round);
	plan_close(&plan);
}

static int lab_shares(struct args *args)
{
	say_run(args);
	say_part(args);
	return 0;
}

static void share_three_hundred(void)
{
	whole.selection = (struct selection){ .repeat = 100, .shuffle = true, .seed = 3 };
	many.is_plain = true;
	assert_int_equal(lab_names_parse(&names, "svm", &err), 0);
	if (many_run(&many, &err))
		fail_msg("%s", err.text);
}

/* One header, with facts; no column, no table; each test once. */
static void test_machines_are_one_run(void **state)
{
	(void)state;
	many.run = lab_shares;
	share_three_hundred();
	assert_int_equal(recorder.nr_begins, 1);
	assert_string_equal(recorder.target, "lab-svm");
	assert_int_equal(recorder.info.nr_planned, 300);
	assert_int_equal(recorder.info.seed, 77);
	assert_true(recorder.has_facts);
	assert_string_equal(recorder.targets, "");
	assert_int_equal(recorder.nr_compared, 0);
	assert_int_equal(recorder.nr_ends, 1);
	assert_int_equal(summary_total(&many.summary), 300);
	assert_int_equal(many.summary.count[VERDICT_PASS], 300);
	assert_false(many.has_trouble);
}

/* No more than there are places for, nor more than there are tests for. */
static void test_number_of_machines(void **state)
{
	(void)state;
	whole.nr_at_once = 4;
	assert_int_equal(many_nr_machines(&many, 0), 1);
	assert_int_equal(many_nr_machines(&many, 2 * MANY_MIN_TESTS - 1), 1);
	assert_int_equal(many_nr_machines(&many, 2 * MANY_MIN_TESTS), 2);
	assert_int_equal(many_nr_machines(&many, 100 * MANY_MIN_TESTS), 4);
}

static int lab_second_dies(struct args *args)
{
	if (args->selection.part == 1)
		raise(SIGKILL);
	return lab_shares(args);
}

/* It costs the tests that it owes. */
static void test_machine_dies(void **state)
{
	(void)state;
	many.run = lab_second_dies;
	share_three_hundred();
	assert_int_equal(recorder.nr_begins, 1);
	assert_int_equal(summary_total(&many.summary), 300);
	assert_int_equal(many.summary.count[VERDICT_ERROR], 100);
	assert_has(recorder.reasons, "the lab's process was ended by signal 9\n");
}

/* All tests have results, and yet something was wrong. */
static int lab_second_complains(struct args *args)
{
	lab_shares(args);
	return args->selection.part == 1 ? 99 : 0;
}

static void test_machine_complains(void **state)
{
	(void)state;
	many.run = lab_second_complains;
	share_three_hundred();
	assert_int_equal(many.summary.count[VERDICT_PASS], 300);
	assert_true(many.has_trouble);
}

static int lab_refuses(struct args *args)
{
	(void)args;
	return usage_error("qemu is not here");
}

/* Then nothing is reported, not even that a run has begun. */
static void test_machines_refuse(void **state)
{
	(void)state;
	many.run = lab_refuses;
	share_three_hundred();
	assert_true(many.has_refused);
	assert_int_equal(recorder.nr_begins, 0);
	assert_int_equal(recorder.nr_ends, 0);
	assert_int_equal(summary_total(&many.summary), 0);
}

/* Each says its files' names as a reason. */
static int lab_names_files(struct args *args)
{
	fprintf(stderr, "[%s|%s]\n", args->lab.console, args->gcov);
	return 1;
}

static void test_machines_have_files(void **state)
{
	(void)state;
	many.run = lab_names_files;
	whole.gcov = "g";
	whole.nr_at_once = 2;
	share_three_hundred();
	assert_has(recorder.reasons, "[vmassay-lab-svm.console|g/lab-svm]\n");
	assert_has(recorder.reasons, "[vmassay-lab-svm.2.console|g/lab-svm.2]\n");
	drop_run(NULL);
	*recorder.reasons = '\0';
	whole.lab.console = "c";
	share_three_hundred();
	assert_has(recorder.reasons, "[c|g/lab-svm]\n");
	assert_has(recorder.reasons, "[c.2|g/lab-svm.2]\n");
	drop_run(NULL);
	*recorder.reasons = '\0';
	many.is_plain = false;
	assert_int_equal(lab_names_parse(&names, "svm,vmx", &err), 0);
	assert_int_equal(many_run(&many, &err), 0);
	assert_has(recorder.reasons, "[c.lab-svm.2|g/lab-svm.2]\n");
	assert_has(recorder.reasons, "[c.lab-vmx|g/lab-vmx]\n");
}

/* Two targets: a column each, all of a target's machines in one. */
static void test_machines_in_columns(void **state)
{
	(void)state;
	many.run = lab_shares;
	whole.selection.repeat = 100;
	whole.nr_at_once = 2;
	run_labs("svm,vmx", NULL);
	assert_int_equal(recorder.nr_begins, 1);
	assert_string_equal(recorder.targets, "lab-svm:svm lab-vmx:vmx ");
	assert_int_equal(many.compare.nr_targets, 2);
	assert_int_equal(many.compare.targets[1].summary.count[VERDICT_PASS], 300);
	assert_int_equal(summary_total(&many.summary), 600);
}

/* --- stopping --- */

static void on_term(int signal)
{
	(void)signal;
}

/* Note, SIGTERM is blocked in it from its start: it may come before the handler is there. */
static int lab_waits(struct args *args)
{
	struct sigaction action = { .sa_handler = on_term };
	sigset_t none;

	sigemptyset(&none);
	sigaction(SIGTERM, &action, NULL);
	say_run(args);
	say_result(args, "a.plain", "FAIL", 1);
	sigsuspend(&none);
	say_result(args, "a.npt", "PASS", 1);
	return EXIT_INTERRUPTED;
}

static void run_waiting_labs(void)
{
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	many.run = lab_waits;
	run_labs("all", NULL);
	sigprocmask(SIG_UNBLOCK, &term, NULL);
}

/* What they still say is kept, what they do not say is no error, who has not begun does not begin. */
static void test_interrupt(void **state)
{
	(void)state;
	recorder.interrupts = true;
	whole.nr_at_once = 2;
	run_waiting_labs();
	assert_int_equal(count_results("FAIL\n"), 2);
	assert_int_equal(count_results("a.npt@lab-vmx PASS\n"), 1);
	assert_int_equal(summary_total(&many.summary), 4);
	assert_string_equal(many.compare.targets[0].note, "stopped before its end");
	assert_string_equal(many.compare.targets[2].note, "was not started");
}

static void test_fail_fast(void **state)
{
	(void)state;
	whole.run.fail_fast = true;
	whole.nr_at_once = 1;
	run_waiting_labs();
	assert_int_equal(summary_total(&many.summary), 2);
	assert_string_equal(many.compare.targets[1].note, "was not started");
}

/* --- a matrix --- */

/* npt changes all three, nested only the number of checks of the two that do not need it. */
static int lab_depends(struct args *args)
{
	bool npt = has_param(args, "kvm_amd.npt=1"), nested = has_param(args, "kvm_amd.nested=1");

	if (strcmp(args->run.target, "lab-svm") || !has_param(args, "kvm.x=1"))
		return 98;
	say_run(args);
	say_result(args, "a.nested", nested ? "PASS" : "SKIP", 1);
	say_result(args, "a.npt", npt ? "PASS" : "FAIL", 1);
	say_result(args, "a.plain", "PASS", npt ? 2 : 3);
	return 1;
}

static void test_matrix_flags(void **state)
{
	struct compare *compare = &many.compare;
	size_t i;

	(void)state;
	many.run = lab_depends;
	whole.params[0] = "kvm.x=1";
	run_labs("svm", "npt=0,1:nested=0,1");
	assert_string_equal(recorder.target, "lab-svm[npt=0,nested=0],lab-svm[npt=0,nested=1],"
			    "lab-svm[npt=1,nested=0],lab-svm[npt=1,nested=1]");
	assert_int_equal(count_results("a.npt@lab-svm[npt=0,nested=1] FAIL\n"), 1);
	assert_int_equal(summary_total(&many.summary), 12);
	for (i = 0; i < compare->nr_rows; i++) {
		/* It needs nested, and it names npt: these two may change. */
		if (strcmp(compare->rows[i].test, "a.plain"))
			assert_null(compare->rows[i].flag);
		else
			assert_string_equal(compare->rows[i].flag, "npt");
	}
}

/* The fake kernel takes npt, always has nested=1, and knows no other. */
static void test_matrix_is_checked(void **state)
{
	(void)state;
	run_labs("svm", "npt=0,1:x=1");
	assert_string_equal(many.compare.targets[0].note, "kvm_amd has no parameter x");
	compare_free(&many.compare);
	matrix_free(&matrix);
	strlist_free(&names);
	recorder.nr_compared = recorder.nr_ends = 0;
	run_labs("svm", "npt=0,1:nested=0");
	assert_string_equal(many.compare.targets[1].note, "kvm_amd.nested is 1, not 0");
}

/* --- parsing --- */

static void test_lab_names(void **state)
{
	(void)state;
	assert_int_equal(lab_names_parse(&names, "vmx,svm", &err), 0);
	assert_int_equal(names.nr, 2);
	assert_string_equal(names.strings[0], "vmx");
	strlist_free(&names);
	assert_int_equal(lab_names_parse(&names, "svm,svm", &err), -EINVAL);
	assert_string_equal(err.text, "lab 'svm' is there twice");
	strlist_free(&names);
	assert_int_equal(lab_names_parse(&names, "svm,all", &err), -EINVAL);
	strlist_free(&names);
	assert_int_equal(lab_names_parse(&names, "", &err), -EINVAL);
}

static void assert_label(size_t combination, const char *want_label, const char *want_words)
{
	struct strlist words = { 0 };
	char *label = matrix_label(&matrix, combination), *joined;

	assert_string_equal(label, want_label);
	matrix_add_words(&matrix, combination, "kvm_intel", &words);
	joined = strlist_join(&words, " ");
	assert_string_equal(joined, want_words);
	free(joined);
	free(label);
	strlist_free(&words);
}

static void test_matrix_combinations(void **state)
{
	(void)state;
	assert_int_equal(matrix_nr_combinations(&matrix), 1);
	assert_label(0, "", "");
	assert_int_equal(matrix_parse(&matrix, "ept=0,1:kvm.ignore_msrs=N,Y,0x2", &err), 0);
	assert_int_equal(matrix_nr_combinations(&matrix), 6);
	assert_label(0, "ept=0,kvm.ignore_msrs=N", "kvm_intel.ept=0 kvm.ignore_msrs=N");
	assert_label(1, "ept=0,kvm.ignore_msrs=Y", "kvm_intel.ept=0 kvm.ignore_msrs=Y");
	assert_label(5, "ept=1,kvm.ignore_msrs=0x2", "kvm_intel.ept=1 kvm.ignore_msrs=0x2");
	assert_ptr_equal(matrix_difference(&matrix, 0, 3), &matrix.params[0]);
	assert_ptr_equal(matrix_difference(&matrix, 3, 5), &matrix.params[1]);
	assert_null(matrix_difference(&matrix, 0, 4));
	assert_null(matrix_difference(&matrix, 2, 2));
}

static void test_matrix_refusals(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "", "'' has no values (want NAME=VALUE,VALUE)" },
		{ "npt", "'npt' has no values (want NAME=VALUE,VALUE)" },
		{ "npt:x=1", "'npt' has no values (want NAME=VALUE,VALUE)" },
		{ "npt=", "'' is no value for 'npt'" },
		{ "npt=,1", "'' is no value for 'npt'" },
		{ "npt=0,:x=1", "'' is no value for 'npt'" },
		{ "npt=0:", "'' has no values (want NAME=VALUE,VALUE)" },
		{ "npt=0 1", "'0 1' is no value for 'npt'" },
		{ "npt=0=1", "'0=1' is no value for 'npt'" },
		{ "=1", "'' is no parameter (want NAME or MODULE.NAME)" },
		{ ".npt=1", "'.npt' is no parameter (want NAME or MODULE.NAME)" },
		{ "kvm.=1", "'kvm.' is no parameter (want NAME or MODULE.NAME)" },
		{ "a b=1", "'a b' is no parameter (want NAME or MODULE.NAME)" },
		{ "npt=1,1", "'npt' has the value '1' twice" },
		{ "npt=1:kvm.npt=1:npt=0", "'npt' is there twice" },
		{ "a=1,2,3,4,5,6,7,8:b=1,2,3,4,5,6,7,8:c=1,2", "more than 64 combinations" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(matrix_parse(&matrix, rows[i].text, &err), -EINVAL);
		assert_string_equal(err.text, rows[i].want);
		assert_int_equal(matrix.nr_params, 0);
	}
}

static void test_what_may_matter(void **state)
{
	static const struct {
		const char *module, *param, *needs;
		bool want;
	} rows[] = {
		{ NULL, "npt", "", false },
		{ NULL, "npt", "cpuid:nx nested", false },
		{ NULL, "npt", "cpuid:nx  param:kvm_amd.npt=0", true },
		{ NULL, "npt", "param:kvm_amd.npt_x=0", false },
		{ NULL, "npt", "cpuid:npt", true },
		{ NULL, "npt", "cpuid:pdpe1gb", true },
		{ NULL, "nested", "nested", true },
		{ NULL, "nested", "KVM_CAP_NESTED_STATE", true },
		{ NULL, "nested", "param:kvm_intel.nested=1", true },
		{ "kvm", "ignore_msrs", "param:kvm.ignore_msrs=0", true },
		{ "kvm", "ignore_msrs", "param:kvm_amd.ignore_msrs=0", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct matrix_param param = { .module = (char *)rows[i].module, .name = (char *)rows[i].param };

		if (matrix_may_matter(&param, rows[i].needs) != rows[i].want)
			fail_msg("row %zu: %s and '%s'", i, rows[i].param, rows[i].needs);
	}
}

#define RUN(test) cmocka_unit_test_setup_teardown(test, make_run, drop_run)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(test_one_report),
		RUN(test_death_costs_its_rest),
		RUN(test_early_end_is_an_error),
		RUN(test_refusal_is_no_verdict),
		RUN(test_what_is_not_ours),
		RUN(test_shadow_paging),
		RUN(test_several_cpus),
		RUN(test_failure_in_shadow),
		RUN(test_at_once),
		RUN(test_machines_are_one_run),
		RUN(test_number_of_machines),
		RUN(test_machine_dies),
		RUN(test_machine_complains),
		RUN(test_machines_refuse),
		RUN(test_machines_have_files),
		RUN(test_machines_in_columns),
		RUN(test_interrupt),
		RUN(test_fail_fast),
		RUN(test_matrix_flags),
		RUN(test_matrix_is_checked),
		RUN(test_lab_names),
		RUN(test_matrix_combinations),
		RUN(test_matrix_refusals),
		RUN(test_what_may_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

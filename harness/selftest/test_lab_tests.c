/* SPDX-License-Identifier: MIT */
/* Tests in a lab whose boots are played: who answers for a death, what is tried again, and how often. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/brief.h"
#include "cli/lab_tests.h"
#include "err.h"

#define MAX_TESTS 4
#define PANIC "[    3.0] BUG: kernel NULL pointer dereference, address: 0\n[    3.0] RIP: 0010:f+0x1\n"	\
	"[    3.1] Kernel panic - not syncing: Fatal\n"
#define WARNING "[    2.0] WARNING: CPU: 0 PID: 1 at x.c:1\n"
#define REPORTED "the kernel reported: BUG: kernel NULL pointer dereference, address: 0 at f+0x1"
#define RAN_THEN " (2 tests ran then: which of them is to blame is not known)"

/*
 * What a boot does: a word for each step, "+a" starts test a, "-a" is its PASS, "!a" its FAIL, "@" the panic's lines, "%" a
 * warning's; ">0" starts the first test that the boot was given, "<0" is its PASS, in brief.
 */
struct boot {
	const char *steps;
	enum emulator_end end;
	bool is_complete;
	int exit_code;
};

/* What is reported of a test: NULL for nothing. */
struct want {
	enum verdict verdict;
	const char *reason;
	const char *dmesg;
};

struct scene {
	const char *name;
	unsigned int nr_boots;		/* allowed after the first */
	struct boot boots[4];
	unsigned int want_boots;
	struct want want[MAX_TESTS];	/* of a, b, c, d */
	int want_return;
};

static const struct scene *scene;
static unsigned int nr_booted;
static struct result *results[MAX_TESTS];
static char words[4][512];		/* that each boot was given */

/* --- a lab that plays --- */

static void play(const char *step, struct lab_outcome *outcome, void (*on_line)(void *context, const char *line),
		 void *context)
{
	char line[256];

	if (*step == '@' || *step == '%') {
		const char *said = *step == '@' ? PANIC : WARNING;

		tail_feed(&outcome->emulator.console, said, strlen(said));
		return;
	}
	if (*step == '>')
		snprintf(line, sizeof(line), "+%s", step + 1);
	else if (*step == '<')
		snprintf(line, sizeof(line), "=%s 1 1", step + 1);
	else if (*step == '+')
		snprintf(line, sizeof(line), "{\"type\":\"start\",\"test\":\"%s\",\"round\":0}", step + 1);
	else
		snprintf(line, sizeof(line), "{\"type\":\"result\",\"test\":\"%s\",\"target\":\"lab-x\",\"file\":\"f\","
			 "\"verdict\":\"%s\",\"round\":0,\"duration_us\":1,\"nr_checks\":1}", step + 1,
			 *step == '-' ? "PASS" : "FAIL");
	on_line(context, line);
}

static int boot_play(const struct lab_options *options, const char *const *argv,
		     void (*on_line)(void *context, const char *line), void *context, struct lab_outcome *outcome,
		     struct err *err)
{
	const struct boot *boot = &scene->boots[nr_booted];
	char steps[64], *rest = steps, *step;

	(void)options;
	(void)err;
	assert_true(nr_booted < 4);
	*outcome = (struct lab_outcome){
		.is_complete = boot->is_complete, .exit_code = boot->exit_code, .last_words = "its last words",
		.emulator.end = boot->end,
	};
	for (; *argv; argv++)
		snprintf(words[nr_booted] + strlen(words[nr_booted]), sizeof(words[0]) - strlen(words[nr_booted]), " %s",
			 *argv);
	nr_booted++;
	on_line(context, "{\"type\":\"run\",\"facts\":{}}");
	snprintf(steps, sizeof(steps), "%s", boot->steps);
	while ((step = strsep(&rest, " ")))
		if (*step)
			play(step, outcome, on_line, context);
	return 0;
}

/* --- a sink that remembers --- */

static void on_run_begin(struct sink *sink, const struct run_info *info)
{
	(void)sink;
	(void)info;
}

static void on_test_begin(struct sink *sink, const char *test, const char *target, unsigned int round)
{
	(void)sink;
	(void)test;
	(void)round;
	assert_string_equal(target, "lab-x");
}

static void on_test_end(struct sink *sink, const struct result *result)
{
	struct result *copy = result_new(result->test, result->target, result->file);
	size_t i;

	(void)sink;
	copy->verdict = result->verdict;
	for (i = 0; i < result->nr_notes; i++)
		result_add_note(copy, &result->notes[i]);
	if (results[*result->test - 'a'])
		fail_msg("%s has two results", result->test);
	results[*result->test - 'a'] = copy;
}

static void on_run_end(struct sink *sink, const struct summary *summary)
{
	(void)sink;
	(void)summary;
}

static const struct sink_ops ops = {
	.run_begin = on_run_begin, .test_begin = on_test_begin, .test_end = on_test_end, .run_end = on_run_end,
};

/* --- the scenes --- */

#define PASSED { VERDICT_PASS }
#define LEFT EMULATOR_ENDED, true, EXIT_LEFT
#define DONE EMULATOR_ENDED, true, 0

static const struct scene scenes[] = {
	{ "a panic is the kernel's", 5, { { "+a -a +b @" }, { "+c -c +d -d", DONE } }, 2,
	  { PASSED, { VERDICT_FAIL, REPORTED, PANIC }, PASSED, PASSED } },
	{ "so is a report with a silent end", 5, { { "+a @", EMULATOR_IDLE }, { "+b -b +c -c +d -d", DONE } }, 2,
	  { { VERDICT_FAIL, REPORTED, PANIC }, PASSED, PASSED, PASSED } },
	{ "one that is at work and silent hangs", 5, { { "+a", EMULATOR_BUSY }, { "-b -c -d", DONE } }, 2,
	  { { VERDICT_FAIL, "the kernel hung: its last words" }, PASSED, PASSED, PASSED } },
	{ "the emulator's own end is not", 5,
	  { { "+a %", EMULATOR_FAILED }, { "+a %", EMULATOR_FAILED }, { "-b -c -d", DONE } }, 3,
	  { { VERDICT_ERROR, "its last words", WARNING }, PASSED, PASSED, PASSED } },
	{ "and once is not enough", 5, { { "+a %", EMULATOR_FAILED }, { "+a -a -b -c -d", DONE } }, 2,
	  { PASSED, PASSED, PASSED, PASSED } },
	{ "unless no boot is left", 0, { { "-b -c -d +a", EMULATOR_FAILED } }, 1,
	  { { VERDICT_ERROR, "its last words" }, PASSED, PASSED, PASSED } },
	{ "nor of two who do nothing alone", 5,
	  { { "+a +b", EMULATOR_FAILED }, { "+a -a +b -b", DONE }, { "-c -d", DONE } }, 3,
	  { PASSED, PASSED, PASSED, PASSED } },
	{ "unless a panic came first", 5, { { "+a @", EMULATOR_FAILED }, { "-b -c -d", DONE } }, 2,
	  { { VERDICT_FAIL, REPORTED, PANIC }, PASSED, PASSED, PASSED } },
	{ "nor is one that stands still", 5, { { "+a", EMULATOR_IDLE }, { "-b -c -d", DONE } }, 2,
	  { { VERDICT_ERROR, "its last words" }, PASSED, PASSED, PASSED } },
	{ "nor one that ends without a word", 5, { { "+a" }, { "-b -c -d", DONE } }, 2,
	  { { VERDICT_ERROR, "its last words" }, PASSED, PASSED, PASSED } },
	{ "the run inside may die alone", 5, { { "+a", EMULATOR_ENDED, true, 137 }, { "-b -c -d", DONE } }, 2,
	  { { VERDICT_ERROR, "the run inside the lab ended without this test" }, PASSED, PASSED, PASSED } },
	{ "of two, one does it alone", 5, { { "+a +b @" }, { "+a -a +b @" }, { "-c -d", DONE } }, 3,
	  { PASSED, { VERDICT_FAIL, REPORTED, PANIC }, PASSED, PASSED } },
	{ "and the other comes later", 5, { { "+a +b @" }, { "+a @" }, { "-b -c -d", DONE } }, 3,
	  { { VERDICT_FAIL, REPORTED, PANIC }, PASSED, PASSED, PASSED } },
	{ "two that do it together only", 5, { { "+a +b @" }, { "+a -a +b -b", DONE }, { "-c -d", DONE } }, 3,
	  { { VERDICT_FAIL, REPORTED RAN_THEN, PANIC }, { VERDICT_FAIL, REPORTED RAN_THEN, PANIC }, PASSED, PASSED } },
	{ "the kernel is left after one, the other does it", 5,
	  { { "+a +b @" }, { "+a !a", LEFT }, { "+b @" }, { "-c -d", DONE } }, 4,
	  { { VERDICT_FAIL }, { VERDICT_FAIL, REPORTED, PANIC }, PASSED, PASSED } },
	{ "the kernel is left after one, the other does not", 5,
	  { { "+a +b @" }, { "+a !a", LEFT }, { "-b", DONE }, { "-c -d", DONE } }, 4,
	  { { VERDICT_FAIL, REPORTED RAN_THEN, PANIC }, { VERDICT_FAIL, REPORTED RAN_THEN, PANIC }, PASSED, PASSED } },
	{ "the suspects' boot is none of those allowed", 1, { { "+a +b @" }, { "+a @" }, { "-b -c -d", DONE } }, 3,
	  { { VERDICT_FAIL, REPORTED, PANIC }, PASSED, PASSED, PASSED } },
	{ "without it, two are accused", 0, { { "-c -d +a +b @" } }, 1,
	  { { VERDICT_FAIL, REPORTED RAN_THEN, PANIC }, { VERDICT_FAIL, REPORTED RAN_THEN, PANIC }, PASSED, PASSED } },
	{ "what was said before is not about it", 5, { { "@ +a -a +b", EMULATOR_BUSY }, { "-c -d", DONE } }, 2,
	  { PASSED, { VERDICT_FAIL, "the kernel hung: its last words" }, PASSED, PASSED } },
	{ "what was given up is tried again", 5, { { "+a +b !a", LEFT }, { "+b -b -c -d", DONE } }, 2,
	  { { VERDICT_FAIL }, PASSED, PASSED, PASSED } },
	{ "no boot is left", 1, { { "+a !a", LEFT }, { "+b !b", LEFT } }, 2,
	  { { VERDICT_FAIL }, { VERDICT_FAIL },
	    { VERDICT_ERROR, "not run: the kernel could not be trusted after what it reported, and no boot was left "
	      "(--boots)" },
	    { VERDICT_ERROR, "not run: the kernel could not be trusted after what it reported, and no boot was left "
	      "(--boots)" } } },
	{ "none was allowed", 0, { { "+a @" } }, 1,
	  { { VERDICT_FAIL, REPORTED, PANIC }, { VERDICT_ERROR, "not run: " REPORTED },
	    { VERDICT_ERROR, "not run: " REPORTED }, { VERDICT_ERROR, "not run: " REPORTED } } },
	{ "before any test, all boots would end so", 5, { { "", EMULATOR_FAILED } }, 1,
	  { { VERDICT_ERROR, "not run: its last words" }, { VERDICT_ERROR, "not run: its last words" },
	    { VERDICT_ERROR, "not run: its last words" }, { VERDICT_ERROR, "not run: its last words" } } },
	{ "places are those of the boot", 5, { { ">0 <0 >1 @" }, { ">0 <0 >1 !c", DONE } }, 2,
	  { PASSED, { VERDICT_FAIL, REPORTED, PANIC }, { VERDICT_FAIL }, PASSED } },
	{ "a place that was not given is nobody's", 5, { { ">0 <0 <4 >9 <1 <2 <3", DONE } }, 1,
	  { PASSED, PASSED, PASSED, PASSED } },
	{ "between tests, nobody answers", 5, { { "+a -a @" }, { "-b -c -d", DONE } }, 2,
	  { PASSED, PASSED, PASSED, PASSED }, -ENOTRECOVERABLE },
};

static const char *dmesg_of(const struct result *result)
{
	size_t i;

	for (i = 0; i < result->nr_notes; i++)
		if (result->notes[i].kind == NOTE_DMESG)
			return result->notes[i].text;
	return "";
}

static void assert_result(const char *name, const struct result *got, const struct want *want)
{
	const char *reason;

	if (!got)
		fail_msg("%s has no result", name);
	reason = result_reason(got);
	assert_string_equal(verdict_name(got->verdict), verdict_name(want->verdict));
	assert_string_equal(reason ? reason : "", want->reason ? want->reason : "");
	assert_string_equal(dmesg_of(got), want->dmesg ? want->dmesg : "");
}

static int scene_run(const struct scene *play)
{
	static const struct case_desc descs[MAX_TESTS];
	static const char *const names[MAX_TESTS] = { "a", "b", "c", "d" };
	struct test_entry entries[MAX_TESTS];
	struct plan_item items[MAX_TESTS];
	struct plan plan = { items, MAX_TESTS };
	struct args args = { .run.target = "lab-x", .nr_boots = play->nr_boots };
	struct sink sink = { &ops }, *sinks[] = { &sink, NULL };
	struct summary summary;
	struct err err;
	unsigned int i;

	for (i = 0; i < MAX_TESTS; i++) {
		entries[i] = (struct test_entry){ .name = (char *)names[i], .file = "f", .desc = &descs[i == 2 ? 1 : i] };
		items[i] = (struct plan_item){ &entries[i], 0 };
		result_free(results[i]);
		results[i] = NULL;
	}
	scene = play;
	nr_booted = 0;
	memset(words, 0, sizeof(words));
	return lab_run_plan(&args, &plan, sinks, boot_play, &summary, &err);
}

static bool has_word(const char *word)
{
	unsigned int i;

	for (i = 0; i < nr_booted; i++)
		if (strstr(words[i], word))
			return true;
	return false;
}

static void test_scene(void **state)
{
	static const char *const names[MAX_TESTS] = { "a", "b", "c", "d" };
	const struct scene *play = *state;
	unsigned int i;

	assert_int_equal(scene_run(play), play->want_return);
	assert_int_equal(nr_booted, play->want_boots);
	for (i = 0; i < MAX_TESTS; i++)
		assert_result(names[i], results[i], &play->want[i]);
	/* A kernel that may not be left goes on. */
	for (i = 0; i < nr_booted; i++) {
		bool is_last = i == play->nr_boots + has_word("--alone");

		assert_non_null(strstr(words[i], is_last ? "--leave-at=oops " : "--leave-at=warning "));
	}
}

static void test_words(void **state)
{
	static const struct scene deaths = {
		"b kills, and then d", 5, { { "+a -a +b @" }, { "+d @" }, { "-c", DONE } },
	};

	(void)state;
	scene_run(&scenes[0]);
	assert_non_null(strstr(words[0], " -- a#0 b#0 c#0 d#0"));
	assert_non_null(strstr(words[1], " -- d#0 c#0"));
	/* c is of the case that b is of. */
	scene_run(&deaths);
	assert_non_null(strstr(words[1], " -- d#0 c#0"));
	assert_non_null(strstr(words[2], " -- c#0"));
	assert_int_equal(results[2]->verdict, VERDICT_PASS);
}

static void test_suspects_are_alone(void **state)
{
	static const struct scene death = {
		"a or b kills", 5, { { "+a +b @" }, { "-a -b", DONE }, { "-c -d", DONE } },
	};

	(void)state;
	scene_run(&death);
	assert_null(strstr(words[0], "--alone"));
	assert_non_null(strstr(words[1], "--jobs=1 --alone --leave-at=warning -- a#0 b#0"));
	assert_null(strstr(words[1], "c#0"));
	assert_null(strstr(words[2], "--alone"));
	assert_non_null(strstr(words[2], " -- c#0 d#0"));
}

static void assert_read(const char *line, bool is_start, size_t place, uint64_t duration_us, uint64_t nr_checks)
{
	struct brief brief;

	assert_true(brief_read(&brief, line));
	assert_int_equal(brief.is_start, is_start);
	assert_int_equal(brief.place, place);
	assert_int_equal(brief.duration_us, duration_us);
	assert_int_equal(brief.nr_checks, nr_checks);
}

static void test_brief_lines(void **state)
{
	static const char *const others[] = {
		"", "+", "=", "+x", "=1", "=1 2", "=1 2 3 4", "=1 2 3x", "+1 2", "{\"type\":\"start\"}", "=1 2 3\030",
	};
	struct brief brief;
	size_t i;

	(void)state;
	assert_read("+0", true, 0, 0, 0);
	assert_read("+7120", true, 7120, 0, 0);
	assert_read("=3 18446744073709551615 2", false, 3, UINT64_MAX, 2);
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (brief_read(&brief, others[i]))
			fail_msg("'%s' is taken", others[i]);
}

static void sink_pass(struct sink *sink, const char *test, const char *output)
{
	struct result *result = result_new(test, "lab-x", "f");

	result->duration_us = 15;
	result->nr_checks = 2;
	if (output)
		result_add_note(result, &(struct note){ .kind = NOTE_OUTPUT, .text = (char *)output });
	sink->ops->test_end(sink, result);
	result_free(result);
}

/* In any order; what has more to say, or is not in the plan, says it in JSON. */
static void test_brief_sink(void **state)
{
	struct test_entry entries[] = { { .name = (char *)"a" }, { .name = (char *)"b" } };
	struct plan_item items[] = { { &entries[0], 0 }, { &entries[1], 0 }, { &entries[1], 1 } };
	struct plan plan = { items, 3 };
	struct sink *sink;
	char text[2048] = "";
	struct err err;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(sink_brief_open(ends[1], &plan, &sink, &err), 0);
	sink->ops->test_begin(sink, "b", "lab-x", 1);
	sink->ops->test_begin(sink, "b", "lab-x", 0);
	sink_pass(sink, "b", NULL);
	sink->ops->test_begin(sink, "a", "lab-x", 0);
	sink_pass(sink, "a", "said");
	sink->ops->test_begin(sink, "c", "lab-x", 0);
	assert_int_equal(sink->ops->close(sink, &err), 0);
	assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
	assert_ptr_equal(strstr(text, "+2\n+1\n=1 15 2\n+0\n{\"type\":\"result\",\"test\":\"a\","), text);
	assert_non_null(strstr(text, "\"said\""));
	assert_non_null(strstr(text, "\n{\"type\":\"start\",\"test\":\"c\","));
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	enum { NR_SCENES = sizeof(scenes) / sizeof(scenes[0]) };
	enum { NR_OTHERS = 4 };
	struct CMUnitTest tests[NR_SCENES + NR_OTHERS] = {
		cmocka_unit_test(test_words), cmocka_unit_test(test_suspects_are_alone),
		cmocka_unit_test(test_brief_lines), cmocka_unit_test(test_brief_sink),
	};
	unsigned int i;
	int r;

	for (i = 0; i < NR_SCENES; i++)
		tests[i + NR_OTHERS] = (struct CMUnitTest){ scenes[i].name, test_scene, NULL, NULL, (void *)&scenes[i] };
	r = cmocka_run_group_tests(tests, NULL, NULL);
	for (i = 0; i < MAX_TESTS; i++)
		result_free(results[i]);
	return r;
}

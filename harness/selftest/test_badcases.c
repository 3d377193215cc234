/* SPDX-License-Identifier: MIT */
/*
 * Cases that are wrong on purpose, on a real KVM in the lab: test_badcases VMASSAY-BADCASES JOBS
 *
 * Each must cost itself and nothing else, with the verdict and the words that tell a person what happened. Where a
 * note has a line, it is the one marked "here" in the case's source.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "reports/result.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_RESULTS 64
#define MARK "/* here */"

static const char *program, *nr_jobs;
static char folder[] = "/tmp/vmassay-badcases-XXXXXX";
static struct result *results[MAX_RESULTS];
static unsigned int nr_results, nr_started, nr_runs, nr_ends;
static int exit_code = -1;

struct row {
	const char *test;
	enum verdict verdict;
	const char *reason;	/* the last one, or part of it */
	const char *text;	/* of the only failed check */
	const char *want;
	const char *got;
	const char *fields;
	const char *dump;	/* part of it */
	bool no_line;
};

#define OUT_TEXT(port_, data_) "IO direction=out port=" port_ " size=1 count=1 data=" data_
#define UNEXPECTED .text = "an exit that nobody expected", .want = "the guest is done", .fields = "reason"
#define DIED(fault_) "vCPU 0 of the guest took " fault_ " that nobody expected, at "				\
	"harness/selftest/bad/unexpected_exception.c:%u (guest_main), RIP 0x"

static const struct row rows[] = {
	{ "bad.extra_exit", VERDICT_FAIL, UNEXPECTED, .got = OUT_TEXT("0x81", "0x5b") " (guest: running)",
	  .dump = "last exit: " OUT_TEXT("0x81", "0x5b") },
	{ "bad.good", VERDICT_PASS },
	{ "bad.guest_check", VERDICT_FAIL, .text = "abi_self()->nr_vcpus + 1", .want = "0x1", .got = "0x2" },
	{ "bad.hang_hlt", VERDICT_FAIL, "hang: vCPU 0 did not leave KVM_RUN in time",
	  .dump = "vCPU 0, mode long64, last exit: INTR\n" },
	{ "bad.hang_host", VERDICT_ERROR, "hang: killed after its time (outside KVM, request 0x0)" },
	{ "bad.hang_jmp", VERDICT_FAIL, "hang: vCPU 0 did not leave KVM_RUN in time",
	  .dump = "at    harness/selftest/bad/hang_jmp.c:%u (guest_main)\n" },
	{ "bad.killed", VERDICT_ERROR, "the test's process died by signal 9 (Killed) outside KVM" },
	{ "bad.killed_inside", VERDICT_FAIL, "the test's process died by signal 14 (Alarm clock) inside KVM_RUN" },
	{ "bad.known", VERDICT_KNOWN, "known: reports/findings/0000-example.md", .text = "the exit differs",
	  .want = OUT_TEXT("0x80", "0x5b"), .got = OUT_TEXT("0x80", "0x5a"), .fields = "data" },
	{ "bad.known_passes", VERDICT_FAIL, "passes, but reports/findings/0000-example.md says that it fails here" },
	{ "bad.leaves", VERDICT_ERROR, "the test's process ended without a result outside KVM" },
	{ "bad.leaves_3", VERDICT_ERROR, "the test's process ended with status 3 outside KVM" },
	{ "bad.missing_exit", VERDICT_FAIL, .text = "the exit is missing", .want = OUT_TEXT("0x80", "0x5a"),
	  .got = "no exit, the guest is done", .fields = "reason" },
	{ "bad.no_check", VERDICT_ERROR, "no check was made" },
	{ "bad.triple_fault", VERDICT_FAIL, UNEXPECTED, .got = "SHUTDOWN (guest: running)",
	  .dump = "last exit: SHUTDOWN\n" },
	{ "bad.unexpected_exception.long64", VERDICT_FAIL, DIED("#UD(0x0)"), .dump = "vCPU 0, mode long64" },
	{ "bad.unexpected_exception.pae32", VERDICT_FAIL, DIED("#UD(0x0)"), .dump = "vCPU 0, mode pae32" },
	{ "bad.unexpected_exception.real16", VERDICT_FAIL, DIED("#UD(0x0)"), .dump = "vCPU 0, mode real16" },
	{ "bad.unmet", VERDICT_SKIP, "needs vendor:intel" },
	{ "bad.wrong_field", VERDICT_FAIL, .text = "the exit differs", .want = OUT_TEXT("0x80", "0x5b"),
	  .got = OUT_TEXT("0x80", "0x5a"), .fields = "data" },
	{ "bad.wrong_stage", VERDICT_FAIL, .text = "the guest's stage", .want = "0x1", .got = "0x2" },
};

/* --- the run --- */

static void event_take(struct json_object *event)
{
	struct json_object *type;
	const char *name;

	if (!json_object_object_get_ex(event, "type", &type))
		return;
	name = json_object_get_string(type);
	nr_runs += !strcmp(name, "run");
	nr_started += !strcmp(name, "start");
	nr_ends += !strcmp(name, "end");
	if (strcmp(name, "result") || nr_results == MAX_RESULTS)
		return;
	results[nr_results] = result_from_json(event);
	if (results[nr_results])
		nr_results++;
}

static void events_read(const char *path)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0) {
		struct json_object *event = json_tokener_parse(line);

		if (event)
			event_take(event);
		json_object_put(event);
	}
	free(line);
	if (file)
		fclose(file);
}

static int run_program(const char *json, const char *console)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		/* Standard output is this program's TAP. */
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execl(program, program, "lab", "svm", "--jobs", nr_jobs, "--timeout", "4", "--json", json, "--console",
		      console, "bad.*", (char *)NULL);
		_exit(126);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static int run_lab(void **state)
{
	char json[64], console[64];

	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(json, sizeof(json), "%s/json", folder);
	snprintf(console, sizeof(console), "%s/console", folder);
	exit_code = run_program(json, console);
	events_read(json);
	unlink(json);
	unlink(console);
	rmdir(folder);
	return 0;
}

static int free_results(void **state)
{
	(void)state;
	while (nr_results)
		result_free(results[--nr_results]);
	return 0;
}

/* --- what it reported --- */

static const struct result *result_find(const char *test)
{
	const struct result *found = NULL;
	unsigned int i;

	for (i = 0; i < nr_results; i++) {
		if (strcmp(results[i]->test, test))
			continue;
		if (found)
			fail_msg("%s has two results", test);
		found = results[i];
	}
	if (!found)
		fail_msg("%s has no result", test);
	return found;
}

static const struct note *note_find(const struct result *result, enum note_kind kind, unsigned int index)
{
	size_t i;

	for (i = 0; i < result->nr_notes; i++)
		if (result->notes[i].kind == kind && index-- == 0)
			return &result->notes[i];
	return NULL;
}

/* The line of the case's source that bears the mark; 0: none does. */
static unsigned int marked_line(const struct result *result)
{
	unsigned int at = 0, marked = 0;
	char path[512], line[256];
	FILE *file;

	snprintf(path, sizeof(path), SOURCE_ROOT "/%s", result->file);
	file = fopen(path, "re");
	if (!file)
		fail_msg("%s", path);
	while (fgets(line, sizeof(line), file)) {
		at++;
		if (strstr(line, MARK))
			marked = at;
	}
	fclose(file);
	return marked;
}

/* @format may have the marked line in it. */
static void assert_part(const struct result *result, const char *what, const char *text, const char *format)
{
	char part[256];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(part, sizeof(part), format, marked_line(result));
#pragma GCC diagnostic pop
	if (!text || !strstr(text, part))
		fail_msg("%s: the %s '%s' does not hold '%s'", result->test, what, text ? text : "", part);
}

static void assert_check(const struct result *result, const struct row *row)
{
	const struct note *note = note_find(result, NOTE_CHECK, 0);

	if (!row->text) {
		assert_null(note);
		return;
	}
	assert_non_null(note);
	assert_null(note_find(result, NOTE_CHECK, 1));
	assert_string_equal(note->text, row->text);
	assert_string_equal(note->want, row->want);
	assert_string_equal(note->got, row->got);
	assert_string_equal(note->fields ? note->fields : "", row->fields ? row->fields : "");
	assert_string_equal(note->file, result->file);
	assert_int_equal(note->line, marked_line(result));
}

static void test_row(void **state)
{
	const struct row *row = *state;
	const struct result *result = result_find(row->test);
	const struct note *dump = note_find(result, NOTE_DUMP, 0);

	assert_string_equal(verdict_name(result->verdict), verdict_name(row->verdict));
	assert_string_equal(result->target, "lab-svm");
	if (row->reason)
		assert_part(result, "reason", result_reason(result), row->reason);
	else
		assert_null(result_reason(result));
	assert_check(result, row);
	if (row->dump)
		assert_part(result, "dump", dump ? dump->text : NULL, row->dump);
	if (row->verdict == VERDICT_PASS)
		assert_int_equal(result->nr_notes, 0);
}

/* Nothing else was reported, and in one boot. */
static void test_whole(void **state)
{
	(void)state;
	assert_int_equal(exit_code, 1);
	assert_int_equal(nr_results, ARRAY_SIZE(rows));
	assert_int_equal(nr_started, ARRAY_SIZE(rows));
	assert_int_equal(nr_runs, 1);
	assert_int_equal(nr_ends, 1);
}

int main(int argc, char **argv)
{
	struct CMUnitTest tests[ARRAY_SIZE(rows) + 1] = { cmocka_unit_test(test_whole) };
	size_t i;

	if (argc != 3) {
		fprintf(stderr, "usage: test_badcases VMASSAY-BADCASES JOBS\n");
		return 2;
	}
	program = argv[1];
	nr_jobs = argv[2];
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		tests[i + 1] = (struct CMUnitTest){ rows[i].test, test_row, NULL, NULL, (void *)&rows[i] };
	return cmocka_run_group_tests(tests, run_lab, free_results);
}

/* SPDX-License-Identifier: MIT */
/* What results mean to git bisect, and how those of two commits are shown side by side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/bisect_results.h"

#define RESULT(test, verdict, round, notes) \
	"{\"type\":\"result\",\"test\":\"" test "\",\"target\":\"lab-svm\",\"file\":\"cases/x.c\",\"verdict\":\"" verdict \
	"\",\"round\":" #round ",\"duration_us\":1,\"nr_checks\":1,\"notes\":[" notes "]}\n"

#define CHECK "{\"kind\":\"check\",\"file\":\"cases/x.c\",\"line\":7,\"text\":\"the exit differs\",\"want\":\"0x5a\"," \
	      "\"got\":\"0x\\u001b5b\\nmore\"}"
#define REASON "{\"kind\":\"reason\",\"text\":\"the emulator died\"}"

static struct bisect_results read_text(const char *text)
{
	struct bisect_results results = { 0 };
	char path[] = "/tmp/vmassay-bisect-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_int_equal(bisect_results_read(&results, path), 0);
	unlink(path);
	return results;
}

static void code_is(enum bisect_code want, const char *says, const char *text)
{
	struct bisect_results results = read_text(text);
	char summary[256];

	assert_int_equal(bisect_results_code(&results), want);
	bisect_results_summarise(&results, summary, sizeof(summary));
	assert_string_equal(summary, says);
	bisect_results_free(&results);
}

static void verdicts_become_codes(void **state)
{
	(void)state;
	code_is(BISECT_GOOD, "a.x: PASS", RESULT("a.x", "PASS", 0, ""));
	code_is(BISECT_BAD, "a.x: FAIL", RESULT("a.x", "FAIL", 0, CHECK));
	code_is(BISECT_SKIP, "a.x: ERROR", RESULT("a.x", "ERROR", 0, REASON));
	code_is(BISECT_SKIP, "a.x: SKIP", RESULT("a.x", "SKIP", 0, REASON));
	code_is(BISECT_SKIP, "a.x: KNOWN", RESULT("a.x", "KNOWN", 0, REASON));
	code_is(BISECT_SKIP, "0 tests", "");
}

static void worst_of_several_counts(void **state)
{
	(void)state;
	code_is(BISECT_GOOD, "2 tests: 1 PASS, 1 SKIP", RESULT("a.x", "PASS", 0, "") RESULT("a.y", "SKIP", 0, ""));
	code_is(BISECT_GOOD, "2 tests: 1 PASS, 1 KNOWN", RESULT("a.x", "PASS", 0, "") RESULT("a.y", "KNOWN", 0, ""));
	code_is(BISECT_SKIP, "2 tests: 1 PASS, 1 ERROR", RESULT("a.x", "PASS", 0, "") RESULT("a.y", "ERROR", 0, ""));
	code_is(BISECT_BAD, "3 tests: 1 PASS, 1 ERROR, 1 FAIL",
		RESULT("a.x", "PASS", 0, "") RESULT("a.y", "FAIL", 0, "") RESULT("a.z", "ERROR", 0, ""));
}

static void worst_of_rounds_counts(void **state)
{
	(void)state;
	code_is(BISECT_BAD, "a.x: FAIL",
		RESULT("a.x", "PASS", 0, "") RESULT("a.x", "FAIL", 1, CHECK) RESULT("a.x", "PASS", 2, ""));
}

static void other_lines_are_passed_over(void **state)
{
	(void)state;
	code_is(BISECT_GOOD, "a.x: PASS",
		"{\"type\":\"run\",\"version\":1}\n{\"type\":\"result\",\"te\n" RESULT("a.x", "PASS", 0, "")
		"{\"type\":\"end\"}\n{\"type\":\"result\"");
}

static void summary_is_cut_where_it_is_full(void **state)
{
	struct bisect_results results = read_text(RESULT("area.a_long_name", "PASS", 0, ""));
	char text[8];

	(void)state;
	bisect_results_summarise(&results, text, sizeof(text));
	assert_memory_equal(text, "area.a_", sizeof(text));
	bisect_results_free(&results);
}

static void missing_file_is_told(void **state)
{
	struct bisect_results results = { 0 };

	(void)state;
	assert_int_equal(bisect_results_read(&results, "/nonexistent/results"), -ENOENT);
	assert_int_equal(results.nr, 0);
}

static void sides_are(const char *want, const char *good, const char *bad)
{
	struct bisect_results sides[2] = { read_text(good), read_text(bad) };
	size_t len_bytes;
	char *got = NULL;
	FILE *out = open_memstream(&got, &len_bytes);

	bisect_print_sides(out, &(struct bisect_side){ "parent 0123", &sides[0] },
			   &(struct bisect_side){ "first bad 4567", &sides[1] });
	fclose(out);
	assert_string_equal(got, want);
	free(got);
	bisect_results_free(&sides[0]);
	bisect_results_free(&sides[1]);
}

static void sides_show_verdicts_and_values(void **state)
{
	(void)state;
	sides_are("        parent 0123               first bad 4567\n"
		  "a.x     PASS                      FAIL\n"
		  "  bad:\n"
		  "  cases/x.c:7: the exit differs\n"
		  "    want  0x5a\n"
		  "    got   0x\\x1b5b\n"
		  "          more\n"
		  "  reason: the emulator died\n"
		  "a.long  PASS                      PASS\n",
		  RESULT("a.long", "PASS", 0, "") RESULT("a.x", "PASS", 0, ""),
		  RESULT("a.x", "FAIL", 0, CHECK "," REASON) RESULT("a.long", "PASS", 0, ""));
}

static void sides_show_what_one_side_lacks(void **state)
{
	(void)state;
	sides_are("     parent 0123               first bad 4567\n"
		  "a.x  -                         FAIL\n"
		  "a.y  ERROR                     -\n"
		  "  good:\n"
		  "  reason: the emulator died\n",
		  RESULT("a.y", "ERROR", 0, REASON), RESULT("a.x", "FAIL", 0, ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts_become_codes),
		cmocka_unit_test(worst_of_several_counts),
		cmocka_unit_test(worst_of_rounds_counts),
		cmocka_unit_test(other_lines_are_passed_over),
		cmocka_unit_test(summary_is_cut_where_it_is_full),
		cmocka_unit_test(missing_file_is_told),
		cmocka_unit_test(sides_show_verdicts_and_values),
		cmocka_unit_test(sides_show_what_one_side_lacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Results of several targets: which rows differ, how they are grouped, and what the table and the record say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "reports/compare.h"

static struct compare compare;
static struct compare_groups groups;

static int open_three(void **state)
{
	(void)state;
	assert_int_equal(compare_add_target(&compare, "lab-svm"), 0);
	assert_int_equal(compare_add_target(&compare, "lab-vmx"), 1);
	assert_int_equal(compare_add_target(&compare, "lab-svm-bochs"), 2);
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	compare_groups_free(&groups);
	compare_free(&compare);
	return 0;
}

/* As it comes: one JSON line of a target. */
static void add(size_t target, const char *test, const char *verdict, unsigned int nr_checks, const char *notes)
{
	struct json_object *line;
	struct result *result;
	char text[1024];

	snprintf(text, sizeof(text), "{\"type\":\"result\",\"test\":\"%s\",\"target\":\"%s\",\"file\":\"cases/a.c\","
		 "\"verdict\":\"%s\",\"round\":0,\"duration_us\":1,\"nr_checks\":%u,\"notes\":[%s]}", test,
		 compare.targets[target].name, verdict, nr_checks, notes);
	line = json_tokener_parse(text);
	result = result_from_json(line);
	assert_non_null(result);
	compare_add_result(&compare, target, result);
	result_free(result);
	json_object_put(line);
}

#define REASON(text) "{\"kind\":\"reason\",\"text\":\"" text "\"}"
#define CHECK(line, fields, want, got) \
	"{\"kind\":\"check\",\"file\":\"cases/a.c\",\"line\":" #line ",\"text\":\"regs\"," \
	"\"want\":\"" want "\",\"got\":\"" got "\",\"fields\":\"" fields "\"}"

/* The same verdict on all three. */
static void add_all(const char *test, const char *verdict, const char *notes)
{
	size_t i;

	for (i = 0; i < 3; i++)
		add(i, test, verdict, 3, notes);
}

static void find_groups(size_t want)
{
	assert_int_equal(compare_groups_find(&compare, &groups), 0);
	assert_int_equal(groups.nr_groups, want);
}

static void assert_group(size_t index, enum compare_kind kind, const char *first, size_t nr_rows, int alone)
{
	assert_true(index < groups.nr_groups);
	assert_string_equal(compare_kind_name(groups.groups[index].kind), compare_kind_name(kind));
	assert_string_equal(groups.groups[index].rows[0]->test, first);
	assert_int_equal(groups.groups[index].nr_rows, nr_rows);
	assert_int_equal(groups.groups[index].alone, alone);
}

static void assert_table(const char *want)
{
	char *text = NULL;
	size_t len_bytes;
	FILE *out = open_memstream(&text, &len_bytes);

	assert_non_null(out);
	assert_int_equal(compare_print(&compare, out), 0);
	fclose(out);
	assert_string_equal(text, want);
	free(text);
}

/* --- which differ --- */

static void test_same_everywhere(void **state)
{
	(void)state;
	add_all("a.pass", "PASS", "");
	add_all("a.skip", "SKIP", REASON("needs x"));
	add_all("a.known", "KNOWN", REASON("known: 0001"));
	add_all("a.fail", "FAIL", CHECK(7, "rax", "1", "2"));
	add_all("a.error", "ERROR", REASON("died"));
	find_groups(0);
	assert_table("  target              PASS   SKIP  KNOWN  ERROR   FAIL\n"
		     "  #1  lab-svm            1      1      1      1      1\n"
		     "  #2  lab-vmx            1      1      1      1      1\n"
		     "  #3  lab-svm-bochs      1      1      1      1      1\n"
		     "\n"
		     "  no result differs\n");
}

static void test_one_stands_alone(void **state)
{
	(void)state;
	add(0, "a.b", "PASS", 3, "");
	add(1, "a.b", "FAIL", 3, CHECK(7, "rax", "rax=1", "rax=2"));
	add(2, "a.b", "PASS", 3, "");
	find_groups(1);
	assert_group(0, COMPARE_VERDICT, "a.b", 1, 1);
}

/* Each contradicts the other: two cannot outvote one another, nor can three that all differ. */
static void test_none_stands_alone(void **state)
{
	(void)state;
	add(0, "a.two", "PASS", 3, "");
	add(1, "a.two", "FAIL", 3, CHECK(7, "rax", "1", "2"));
	add(2, "a.two", "SKIP", 0, REASON("needs x"));
	add(0, "a.three", "PASS", 3, "");
	add(1, "a.three", "FAIL", 3, CHECK(7, "rax", "1", "2"));
	add(2, "a.three", "KNOWN", 3, REASON("known: 0001"));
	find_groups(2);
	assert_group(0, COMPARE_VERDICT, "a.two", 1, -1);
	assert_group(1, COMPARE_VERDICT, "a.three", 1, -1);
}

static void test_other_number_of_checks(void **state)
{
	(void)state;
	add(0, "a.b", "PASS", 3, "");
	add(1, "a.b", "PASS", 3, "");
	add(2, "a.b", "PASS", 4, "");
	find_groups(1);
	assert_group(0, COMPARE_CHECKS, "a.b", 1, 2);
}

static void test_fails_otherwise(void **state)
{
	(void)state;
	add(0, "a.b", "FAIL", 3, CHECK(7, "rax", "1", "2"));
	add(1, "a.b", "FAIL", 3, CHECK(7, "rax", "1", "3"));
	add(2, "a.b", "FAIL", 3, CHECK(7, "rax", "1", "2"));
	find_groups(1);
	assert_group(0, COMPARE_OUTCOME, "a.b", 1, 1);
}

/* An emulator's last words are different each time. */
static void test_errors_are_alike(void **state)
{
	(void)state;
	add(0, "a.b", "ERROR", 0, REASON("died of x"));
	add(1, "a.b", "ERROR", 0, REASON("died of y"));
	add(2, "a.b", "ERROR", 0, REASON("died of z"));
	find_groups(0);
}

static void test_worst_round_counts(void **state)
{
	(void)state;
	add_all("a.b", "PASS", "");
	add(1, "a.b", "FAIL", 3, CHECK(7, "rax", "1", "2"));
	add(1, "a.b", "PASS", 3, "");
	find_groups(1);
	assert_group(0, COMPARE_VERDICT, "a.b", 1, 1);
	assert_int_equal(compare.targets[1].summary.count[VERDICT_PASS], 2);
}

/* --- groups --- */

static void test_skips_are_grouped(void **state)
{
	static const char *const tests[] = { "a.1", "a.2", "a.3", "a.4" };
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		/* What the others agree on does not matter. */
		const char *verdict = i == 1 ? "KNOWN" : "PASS", *note = i == 1 ? REASON("known: 0001") : "";

		add(0, tests[i], verdict, 3, note);
		add(1, tests[i], "SKIP", 0, i < 3 ? REASON("needs vendor:amd") : REASON("needs npt"));
		add(2, tests[i], verdict, 3, note);
	}
	find_groups(2);
	assert_group(0, COMPARE_SKIP, "a.1", 3, -1);
	assert_group(1, COMPARE_SKIP, "a.4", 1, -1);
	assert_table("  target              PASS   SKIP  KNOWN  ERROR   FAIL\n"
		     "  #1  lab-svm            3      0      1      0      0\n"
		     "  #2  lab-vmx            0      4      0      0      0\n"
		     "  #3  lab-svm-bochs      3      0      1      0      0\n"
		     "\n"
		     "  3 skipped only on lab-vmx: needs vendor:amd\n"
		     "  1 skipped only on lab-vmx: needs npt\n");
}

static void test_skipped_on_two(void **state)
{
	(void)state;
	add(0, "a.1", "PASS", 3, "");
	add(1, "a.1", "SKIP", 0, REASON("needs x"));
	add(2, "a.1", "SKIP", 0, REASON("needs x"));
	add(0, "a.2", "SKIP", 0, REASON("needs y"));
	add(1, "a.2", "SKIP", 0, REASON("needs x"));
	add(2, "a.2", "PASS", 3, "");
	assert_table("  target              PASS   SKIP  KNOWN  ERROR   FAIL\n"
		     "  #1  lab-svm            1      1      0      0      0\n"
		     "  #2  lab-vmx            0      2      0      0      0\n"
		     "  #3  lab-svm-bochs      1      1      0      0      0\n"
		     "\n"
		     "  1 skipped only on lab-vmx, lab-svm-bochs: needs x\n"
		     "  1 skipped only on lab-svm: needs y; lab-vmx: needs x\n");
}

/* A target that died owes results: they are not held against the others one by one. */
static void test_missing_results(void **state)
{
	static const char *const tests[] = { "a.1", "a.2", "a.3" };
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		add(0, tests[i], "PASS", 3, "");
		add(1, tests[i], "PASS", 3, "");
	}
	add(2, tests[0], "PASS", 3, "");
	compare_set_note(&compare, 2, "stopped before its end");
	find_groups(1);
	assert_group(0, COMPARE_SKIP, "a.2", 2, -1);
	assert_table("  target              PASS   SKIP  KNOWN  ERROR   FAIL\n"
		     "  #1  lab-svm            3      0      0      0      0\n"
		     "  #2  lab-vmx            3      0      0      0      0\n"
		     "  #3  lab-svm-bochs      1      0      0      0      0\n"
		     "      stopped before its end\n"
		     "\n"
		     "  2 missing only on lab-svm-bochs: no result\n");
}

/* Lines and values differ from row to row, the fields do not. The worst group comes first, a flagged one before it. */
static void test_rows_are_grouped(void **state)
{
	static const char *const tests[] = { "a.1", "a.2", "a.3", "a.4", "a.5" };
	size_t i;

	(void)state;
	for (i = 0; i < 5; i++) {
		add(0, tests[i], "PASS", 3, "");
		add(1, tests[i], "FAIL", 3, i % 2 ? CHECK(7, "cr2", "cr2=0  \\n", "cr2=7f001") :
		    CHECK(9, "cr2", "cr2=1", "cr2=7f002"));
		add(2, tests[i], "PASS", 3, "");
	}
	add(0, "a.checks", "PASS", 3, "");
	add(1, "a.checks", "PASS", 4, "");
	add(2, "a.checks", "SKIP", 0, REASON("needs x"));
	compare_set_flag(&compare, &compare.rows[5], "npt");
	assert_table("  target              PASS   SKIP  KNOWN  ERROR   FAIL\n"
		     "  #1  lab-svm            6      0      0      0      0\n"
		     "  #2  lab-vmx            1      0      0      0      5\n"
		     "  #3  lab-svm-bochs      5      1      0      0      0\n"
		     "\n"
		     "  differs (* stands alone)  lab-svm       lab-vmx       lab-svm-bochs\n"
		     "  a.checks                  PASS/3        PASS/4        SKIP\n"
		     "      lab-svm-bochs: needs x\n"
		     "      checks differ: PASS/n made n of them\n"
		     "      FLAGGED: changes with npt, which should not matter\n"
		     "  a.1                       PASS          FAIL*         PASS\n"
		     "      also a.2, a.3 ... and 2 more (all in --json FILE)\n"
		     "      lab-vmx: cases/a.c:9: regs; want cr2=1; got cr2=7f002\n");
}

static void test_wide_targets_get_numbers(void **state)
{
	(void)state;
	compare_free(&compare);
	compare_add_target(&compare, "lab-svm-bochs[npt=0,kvm.ignore_msrs=0]");
	compare_add_target(&compare, "lab-svm-bochs[npt=0,kvm.ignore_msrs=1]");
	add(0, "a.b", "PASS", 1, "");
	add(1, "a.b", "FAIL", 1, REASON("hang\\u001b[2J"));
	assert_table("  target                                       PASS   SKIP  KNOWN  ERROR   FAIL\n"
		     "  #1  lab-svm-bochs[npt=0,kvm.ignore_msrs=0]      1      0      0      0      0\n"
		     "  #2  lab-svm-bochs[npt=0,kvm.ignore_msrs=1]      0      0      0      0      1\n"
		     "\n"
		     "  differs (* stands alone)  #1            #2\n"
		     "  a.b                       PASS          FAIL\n"
		     "      lab-svm-bochs[npt=0,kvm.ignore_msrs=1]: hang.[2J\n");
}

static void test_record(void **state)
{
	struct json_object *record;

	(void)state;
	add(0, "a.b", "PASS", 3, "");
	add(1, "a.b", "PASS", 3, "");
	add(2, "a.b", "FAIL", 3, CHECK(7, "rax", "1", "2"));
	add(0, "a.c", "PASS", 3, "");
	add(1, "a.c", "PASS", 4, "");
	compare_set_flag(&compare, &compare.rows[0], "npt");
	compare_set_note(&compare, 1, "odd");
	record = compare_to_json(&compare);
	assert_string_equal(json_object_to_json_string_ext(record, JSON_C_TO_STRING_PLAIN |
							   JSON_C_TO_STRING_NOSLASHESCAPE),
		"{\"type\":\"comparison\",\"targets\":["
		"{\"target\":\"lab-svm\",\"summary\":{\"PASS\":2,\"SKIP\":0,\"KNOWN\":0,\"ERROR\":0,\"FAIL\":0}},"
		"{\"target\":\"lab-vmx\",\"summary\":{\"PASS\":2,\"SKIP\":0,\"KNOWN\":0,\"ERROR\":0,\"FAIL\":0},"
		"\"note\":\"odd\"},"
		"{\"target\":\"lab-svm-bochs\",\"summary\":{\"PASS\":0,\"SKIP\":0,\"KNOWN\":0,\"ERROR\":0,\"FAIL\":1}}],"
		"\"differences\":["
		"{\"kind\":\"verdict\",\"flag\":\"npt\",\"alone\":\"lab-svm-bochs\",\"results\":["
		"{\"target\":\"lab-svm\",\"verdict\":\"PASS\"},{\"target\":\"lab-vmx\",\"verdict\":\"PASS\"},"
		"{\"target\":\"lab-svm-bochs\",\"verdict\":\"FAIL\",\"why\":\"cases/a.c:7: regs; want 1; got 2\"}],"
		"\"tests\":[\"a.b\"]},"
		"{\"kind\":\"checks\",\"results\":["
		"{\"target\":\"lab-svm\",\"verdict\":\"PASS\",\"nr_checks\":3},"
		"{\"target\":\"lab-vmx\",\"verdict\":\"PASS\",\"nr_checks\":4},"
		"{\"target\":\"lab-svm-bochs\",\"nr_checks\":0}],\"tests\":[\"a.c\"]}]}");
	json_object_put(record);
}

#define THREE(test) cmocka_unit_test_setup_teardown(test, open_three, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		THREE(test_same_everywhere),
		THREE(test_one_stands_alone),
		THREE(test_none_stands_alone),
		THREE(test_other_number_of_checks),
		THREE(test_fails_otherwise),
		THREE(test_errors_are_alike),
		THREE(test_worst_round_counts),
		THREE(test_skips_are_grouped),
		THREE(test_skipped_on_two),
		THREE(test_missing_results),
		THREE(test_rows_are_grouped),
		THREE(test_wide_targets_get_numbers),
		THREE(test_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

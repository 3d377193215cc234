/* SPDX-License-Identifier: MIT */
/* What is done with inputs that searches have left: merged corpora, and cases in C. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/fuzz_plot.h"
#include "err.h"
#include "fuzz/corpus.h"
#include "fuzz/export.h"
#include "fuzz/merge.h"
#include "fuzz/nested_executor.h"
#include "fuzz/vmcb_ops.h"

static struct executor *executor;
static char folder[64], one[80], other[80], into[80];

static int setup(void **state)
{
	struct err err;

	(void)state;
	strcpy(folder, "/tmp/vmassay-test.XXXXXX");
	if (!mkdtemp(folder) || executor_new(&vmcb_domain, NULL, &executor, &err))
		return -1;
	snprintf(one, sizeof(one), "%s/one", folder);
	snprintf(other, sizeof(other), "%s/other", folder);
	snprintf(into, sizeof(into), "%s/into", folder);
	return mkdir(one, 0700) || mkdir(other, 0700);
}

static int teardown(void **state)
{
	char command[96];

	(void)state;
	executor_free(executor);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static void parse(const char *text, struct input *input)
{
	struct err err;

	if (input_parse(text, strlen(text), input, &err))
		fail_msg("%s", err.text);
}

static void keep(const char *where, const char *text)
{
	char path[CORPUS_MAX_PATH_BYTES];
	struct input input;
	struct err err;

	parse(text, &input);
	if (corpus_keep(&input, where, path, &err))
		fail_msg("%s", err.text);
}

static int count_one(void *context, const char *path, const struct input *input)
{
	(void)path;
	(void)input;
	return ++*(unsigned int *)context, 0;
}

static unsigned int nr_files(const char *where)
{
	unsigned int nr = 0;
	struct err err;

	if (corpus_each(where, &vmcb_domain, count_one, &nr, &err))
		fail_msg("%s", err.text);
	return nr;
}

static struct merge_stats merge(void)
{
	const char *from[] = { one, other };
	struct merge_stats stats;
	struct err err;

	if (merge_run(executor, from, 2, into, &stats, &err))
		fail_msg("%s", err.text);
	return stats;
}

static void test_merge(void **state)
{
	struct merge_stats stats, again;

	(void)state;
	keep(one, "input vmcb\n");
	keep(one, "input vmcb\nl2 nop\nl2 nop\nl2_bytes 90\nset asid 0\n");
	keep(other, "input vmcb\nset asid 0\n");
	keep(other, "input vmcb\nset asid 0\n");
	keep(other, "input vmcb\nl2 vmmcall\n");
	keep(other, "input ioctl\n");
	stats = merge();
	/* Of two that are refused by the same rule, the short one. */
	assert_int_equal(stats.nr_read, 4);
	assert_int_equal(stats.nr_kept, 3);
	assert_int_equal(stats.nr_broken, 0);
	assert_int_equal(nr_files(into), 3);
	again = merge();
	assert_int_equal(again.nr_kept, 0);
	assert_int_equal(again.nr_features, stats.nr_features);
	assert_int_equal(nr_files(into), 3);
}

static void test_merge_errors(void **state)
{
	const char *from[] = { "/nowhere" };
	char path[96];
	struct merge_stats stats;
	struct err err;
	FILE *file;

	(void)state;
	assert_true(merge_run(executor, from, 1, into, &stats, &err) < 0);
	assert_non_null(strstr(err.text, "/nowhere"));
	snprintf(path, sizeof(path), "%s/bad.input", one);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("input vmcb\nset\n", file);
	fclose(file);
	from[0] = one;
	assert_true(merge_run(executor, from, 1, into, &stats, &err) < 0);
	assert_non_null(strstr(err.text, "bad.input: line 2: set"));
	unlink(path);
}

static void export(const char *text, char *buf, size_t len_bytes)
{
	struct export_run run = { executor, 0 };
	struct input input;
	struct trial trial;

	parse(text, &input);
	executor->run(executor, &input, &trial);
	run.nr_lines = trial.nr_lines;
	assert_true(export_case(&run, 1, &input, "fuzz_it", buf, len_bytes) < len_bytes);
}

static void test_export(void **state)
{
	char text[8192];

	(void)state;
	export("input vmcb\nl2 cpuid\nrun\nset asid 0\n", text, sizeof(text));
	assert_non_null(strstr(text, "CASE(fuzz_it, "));
	assert_non_null(strstr(text, "HOST(fuzz_it)\n{\n\texpect_vmcb_input(t,\n\t\t\"input vmcb\\n\"\n\t\t\"l2 cpuid\\n\"\n"));
	/* What the machine does is what is asserted, but for what is a CPU's own. */
	assert_non_null(strstr(text, "\t\t\"expect exit=cpuid info1=0x0 info2=0x0 intinfo=0x0 interror=0x0 rip=0x10000 cr2=0x0\\n\"\n"
			       "\t\t\"expect refused\\n\");\n}\n"));
	assert_null(strstr(text, "nrip"));
	/* What it says itself stays as it is. */
	export("input vmcb\nl2 cpuid\nexpect exit=cpuid nrip=0x10002\n", text, sizeof(text));
	assert_non_null(strstr(text, "\t\t\"expect exit=cpuid nrip=0x10002\\n\");\n"));
	/* Behind what cannot be compared, nothing is. */
	export("input vmcb\nl2 jmp_self\nrun\n", text, sizeof(text));
	assert_null(strstr(text, "\"expect"));
}

/* Two searches, the second behind the first. */
static void test_plot(void **state)
{
	char csv[96], svg[96], text[4096] = "";
	struct err err;
	FILE *file;

	(void)state;
	snprintf(csv, sizeof(csv), "%s/campaign.csv", folder);
	snprintf(svg, sizeof(svg), "%s/campaign.svg", folder);
	assert_true(fuzz_plot(csv, svg, &err) < 0);
	assert_non_null(strstr(err.text, "campaign.csv"));
	file = fopen(csv, "w");
	assert_non_null(file);
	fputs("# seconds,inputs,corpus,cover,findings,deaths\n1.0,100,5,0,0,0\n2.0,300,9,0,1,0\n"
	      "# seconds,inputs,corpus,cover,findings,deaths\n2.0,100,10,0,1,0\n", file);
	fclose(file);
	assert_int_equal(fuzz_plot(csv, svg, &err), 0);
	file = fopen(svg, "r");
	assert_non_null(file);
	assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	assert_non_null(strstr(text, "inputs: 400<"));
	assert_non_null(strstr(text, "corpus: 10<"));
	assert_non_null(strstr(text, "0 to 4 s"));
	/* A quarter of the time and of the inputs: 592 by 72, from 24, 24. */
	assert_non_null(strstr(text, "points=\"172.0,78.0 320.0,42.0 616.0,24.0 \""));
}

/* Another CPU's registers of decode assists are none of what both say. */
static void test_export_agreed(void **state)
{
	struct executor *nested;
	struct export_run runs[2];
	char text[8192];
	struct input input;
	struct trial trial;
	struct err err;

	(void)state;
	parse("input vmcb\nintercept write_cr4 on\nl2_cr write 4 0x620\n", &input);
	executor->run(executor, &input, &trial);
	runs[0] = (struct export_run){ executor, trial.nr_lines };
	export_case(runs, 1, &input, "fuzz_it", text, sizeof(text));
	assert_non_null(strstr(text, "expect exit=write_cr4 info1=0x8000000000000003 info2=0x0 "));
	if (nested_executor_open("soft-svm", &nested, &err))
		fail_msg("%s", err.text);
	nested->run(nested, &input, &trial);
	runs[1] = (struct export_run){ nested, trial.nr_lines };
	export_case(runs, 2, &input, "fuzz_it", text, sizeof(text));
	assert_non_null(strstr(text, "expect exit=write_cr4 info2=0x0 "));
	executor_free(nested);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_merge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_merge_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_export, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_export_agreed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* What recorded tests met: kept as words, told from calls and checks, made into tables, and the tables judged. */
#include <errno.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/recorder.h"
#include "err.h"
#include "fake_backend.h"
#include "here.h"
#include "runner/test.h"
#include "tables/readme.h"

/* --- words --- */

static void test_words(void **state)
{
	static const struct met_fact facts[] = {
		{ MET_IOCTL, KVM_RUN, MET_NO_PART, 0 }, { MET_IOCTL, KVM_RUN, MET_NO_PART, EINTR },
		{ MET_IOCTL, KVM_ENABLE_CAP, 72, EINVAL }, { MET_EXIT, 17, 1, 0 }, { MET_SVM, 114, MET_NO_PART, 0 },
		{ MET_SVM_OFF, 0, MET_NO_PART, 0 }, { MET_VMX, 10, MET_NO_PART, 0 }, { MET_VMX_OFF, 12, MET_NO_PART, 0 },
	};
	struct met *met = met_new();
	const char *at;
	char *text;
	struct met_fact got;
	size_t i;

	(void)state;
	for (i = 0; i < 8; i++)
		met_add(met, facts[i]);
	met_add(met, facts[0]);
	text = met_text(met);
	assert_string_equal(text, "ioctl:0xae80 ioctl:0xae80=4 ioctl:0x4068aea3/72=22 exit:17/1 svm:114 svm-off:0 "
			    "vmx:10 vmx-off:12");
	for (i = 0, at = text; i < 8; i++) {
		assert_true(met_next(&at, &got));
		assert_int_equal(got.kind, facts[i].kind);
		assert_int_equal(got.number, facts[i].number);
		assert_int_equal(got.part, facts[i].part);
		assert_int_equal(got.error, facts[i].error);
	}
	assert_false(met_next(&at, &got));
	free(text);
	met_free(met);
	met_free(NULL);
	met_add(NULL, facts[0]);
}

static void test_words_refused(void **state)
{
	static const char *const bad[] = {
		"", "ioctl", "ioctl:", "ioctl:x", "ioctl:1/", "ioctl:1=", "ioctl:1x", "hovercraft:1", "svm:-1", "1:1",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *at = bad[i];
		struct met_fact fact;

		if (met_next(&at, &fact))
			fail_msg("'%s' was read", bad[i]);
		assert_ptr_equal(at, bad[i]);
	}
}

/* --- the recorder --- */

static long next_result;

static long answer(const struct backend *backend, int fd, unsigned long request, uintptr_t argument)
{
	(void)backend;
	(void)fd;
	(void)request;
	(void)argument;
	return next_result;
}

static void call(struct recorder *recorder, unsigned long request, uintptr_t argument, long result)
{
	next_result = result;
	assert_int_equal(recorder->backend.ioctl(&recorder->backend, 3, request, argument), result);
}

static void test_recorder(void **state)
{
	static const struct backend inner = { .name = "inner", .ioctl = answer };
	struct kvm_enable_cap cap = { .cap = KVM_CAP_HYPERV_SYNIC };
	struct recorder recorder;
	struct met *met = met_new();
	char *text;

	(void)state;
	recorder_open(&recorder, &inner, met);
	assert_string_equal(recorder.backend.name, "inner");
	recorder_assert(&recorder, EINVAL);
	call(&recorder, KVM_GET_API_VERSION, 0, 12);
	call(&recorder, KVM_RUN, 0, -EINTR);
	call(&recorder, KVM_CREATE_VM, 99, -EINVAL);
	call(&recorder, KVM_CHECK_EXTENSION, KVM_CAP_NR_VCPUS, 1);
	call(&recorder, KVM_ENABLE_CAP, (uintptr_t)&cap, 0);
	call(&recorder, KVM_ENABLE_CAP, 8, -EFAULT);
	/* Only the call that a check was about; an errno that none asked for is no fact. */
	recorder_assert(&recorder, EINVAL);
	recorder_assert(&recorder, EFAULT);
	recorder_assert(&recorder, ENOENT);
	recorder_assert(NULL, EINVAL);
	text = met_text(met);
	assert_string_equal(text, "ioctl:0xae00 ioctl:0xae03/9 ioctl:0x4068aea3/123 ioctl:0xae01=22 ioctl:0x4068aea3=14");
	free(text);
	met_free(met);
}

static void host_recorded(struct test *t)
{
	expect_run_error(t, EFAULT);
	expect_hlt(t);
	expect_exit(t, .reason = KVM_EXIT_SYSTEM_EVENT, .system_event.type = KVM_SYSTEM_EVENT_RESET);
	/* This one does not hold: no fact. */
	expect_shutdown(t);
	expect_eq(t, KVM_EXIT_INTR, t->vcpu->run->exit_reason);
}

/* A test of a recorded run says what it met; of an ordinary one, nothing. */
static void test_result(void **state)
{
	static const struct fake_step script[] = {
		STEP_FAIL(EFAULT), STEP_EXIT(.reason = KVM_EXIT_HLT),
		STEP_EXIT(.reason = KVM_EXIT_SYSTEM_EVENT, .system_event.type = KVM_SYSTEM_EVENT_RESET),
		STEP_EXIT(.reason = KVM_EXIT_INTR), { 0 },
	};
	static const struct case_desc recorded = { .id = "recorded", .host = host_recorded };
	struct test_entry entry = { .name = (char *)"area.recorded", .file = "recorded.c", .desc = &recorded };
	struct fake fake;
	struct test_setup setup = {
		.entry = &entry, .target = "fake", .backend = &fake.backend, .result_fd = -1, .is_recorded = true,
	};
	struct result *result;

	(void)state;
	fake_init(&fake);
	fake.scripts[0] = script;
	result = test_run_here(&setup);
	assert_int_equal(fake_nr_open(&fake), 0);
	assert_non_null(result->met);
	assert_holds(result->met, "ioctl:0xae01 ");
	assert_holds(result->met, "ioctl:0xae80=14 ");
	assert_holds(result->met, "exit:5 ");
	assert_holds(result->met, "exit:24/2 ");
	assert_holds(result->met, "exit:10");
	assert_null(strstr(result->met, "exit:8"));
	result_free(result);

	fake_init(&fake);
	fake.scripts[0] = script;
	setup.is_recorded = false;
	result = test_run_here(&setup);
	assert_null(result->met);
	result_free(result);
}

/* --- tables --- */

static const struct uapi_name names[] = {
	{ "KVM_GET_API_VERSION", KVM_GET_API_VERSION, MET_NO_PART }, { "KVM_RUN", KVM_RUN, MET_NO_PART },
	{ "KVM_OTHER", 1, MET_NO_PART }, { NULL, 0, 0 },
};

static int way_of_call(const struct uapi_name *name, const struct met_fact *fact)
{
	return fact->kind == MET_IOCTL && fact->number == name->number ? fact->error : WAY_NONE;
}

static const struct table_desc desc = { "ioctls", "cases/ioctl", "ioctl", names, way_of_call };
static const struct case_desc broad = { .id = "broad" }, narrow = { .id = "close" }, refused = { .id = "refused" };
static struct test_entry tests[] = {
	{ .name = "ioctl.broad", .desc = &broad }, { .name = "ioctl.close.one", .desc = &narrow },
	{ .name = "ioctl.close.two", .desc = &narrow }, { .name = "ioctl.refused.fault", .desc = &refused },
};
static const struct registry registry = { .tests = tests, .nr_tests = 4 };

static char *printed(void (*print)(FILE *file, const struct table *table, const struct table_row *row),
		     const struct table *table, unsigned int row)
{
	char *text;
	size_t len;
	FILE *file = open_memstream(&text, &len);

	print(file, table, &table->rows[row]);
	fclose(file);
	return text;
}

static void print_ways(FILE *file, const struct table *table, const struct table_row *row)
{
	(void)table;
	table_print_ways(file, row);
}

static void assert_printed(void (*print)(FILE *file, const struct table *table, const struct table_row *row),
			   const struct table *table, unsigned int row, const char *want)
{
	char *text = printed(print, table, row);

	assert_string_equal(text, want);
	free(text);
}

static void table_fill(struct table *table)
{
	assert_int_equal(table_open(table, &desc, &registry), 0);
	assert_int_equal(table->nr_rows, 3);
	assert_int_equal(table_add(table, &tests[0], "ioctl:0xae00 ioctl:0xae80"), 0);
	assert_int_equal(table_add(table, &tests[1], "ioctl:0xae80 exit:5"), 0);
	assert_int_equal(table_add(table, &tests[2], "ioctl:0xae80=4 ioctl:0xae80"), 0);
	assert_int_equal(table_add(table, &tests[3], "ioctl:0xae80=14"), 0);
}

static void test_rows(void **state)
{
	struct table table;

	(void)state;
	table_fill(&table);
	assert_int_equal(table_row_nr_tests(&table, &table.rows[0]), 1);
	assert_int_equal(table_row_nr_tests(&table, &table.rows[1]), 4);
	assert_int_equal(table_row_nr_tests(&table, &table.rows[2]), 0);
	assert_printed(print_ways, &table, 0, "ok");
	assert_printed(print_ways, &table, 1, "ok, EINTR, EFAULT");
	/* First what shows most, then what shows more; the case that is about little else before the broad one. */
	assert_printed(table_print_globs, &table, 1, "`ioctl.close.*` `ioctl.refused.fault` `ioctl.broad`");
	assert_printed(table_print_globs, &table, 0, "`ioctl.broad`");
	assert_printed(table_print_globs, &table, 2, "");
	table_close(&table);
}

/* --- the README --- */

static char root[] = "/tmp/vmassay-tables.XXXXXX";

static void file_path(char *path, size_t len, const char *name)
{
	snprintf(path, len, "%s/cases/ioctl/%s", root, name);
}

static void file_put(const char *name, const char *text)
{
	char path[256];
	FILE *file;

	file_path(path, sizeof(path), name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void assert_file(const char *name, const char *want)
{
	char path[256], got[2048];
	FILE *file;

	file_path(path, sizeof(path), name);
	file = fopen(path, "r");
	assert_non_null(file);
	got[fread(got, 1, sizeof(got) - 1, file)] = '\0';
	fclose(file);
	assert_string_equal(got, want);
}

static int root_make(void **state)
{
	char command[256];

	(void)state;
	if (!mkdtemp(root))
		return -1;
	snprintf(command, sizeof(command), "mkdir -p %s/cases/ioctl", root);
	return system(command);
}

static int root_remove(void **state)
{
	char command[256];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

#define BEGIN "# text\n<!-- table ioctls: vmassay tables write -->\n"
#define HEAD "\n| ioctl | tests | how | for example |\n|---|---|---|---|\n"
#define ROW_1 "| `KVM_GET_API_VERSION` | 1 | ok | `ioctl.broad` |\n"
#define ROW_2 "| `KVM_RUN` | 4 | ok, EINTR, EFAULT | `ioctl.close.*` `ioctl.refused.fault` `ioctl.broad` |\n"
#define ROW_3 "| `KVM_OTHER` | | | left out: of another kind |\n"
#define END "\n<!-- end of table -->\nmore\n"

static void test_write(void **state)
{
	struct table table;
	struct err err;

	(void)state;
	table_fill(&table);
	file_put("README.md", BEGIN "old\n" END);
	file_put("left_out", "KVM_OTH*: of another kind\n");
	assert_int_equal(readme_write(root, &table, &err), 0);
	assert_file("README.md", BEGIN HEAD ROW_1 ROW_2 ROW_3 END);
	/* Once more, it is the same. */
	assert_int_equal(readme_write(root, &table, &err), 0);
	assert_file("README.md", BEGIN HEAD ROW_1 ROW_2 ROW_3 END);

	file_put("left_out", "KVM_OTHER\n");
	assert_int_equal(readme_write(root, &table, &err), -EINVAL);
	assert_non_null(strstr(err.text, "left_out: want 'PATTERN: reason', not 'KVM_OTHER'"));
	file_put("left_out", "");
	file_put("README.md", "# text\n");
	assert_int_equal(readme_write(root, &table, &err), -EINVAL);
	assert_non_null(strstr(err.text, "README.md: has no line '<!-- table ioctls: vmassay tables write -->'"));
	assert_file("README.md", "# text\n");
	table_close(&table);
}

/* The defects of the tables, of which there are @nr. */
static void assert_defects(const char *table, const char *left_out, int nr, const char *want)
{
	static const struct table_desc descs[] = {
		{ "ioctls", "cases/ioctl", "ioctl", names, way_of_call }, { 0 },
	};
	struct err err;
	size_t len;
	char *text;
	FILE *file = open_memstream(&text, &len);
	int got;

	file_put("README.md", table);
	file_put("left_out", left_out);
	got = readme_check(root, descs, &registry, file, &err);
	fclose(file);
	if (got != nr)
		fail_msg("%d defects, not %d: %s", got, nr, text);
	if (!strstr(text, want))
		fail_msg("'%s' does not say: %s", text, want);
	free(text);
}

static void test_check(void **state)
{
	(void)state;
	assert_defects(BEGIN HEAD ROW_1 ROW_2 ROW_3 END, "KVM_OTH*: of another kind\n", 0, "");
	assert_defects(BEGIN HEAD ROW_1 ROW_3 END, "KVM_OTH*: of another kind\n", 1, "KVM_RUN: has no row");
	assert_defects(BEGIN HEAD ROW_1 ROW_2 ROW_3 END, "", 1, "KVM_OTHER: the reason is not in left_out");
	assert_defects(BEGIN HEAD ROW_1 ROW_2 "| `KVM_OTHER` | | | |\n" END, "", 1,
		       "KVM_OTHER: has no test, and no reason in left_out");
	assert_defects(BEGIN HEAD ROW_1 ROW_2 "| `KVM_OTHER` | 1 | ok | `ioctl.gone` |\n" END, "", 1,
		       "KVM_OTHER: there is no test 'ioctl.gone'");
	assert_defects(BEGIN HEAD ROW_1 ROW_2 "| `KVM_OTHER` | 1 |\n" END, "", 1, "KVM_OTHER: the row has not four cells");
	assert_defects(BEGIN HEAD ROW_1 ROW_2 ROW_3 END, "KVM_OTH*: of another kind\nKVM_RUN: idle\n", 1,
		       "no row needs the reason for 'KVM_RUN'");
	/* Behind the table is not in it. */
	assert_defects(BEGIN HEAD ROW_1 ROW_2 END ROW_3, "", 1, "KVM_OTHER: has no row");
}

int main(void)
{
	const struct CMUnitTest unit_tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_words_refused),
		cmocka_unit_test(test_recorder),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_result),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(unit_tests, root_make, root_remove);
}

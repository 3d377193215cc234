/* SPDX-License-Identifier: MIT */
/* Tables of cases: which tests they make, and what is refused in which words. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "err.h"
#include "here.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static struct registry registry;
static struct err err;

static int open_one(const struct case_desc *desc)
{
	err.text[0] = '\0';
	return registry_open_cases(&registry, &desc, 1, &err);
}

static void refused(const struct case_desc *desc, int error, const char *text)
{
	assert_int_equal(open_one(desc), error);
	assert_string_equal(err.text, text);
	assert_null(registry.tests);
	assert_int_equal(registry.nr_tests, 0);
}

static void opens(const struct case_desc *desc, const char *const *names, size_t nr)
{
	size_t i;

	if (open_one(desc))
		fail_msg("%s", err.text);
	assert_int_equal(registry.nr_tests, nr);
	for (i = 0; i < nr; i++)
		assert_string_equal(registry.tests[i].name, names[i]);
}

#define FAKE_DESC .id = "fake", .file = FAKE_CASE_FILE, .says = "x"

struct row {
	ROW_FIELDS;
	int number;
};

static void test_names(void **state)
{
	static const struct row rows[] = {
		{ .label = "two", .modes = LONG64 | LA57 }, { .label = "one" },
	};
	static const struct case_desc host_only = { FAKE_DESC }, one = { FAKE_DESC, .modes = LONG64 },
		two = { FAKE_DESC, .modes = LONG64 | REAL16 },
		table = { FAKE_DESC, .modes = REAL16 | LONG64, .rows = ROWS(rows) },
		host_table = { FAKE_DESC, .rows = ROWS(rows) };
	static const char *const plain[] = { "cases.fake" };
	static const char *const of_two[] = { "cases.fake.long64", "cases.fake.real16" };
	static const char *const of_table[] = {
		"cases.fake.one.long64", "cases.fake.one.real16", "cases.fake.two.long64",
	};

	(void)state;
	opens(&host_only, plain, 1);
	assert_int_equal(registry.tests[0].mode, NO_GUEST);
	assert_string_equal(registry.tests[0].file, FAKE_CASE_FILE);
	assert_string_equal(registry.tests[0].area, "cases");
	registry_close(&registry);
	opens(&one, plain, 1);
	assert_int_equal(registry.tests[0].mode, LONG64);
	registry_close(&registry);
	opens(&two, of_two, 2);
	registry_close(&registry);
	opens(&table, of_table, 3);
	assert_int_equal(registry.tests[0].row, 1);
	assert_ptr_equal(test_entry_row(&registry.tests[2]), &rows[0]);
	registry_close(&registry);
	/* A row's modes are of no meaning without a guest; here they name none of the case's. */
	refused(&host_table, -EINVAL, FAKE_CASE_FILE ": row two has none of the case's modes");
}

static void test_refused(void **state)
{
	static const struct row unlabelled[] = { { .label = "a" }, { .number = 1 } };
	static const struct row elsewhere[] = { { .label = "a", .modes = PAE32 } };
	static const struct row no_range[] = { { .label = "a", .known = { "0001-x", NULL, "6.1" } } };
	static const struct row twice[] = { { .label = "a" }, { .label = "b" }, { .label = "a" } };
	static const struct known bad_known = { "0002-x", NULL, "6.2" };
	static const struct case_desc
		wrong_id = { .id = "fak", .file = FAKE_CASE_FILE, .says = "x" },
		longer_id = { .id = "fake2", .file = FAKE_CASE_FILE, .says = "x" },
		silent = { .id = "fake", .file = FAKE_CASE_FILE },
		no_image = { FAKE_DESC, .modes = LONG64 | PROT32 | REAL16 },
		no_image_at_all = { .id = "y", .file = "cases/x/y.c", .says = "x", .modes = LONG64 },
		no_label = { FAKE_DESC, .rows = ROWS(unlabelled) },
		no_mode = { FAKE_DESC, .modes = LONG64, .rows = ROWS(elsewhere) },
		no_rows = { FAKE_DESC, .rows = twice, .nr_rows = 0 },
		same_label = { FAKE_DESC, .rows = ROWS(twice) },
		crowded = { FAKE_DESC, .modes = LONG64, .nr_vcpus = ABI_MAX_VCPUS + 1 },
		range = { FAKE_DESC, .known = { "0001-x", NULL, "6.1" } },
		next_range = { FAKE_DESC, .known = { "0001-x", NULL, "6.1..", .next = &bad_known } },
		row_range = { FAKE_DESC, .rows = ROWS(no_range) };

	(void)state;
	refused(&wrong_id, -EINVAL, FAKE_CASE_FILE ": the case's id 'fak' is not the file's name");
	refused(&longer_id, -EINVAL, FAKE_CASE_FILE ": the case's id 'fake2' is not the file's name");
	refused(&silent, -EINVAL, FAKE_CASE_FILE ": the case says nothing (.says)");
	/* The fake's image is 32 bits wide for PAE32, which serves every protected mode. */
	assert_int_equal(open_one(&no_image), 0);
	registry_close(&registry);
	refused(&no_image_at_all, -ENOENT, "cases/x/y.c: no guest image for mode long64");
	refused(&no_label, -EINVAL, FAKE_CASE_FILE ": row 1 has no label");
	refused(&no_mode, -EINVAL, FAKE_CASE_FILE ": row a has none of the case's modes");
	refused(&no_rows, -EINVAL, FAKE_CASE_FILE ": a table without rows");
	refused(&same_label, -EEXIST, "two tests have the name cases.fake.a");
	refused(&crowded, -EINVAL, FAKE_CASE_FILE ": a guest has at most 4 vCPUs");
	refused(&range, -EINVAL, FAKE_CASE_FILE ": '6.1' is no range of kernels (\"5.10..6.6\")");
	refused(&next_range, -EINVAL, FAKE_CASE_FILE ": '6.2' is no range of kernels (\"5.10..6.6\")");
	refused(&row_range, -EINVAL, FAKE_CASE_FILE ": row a: '6.1' is no range of kernels (\"5.10..6.6\")");
}

static void test_tables(void **state)
{
	static const struct case_desc one = { FAKE_DESC }, other = { .id = "a", .file = "cases/x/a.c", .says = "x" };
	const struct case_desc *twice[] = { &one, &other, &one }, *sorted[] = { &other, &one };

	(void)state;
	assert_int_equal(registry_open_cases(&registry, twice, 3, &err), -EEXIST);
	assert_string_equal(err.text, "two tests have the name cases.fake");
	assert_int_equal(registry_open_cases(&registry, NULL, 0, &err), -ENOENT);
	assert_string_equal(err.text, "this program holds no case");
	/* This program links no case: that must not look like a pass. */
	assert_int_equal(registry_open(&registry, &err), -ENOENT);
	assert_int_equal(registry_open_cases(&registry, sorted, 2, &err), 0);
	assert_string_equal(registry.tests[0].name, "cases.fake");
	assert_string_equal(registry.tests[1].name, "x.a");
	registry_close(&registry);
}

static void test_needs(void **state)
{
	static const struct row with[] = { { .label = "a", .needs = "vendor:amd" } }, without[] = { { .label = "a" } };
	static const struct {
		struct case_desc desc;
		unsigned int mode;
		const char *needs;
	} rows[] = {
		{ { FAKE_DESC }, NO_GUEST, "" },
		{ { FAKE_DESC }, LA57, "cpuid:la57" },
		{ { FAKE_DESC, .needs = "root" }, LONG64, "root" },
		{ { FAKE_DESC, .needs = "root" }, LA57, "root cpuid:la57" },
		{ { FAKE_DESC, .needs = "root", .rows = ROWS(with) }, LA57, "root vendor:amd cpuid:la57" },
		{ { FAKE_DESC, .needs = "root", .rows = ROWS(without) }, LONG64, "root" },
		{ { FAKE_DESC, .rows = ROWS(with) }, LONG64, "vendor:amd" },
	};
	char needs[128];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct test_entry entry = { .desc = &rows[i].desc, .mode = rows[i].mode };

		test_entry_needs(&entry, needs, sizeof(needs));
		assert_string_equal(needs, rows[i].needs);
	}
}

static void test_known(void **state)
{
	static const struct row rows[] = { { .label = "a", .known = { .finding = "0002-row" } }, { .label = "b" } };
	static const struct case_desc none = { FAKE_DESC },
		table = { FAKE_DESC, .known = { .finding = "0001-case" }, .rows = ROWS(rows) };
	struct test_entry entry = { .desc = &none };

	(void)state;
	assert_null(test_entry_known(&entry));
	entry.desc = &table;
	assert_string_equal(test_entry_known(&entry)->finding, "0002-row");
	entry.row = 1;
	assert_string_equal(test_entry_known(&entry)->finding, "0001-case");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names), cmocka_unit_test(test_refused), cmocka_unit_test(test_tables),
		cmocka_unit_test(test_needs), cmocka_unit_test(test_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

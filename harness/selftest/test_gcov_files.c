/* SPDX-License-Identifier: MIT */
/* Coverage counters that come out of a lab as JSON lines: written where they belong, and nowhere else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/gcov_files.h"
#include "err.h"

static char scratch[] = "/tmp/vmassay-gcov-XXXXXX";

static int make_scratch(void **state)
{
	(void)state;
	return mkdtemp(scratch) ? 0 : -1;
}

static int remove_scratch(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", scratch);
	return system(command);
}

static int take(const char *text, struct err *err)
{
	struct json_object *line = json_tokener_parse(text);
	int r = gcov_file_take(line, scratch, 2, err);

	json_object_put(line);
	return r;
}

static void file_is_written(void **state)
{
	unsigned char bytes[8];
	char path[128];
	struct err err;
	FILE *file;

	(void)state;
	assert_int_equal(take("{\"type\":\"gcov\",\"path\":\"a/b.gcda\",\"hex\":\"00ff10a5\"}", &err), 0);
	snprintf(path, sizeof(path), "%s/2/a/b.gcda", scratch);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_int_equal(fread(bytes, 1, sizeof(bytes), file), 4);
	fclose(file);
	assert_memory_equal(bytes, "\x00\xff\x10\xa5", 4);
}

static void bad_lines_are_refused(void **state)
{
	static const char *const bad[] = {
		"{\"path\":\"../x\",\"hex\":\"00\"}", "{\"path\":\"/x\",\"hex\":\"00\"}",
		"{\"path\":\"\",\"hex\":\"00\"}", "{\"hex\":\"00\"}", "{\"path\":\"x\",\"hex\":\"0\"}",
		"{\"path\":\"x\",\"hex\":\"0g\"}",
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err.text[0] = '\0';
		assert_int_equal(take(bad[i], &err), -EINVAL);
		assert_true(err.text[0]);
	}
}

/* This machine's kernel may count, too, but no test of ours runs as its lab. */
static void no_counters_are_told(void **state)
{
	struct err err;

	(void)state;
	if (!access("/sys/kernel/debug/gcov", F_OK))
		skip();
	assert_int_equal(gcov_files_send(STDERR_FILENO, &err), -ENOENT);
	assert_non_null(strstr(err.text, "ci/kernel/build gcov"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_is_written),
		cmocka_unit_test(bad_lines_are_refused),
		cmocka_unit_test(no_counters_are_told),
	};

	return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}

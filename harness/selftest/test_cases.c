/* SPDX-License-Identifier: MIT */
/* All cases that the program ships with, as far as they can be judged without running them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "elf/guest_elf.h"
#include "err.h"
#include "runner/needs.h"
#include "runner/quirks.h"
#include "runner/registry.h"

#define NEEDS_BYTES 512		/* as the runner has them */

static struct registry registry;

static int open_cases(void **state)
{
	struct err err;

	(void)state;
	if (!registry_open(&registry, &err))
		return 0;
	fprintf(stderr, "%s\n", err.text);
	return -1;
}

static int close_cases(void **state)
{
	(void)state;
	registry_close(&registry);
	return 0;
}

static void test_needs(void **state)
{
	char needs[NEEDS_BYTES];
	struct err err;
	size_t i;

	(void)state;
	for (i = 0; i < registry.nr_tests; i++) {
		test_entry_needs(&registry.tests[i], needs, sizeof(needs));
		if (needs_parse(needs, &err))
			fail_msg("%s: %s", registry.tests[i].name, err.text);
		if (strlen(needs) == sizeof(needs) - 1)
			fail_msg("%s: too many needs", registry.tests[i].name);
	}
}

/* A KNOWN that cannot be read about is none. */
static void test_findings(void **state)
{
	char path[512];
	size_t i;

	(void)state;
	for (i = 0; i < registry.nr_tests; i++) {
		const struct known *known;

		for (known = test_entry_known(&registry.tests[i]); known; known = known->next) {
			snprintf(path, sizeof(path), SOURCE_ROOT "/reports/findings/%s.md", known->finding);
			if (access(path, R_OK))
				fail_msg("%s: %s is not there", registry.tests[i].name, path);
		}
	}
}

/* Each quirk has a finding, and a test that is known to fail by it on the same targets. */
static void test_quirks(void **state)
{
	const struct quirk *quirks;
	size_t i, q, nr_quirks;

	(void)state;
	quirks = quirk_list(&nr_quirks);
	for (q = 0; q < nr_quirks; q++) {
		for (i = 0; i < registry.nr_tests; i++) {
			const struct known *known = test_entry_known(&registry.tests[i]);

			if (known && !strcmp(known->finding, quirks[q].finding) && known->targets &&
			    !strcmp(known->targets, quirks[q].targets))
				break;
		}
		if (i == registry.nr_tests)
			fail_msg("%s: no test shows that quirk", quirks[q].finding);
	}
}

static void test_images(void **state)
{
	struct guest_elf *elf;
	struct err err;
	size_t i;

	(void)state;
	for (i = 0; i < registry.nr_tests; i++) {
		const struct test_entry *entry = &registry.tests[i];
		const struct guest_image *image = entry->image;

		if (entry->mode == NO_GUEST)
			continue;
		assert_non_null(image);
		if (guest_elf_open(image->file, image->start, image->len_bytes,
				   entry->mode & (LONG64 | LA57) ? GUEST_BITS_64 : GUEST_BITS_32, &elf, &err))
			fail_msg("%s: %s", entry->name, err.text);
		guest_elf_close(elf);
	}
}

static void test_one_canary(void **state)
{
	unsigned int nr = 0;
	size_t i;

	(void)state;
	for (i = 0; i < registry.nr_tests; i++)
		nr += registry.tests[i].desc->is_canary;
	assert_int_equal(nr, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_needs), cmocka_unit_test(test_findings),
		cmocka_unit_test(test_quirks), cmocka_unit_test(test_images),
		cmocka_unit_test(test_one_canary),
	};

	return cmocka_run_group_tests(tests, open_cases, close_cases);
}

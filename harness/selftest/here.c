/* SPDX-License-Identifier: MIT */
#include "here.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runner/test.h"

struct result *run_here(struct fake *fake, const struct case_desc *desc, unsigned int mode)
{
	struct test_entry entry = {
		.name = (char *)"area.fake", .area = (char *)"area", .file = FAKE_CASE_FILE, .desc = desc, .mode = mode,
		.image = guest_image_find(FAKE_CASE_FILE, mode),
	};
	struct test_setup setup = {
		.entry = &entry, .target = "fake", .backend = &fake->backend, .seed = 1, .result_fd = -1,
	};
	struct result *result = test_run_here(&setup);

	assert_int_equal(fake_nr_open(fake), 0);
	assert_int_equal(fake->nr_bad_closes, 0);
	return result;
}

const struct note *note_find(const struct result *result, enum note_kind kind, unsigned int index)
{
	size_t i;

	for (i = 0; i < result->nr_notes; i++)
		if (result->notes[i].kind == kind && index-- == 0)
			return &result->notes[i];
	return NULL;
}

unsigned int note_count(const struct result *result, enum note_kind kind)
{
	unsigned int nr = 0;

	while (note_find(result, kind, nr))
		nr++;
	return nr;
}

static const char *shown(const char *text)
{
	return text ? text : "-";
}

void result_print(const struct result *result)
{
	size_t i;

	fprintf(stderr, "%s %s, %llu checks\n", result->test, verdict_name(result->verdict),
		(unsigned long long)result->nr_checks);
	for (i = 0; i < result->nr_notes; i++) {
		const struct note *note = &result->notes[i];

		fprintf(stderr, "  %s %s:%u: %s\n    want %s\n    got  %s\n    fields %s\n", note_kind_name(note->kind),
			shown(note->file), note->line, shown(note->text), shown(note->want), shown(note->got),
			shown(note->fields));
	}
}

void assert_holds(const char *text, const char *part)
{
	if (!text || !strstr(text, part))
		fail_msg("'%s' is not in '%s'", part, shown(text));
}

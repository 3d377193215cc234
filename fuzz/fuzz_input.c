/* SPDX-License-Identifier: MIT */
/* The parsers of what people and programs write: fuzzed inputs, which read back as they were written, and met facts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "fuzz/input.h"
#include "fuzz/vmcb_ops.h"
#include "met.h"
#include "target.h"

const struct input_domain *const mutator_domain = &vmcb_domain;

static void fail(const char *what)
{
	fprintf(stderr, "fuzz_input: %s\n", what);
	abort();
}

static void check_input(const uint8_t *data, size_t len_bytes)
{
	static char text[65536], again[65536];
	struct input input, read;
	struct err err = { "" };
	size_t len;

	if (input_parse((const char *)data, len_bytes, &input, &err)) {
		if (!err.text[0] || strchr(err.text, '\n'))
			fail("a refusal without one line");
		return;
	}
	len = input_print(&input, text, sizeof(text));
	if (len >= sizeof(text))
		fail("an input that is too long to be written");
	if (input_parse(text, len, &read, &err))
		fail(err.text);
	input_print(&read, again, sizeof(again));
	if (!input_is_equal(&input, &read) || strcmp(text, again))
		fail("what is written reads as something else");
}

static void check_met(const uint8_t *data, size_t len_bytes)
{
	char *text = malloc(len_bytes + 1);
	struct met_fact fact;
	const char *at = text;

	if (!text)
		abort();
	memcpy(text, data, len_bytes);
	text[len_bytes] = 0;
	while (met_next(&at, &fact))
		;
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
	check_input(data, len_bytes);
	check_met(data, len_bytes);
	return 0;
}

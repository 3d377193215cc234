/* SPDX-License-Identifier: MIT */
/* What an input's "expect" lines ask for (input.h), against the lines of an outcome. */
#ifndef VMASSAY_FUZZ_EXPECT_H
#define VMASSAY_FUZZ_EXPECT_H

#include <stdbool.h>
#include <stddef.h>

#define EXPECT_LINE_BYTES 1024	/* of a line, more or less */

/* Line @n of the outcome, as snprintf(). */
typedef size_t expect_line_fn(const void *context, unsigned int n, char *buf, size_t len_bytes);
/* Whether line @n may be without the word [@word, @word + @len), and all is well. */
typedef bool expect_lacks_fn(const void *context, unsigned int n, const char *word, size_t len);

/* True when @line has the word [@word, @word + @len), between blanks. */
bool expect_has_word(const char *line, const char *word, size_t len);

/*
 * True when each of the @nr_lines lines has the words of its line of @expect, or may lack them (@may_lack; NULL: never).
 * Otherwise @buf says what is missing: the line, the word, and what came of it.
 */
bool expect_holds(const char *expect, unsigned int nr_lines, expect_line_fn *line, expect_lacks_fn *may_lack,
		  const void *context, char *buf, size_t len_bytes);

#endif

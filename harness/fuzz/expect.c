/* SPDX-License-Identifier: MIT */
#include "fuzz/expect.h"

#include <stdio.h>
#include <string.h>

bool expect_has_word(const char *line, const char *word, size_t len)
{
	while (*line) {
		size_t this = strcspn(line, " ");

		if (this == len && !memcmp(line, word, len))
			return true;
		line += this;
		line += *line == ' ';
	}
	return false;
}

bool expect_holds(const char *expect, unsigned int nr_lines, expect_line_fn *line, expect_lacks_fn *may_lack,
		  const void *context, char *buf, size_t len_bytes)
{
	char text[EXPECT_LINE_BYTES];
	unsigned int n = 0;

	for (; *expect; n++) {
		if (n == nr_lines) {
			snprintf(buf, len_bytes, "line %u: there is none", n);
			return false;
		}
		line(context, n, text, sizeof(text));
		while (*expect && *expect != '\n') {
			size_t len = strcspn(expect, " \n");

			if (!expect_has_word(text, expect, len) && !(may_lack && may_lack(context, n, expect, len))) {
				snprintf(buf, len_bytes, "line %u: want %.*s, got %s", n, (int)len, expect, text);
				return false;
			}
			expect += len;
			expect += *expect == ' ';
		}
		expect += *expect == '\n';
	}
	return true;
}

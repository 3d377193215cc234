/* SPDX-License-Identifier: MIT */
/* Divergences that are written up: reports/findings/. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/needs.h"
#include "runner/runner.h"

/* "6.1.192-1" against "6.1": compares the numbers that both have. */
static int version_compare(const char *one, const char *other)
{
	while (*one && *other) {
		char *one_end, *other_end;
		long a = strtol(one, &one_end, 10), b = strtol(other, &other_end, 10);

		if (one_end == one || other_end == other)
			return 0;
		if (a != b)
			return a < b ? -1 : 1;
		if (*one_end != '.' || *other_end != '.')
			return 0;
		one = one_end + 1;
		other = other_end + 1;
	}
	return 0;
}

static bool is_in_range(const char *kernel, const char *range)
{
	char from[32] = "", to[32] = "";
	const char *dots = range ? strstr(range, "..") : NULL;

	if (!range || !dots)
		return true;
	snprintf(from, sizeof(from), "%.*s", (int)(dots - range), range);
	snprintf(to, sizeof(to), "%s", dots + 2);
	return (!*from || version_compare(kernel, from) >= 0) && (!*to || version_compare(kernel, to) <= 0);
}

static bool known_applies(const struct known *known, const char *target, const char *kernel, struct sys *sys)
{
	char missing[256];

	return is_in_range(kernel, known->kernels) &&
	       (!known->targets || !fnmatch(known->targets, target, FNM_EXTMATCH)) &&
	       needs_met(known->needs, sys, missing, sizeof(missing));
}

const struct known *known_find(const struct known *known, const char *target, const char *kernel, struct sys *sys)
{
	while (known && !known_applies(known, target, kernel, sys))
		known = known->next;
	return known;
}

void apply_known(struct result *result, const struct known *known)
{
	char text[256];

	if (!known)
		return;
	if (result->verdict == VERDICT_FAIL) {
		snprintf(text, sizeof(text), "known: reports/findings/%s.md", known->finding);
		result_worsen(result, VERDICT_FAIL, text);
		result->verdict = VERDICT_KNOWN;
	} else if (result->verdict == VERDICT_PASS) {
		snprintf(text, sizeof(text), "passes, but reports/findings/%s.md says that it fails here",
			 known->finding);
		result_worsen(result, VERDICT_FAIL, text);
	}
}

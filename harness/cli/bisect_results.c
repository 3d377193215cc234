/* SPDX-License-Identifier: MIT */
#include "cli/bisect_results.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "reports/sink.h"

/* --- reading --- */

static struct result **result_find(const struct bisect_results *results, const char *test)
{
	size_t i;

	for (i = 0; i < results->nr; i++)
		if (!strcmp(results->results[i]->test, test))
			return &results->results[i];
	return NULL;
}

/* Takes @result over. */
static int results_add(struct bisect_results *results, struct result *result)
{
	struct result **slot = result_find(results, result->test), **more;

	if (slot && (*slot)->verdict >= result->verdict) {
		result_free(result);
		return 0;
	}
	if (slot) {
		result_free(*slot);
		*slot = result;
		return 0;
	}
	more = reallocarray(results->results, results->nr + 1, sizeof(*more));
	if (!more) {
		result_free(result);
		return -ENOMEM;
	}
	more[results->nr++] = result;
	results->results = more;
	return 0;
}

static int take_line(struct bisect_results *results, const char *text)
{
	struct json_object *line = json_tokener_parse(text);
	struct result *result = line ? result_from_json(line) : NULL;

	json_object_put(line);
	return result ? results_add(results, result) : 0;
}

int bisect_results_read(struct bisect_results *results, const char *path)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size_bytes = 0;
	int r = 0;

	if (!file)
		return -errno;
	while (!r && getline(&line, &size_bytes, file) > 0)
		r = take_line(results, line);
	free(line);
	fclose(file);
	return r;
}

void bisect_results_free(struct bisect_results *results)
{
	size_t i;

	for (i = 0; i < results->nr; i++)
		result_free(results->results[i]);
	free(results->results);
	*results = (struct bisect_results){ 0 };
}

/* --- judging --- */

static struct summary results_count(const struct bisect_results *results)
{
	struct summary summary = { 0 };
	size_t i;

	for (i = 0; i < results->nr; i++)
		summary.count[results->results[i]->verdict]++;
	return summary;
}

enum bisect_code bisect_results_code(const struct bisect_results *results)
{
	struct summary summary = results_count(results);

	if (summary.count[VERDICT_FAIL])
		return BISECT_BAD;
	if (summary.count[VERDICT_ERROR])
		return BISECT_SKIP;
	return summary.count[VERDICT_PASS] ? BISECT_GOOD : BISECT_SKIP;
}

void bisect_results_summarise(const struct bisect_results *results, char *text, size_t size_bytes)
{
	struct summary summary = results_count(results);
	FILE *out = fmemopen(text, size_bytes, "w");
	const char *separator = ": ";
	unsigned int i;

	*text = '\0';
	if (!out)
		return;
	/* Without a buffer the text ends where it is full. */
	setbuf(out, NULL);
	if (results->nr == 1)
		fprintf(out, "%s: %s", results->results[0]->test, verdict_name(results->results[0]->verdict));
	else
		fprintf(out, "%zu tests", results->nr);
	for (i = 0; i < NR_VERDICTS && results->nr > 1; i++) {
		if (!summary.count[i])
			continue;
		fprintf(out, "%s%u %s", separator, summary.count[i], verdict_name(i));
		separator = ", ";
	}
	fclose(out);
	text[size_bytes - 1] = '\0';
}

/* --- side by side --- */

/* What explains the verdict; the machine's state is in the step's folder. */
static void print_notes(FILE *out, const char *side, const struct result *result)
{
	bool is_first = true;
	size_t i;

	if (!result || result->verdict == VERDICT_PASS)
		return;
	for (i = 0; i < result->nr_notes; i++) {
		if (result->notes[i].kind != NOTE_CHECK && result->notes[i].kind != NOTE_REASON)
			continue;
		if (is_first)
			fprintf(out, "  %s:\n", side);
		is_first = false;
		note_print(out, &result->notes[i]);
	}
}

static void print_row(FILE *out, int width, const struct result *good, const struct result *bad)
{
	fprintf(out, "%-*s  %-24s  %s\n", width, good ? good->test : bad->test,
		good ? verdict_name(good->verdict) : "-", bad ? verdict_name(bad->verdict) : "-");
	print_notes(out, "good", good);
	print_notes(out, "bad", bad);
}

static int widest(const struct bisect_results *results, int width)
{
	size_t i;

	for (i = 0; i < results->nr; i++)
		if ((int)strlen(results->results[i]->test) > width)
			width = strlen(results->results[i]->test);
	return width;
}

void bisect_print_sides(FILE *out, const struct bisect_side *good, const struct bisect_side *bad)
{
	int width = widest(bad->results, widest(good->results, 0));
	struct result **other;
	size_t i;

	fprintf(out, "%-*s  %-24s  %s\n", width, "", good->title, bad->title);
	for (i = 0; i < bad->results->nr; i++) {
		other = result_find(good->results, bad->results->results[i]->test);
		print_row(out, width, other ? *other : NULL, bad->results->results[i]);
	}
	for (i = 0; i < good->results->nr; i++)
		if (!result_find(bad->results, good->results->results[i]->test))
			print_row(out, width, good->results->results[i], NULL);
}

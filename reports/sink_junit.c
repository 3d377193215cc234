/* SPDX-License-Identifier: MIT */
/*
 * The counts come before the test cases in the file, so each area's cases are kept as XML text in
 * memory until the run ends.
 */
#include "reports/sink.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "harness/err.h"

/* All tests of one area, the part of the name before the first '.'. */
struct suite {
	struct suite *next;
	char *area;
	struct summary summary;
	FILE *cases;	/* writes to text */
	char *text;
	size_t len_bytes;
};

struct junit {
	struct sink sink;
	char *path;
	char *tmp_path;
	FILE *out;	/* tmp_path; NULL once it was renamed or removed */
	char *properties;	/* XML text, the same in every suite; NULL before the run began */
	struct suite *suites;	/* in order of appearance */
	int error;	/* -errno of the first failure, described in err */
	struct err err;
};

static struct junit *junit_of(struct sink *sink)
{
	return (struct junit *)sink;
}

static void junit_fail(struct junit *junit, int error, const char *path)
{
	if (junit->error)
		return;
	junit->error = err_set(&junit->err, error, "%s: %s", path, strerror(error));
}

/* True when XML 1.0 has the character (production [2]). */
static bool is_xml_char(uint32_t code)
{
	return code == '\t' || code == '\n' || code == '\r' || (code >= 0x20 && code < 0xfffe) ||
	       (code >= 0x10000 && code <= 0x10ffff);
}

/* For what a parser would read as markup or as other white space than it is; NULL for the rest. */
static const char *xml_escape(uint32_t code, bool is_attribute)
{
	switch (code) {
	case '&': return "&amp;";
	case '<': return "&lt;";
	case '>': return "&gt;";
	case '\r': return "&#13;";
	case '"': return is_attribute ? "&quot;" : NULL;
	case '\n': return is_attribute ? "&#10;" : NULL;
	case '\t': return is_attribute ? "&#9;" : NULL;
	default: return NULL;
	}
}

/* What XML cannot say, escaped or not, is dropped. */
static void put_xml(FILE *out, const char *text, size_t len_bytes, bool is_attribute)
{
	const char *const end = text + len_bytes;
	const char *escape;
	uint32_t code;
	size_t len;

	for (; text < end; text += len) {
		len = utf8_decode(text, &code);
		escape = xml_escape(code, is_attribute);
		if (escape)
			fputs(escape, out);
		else if (is_xml_char(code))
			fwrite(text, 1, len, out);
	}
}

static void put_attribute(FILE *out, const char *name, const char *value)
{
	fprintf(out, " %s=\"", name);
	put_xml(out, value, strlen(value), true);
	fputc('"', out);
}

/* Whole lines: a newline is added to a last line that has none. */
static void put_lines(FILE *out, const char *text)
{
	const size_t len_bytes = strlen(text);

	put_xml(out, text, len_bytes, false);
	if (!len_bytes || text[len_bytes - 1] != '\n')
		fputc('\n', out);
}

/* A value of several lines begins below its label: its lines stay aligned with each other. */
static void put_value(FILE *out, const char *label, const char *text)
{
	if (!text)
		return;
	if (strchr(text, '\n'))
		fprintf(out, "%s\n", label);
	else
		fprintf(out, "%-5s ", label);
	put_lines(out, text);
}

static void put_time(FILE *out, uint64_t duration_us)
{
	fprintf(out, " time=\"%" PRIu64 ".%06" PRIu64 "\"", duration_us / 1000000,
		duration_us % 1000000);
}

static void put_property(FILE *out, const char *name, const char *value)
{
	fputs("      <property", out);
	put_attribute(out, "name", name);
	put_attribute(out, "value", value);
	fputs("/>\n", out);
}

static void put_note(FILE *out, const struct note *note)
{
	if (note->file) {
		put_xml(out, note->file, strlen(note->file), false);
		if (note->line)
			fprintf(out, ":%u", note->line);
		fputs(": ", out);
	}
	put_lines(out, note->text ? note->text : "");
	put_value(out, "want:", note->want);
	put_value(out, "got:", note->got);
	put_value(out, "differs in:", note->fields);
}

/* True for what goes to system-out rather than into the verdict's element. */
static bool is_output(const struct note *note)
{
	return note->kind == NOTE_DUMP || note->kind == NOTE_OUTPUT || note->kind == NOTE_DMESG;
}

/* What a viewer's overview shows: for FAIL the first broken expectation, otherwise the reason. */
static const char *headline(const struct result *result)
{
	const char *reason = result_reason(result);

	if (reason && result->verdict != VERDICT_FAIL)
		return reason;
	for (size_t i = 0; i < result->nr_notes; i++) {
		if (result->notes[i].kind == NOTE_CHECK && result->notes[i].text)
			return result->notes[i].text;
	}
	return reason ? reason : verdict_name(result->verdict);
}

static void put_outcome(FILE *out, const struct result *result)
{
	static const char *const element[NR_VERDICTS] = {
		[VERDICT_SKIP] = "skipped",
		[VERDICT_KNOWN] = "skipped",
		[VERDICT_ERROR] = "error",
		[VERDICT_FAIL] = "failure",
	};
	const char *name = element[result->verdict];

	if (!name)
		return;
	fprintf(out, "      <%s", name);
	put_attribute(out, "message", headline(result));
	if (result->verdict >= VERDICT_ERROR)
		put_attribute(out, "type", verdict_name(result->verdict));
	if (result->verdict == VERDICT_SKIP) {
		fputs("/>\n", out);
		return;
	}
	fputc('>', out);
	for (size_t i = 0; i < result->nr_notes; i++) {
		if (!is_output(&result->notes[i]))
			put_note(out, &result->notes[i]);
	}
	fprintf(out, "</%s>\n", name);
}

static void put_system_out(FILE *out, const struct result *result)
{
	bool is_open = false;

	for (size_t i = 0; i < result->nr_notes; i++) {
		if (!is_output(&result->notes[i]) || !result->notes[i].text)
			continue;
		fputs(is_open ? "" : "      <system-out>", out);
		put_lines(out, result->notes[i].text);
		is_open = true;
	}
	if (is_open)
		fputs("</system-out>\n", out);
}

/* The case's name begins @area_len bytes into the test's; a name of one word is both. */
static void put_case(FILE *out, const struct result *result, size_t area_len)
{
	const char *rest = result->test + area_len;

	fputs("    <testcase classname=\"", out);
	put_xml(out, result->test, area_len, true);
	fputs("\" name=\"", out);
	rest = *rest ? rest + 1 : result->test;
	put_xml(out, rest, strlen(rest), true);
	fputc('@', out);
	put_xml(out, result->target, strlen(result->target), true);
	if (result->round)
		fprintf(out, " (round %u)", result->round);
	fputc('"', out);
	put_attribute(out, "file", result->file);
	put_time(out, result->duration_us);
	fputs(">\n", out);
	put_outcome(out, result);
	put_system_out(out, result);
	fputs("    </testcase>\n", out);
}

static void suite_free(struct suite *suite)
{
	if (suite->cases)
		fclose(suite->cases);
	free(suite->text);
	free(suite->area);
	free(suite);
}

/* Finds or makes the suite of the area of @area_len bytes at @area; NULL when out of memory. */
static struct suite *suite_get(struct junit *junit, const char *area, size_t area_len)
{
	struct suite **link = &junit->suites, *suite;

	for (; *link; link = &(*link)->next) {
		if (!strncmp((*link)->area, area, area_len) && !(*link)->area[area_len])
			return *link;
	}
	suite = calloc(1, sizeof(*suite));
	if (!suite)
		return NULL;
	suite->area = strndup(area, area_len);
	suite->cases = open_memstream(&suite->text, &suite->len_bytes);
	if (!suite->area || !suite->cases) {
		suite_free(suite);
		return NULL;
	}
	*link = suite;
	return suite;
}

/* @target: whose facts they are, when they are not the run's; or "". */
static void put_facts(FILE *out, const char *target, struct json_object *facts)
{
	char key[256];

	if (!json_object_is_type(facts, json_type_object))
		return;
	json_object_object_foreach(facts, name, value) {
		if (!value || json_object_is_type(value, json_type_object) ||
		    json_object_is_type(value, json_type_array))
			continue;
		snprintf(key, sizeof(key), "%s%s%s", target, *target ? "." : "", name);
		put_property(out, key, json_object_get_string(value));
	}
}

static void junit_run_begin(struct sink *sink, const struct run_info *info)
{
	struct junit *junit = junit_of(sink);
	size_t len_bytes;
	char seed[32];
	FILE *out;

	free(junit->properties);
	junit->properties = NULL;
	out = open_memstream(&junit->properties, &len_bytes);
	if (!out) {
		junit_fail(junit, ENOMEM, junit->path);
		return;
	}
	snprintf(seed, sizeof(seed), "0x%" PRIx64, info->seed);
	put_property(out, "target", info->target);
	put_property(out, "seed", seed);
	put_facts(out, "", info->facts);
	if (fclose(out))
		junit_fail(junit, ENOMEM, junit->path);
}

/* Behind the properties that there are. */
static void junit_target_begin(struct sink *sink, const char *target, struct json_object *facts)
{
	struct junit *junit = junit_of(sink);
	char *before = junit->properties;
	size_t len_bytes;
	FILE *out = open_memstream(&junit->properties, &len_bytes);

	if (!out) {
		junit_fail(junit, ENOMEM, junit->path);
		return;
	}
	fputs(before ? before : "", out);
	put_facts(out, target, facts);
	if (fclose(out))
		junit_fail(junit, ENOMEM, junit->path);
	free(before);
}

static void junit_test_begin(struct sink *sink, const char *test, const char *target,
			     unsigned int round)
{
	(void)sink;
	(void)test;
	(void)target;
	(void)round;
}

static void junit_test_end(struct sink *sink, const struct result *result)
{
	const size_t area_len = strcspn(result->test, ".");
	struct junit *junit = junit_of(sink);
	struct suite *suite = suite_get(junit, result->test, area_len);

	if (!suite) {
		junit_fail(junit, ENOMEM, junit->path);
		return;
	}
	suite->summary.count[result->verdict]++;
	suite->summary.duration_us += result->duration_us;
	put_case(suite->cases, result, area_len);
}

static void put_counts(FILE *out, const struct summary *summary)
{
	fprintf(out, " tests=\"%u\" failures=\"%u\" errors=\"%u\" skipped=\"%u\"",
		summary_total(summary), summary->count[VERDICT_FAIL],
		summary->count[VERDICT_ERROR],
		summary->count[VERDICT_SKIP] + summary->count[VERDICT_KNOWN]);
	put_time(out, summary->duration_us);
	fputs(">\n", out);
}

static void put_suite(FILE *out, const struct suite *suite, const char *properties)
{
	fputs("  <testsuite", out);
	put_attribute(out, "name", suite->area);
	put_counts(out, &suite->summary);
	if (properties)
		fprintf(out, "    <properties>\n%s    </properties>\n", properties);
	fwrite(suite->text, 1, suite->len_bytes, out);
	fputs("  </testsuite>\n", out);
}

static void put_document(struct junit *junit, const struct summary *summary)
{
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites", junit->out);
	put_counts(junit->out, summary);
	for (struct suite *suite = junit->suites; suite; suite = suite->next) {
		if (fflush(suite->cases))
			junit_fail(junit, ENOMEM, junit->path);
		put_suite(junit->out, suite, junit->properties);
	}
	fputs("</testsuites>\n", junit->out);
}

/* Half a report must not look like a whole one: it gets its name only when it is on the disk. */
static void junit_publish(struct junit *junit, const struct summary *summary)
{
	errno = 0;
	put_document(junit, summary);
	if (fflush(junit->out) || ferror(junit->out) || fsync(fileno(junit->out)))
		junit_fail(junit, errno ? errno : EIO, junit->tmp_path);
	if (fclose(junit->out))
		junit_fail(junit, errno, junit->tmp_path);
	junit->out = NULL;
	if (!junit->error && rename(junit->tmp_path, junit->path))
		junit_fail(junit, errno, junit->path);
	if (junit->error)
		unlink(junit->tmp_path);
}

static void junit_run_end(struct sink *sink, const struct summary *summary)
{
	if (junit_of(sink)->out)
		junit_publish(junit_of(sink), summary);
}

/* The run did not get to its end: count what there is. */
static void junit_publish_rest(struct junit *junit)
{
	struct summary total = { 0 };

	for (struct suite *suite = junit->suites; suite; suite = suite->next) {
		for (int i = 0; i < NR_VERDICTS; i++)
			total.count[i] += suite->summary.count[i];
		total.duration_us += suite->summary.duration_us;
	}
	junit_publish(junit, &total);
}

static void junit_free(struct junit *junit)
{
	struct suite *suite;

	while ((suite = junit->suites)) {
		junit->suites = suite->next;
		suite_free(suite);
	}
	free(junit->properties);
	free(junit->tmp_path);
	free(junit->path);
	free(junit);
}

static int junit_close(struct sink *sink, struct err *err)
{
	struct junit *junit = junit_of(sink);
	int error;

	if (junit->out)
		junit_publish_rest(junit);
	error = junit->error;
	if (error)
		err_set(err, -error, "%s", junit->err.text);
	junit_free(junit);
	return error;
}

static const struct sink_ops junit_ops = {
	.run_begin = junit_run_begin,
	.test_begin = junit_test_begin,
	.test_end = junit_test_end,
	.run_end = junit_run_end,
	.target_begin = junit_target_begin,
	.close = junit_close,
};

/* 0 or -errno; opens the file now, so that a bad path is refused before the run, not after. */
static int junit_init(struct junit *junit, const char *path)
{
	const size_t size = strlen(path) + sizeof(".tmp");

	junit->sink.ops = &junit_ops;
	junit->path = strdup(path);
	junit->tmp_path = malloc(size);
	if (!junit->path || !junit->tmp_path)
		return -ENOMEM;
	snprintf(junit->tmp_path, size, "%s.tmp", path);
	junit->out = fopen(junit->tmp_path, "we");
	return junit->out ? 0 : -errno;
}

int sink_junit_open(const char *path, struct sink **ret, struct err *err)
{
	struct junit *junit = calloc(1, sizeof(*junit));
	int error = junit ? junit_init(junit, path) : -ENOMEM;

	if (error) {
		if (junit)
			junit_free(junit);
		return err_set(err, -error, "%s.tmp: %s", path, strerror(-error));
	}
	*ret = &junit->sink;
	return 0;
}

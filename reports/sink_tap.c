/* SPDX-License-Identifier: MIT */
/*
 * TAP 14 as https://testanything.org/tap-version-14-specification.html has it. Two things are for
 * Meson's sake: it ends a YAML block at any line whose first word begins with "...", and takes an
 * empty line inside it, indented or not, for a block without an end.
 */
#include "reports/sink.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "harness/err.h"
#include "reports/compare.h"

struct tap {
	struct sink sink;
	FILE *out;
	unsigned int nr_results;
	int error;	/* -errno of the first failed write */
};

static struct tap *tap_of(struct sink *sink)
{
	return (struct tap *)sink;
}

/* Every event goes out at once: what was said before a crash is not lost. */
static void tap_flush(struct tap *tap)
{
	if ((fflush(tap->out) || ferror(tap->out)) && !tap->error)
		tap->error = -(errno ? errno : EIO);
}

static void put_char(FILE *out, const char *text, size_t len_bytes, uint32_t code)
{
	if (code == UTF8_INVALID)
		fputs("\xef\xbf\xbd", out);
	else
		fwrite(text, 1, len_bytes, out);
}

/* True when the character can stand inside a line as it is, for YAML 1.1 and 1.2. */
static bool is_printable(uint32_t code)
{
	const bool is_line_break = code == 0x2028 || code == 0x2029;
	const bool is_no_character = code == 0xfeff || code == 0xfffe || code == 0xffff;

	return code == '\t' || (code >= 0x20 && code < 0x7f) ||
	       (code >= 0xa0 && !is_line_break && !is_no_character);
}

/* A description or reason: one line, and only our own '#' starts a directive. */
static void put_line_text(FILE *out, const char *text)
{
	uint32_t code;
	size_t len;

	for (; *text; text += len) {
		len = utf8_decode(text, &code);
		if (code == '#' || code == '\\')
			fputc('\\', out);
		if (is_printable(code))
			put_char(out, text, len, code);
		else
			fputc(' ', out);
	}
}

/* True when a literal block can hold every line of @text, seen from YAML and from Meson. */
static bool has_plain_lines(const char *text)
{
	const char *word, *line = text;

	while (*line) {
		word = line + strspn(line, " \t");
		if (!*word || *word == '\n' || !strncmp(word, "...", 3))
			return false;
		line = word + strcspn(word, "\n");
		line += *line == '\n';
	}
	return true;
}

/* True when @text has several lines that need no escapes. */
static bool fits_literal(const char *text)
{
	uint32_t code;
	size_t len;

	if (!strchr(text, '\n') || !has_plain_lines(text))
		return false;
	for (; *text; text += len) {
		len = utf8_decode(text, &code);
		if (code != '\n' && !is_printable(code))
			return false;
	}
	return true;
}

/* Its header says how deep it is where the text would mislead, and whether a newline ends it. */
static void put_literal(FILE *out, const char *text, int indent)
{
	const size_t total = strlen(text);
	const bool is_ended = text[total - 1] == '\n';
	const char *const end = text + total - is_ended;
	uint32_t code;
	size_t len;

	fprintf(out, "|%s%s\n", strchr(" \t", *text) ? "2" : "", is_ended ? "" : "-");
	fprintf(out, "%*s", indent, "");
	for (; text < end; text += len) {
		len = utf8_decode(text, &code);
		put_char(out, text, len, code);
		if (code == '\n')
			fprintf(out, "%*s", indent, "");
	}
	fputc('\n', out);
}

/*
 * Any text at all. An escaped line break is none, and the white space after it is dropped, so each
 * line of the text has a line of its own that is neither empty nor begins with a space or "...".
 */
static void put_quoted(FILE *out, const char *text, int indent)
{
	bool is_line_start = false;
	uint32_t code;
	size_t len;

	fputc('"', out);
	for (; *text; text += len) {
		len = utf8_decode(text, &code);
		if (code == '"' || code == '\\')
			fprintf(out, "\\%c", (char)code);
		else if (code == '\n' && text[1])
			fprintf(out, "\\n\\\n%*s", indent, "");
		else if (code == '\n')
			fputs("\\n", out);
		else if (is_printable(code) && code != '\t' &&
			 !(is_line_start && (code == ' ' || code == '.')))
			put_char(out, text, len, code);
		else
			fprintf(out, "\\u%04" PRIx32, code);
		is_line_start = code == '\n';
	}
	fputs("\"\n", out);
}

/* One member of a mapping whose keys stand at column @indent; none when @text is NULL. */
static void put_member(FILE *out, int indent, const char *key, const char *text)
{
	if (!text)
		return;
	fprintf(out, "%*s%s: ", indent, "", key);
	if (fits_literal(text))
		put_literal(out, text, indent + 2);
	else
		put_quoted(out, text, indent + 2);
}

static void put_note(FILE *out, const struct note *note)
{
	fprintf(out, "    - kind: %s\n", note_kind_name(note->kind));
	put_member(out, 6, "file", note->file);
	if (note->line)
		fprintf(out, "      line: %u\n", note->line);
	put_member(out, 6, "text", note->text);
	put_member(out, 6, "want", note->want);
	put_member(out, 6, "got", note->got);
	put_member(out, 6, "fields", note->fields);
}

static void put_diagnostics(FILE *out, const struct result *result)
{
	fputs("  ---\n", out);
	fprintf(out, "  verdict: %s\n", verdict_name(result->verdict));
	fprintf(out, "  duration_ms: %.1f\n", (double)result->duration_us / 1e3);
	put_member(out, 2, "file", result->file);
	fprintf(out, "  checks: %" PRIu64 "\n", result->nr_checks);
	if (result->nr_notes)
		fputs("  notes:\n", out);
	for (size_t i = 0; i < result->nr_notes; i++)
		put_note(out, &result->notes[i]);
	fputs("  ...\n", out);
}

static void put_directive(FILE *out, const struct result *result)
{
	const char *reason = result_reason(result);

	if (result->verdict != VERDICT_SKIP && result->verdict != VERDICT_KNOWN)
		return;
	fputs(result->verdict == VERDICT_SKIP ? " # SKIP" : " # TODO", out);
	if (reason) {
		fputc(' ', out);
		put_line_text(out, reason);
	}
}

static void tap_run_begin(struct sink *sink, const struct run_info *info)
{
	struct tap *tap = tap_of(sink);

	errno = 0;
	fprintf(tap->out, "TAP version 14\n1..%u\n# target ", info->nr_planned);
	put_line_text(tap->out, info->target);
	fprintf(tap->out, ", seed 0x%" PRIx64 "\n", info->seed);
	tap_flush(tap);
}

static void tap_test_begin(struct sink *sink, const char *test, const char *target,
			   unsigned int round)
{
	(void)sink;
	(void)test;
	(void)target;
	(void)round;
}

static void tap_test_end(struct sink *sink, const struct result *result)
{
	const bool is_ok = result->verdict == VERDICT_PASS || result->verdict == VERDICT_SKIP;
	struct tap *tap = tap_of(sink);

	errno = 0;
	fprintf(tap->out, "%s %u - ", is_ok ? "ok" : "not ok", ++tap->nr_results);
	put_line_text(tap->out, result->test);
	fputc('@', tap->out);
	put_line_text(tap->out, result->target);
	if (result->round)
		fprintf(tap->out, " (round %u)", result->round);
	put_directive(tap->out, result);
	fputc('\n', tap->out);
	if (!is_ok)
		put_diagnostics(tap->out, result);
	tap_flush(tap);
}

/* Nothing to add: results missing at the end show against the plan. */
static void tap_run_end(struct sink *sink, const struct summary *summary)
{
	(void)sink;
	(void)summary;
}

/* The table, as comments. */
static void tap_comparison(struct sink *sink, const struct compare *compare)
{
	struct tap *tap = tap_of(sink);
	char *text = NULL, *line, *rest = NULL;
	size_t len_bytes;
	FILE *out = open_memstream(&text, &len_bytes);
	int r = out ? compare_print(compare, out) : -ENOMEM;

	if (out && fclose(out))
		r = -ENOMEM;
	if (r && !tap->error)
		tap->error = -ENOMEM;
	errno = 0;
	for (line = r ? NULL : strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		fprintf(tap->out, "# %s\n", line);
	free(text);
	tap_flush(tap);
}

static int tap_close(struct sink *sink, struct err *err)
{
	struct tap *tap = tap_of(sink);
	int error = tap->error;

	if (error)
		err_set(err, -error, "TAP output: %s", strerror(-error));
	free(tap);
	return error;
}

static const struct sink_ops tap_ops = {
	.run_begin = tap_run_begin,
	.test_begin = tap_test_begin,
	.test_end = tap_test_end,
	.run_end = tap_run_end,
	.comparison = tap_comparison,
	.close = tap_close,
};

int sink_tap_open(FILE *out, struct sink **ret, struct err *err)
{
	struct tap *tap = calloc(1, sizeof(*tap));

	if (!tap)
		return err_set(err, ENOMEM, "TAP output: %s", strerror(ENOMEM));
	tap->sink.ops = &tap_ops;
	tap->out = out;
	*ret = &tap->sink;
	return 0;
}

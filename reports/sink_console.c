/* SPDX-License-Identifier: MIT */
#include "reports/sink.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <json-c/json.h>

#include "harness/err.h"
#include "reports/compare.h"

struct skip_group {
	char *reason;
	unsigned int nr_tests;
};

struct console {
	struct sink sink;
	FILE *out;
	bool is_terminal, is_verbose, has_colour;
	bool has_status;	/* the cursor stands at the end of the status line */
	unsigned int nr_planned, nr_done, nr_failed;
	uint64_t seed;
	char *target;
	char **running;	/* full names, the oldest first */
	size_t nr_running;
	struct skip_group *skips;	/* in order of appearance */
	size_t nr_skips;
	FILE *failed;	/* writes to failed_text: the lines repeated at the end */
	char *failed_text;
	size_t failed_len_bytes;
	int error;	/* -errno of the first failed write */
};

static struct console *console_of(struct sink *sink)
{
	return (struct console *)sink;
}

static void console_fail(struct console *c, int error)
{
	if (!c->error)
		c->error = -error;
}

static void console_flush(struct console *c)
{
	if (fflush(c->out) || ferror(c->out))
		console_fail(c, errno ? errno : EIO);
}

/* True for a character that moves the cursor to the right and does nothing else. */
static bool is_harmless(uint32_t code)
{
	return code == '\t' || (code >= 0x20 && code < 0x7f) ||
	       (code >= 0xa0 && code != UTF8_INVALID);
}

static void put_hex(FILE *out, const char *bytes, size_t nr_bytes)
{
	for (size_t i = 0; i < nr_bytes; i++)
		fprintf(out, "\\x%02x", (unsigned char)bytes[i]);
}

/*
 * Guest bytes must not steer the terminal: a control character is shown as \xNN. Lines after the
 * first are indented, a last newline and the CR of a serial line's CR LF are not shown.
 */
static void put_text(FILE *out, const char *text, int indent)
{
	uint32_t code;
	size_t len;

	for (; *text; text += len) {
		len = utf8_decode(text, &code);
		if (code == '\n' && text[1])
			fprintf(out, "\n%*s", text[1] == '\n' ? 0 : indent, "");
		else if (is_harmless(code))
			fwrite(text, 1, len, out);
		else if (code != '\n' && strncmp(text, "\r\n", 2))
			put_hex(out, text, len);
	}
}

/* A labelled value; the lines after its first align under it. */
static void put_value(FILE *out, const char *label, const char *text)
{
	if (!text)
		return;
	fputs(label, out);
	put_text(out, text, (int)strlen(label));
	fputc('\n', out);
}

static void put_duration(FILE *out, uint64_t duration_us)
{
	if (duration_us < 1000000)
		fprintf(out, "%.1f ms", (double)duration_us / 1e3);
	else
		fprintf(out, "%.1f s", (double)duration_us / 1e6);
}

static void put_said(FILE *out, const char *label, const struct note *note)
{
	fputs(label, out);
	if (note->file) {
		put_text(out, note->file, 0);
		if (note->line)
			fprintf(out, ":%u", note->line);
		fputs(": ", out);
	}
	put_text(out, note->text ? note->text : "", 4);
	fputc('\n', out);
}

void note_print(FILE *out, const struct note *note)
{
	switch (note->kind) {
	case NOTE_CHECK:
		put_said(out, "  ", note);
		put_value(out, "    want  ", note->want);
		put_value(out, "    got   ", note->got);
		put_value(out, "    differs in  ", note->fields);
		break;
	case NOTE_REASON:
		put_value(out, "  reason: ", note->text);
		break;
	case NOTE_MESSAGE:
		put_said(out, "  guest/case says: ", note);
		break;
	case NOTE_OUTPUT:
		fputs("  output:\n", out);
		put_value(out, "    ", note->text);
		break;
	case NOTE_DMESG:
		fputs("  the kernel said:\n", out);
		put_value(out, "    ", note->text);
		break;
	case NOTE_DUMP:
	default:
		put_value(out, "    ", note->text);
	}
}

static void put_verdict(const struct console *c, FILE *out, enum verdict verdict)
{
	static const char *const colour[NR_VERDICTS] = {
		[VERDICT_PASS] = "\033[32m",
		[VERDICT_SKIP] = "\033[33m",
		[VERDICT_KNOWN] = "\033[36m",
		[VERDICT_ERROR] = "\033[35m",
		[VERDICT_FAIL] = "\033[31m",
	};

	fprintf(out, "%s%-5s%s  ", c->has_colour ? colour[verdict] : "", verdict_name(verdict),
		c->has_colour ? "\033[0m" : "");
}

/* "test@target (round n)"; NULL when out of memory. */
static char *full_name_new(const char *test, const char *target, unsigned int round)
{
	size_t len_bytes;
	char *name = NULL;
	FILE *out = open_memstream(&name, &len_bytes);

	if (!out)
		return NULL;
	fprintf(out, "%s@%s", test, target);
	if (round)
		fprintf(out, " (round %u)", round);
	if (!fclose(out))
		return name;
	free(name);
	return NULL;
}

static int terminal_width(FILE *out)
{
	struct winsize size;

	/* Note, a terminal's ioctl, not KVM's. */
	if (ioctl(fileno(out), TIOCGWINSZ, &size) < 0 || !size.ws_col)
		return 80;
	return size.ws_col;
}

static void status_clear(struct console *c)
{
	if (c->has_status)
		fputs("\r\033[K", c->out);
	c->has_status = false;
}

static void status_format(const struct console *c, FILE *out)
{
	const int width = snprintf(NULL, 0, "%u", c->nr_planned);

	fprintf(out, "[%*u/%u]", width, c->nr_done, c->nr_planned);
	if (c->nr_running)
		fprintf(out, " running %.*s", (int)strcspn(c->running[0], "@"), c->running[0]);
	if (c->nr_running > 1)
		fprintf(out, " (+%zu)", c->nr_running - 1);
	if (c->nr_failed)
		fprintf(out, "  %u failed", c->nr_failed);
}

/* A line longer than the terminal is wide would wrap, and '\r' would no longer reach its start. */
static void status_draw(struct console *c)
{
	size_t len_bytes;
	char *line = NULL;
	FILE *out;

	if (!c->is_terminal)
		return;
	out = open_memstream(&line, &len_bytes);
	if (!out) {
		console_fail(c, ENOMEM);
		return;
	}
	status_format(c, out);
	if (fclose(out))
		console_fail(c, ENOMEM);
	else
		fprintf(c->out, "\r\033[K%.*s", terminal_width(c->out), line);
	c->has_status = true;
	free(line);
}

static void put_facts(FILE *out, struct json_object *facts)
{
	static const char *const names[] = { "cpu", "kernel", "kvm" };
	const char *separator = "";
	struct json_object *value;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!json_object_object_get_ex(facts, names[i], &value) || !value)
			continue;
		fprintf(out, "%s%s ", separator, names[i]);
		put_text(out, json_object_get_string(value), 0);
		separator = ", ";
	}
	if (*separator)
		fputc('\n', out);
}

static void console_run_begin(struct sink *sink, const struct run_info *info)
{
	struct console *c = console_of(sink);

	errno = 0;
	c->nr_planned = info->nr_planned;
	c->seed = info->seed;
	free(c->target);
	c->target = strdup(info->target);
	if (!c->target)
		console_fail(c, ENOMEM);
	fprintf(c->out, "vmassay: %u test%s on ", info->nr_planned,
		info->nr_planned == 1 ? "" : "s");
	put_value(c->out, "", info->target);
	put_facts(c->out, info->facts);
	console_flush(c);
}

static void console_target_begin(struct sink *sink, const char *target, struct json_object *facts)
{
	struct console *c = console_of(sink);

	errno = 0;
	status_clear(c);
	put_text(c->out, target, 0);
	fputs(": ", c->out);
	put_facts(c->out, facts);
	status_draw(c);
	console_flush(c);
}

/* Takes over @name. */
static void running_add(struct console *c, char *name)
{
	char **grown = reallocarray(c->running, c->nr_running + 1, sizeof(*grown));

	if (!grown || !name) {
		console_fail(c, ENOMEM);
		free(name);
	} else {
		grown[c->nr_running++] = name;
	}
	c->running = grown ? grown : c->running;
}

/* Note, a test that was skipped may never have begun. */
static void running_remove(struct console *c, const char *name)
{
	size_t i = 0;

	while (i < c->nr_running && strcmp(c->running[i], name))
		i++;
	if (i == c->nr_running)
		return;
	free(c->running[i]);
	c->nr_running--;
	memmove(&c->running[i], &c->running[i + 1],
		(c->nr_running - i) * sizeof(c->running[0]));
}

static void console_test_begin(struct sink *sink, const char *test, const char *target,
			       unsigned int round)
{
	struct console *c = console_of(sink);

	errno = 0;
	running_add(c, full_name_new(test, target, round));
	status_draw(c);
	console_flush(c);
}

static void skips_count(struct console *c, const char *reason)
{
	struct skip_group *grown;

	for (size_t i = 0; i < c->nr_skips; i++) {
		if (!strcmp(c->skips[i].reason, reason)) {
			c->skips[i].nr_tests++;
			return;
		}
	}
	grown = reallocarray(c->skips, c->nr_skips + 1, sizeof(*grown));
	if (!grown) {
		console_fail(c, ENOMEM);
		return;
	}
	c->skips = grown;
	grown[c->nr_skips] = (struct skip_group){ .reason = strdup(reason), .nr_tests = 1 };
	if (grown[c->nr_skips].reason)
		c->nr_skips++;
	else
		console_fail(c, ENOMEM);
}

static void put_skip(struct console *c, const struct result *result, const char *name)
{
	const char *reason = result_reason(result);

	if (!reason)
		reason = "no reason given";
	skips_count(c, reason);
	if (!c->is_verbose)
		return;
	put_verdict(c, c->out, VERDICT_SKIP);
	put_text(c->out, name, 0);
	put_value(c->out, "   ", reason);
}

/* A kernel talks: where nothing is wrong, that is for the reports that are kept. */
static bool is_shown(const struct result *result, const struct note *note)
{
	return note->kind != NOTE_DMESG || result->verdict != VERDICT_PASS;
}

static void put_result(struct console *c, const struct result *result, const char *name)
{
	if (result->verdict == VERDICT_PASS && !c->is_verbose)
		return;
	put_verdict(c, c->out, result->verdict);
	put_text(c->out, name, 0);
	fputs("   ", c->out);
	put_duration(c->out, result->duration_us);
	fputc('\n', c->out);
	for (size_t i = 0; i < result->nr_notes; i++)
		if (is_shown(result, &result->notes[i]))
			note_print(c->out, &result->notes[i]);
}

static void count_failed(struct console *c, enum verdict verdict, const char *name)
{
	c->nr_failed++;
	put_verdict(c, c->failed, verdict);
	put_value(c->failed, "", name);
}

static void console_test_end(struct sink *sink, const struct result *result)
{
	char *name = full_name_new(result->test, result->target, result->round);
	struct console *c = console_of(sink);

	errno = 0;
	c->nr_done++;
	if (!name) {
		console_fail(c, ENOMEM);
		return;
	}
	running_remove(c, name);
	status_clear(c);
	if (result->verdict == VERDICT_SKIP)
		put_skip(c, result, name);
	else
		put_result(c, result, name);
	if (result->verdict >= VERDICT_ERROR)
		count_failed(c, result->verdict, name);
	free(name);
	status_draw(c);
	console_flush(c);
}

static void put_details(struct console *c, const struct summary *summary)
{
	const unsigned int nr_known = summary->count[VERDICT_KNOWN];
	const unsigned int nr_ended = summary_total(summary);

	fputs("target ", c->out);
	put_text(c->out, c->target ? c->target : "?", 0);
	fprintf(c->out, ", seed 0x%" PRIx64 ", ", c->seed);
	put_duration(c->out, summary->duration_us);
	if (nr_known)
		fprintf(c->out, ", %u known", nr_known);
	if (nr_ended < c->nr_planned)
		fprintf(c->out, ", %u did not run", c->nr_planned - nr_ended);
	fputc('\n', c->out);
}

static void console_run_end(struct sink *sink, const struct summary *summary)
{
	struct console *c = console_of(sink);

	errno = 0;
	status_clear(c);
	fputc('\n', c->out);
	for (size_t i = 0; i < c->nr_skips; i++) {
		fprintf(c->out, "  %u skipped: ", c->skips[i].nr_tests);
		put_text(c->out, c->skips[i].reason, 4);
		fputc('\n', c->out);
	}
	if (fflush(c->failed))
		console_fail(c, ENOMEM);
	else
		fwrite(c->failed_text, 1, c->failed_len_bytes, c->out);
	put_details(c, summary);
	/* The last line is for programs too: these three counts, in this form. */
	fprintf(c->out, "%u passed, %u failed, %u skipped\n", summary->count[VERDICT_PASS],
		summary->count[VERDICT_FAIL] + summary->count[VERDICT_ERROR],
		summary->count[VERDICT_SKIP] + summary->count[VERDICT_KNOWN]);
	console_flush(c);
}

static void console_comparison(struct sink *sink, const struct compare *compare)
{
	struct console *c = console_of(sink);

	errno = 0;
	status_clear(c);
	fputc('\n', c->out);
	if (compare_print(compare, c->out))
		console_fail(c, ENOMEM);
	console_flush(c);
}

static void console_free(struct console *c)
{
	for (size_t i = 0; i < c->nr_running; i++)
		free(c->running[i]);
	free(c->running);
	for (size_t i = 0; i < c->nr_skips; i++)
		free(c->skips[i].reason);
	free(c->skips);
	fclose(c->failed);
	free(c->failed_text);
	free(c->target);
	free(c);
}

static int console_close(struct sink *sink, struct err *err)
{
	struct console *c = console_of(sink);
	int error;

	errno = 0;
	status_clear(c);
	console_flush(c);
	error = c->error;
	if (error)
		err_set(err, -error, "console output: %s", strerror(-error));
	console_free(c);
	return error;
}

static const struct sink_ops console_ops = {
	.run_begin = console_run_begin,
	.test_begin = console_test_begin,
	.test_end = console_test_end,
	.run_end = console_run_end,
	.target_begin = console_target_begin,
	.comparison = console_comparison,
	.close = console_close,
};

int sink_console_open(FILE *out, bool is_terminal, bool verbose, struct sink **ret,
		      struct err *err)
{
	struct console *c = calloc(1, sizeof(*c));
	const char *no_colour = getenv("NO_COLOR");

	if (c)
		c->failed = open_memstream(&c->failed_text, &c->failed_len_bytes);
	if (!c || !c->failed) {
		free(c);
		return err_set(err, ENOMEM, "console output: %s", strerror(ENOMEM));
	}
	c->sink.ops = &console_ops;
	c->out = out;
	c->is_terminal = is_terminal;
	c->is_verbose = verbose;
	/* As no-color.org has it: an empty value is no wish. */
	c->has_colour = is_terminal && (!no_colour || !*no_colour);
	*ret = &c->sink;
	return 0;
}

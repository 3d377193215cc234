/* SPDX-License-Identifier: MIT */
#include "reports/result.h"

#include <stdlib.h>
#include <string.h>

static const char *const verdict_names[NR_VERDICTS] = {
	[VERDICT_PASS] = "PASS",
	[VERDICT_SKIP] = "SKIP",
	[VERDICT_KNOWN] = "KNOWN",
	[VERDICT_ERROR] = "ERROR",
	[VERDICT_FAIL] = "FAIL",
};

static const char *const note_kind_names[NR_NOTE_KINDS] = {
	[NOTE_CHECK] = "check",
	[NOTE_REASON] = "reason",
	[NOTE_MESSAGE] = "message",
	[NOTE_DUMP] = "dump",
	[NOTE_OUTPUT] = "output",
	[NOTE_DMESG] = "dmesg",
};

const char *verdict_name(enum verdict verdict)
{
	return verdict < NR_VERDICTS ? verdict_names[verdict] : "?";
}

int verdict_from_name(const char *name)
{
	for (int i = 0; i < NR_VERDICTS; i++) {
		if (!strcmp(name, verdict_names[i]))
			return i;
	}
	return -1;
}

const char *note_kind_name(enum note_kind kind)
{
	return kind < NR_NOTE_KINDS ? note_kind_names[kind] : "?";
}

static void note_clear(struct note *note)
{
	free(note->file);
	free(note->text);
	free(note->want);
	free(note->got);
	free(note->fields);
}

/* True when *@ret is a copy of @text, or NULL as @text is. */
static bool dup_text(char **ret, const char *text)
{
	*ret = text ? strdup(text) : NULL;
	return *ret || !text;
}

/* True when @copy owns a copy of @note; otherwise it owns nothing. */
static bool note_copy(struct note *copy, const struct note *note)
{
	*copy = (struct note){ .kind = note->kind, .line = note->line };
	if (dup_text(&copy->file, note->file) && dup_text(&copy->text, note->text) &&
	    dup_text(&copy->want, note->want) && dup_text(&copy->got, note->got) &&
	    dup_text(&copy->fields, note->fields))
		return true;
	note_clear(copy);
	return false;
}

struct result *result_new(const char *test, const char *target, const char *file)
{
	struct result *result = calloc(1, sizeof(*result));

	if (!result)
		return NULL;
	result->test = strdup(test);
	result->target = strdup(target);
	result->file = strdup(file);
	if (!result->test || !result->target || !result->file) {
		result_free(result);
		return NULL;
	}
	return result;
}

void result_free(struct result *result)
{
	if (!result)
		return;
	for (size_t i = 0; i < result->nr_notes; i++)
		note_clear(&result->notes[i]);
	free(result->notes);
	free(result->test);
	free(result->target);
	free(result->file);
	free(result->met);
	free(result);
}

void result_add_note(struct result *result, const struct note *note)
{
	struct note copy, *grown = NULL;

	if (note_copy(&copy, note)) {
		grown = reallocarray(result->notes, result->nr_notes + 1, sizeof(*grown));
		if (!grown)
			note_clear(&copy);
	}
	if (!grown) {
		result_worsen(result, VERDICT_ERROR, NULL);
		return;
	}
	grown[result->nr_notes++] = copy;
	result->notes = grown;
}

void result_worsen(struct result *result, enum verdict verdict, const char *reason)
{
	if (verdict > result->verdict)
		result->verdict = verdict;
	/* Kept even where the verdict stays: a FAIL whose process also died says both. */
	if (reason)
		result_add_note(result, &(struct note){
			.kind = NOTE_REASON, .text = (char *)reason });
}

const char *result_reason(const struct result *result)
{
	for (size_t i = result->nr_notes; i > 0; i--) {
		if (result->notes[i - 1].kind == NOTE_REASON)
			return result->notes[i - 1].text;
	}
	return NULL;
}

size_t utf8_decode(const char *text, uint32_t *ret_code)
{
	/* By number of continuation bytes: a smaller code was written longer than it need be. */
	static const uint32_t smallest[] = { 0, 0x80, 0x800, 0x10000 };
	const unsigned char *byte = (const unsigned char *)text;
	size_t nr_more;
	uint32_t code;

	*ret_code = byte[0] < 0x80 ? byte[0] : UTF8_INVALID;
	if (byte[0] < 0xc0 || byte[0] >= 0xf8)
		return 1;
	nr_more = byte[0] < 0xe0 ? 1 : byte[0] < 0xf0 ? 2 : 3;
	code = byte[0] & (0x3f >> nr_more);
	for (size_t i = 1; i <= nr_more; i++) {
		/* Note, the terminating NUL is no continuation byte either. */
		if ((byte[i] & 0xc0) != 0x80)
			return 1;
		code = code << 6 | (byte[i] & 0x3f);
	}
	if (code < smallest[nr_more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 1;
	*ret_code = code;
	return nr_more + 1;
}

char *utf8_repair(const char *text)
{
	static const char replacement[] = "\xef\xbf\xbd";
	char *clean = malloc(strlen(text) * strlen(replacement) + 1);
	char *end = clean;
	uint32_t code;
	size_t len;

	if (!clean)
		return NULL;
	for (; *text; text += len) {
		len = utf8_decode(text, &code);
		if (code == UTF8_INVALID) {
			end = stpcpy(end, replacement);
		} else {
			memcpy(end, text, len);
			end += len;
		}
	}
	*end = '\0';
	return clean;
}

unsigned int summary_total(const struct summary *summary)
{
	unsigned int total = 0;

	for (int i = 0; i < NR_VERDICTS; i++)
		total += summary->count[i];
	return total;
}

enum verdict summary_worst(const struct summary *summary)
{
	for (int i = NR_VERDICTS - 1; i > 0; i--) {
		if (summary->count[i])
			return i;
	}
	return VERDICT_PASS;
}

int summary_exit_code(const struct summary *summary)
{
	unsigned int total = summary_total(summary);

	if (summary->count[VERDICT_FAIL])
		return 1;
	/* A run of nothing has shown nothing: an empty selection must not look like success. */
	if (summary->count[VERDICT_ERROR] || !total)
		return 99;
	return summary->count[VERDICT_SKIP] == total ? 77 : 0;
}

/* SPDX-License-Identifier: MIT */
/* Comparing and printing an exit: both walk the field list of the record's row. */
#include "exit.h"
#include "exit_row.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* The bytes of a long OUT that a line shows. */
#define BYTES_SHOWN 16

/* What io.bytes points to; nr_bytes alone points to nothing. */
static size_t bytes_nr(const struct exit_record *record)
{
	return record->io.bytes ? record->io.nr_bytes : 0;
}

/* The first index at which the two differ, or the shorter one's length. */
static size_t bytes_difference(const struct exit_record *a, const struct exit_record *b)
{
	size_t nr_common = MIN(bytes_nr(a), bytes_nr(b));
	size_t i;

	for (i = 0; i < nr_common && a->io.bytes[i] == b->io.bytes[i]; i++)
		;
	return i;
}

/*
 * True when both have bytes or none, and they agree as far as both go. A difference in length is
 * one of nr_bytes.
 */
static bool bytes_equal(const struct exit_record *a, const struct exit_record *b)
{
	if (!a->io.bytes != !b->io.bytes)
		return false;
	return bytes_difference(a, b) == MIN(bytes_nr(a), bytes_nr(b));
}

/* True when no printed element differs: what lies beyond both counts is nobody's. */
static bool field_equal(const struct field *field, const struct exit_record *want,
			const struct exit_record *got)
{
	unsigned int nr = MAX(exit_field_nr(field, want), exit_field_nr(field, got));

	if (field->kind == BYTES)
		return bytes_equal(want, got);
	for (unsigned int i = 0; i < nr; i++)
		if (exit_field_value(field, want, i) != exit_field_value(field, got, i))
			return false;
	return true;
}

/* True when a line names the field. */
static bool field_is_shown(const struct field *field, const struct exit_record *record)
{
	if (!field->is_optional)
		return true;
	for (unsigned int i = 0; i < exit_field_nr(field, record); i++)
		if (exit_field_value(field, record, i))
			return true;
	return false;
}

/* A caller's buffer that counts, like snprintf(), also what does not fit. */
struct text {
	char *buf;
	size_t len_bytes;
	size_t used;
};

static struct text text_open(char *buf, size_t len_bytes)
{
	if (len_bytes > 0)
		buf[0] = '\0';
	return (struct text){ .buf = buf, .len_bytes = len_bytes };
}

__attribute__((format(printf, 2, 3)))
static void text_add(struct text *text, const char *format, ...)
{
	bool has_room = text->used < text->len_bytes;
	va_list args;
	int nr_chars;

	va_start(args, format);
	nr_chars = vsnprintf(has_room ? text->buf + text->used : NULL,
			     has_room ? text->len_bytes - text->used : 0, format, args);
	va_end(args);
	if (nr_chars > 0)
		text->used += nr_chars;
}

static void text_pad(struct text *text, size_t column)
{
	if (text->used < column)
		text_add(text, "%*s", (int)(column - text->used), "");
}

static void flags_print(struct text *text, const struct value_name *names, uint64_t value)
{
	uint64_t rest = value;
	const char *separator = "";

	for (; names->name; names++) {
		if (!(value & names->value))
			continue;
		text_add(text, "%s%s", separator, names->name);
		separator = "|";
		rest &= ~names->value;
	}
	if (rest || !value)
		text_add(text, "%s0x%" PRIx64, separator, rest);
}

static void named_print(struct text *text, const struct value_name *names, uint64_t value)
{
	for (; names->name; names++) {
		if (names->value != value)
			continue;
		text_add(text, "%s", names->name);
		return;
	}
	text_add(text, "%" PRIu64, value);
}

static void value_print(struct text *text, const struct field *field, uint64_t value)
{
	switch (field->kind) {
	case DECIMAL:
		text_add(text, "%" PRIu64, value);
		break;
	case NAMED:
		named_print(text, field->names, value);
		break;
	case FLAGS:
		flags_print(text, field->names, value);
		break;
	default:
		text_add(text, "0x%" PRIx64, value);
	}
}

/* @other is the other side of a pair, or NULL. The length is nr_bytes, a field of its own. */
static void bytes_print(struct text *text, const struct exit_record *record,
			const struct exit_record *other)
{
	size_t nr = bytes_nr(record);

	for (size_t i = 0; i < MIN(nr, BYTES_SHOWN); i++)
		text_add(text, "%02x", record->io.bytes[i]);
	if (nr > BYTES_SHOWN)
		text_add(text, "..");
	if (other && (!bytes_equal(record, other) || nr != bytes_nr(other)))
		text_add(text, " differ_at=%zu", bytes_difference(record, other));
}

static void field_print(struct text *text, const struct field *field,
			const struct exit_record *record, const struct exit_record *other)
{
	text_add(text, " %s=", field->name);
	if (field->kind == BYTES) {
		bytes_print(text, record, other);
	} else if (field->nr == 1) {
		value_print(text, field, exit_field_value(field, record, 0));
	} else {
		text_add(text, "[");
		for (unsigned int i = 0; i < exit_field_nr(field, record); i++) {
			text_add(text, "%s", i ? "," : "");
			value_print(text, field, exit_field_value(field, record, i));
		}
		text_add(text, "]");
	}
}

int exit_format(char *buf, size_t len_bytes, const struct exit_record *record)
{
	const struct row *row = exit_row_of(record);
	struct text text = text_open(buf, len_bytes);

	text_add(&text, "%s", exit_reason_name(record->reason));
	for (size_t i = 0; i < row->nr_fields; i++)
		if (field_is_shown(&row->fields[i], record))
			field_print(&text, &row->fields[i], record, NULL);
	return (int)text.used;
}

bool exit_equal(const struct exit_record *want, const struct exit_record *got, char *fields,
		size_t len_bytes)
{
	const struct row *row = exit_row_of(want);
	/* Of two variants only the type, which comes first, has the same meaning in both. */
	size_t nr_fields = row == exit_row_of(got) ? row->nr_fields : 1;
	struct text text = text_open(fields, fields ? len_bytes : 0);

	if (want->reason != got->reason) {
		text_add(&text, "reason");
		return false;
	}
	for (size_t i = 0; i < nr_fields; i++)
		if (!field_equal(&row->fields[i], want, got))
			text_add(&text, "%s%s", text.used ? "," : "", row->fields[i].name);
	return text.used == 0;
}

/* Prints field @i of @record, if it has one, at @column or where @text ends. */
static void column_print(struct text *text, size_t column, size_t i,
			 const struct exit_record *record, const struct exit_record *other)
{
	const struct row *row = exit_row_of(record);

	if (i >= row->nr_fields || !field_is_shown(&row->fields[i], record))
		return;
	text_pad(text, column);
	field_print(text, &row->fields[i], record, other);
}

void exit_format_pair(char *want_buf, char *got_buf, size_t len_bytes,
		      const struct exit_record *want, const struct exit_record *got)
{
	struct text want_text = text_open(want_buf, len_bytes);
	struct text got_text = text_open(got_buf, len_bytes);
	/* Note, variants of one reason differ in their fields. */
	size_t nr_columns = MAX(exit_row_of(want)->nr_fields, exit_row_of(got)->nr_fields);

	if (want->reason != got->reason) {
		exit_format(want_buf, len_bytes, want);
		exit_format(got_buf, len_bytes, got);
		return;
	}
	text_add(&want_text, "%s", exit_reason_name(want->reason));
	text_add(&got_text, "%s", exit_reason_name(got->reason));
	for (size_t i = 0; i < nr_columns; i++) {
		size_t column = MAX(want_text.used, got_text.used);

		column_print(&want_text, column, i, want, got);
		column_print(&got_text, column, i, got, want);
	}
}

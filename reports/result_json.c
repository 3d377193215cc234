/* SPDX-License-Identifier: MIT */
#include "reports/result.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "reports/json_add.h"

/* The put functions return true when @object owns the member; @value NULL means out of memory. */
static bool put_value(struct json_object *object, const char *key, struct json_object *value)
{
	if (value && !json_object_object_add(object, key, value))
		return true;
	json_object_put(value);
	return false;
}

static bool put_text(struct json_object *object, const char *key, const char *text)
{
	char *clean = utf8_repair(text);
	bool is_put = clean && put_value(object, key, json_object_new_string(clean));

	free(clean);
	return is_put;
}

static bool put_number(struct json_object *object, const char *key, uint64_t number)
{
	return put_value(object, key, json_object_new_uint64(number));
}

/* An absent member stands for NULL. */
static bool put_text_if(struct json_object *object, const char *key, const char *text)
{
	return !text || put_text(object, key, text);
}

static struct json_object *note_to_json(const struct note *note)
{
	struct json_object *object = json_object_new_object();

	if (object &&
	    put_text(object, "kind", note_kind_name(note->kind)) &&
	    put_text_if(object, "file", note->file) &&
	    (!note->line || put_number(object, "line", note->line)) &&
	    put_text_if(object, "text", note->text) &&
	    put_text_if(object, "want", note->want) &&
	    put_text_if(object, "got", note->got) &&
	    put_text_if(object, "fields", note->fields))
		return object;
	json_object_put(object);
	return NULL;
}

static struct json_object *notes_to_json(const struct result *result)
{
	struct json_object *array = json_object_new_array(), *note;

	for (size_t i = 0; array && i < result->nr_notes; i++) {
		note = note_to_json(&result->notes[i]);
		if (note && !json_object_array_add(array, note))
			continue;
		json_object_put(note);
		json_object_put(array);
		return NULL;
	}
	return array;
}

struct json_object *result_to_json(const struct result *result)
{
	struct json_object *object = json_object_new_object();

	if (object &&
	    put_text(object, "type", "result") &&
	    put_text(object, "test", result->test) &&
	    put_text(object, "target", result->target) &&
	    put_text(object, "file", result->file) &&
	    put_text(object, "verdict", verdict_name(result->verdict)) &&
	    put_number(object, "round", result->round) &&
	    put_number(object, "duration_us", result->duration_us) &&
	    put_number(object, "nr_checks", result->nr_checks) &&
	    put_text_if(object, "met", result->met) &&
	    (!result->nr_notes || put_value(object, "notes", notes_to_json(result))))
		return object;
	json_object_put(object);
	return NULL;
}

struct json_object *summary_to_json(const struct summary *summary)
{
	struct json_object *object = json_object_new_object();

	for (int i = 0; i < NR_VERDICTS; i++)
		json_add(&object, verdict_name(i), json_object_new_uint64(summary->count[i]));
	return object;
}

/* True when *@ret borrows the text of a string member; one with a NUL inside does not fit. */
static bool get_text(struct json_object *object, const char *key, const char **ret)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return false;
	*ret = json_object_get_string(value);
	return strlen(*ret) == (size_t)json_object_get_string_len(value);
}

/* True when *@ret is an integer member from 0 to @max. */
static bool get_number(struct json_object *object, const char *key, uint64_t max, uint64_t *ret)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value) ||
	    !json_object_is_type(value, json_type_int))
		return false;
	*ret = json_object_get_uint64(value);
	/* Note, json-c reads a negative number as 0 when asked for an unsigned one. */
	return json_object_get_int64(value) >= 0 && *ret <= max;
}

/* True when the member is absent (*@ret is NULL then) or a string. */
static bool get_text_if(struct json_object *object, const char *key, char **ret)
{
	const char *text = NULL;

	if (json_object_object_get_ex(object, key, NULL) && !get_text(object, key, &text))
		return false;
	*ret = (char *)text;
	return true;
}

static bool get_kind(struct json_object *object, enum note_kind *ret)
{
	const char *name;

	if (!get_text(object, "kind", &name))
		return false;
	for (int i = 0; i < NR_NOTE_KINDS; i++) {
		if (!strcmp(name, note_kind_name(i))) {
			*ret = i;
			return true;
		}
	}
	return false;
}

/* True when @object is a note; @note borrows its strings. */
static bool note_from_json(struct json_object *object, struct note *note)
{
	uint64_t line = 0;

	if (!json_object_is_type(object, json_type_object) || !get_kind(object, &note->kind))
		return false;
	if (json_object_object_get_ex(object, "line", NULL) &&
	    !get_number(object, "line", UINT_MAX, &line))
		return false;
	note->line = line;
	return get_text_if(object, "file", &note->file) &&
	       get_text_if(object, "text", &note->text) &&
	       get_text_if(object, "want", &note->want) &&
	       get_text_if(object, "got", &note->got) &&
	       get_text_if(object, "fields", &note->fields);
}

/* True when every note of @object, if it has any, is now one of @result. */
static bool notes_from_json(struct json_object *object, struct result *result)
{
	struct json_object *array;
	struct note note;

	if (!json_object_object_get_ex(object, "notes", &array))
		return true;
	if (!json_object_is_type(array, json_type_array))
		return false;
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		if (!note_from_json(json_object_array_get_idx(array, i), &note))
			return false;
		result_add_note(result, &note);
	}
	return result->nr_notes == json_object_array_length(array);
}

/* True when @object says "type":"result", or no type at all (a result outside a stream). */
static bool has_result_type(struct json_object *object)
{
	const char *type;

	if (!json_object_object_get_ex(object, "type", NULL))
		return true;
	return get_text(object, "type", &type) && !strcmp(type, "result");
}

/* True when @result owns a copy of @met, or none as @met is NULL. */
static bool dup_met(struct result *result, const char *met)
{
	result->met = met ? strdup(met) : NULL;
	return result->met || !met;
}

struct result *result_from_json(struct json_object *object)
{
	const char *test, *target, *file, *verdict;
	char *met;
	uint64_t round, duration_us, nr_checks;
	struct result *result;

	if (!json_object_is_type(object, json_type_object) || !has_result_type(object) ||
	    !get_text(object, "test", &test) || !get_text(object, "target", &target) ||
	    !get_text(object, "file", &file) || !get_text(object, "verdict", &verdict) ||
	    !get_number(object, "round", UINT_MAX, &round) ||
	    !get_number(object, "duration_us", UINT64_MAX, &duration_us) ||
	    !get_number(object, "nr_checks", UINT64_MAX, &nr_checks) ||
	    !get_text_if(object, "met", &met) ||
	    verdict_from_name(verdict) < 0)
		return NULL;
	result = result_new(test, target, file);
	if (!result)
		return NULL;
	result->verdict = verdict_from_name(verdict);
	result->round = round;
	result->duration_us = duration_us;
	result->nr_checks = nr_checks;
	if (!dup_met(result, met) || !notes_from_json(object, result)) {
		result_free(result);
		return NULL;
	}
	return result;
}

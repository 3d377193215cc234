/* SPDX-License-Identifier: MIT */
#include "reports/json_add.h"

#include <json-c/json.h>

static void give_up(struct json_object **whole, struct json_object *value)
{
	json_object_put(value);
	json_object_put(*whole);
	*whole = NULL;
}

void json_add(struct json_object **object, const char *key, struct json_object *value)
{
	if (!*object || !value || json_object_object_add(*object, key, value))
		give_up(object, value);
}

void json_append(struct json_object **array, struct json_object *value)
{
	if (!*array || !value || json_object_array_add(*array, value))
		give_up(array, value);
}

const char *json_text(struct json_object *object, const char *key)
{
	struct json_object *value;
	const char *text = json_object_object_get_ex(object, key, &value) ? json_object_get_string(value) : NULL;

	return text ? text : "";
}

uint64_t json_number(struct json_object *object, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(object, key, &value) ? json_object_get_uint64(value) : 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Building JSON a member at a time, with one look at the end: out of memory, the whole becomes NULL and stays so. And
 * reading a member that is a string or a number.
 */
#ifndef VMASSAY_JSON_ADD_H
#define VMASSAY_JSON_ADD_H

#include <stdint.h>

struct json_object;

/* Both take over @value; NULL stands for one that there was no memory for. */
void json_add(struct json_object **object, const char *key, struct json_object *value);
void json_append(struct json_object **array, struct json_object *value);

/* The text of @object's member, borrowed; "" when there is no such member, or no @object. */
const char *json_text(struct json_object *object, const char *key);
/* Likewise a number; 0. */
uint64_t json_number(struct json_object *object, const char *key);

#endif

/* SPDX-License-Identifier: MIT */
/* A comparison as a JSON record: reports/schema.md. */
#include <json-c/json.h>

#include "reports/compare.h"

/* Each put function returns true when @object owns the member; @value NULL means out of memory. */
static bool put(struct json_object *object, const char *key, struct json_object *value)
{
	if (value && !json_object_object_add(object, key, value))
		return true;
	json_object_put(value);
	return false;
}

static bool put_text_if(struct json_object *object, const char *key, const char *text)
{
	return !text || put(object, key, json_object_new_string(text));
}

/* True when @array owns the value. */
static bool append(struct json_object *array, struct json_object *value)
{
	if (value && !json_object_array_add(array, value))
		return true;
	json_object_put(value);
	return false;
}

static struct json_object *summary_to_json(const struct summary *summary)
{
	struct json_object *object = json_object_new_object();
	bool is_whole = object;
	int v;

	for (v = 0; v < NR_VERDICTS && is_whole; v++)
		is_whole = put(object, verdict_name(v), json_object_new_uint64(summary->count[v]));
	if (is_whole)
		return object;
	json_object_put(object);
	return NULL;
}

static struct json_object *target_to_json(const struct compare_target *target)
{
	struct json_object *object = json_object_new_object();

	if (object && put(object, "target", json_object_new_string(target->name)) &&
	    put(object, "summary", summary_to_json(&target->summary)) &&
	    put_text_if(object, "note", target->note))
		return object;
	json_object_put(object);
	return NULL;
}

static struct json_object *cell_to_json(const struct compare_target *target, const struct compare_cell *cell,
					bool has_checks)
{
	struct json_object *object = json_object_new_object();

	if (object && put(object, "target", json_object_new_string(target->name)) &&
	    put_text_if(object, "verdict", cell->is_present ? verdict_name(cell->verdict) : NULL) &&
	    (!has_checks || put(object, "nr_checks", json_object_new_uint64(cell->nr_checks))) &&
	    put_text_if(object, "why", cell->why))
		return object;
	json_object_put(object);
	return NULL;
}

static struct json_object *tests_to_json(const struct compare_group *group)
{
	struct json_object *array = json_object_new_array();
	bool is_whole = array;
	size_t i;

	for (i = 0; i < group->nr_rows && is_whole; i++)
		is_whole = append(array, json_object_new_string(group->rows[i]->test));
	if (is_whole)
		return array;
	json_object_put(array);
	return NULL;
}

static struct json_object *cells_to_json(const struct compare *compare, const struct compare_group *group)
{
	struct json_object *array = json_object_new_array();
	bool is_whole = array;
	size_t i;

	for (i = 0; i < compare->nr_targets && is_whole; i++)
		is_whole = append(array, cell_to_json(&compare->targets[i], &group->rows[0]->cells[i],
						      group->kind == COMPARE_CHECKS));
	if (is_whole)
		return array;
	json_object_put(array);
	return NULL;
}

static struct json_object *group_to_json(const struct compare *compare, const struct compare_group *group)
{
	struct json_object *object = json_object_new_object();

	if (object && put(object, "kind", json_object_new_string(compare_kind_name(group->kind))) &&
	    put_text_if(object, "flag", group->rows[0]->flag) &&
	    put_text_if(object, "alone", group->alone < 0 ? NULL : compare->targets[group->alone].name) &&
	    put(object, "results", cells_to_json(compare, group)) &&
	    put(object, "tests", tests_to_json(group)))
		return object;
	json_object_put(object);
	return NULL;
}

static struct json_object *targets_to_json(const struct compare *compare)
{
	struct json_object *array = json_object_new_array();
	bool is_whole = array;
	size_t i;

	for (i = 0; i < compare->nr_targets && is_whole; i++)
		is_whole = append(array, target_to_json(&compare->targets[i]));
	if (is_whole)
		return array;
	json_object_put(array);
	return NULL;
}

static struct json_object *groups_to_json(const struct compare *compare)
{
	struct json_object *array = json_object_new_array();
	struct compare_groups groups;
	bool is_whole = array;
	size_t i;

	if (compare_groups_find(compare, &groups))
		is_whole = false;
	for (i = 0; is_whole && i < groups.nr_groups; i++)
		is_whole = append(array, group_to_json(compare, &groups.groups[i]));
	compare_groups_free(&groups);
	if (is_whole)
		return array;
	json_object_put(array);
	return NULL;
}

struct json_object *compare_to_json(const struct compare *compare)
{
	struct json_object *object = json_object_new_object();

	if (object && put(object, "type", json_object_new_string("comparison")) &&
	    put(object, "targets", targets_to_json(compare)) &&
	    put(object, "differences", groups_to_json(compare)))
		return object;
	json_object_put(object);
	return NULL;
}

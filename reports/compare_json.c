/* SPDX-License-Identifier: MIT */
/* A comparison as a JSON record: reports/schema.md. */
#include <json-c/json.h>

#include "reports/compare.h"
#include "reports/json_add.h"

static void add_text_if(struct json_object **object, const char *key, const char *text)
{
	if (text)
		json_add(object, key, json_object_new_string(text));
}

static struct json_object *target_to_json(const struct compare_target *target)
{
	struct json_object *object = json_object_new_object();

	json_add(&object, "target", json_object_new_string(target->name));
	json_add(&object, "summary", summary_to_json(&target->summary));
	add_text_if(&object, "note", target->note);
	return object;
}

static struct json_object *targets_to_json(const struct compare *compare)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < compare->nr_targets; i++)
		json_append(&array, target_to_json(&compare->targets[i]));
	return array;
}

static struct json_object *cell_to_json(const struct compare_target *target, const struct compare_cell *cell,
					bool has_checks)
{
	struct json_object *object = json_object_new_object();

	json_add(&object, "target", json_object_new_string(target->name));
	add_text_if(&object, "verdict", cell->is_present ? verdict_name(cell->verdict) : NULL);
	if (has_checks)
		json_add(&object, "nr_checks", json_object_new_uint64(cell->nr_checks));
	add_text_if(&object, "why", cell->why);
	return object;
}

static struct json_object *cells_to_json(const struct compare *compare, const struct compare_group *group)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < compare->nr_targets; i++)
		json_append(&array, cell_to_json(&compare->targets[i], &group->rows[0]->cells[i],
						 group->kind == COMPARE_CHECKS));
	return array;
}

static struct json_object *tests_to_json(const struct compare_group *group)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < group->nr_rows; i++)
		json_append(&array, json_object_new_string(group->rows[i]->test));
	return array;
}

static struct json_object *group_to_json(const struct compare *compare, const struct compare_group *group)
{
	struct json_object *object = json_object_new_object();

	json_add(&object, "kind", json_object_new_string(compare_kind_name(group->kind)));
	add_text_if(&object, "flag", group->rows[0]->flag);
	add_text_if(&object, "alone", group->alone < 0 ? NULL : compare->targets[group->alone].name);
	json_add(&object, "results", cells_to_json(compare, group));
	json_add(&object, "tests", tests_to_json(group));
	return object;
}

static struct json_object *groups_to_json(const struct compare *compare)
{
	struct json_object *array = json_object_new_array();
	struct compare_groups groups;
	size_t i;

	if (compare_groups_find(compare, &groups))
		json_append(&array, NULL);
	for (i = 0; i < groups.nr_groups; i++)
		json_append(&array, group_to_json(compare, &groups.groups[i]));
	compare_groups_free(&groups);
	return array;
}

struct json_object *compare_to_json(const struct compare *compare)
{
	struct json_object *object = json_object_new_object();

	json_add(&object, "type", json_object_new_string("comparison"));
	json_add(&object, "targets", targets_to_json(compare));
	json_add(&object, "differences", groups_to_json(compare));
	return object;
}

/* SPDX-License-Identifier: MIT */
/*
 * vmassay tables: the tables in the suites' README files, which tests there are for each call, exit and capability.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "err.h"
#include "reports/result.h"
#include "tables/readme.h"
#include "tables/table.h"

#define MAX_TABLES 8

struct tables {
	struct registry registry;
	struct table list[MAX_TABLES];
	size_t nr;
	size_t nr_recorded;	/* results that had something to tell */
};

static int tables_open(struct tables *tables, struct err *err)
{
	const struct table_desc *desc;

	*tables = (struct tables){ 0 };
	if (registry_open(&tables->registry, err))
		return -EINVAL;
	for (desc = table_descs; desc->id; desc++)
		if (table_open(&tables->list[tables->nr++], desc, &tables->registry))
			return err_set(err, ENOMEM, "%s", strerror(ENOMEM));
	return 0;
}

static void tables_close(struct tables *tables)
{
	while (tables->nr)
		table_close(&tables->list[--tables->nr]);
	registry_close(&tables->registry);
}

/*
 * A test that is not in this program any more has nothing to say. One that fails for a finding has: each fact is of a
 * check that held.
 */
static int result_add(struct tables *tables, const struct result *result)
{
	const struct test_entry *test = registry_find(&tables->registry, result->test);
	size_t i;
	int r = 0;

	if (!test || !result->met || (result->verdict != VERDICT_PASS && result->verdict != VERDICT_KNOWN))
		return 0;
	tables->nr_recorded++;
	for (i = 0; !r && i < tables->nr; i++)
		r = table_add(&tables->list[i], test, result->met);
	return r;
}

static int line_add(struct tables *tables, const char *line)
{
	struct json_object *object = json_tokener_parse(line);
	struct result *result = object ? result_from_json(object) : NULL;
	int r = result ? result_add(tables, result) : 0;

	result_free(result);
	json_object_put(object);
	return r;
}

static int file_add(struct tables *tables, const char *path, struct err *err)
{
	size_t nr_before = tables->nr_recorded, len = 0;
	FILE *file = fopen(path, "re");
	char *line = NULL;
	int r = 0;

	if (!file)
		return err_set(err, errno, "%s: %s", path, strerror(errno));
	while (!r && getline(&line, &len, file) >= 0)
		r = line_add(tables, line);
	free(line);
	fclose(file);
	if (r)
		return err_set(err, -r, "%s: %s", path, strerror(-r));
	if (tables->nr_recorded == nr_before)
		return err_set(err, ENODATA, "%s: no test of a run with --record there", path);
	return 0;
}

static int tables_write(struct tables *tables, const char *root, char **files, struct err *err)
{
	size_t i;
	int r = 0;

	while (!r && *files)
		r = file_add(tables, *files++, err);
	for (i = 0; !r && i < tables->nr; i++)
		r = readme_write(root, &tables->list[i], err);
	return r;
}

static const char help[] =
	"usage: vmassay tables write TREE FILE.json...\n"
	"       vmassay tables check TREE\n"
	"\n"
	"Which tests there are for each call, capability and exit of the UAPI headers: write makes the tables in\n"
	"TREE/cases/*/README.md from the results of runs with --record, check says what they lack.\n";

int cmd_tables(int argc, char **argv)
{
	bool is_check = argc == 3 && !strcmp(argv[1], "check"), is_write = argc > 3 && !strcmp(argv[1], "write");
	struct tables tables;
	struct err err;
	int r;

	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		fputs(help, stdout);
		return 0;
	}
	if (!is_check && !is_write)
		return usage_error("tables: want 'write TREE FILE.json...' or 'check TREE' (see vmassay tables --help)");
	r = tables_open(&tables, &err);
	if (!r && is_check)
		r = readme_check(argv[2], table_descs, &tables.registry, stdout, &err);
	else if (!r)
		r = tables_write(&tables, argv[2], argv + 3, &err);
	tables_close(&tables);
	return r < 0 ? usage_error("%s", err.text) : r > 0;
}

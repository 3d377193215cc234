/* SPDX-License-Identifier: MIT */
/*
 * Which tests there are for each name of a list of uapi.h, told from what recorded runs met.
 *
 * Tests that passed count, and that fail for a finding. A row has the tests that met its name and in which ways: "ok"
 * and errnos for calls, "asked", "ok" and errnos for capabilities, "taken" and "not taken" for exits.
 */
#ifndef VMASSAY_TABLE_H
#define VMASSAY_TABLE_H

#include <stddef.h>
#include <stdio.h>

#include "runner/registry.h"
#include "tables/uapi.h"

#define TABLE_MAX_WAYS 48
#define TABLE_MAX_GLOBS 3

struct table_desc {
	const char *id;		/* in the README's marks */
	const char *folder;	/* its README.md, and "left_out" beside it */
	const char *title;	/* of the first column */
	const struct uapi_name *names;
	/* The way in which @fact concerns a row: 0 is "ok", "taken"; positive ones are errnos; WAY_NONE: not at all. */
	int (*way)(const struct uapi_name *name, const struct met_fact *fact);
};

#define WAY_NONE (-1)
#define WAY_ASKED 1000
#define WAY_TAKEN 1001
#define WAY_NOT_TAKEN 1002

/* All of them; the end has no id. */
extern const struct table_desc table_descs[];

struct table_row {
	const struct uapi_name *name;
	int ways[TABLE_MAX_WAYS];
	unsigned int nr_ways;
	uint64_t *tests;	/* by index in the registry: the ways, as bits; NULL: no test at all */
};

struct table {
	const struct table_desc *desc;
	const struct registry *registry;	/* borrowed */
	struct table_row *rows;
	size_t nr_rows;
};

/* 0 or -ENOMEM. */
int table_open(struct table *table, const struct table_desc *desc, const struct registry *registry);
void table_close(struct table *table);

/* @test met what the words of @met say. 0 or -ENOMEM. */
int table_add(struct table *table, const struct test_entry *test, const char *met);

size_t table_row_nr_tests(const struct table *table, const struct table_row *row);

/* "ok", "EINVAL", "taken", ...; of the ways of a row, in the order of a reader's interest, with blanks between. */
void table_print_ways(FILE *file, const struct table_row *row);

/* Up to TABLE_MAX_GLOBS patterns with blanks between, each in `: together they show as many ways as such a few can. */
void table_print_globs(FILE *file, const struct table *table, const struct table_row *row);

#endif

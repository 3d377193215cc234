/* SPDX-License-Identifier: MIT */
/* A comparison as a table for people. */
#include <string.h>

#include "reports/compare.h"

/* Of a group's tests so many are named; the JSON record has all. */
#define MAX_NAMES 3

/* Wider than that in all, columns are headed by the targets' numbers. */
#define MAX_NAMES_WIDTH 72

static const char row_title[] = "differs (* stands alone)";

struct table {
	const struct compare *compare;
	FILE *out;
	int target_width;	/* of the widest name */
	int test_width;		/* of the widest first name of a row */
	bool has_numbers;	/* columns are headed by #1, #2, ... */
};

static int widest(int width, const char *text)
{
	return (int)strlen(text) > width ? (int)strlen(text) : width;
}

/* --- counts --- */

static void put_counts(const struct table *table)
{
	size_t i;
	int v;

	fprintf(table->out, "  %-*s", table->target_width + 4, "target");
	for (v = 0; v < NR_VERDICTS; v++)
		fprintf(table->out, " %6s", verdict_name(v));
	fputc('\n', table->out);
	for (i = 0; i < table->compare->nr_targets; i++) {
		const struct compare_target *target = &table->compare->targets[i];

		fprintf(table->out, "  #%-2zu %-*s", i + 1, table->target_width, target->name);
		for (v = 0; v < NR_VERDICTS; v++)
			fprintf(table->out, " %6u", target->summary.count[v]);
		fputc('\n', table->out);
		if (target->note)
			fprintf(table->out, "      %s\n", target->note);
	}
}

/* --- skipped --- */

static const char *cell_reason(const struct compare_cell *cell)
{
	if (!cell->is_present)
		return "no result";
	return cell->why ? cell->why : "no reason given";
}

/* True when cell @index is one that should have run and did not. */
static bool is_skipped(const struct table *table, const struct compare_row *row, size_t index)
{
	if (!row->cells[index].is_present)
		return !table->compare->targets[index].is_partial;
	return row->cells[index].verdict == VERDICT_SKIP;
}

/* True when a cell before @index has been skipped for the same reason, and spoke for both. */
static bool is_said(const struct table *table, const struct compare_row *row, size_t index)
{
	size_t i;

	for (i = 0; i < index; i++)
		if (is_skipped(table, row, i) && !strcmp(cell_reason(&row->cells[i]), cell_reason(&row->cells[index])))
			return true;
	return false;
}

/* "lab-vmx, lab-svm-bochs: needs x": all that skip it for the reason that cell @index has. */
static void put_skippers(const struct table *table, const struct compare_row *row, size_t index)
{
	const char *separator = "";
	size_t i;

	for (i = index; i < table->compare->nr_targets; i++) {
		if (!is_skipped(table, row, i) || strcmp(cell_reason(&row->cells[i]), cell_reason(&row->cells[index])))
			continue;
		fprintf(table->out, "%s%s", separator, table->compare->targets[i].name);
		separator = ", ";
	}
	fprintf(table->out, ": %s", cell_reason(&row->cells[index]));
}

static void put_flag(const struct table *table, const struct compare_row *row)
{
	if (row->flag)
		fprintf(table->out, "      FLAGGED: changes with %s, which should not matter\n", row->flag);
}

static void put_names(const struct table *table, const struct compare_group *group, size_t from)
{
	size_t i;

	if (from >= group->nr_rows)
		return;
	fputs("      ", table->out);
	if (from)
		fputs("also ", table->out);
	for (i = from; i < group->nr_rows && i < MAX_NAMES; i++)
		fprintf(table->out, "%s%s", i > from ? ", " : "", group->rows[i]->test);
	if (i < group->nr_rows)
		fprintf(table->out, " ... and %zu more (all in --json FILE)", group->nr_rows - i);
	fputc('\n', table->out);
}

static bool has_skip(const struct table *table, const struct compare_row *row)
{
	size_t i;

	for (i = 0; i < table->compare->nr_targets; i++)
		if (row->cells[i].is_present && row->cells[i].verdict == VERDICT_SKIP)
			return true;
	return false;
}

static void put_skip_group(const struct table *table, const struct compare_group *group)
{
	const struct compare_row *row = group->rows[0];
	const char *separator = "";
	size_t i;

	fprintf(table->out, "  %zu %s only on ", group->nr_rows, has_skip(table, row) ? "skipped" : "missing");
	for (i = 0; i < table->compare->nr_targets; i++) {
		if (!is_skipped(table, row, i) || is_said(table, row, i))
			continue;
		fputs(separator, table->out);
		put_skippers(table, row, i);
		separator = "; ";
	}
	fputc('\n', table->out);
	if (row->flag)
		put_names(table, group, 0);
	put_flag(table, row);
}

/* --- rows --- */

static int column_width(const struct table *table, size_t index)
{
	return table->has_numbers ? 12 : widest(12, table->compare->targets[index].name);
}

/* Note, no space behind the last column. */
static void put_column(const struct table *table, size_t index, const char *text)
{
	bool is_last = index + 1 == table->compare->nr_targets;

	fprintf(table->out, "  %-*s", is_last ? 0 : column_width(table, index), text);
}

static void put_header(const struct table *table)
{
	char number[24];
	size_t i;

	fprintf(table->out, "\n  %-*s", table->test_width, row_title);
	for (i = 0; i < table->compare->nr_targets; i++) {
		snprintf(number, sizeof(number), "#%zu", i + 1);
		put_column(table, i, table->has_numbers ? number : table->compare->targets[i].name);
	}
	fputc('\n', table->out);
}

static void put_cell(const struct table *table, const struct compare_group *group, size_t index)
{
	const struct compare_cell *cell = &group->rows[0]->cells[index];
	const char *mark = group->alone == (int)index ? "*" : "";
	char text[64];

	if (!cell->is_present)
		strcpy(text, "-");
	else if (group->kind == COMPARE_CHECKS && cell->verdict == VERDICT_PASS)
		snprintf(text, sizeof(text), "PASS/%llu%s", (unsigned long long)cell->nr_checks, mark);
	else
		snprintf(text, sizeof(text), "%s%s", verdict_name(cell->verdict), mark);
	put_column(table, index, text);
}

static void put_row_group(const struct table *table, const struct compare_group *group)
{
	const struct compare_row *row = group->rows[0];
	size_t i;

	fprintf(table->out, "  %-*s", table->test_width, row->test);
	for (i = 0; i < table->compare->nr_targets; i++)
		put_cell(table, group, i);
	fputc('\n', table->out);
	put_names(table, group, 1);
	for (i = 0; i < table->compare->nr_targets; i++)
		if (row->cells[i].why)
			fprintf(table->out, "      %s: %s\n", table->compare->targets[i].name, row->cells[i].why);
	if (group->kind == COMPARE_CHECKS)
		fputs("      checks differ: PASS/n made n of them\n", table->out);
	put_flag(table, row);
}

/* --- the table --- */

static void measure(struct table *table, const struct compare_groups *groups)
{
	int names_width = 0;
	size_t i;

	for (i = 0; i < table->compare->nr_targets; i++) {
		table->target_width = widest(table->target_width, table->compare->targets[i].name);
		names_width += strlen(table->compare->targets[i].name) + 2;
	}
	table->has_numbers = names_width > MAX_NAMES_WIDTH;
	table->test_width = strlen(row_title);
	for (i = 0; i < groups->nr_groups; i++)
		if (groups->groups[i].kind != COMPARE_SKIP)
			table->test_width = widest(table->test_width, groups->groups[i].rows[0]->test);
}

static void put_groups(const struct table *table, const struct compare_groups *groups)
{
	bool has_skips = false, has_rows = false;
	size_t i;

	for (i = 0; i < groups->nr_groups; i++) {
		if (groups->groups[i].kind != COMPARE_SKIP)
			continue;
		fputs(has_skips ? "" : "\n", table->out);
		has_skips = true;
		put_skip_group(table, &groups->groups[i]);
	}
	for (i = 0; i < groups->nr_groups; i++) {
		if (groups->groups[i].kind == COMPARE_SKIP)
			continue;
		if (!has_rows)
			put_header(table);
		has_rows = true;
		put_row_group(table, &groups->groups[i]);
	}
	if (!groups->nr_groups)
		fputs("\n  no result differs\n", table->out);
}

int compare_print(const struct compare *compare, FILE *out)
{
	struct table table = { .compare = compare, .out = out };
	struct compare_groups groups;
	int r = compare_groups_find(compare, &groups);

	if (r)
		return r;
	measure(&table, &groups);
	put_counts(&table);
	put_groups(&table, &groups);
	compare_groups_free(&groups);
	return 0;
}

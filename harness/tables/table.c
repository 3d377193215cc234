/* SPDX-License-Identifier: MIT */
#include "tables/table.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

/* --- which facts are about which row --- */

static bool is_part(const struct uapi_name *name, const struct met_fact *fact)
{
	return name->part == MET_NO_PART || name->part == fact->part;
}

static int way_of_ioctl(const struct uapi_name *name, const struct met_fact *fact)
{
	return fact->kind == MET_IOCTL && fact->number == name->number ? fact->error : WAY_NONE;
}

static int way_of_cap(const struct uapi_name *name, const struct met_fact *fact)
{
	if (fact->kind != MET_IOCTL || fact->part != (int64_t)name->number)
		return WAY_NONE;
	if (fact->number == KVM_ENABLE_CAP)
		return fact->error;
	return fact->number == KVM_CHECK_EXTENSION && !fact->error ? WAY_ASKED : WAY_NONE;
}

static int way_of_exit(const struct uapi_name *name, const struct met_fact *fact)
{
	return fact->kind == MET_EXIT && fact->number == name->number && is_part(name, fact) ? WAY_TAKEN : WAY_NONE;
}

static int way_of_hardware_exit(const struct uapi_name *name, const struct met_fact *fact, enum met_kind taken,
				enum met_kind not_taken)
{
	if (fact->number != name->number)
		return WAY_NONE;
	return fact->kind == taken ? WAY_TAKEN : fact->kind == not_taken ? WAY_NOT_TAKEN : WAY_NONE;
}

static int way_of_svm(const struct uapi_name *name, const struct met_fact *fact)
{
	return way_of_hardware_exit(name, fact, MET_SVM, MET_SVM_OFF);
}

static int way_of_vmx(const struct uapi_name *name, const struct met_fact *fact)
{
	return way_of_hardware_exit(name, fact, MET_VMX, MET_VMX_OFF);
}

const struct table_desc table_descs[] = {
	{ "ioctls", "cases/ioctl", "ioctl", uapi_ioctls, way_of_ioctl },
	{ "caps", "cases/ioctl", "capability", uapi_caps, way_of_cap },
	{ "exits", "cases/ioctl", "exit reason", uapi_exits, way_of_exit },
	{ "exits", "cases/svm", "exit code", uapi_svm_exits, way_of_svm },
	{ "exits", "cases/vmx", "exit reason", uapi_vmx_exits, way_of_vmx },
	{ 0 },
};

/* --- filling --- */

int table_open(struct table *table, const struct table_desc *desc, const struct registry *registry)
{
	size_t i;

	*table = (struct table){ .desc = desc, .registry = registry };
	while (desc->names[table->nr_rows].name)
		table->nr_rows++;
	table->rows = calloc(table->nr_rows ? table->nr_rows : 1, sizeof(*table->rows));
	if (!table->rows)
		return -ENOMEM;
	for (i = 0; i < table->nr_rows; i++)
		table->rows[i].name = &desc->names[i];
	return 0;
}

void table_close(struct table *table)
{
	size_t i;

	for (i = 0; i < table->nr_rows; i++)
		free(table->rows[i].tests);
	free(table->rows);
}

/* The bit of @way in the row; 0 when it has no room for another one. */
static uint64_t way_bit(struct table_row *row, int way)
{
	unsigned int i;

	for (i = 0; i < row->nr_ways; i++)
		if (row->ways[i] == way)
			return 1ull << i;
	if (row->nr_ways == TABLE_MAX_WAYS)
		return 0;
	row->ways[row->nr_ways++] = way;
	return 1ull << i;
}

static int row_add(const struct table *table, struct table_row *row, const struct test_entry *test, int way)
{
	if (!row->tests)
		row->tests = calloc(table->registry->nr_tests, sizeof(*row->tests));
	if (!row->tests)
		return -ENOMEM;
	row->tests[test - table->registry->tests] |= way_bit(row, way);
	return 0;
}

int table_add(struct table *table, const struct test_entry *test, const char *met)
{
	struct met_fact fact;
	size_t i;

	while (met_next(&met, &fact)) {
		for (i = 0; i < table->nr_rows; i++) {
			int way = table->desc->way(table->rows[i].name, &fact);

			if (way != WAY_NONE && row_add(table, &table->rows[i], test, way))
				return -ENOMEM;
		}
	}
	return 0;
}

/* --- what a row says --- */

size_t table_row_nr_tests(const struct table *table, const struct table_row *row)
{
	size_t i, nr = 0;

	for (i = 0; row->tests && i < table->registry->nr_tests; i++)
		nr += row->tests[i] != 0;
	return nr;
}

/* What is no errno comes first, "ok" before all. */
static int way_rank(int way)
{
	return way == 0 ? -1000 : way >= WAY_ASKED ? way - 2 * WAY_ASKED : way;
}

static int compare_ways(const void *a, const void *b)
{
	return way_rank(*(const int *)a) - way_rank(*(const int *)b);
}

static const char *way_name(int way)
{
	switch (way) {
	case 0: return "ok";
	case WAY_ASKED: return "asked";
	case WAY_TAKEN: return "taken";
	case WAY_NOT_TAKEN: return "not taken";
	default: return strerrorname_np(way) ? strerrorname_np(way) : "?";
	}
}

void table_print_ways(FILE *file, const struct table_row *row)
{
	int ways[TABLE_MAX_WAYS];
	unsigned int i;

	memcpy(ways, row->ways, sizeof(ways));
	qsort(ways, row->nr_ways, sizeof(ways[0]), compare_ways);
	for (i = 0; i < row->nr_ways; i++)
		fprintf(file, "%s%s", i ? ", " : "", way_name(ways[i]));
}

/* --- a few tests that stand for all --- */

/* The tests of one case in a row: they are neighbours in the registry. */
struct group {
	size_t first, last;
	uint64_t ways;
	size_t breadth;		/* rows that the case meets: the fewer, the more it is about this one */
};

static bool is_of_case(const struct table *table, size_t a, size_t b)
{
	return table->registry->tests[a].desc == table->registry->tests[b].desc;
}

static size_t case_breadth(const struct table *table, size_t test)
{
	size_t first = test, end = test, r, i, nr = 0;

	while (first && is_of_case(table, first - 1, test))
		first--;
	while (end < table->registry->nr_tests && is_of_case(table, end, test))
		end++;
	for (r = 0; r < table->nr_rows; r++) {
		for (i = first; table->rows[r].tests && i < end && !table->rows[r].tests[i]; i++)
			;
		nr += table->rows[r].tests && i < end;
	}
	return nr;
}

/* False at the end; else the group of tests from *@at on, which moves behind it. */
static bool group_next(const struct table *table, const struct table_row *row, size_t *at, struct group *ret)
{
	size_t i = *at, nr = table->registry->nr_tests;

	while (row->tests && i < nr && !row->tests[i])
		i++;
	if (!row->tests || i == nr)
		return false;
	*ret = (struct group){ .first = i };
	for (; i < nr && is_of_case(table, i, ret->first); i++) {
		if (row->tests[i])
			ret->last = i;
		ret->ways |= row->tests[i];
	}
	ret->breadth = case_breadth(table, ret->first);
	*at = i;
	return true;
}

/* First one in which the call succeeds or the exit is taken, of a case that is about little else; then what is new. */
static bool is_better(const struct group *a, const struct group *b, uint64_t done, uint64_t covered)
{
	int more = __builtin_popcountll(a->ways & ~covered) - __builtin_popcountll(b->ways & ~covered);

	if (!covered && !(a->ways & done) != !(b->ways & done))
		return a->ways & done;
	if (!covered && a->breadth != b->breadth)
		return a->breadth < b->breadth;
	return more ? more > 0 : a->breadth < b->breadth;
}

/* The ways that are no refusals, as bits of the row. */
static uint64_t ways_done(const struct table_row *row)
{
	uint64_t done = 0;
	unsigned int i;

	for (i = 0; i < row->nr_ways; i++)
		if (row->ways[i] == 0 || row->ways[i] == WAY_TAKEN)
			done |= 1ull << i;
	return done;
}

/* The name of its only test, or what the names begin with, up to a dot. */
static void print_glob(FILE *file, const struct table *table, const struct group *group)
{
	const char *first = table->registry->tests[group->first].name, *last = table->registry->tests[group->last].name;
	size_t len = 0;

	if (group->first == group->last) {
		fprintf(file, "`%s`", first);
		return;
	}
	/* The registry is sorted: what the first and the last have in common, all have. */
	while (first[len] && first[len] == last[len])
		len++;
	while (len && first[len - 1] != '.')
		len--;
	fprintf(file, "`%.*s*`", (int)len, first);
}

void table_print_globs(FILE *file, const struct table *table, const struct table_row *row)
{
	size_t chosen[TABLE_MAX_GLOBS], nr_chosen, i;
	uint64_t done = ways_done(row), covered = 0;

	for (nr_chosen = 0; nr_chosen < TABLE_MAX_GLOBS; nr_chosen++) {
		struct group group, best = { 0 };
		size_t at = 0;
		bool has_best = false;

		while (group_next(table, row, &at, &group)) {
			for (i = 0; i < nr_chosen && chosen[i] != group.first; i++)
				;
			if (i < nr_chosen || (has_best && !is_better(&group, &best, done, covered)))
				continue;
			best = group;
			has_best = true;
		}
		if (!has_best)
			break;
		if (nr_chosen)
			fputc(' ', file);
		print_glob(file, table, &best);
		chosen[nr_chosen] = best.first;
		covered |= best.ways;
	}
}

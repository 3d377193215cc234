/* SPDX-License-Identifier: MIT */
#include "reports/compare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "grow.h"

/* A reason is one line of a table. */
#define WHY_BYTES 300

static bool has_same_text(const char *one, const char *other)
{
	return !strcmp(one ? one : "", other ? other : "");
}

/* --- collecting --- */

size_t compare_add_target(struct compare *compare, const char *name)
{
	struct compare_target *grown =
		reallocarray(compare->targets, compare->nr_targets + 1, sizeof(*grown));

	if (grown)
		compare->targets = grown;
	if (grown)
		grown[compare->nr_targets] = (struct compare_target){ .name = strdup(name) };
	if (!grown || !grown[compare->nr_targets].name) {
		compare->error = -ENOMEM;
		return 0;
	}
	return compare->nr_targets++;
}

static struct compare_row *row_add(struct compare *compare, const char *test)
{
	struct compare_row *grown = grow_by_one(compare->rows, compare->nr_rows, sizeof(*grown));
	struct compare_row *row;

	if (!grown)
		return NULL;
	compare->rows = grown;
	row = &grown[compare->nr_rows];
	*row = (struct compare_row){
		.test = strdup(test),
		.cells = calloc(compare->nr_targets, sizeof(*row->cells)),
	};
	if (row->test && row->cells) {
		compare->nr_rows++;
		return row;
	}
	free(row->test);
	free(row->cells);
	return NULL;
}

/* Targets report in about the same order: the row behind the last one is the likely one. */
static struct compare_row *row_get(struct compare *compare, const char *test)
{
	size_t i, at;

	for (i = 0; i < compare->nr_rows; i++) {
		at = (compare->next + i) % compare->nr_rows;
		if (strcmp(compare->rows[at].test, test))
			continue;
		compare->next = at + 1;
		return &compare->rows[at];
	}
	return row_add(compare, test);
}

/* One printable line: what a guest has said must neither break the table nor steer a terminal. */
static char *line_of(const char *text)
{
	char line[WHY_BYTES], *end = line;

	for (; *text && end < line + sizeof(line) - 4; text++) {
		bool is_space = *text == '\n' || *text == ' ' || *text == '\t';

		if (is_space && (end == line || end[-1] == ' '))
			continue;
		*end++ = is_space ? ' ' : *text > ' ' && *text <= '~' ? *text : '.';
	}
	if (end > line && end[-1] == ' ')
		end--;
	strcpy(end, *text ? "..." : "");
	return strdup(line);
}

/* "before; want x; got y", with what there is of these. NULL when out of memory. */
static char *add_values(const char *before, const struct note *note)
{
	char *want = line_of(note->want ? note->want : ""), *got = line_of(note->got ? note->got : "");
	char *text = NULL, *line = NULL;

	if (want && got && asprintf(&text, "%s%s%s%s%s", before, *want ? "; want " : "", want,
				    *got ? "; got " : "", got) >= 0)
		line = line_of(text);
	free(text);
	free(want);
	free(got);
	return line;
}

/* Both stay NULL without memory: the table then says less. */
static void explain_check(struct compare_cell *cell, const struct note *note)
{
	const char *file = note->file ? note->file : "?", *text = note->text ? note->text : "";
	char *before = NULL, *like = NULL;

	if (asprintf(&before, "%s:%u: %s", file, note->line, text) < 0)
		return;
	cell->why = add_values(before, note);
	free(before);
	if (asprintf(&like, "%s: %s%s%s", file, text, note->fields ? "; differs in " : "",
		     note->fields ? note->fields : "") < 0)
		return;
	cell->like = note->fields ? line_of(like) : add_values(like, note);
	free(like);
}

static void explain(struct compare_cell *cell, const struct result *result)
{
	const char *reason = result_reason(result);
	size_t i;

	for (i = 0; result->verdict == VERDICT_FAIL && i < result->nr_notes; i++) {
		if (result->notes[i].kind == NOTE_CHECK) {
			explain_check(cell, &result->notes[i]);
			return;
		}
	}
	if (result->verdict == VERDICT_PASS)
		return;
	cell->why = line_of(reason ? reason : "no reason given");
	cell->like = line_of(reason ? reason : "");
}

static void cell_clear(struct compare_cell *cell)
{
	free(cell->why);
	free(cell->like);
	*cell = (struct compare_cell){ 0 };
}

void compare_add_result(struct compare *compare, size_t target, const struct result *result)
{
	struct compare_row *row = row_get(compare, result->test);
	struct compare_cell *cell = row ? &row->cells[target] : NULL;

	compare->targets[target].summary.count[result->verdict]++;
	if (!row)
		compare->error = -ENOMEM;
	if (!row || (cell->is_present && result->verdict <= cell->verdict))
		return;
	cell_clear(cell);
	cell->is_present = true;
	cell->verdict = result->verdict;
	cell->nr_checks = result->nr_checks;
	explain(cell, result);
}

static void text_replace(struct compare *compare, char **text, const char *new)
{
	free(*text);
	*text = line_of(new);
	if (!*text)
		compare->error = -ENOMEM;
}

void compare_set_note(struct compare *compare, size_t target, const char *note)
{
	text_replace(compare, &compare->targets[target].note, note);
}

void compare_set_flag(struct compare *compare, struct compare_row *row, const char *flag)
{
	text_replace(compare, &row->flag, flag);
}

void compare_free(struct compare *compare)
{
	size_t i, j;

	for (i = 0; i < compare->nr_rows; i++) {
		for (j = 0; j < compare->nr_targets; j++)
			cell_clear(&compare->rows[i].cells[j]);
		free(compare->rows[i].cells);
		free(compare->rows[i].test);
		free(compare->rows[i].flag);
	}
	for (i = 0; i < compare->nr_targets; i++) {
		free(compare->targets[i].name);
		free(compare->targets[i].note);
	}
	free(compare->rows);
	free(compare->targets);
	*compare = (struct compare){ 0 };
}

/* --- two cells --- */

bool compare_cells_differ(const struct compare_cell *one, const struct compare_cell *other)
{
	if (one->is_present != other->is_present || one->verdict != other->verdict)
		return true;
	switch (one->verdict) {
	case VERDICT_PASS:
		return one->nr_checks != other->nr_checks;
	case VERDICT_KNOWN:
	case VERDICT_FAIL:
		return !has_same_text(one->why, other->why);
	default:
		return false;
	}
}

/* True when the cell says something about the thing under test, or at least tried. */
static bool has_run(const struct compare_cell *cell)
{
	return cell->is_present && cell->verdict != VERDICT_SKIP;
}

static enum compare_kind pair_kind(const struct compare_cell *one, const struct compare_cell *other)
{
	if (!compare_cells_differ(one, other) || (!has_run(one) && !has_run(other)))
		return COMPARE_SAME;
	if (!has_run(one) || !has_run(other))
		return COMPARE_SKIP;
	if (one->verdict != other->verdict)
		return COMPARE_VERDICT;
	return one->verdict == VERDICT_PASS ? COMPARE_CHECKS : COMPARE_OUTCOME;
}

/* --- a row --- */

/* True when the target was not asked for the row's test. */
static bool is_unasked(const struct compare *compare, const struct compare_row *row, size_t target)
{
	return compare->targets[target].is_partial && !row->cells[target].is_present;
}

static enum compare_kind row_kind(const struct compare *compare, const struct compare_row *row)
{
	enum compare_kind kind = COMPARE_SAME, of_pair;
	size_t i, j;

	for (i = 0; i < compare->nr_targets; i++) {
		for (j = 0; j < i; j++) {
			if (is_unasked(compare, row, i) || is_unasked(compare, row, j))
				continue;
			of_pair = pair_kind(&row->cells[i], &row->cells[j]);
			if (of_pair < kind)
				kind = of_pair;
		}
	}
	return kind;
}

/* True when @target differs from all others that ran, two at least, and these are of one mind. */
static bool stands_alone(const struct compare *compare, const struct compare_row *row, size_t target)
{
	const struct compare_cell *first = NULL;
	size_t i, nr_others = 0;

	for (i = 0; i < compare->nr_targets; i++) {
		const struct compare_cell *cell = &row->cells[i];

		if (i == target || !has_run(cell))
			continue;
		if (!compare_cells_differ(cell, &row->cells[target]))
			return false;
		if (first && compare_cells_differ(cell, first))
			return false;
		first = cell;
		nr_others++;
	}
	return nr_others >= 2 && has_run(&row->cells[target]);
}

static int row_alone(const struct compare *compare, const struct compare_row *row)
{
	size_t i;

	for (i = 0; i < compare->nr_targets; i++)
		if (stands_alone(compare, row, i))
			return i;
	return -1;
}

static enum verdict row_worst(const struct compare *compare, const struct compare_row *row)
{
	enum verdict worst = VERDICT_PASS;
	size_t i;

	for (i = 0; i < compare->nr_targets; i++)
		if (row->cells[i].verdict > worst)
			worst = row->cells[i].verdict;
	return worst;
}

/* --- groups --- */

const char *compare_kind_name(enum compare_kind kind)
{
	static const char *const names[] = {
		[COMPARE_VERDICT] = "verdict",
		[COMPARE_OUTCOME] = "outcome",
		[COMPARE_CHECKS] = "checks",
		[COMPARE_SKIP] = "skip",
		[COMPARE_SAME] = "same",
	};

	return names[kind];
}

static bool cells_are_alike(enum compare_kind kind, const struct compare_cell *one, const struct compare_cell *other)
{
	/* What the others agree on is no part of a difference in skipping. */
	if (kind == COMPARE_SKIP && has_run(one) && has_run(other))
		return true;
	return one->is_present == other->is_present && one->verdict == other->verdict &&
	       has_same_text(one->like, other->like) &&
	       (kind != COMPARE_CHECKS || one->nr_checks == other->nr_checks);
}

/* True when nothing that the table shows sets the two rows apart, their names aside. */
static bool rows_are_alike(const struct compare *compare, enum compare_kind kind, const struct compare_row *one,
			   const struct compare_row *other)
{
	size_t i;

	if (!has_same_text(one->flag, other->flag))
		return false;
	for (i = 0; i < compare->nr_targets; i++)
		if (!cells_are_alike(kind, &one->cells[i], &other->cells[i]))
			return false;
	return true;
}

static struct compare_group *group_get(const struct compare *compare, struct compare_groups *groups,
				       enum compare_kind kind, const struct compare_row *row)
{
	struct compare_group *grown;
	size_t i;

	for (i = 0; i < groups->nr_groups; i++)
		if (groups->groups[i].kind == kind &&
		    rows_are_alike(compare, kind, groups->groups[i].rows[0], row))
			return &groups->groups[i];
	grown = reallocarray(groups->groups, groups->nr_groups + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	groups->groups = grown;
	grown[groups->nr_groups] = (struct compare_group){ .kind = kind, .alone = row_alone(compare, row) };
	return &grown[groups->nr_groups++];
}

static int group_add(const struct compare *compare, struct compare_groups *groups, enum compare_kind kind,
		     const struct compare_row *row)
{
	struct compare_group *group = group_get(compare, groups, kind, row);
	const struct compare_row **grown =
		group ? reallocarray(group->rows, group->nr_rows + 1, sizeof(*grown)) : NULL;

	/* Note, a new group that has got no row must not be looked at again. */
	if (!grown && group && !group->nr_rows)
		groups->nr_groups--;
	if (!grown)
		return -ENOMEM;
	grown[group->nr_rows++] = row;
	group->rows = grown;
	return 0;
}

/* Negative when @one is more urgent. */
static int compare_group_order(const void *one, const void *other, void *context)
{
	const struct compare_group *a = one, *b = other;

	if (!a->rows[0]->flag != !b->rows[0]->flag)
		return a->rows[0]->flag ? -1 : 1;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (row_worst(context, a->rows[0]) != row_worst(context, b->rows[0]))
		return row_worst(context, a->rows[0]) > row_worst(context, b->rows[0]) ? -1 : 1;
	/* As the rows are, since qsort() is not stable. */
	return a->rows[0] < b->rows[0] ? -1 : 1;
}

int compare_groups_find(const struct compare *compare, struct compare_groups *ret)
{
	size_t i;
	int r = compare->error;

	*ret = (struct compare_groups){ 0 };
	for (i = 0; i < compare->nr_rows && !r; i++) {
		enum compare_kind kind = row_kind(compare, &compare->rows[i]);

		if (kind != COMPARE_SAME)
			r = group_add(compare, ret, kind, &compare->rows[i]);
	}
	if (r)
		compare_groups_free(ret);
	else if (ret->nr_groups)
		qsort_r(ret->groups, ret->nr_groups, sizeof(*ret->groups), compare_group_order,
			(void *)compare);
	return r;
}

void compare_groups_free(struct compare_groups *groups)
{
	size_t i;

	for (i = 0; i < groups->nr_groups; i++)
		free(groups->groups[i].rows);
	free(groups->groups);
	*groups = (struct compare_groups){ 0 };
}

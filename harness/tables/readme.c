/* SPDX-License-Identifier: MIT */
#include "tables/readme.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"

#define PATH_BYTES 4096
#define END_MARK "<!-- end of table -->\n"
#define LEFT_OUT "left out: "

static void mark_make(char *mark, size_t len, const struct table_desc *desc)
{
	snprintf(mark, len, "<!-- table %s: vmassay tables write -->\n", desc->id);
}

/* All of ROOT/FOLDER/NAME, to free(); NULL, and @err says why. */
static char *text_read(const char *root, const char *folder, const char *name, struct err *err)
{
	char path[PATH_BYTES], *text = NULL;
	size_t len = 0;
	FILE *file;
	ssize_t got;

	snprintf(path, sizeof(path), "%s/%s/%s", root, folder, name);
	file = fopen(path, "re");
	if (!file) {
		err_set(err, errno, "%s: %s", path, strerror(errno));
		return NULL;
	}
	got = getdelim(&text, &len, '\0', file);
	if (got < 0 && feof(file)) {
		free(text);
		text = strdup("");
	} else if (got < 0) {
		err_set(err, errno, "%s: %s", path, strerror(errno));
		free(text);
		text = NULL;
	}
	fclose(file);
	return text;
}

/* The part behind the table's mark, and its end; false when the text has none. */
static bool part_find(const char *text, const struct table_desc *desc, const char **ret_start, const char **ret_end)
{
	char mark[128];
	const char *at;

	mark_make(mark, sizeof(mark), desc);
	at = strstr(text, mark);
	if (!at)
		return false;
	*ret_start = at + strlen(mark);
	*ret_end = strstr(*ret_start, END_MARK);
	return *ret_end;
}

static int part_missing(const char *root, const struct table_desc *desc, struct err *err)
{
	char mark[128];

	mark_make(mark, sizeof(mark), desc);
	mark[strlen(mark) - 1] = '\0';
	return err_set(err, EINVAL, "%s/%s/README.md: has no line '%s' with an end behind it", root, desc->folder, mark);
}

/* --- reasons --- */

struct reason {
	const char *pattern, *text;
};

struct reasons {
	char *file;		/* the patterns and texts are parts of it */
	struct reason *list;
	size_t nr;
};

static void reasons_free(struct reasons *reasons)
{
	free(reasons->list);
	free(reasons->file);
}

static int reasons_read(struct reasons *reasons, const char *root, const char *folder, struct err *err)
{
	char *line, *rest, *colon;

	*reasons = (struct reasons){ .file = text_read(root, folder, "left_out", err) };
	if (!reasons->file)
		return -EINVAL;
	reasons->list = calloc(strlen(reasons->file) + 1, sizeof(*reasons->list));
	if (!reasons->list) {
		reasons_free(reasons);
		return err_set(err, ENOMEM, "%s/%s/left_out: %s", root, folder, strerror(ENOMEM));
	}
	for (line = strtok_r(reasons->file, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		colon = strstr(line, ": ");
		if (!colon || !colon[2]) {
			err_set(err, EINVAL, "%s/%s/left_out: want 'PATTERN: reason', not '%s'", root, folder, line);
			reasons_free(reasons);
			return -EINVAL;
		}
		*colon = '\0';
		reasons->list[reasons->nr++] = (struct reason){ line, colon + 2 };
	}
	return 0;
}

static const char *reason_find(const struct reasons *reasons, const char *name)
{
	size_t i;

	for (i = 0; i < reasons->nr; i++)
		if (!fnmatch(reasons->list[i].pattern, name, 0))
			return reasons->list[i].text;
	return NULL;
}

/* --- writing --- */

static void row_print(FILE *file, const struct table *table, const struct table_row *row, const char *reason)
{
	fprintf(file, "| `%s` | ", row->name->name);
	if (!row->tests) {
		fprintf(file, "| | %s%s |\n", reason ? LEFT_OUT : "", reason ? reason : "");
		return;
	}
	fprintf(file, "%zu | ", table_row_nr_tests(table, row));
	table_print_ways(file, row);
	fputs(" | ", file);
	table_print_globs(file, table, row);
	fputs(" |\n", file);
}

static void table_print(FILE *file, const struct table *table, const struct reasons *reasons)
{
	size_t i;

	fprintf(file, "\n| %s | tests | how | for example |\n|---|---|---|---|\n", table->desc->title);
	for (i = 0; i < table->nr_rows; i++)
		row_print(file, table, &table->rows[i], reason_find(reasons, table->rows[i].name->name));
	fputc('\n', file);
}

/* The file is either the old one or the new one, whole. */
static int text_replace(const char *path, const char *text, size_t len, struct err *err)
{
	char next[PATH_BYTES + 8];
	FILE *file;
	int error = 0;

	snprintf(next, sizeof(next), "%s.next", path);
	file = fopen(next, "we");
	if (!file)
		return err_set(err, errno, "%s: %s", next, strerror(errno));
	if (fwrite(text, 1, len, file) != len)
		error = errno;
	if (fclose(file) && !error)
		error = errno;
	if (!error && rename(next, path))
		error = errno;
	if (!error)
		return 0;
	unlink(next);
	return err_set(err, error, "%s: %s", path, strerror(error));
}

int readme_write(const char *root, const struct table *table, struct err *err)
{
	const char *start, *end, *folder = table->desc->folder;
	char path[PATH_BYTES], *new_text = NULL, *text;
	struct reasons reasons;
	size_t len = 0;
	FILE *file;
	int r;

	r = reasons_read(&reasons, root, folder, err);
	if (r)
		return r;
	r = -EINVAL;
	text = text_read(root, folder, "README.md", err);
	if (!text)
		goto out_reasons;
	if (!part_find(text, table->desc, &start, &end)) {
		r = part_missing(root, table->desc, err);
		goto out;
	}
	file = open_memstream(&new_text, &len);
	if (!file) {
		r = err_set(err, ENOMEM, "%s", strerror(ENOMEM));
		goto out;
	}
	fwrite(text, 1, start - text, file);
	table_print(file, table, &reasons);
	fputs(end, file);
	fclose(file);
	snprintf(path, sizeof(path), "%s/%s/README.md", root, folder);
	r = text_replace(path, new_text, len, err);
	free(new_text);
out:
	free(text);
out_reasons:
	reasons_free(&reasons);
	return r;
}

/* --- checking --- */

struct check {
	const char *root;
	const struct registry *registry;
	const struct table_desc *desc;
	struct reasons reasons;		/* of the folder */
	bool *is_needed;		/* by reason */
	FILE *file;
	int nr_defects;
};

static void __attribute__((format(printf, 2, 3))) defect(struct check *check, const char *format, ...)
{
	va_list args;

	check->nr_defects++;
	fprintf(check->file, "%s/%s/README.md: ", check->root, check->desc->folder);
	va_start(args, format);
	vfprintf(check->file, format, args);
	va_end(args);
	fputc('\n', check->file);
}

static bool has_test(const struct registry *registry, const char *glob)
{
	size_t i;

	for (i = 0; i < registry->nr_tests; i++)
		if (!fnmatch(glob, registry->tests[i].name, 0))
			return true;
	return false;
}

/* The patterns of a row's last cell, which ends at @end; returns their number. */
static unsigned int globs_check(struct check *check, const char *name, const char *at, const char *end)
{
	unsigned int nr = 0;

	while ((at = memchr(at, '`', end - at))) {
		const char *close = memchr(at + 1, '`', end - at - 1);
		char glob[256];

		if (!close)
			break;
		snprintf(glob, sizeof(glob), "%.*s", (int)(close - at - 1), at + 1);
		if (!has_test(check->registry, glob))
			defect(check, "%s: there is no test '%s'", name, glob);
		nr++;
		at = close + 1;
	}
	return nr;
}

static void reason_needed(struct check *check, const char *name)
{
	size_t i;

	for (i = 0; i < check->reasons.nr; i++)
		if (!fnmatch(check->reasons.list[i].pattern, name, 0))
			check->is_needed[i] = true;
}

/* @row is the line of the row. */
static void row_check(struct check *check, const char *name, const char *row)
{
	const char *end = strchr(row, '\n'), *cell = row;	/* at the bar before it */
	unsigned int i;

	for (i = 0; i < 3 && cell; i++)
		cell = memchr(cell + 1, '|', end - cell - 1);
	if (!cell) {
		defect(check, "%s: the row has not four cells", name);
		return;
	}
	if (!strncmp(cell, "| " LEFT_OUT, strlen("| " LEFT_OUT))) {
		reason_needed(check, name);
		if (!reason_find(&check->reasons, name))
			defect(check, "%s: the reason is not in left_out", name);
		return;
	}
	if (!globs_check(check, name, cell, end))
		defect(check, "%s: has no test, and no reason in left_out", name);
}

static void part_check(struct check *check, const char *start, const char *end)
{
	const struct uapi_name *name;
	char head[128];

	for (name = check->desc->names; name->name; name++) {
		const char *row;

		snprintf(head, sizeof(head), "\n| `%s` |", name->name);
		row = strstr(start, head);
		if (row && row < end)
			row_check(check, name->name, row + 1);
		else
			defect(check, "%s: has no row", name->name);
	}
}

static int table_check(struct check *check, struct err *err)
{
	const char *start, *end;
	char *text = text_read(check->root, check->desc->folder, "README.md", err);
	int r = 0;

	if (!text)
		return -EINVAL;
	if (part_find(text, check->desc, &start, &end))
		part_check(check, start - 1, end);
	else
		r = part_missing(check->root, check->desc, err);
	free(text);
	return r;
}

/* The tables from @first on that are in the same folder. */
static int folder_check(struct check *check, const struct table_desc *first, struct err *err)
{
	const struct table_desc *desc;
	size_t i;
	int r = reasons_read(&check->reasons, check->root, first->folder, err);

	if (r)
		return r;
	check->is_needed = calloc(check->reasons.nr + 1, sizeof(*check->is_needed));
	if (!check->is_needed)
		r = err_set(err, ENOMEM, "%s", strerror(ENOMEM));
	for (desc = first; !r && desc->id && !strcmp(desc->folder, first->folder); desc++) {
		check->desc = desc;
		r = table_check(check, err);
	}
	for (i = 0; !r && i < check->reasons.nr; i++)
		if (!check->is_needed[i])
			defect(check, "no row needs the reason for '%s' in left_out", check->reasons.list[i].pattern);
	free(check->is_needed);
	reasons_free(&check->reasons);
	return r;
}

int readme_check(const char *root, const struct table_desc *descs, const struct registry *registry, FILE *file,
		 struct err *err)
{
	struct check check = { .root = root, .registry = registry, .file = file };
	const struct table_desc *desc;
	int r = 0;

	for (desc = descs; !r && desc->id; desc++)
		if (desc == descs || strcmp(desc->folder, desc[-1].folder))
			r = folder_check(&check, desc, err);
	return r ? r : check.nr_defects;
}

/* SPDX-License-Identifier: MIT */
#include "lab/modules.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static char folded(char c)
{
	return c == '-' ? '_' : c;
}

static bool is_same_name(const char *a, size_t a_len, const char *b, size_t b_len)
{
	if (a_len != b_len)
		return false;
	for (size_t i = 0; i < a_len; i++) {
		if (folded(a[i]) != folded(b[i]))
			return false;
	}
	return true;
}

/* True when the file at @path, @path_len bytes long, holds the module called @name. */
static bool is_module(const char *path, size_t path_len, const char *name, size_t name_len)
{
	const char *base = path + path_len;

	while (base > path && base[-1] != '/')
		base--;
	return is_same_name(base, strcspn(base, ".:\n"), name, name_len);
}

bool module_is_compressed(const char *path)
{
	const char *suffix = strrchr(path, '.');

	return suffix && strcmp(suffix, ".ko");
}

/* Puts the line of @folder's @file that stands for module @name into @line; -ENOENT without one. */
static int find_line(const char *folder, const char *file, const char *name, char **line,
		     struct err *err)
{
	char path[PATH_MAX];
	size_t size = 0;
	FILE *stream;
	int error;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	stream = fopen(path, "re");
	error = errno;
	if (!stream)
		return err_set(err, error, "cannot read %s: %s", path, strerror(error));
	error = ENOENT;
	while (getline(line, &size, stream) > 0) {
		if (is_module(*line, strcspn(*line, ":\n"), name, strlen(name))) {
			error = 0;
			break;
		}
	}
	fclose(stream);
	if (error) {
		free(*line);
		*line = NULL;
	}
	return error ? err_set(err, error, "%s has no module %s", path, name) : 0;
}

static int add_module_path(struct strlist *paths, const char *folder, const char *path)
{
	if (*path == '/')
		return strlist_add(paths, path);
	return strlist_addf(paths, "%s/%s", folder, path);
}

/* @line is "a.ko: b.ko c.ko", where b needs c: it is to be loaded from its end. */
static int add_line_reversed(struct strlist *paths, const char *folder, char *line)
{
	static const char separators[] = ": \t\n";
	struct strlist words = { 0 };
	char *rest = NULL;
	int status;

	for (char *word = strtok_r(line, separators, &rest); word;
	     word = strtok_r(NULL, separators, &rest))
		strlist_add(&words, word);
	status = words.error;
	for (size_t i = words.nr; !status && i--; )
		status = add_module_path(paths, folder, words.strings[i]);
	strlist_free(&words);
	return status;
}

int modules_find(struct strlist *paths, const char *folder, const char *name, struct err *err)
{
	char *line = NULL;
	int status = find_line(folder, "modules.dep", name, &line, err);

	if (!status && add_line_reversed(paths, folder, line))
		status = err_set(err, ENOMEM, "out of memory");
	else if (status == -ENOENT && !find_line(folder, "modules.builtin", name, &line, NULL))
		status = 0;
	free(line);
	return status;
}

/* True when both words set the same parameter of the same module. */
static bool is_same_param(const char *a, const char *b)
{
	return is_same_name(a, strcspn(a, "="), b, strcspn(b, "="));
}

static bool has_param(const char *const *params, const char *word)
{
	for (; params && *params; params++) {
		if (is_same_param(*params, word))
			return true;
	}
	return false;
}

/* The words that hold: @params, and those of @defaults that none of them replaces. */
static int merge_params(struct strlist *words, const char *const *defaults,
			const char *const *params, struct err *err)
{
	for (; defaults && *defaults; defaults++) {
		if (!has_param(params, *defaults))
			strlist_add(words, *defaults);
	}
	for (; params && *params; params++) {
		size_t key = strcspn(*params, "=");
		size_t module = strcspn(*params, ".");

		if (!module || module + 1 >= key || !(*params)[key])
			return err_set(err, EINVAL, "parameter '%s' is not module.name=value",
				       *params);
		strlist_add(words, *params);
	}
	return words->error ? err_set(err, ENOMEM, "out of memory") : 0;
}

static int add_line(struct strlist *lines, const char *path, const struct strlist *words)
{
	struct strlist line = { 0 };
	char *joined;
	int status = -ENOMEM;

	strlist_add(&line, base_name(path));
	for (size_t i = 0; i < words->nr; i++) {
		const char *word = words->strings[i];
		size_t module = strcspn(word, ".");

		if (is_module(path, strlen(path), word, module))
			strlist_add(&line, word + module + 1);
	}
	joined = strlist_join(&line, " ");
	if (joined)
		status = strlist_add(lines, joined);
	free(joined);
	strlist_free(&line);
	return status;
}

static bool has_module(const struct strlist *paths, const char *word)
{
	for (size_t i = 0; i < paths->nr; i++) {
		const char *path = paths->strings[i];

		if (is_module(path, strlen(path), word, strcspn(word, ".")))
			return true;
	}
	return false;
}

int modules_apply_params(const struct strlist *paths, const char *const *defaults,
			 const char *const *params, struct strlist *lines,
			 struct strlist *command_line, struct err *err)
{
	struct strlist words = { 0 };
	int status = merge_params(&words, defaults, params, err);

	for (size_t i = 0; !status && i < paths->nr; i++)
		status = add_line(lines, paths->strings[i], &words);
	for (size_t i = 0; !status && i < words.nr; i++) {
		if (!has_module(paths, words.strings[i]))
			status = strlist_add(command_line, words.strings[i]);
	}
	strlist_free(&words);
	return status == -ENOMEM ? err_set(err, ENOMEM, "out of memory") : status;
}

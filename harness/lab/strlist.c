/* SPDX-License-Identifier: MIT */
#include "lab/strlist.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Takes over @string, which is NULL when its allocation failed. */
static int take(struct strlist *list, char *string)
{
	char **strings = NULL;

	if (string)
		strings = reallocarray(list->strings, list->nr + 2, sizeof(*strings));
	if (!strings) {
		free(string);
		return list->error = -ENOMEM;
	}
	strings[list->nr++] = string;
	strings[list->nr] = NULL;
	list->strings = strings;
	return 0;
}

int strlist_add(struct strlist *list, const char *string)
{
	if (list->error)
		return list->error;
	return take(list, strdup(string));
}

int strlist_addf(struct strlist *list, const char *format, ...)
{
	char *string = NULL;
	va_list args;

	if (list->error)
		return list->error;
	va_start(args, format);
	if (vasprintf(&string, format, args) < 0)
		string = NULL;
	va_end(args);
	return take(list, string);
}

bool strlist_has(const struct strlist *list, const char *string)
{
	for (size_t i = 0; i < list->nr; i++) {
		if (!strcmp(list->strings[i], string))
			return true;
	}
	return false;
}

char *strlist_join(const struct strlist *list, const char *separator)
{
	size_t len = 1;
	char *joined;
	char *end;

	if (list->error)
		return NULL;
	for (size_t i = 0; i < list->nr; i++)
		len += strlen(list->strings[i]) + strlen(separator);
	joined = malloc(len);
	if (!joined)
		return NULL;
	end = joined;
	*end = '\0';
	for (size_t i = 0; i < list->nr; i++) {
		if (i)
			end = stpcpy(end, separator);
		end = stpcpy(end, list->strings[i]);
	}
	return joined;
}

void strlist_free(struct strlist *list)
{
	for (size_t i = 0; i < list->nr; i++)
		free(list->strings[i]);
	free(list->strings);
	*list = (struct strlist){ 0 };
}

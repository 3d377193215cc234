/* SPDX-License-Identifier: MIT */
/*
 * A growing list of strings: command lines, paths, words.
 *
 * Errors stick: after a failed allocation every further call does nothing and returns the same
 * -ENOMEM, so that a caller may add many words and look at @error once.
 */
#ifndef VMASSAY_LAB_STRLIST_H
#define VMASSAY_LAB_STRLIST_H

#include <stdbool.h>
#include <stddef.h>

/* All zero is an empty list. @strings is NULL-terminated once something was added. */
struct strlist {
	char **strings;
	size_t nr;
	int error;	/* 0 or -ENOMEM */
};

int strlist_add(struct strlist *list, const char *string);
int strlist_addf(struct strlist *list, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
bool strlist_has(const struct strlist *list, const char *string);

/* The strings with @separator between them, malloced; NULL without memory or after an error. */
char *strlist_join(const struct strlist *list, const char *separator);

/* Leaves an empty list. */
void strlist_free(struct strlist *list);

#endif

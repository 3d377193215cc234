/* SPDX-License-Identifier: MIT */
#include "met.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[NR_MET_KINDS] = {
	[MET_IOCTL] = "ioctl", [MET_EXIT] = "exit", [MET_SVM] = "svm", [MET_SVM_OFF] = "svm-off", [MET_VMX] = "vmx",
	[MET_VMX_OFF] = "vmx-off",
};

struct met {
	pthread_mutex_t lock;
	struct met_fact *facts;
	size_t nr_facts;
};

struct met *met_new(void)
{
	struct met *met = calloc(1, sizeof(*met));

	if (met)
		pthread_mutex_init(&met->lock, NULL);
	return met;
}

void met_free(struct met *met)
{
	if (!met)
		return;
	pthread_mutex_destroy(&met->lock);
	free(met->facts);
	free(met);
}

static bool is_same(const struct met_fact *a, const struct met_fact *b)
{
	return a->kind == b->kind && a->number == b->number && a->part == b->part && a->error == b->error;
}

static void add_locked(struct met *met, const struct met_fact *fact)
{
	struct met_fact *grown;
	size_t i;

	for (i = 0; i < met->nr_facts; i++)
		if (is_same(&met->facts[i], fact))
			return;
	grown = reallocarray(met->facts, met->nr_facts + 1, sizeof(*grown));
	if (!grown)
		return;
	grown[met->nr_facts++] = *fact;
	met->facts = grown;
}

void met_add(struct met *met, struct met_fact fact)
{
	if (!met)
		return;
	pthread_mutex_lock(&met->lock);
	add_locked(met, &fact);
	pthread_mutex_unlock(&met->lock);
}

static void fact_print(FILE *file, const struct met_fact *fact)
{
	fprintf(file, fact->kind == MET_IOCTL ? "%s:0x%" PRIx64 : "%s:%" PRIu64, kind_names[fact->kind], fact->number);
	if (fact->part != MET_NO_PART)
		fprintf(file, "/%" PRId64, fact->part);
	if (fact->error)
		fprintf(file, "=%d", fact->error);
}

char *met_text(struct met *met)
{
	char *text = NULL;
	size_t len, i;
	FILE *file = open_memstream(&text, &len);

	if (!file)
		return NULL;
	pthread_mutex_lock(&met->lock);
	for (i = 0; i < met->nr_facts; i++) {
		fputs(i ? " " : "", file);
		fact_print(file, &met->facts[i]);
	}
	pthread_mutex_unlock(&met->lock);
	fclose(file);
	return text;
}

/* --- reading --- */

/* True when *@at was at @c, which it is behind now. */
static bool take(const char **at, char c)
{
	if (**at != c)
		return false;
	++*at;
	return true;
}

static bool take_number(const char **at, uint64_t *ret)
{
	char *stop;

	if (**at < '0' || **at > '9')
		return false;
	*ret = strtoull(*at, &stop, 0);
	*at = stop;
	return true;
}

static bool take_kind(const char **at, enum met_kind *ret)
{
	size_t len = strcspn(*at, ":");

	for (int i = 0; i < NR_MET_KINDS; i++) {
		if (strlen(kind_names[i]) != len || strncmp(*at, kind_names[i], len))
			continue;
		*ret = i;
		*at += len;
		return take(at, ':');
	}
	return false;
}

bool met_next(const char **text, struct met_fact *ret)
{
	uint64_t number, part = 0, error = 0;
	const char *at = *text;
	bool has_part;

	while (take(&at, ' '))
		;
	if (!take_kind(&at, &ret->kind) || !take_number(&at, &number))
		return false;
	has_part = take(&at, '/');
	if ((has_part && !take_number(&at, &part)) || (take(&at, '=') && !take_number(&at, &error)))
		return false;
	if (*at && *at != ' ')
		return false;
	ret->number = number;
	ret->part = has_part ? (int64_t)part : MET_NO_PART;
	ret->error = error;
	*text = at;
	return true;
}

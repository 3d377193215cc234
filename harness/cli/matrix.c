/* SPDX-License-Identifier: MIT */
#include "cli/matrix.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"

static const char word_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
static const char value_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+.";

/* --- parsing --- */

/* True when the @len bytes at @text are one @chars at least, and nothing else. */
static bool is_word(const char *text, size_t len, const char *chars)
{
	return len && strspn(text, chars) >= len;
}

static bool is_same_param(const struct matrix_param *one, const struct matrix_param *other)
{
	return !strcmp(one->name, other->name) && !strcmp(one->module ? one->module : "",
							  other->module ? other->module : "");
}

static int parse_values(struct matrix_param *param, const char *text, size_t len, struct err *err)
{
	const char *end = text + len;
	char value[64];

	for (;; text++) {
		len = strcspn(text, ",:");
		if (!is_word(text, len, value_chars) || len >= sizeof(value))
			return err_set(err, EINVAL, "'%.*s' is no value for '%s'", (int)len, text, param->name);
		snprintf(value, sizeof(value), "%.*s", (int)len, text);
		if (strlist_has(&param->values, value))
			return err_set(err, EINVAL, "'%s' has the value '%s' twice", param->name, value);
		if (strlist_add(&param->values, value))
			return err_set(err, ENOMEM, "out of memory");
		text += len;
		if (text >= end)
			return 0;
	}
}

/* "[module.]name=value[,value]..." of @len bytes. */
static int parse_param(struct matrix_param *param, const char *text, size_t len, struct err *err)
{
	size_t key = strcspn(text, "=:"), module = strcspn(text, ".=:");
	bool has_module = module < key;
	const char *name = has_module ? text + module + 1 : text;
	size_t name_len = text + key - name;

	if (text[key] != '=')
		return err_set(err, EINVAL, "'%.*s' has no values (want NAME=VALUE,VALUE)", (int)len, text);
	if (!is_word(name, name_len, word_chars) || (has_module && !is_word(text, module, word_chars)))
		return err_set(err, EINVAL, "'%.*s' is no parameter (want NAME or MODULE.NAME)", (int)key, text);
	param->name = strndup(name, name_len);
	if (has_module)
		param->module = strndup(text, module);
	if (!param->name || (has_module && !param->module))
		return err_set(err, ENOMEM, "out of memory");
	return parse_values(param, text + key + 1, len - key - 1, err);
}

static int add_param(struct matrix *matrix, const char *text, size_t len, struct err *err)
{
	struct matrix_param *grown = reallocarray(matrix->params, matrix->nr_params + 1, sizeof(*grown));
	size_t i;
	int r;

	if (!grown)
		return err_set(err, ENOMEM, "out of memory");
	matrix->params = grown;
	grown[matrix->nr_params] = (struct matrix_param){ 0 };
	r = parse_param(&grown[matrix->nr_params++], text, len, err);
	for (i = 0; !r && i + 1 < matrix->nr_params; i++)
		if (is_same_param(&grown[i], &grown[matrix->nr_params - 1]))
			r = err_set(err, EINVAL, "'%s' is there twice", grown[i].name);
	return r;
}

int matrix_parse(struct matrix *matrix, const char *text, struct err *err)
{
	int r;

	*matrix = (struct matrix){ 0 };
	for (;; text++) {
		size_t len = strcspn(text, ":");

		r = add_param(matrix, text, len, err);
		if (!r && matrix_nr_combinations(matrix) > MATRIX_MAX)
			r = err_set(err, EINVAL, "more than %d combinations", MATRIX_MAX);
		text += len;
		if (r || !*text)
			break;
	}
	if (r)
		matrix_free(matrix);
	return r;
}

void matrix_free(struct matrix *matrix)
{
	size_t i;

	for (i = 0; i < matrix->nr_params; i++) {
		free(matrix->params[i].module);
		free(matrix->params[i].name);
		strlist_free(&matrix->params[i].values);
	}
	free(matrix->params);
	*matrix = (struct matrix){ 0 };
}

/* --- combinations --- */

size_t matrix_nr_combinations(const struct matrix *matrix)
{
	size_t i, nr = 1;

	for (i = 0; i < matrix->nr_params; i++)
		nr *= matrix->params[i].values.nr;
	return nr;
}

const char *matrix_value(const struct matrix *matrix, size_t combination, size_t param)
{
	size_t i;

	for (i = matrix->nr_params - 1; i > param; i--)
		combination /= matrix->params[i].values.nr;
	return matrix->params[param].values.strings[combination % matrix->params[param].values.nr];
}

void matrix_add_words(const struct matrix *matrix, size_t combination, const char *module, struct strlist *words)
{
	size_t i;

	for (i = 0; i < matrix->nr_params; i++) {
		const struct matrix_param *param = &matrix->params[i];

		strlist_addf(words, "%s.%s=%s", param->module ? param->module : module, param->name,
			     matrix_value(matrix, combination, i));
	}
}

char *matrix_label(const struct matrix *matrix, size_t combination)
{
	struct strlist words = { 0 };
	char *label;
	size_t i;

	for (i = 0; i < matrix->nr_params; i++) {
		const struct matrix_param *param = &matrix->params[i];

		strlist_addf(&words, "%s%s%s=%s", param->module ? param->module : "", param->module ? "." : "",
			     param->name, matrix_value(matrix, combination, i));
	}
	label = strlist_join(&words, ",");
	strlist_free(&words);
	return label;
}

const struct matrix_param *matrix_difference(const struct matrix *matrix, size_t one, size_t other)
{
	const struct matrix_param *difference = NULL;
	size_t i;

	for (i = 0; i < matrix->nr_params; i++) {
		if (matrix_value(matrix, one, i) == matrix_value(matrix, other, i))
			continue;
		if (difference)
			return NULL;
		difference = &matrix->params[i];
	}
	return difference;
}

/* --- what may matter --- */

/*
 * What a parameter offers or takes away, beside the CPUID bit of its own name. A need that ends in '*' stands for all
 * that begin so.
 */
static const struct {
	const char *param, *need;
} effects[] = {
	{ "nested", "nested" },			/* KVM offers SVM and VMX to guests only then */
	{ "nested", "cpuid:svm" },
	{ "nested", "cpuid:vmx" },
	{ "nested", "KVM_CAP_NESTED_STATE*" },
	/* KVM_GET_SUPPORTED_CPUID: without two-dimensional paging, 1 GiB pages whatever the CPU has, and no PKU. */
	{ "npt", "cpuid:pdpe1gb" },
	{ "npt", "cpuid:pku" },
	{ "ept", "cpuid:pdpe1gb" },
	{ "ept", "cpuid:pku" },
};

static bool word_matches(const char *pattern, const char *word, size_t len)
{
	size_t pattern_len = strlen(pattern);

	if (pattern_len && pattern[pattern_len - 1] == '*')
		return len >= pattern_len - 1 && !strncmp(pattern, word, pattern_len - 1);
	return len == pattern_len && !strncmp(pattern, word, len);
}

/* "param:MODULE.NAME=..." of this parameter, or "cpuid:NAME". */
static bool word_names(const struct matrix_param *param, const char *word, size_t len)
{
	char pattern[160];

	snprintf(pattern, sizeof(pattern), "cpuid:%s", param->name);
	if (word_matches(pattern, word, len))
		return true;
	if (param->module) {
		snprintf(pattern, sizeof(pattern), "param:%s.%s=*", param->module, param->name);
		return word_matches(pattern, word, len);
	}
	snprintf(pattern, sizeof(pattern), "param:kvm_amd.%s=*", param->name);
	if (word_matches(pattern, word, len))
		return true;
	snprintf(pattern, sizeof(pattern), "param:kvm_intel.%s=*", param->name);
	return word_matches(pattern, word, len);
}

bool matrix_may_matter(const struct matrix_param *param, const char *needs)
{
	size_t i, len;

	for (needs += strspn(needs, " "); *needs; needs += len + strspn(needs + len, " ")) {
		len = strcspn(needs, " ");
		if (word_names(param, needs, len))
			return true;
		for (i = 0; i < sizeof(effects) / sizeof(effects[0]); i++)
			if (!strcmp(effects[i].param, param->name) && word_matches(effects[i].need, needs, len))
				return true;
	}
	return false;
}

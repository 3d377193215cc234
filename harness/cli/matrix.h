/* SPDX-License-Identifier: MIT */
/*
 * A matrix of module parameters, "npt=0,1:kvm.ignore_msrs=0,1": every combination of their values.
 *
 * A name without a module is of the KVM module that the lab tests.
 */
#ifndef VMASSAY_MATRIX_H
#define VMASSAY_MATRIX_H

#include "lab/strlist.h"

struct err;

struct matrix_param {
	char *module;		/* NULL: the lab's */
	char *name;
	struct strlist values;	/* one at least */
};

/* All zero has no parameter and one combination, the empty one. */
struct matrix {
	struct matrix_param *params;
	size_t nr_params;
};

/* More combinations than anybody waits for. */
#define MATRIX_MAX 64

/* -EINVAL names what is wrong in @text; @matrix is empty then. */
int matrix_parse(struct matrix *matrix, const char *text, struct err *err);
void matrix_free(struct matrix *matrix);

/*
 * Combinations are numbered from 0; in the next one the last parameter has its next value.
 */
size_t matrix_nr_combinations(const struct matrix *matrix);
const char *matrix_value(const struct matrix *matrix, size_t combination, size_t param);

/* Adds a word "module.name=value" for each parameter; @module: the lab's. */
void matrix_add_words(const struct matrix *matrix, size_t combination, const char *module, struct strlist *words);

/* "npt=0,kvm.ignore_msrs=1", malloced; NULL without memory. */
char *matrix_label(const struct matrix *matrix, size_t combination);

/* The one parameter in which the two combinations differ; NULL when there is none or there are several. */
const struct matrix_param *matrix_difference(const struct matrix *matrix, size_t one, size_t other);

/*
 * True when a test with these needs may well have another result under another value of the parameter: it names the
 * parameter, or something that the parameter is known to offer or take away.
 */
bool matrix_may_matter(const struct matrix_param *param, const char *needs);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The tests this program holds: cases x rows x modes, with their names, and the guest images that belong to them.
 */
#ifndef VMASSAY_REGISTRY_H
#define VMASSAY_REGISTRY_H

#include "case.h"

struct err;

/* What mkguest registers for each width of a case. */
struct guest_image {
	const char *file;
	uint64_t width;
	const void *start;
	uint64_t len_bytes;
};

struct test_entry {
	char *name;		/* area.case[.row][.mode] */
	char *area;
	const char *file;	/* cases/area/case.c */
	const struct case_desc *desc;
	unsigned int row;
	unsigned int mode;	/* one bit or NO_GUEST */
	const struct guest_image *image;	/* NULL: NO_GUEST */
};

struct registry {
	struct test_entry *tests;	/* sorted by name */
	size_t nr_tests;
};

/*
 * Reads the cases linked into the program. Refuses an empty table, a name used twice, an id that is not its file's
 * name, a mode without a guest image, a row without a label or without a mode, and a kernel range that is none.
 */
int registry_open(struct registry *registry, struct err *err);

/* The same for a table of the caller's, which the registry borrows. */
int registry_open_cases(struct registry *registry, const struct case_desc *const *cases, size_t nr_cases,
			struct err *err);
void registry_close(struct registry *registry);

/* The test of that whole name; NULL when there is none. */
const struct test_entry *registry_find(const struct registry *registry, const char *name);

/* The needs of the case and of the row, and what the mode implies, as one string in @buf. */
void test_entry_needs(const struct test_entry *entry, char *buf, size_t len_bytes);

/* The row's known divergence, else the case's; NULL when there is none. */
const struct known *test_entry_known(const struct test_entry *entry);

/* The test that runs first and decides whether others can; NULL when the program has none. */
const struct test_entry *registry_canary(const struct registry *registry);

const struct row_head *test_entry_row(const struct test_entry *entry);

/*
 * NULL: there is none. Note, the search touches a name in every guest of the program, many MB apart; a test has what it
 * needs in test_entry.image.
 */
const struct guest_image *guest_image_find(const char *file, unsigned int mode);

#endif

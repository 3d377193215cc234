/* SPDX-License-Identifier: MIT */
/*
 * The tables in the suites' README files: a generated part between two lines of its own in a file that is written by
 * hand otherwise. Beside it, the lines "PATTERN: reason" of "left_out" say which names have no test, and why.
 *
 *	<!-- table ioctls: vmassay tables write -->
 *	...
 *	<!-- end of table -->
 */
#ifndef VMASSAY_README_H
#define VMASSAY_README_H

#include "tables/table.h"

struct err;

/* Replaces the table's part of ROOT/FOLDER/README.md. 0 or -errno: then the file is as it was. */
int readme_write(const char *root, const struct table *table, struct err *err);

/*
 * Judges the tables @descs (the end has no id) that the files have: a row for each name of the headers, in each row
 * tests that there are, or a reason why there are none; no reason that no row needs. Prints a line for each defect to
 * @file and returns their number, or -errno when a file cannot be read.
 */
int readme_check(const char *root, const struct table_desc *descs, const struct registry *registry, FILE *file,
		 struct err *err);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Kernel modules: which files a module needs, in which order, and with which parameters.
 *
 * Names are compared as the kernel does: "-" and "_" are the same character.
 */
#ifndef VMASSAY_LAB_MODULES_H
#define VMASSAY_LAB_MODULES_H

#include <stdbool.h>

#include "lab/strlist.h"

struct err;

/*
 * Adds to @paths the files that loading module @name takes, dependencies first, as @folder's
 * modules.dep has them. A module that modules.builtin lists takes none.
 */
int modules_find(struct strlist *paths, const char *folder, const char *name, struct err *err);

/*
 * Sorts "module.name=value" words: @lines gets one line for each of @paths, the file's base name
 * and its parameters behind it, @command_line gets the words for modules that are not in @paths.
 * A word in @params replaces one for the same parameter in @defaults; either may be NULL.
 */
int modules_apply_params(const struct strlist *paths, const char *const *defaults,
			 const char *const *params, struct strlist *lines,
			 struct strlist *command_line, struct err *err);

/* True for a file that the kernel has to decompress itself (MODULE_INIT_COMPRESSED_FILE). */
bool module_is_compressed(const char *path);

#endif

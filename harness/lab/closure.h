/* SPDX-License-Identifier: MIT */
/*
 * Everything this very program needs to run somewhere else: its own file, its ELF interpreter and
 * every shared object that is loaded into it now, so also a sanitizer's runtime, a preloaded
 * library and what dlopen() brought. Files that the program opens as data are not part of it.
 */
#ifndef VMASSAY_LAB_CLOSURE_H
#define VMASSAY_LAB_CLOSURE_H

#include "lab/strlist.h"

struct archive;
struct err;

struct closure {
	char *program;		/* absolute path of this program */
	char *program_file;	/* what to read it from: it may have been rebuilt or deleted since */
	char *interpreter;	/* PT_INTERP; NULL in a static program */
	/* What to read that from: the one that is loaded, which in a bundle stands elsewhere. */
	char *interpreter_file;
	struct strlist objects;	/* absolute paths as loaded, in load order, interpreter included */
	/*
	 * The objects' folders, each once, for LD_LIBRARY_PATH or the interpreter's
	 * --library-path: elsewhere there is no ld.so.cache, and without /proc no $ORIGIN.
	 */
	struct strlist folders;
};

/* @ret is untouched on failure; closure_free() it otherwise. */
int closure_find(struct closure *ret, struct err *err);

/*
 * Adds the program, interpreter and objects to @archive, at the paths they have here. A program
 * rebuilt or deleted since it was started is still packed as it was started.
 */
int closure_pack(const struct closure *closure, struct archive *archive, struct err *err);

/*
 * The same, flat: the program as "bin/vmassay", interpreter and objects in "lib" by their last
 * names. Below the archive's root it needs nothing of the machine but its kernel.
 */
int closure_pack_flat(const struct closure *closure, struct archive *archive, struct err *err);

/* Accepts a struct that is all zero. */
void closure_free(struct closure *closure);

#endif

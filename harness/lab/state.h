/* SPDX-License-Identifier: MIT */
/*
 * The machines that labs have saved, each at the point where process 1 waits for the command's
 * words: folders in $XDG_CACHE_HOME/vmassay/state (or ~/.cache). A folder's name is a hash of the
 * key, which says all that the machine was made of; the key itself lies in it.
 *
 * Runs at the same time do not disturb each other: a folder appears complete, by a rename, and a
 * run that has opened its files keeps them when another one removes it.
 */
#ifndef VMASSAY_LAB_STATE_H
#define VMASSAY_LAB_STATE_H

#include <stdbool.h>
#include <stdint.h>

struct err;

/* So many are kept; the longest unused go first. */
#define STATE_MAX 8

struct state {
	char *key;
	char *folder;		/* where it is or would be */
	char *new_folder;	/* where it is being written; NULL: it is not */
};

/* Of everything that can be read at @path, from its start. Returns 0 or -errno. */
int state_hash_file(uint64_t *ret, const char *path);

/*
 * Names the state with @key (lines of text). Nothing is written. Returns 0, -ENOENT where there is
 * no home for a cache, or -ENOMEM; @ret is untouched then. state_close() it.
 */
int state_open(struct state *ret, const char *key);

/* True when it can be resumed; it counts as used now. */
bool state_is_there(const struct state *state);

/* Makes the new folder. Returns 0 or -errno with a line. */
int state_begin(struct state *state, struct err *err);

/*
 * The new folder's files are complete: puts it in place and removes what is over STATE_MAX. If
 * another run was faster, its state is the one that stays. Returns 0 or -errno with a line.
 */
int state_keep(struct state *state, struct err *err);

/* Removes it: it cannot be resumed. */
void state_remove(const struct state *state);

/* A new folder that was not kept is removed. Accepts a struct that is all zero. */
void state_close(struct state *state);

#endif

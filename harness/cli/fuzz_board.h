/* SPDX-License-Identifier: MIT */
/*
 * What the labs of one campaign know together, each a process: places of the kernel that any has met, kinds of findings
 * that any has made, and how far each is. It is memory that they share from before they are forked.
 */
#ifndef VMASSAY_CLI_FUZZ_BOARD_H
#define VMASSAY_CLI_FUZZ_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOARD_MAX_LABS 64
#define BOARD_MAX_KINDS 256
#define BOARD_PLACES_BYTES (64u << 20)	/* of the kernel's image */

struct fuzz_board;

/* Of one lab, or of all. */
struct board_totals {
	uint64_t inputs, deaths;
	double seconds;			/* of running inputs */
	uint64_t kept;			/* inputs, by this campaign */
};

struct fuzz_board *fuzz_board_new(void);	/* NULL: no memory */
void fuzz_board_free(struct fuzz_board *board);	/* NULL is fine */

/* True for the first that met it; false for what is outside the kernel's image. */
bool fuzz_board_place(struct fuzz_board *board, uint64_t offset);
/* The first at @offset or behind it; BOARD_PLACES_BYTES: there is none. */
uint64_t fuzz_board_next_place(const struct fuzz_board *board, uint64_t offset);
uint64_t fuzz_board_nr_places(const struct fuzz_board *board);

/* True for the first of a kind of violations; false when there are too many. */
bool fuzz_board_kind(struct fuzz_board *board, uint64_t kind);
/* Copies BOARD_MAX_KINDS at most; returns how many. */
size_t fuzz_board_kinds(struct fuzz_board *board, uint64_t *kinds);

void fuzz_board_tell(struct fuzz_board *board, unsigned int lab, const struct board_totals *totals);
/* Of all labs; seconds are those of the one that ran longest. */
struct board_totals fuzz_board_sum(const struct fuzz_board *board);

#endif

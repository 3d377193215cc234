/* SPDX-License-Identifier: MIT */
/*
 * The command's words on their way into a lab, over a serial port whose receiver holds only so much.
 *
 * The inside asks for each piece with LAB_LINE_NEXT; a piece is a head, its length and checksum in
 * hexadecimal, and as many bytes. The words follow each other, each ended by a NUL; an empty piece
 * ends them.
 */
#ifndef VMASSAY_LAB_WORDS_H
#define VMASSAY_LAB_WORDS_H

#include <stddef.h>

struct strlist;

enum {
	WORDS_HEAD_BYTES = sizeof("0000 00000000\n") - 1,
	/* Less than what a terminal keeps for a reader (N_TTY_BUF_SIZE, 4096). */
	WORDS_PIECE_MAX_BYTES = 3072,
};

/* The outer half. All zero has no words. */
struct words {
	char *bytes;
	size_t len_bytes;
	size_t sent_bytes;
};

/* @argv is NULL-terminated. Returns 0 or -ENOMEM with @ret untouched; words_free() it. */
int words_pack(struct words *ret, const char *const *argv);

/* Fills @piece with what the next piece is; returns its length with the head. */
size_t words_next(struct words *words, char piece[WORDS_HEAD_BYTES + WORDS_PIECE_MAX_BYTES]);

void words_free(struct words *words);

/*
 * The inner half: asks on @fd for every piece and adds the words to @ret. Returns 0, -EBADMSG for
 * bytes that were damaged on the way, -EPIPE for an end before the last piece, -ENODATA for no
 * words, or another -errno.
 */
int words_receive(struct strlist *ret, int fd);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Two ends for a stream of bytes that arrives in pieces: one that makes lines of it, and one that
 * only keeps its end, to be quoted when the sender has died.
 */
#ifndef VMASSAY_LAB_STREAM_H
#define VMASSAY_LAB_STREAM_H

#include <stddef.h>
#include <stdint.h>

/* All zero is empty. */
struct line_buffer {
	char *bytes;
	size_t len_bytes;
	size_t size_bytes;
};

/*
 * Takes a piece and calls @on_line for each line it completes, without newline. What has no newline
 * yet waits. Returns 0, -ENOMEM, or -E2BIG for a line without end; bytes were lost then.
 */
int line_buffer_feed(struct line_buffer *lines, const char *bytes, size_t len_bytes,
		     void (*on_line)(void *context, const char *line), void *context);
void line_buffer_free(struct line_buffer *lines);

/* All zero is empty. */
struct tail {
	char bytes[16384];	/* the last @len_bytes that came, oldest first */
	size_t len_bytes;
	uint64_t nr_bytes;	/* that ever came */
};

void tail_feed(struct tail *tail, const char *bytes, size_t len_bytes);

/*
 * The text that came since @nr_bytes was @then, as far as it is kept, malloced; control characters and blank lines are
 * left out. NULL only when out of memory.
 */
char *tail_since(const struct tail *tail, uint64_t then);

/*
 * Appends to the string in @text the tail's most telling lines, " | " between them: those that
 * name a kernel's bug or panic, and the last @nr_lines. Control characters are left out. Nothing
 * is appended when there are no lines.
 */
void tail_quote(const struct tail *tail, unsigned int nr_lines, const char *title, char *text,
		size_t size_bytes);

#endif

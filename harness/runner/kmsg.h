/* SPDX-License-Identifier: MIT */
/*
 * The log of the running kernel, from now on, as text: what it says while tests run. Lines that programs wrote into it
 * are left out.
 *
 * Source: Documentation/ABI/testing/dev-kmsg.
 */
#ifndef VMASSAY_KMSG_H
#define VMASSAY_KMSG_H

#include <stddef.h>
#include <stdint.h>

struct kmsg {
	int fd;			/* -1: it cannot be read here */
	char *text;		/* lines with their time before them; NULL: none */
	size_t len_bytes;
	uint64_t start;		/* how much was forgotten before @text, in bytes */
};

/*
 * Begins to listen to @path, /dev/kmsg or what behaves like it: nothing that was said before is told. Where that is
 * not possible, or @path is NULL, there is never any text.
 */
void kmsg_open(struct kmsg *kmsg, const char *path);

/* Takes what has been said since. */
void kmsg_read(struct kmsg *kmsg);

/* Where in the log we are: for kmsg_since(). Counts only what was read. */
uint64_t kmsg_now(const struct kmsg *kmsg);

/* The text that was read since then, borrowed until the next call; "" when there is none. */
const char *kmsg_since(const struct kmsg *kmsg, uint64_t then);

/* Nobody will ask for what was read until @then. */
void kmsg_forget(struct kmsg *kmsg, uint64_t then);

void kmsg_close(struct kmsg *kmsg);

/* A record, as a read of /dev/kmsg gives it, as a line of text. 0, or -EINVAL for one that is not the kernel's. */
int kmsg_format(const char *record, char *line, size_t size_bytes);

#endif

/* SPDX-License-Identifier: MIT */
#include "lab/stream.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_log.h"

/* No writer of ours comes near it; it ends the growth for one who lost its newlines. */
static const size_t line_max = 64 << 20;

static int append(struct line_buffer *lines, const char *bytes, size_t len_bytes)
{
	size_t need = lines->len_bytes + len_bytes + 1;

	if (need > line_max) {
		lines->len_bytes = 0;
		return -E2BIG;
	}
	if (need > lines->size_bytes) {
		char *grown = realloc(lines->bytes, 2 * need);

		if (!grown)
			return -ENOMEM;
		lines->bytes = grown;
		lines->size_bytes = 2 * need;
	}
	memcpy(lines->bytes + lines->len_bytes, bytes, len_bytes);
	lines->len_bytes += len_bytes;
	lines->bytes[lines->len_bytes] = '\0';
	return 0;
}

int line_buffer_feed(struct line_buffer *lines, const char *bytes, size_t len_bytes,
		     void (*on_line)(void *context, const char *line), void *context)
{
	while (len_bytes) {
		const char *newline = memchr(bytes, '\n', len_bytes);
		size_t part = newline ? (size_t)(newline - bytes) : len_bytes;
		int status = append(lines, bytes, part);

		if (status)
			return status;
		if (newline) {
			lines->len_bytes = 0;
			on_line(context, lines->bytes);
			part++;
		}
		bytes += part;
		len_bytes -= part;
	}
	return 0;
}

void line_buffer_free(struct line_buffer *lines)
{
	free(lines->bytes);
	*lines = (struct line_buffer){ 0 };
}

void tail_feed(struct tail *tail, const char *bytes, size_t len_bytes)
{
	size_t keep = tail->len_bytes;

	tail->nr_bytes += len_bytes;
	if (len_bytes > sizeof(tail->bytes)) {
		bytes += len_bytes - sizeof(tail->bytes);
		len_bytes = sizeof(tail->bytes);
	}
	if (keep > sizeof(tail->bytes) - len_bytes)
		keep = sizeof(tail->bytes) - len_bytes;
	memmove(tail->bytes, tail->bytes + tail->len_bytes - keep, keep);
	memcpy(tail->bytes + keep, bytes, len_bytes);
	tail->len_bytes = keep + len_bytes;
}

/* Copies what can be shown; returns the number of lines that leaves, blank ones not counted. */
static unsigned int copy_printable(const struct tail *tail, size_t from, char *copy)
{
	unsigned int nr_lines = 0;
	bool is_blank = true;

	for (size_t i = from; i < tail->len_bytes; i++) {
		char c = tail->bytes[i] == '\t' ? ' ' : tail->bytes[i];

		if (c == '\n' && !is_blank) {
			*copy++ = '\n';
			is_blank = true;
		} else if (c >= ' ' && c <= '~') {
			if (is_blank && c != ' ')
				nr_lines++;
			is_blank = is_blank && c == ' ';
			*copy++ = c;
		}
	}
	*copy = '\0';
	return nr_lines;
}

char *tail_since(const struct tail *tail, uint64_t then)
{
	char *copy = malloc(sizeof(tail->bytes) + 1);
	uint64_t nr_new = then < tail->nr_bytes ? tail->nr_bytes - then : 0;

	if (copy)
		copy_printable(tail, nr_new < tail->len_bytes ? tail->len_bytes - nr_new : 0, copy);
	return copy;
}

static bool is_telling(const char *line)
{
	/* Beside the kernel's own reports: where one was met, what our program says, and Bochs. */
	static const char *const signs[] = {
		"RIP: 0010:", "Sanitizer: ", "runtime error: ", ">>PANIC<< ",
	};

	if (kernel_line_report(line))
		return true;
	for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++) {
		if (strstr(line, signs[i]))
			return true;
	}
	return false;
}

static void append_text(char *text, size_t size_bytes, const char *before, const char *string)
{
	size_t len = strlen(text);

	snprintf(text + len, size_bytes - len, "%s%s", before, string);
}

void tail_quote(const struct tail *tail, unsigned int nr_lines, const char *title, char *text,
		size_t size_bytes)
{
	char copy[sizeof(tail->bytes) + 1];
	unsigned int nr_left = copy_printable(tail, 0, copy);
	const char *before = title;
	char *rest = NULL;

	for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (nr_left-- > nr_lines && !is_telling(line))
			continue;
		append_text(text, size_bytes, before, line + strspn(line, " "));
		before = " | ";
	}
}

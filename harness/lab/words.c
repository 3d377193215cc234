/* SPDX-License-Identifier: MIT */
#include "lab/words.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab/contract.h"
#include "lab/strlist.h"

/* FNV-1a: against bytes that a port lost or changed, not against people. */
static uint32_t checksum(const char *bytes, size_t len_bytes)
{
	uint32_t sum = 2166136261;

	for (size_t i = 0; i < len_bytes; i++)
		sum = (sum ^ (unsigned char)bytes[i]) * 16777619;
	return sum;
}

int words_pack(struct words *ret, const char *const *argv)
{
	size_t len = 0;
	char *bytes;
	char *end;

	for (size_t i = 0; argv[i]; i++)
		len += strlen(argv[i]) + 1;
	bytes = malloc(len + 1);
	if (!bytes)
		return -ENOMEM;
	end = bytes;
	for (size_t i = 0; argv[i]; i++)
		end = stpcpy(end, argv[i]) + 1;
	*ret = (struct words){ .bytes = bytes, .len_bytes = len };
	return 0;
}

size_t words_next(struct words *words, char piece[WORDS_HEAD_BYTES + WORDS_PIECE_MAX_BYTES])
{
	const char *bytes = words->bytes + words->sent_bytes;
	size_t len = words->len_bytes - words->sent_bytes;
	char head[WORDS_HEAD_BYTES + 1];

	if (len > WORDS_PIECE_MAX_BYTES)
		len = WORDS_PIECE_MAX_BYTES;
	snprintf(head, sizeof(head), "%04x %08x\n", (unsigned int)(len & 0xffff),
		 checksum(bytes, len));
	memcpy(piece, head, WORDS_HEAD_BYTES);
	memcpy(piece + WORDS_HEAD_BYTES, bytes, len);
	words->sent_bytes += len;
	return WORDS_HEAD_BYTES + len;
}

void words_free(struct words *words)
{
	free(words->bytes);
	*words = (struct words){ 0 };
}

static int read_all(int fd, char *bytes, size_t len_bytes)
{
	while (len_bytes) {
		ssize_t len = read(fd, bytes, len_bytes);

		if (len < 0 && errno == EINTR)
			continue;
		if (len <= 0)
			return len ? -errno : -EPIPE;
		bytes += len;
		len_bytes -= len;
	}
	return 0;
}

/* Returns the piece's length, 0 for the last one, or -errno. */
static ssize_t receive_piece(int fd, char piece[WORDS_PIECE_MAX_BYTES])
{
	char head[WORDS_HEAD_BYTES + 1] = "";
	unsigned int sum, len;
	int end = 0;
	int status;

	if (dprintf(fd, LAB_LINE_NEXT "\n") < 0)
		return -errno;
	status = read_all(fd, head, WORDS_HEAD_BYTES);
	if (status)
		return status;
	if (sscanf(head, "%4x %8x\n%n", &len, &sum, &end) != 2 || end != WORDS_HEAD_BYTES ||
	    len > WORDS_PIECE_MAX_BYTES)
		return -EBADMSG;
	status = read_all(fd, piece, len);
	if (status)
		return status;
	return sum == checksum(piece, len) ? (ssize_t)len : -EBADMSG;
}

static int add_words(struct strlist *list, const char *bytes, size_t len_bytes)
{
	const char *end = bytes + len_bytes;

	if (len_bytes && end[-1])
		return -EBADMSG;
	for (; bytes < end; bytes += strlen(bytes) + 1)
		strlist_add(list, bytes);
	if (list->error)
		return list->error;
	return list->nr ? 0 : -ENODATA;
}

int words_receive(struct strlist *ret, int fd)
{
	char piece[WORDS_PIECE_MAX_BYTES];
	size_t len_bytes = 0;
	char *bytes = NULL;
	ssize_t len;

	while ((len = receive_piece(fd, piece)) > 0) {
		char *grown = realloc(bytes, len_bytes + len);

		if (!grown) {
			len = -ENOMEM;
			break;
		}
		bytes = grown;
		memcpy(bytes + len_bytes, piece, len);
		len_bytes += len;
	}
	if (!len)
		len = add_words(ret, bytes, len_bytes);
	free(bytes);
	return len;
}

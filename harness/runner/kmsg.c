/* SPDX-License-Identifier: MIT */
#include "runner/kmsg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_RECORD_BYTES 8192	/* CONSOLE_EXT_LOG_MAX */
#define MAX_TEXT_BYTES (4 << 20)	/* of tests that run at once and say more than anyone reads */

void kmsg_open(struct kmsg *kmsg, const char *path)
{
	*kmsg = (struct kmsg){ .fd = path ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1 };
	if (kmsg->fd >= 0)
		lseek(kmsg->fd, 0, SEEK_END);
}

void kmsg_close(struct kmsg *kmsg)
{
	if (kmsg->fd >= 0)
		close(kmsg->fd);
	free(kmsg->text);
	*kmsg = (struct kmsg){ .fd = -1 };
}

int kmsg_format(const char *record, char *line, size_t size_bytes)
{
	unsigned int priority;
	unsigned long long sequence, time_us;
	const char *text = strchr(record, ';');

	if (!text || sscanf(record, "%u,%llu,%llu,", &priority, &sequence, &time_us) != 3)
		return -EINVAL;
	/* Facility 0 is the kernel, and nobody else can have it. */
	if (priority >> 3)
		return -EINVAL;
	text++;
	/* What follows in lines of its own are properties of the record. */
	snprintf(line, size_bytes, "[%5llu.%06llu] %.*s\n", time_us / 1000000, time_us % 1000000,
		 (int)strcspn(text, "\n"), text);
	return 0;
}

static void text_add(struct kmsg *kmsg, const char *line)
{
	size_t len = strlen(line);
	char *grown;

	if (kmsg->len_bytes + len > MAX_TEXT_BYTES)
		return;
	grown = realloc(kmsg->text, kmsg->len_bytes + len + 1);
	if (!grown)
		return;
	memcpy(grown + kmsg->len_bytes, line, len + 1);
	kmsg->text = grown;
	kmsg->len_bytes += len;
}

void kmsg_read(struct kmsg *kmsg)
{
	char record[MAX_RECORD_BYTES + 1], line[MAX_RECORD_BYTES + 64];
	ssize_t len;

	while (kmsg->fd >= 0) {
		len = read(kmsg->fd, record, sizeof(record) - 1);
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0 && errno == EPIPE) {
			text_add(kmsg, "... lines were lost, the log is too small ...\n");
			continue;
		}
		if (len <= 0)
			return;
		record[len] = '\0';
		if (!kmsg_format(record, line, sizeof(line)))
			text_add(kmsg, line);
	}
}

uint64_t kmsg_now(const struct kmsg *kmsg)
{
	return kmsg->start + kmsg->len_bytes;
}

const char *kmsg_since(const struct kmsg *kmsg, uint64_t then)
{
	if (!kmsg->len_bytes || then >= kmsg_now(kmsg))
		return "";
	return kmsg->text + (then > kmsg->start ? then - kmsg->start : 0);
}

void kmsg_forget(struct kmsg *kmsg, uint64_t then)
{
	size_t len = strlen(kmsg_since(kmsg, then));

	if (len)
		memmove(kmsg->text, kmsg->text + kmsg->len_bytes - len, len + 1);
	kmsg->start += kmsg->len_bytes - len;
	kmsg->len_bytes = len;
}

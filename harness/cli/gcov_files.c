/* SPDX-License-Identifier: MIT */
#include "cli/gcov_files.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "folder.h"
#include "reports/json_add.h"

#define GCOV_ROOT "/sys/kernel/debug/gcov"

/* --- inside --- */

/* debugfs tells no size: reads until the end. NULL when it cannot. */
static char *file_to_hex(const char *path)
{
	static const char digits[] = "0123456789abcdef";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *hex = NULL;
	size_t len = 0;
	ssize_t nr = -1;

	while (fd >= 0) {
		unsigned char bytes[4096];
		char *grown = realloc(hex, len + 2 * sizeof(bytes) + 1);

		if (!grown)
			break;
		hex = grown;
		nr = read(fd, bytes, sizeof(bytes));
		if (nr <= 0)
			break;
		for (ssize_t i = 0; i < nr; i++) {
			hex[len++] = digits[bytes[i] >> 4];
			hex[len++] = digits[bytes[i] & 15];
		}
	}
	if (fd >= 0)
		close(fd);
	if (nr) {
		free(hex);
		return NULL;
	}
	hex[len] = '\0';
	return hex;
}

static int send_file(int fd, const char *path)
{
	char *hex = file_to_hex(path);

	if (!hex)
		return -EIO;
	dprintf(fd, "{\"type\":\"gcov\",\"path\":\"%s\",\"hex\":\"%s\"}\n", path + strlen(GCOV_ROOT "/"), hex);
	free(hex);
	return 0;
}

static bool is_counters(const FTSENT *entry)
{
	return entry->fts_info == FTS_F && entry->fts_namelen > 5 &&
	       !strcmp(entry->fts_name + entry->fts_namelen - 5, ".gcda");
}

int gcov_files_send(int fd, struct err *err)
{
	char *const roots[] = { GCOV_ROOT, NULL };
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	unsigned int nr_sent = 0;
	FTSENT *entry;
	int r = 0;

	while (tree && !r && (entry = fts_read(tree))) {
		if (!is_counters(entry))
			continue;
		r = send_file(fd, entry->fts_path);
		nr_sent++;
	}
	if (tree)
		fts_close(tree);
	if (!nr_sent)
		return err_set(err, ENOENT, "--gcov: nothing in " GCOV_ROOT " (a kernel for it: ci/kernel/build gcov)");
	return r ? err_set(err, -r, "--gcov: a file in " GCOV_ROOT " cannot be read") : 0;
}

/* --- outside --- */

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int write_hex(const char *path, const char *hex)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return -errno;
	for (; digit(hex[0]) >= 0 && digit(hex[1]) >= 0; hex += 2)
		putc(digit(hex[0]) << 4 | digit(hex[1]), file);
	if (fclose(file))
		return -errno;
	return *hex ? -EINVAL : 0;
}

int gcov_file_take(struct json_object *line, const char *folder, unsigned int boot, struct err *err)
{
	const char *name = json_text(line, "path");
	char path[PATH_MAX];
	int r;

	if (!*name || *name == '/' || strstr(name, "..") ||
	    snprintf(path, sizeof(path), "%s/%u/%s", folder, boot, name) >= (int)sizeof(path))
		return err_set(err, EINVAL, "gcov: '%s' is no name for a file", name);
	*strrchr(path, '/') = '\0';
	r = folder_make(path);
	path[strlen(path)] = '/';
	if (!r)
		r = write_hex(path, json_text(line, "hex"));
	return r ? err_set(err, -r, "%s: %s", path, strerror(-r)) : 0;
}

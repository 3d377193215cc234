/* SPDX-License-Identifier: MIT */
#include "folder.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

char *folder_in_cache(const char *name)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char *path;
	int len;

	/* A relative one is to be ignored. */
	if (cache && *cache == '/') {
		len = asprintf(&path, "%s/vmassay/%s", cache, name);
	} else if (home && *home == '/') {
		len = asprintf(&path, "%s/.cache/vmassay/%s", home, name);
	} else {
		errno = ENOENT;
		return NULL;
	}
	if (len >= 0)
		return path;
	errno = ENOMEM;
	return NULL;
}

int folder_make(const char *path)
{
	char part[PATH_MAX];
	const char *slash = path;

	if (strlen(path) >= sizeof(part))
		return -ENAMETOOLONG;
	do {
		slash = strchrnul(slash + 1, '/');
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		if (mkdir(part, 0777) && errno != EEXIST)
			return -errno;
	} while (*slash);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Folders: those of things that can be made again, and how any is made. */
#ifndef VMASSAY_FOLDER_H
#define VMASSAY_FOLDER_H

/*
 * The path of @name in $XDG_CACHE_HOME/vmassay or ~/.cache/vmassay, malloced; whether it exists is another matter.
 * NULL with errno: ENOENT when there is no home. Source: XDG Base Directory Specification.
 */
char *folder_in_cache(const char *name);

/* Makes @path and the folders it lies in, as far as they are missing. Returns 0 or -errno. */
int folder_make(const char *path);

#endif

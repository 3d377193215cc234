/* SPDX-License-Identifier: MIT */
/*
 * Writes an archive into a file descriptor, in one pass: cpio "newc", which the kernel unpacks as
 * its initramfs, or tar "ustar", which everybody else unpacks.
 *
 * Paths may be absolute or relative, hold "." and ".." (taken by the letter) and doubled slashes;
 * the names written have none of these. Missing parent folders are added. A path that is in the
 * archive already stays as it is. Owner is root and time is 0, so that equal contents give equal
 * archives.
 */
#ifndef VMASSAY_LAB_ARCHIVE_H
#define VMASSAY_LAB_ARCHIVE_H

#include <stddef.h>
#include <sys/types.h>

struct archive;
struct err;

enum archive_format {
	ARCHIVE_CPIO,
	ARCHIVE_USTAR,
};

/*
 * Starts an archive at @fd's present position; @fd stays the caller's. Every path goes below the
 * folder @root, or NULL for none. @ret is untouched on failure.
 */
int archive_open(struct archive **ret, enum archive_format format, int fd, const char *root,
		 struct err *err);

int archive_add_dir(struct archive *archive, const char *path, struct err *err);
int archive_add_bytes(struct archive *archive, const char *path, mode_t permissions,
		      const void *bytes, size_t len_bytes, struct err *err);
int archive_add_symlink(struct archive *archive, const char *path, const char *target,
			struct err *err);
int archive_add_char_device(struct archive *archive, const char *path, mode_t permissions,
			    unsigned int major, unsigned int minor, struct err *err);

/* The contents and permissions of the regular file @source (symbolic links are followed). */
int archive_add_file(struct archive *archive, const char *path, const char *source,
		     struct err *err);

/* Writes what ends the archive; nothing can be added afterwards. */
int archive_finish(struct archive *archive, struct err *err);

/* Accepts NULL. Note, without archive_finish() the archive is left cut short. */
void archive_free(struct archive *archive);

/*
 * Writes @path's name in the archive into @name: no leading, doubled or trailing slash, no "." and
 * no "..". Returns 0 or -ENAMETOOLONG.
 */
int archive_name(char *name, size_t size_bytes, const char *root, const char *path);

#endif

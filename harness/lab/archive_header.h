/* SPDX-License-Identifier: MIT */
/* What stands in front of an archive member's contents, in the two formats of archive.h. */
#ifndef VMASSAY_LAB_ARCHIVE_HEADER_H
#define VMASSAY_LAB_ARCHIVE_HEADER_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct archive_member {
	const char *name;
	mode_t mode;		/* type and permissions */
	uint64_t len_bytes;	/* of the contents; a symbolic link has none here */
	const char *target;	/* of a symbolic link, otherwise "" */
	unsigned int major;
	unsigned int minor;
	uint32_t inode;
};

/* A multiple of the format's unit (4 or 512 bytes), so that the contents follow at once. */
struct archive_header {
	size_t len_bytes;
	char bytes[2 * PATH_MAX + 512];
};

/* Return 0, -ENAMETOOLONG or -EFBIG (the format has no room for the number). */
int archive_header_cpio(struct archive_header *header, const struct archive_member *member);
int archive_header_ustar(struct archive_header *header, const struct archive_member *member);

#endif

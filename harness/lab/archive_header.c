/* SPDX-License-Identifier: MIT */
/*
 * Sources: cpio newc, the kernel's Documentation/driver-api/early-userspace/buffer-format.rst;
 * ustar, POSIX.1-2017, pax, "ustar Interchange Format".
 */
#include "lab/archive_header.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct ustar {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char chksum[8];
	char typeflag;
	char linkname[100];
	char magic[6];
	char version[2];
	char uname[32];
	char gname[32];
	char devmajor[8];
	char devminor[8];
	char prefix[155];
	char unused[12];
};

_Static_assert(sizeof(struct ustar) == 512, "a tar block");

/* Appends a string and zeroes up to the next multiple of four bytes. */
static void append_padded(struct archive_header *header, const char *string, size_t len_bytes)
{
	memcpy(header->bytes + header->len_bytes, string, len_bytes);
	header->len_bytes += len_bytes;
	while (header->len_bytes % 4)
		header->bytes[header->len_bytes++] = '\0';
}

int archive_header_cpio(struct archive_header *header, const struct archive_member *member)
{
	unsigned int nr_links = S_ISDIR(member->mode) ? 2 : 1;
	size_t namesize = strlen(member->name) + 1;
	size_t target_len = strlen(member->target);
	uint64_t filesize = member->len_bytes + target_len;

	if (namesize > PATH_MAX || target_len > PATH_MAX)
		return -ENAMETOOLONG;
	if (filesize > UINT32_MAX)
		return -EFBIG;
	/* magic ino mode uid gid nlink mtime filesize dev(2) rdev(2) namesize check */
	header->len_bytes = snprintf(header->bytes, sizeof(header->bytes),
				     "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08zx%08x",
				     member->inode, member->mode, 0, 0, nr_links, 0,
				     (uint32_t)filesize, 0, 0, member->major, member->minor,
				     namesize, 0);
	append_padded(header, member->name, namesize);
	append_padded(header, member->target, target_len);
	return 0;
}

/* A name over 100 bytes is cut at a slash, its front going to the prefix field. */
static int set_name(struct ustar *ustar, const char *name, bool is_dir)
{
	size_t len = strlen(name) + is_dir;
	const char *rest = name;

	if (len > sizeof(ustar->name)) {
		rest = strchr(name + len - sizeof(ustar->name) - 1, '/');
		if (!rest || (size_t)(rest - name) > sizeof(ustar->prefix))
			return -ENAMETOOLONG;
		memcpy(ustar->prefix, name, rest - name);
		rest++;
	}
	memcpy(ustar->name, rest, strlen(rest));
	if (is_dir)
		ustar->name[strlen(rest)] = '/';
	return 0;
}

/* The sum of the header's bytes while the sum's own field holds spaces. */
static void set_checksum(struct ustar *ustar)
{
	const unsigned char *bytes = (const unsigned char *)ustar;
	unsigned int sum = 0;

	memset(ustar->chksum, ' ', sizeof(ustar->chksum));
	for (size_t i = 0; i < sizeof(*ustar); i++)
		sum += bytes[i];
	snprintf(ustar->chksum, sizeof(ustar->chksum), "%06o", sum & 0777777);
}

static char typeflag_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return '5';
	case S_IFLNK:
		return '2';
	case S_IFCHR:
		return '3';
	default:
		return '0';
	}
}

int archive_header_ustar(struct archive_header *header, const struct archive_member *member)
{
	struct ustar ustar = {
		.magic = "ustar",
		.version = { '0', '0' },
		.typeflag = typeflag_of(member->mode),
	};

	if (strlen(member->target) > sizeof(ustar.linkname))
		return -ENAMETOOLONG;
	if (set_name(&ustar, member->name, S_ISDIR(member->mode)))
		return -ENAMETOOLONG;
	if (member->len_bytes > 077777777777)
		return -EFBIG;
	memcpy(ustar.linkname, member->target, strlen(member->target));
	snprintf(ustar.mode, sizeof(ustar.mode), "%07o", member->mode & 07777);
	snprintf(ustar.uid, sizeof(ustar.uid), "%07o", 0);
	snprintf(ustar.gid, sizeof(ustar.gid), "%07o", 0);
	snprintf(ustar.size, sizeof(ustar.size), "%011llo",
		 member->len_bytes & 077777777777ull);
	snprintf(ustar.mtime, sizeof(ustar.mtime), "%011o", 0);
	snprintf(ustar.devmajor, sizeof(ustar.devmajor), "%07o", member->major & 07777777);
	snprintf(ustar.devminor, sizeof(ustar.devminor), "%07o", member->minor & 07777777);
	set_checksum(&ustar);
	memcpy(header->bytes, &ustar, sizeof(ustar));
	header->len_bytes = sizeof(ustar);
	return 0;
}

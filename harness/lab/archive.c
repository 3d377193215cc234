/* SPDX-License-Identifier: MIT */
#include "lab/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "lab/archive_header.h"
#include "lab/strlist.h"

struct archive {
	enum archive_format format;
	int fd;
	uint64_t offset;	/* bytes written so far */
	uint32_t nr_inodes;
	struct strlist names;	/* every member's, parents included */
	char root[PATH_MAX];
	char name[PATH_MAX];	/* the member being added */
	char parent[PATH_MAX];
	struct archive_header header;
	char buffer[1 << 16];
};

/* Appends @path's components one by one to the @len bytes in @name; returns the new length. */
static ssize_t append_components(char *name, size_t size_bytes, size_t len, const char *path)
{
	while (*path) {
		size_t part = strcspn(path, "/");

		if (part == 2 && !memcmp(path, "..", 2)) {
			while (len && name[--len] != '/')
				;
		} else if (part && !(part == 1 && *path == '.')) {
			if (len + part + 2 > size_bytes)
				return -ENAMETOOLONG;
			if (len)
				name[len++] = '/';
			memcpy(name + len, path, part);
			len += part;
		}
		path += part + (path[part] == '/');
	}
	name[len] = '\0';
	return len;
}

int archive_name(char *name, size_t size_bytes, const char *root, const char *path)
{
	char below[PATH_MAX];
	ssize_t len;

	/* Apart, so that ".." cannot climb out of the root. */
	len = append_components(below, sizeof(below), 0, path);
	if (len < 0)
		return len;
	len = append_components(name, size_bytes, 0, root ? root : "");
	if (len < 0)
		return len;
	len = append_components(name, size_bytes, len, below);
	return len < 0 ? len : 0;
}

static int write_all(struct archive *archive, const void *bytes, size_t len_bytes,
		     struct err *err)
{
	const char *next = bytes;

	while (len_bytes) {
		ssize_t written = write(archive->fd, next, len_bytes);
		int error = errno;

		if (written < 0 && error == EINTR)
			continue;
		if (written < 0)
			return err_set(err, error, "cannot write the archive: %s",
				       strerror(error));
		next += written;
		len_bytes -= written;
		archive->offset += written;
	}
	return 0;
}

/* Zeroes up to the next multiple of @unit, a power of two, counted from the archive's start. */
static int pad_to(struct archive *archive, size_t unit, struct err *err)
{
	static const char zeroes[512];

	return write_all(archive, zeroes, -archive->offset & (unit - 1), err);
}

static int pad_member(struct archive *archive, struct err *err)
{
	return pad_to(archive, archive->format == ARCHIVE_CPIO ? 4 : 512, err);
}

static int write_header(struct archive *archive, struct archive_member *member, struct err *err)
{
	struct archive_header *header = &archive->header;
	int status;

	member->inode = ++archive->nr_inodes;
	if (archive->format == ARCHIVE_CPIO)
		status = archive_header_cpio(header, member);
	else
		status = archive_header_ustar(header, member);
	if (status)
		return err_set(err, -status, "%s: %s", member->name, strerror(-status));
	return write_all(archive, header->bytes, header->len_bytes, err);
}

/* Every folder above the last slash of @name that is not in the archive yet. */
static int add_parents(struct archive *archive, const char *name, struct err *err)
{
	struct archive_member member = {
		.name = archive->parent,
		.mode = S_IFDIR | 0755,
		.target = "",
	};

	for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		int status;

		memcpy(archive->parent, name, slash - name);
		archive->parent[slash - name] = '\0';
		if (strlist_has(&archive->names, archive->parent))
			continue;
		if (strlist_add(&archive->names, archive->parent))
			return err_set(err, ENOMEM, "out of memory");
		status = write_header(archive, &member, err);
		if (status)
			return status;
	}
	return 0;
}

/* Returns 1 when the header was written and contents may follow, 0 when @path was there already. */
static int start_member(struct archive *archive, const char *path, struct archive_member *member,
			struct err *err)
{
	int status;

	if (archive_name(archive->name, sizeof(archive->name), archive->root, path))
		return err_set(err, ENAMETOOLONG, "%s: name too long", path);
	if (!*archive->name || strlist_has(&archive->names, archive->name))
		return 0;
	status = add_parents(archive, archive->name, err);
	if (status)
		return status;
	if (strlist_add(&archive->names, archive->name))
		return err_set(err, ENOMEM, "out of memory");
	member->name = archive->name;
	status = write_header(archive, member, err);
	return status ? status : 1;
}

static int add_bodiless(struct archive *archive, const char *path, struct archive_member *member,
			struct err *err)
{
	int status = start_member(archive, path, member, err);

	return status < 0 ? status : 0;
}

int archive_open(struct archive **ret, enum archive_format format, int fd, const char *root,
		 struct err *err)
{
	struct archive *archive = calloc(1, sizeof(*archive));

	if (!archive)
		return err_set(err, ENOMEM, "out of memory");
	if (archive_name(archive->root, sizeof(archive->root), NULL, root ? root : "")) {
		free(archive);
		return err_set(err, ENAMETOOLONG, "%s: name too long", root);
	}
	archive->format = format;
	archive->fd = fd;
	*ret = archive;
	return 0;
}

int archive_add_dir(struct archive *archive, const char *path, struct err *err)
{
	struct archive_member member = { .mode = S_IFDIR | 0755, .target = "" };

	return add_bodiless(archive, path, &member, err);
}

int archive_add_bytes(struct archive *archive, const char *path, mode_t permissions,
		      const void *bytes, size_t len_bytes, struct err *err)
{
	struct archive_member member = {
		.mode = S_IFREG | (permissions & 07777),
		.len_bytes = len_bytes,
		.target = "",
	};
	int status = start_member(archive, path, &member, err);

	if (status <= 0)
		return status;
	status = write_all(archive, bytes, len_bytes, err);
	return status ? status : pad_member(archive, err);
}

int archive_add_symlink(struct archive *archive, const char *path, const char *target,
			struct err *err)
{
	struct archive_member member = { .mode = S_IFLNK | 0777, .target = target };

	return add_bodiless(archive, path, &member, err);
}

int archive_add_char_device(struct archive *archive, const char *path, mode_t permissions,
			    unsigned int major, unsigned int minor, struct err *err)
{
	struct archive_member member = {
		.mode = S_IFCHR | (permissions & 07777),
		.target = "",
		.major = major,
		.minor = minor,
	};

	return add_bodiless(archive, path, &member, err);
}

/* Exactly @len_bytes, for the header has promised them. */
static int copy_contents(struct archive *archive, int fd, uint64_t len_bytes, const char *source,
			 struct err *err)
{
	while (len_bytes) {
		size_t want = len_bytes;
		ssize_t got;
		int error;
		int status;

		if (want > sizeof(archive->buffer))
			want = sizeof(archive->buffer);
		got = read(fd, archive->buffer, want);
		error = errno;
		if (got < 0 && error == EINTR)
			continue;
		if (got < 0)
			return err_set(err, error, "%s: %s", source, strerror(error));
		if (!got)
			return err_set(err, EIO, "%s: became shorter while it was read", source);
		status = write_all(archive, archive->buffer, got, err);
		if (status)
			return status;
		len_bytes -= got;
	}
	return pad_member(archive, err);
}

static int add_open_file(struct archive *archive, const char *path, int fd, const char *source,
			 struct err *err)
{
	struct archive_member member = { .target = "" };
	struct stat stat;
	int status;

	if (fstat(fd, &stat)) {
		int error = errno;

		return err_set(err, error, "%s: %s", source, strerror(error));
	}
	if (!S_ISREG(stat.st_mode))
		return err_set(err, EINVAL, "%s: not a regular file", source);
	member.mode = S_IFREG | (stat.st_mode & 0777);
	member.len_bytes = stat.st_size;
	status = start_member(archive, path, &member, err);
	if (status <= 0)
		return status;
	return copy_contents(archive, fd, stat.st_size, source, err);
}

int archive_add_file(struct archive *archive, const char *path, const char *source,
		     struct err *err)
{
	int fd = open(source, O_RDONLY | O_CLOEXEC);
	int error = errno;
	int status;

	if (fd < 0)
		return err_set(err, error, "%s: %s", source, strerror(error));
	status = add_open_file(archive, path, fd, source, err);
	close(fd);
	return status;
}

int archive_finish(struct archive *archive, struct err *err)
{
	static const char end[2 * 512];
	struct archive_member trailer = { .name = "TRAILER!!!", .target = "" };
	int status;

	if (archive->format == ARCHIVE_CPIO)
		status = write_header(archive, &trailer, err);
	else
		status = write_all(archive, end, sizeof(end), err);
	return status ? status : pad_to(archive, 512, err);
}

void archive_free(struct archive *archive)
{
	if (!archive)
		return;
	strlist_free(&archive->names);
	free(archive);
}

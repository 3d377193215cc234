/* SPDX-License-Identifier: MIT */
/*
 * One statistic of a VM or a vCPU, by its name, through KVM_GET_STATS_FD; and debugfs's folders of VMs.
 */
#ifndef VMASSAY_STATS_H
#define VMASSAY_STATS_H

#include "case.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STAT_NAME_BYTES 128
#define KVM_FOLDER "/sys/kernel/debug/kvm"

struct stat_place {
	int fd;			/* the caller closes it */
	off_t at;		/* of the 8 bytes */
};

/* Where the statistic @name of @owner (a VM's or a vCPU's descriptor) is; there must be just one of that name. */
static inline struct stat_place stat_find(struct test *t, int owner, const char *name)
{
	struct kvm_stats_header header;
	struct {
		struct kvm_stats_desc desc;
		char name[STAT_NAME_BYTES];
	} one;
	struct stat_place place = { .fd = sys_call(t->sys, owner, KVM_GET_STATS_FD, 0) };
	uint32_t i, nr_found = 0;

	require_true(t, place.fd >= 0);
	require_result(t, sizeof(header), pread(place.fd, &header, sizeof(header), 0));
	require_true(t, header.name_size <= STAT_NAME_BYTES);
	for (i = 0; i < header.num_desc; i++) {
		size_t bytes = sizeof(one.desc) + header.name_size;

		memset(&one, 0, sizeof(one));
		require_true(t, pread(place.fd, &one, bytes, header.desc_offset + i * bytes) == (ssize_t)bytes);
		if (strcmp(one.desc.name, name))
			continue;
		nr_found++;
		place.at = header.data_offset + one.desc.offset;
	}
	test_say(t, "%s", name);
	require_eq(t, 1, nr_found);
	return place;
}

static inline uint64_t stat_get(struct test *t, int owner, const char *name)
{
	struct stat_place place = stat_find(t, owner, name);
	uint64_t value = 0;

	require_result(t, 8, pread(place.fd, &value, 8, place.at));
	close(place.fd);
	return value;
}

/* A file of debugfs: its text, a newline at its end, as a number. */
static inline uint64_t __attribute__((unused)) file_value(struct test *t, const char *path)
{
	char text[64] = "", *end;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t value;

	test_say(t, "%s", path);
	require_true(t, fd >= 0);
	require_true(t, read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	value = strtoull(text, &end, 10);
	require_true(t, end > text && !strcmp(end, "\n"));
	return value;
}

/* How many VMs of process @pid there are, as long as one holds them: by their folders, PID-FD. */
static inline unsigned int kvm_folders_of(pid_t pid)
{
	DIR *folder = opendir(KVM_FOLDER);
	const struct dirent *entry;
	unsigned int nr = 0;

	while (folder && (entry = readdir(folder)))
		nr += strtol(entry->d_name, NULL, 10) == pid && strchr(entry->d_name, '-');
	if (folder)
		closedir(folder);
	return nr;
}

#endif

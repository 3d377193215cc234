/* SPDX-License-Identifier: MIT */
/*
 * They become a private mapping of a file with their values: what is written is a copy of a page, and thrown away.
 */
#include "runner/variables.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE_BYTES 4096ul

#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#define IS_SANITIZED (__has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer))
#else
#define IS_SANITIZED 0
#endif

/* The linker's: where the initialised begin, and where the others end. */
extern char __data_start[], _end[];

static char *range(size_t *ret_len_bytes)
{
	uintptr_t start = (uintptr_t)__data_start & -PAGE_BYTES;

	*ret_len_bytes = (((uintptr_t)_end + PAGE_BYTES - 1) & -PAGE_BYTES) - start;
	return (char *)start;
}

int variables_keep(void)
{
	size_t len_bytes;
	char *start = range(&len_bytes);
	int fd, r = 0;

	/* A sanitizer's own may be among them. */
	if (IS_SANITIZED)
		return -ENOTSUP;
	fd = memfd_create("vmassay-variables", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, start, len_bytes) != (ssize_t)len_bytes)
		r = -EIO;
	else if (mmap(start, len_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED)
		r = -errno;
	close(fd);
	return r;
}

void variables_restore(void)
{
	size_t len_bytes;
	char *start = range(&len_bytes);

	madvise(start, len_bytes, MADV_DONTNEED);
}

/* SPDX-License-Identifier: MIT */
/*
 * The host's side of a slot's memory: huge pages, what the kernel says of one page, KVM's parameters while VMs run.
 */
#ifndef VMASSAY_CASES_MMU_HOST_PAGE_H
#define VMASSAY_CASES_MMU_HOST_PAGE_H

#include "case.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_BYTES 0x200000ul

/* The flags (bit KPF_x) of the page at @hva, which is there. Needs root. */
static inline uint64_t host_page_flags(struct test *t, const void *hva)
{
	int map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	int flags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0, value = 0;

	if (map < 0 || flags < 0 || pread(map, &entry, 8, (uintptr_t)hva / 4096 * 8) != 8 || !(entry >> 63) ||
	    pread(flags, &value, 8, (entry & ((1ull << 55) - 1)) * 8) != 8)
		test_error(t, "/proc/self/pagemap and /proc/kpageflags do not name the page at %p", hva);
	close(map);
	close(flags);
	return value;
}

/* @nr huge pages at an address that is a multiple of their size, zeroed; the test's end frees them. */
static inline uint8_t *host_huge_map(struct test *t, unsigned int nr)
{
	uint8_t *at = mmap(NULL, (nr + 1) * HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int i;

	require_true(t, at != MAP_FAILED);
	at = (uint8_t *)(((uintptr_t)at + HUGE_BYTES - 1) & -HUGE_BYTES);
	require_result(t, 0, madvise(at, nr * HUGE_BYTES, MADV_HUGEPAGE));
	for (i = 0; i < nr; i++) {
		at[i * HUGE_BYTES] = 0;
		if (!(host_page_flags(t, at + i * HUGE_BYTES) & 1ull << KPF_THP))
			test_error(t, "the kernel has no huge page to give");
	}
	return at;
}

/* A parameter of the module kvm. The case is .alone, and puts it back. */
struct kvm_param {
	const char *name;
	char old[32];
};

static inline long kvm_param_set_try(const char *name, const char *value)
{
	char path[128];
	long r;
	int fd;

	snprintf(path, sizeof(path), "/sys/module/kvm/parameters/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = write(fd, value, strlen(value));
	if (r < 0)
		r = -errno;
	close(fd);
	return r < 0 ? r : 0;
}

static inline void kvm_param_get(struct test *t, const char *name, char *value, size_t len_bytes)
{
	char path[128];
	ssize_t r = -1;
	int fd;

	snprintf(path, sizeof(path), "/sys/module/kvm/parameters/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		r = read(fd, value, len_bytes - 1);
	if (r <= 0)
		test_error(t, "%s: cannot be read", path);
	close(fd);
	value[strcspn(value, "\n")] = 0;
}

static inline struct kvm_param kvm_param_set(struct test *t, const char *name, const char *value)
{
	struct kvm_param param = { .name = name };

	kvm_param_get(t, name, param.old, sizeof(param.old));
	require_result(t, 0, kvm_param_set_try(name, value));
	return param;
}

static inline void kvm_param_restore(struct test *t, const struct kvm_param *param)
{
	expect_result(t, 0, kvm_param_set_try(param->name, param->old));
}

#endif

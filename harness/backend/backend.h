/* SPDX-License-Identifier: MIT */
/*
 * What answers the KVM system calls: the one interface below the vm layer.
 *
 * The kvm backend is the host's /dev/kvm; others answer in process. All of them follow the system calls' own contract,
 * with the error returned as -errno instead of through errno.
 */
#ifndef VMASSAY_BACKEND_H
#define VMASSAY_BACKEND_H

#include <stddef.h>
#include <stdint.h>

struct backend {
	const char *name;
	const char *module;	/* the kernel module whose part it plays, with defaults; NULL: the host's own */
	/* With .module: the value of a module's parameter, NULL when there is none. */
	const char *(*parameter)(const struct backend *backend, const char *module, const char *name);
	/* open("/dev/kvm", O_RDWR | O_CLOEXEC): a descriptor or -errno. */
	int (*open)(const struct backend *backend);
	/* The call's non-negative result or -errno. @argument is a pointer or a value, as the request says. */
	long (*ioctl)(const struct backend *backend, int fd, unsigned long request, uintptr_t argument);
	/* Shared, readable and writable; NULL with *@ret_error = -errno on failure. */
	void *(*mmap)(const struct backend *backend, int fd, size_t len_bytes, uint64_t offset, int *ret_error);
	int (*munmap)(const struct backend *backend, void *address, size_t len_bytes);
	int (*close)(const struct backend *backend, int fd);
};

/* The kernel's KVM behind /dev/kvm. */
const struct backend *backend_kvm(void);

/*
 * The same call as a 32-bit process makes it, whatever this one is: its result or -errno. What @argument points to lies
 * below 4 GiB, in that ABI's layout. Only where the kernel has such processes (needs: compat).
 */
long backend_kvm_ioctl32(int fd, uint32_t request, uint32_t argument);

#endif

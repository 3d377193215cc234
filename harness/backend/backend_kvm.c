/* SPDX-License-Identifier: MIT */
/* The kernel's own KVM: the only file that makes KVM's system calls. */
#include "backend/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define NR_IOCTL32 54	/* the i386 ABI's number of ioctl(2) */

static int kvm_open(const struct backend *backend)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	(void)backend;
	return fd < 0 ? -errno : fd;
}

static long kvm_ioctl(const struct backend *backend, int fd, unsigned long request, uintptr_t argument)
{
	long r = ioctl(fd, request, argument);

	(void)backend;
	return r < 0 ? -errno : r;
}

static void *kvm_mmap(const struct backend *backend, int fd, size_t len_bytes, uint64_t offset, int *ret_error)
{
	void *address = mmap(NULL, len_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);

	(void)backend;
	if (address != MAP_FAILED)
		return address;
	*ret_error = -errno;
	return NULL;
}

static int kvm_munmap(const struct backend *backend, void *address, size_t len_bytes)
{
	(void)backend;
	return munmap(address, len_bytes) ? -errno : 0;
}

static int kvm_close(const struct backend *backend, int fd)
{
	(void)backend;
	return close(fd) ? -errno : 0;
}

long backend_kvm_ioctl32(int fd, uint32_t request, uint32_t argument)
{
	long r;

	__asm__ volatile("int $0x80" : "=a"(r) : "a"(NR_IOCTL32), "b"(fd), "c"(request), "d"(argument)
			 : "memory", "cc", "r8", "r9", "r10", "r11");
	return (int32_t)r;
}

static const struct backend kvm = {
	.name = "kvm",
	.open = kvm_open,
	.ioctl = kvm_ioctl,
	.mmap = kvm_mmap,
	.munmap = kvm_munmap,
	.close = kvm_close,
};

const struct backend *backend_kvm(void)
{
	return &kvm;
}

/* SPDX-License-Identifier: MIT */
/*
 * libvmassay-kvm.so: under LD_PRELOAD, a program that opens /dev/kvm gets the self-contained hypervisor.
 *
 * The C library's calls are taken by their names; those on other files go on to the next library that has the name. One
 * hypervisor per process, made at the first open. What no name here stands for passes by: system calls that a program
 * makes itself, fopen(), close_range(), descriptors sent over a socket or kept over exec().
 */
#undef _FILE_OFFSET_BITS	/* or open() is named open64() */
#undef _FORTIFY_SOURCE		/* or it is an inline function */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "soft/soft.h"

#define EXPORT __attribute__((visibility("default")))

/* The next library's function, looked up once. */
#define NEXT(name) ({ static void *cache; (__typeof__(&name))next_find(&cache, #name); })

/* Names that the C library has for programs that are built with _FORTIFY_SOURCE. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int folder, const char *path, int flags);
int __openat64_2(int folder, const char *path, int flags);

static pthread_once_t is_made = PTHREAD_ONCE_INIT;
static struct soft *the_soft;

static void *next_find(void **cache, const char *name)
{
	void *function = __atomic_load_n(cache, __ATOMIC_ACQUIRE);

	if (function)
		return function;
	function = dlsym(RTLD_NEXT, name);
	if (!function)
		abort();	/* the C library has them all */
	__atomic_store_n(cache, function, __ATOMIC_RELEASE);
	return function;
}

static long result_of(long r)
{
	if (r >= 0)
		return r;
	errno = (int)-r;
	return -1;
}

/* --- the hypervisor --- */

static void make_soft(void)
{
	struct soft *soft;

	if (!soft_create(&soft))
		__atomic_store_n(&the_soft, soft, __ATOMIC_RELEASE);
}

/* NULL: @fd is none of its. */
static struct soft *soft_of_file(int fd)
{
	struct soft *soft = __atomic_load_n(&the_soft, __ATOMIC_ACQUIRE);

	return soft && soft_has_file(soft, fd) ? soft : NULL;
}

static bool is_kvm(const char *path)
{
	return path && !strcmp(path, "/dev/kvm");
}

static int open_kvm(int flags)
{
	const struct backend *backend;
	int fd;

	pthread_once(&is_made, make_soft);
	if (!the_soft)
		return (int)result_of(-ENOMEM);
	backend = soft_backend(the_soft);
	fd = backend->open(backend);
	if (fd >= 0 && !(flags & O_CLOEXEC))
		NEXT(fcntl)(fd, F_SETFD, 0);
	return (int)result_of(fd);
}

/* --- open --- */

static bool has_mode(int flags)
{
	return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
}

#define OPEN(name)							\
	EXPORT int name(const char *path, int flags, ...)		\
	{								\
		mode_t mode = 0;					\
		va_list list;						\
									\
		va_start(list, flags);					\
		if (has_mode(flags))					\
			mode = va_arg(list, mode_t);			\
		va_end(list);						\
		return is_kvm(path) ? open_kvm(flags) : NEXT(name)(path, flags, mode);	\
	}
OPEN(open)
OPEN(open64)

#define OPENAT(name)							\
	EXPORT int name(int folder, const char *path, int flags, ...)	\
	{								\
		mode_t mode = 0;					\
		va_list list;						\
									\
		va_start(list, flags);					\
		if (has_mode(flags))					\
			mode = va_arg(list, mode_t);			\
		va_end(list);						\
		return is_kvm(path) ? open_kvm(flags) : NEXT(name)(folder, path, flags, mode);	\
	}
OPENAT(openat)
OPENAT(openat64)

EXPORT int __open_2(const char *path, int flags)
{
	return is_kvm(path) ? open_kvm(flags) : NEXT(__open_2)(path, flags);
}

EXPORT int __open64_2(const char *path, int flags)
{
	return is_kvm(path) ? open_kvm(flags) : NEXT(__open64_2)(path, flags);
}

EXPORT int __openat_2(int folder, const char *path, int flags)
{
	return is_kvm(path) ? open_kvm(flags) : NEXT(__openat_2)(folder, path, flags);
}

EXPORT int __openat64_2(int folder, const char *path, int flags)
{
	return is_kvm(path) ? open_kvm(flags) : NEXT(__openat64_2)(folder, path, flags);
}

/* --- ioctl, mmap --- */

EXPORT int ioctl(int fd, unsigned long request, ...)
{
	struct soft *soft = soft_of_file(fd);
	uintptr_t argument;
	va_list list;

	va_start(list, request);
	argument = va_arg(list, uintptr_t);
	va_end(list);
	if (!soft)
		return NEXT(ioctl)(fd, request, argument);
	return (int)result_of(soft_backend(soft)->ioctl(soft_backend(soft), fd, request, argument));
}

static void *map_failed(void *address, size_t len_bytes, int error)
{
	munmap(address, len_bytes);
	errno = error;
	return MAP_FAILED;
}

static void *map_file(struct soft *soft, void *address, size_t len_bytes, int prot, int flags, int fd, off_t offset)
{
	const struct backend *backend = soft_backend(soft);
	int error = 0;
	void *map = backend->mmap(backend, fd, len_bytes, (uint64_t)offset, &error), *moved;

	if (!map) {
		errno = -error;
		return MAP_FAILED;
	}
	if (prot != (PROT_READ | PROT_WRITE) && mprotect(map, len_bytes, prot))
		return map_failed(map, len_bytes, errno);
	if (!(flags & MAP_FIXED))
		return map;
	moved = mremap(map, len_bytes, len_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, address);
	return moved == MAP_FAILED ? map_failed(map, len_bytes, errno) : moved;
}

EXPORT void *mmap(void *address, size_t len_bytes, int prot, int flags, int fd, off_t offset)
{
	struct soft *soft = flags & MAP_ANONYMOUS ? NULL : soft_of_file(fd);

	return soft ? map_file(soft, address, len_bytes, prot, flags, fd, offset) :
		NEXT(mmap)(address, len_bytes, prot, flags, fd, offset);
}

EXPORT void *mmap64(void *address, size_t len_bytes, int prot, int flags, int fd, off64_t offset)
{
	return mmap(address, len_bytes, prot, flags, fd, offset);
}

/* --- close, copies --- */

EXPORT int close(int fd)
{
	struct soft *soft = soft_of_file(fd);

	/* It forgets the descriptor before it comes here with it again. */
	return soft ? (int)result_of(soft_backend(soft)->close(soft_backend(soft), fd)) : NEXT(close)(fd);
}

/* Tells the hypervisor that @copy_fd, the result of a call that copies @fd, is the same file. */
static int note_copy(int fd, int copy_fd)
{
	struct soft *soft = __atomic_load_n(&the_soft, __ATOMIC_ACQUIRE);
	int r = soft && copy_fd >= 0 ? soft_copy_file(soft, fd, copy_fd) : 0;

	if (!r)
		return copy_fd;
	NEXT(close)(copy_fd);
	return (int)result_of(r);
}

EXPORT int dup(int fd)
{
	return note_copy(fd, NEXT(dup)(fd));
}

EXPORT int dup2(int fd, int copy_fd)
{
	return note_copy(fd, NEXT(dup2)(fd, copy_fd));
}

EXPORT int dup3(int fd, int copy_fd, int flags)
{
	return note_copy(fd, NEXT(dup3)(fd, copy_fd, flags));
}

#define FCNTL(name)						\
	EXPORT int name(int fd, int command, ...)		\
	{							\
		uintptr_t argument;				\
		va_list list;					\
		int r;						\
								\
		va_start(list, command);			\
		argument = va_arg(list, uintptr_t);		\
		va_end(list);					\
		r = NEXT(name)(fd, command, argument);		\
		return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? note_copy(fd, r) : r;	\
	}
FCNTL(fcntl)
FCNTL(fcntl64)

/* SPDX-License-Identifier: MIT */
#include "backend/recorder.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <unistd.h>

static const struct recorder *recorder_of(const struct backend *backend)
{
	return (const struct recorder *)backend;
}

/* False when there is no memory: a test's pointer may point nowhere, and the kernel looks at it without harm. */
static bool memory_read(void *to, uintptr_t from, size_t len_bytes)
{
	int fds[2];
	bool is_read;

	if (pipe2(fds, O_CLOEXEC))
		return false;
	is_read = write(fds[1], (const void *)from, len_bytes) == (ssize_t)len_bytes &&
		  read(fds[0], to, len_bytes) == (ssize_t)len_bytes;
	close(fds[0]);
	close(fds[1]);
	return is_read;
}

/* The capability that a call is about. */
static int64_t part_of(unsigned long request, uintptr_t argument)
{
	uint32_t cap;

	if (request == KVM_CHECK_EXTENSION && argument <= INT32_MAX)
		return argument;
	if (request == KVM_ENABLE_CAP && memory_read(&cap, argument, sizeof(cap)) && cap <= INT32_MAX)
		return cap;
	return MET_NO_PART;
}

static const char *recorder_parameter(const struct backend *backend, const char *module, const char *name)
{
	const struct backend *inner = recorder_of(backend)->inner;

	return inner->parameter(inner, module, name);
}

static int recorder_open_sys(const struct backend *backend)
{
	const struct backend *inner = recorder_of(backend)->inner;

	return inner->open(inner);
}

static long recorder_ioctl(const struct backend *backend, int fd, unsigned long request, uintptr_t argument)
{
	/* The interface gives backends that have no state. */
	struct recorder *recorder = (struct recorder *)recorder_of(backend);
	long r = recorder->inner->ioctl(recorder->inner, fd, request, argument);
	struct met_fact fact = { MET_IOCTL, request, part_of(request, argument), r < 0 ? -r : 0 };

	if (r >= 0)
		met_add(recorder->met, fact);
	else if (fact.error < RECORDER_MAX_ERRNO)
		recorder->failed[fact.error] = fact;
	return r;
}

static void *recorder_mmap(const struct backend *backend, int fd, size_t len_bytes, uint64_t offset, int *ret_error)
{
	const struct backend *inner = recorder_of(backend)->inner;

	return inner->mmap(inner, fd, len_bytes, offset, ret_error);
}

static int recorder_munmap(const struct backend *backend, void *address, size_t len_bytes)
{
	const struct backend *inner = recorder_of(backend)->inner;

	return inner->munmap(inner, address, len_bytes);
}

static int recorder_close(const struct backend *backend, int fd)
{
	const struct backend *inner = recorder_of(backend)->inner;

	return inner->close(inner, fd);
}

void recorder_open(struct recorder *recorder, const struct backend *inner, struct met *met)
{
	*recorder = (struct recorder){
		.backend = {
			.name = inner->name,
			.module = inner->module,
			.parameter = inner->module ? recorder_parameter : NULL,
			.open = recorder_open_sys,
			.ioctl = recorder_ioctl,
			.mmap = recorder_mmap,
			.munmap = recorder_munmap,
			.close = recorder_close,
		},
		.inner = inner,
		.met = met,
	};
}

void recorder_assert(struct recorder *recorder, int error)
{
	if (recorder && error > 0 && error < RECORDER_MAX_ERRNO && recorder->failed[error].error)
		met_add(recorder->met, recorder->failed[error]);
}

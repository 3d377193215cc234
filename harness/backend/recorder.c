/* SPDX-License-Identifier: MIT */
#include "backend/recorder.h"

#include <linux/kvm.h>
#include <sys/uio.h>
#include <unistd.h>

static const struct recorder *recorder_of(const struct backend *backend)
{
	return (const struct recorder *)backend;
}

/* The capability that a call is about. Note, the argument may point nowhere. */
static int64_t part_of(unsigned long request, uintptr_t argument)
{
	uint32_t cap;
	struct iovec here = { &cap, sizeof(cap) }, there = { (void *)argument, sizeof(cap) };

	if (request == KVM_CHECK_EXTENSION && argument <= INT32_MAX)
		return argument;
	if (request == KVM_ENABLE_CAP && process_vm_readv(getpid(), &here, 1, &there, 1, 0) == sizeof(cap) &&
	    cap <= INT32_MAX)
		return cap;
	return MET_NO_PART;
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

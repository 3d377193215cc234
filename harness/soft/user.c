/* SPDX-License-Identifier: MIT */
/* User space's memory, which may not be there: the kernel looks at it without harm. */
#include "soft/private.h"

#include <errno.h>
#include <setjmp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "machine/memory.h"
#include "soft/faults.h"

#define PAGE_BYTES 4096u
#define USER_END 0x7ffffffff000ull

typedef ssize_t (*transfer)(pid_t pid, const struct iovec *local, unsigned long nr_local, const struct iovec *remote,
	unsigned long nr_remote, unsigned long flags);

static int user_move(transfer move, const void *own, uintptr_t user, size_t len_bytes)
{
	struct iovec local = { (void *)(uintptr_t)own, len_bytes }, remote = { (void *)user, len_bytes };

	if (!len_bytes)
		return 0;
	return move(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)len_bytes ? 0 : -EFAULT;
}

static void probe_fail(void *escape, uintptr_t address)
{
	(void)address;
	longjmp(*(jmp_buf *)escape, 1);
}

static _Thread_local bool is_direct;

void user_direct(bool is_on)
{
	is_direct = is_on;
}

/* Where a process may have memory at all: not in the first page, and not in the kernel's half. */
static bool is_user_range(uintptr_t user, size_t len_bytes)
{
	return user >= PAGE_BYTES && user < USER_END && len_bytes <= USER_END - user;
}

/* The thread's own access, with the fault caught: a sanitizer sees it, and it is much the faster. */
static int user_copy(void *to, const void *from, size_t len_bytes)
{
	volatile bool is_copied = false;
	struct fault_watch before;
	jmp_buf escape;

	before = faults_watch(probe_fail, &escape);
	if (!setjmp(escape)) {
		memcpy(to, from, len_bytes);
		is_copied = true;
	}
	faults_watch(before.fn, before.opaque);
	return is_copied ? 0 : -EFAULT;
}

int user_read(void *to, uintptr_t from, size_t len_bytes)
{
	if (!is_direct || !len_bytes)
		return user_move(process_vm_readv, to, from, len_bytes);
	return is_user_range(from, len_bytes) ? user_copy(to, (const void *)from, len_bytes) : -EFAULT;
}

int user_write(uintptr_t to, const void *from, size_t len_bytes)
{
	if (!is_direct || !len_bytes)
		return user_move(process_vm_writev, from, to, len_bytes);
	return is_user_range(to, len_bytes) ? user_copy((void *)to, from, len_bytes) : -EFAULT;
}

/* Pages that are no memory of the kernel's, such as a device's, can only be tried. */
static MAY_RACE bool page_probe(uint8_t *page, bool is_write)
{
	jmp_buf escape;

	if (!setjmp(escape)) {
		faults_watch(probe_fail, &escape);
		if (is_write)
			__atomic_fetch_or(page, 0, __ATOMIC_RELAXED);
		else
			__atomic_load_n(page, __ATOMIC_RELAXED);
		faults_unwatch();
		return true;
	}
	faults_unwatch();
	return false;
}

/* Makes the page present as an access would. */
bool user_has_page(uintptr_t address, bool is_write)
{
	if (!madvise((void *)address, PAGE_BYTES, is_write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ))
		return true;
	return errno == EINVAL && page_probe((uint8_t *)address, is_write);
}

/* SPDX-License-Identifier: MIT */
/*
 * The self-contained hypervisor: what answers KVM's system calls in process, on the executable machine. README.md has
 * the design.
 *
 * Source: KVM API; APM vol. 2, chapter 15.
 *
 * One object is one /dev/kvm. Nothing is shared between two of them; its calls may come from several threads, as the
 * system calls may. Descriptors are real ones of the process (of /dev/null), so that numbers are unique and dup-like
 * bookkeeping is the kernel's; what they stand for is known to the object that gave them out.
 */
#ifndef VMASSAY_SOFT_H
#define VMASSAY_SOFT_H

#include <stdbool.h>

#include "backend/backend.h"

struct soft;

/* -ENOMEM; on failure *@ret_soft is untouched. */
int soft_create(struct soft **ret_soft);
/* The same without a hypervisor: the guest has the machine itself, SVM included (bare.c). */
int soft_create_bare(struct soft **ret_soft);
/* Closes all descriptors that are left; NULL is fine. */
void soft_destroy(struct soft *soft);

/*
 * For inputs that nobody wrote: KVM_RUN ends with EINTR after @max_turns short turns, and does not sleep; and the calling
 * thread's time is no clock's, but begins anew with this call and goes on with those turns, and with what vCPUs wait for.
 * User memory is accessed by the thread itself, where a sanitizer sees it, and nobody keeps what a vCPU shared longer than
 * its descriptor. 0: as before. One object at a time for each thread.
 */
void soft_bound(struct soft *soft, unsigned int max_turns);

/* What is there at the moment. */
struct soft_live {
	unsigned int nr_files, nr_vms, nr_vcpus;
	unsigned int nr_unlocked;	/* changes of a VM's lists, ever, by a thread without its lock: a bug if there are any */
};

struct soft_live soft_live(struct soft *soft);

/* Lives as long as @soft. */
const struct backend *soft_backend(const struct soft *soft);

/* True when @fd is one that @soft gave out, or a copy that it knows of. */
bool soft_has_file(struct soft *soft, int fd);
/*
 * After dup2() and the like: @copy_fd now stands for what @fd does, which may be nothing of @soft's; what it was before is
 * dropped. 0 or -ENOMEM, with @copy_fd then standing for nothing.
 */
int soft_copy_file(struct soft *soft, int fd, int copy_fd);

#endif

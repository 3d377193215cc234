/* SPDX-License-Identifier: MIT */
/*
 * Runs inputs of "ioctl" on anything that answers KVM's system calls (backend/backend.h): the soft hypervisor in this
 * process, or a kernel's /dev/kvm, which has to be a lab's.
 *
 * Every input begins with new VMs in the golden state and ends with none. On the soft hypervisor its outcome is a function
 * of the input alone: time goes on by what the input does. On a kernel what a guest does with time may differ, and a
 * guest that does not end is interrupted after a while.
 */
#ifndef VMASSAY_FUZZ_IOCTL_RUNNER_H
#define VMASSAY_FUZZ_IOCTL_RUNNER_H

#include "backend/backend.h"
#include "fuzz/input.h"
#include "fuzz/ioctl_outcome.h"

struct err;
struct ioctl_runner;
struct soft;

/*
 * @backend: what answers the calls; it outlives the runner. @soft: the object that it is of, or NULL: a kernel's. -errno
 * and a line: KVM cannot be opened, or there is no memory.
 */
int ioctl_runner_new(const struct backend *backend, struct soft *soft, struct ioctl_runner **ret, struct err *err);
void ioctl_runner_free(struct ioctl_runner *runner);	/* NULL is fine */
/* Fills *@result, with the first violation if there is one. @input is of ioctl_domain. */
void ioctl_runner_run(struct ioctl_runner *runner, const struct input *input, struct ioctl_result *result);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Event descriptors of a VM: irqfds, which raise a GSI when user space signals them, and ioeventfds, which the guest's
 * write to a place signals. There is no thread: who runs a vCPU or answers an ioctl calls irqfds_poll() first, and a
 * vCPU that waits does so with irqfds_wait_fd() among what it waits for.
 *
 * Source: KVM API, 4.59 (KVM_IOEVENTFD), 4.75 (KVM_IRQFD).
 */
#ifndef VMASSAY_SOFT_EVENTFDS_H
#define VMASSAY_SOFT_EVENTFDS_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>
#include "harness/soft/io_bus.h"
#include "harness/soft/irqchip.h"

struct irqfd;
struct ioeventfd;

/* A copy of an eventfd. -EBADF, -EINVAL: another kind of file, -EMFILE. */
int eventfd_take(int fd);

struct irqfds {
	struct irqfd *first;
	int epoll_fd;		/* -1: there were no irqfds yet; irqfds_init() */
};

struct ioeventfds {
	struct ioeventfd *first;
};

void irqfds_init(struct irqfds *irqfds);
void irqfds_clear(struct irqfds *irqfds);
/*
 * KVM_IRQFD. -EINVAL, -EBADF, -EBUSY as KVM; -ENOMEM, -EMFILE. The descriptor is duplicated: it may be closed. Other than
 * in KVM, that does not end the irqfd.
 */
int irqfds_set(struct irqfds *irqfds, struct irqchip *chip, const struct kvm_irqfd *args);
/* Raises what was signalled since the last time. Cheap when there is nothing (no irqfd: no system call). */
void irqfds_poll(struct irqfds *irqfds, struct irqchip *chip);
/* Readable when there is something for irqfds_poll(); -1: no irqfds. */
int irqfds_wait_fd(const struct irqfds *irqfds);
/* The end of @gsi's interrupt: resample irqfds lower the line and tell user space (irqchip_owner's acked). */
void irqfds_acked(struct irqfds *irqfds, struct irqchip *chip, uint32_t gsi);

void ioeventfds_clear(struct ioeventfds *ioeventfds, struct io_bus *ports, struct io_bus *memory);
/* KVM_IOEVENTFD. -EINVAL, -EBADF, -EEXIST, -ENOENT as KVM. */
int ioeventfds_set(struct ioeventfds *ioeventfds, struct io_bus *ports, struct io_bus *memory,
		   const struct kvm_ioeventfd *args);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Writes that user space may see later: those to a zone go into the ring in the vCPUs' mapping while there is room.
 *
 * Source: KVM API, 4.116 (KVM_(UN)REGISTER_COALESCED_MMIO).
 */
#ifndef VMASSAY_SOFT_COALESCED_H
#define VMASSAY_SOFT_COALESCED_H

#include <linux/kvm.h>
#include "harness/soft/io_bus.h"

struct coalesced_zone;

struct coalesced {
	struct coalesced_zone *first;
	struct kvm_coalesced_mmio_ring *ring;	/* the page at KVM_COALESCED_MMIO_PAGE_OFFSET; the owner's */
};

void coalesced_clear(struct coalesced *coalesced, struct io_bus *ports, struct io_bus *memory);
/* KVM_REGISTER_COALESCED_MMIO, KVM_UNREGISTER_COALESCED_MMIO. -EINVAL, -ENOMEM, -ENOSPC as KVM. */
int coalesced_register(struct coalesced *coalesced, struct io_bus *ports, struct io_bus *memory,
		       const struct kvm_coalesced_mmio_zone *zone);
int coalesced_unregister(struct coalesced *coalesced, struct io_bus *ports, struct io_bus *memory,
			 const struct kvm_coalesced_mmio_zone *zone);

#endif

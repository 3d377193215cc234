/* SPDX-License-Identifier: MIT */
/*
 * The pages that a vCPU dirtied, in order, in memory that user space maps: KVM API, 8.29 (KVM_CAP_DIRTY_LOG_RING). With
 * rings there are no bitmaps. The VM's lock guards all but the entries' flags, which user space changes.
 */
#ifndef VMASSAY_SOFT_DIRTY_RING_H
#define VMASSAY_SOFT_DIRTY_RING_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#define DIRTY_RING_MAX_BYTES (65536 * sizeof(struct kvm_dirty_gfn))
#define DIRTY_RING_OFFSET (KVM_DIRTY_LOG_PAGE_OFFSET * 4096ull)	/* of a vCPU's mapping */

struct soft_vm;
struct soft_vcpu;

struct soft_dirty_ring {
	struct kvm_dirty_gfn *entries;	/* shared; NULL: none */
	uint32_t nr_entries;		/* a power of two */
	uint32_t next, first;		/* free running: to be written, to be reset */
};

/* KVM_ENABLE_CAP. */
int dirty_ring_enable(struct soft_vm *vm, uint64_t len_bytes);
/* With the vCPU, where its VM has rings: 0 or -ENOMEM. */
int dirty_ring_init(struct soft_vcpu *vcpu);
void dirty_ring_free(struct soft_vcpu *vcpu);
void dirty_ring_push(struct soft_vcpu *vcpu, uint32_t slot, uint64_t page);
/* True: the guest must not go on, KVM_EXIT_DIRTY_RING_FULL. */
bool dirty_ring_is_full(const struct soft_vcpu *vcpu);

#endif

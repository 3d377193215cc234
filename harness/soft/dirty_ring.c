/* SPDX-License-Identifier: MIT */
#include "soft/dirty_ring.h"

#include <errno.h>
#include <sys/mman.h>

#include "soft/private.h"

#define MIN_BYTES 4096
#define NR_RESERVED 64		/* what a vCPU may write after it was found full */

int dirty_ring_enable(struct soft_vm *vm, uint64_t len_bytes)
{
	if (!len_bytes || len_bytes & (len_bytes - 1) || len_bytes < MIN_BYTES)
		return -EINVAL;
	if (len_bytes > DIRTY_RING_MAX_BYTES)
		return -E2BIG;
	if (vm->dirty_ring_bytes || vm->nr_vcpus)
		return -EINVAL;
	vm->dirty_ring_bytes = (uint32_t)len_bytes;
	return 0;
}

int dirty_ring_init(struct soft_vcpu *vcpu)
{
	uint32_t len_bytes = vcpu->vm->dirty_ring_bytes;
	void *entries;

	if (!len_bytes)
		return 0;
	entries = mmap(NULL, len_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (entries == MAP_FAILED)
		return -ENOMEM;
	vcpu->dirty_ring = (struct soft_dirty_ring) {
		.entries = entries, .nr_entries = len_bytes / sizeof(struct kvm_dirty_gfn),
	};
	return 0;
}

void dirty_ring_free(struct soft_vcpu *vcpu)
{
	if (vcpu->dirty_ring.entries)
		munmap(vcpu->dirty_ring.entries, vcpu->vm->dirty_ring_bytes);
}

static struct kvm_dirty_gfn *entry_of(const struct soft_dirty_ring *ring, uint32_t number)
{
	return &ring->entries[number & (ring->nr_entries - 1)];
}

void dirty_ring_push(struct soft_vcpu *vcpu, uint32_t slot, uint64_t page)
{
	struct soft_dirty_ring *ring = &vcpu->dirty_ring;
	struct kvm_dirty_gfn *entry;

	if (!ring->entries || ring->next - ring->first == ring->nr_entries)
		return;
	entry = entry_of(ring, ring->next++);
	entry->slot = slot;
	entry->offset = page;
	__atomic_store_n(&entry->flags, KVM_DIRTY_GFN_F_DIRTY, __ATOMIC_RELEASE);
}

bool dirty_ring_is_full(const struct soft_vcpu *vcpu)
{
	const struct soft_dirty_ring *ring = &vcpu->dirty_ring;

	return ring->entries && ring->next - ring->first >= ring->nr_entries - NR_RESERVED;
}

/* What user space has harvested is told again when it is written again. */
static long ring_reset(struct soft_vcpu *vcpu)
{
	struct soft_dirty_ring *ring = &vcpu->dirty_ring;
	long nr = 0;

	for (; ring->first != ring->next; ring->first++, nr++) {
		struct kvm_dirty_gfn *entry = entry_of(ring, ring->first);

		if (!(__atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE) & KVM_DIRTY_GFN_F_RESET))
			break;
		slot_page_protect(vcpu->vm, entry->slot, entry->offset);
		entry->flags = 0;
	}
	return nr;
}

static long answer_reset(struct call *call)
{
	struct soft_vm *vm = call->vm;
	unsigned int i;
	long nr = 0;

	if (!vm->dirty_ring_bytes)
		return -EINVAL;
	vm_lock(vm);
	for (i = 0; i < vm->nr_vcpus; i++)
		nr += ring_reset(vm->vcpus[i]);
	vm_unlock(vm);
	return nr;
}

const struct answer dirty_ring_answers[] = {
	{ KVM_RESET_DIRTY_RINGS, answer_reset, true },
	{ 0, NULL, false },
};

/* SPDX-License-Identifier: MIT */
/* Memory slots and their dirty logs: KVM API, 4.35 (regions), 4.8 and 4.117 (logs). */
#include "soft/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES 4096u
#define PAGE_MASK 0xfffull
#define USER_END 0x7ffffffff000ull
#define ID_BITS 16
#define ID_MASK 0xffffu
#define MAX_PAGES ((1ull << 31) - 1)

static uint64_t slot_nr_pages(const struct soft_slot *slot)
{
	return slot->len_bytes / PAGE_BYTES;
}

static size_t dirty_bytes(const struct soft_slot *slot)
{
	return (slot_nr_pages(slot) + 63) / 64 * 8;
}

int slots_init(struct soft_vm *vm)
{
	unsigned int i;
	int r = 0;

	for (i = 0; !r && i < SOFT_NR_SPACES; i++) {
		vm->spaces[i].vm = vm;
		r = npt_init(&vm->spaces[i].npt, vm);
	}
	return r;
}

struct soft_slot *slot_find(struct soft_space *space, uint64_t gpa)
{
	size_t low = 0, high = space->nr_slots;

	while (low < high) {
		struct soft_slot *slot = &space->slots[(low + high) / 2];

		if (gpa - slot->gpa < slot->len_bytes)
			return slot;
		if (gpa < slot->gpa)
			high = (size_t)(slot - space->slots);
		else
			low = (size_t)(slot - space->slots) + 1;
	}
	return NULL;
}

/* A guest that has the machine has one address space: the machine's. */
static bool id_is_valid(const struct soft_vm *vm, uint32_t id)
{
	return (id & ID_MASK) < SOFT_MAX_SLOTS && id >> ID_BITS < (vm->is_bare ? 1 : SOFT_NR_SPACES);
}

static struct soft_space *space_of_id(struct soft_vm *vm, uint32_t id)
{
	return &vm->spaces[id >> ID_BITS];
}

static struct soft_slot *slot_of_id(struct soft_vm *vm, uint32_t id)
{
	struct soft_space *space = space_of_id(vm, id);
	size_t i;

	for (i = 0; i < space->nr_slots; i++)
		if (space->slots[i].id == id)
			return &space->slots[i];
	return NULL;
}

void slot_mark_dirty(struct soft_vm *vm, struct soft_slot *slot, uint64_t gpa)
{
	uint64_t page = (gpa - slot->gpa) / PAGE_BYTES;

	if (vm->dirty_ring_bytes && vm->entered && (slot->flags & KVM_MEM_LOG_DIRTY_PAGES))
		dirty_ring_push(vm->entered, slot->id, page);
	if (slot->dirty)
		__atomic_fetch_or(&slot->dirty[page / 64], 1ull << page % 64, __ATOMIC_RELAXED);
}

/* The next page is another slot's perhaps, so a transfer is by pages. */
static int guest_move(struct soft_space *space, uint64_t gpa, void *own, size_t len_bytes, bool is_write)
{
	while (len_bytes) {
		size_t len = PAGE_BYTES - (gpa & PAGE_MASK);
		struct soft_slot *slot = slot_find(space, gpa);
		uintptr_t hva;

		if (len > len_bytes)
			len = len_bytes;
		if (!slot || (is_write && (slot->flags & KVM_MEM_READONLY)))
			return -EFAULT;
		hva = slot->hva + (gpa - slot->gpa);
		if (is_write ? user_write(hva, own, len) : user_read(own, hva, len))
			return -EFAULT;
		if (is_write) {
			slot_mark_dirty(space->vm, slot, gpa);
			machine_ram_written(space->vm->machine, slot->spa + (gpa - slot->gpa), len);
		}
		gpa += len;
		own = (uint8_t *)own + len;
		len_bytes -= len;
	}
	return 0;
}

int guest_read(struct soft_space *space, uint64_t gpa, void *to, size_t len_bytes)
{
	return guest_move(space, gpa, to, len_bytes, false);
}

int guest_write(struct soft_space *space, uint64_t gpa, const void *from, size_t len_bytes)
{
	return guest_move(space, gpa, (void *)(uintptr_t)from, len_bytes, true);
}

void *slot_page(struct soft_space *space, uint64_t gpa, bool is_write)
{
	struct soft_slot *slot = slot_find(space, gpa & ~PAGE_MASK);
	uint64_t offset;

	if (!slot || (is_write && (slot->flags & KVM_MEM_READONLY)))
		return NULL;
	offset = (gpa & ~PAGE_MASK) - slot->gpa;
	if (!user_has_page(slot->hva + offset, is_write))
		return NULL;
	if (is_write) {
		slot_mark_dirty(space->vm, slot, gpa);
		machine_ram_written(space->vm->machine, slot->spa + offset, PAGE_BYTES);
	}
	return (void *)(slot->hva + offset);
}

/* --- KVM_SET_USER_MEMORY_REGION --- */

#define GPA_END (1ull << 52)	/* APM vol. 2, 5.1: the widest physical address */

static int region_check(const struct soft_vm *vm, const struct kvm_userspace_memory_region *region)
{
	if (region->flags & ~(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY))
		return -EINVAL;
	if ((region->memory_size | region->guest_phys_addr | region->userspace_addr) & PAGE_MASK)
		return -EINVAL;
	if (region->userspace_addr > USER_END || region->memory_size > USER_END - region->userspace_addr)
		return -EINVAL;
	if (!id_is_valid(vm, region->slot) || region->memory_size / PAGE_BYTES > MAX_PAGES)
		return -EINVAL;
	return region->guest_phys_addr > GPA_END || region->memory_size > GPA_END - region->guest_phys_addr ? -EINVAL : 0;
}

static bool is_overlapping(const struct soft_space *space, const struct kvm_userspace_memory_region *region)
{
	size_t i;

	for (i = 0; i < space->nr_slots; i++) {
		const struct soft_slot *slot = &space->slots[i];

		if (slot->id != region->slot && region->guest_phys_addr < slot->gpa + slot->len_bytes &&
		    slot->gpa < region->guest_phys_addr + region->memory_size)
			return true;
	}
	return false;
}

static void slot_remove(struct soft_space *space, struct soft_slot *slot)
{
	vm_must_be_locked(space->vm);
	machine_ram_remove(space->vm->machine, slot->spa);
	free(slot->dirty);
	space->nr_slots--;
	memmove(slot, slot + 1, (size_t)(space->slots + space->nr_slots - slot) * sizeof(*slot));
	npt_zap(&space->npt);
}

/* Of the pages that there are: the rest of the last word stays clear. */
static void dirty_set_all(struct soft_slot *slot)
{
	uint64_t nr_pages = slot_nr_pages(slot);

	memset(slot->dirty, 0xff, nr_pages / 64 * 8);
	if (nr_pages % 64)
		slot->dirty[nr_pages / 64] = (1ull << nr_pages % 64) - 1;
}

static int slot_log(struct soft_vm *vm, struct soft_slot *slot)
{
	if (!(slot->flags & KVM_MEM_LOG_DIRTY_PAGES) || vm->dirty_ring_bytes) {
		free(slot->dirty);
		slot->dirty = NULL;
		return 0;
	}
	if (slot->dirty)
		return 0;
	slot->dirty = calloc(1, dirty_bytes(slot));
	if (!slot->dirty)
		return -ENOMEM;
	if (vm->manual_dirty & KVM_DIRTY_LOG_INITIALLY_SET)
		dirty_set_all(slot);
	return 0;
}

static int slot_insert(struct soft_vm *vm, struct soft_slot slot)
{
	struct soft_space *space = space_of_id(vm, slot.id);
	struct soft_slot *slots = realloc(space->slots, (space->nr_slots + 1) * sizeof(*slots));
	size_t i;
	int r;

	vm_must_be_locked(vm);
	if (!slots)
		return -ENOMEM;
	space->slots = slots;
	r = slot_log(vm, &slot);
	if (!r)
		r = machine_ram_add(vm->machine, slot.spa, slot.len_bytes, (void *)slot.hva,
			slot.flags & KVM_MEM_READONLY);
	if (r) {
		free(slot.dirty);
		return r;
	}
	for (i = space->nr_slots; i && slots[i - 1].gpa > slot.gpa; i--)
		slots[i] = slots[i - 1];
	slots[i] = slot;
	space->nr_slots++;
	return 0;
}

static int region_create(struct soft_vm *vm, const struct kvm_userspace_memory_region *region)
{
	struct soft_slot slot = {
		.id = region->slot, .flags = region->flags, .gpa = region->guest_phys_addr,
		.len_bytes = region->memory_size, .hva = region->userspace_addr, .spa = vm->is_bare ? region->guest_phys_addr : vm->next_spa,
	};
	int r;

	if (is_overlapping(space_of_id(vm, region->slot), region))
		return -EEXIST;
	r = slot_insert(vm, slot);
	if (!r)
		vm->next_spa += slot.len_bytes;
	return r;
}

static int region_move(struct soft_vm *vm, struct soft_slot *slot, const struct kvm_userspace_memory_region *region)
{
	if (is_overlapping(space_of_id(vm, region->slot), region))
		return -EEXIST;
	slot_remove(space_of_id(vm, region->slot), slot);
	return region_create(vm, region);
}

static int region_set(struct soft_vm *vm, const struct kvm_userspace_memory_region *region)
{
	struct soft_slot *slot = slot_of_id(vm, region->slot);

	if (!region->memory_size) {
		if (!slot)
			return -EINVAL;
		slot_remove(space_of_id(vm, region->slot), slot);
		return 0;
	}
	if (!slot)
		return region_create(vm, region);
	if (region->userspace_addr != slot->hva || region->memory_size != slot->len_bytes ||
	    ((region->flags ^ slot->flags) & KVM_MEM_READONLY))
		return -EINVAL;
	if (region->guest_phys_addr != slot->gpa)
		return region_move(vm, slot, region);
	if (region->flags == slot->flags)
		return 0;
	slot->flags = region->flags;
	npt_zap(&space_of_id(vm, region->slot)->npt);
	return slot_log(vm, slot);
}

static long answer_region(struct call *call)
{
	int r = region_check(call->vm, call->data);

	if (r)
		return r;
	vm_lock(call->vm);
	r = region_set(call->vm, call->data);
	vm_unlock(call->vm);
	return r;
}

/* --- logs --- */

static int slot_of_log(struct soft_vm *vm, uint32_t id, struct soft_slot **ret_slot)
{
	struct soft_slot *slot = NULL;

	if (vm->dirty_ring_bytes)
		return -ENXIO;
	if (!id_is_valid(vm, id))
		return -EINVAL;
	slot = slot_of_id(vm, id);
	if (!slot || !slot->dirty)
		return -ENOENT;
	*ret_slot = slot;
	return 0;
}

static void slot_protect(struct soft_vm *vm, const struct soft_slot *slot, uint64_t first_page, uint64_t bits)
{
	for (; bits; bits &= bits - 1)
		npt_write_protect(&space_of_id(vm, slot->id)->npt, slot->gpa + (first_page + (uint64_t)__builtin_ctzll(bits)) * PAGE_BYTES);
}

void slot_page_protect(struct soft_vm *vm, uint32_t id, uint64_t page)
{
	struct soft_slot *slot = id_is_valid(vm, id) ? slot_of_id(vm, id) : NULL;

	if (slot && page < slot_nr_pages(slot))
		slot_protect(vm, slot, page, 1);
}

static int log_get(struct soft_vm *vm, const struct kvm_dirty_log *log)
{
	struct soft_slot *slot;
	uint64_t i;
	int r = slot_of_log(vm, log->slot, &slot);

	if (r)
		return r;
	if (user_write((uintptr_t)log->dirty_bitmap, slot->dirty, dirty_bytes(slot)))
		return -EFAULT;
	if (vm->manual_dirty)
		return 0;
	for (i = 0; i < dirty_bytes(slot) / 8; i++) {
		slot_protect(vm, slot, i * 64, slot->dirty[i]);
		slot->dirty[i] = 0;
	}
	return 0;
}

static long answer_get_log(struct call *call)
{
	long r;

	vm_lock(call->vm);
	r = log_get(call->vm, call->data);
	vm_unlock(call->vm);
	return r;
}

static int log_clear(struct soft_vm *vm, const struct kvm_clear_dirty_log *log)
{
	struct soft_slot *slot;
	uint64_t nr_pages = log->num_pages, i, bits;
	int r;

	if (vm->dirty_ring_bytes)
		return -ENXIO;
	if (!id_is_valid(vm, log->slot) || log->first_page & 63)
		return -EINVAL;
	r = slot_of_log(vm, log->slot, &slot);
	if (r)
		return r;
	if (log->first_page > slot_nr_pages(slot) || nr_pages > slot_nr_pages(slot) - log->first_page ||
	    (nr_pages < slot_nr_pages(slot) - log->first_page && nr_pages & 63))
		return -EINVAL;
	for (i = 0; i < (nr_pages + 63) / 64; i++) {
		if (user_read(&bits, (uintptr_t)log->dirty_bitmap + i * 8, 8))
			return -EFAULT;
		bits &= slot->dirty[log->first_page / 64 + i];
		slot->dirty[log->first_page / 64 + i] &= ~bits;
		slot_protect(vm, slot, log->first_page + i * 64, bits);
	}
	return 0;
}

static long answer_clear_log(struct call *call)
{
	long r;

	vm_lock(call->vm);
	r = log_clear(call->vm, call->data);
	vm_unlock(call->vm);
	return r;
}

static void space_free(struct soft_space *space)
{
	size_t i;

	for (i = 0; i < space->nr_slots; i++)
		free(space->slots[i].dirty);
	free(space->slots);
}

void slots_free(struct soft_vm *vm)
{
	unsigned int i;

	for (i = 0; i < SOFT_NR_SPACES; i++)
		space_free(&vm->spaces[i]);
}

const struct answer slot_answers[] = {
	{ KVM_SET_USER_MEMORY_REGION, answer_region, false },
	{ KVM_GET_DIRTY_LOG, answer_get_log, false },
	{ KVM_CLEAR_DIRTY_LOG, answer_clear_log, false },
	{ 0, NULL, false },
};

/* SPDX-License-Identifier: MIT */
/* Physical addresses: RAM that is lent, and the bus for all else. */
#include "machine/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "machine/tlb.h"

static bool is_in_slot(const struct ram_slot *slot, uint64_t gpa)
{
	return gpa - slot->gpa < slot->len_bytes;
}

struct ram_slot *ram_find(struct machine *machine, uint64_t gpa)
{
	size_t low = 0, high = machine->nr_slots;

	while (low < high) {
		size_t middle = (low + high) / 2;
		struct ram_slot *slot = &machine->slots[middle];

		if (is_in_slot(slot, gpa))
			return slot;
		if (gpa < slot->gpa)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static void machine_forget_all(struct machine *machine)
{
	unsigned int i;

	block_forget_all(machine);
	for (i = 0; i < machine->nr_cpus; i++)
		cpu_forget_fast(machine->cpus[i]);
}

int machine_ram_add(struct machine *machine, uint64_t gpa, uint64_t len_bytes, void *host, bool is_readonly)
{
	struct ram_slot *slots;
	size_t i;

	if (!len_bytes || (gpa | len_bytes | (uintptr_t)host) & PAGE_MASK || gpa + len_bytes - 1 < gpa)
		return -EINVAL;
	for (i = 0; i < machine->nr_slots; i++)
		if (is_in_slot(&machine->slots[i], gpa) || machine->slots[i].gpa - gpa < len_bytes)
			return -EEXIST;
	slots = realloc(machine->slots, (machine->nr_slots + 1) * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	machine->slots = slots;
	for (i = machine->nr_slots; i && slots[i - 1].gpa > gpa; i--)
		slots[i] = slots[i - 1];
	slots[i] = (struct ram_slot) { gpa, len_bytes, host, is_readonly,
		calloc(len_bytes / PAGE_BYTES, sizeof(uint64_t)), NULL };
	if (!slots[i].code_lines) {
		memmove(&slots[i], &slots[i + 1], (machine->nr_slots - i) * sizeof(*slots));
		return -ENOMEM;
	}
	machine->nr_slots++;
	machine_forget_all(machine);
	return 0;
}

int machine_ram_remove(struct machine *machine, uint64_t gpa)
{
	struct ram_slot *slot = ram_find(machine, gpa);

	if (!slot || slot->gpa != gpa)
		return -ENOENT;
	machine_forget_all(machine);
	free(slot->code_lines);
	machine->nr_slots--;
	memmove(slot, slot + 1, (size_t)(&machine->slots[machine->nr_slots] - slot) * sizeof(*slot));
	return 0;
}

int machine_ram_watch(struct machine *machine, uint64_t gpa, uint64_t *dirty)
{
	struct ram_slot *slot = ram_find(machine, gpa);
	unsigned int i;

	if (!slot || slot->gpa != gpa)
		return -ENOENT;
	slot->dirty = dirty;
	for (i = 0; i < machine->nr_cpus; i++)
		cpu_forget_fast(machine->cpus[i]);
	return 0;
}

void machine_ram_written(struct machine *machine, uint64_t gpa, uint64_t len_bytes)
{
	while (len_bytes) {
		uint64_t len = PAGE_BYTES - (gpa & PAGE_MASK);
		struct ram_slot *slot = ram_find(machine, gpa);

		if (len > len_bytes)
			len = len_bytes;
		if (slot)
			block_forget_range(machine, slot, gpa, len);
		gpa += len;
		len_bytes -= len;
	}
}

uint64_t physical_read(struct machine *machine, uint64_t gpa, unsigned int size)
{
	const struct ram_slot *slot = ram_find(machine, gpa);

	if (slot)
		return host_read(slot->host + (gpa - slot->gpa), size);
	if (!machine->bus.read)
		return bytes_mask(size);
	return machine->bus.read(machine->bus.opaque, MACHINE_SPACE_MEMORY, gpa, size) & bytes_mask(size);
}

void physical_write(struct machine *machine, uint64_t gpa, unsigned int size, uint64_t value)
{
	struct ram_slot *slot = ram_find(machine, gpa);

	if (slot && !slot->is_readonly) {
		host_write(slot->host + (gpa - slot->gpa), size, value);
		ram_slot_mark(slot, gpa);
		block_forget_range(machine, slot, gpa, size);
	} else if (machine->bus.write) {
		machine->bus.write(machine->bus.opaque, MACHINE_SPACE_MEMORY, gpa, size, value);
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * User space may take its memory away, or the right to it, while a guest has it: a kernel's hypervisor is told, this one
 * meets the fault. The guest's instruction is put back then, and what was mapped there forgotten, so that it becomes a
 * nested page fault.
 */
#include "soft/private.h"

#include "soft/faults.h"

#define PAGE_MASK 0xfffull

static void page_lose(void *opaque, uintptr_t address)
{
	struct soft_vcpu *vcpu = opaque;
	const struct soft_space *space = vcpu_space(vcpu);
	size_t i;

	for (i = 0; i < space->nr_slots; i++) {
		const struct soft_slot *slot = &space->slots[i];

		if (address - slot->hva >= slot->len_bytes)
			continue;
		vcpu->has_lost_page = true;
		vcpu->lost_gpa = slot->gpa + ((address - slot->hva) & ~PAGE_MASK);
		machine_put_back(vcpu->cpu);
	}
}

void lost_pages_watch(struct soft_vcpu *vcpu)
{
	vcpu->has_lost_page = false;
	faults_watch(page_lose, vcpu);
}

void lost_pages_unwatch(struct soft_vcpu *vcpu)
{
	faults_unwatch();
	if (vcpu->has_lost_page)
		npt_unmap(&vcpu_space(vcpu)->npt, vcpu->lost_gpa);
}

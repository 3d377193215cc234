/* SPDX-License-Identifier: MIT */
/*
 * Two vCPUs write, one log: it has the pages of both. And protecting a page again reaches the vCPU that did not ask:
 * each reports the page it goes on writing after every read of the log.
 *
 * Can break: a vCPU that keeps its writable translation because the flush went to another; bits lost between two that
 * set the same word.
 * Source: KVM API, 4.8 KVM_GET_DIRTY_LOG.
 */
#include "cases/mmu/dirty.h"

#define NR_PAGES 128
#define NR_ROUNDS 8

CASE(dirty_log_vcpus, .says = "the writes of all vCPUs are in one dirty log, after each read of it", .modes = LONG64,
     .nr_vcpus = 2, .shadow_too = true, .smp_too = true)

GUEST(dirty_log_vcpus)
{
	uint32_t stage, page;

	for (stage = 1;; stage++) {
		guest_sync(stage);
		/* Even pages are vCPU 0's, odd ones vCPU 1's, and both write page 64. */
		for (page = vcpu_index(); page < 64; page += 2)
			write8(DIRTY_GPA + page * PAGE, stage);
		write8(DIRTY_GPA + 64 * PAGE + vcpu_index(), stage);
	}
}

static void vcpu_step(struct test *t, unsigned int index, uint32_t stage)
{
	t->vcpu = t->vm->vcpus[index];
	require_sync(t, stage);
}

HOST(dirty_log_vcpus)
{
	uint8_t *ram = vm_slot_add(t->vm, DIRTY_SLOT, KVM_MEM_LOG_DIRTY_PAGES, DIRTY_GPA, NR_PAGES * PAGE);
	uint32_t even[33], odd[33], both[65], round, i;

	for (i = 0; i < 33; i++) {
		even[i] = i * 2;
		odd[i] = i < 32 ? i * 2 + 1 : 64;
	}
	for (i = 0; i < 65; i++)
		both[i] = i;
	vcpu_step(t, 0, 1);
	vcpu_step(t, 1, 1);
	for (round = 0; round < NR_ROUNDS; round++) {
		vcpu_step(t, 0, round * 2 + 2);
		log_expect(t, DIRTY_SLOT, NR_PAGES, 33, even);
		vcpu_step(t, 1, round * 2 + 2);
		log_expect(t, DIRTY_SLOT, NR_PAGES, 33, odd);
		vcpu_step(t, 1, round * 2 + 3);
		vcpu_step(t, 0, round * 2 + 3);
		log_expect(t, DIRTY_SLOT, NR_PAGES, 65, both);
		expect_eq(t, round * 2 + 2, ram[64 * PAGE]);
		expect_eq(t, round * 2 + 2, ram[64 * PAGE + 1]);
	}
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES);
}

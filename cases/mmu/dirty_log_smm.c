/* SPDX-License-Identifier: MIT */
/*
 * A vCPU in system management mode uses the slots of address space 1: what it writes there is in their memory and their
 * dirty log, what it writes outside of it in those of address space 0, at the same guest-physical address, before and
 * after each log is read, ends, and loses its slot.
 *
 * Can break: one space's mappings used, protected or thrown away for the other's; a slot's number taken without its
 * space.
 * Source: KVM API, 4.35 KVM_SET_USER_MEMORY_REGION (bits 16-31 of the slot), 4.8 KVM_GET_DIRTY_LOG, 4.105 KVM_SMI,
 * KVM_CAP_MULTI_ADDRESS_SPACE.
 */
#include "cases/mmu/dirty.h"

#define NR_PAGES 8
#define SMM_SLOTS (1u << 16)
#define HANDLER 0x38000		/* SMBASE + 8000h after reset */
#define WRITTEN 0x77

/* movb $WRITTEN, %ds:(DIRTY_GPA + page * PAGE + 8); rsm */
static void handler_put(struct test *t, uint32_t page)
{
	uint32_t at = DIRTY_GPA + page * PAGE + 8;
	uint8_t code[] = { 0x67, 0xc6, 0x05, at, at >> 8, at >> 16, at >> 24, WRITTEN, 0x0f, 0xaa };

	memcpy(vm_hva(t->vm, HANDLER, sizeof(code)), code, sizeof(code));
}

/* The SMI comes at the guest's next entry, before it writes @guest_page. */
static void smm_and_guest_write(struct test *t, uint32_t smm_page, uint32_t guest_page)
{
	handler_put(t, smm_page);
	require_result(t, 0, vcpu_ioctl_value_try(t->vcpu, KVM_SMI, 0));
	PAGES_WRITE(t, DIRTY_GPA, guest_page);
}

static void log_set(struct test *t, uint32_t slot, uint8_t *ram, bool is_on)
{
	require_result(t, 0, vm_region_try(t->vm, slot, is_on ? KVM_MEM_LOG_DIRTY_PAGES : 0, DIRTY_GPA, NR_PAGES * PAGE,
					   ram));
}

CASE(dirty_log_smm, .says = "each address space has its own dirty log of the same guest-physical addresses",
     .modes = LONG64, .needs = "KVM_CAP_X86_SMM KVM_CAP_MULTI_ADDRESS_SPACE>=2", .irqchip = true, .shadow_too = true)

GUEST(dirty_log_smm)
{
	guest_touch_for_ever();
}

HOST(dirty_log_smm)
{
	uint8_t *ram = vm_slot_add(t->vm, DIRTY_SLOT, KVM_MEM_LOG_DIRTY_PAGES, DIRTY_GPA, NR_PAGES * PAGE);
	uint8_t *smram = vm_slot_add(t->vm, DIRTY_SLOT + 1, 0, DIRTY_GPA + 0x10000000, NR_PAGES * PAGE);
	uint32_t smm_slot = SMM_SLOTS | DIRTY_SLOT;

	require_result(t, 0, vm_region_try(t->vm, SMM_SLOTS, 0, 0, RAM_BYTES, vm_hva(t->vm, 0, RAM_BYTES)));
	log_set(t, smm_slot, smram, true);
	require_sync(t, 1);
	smm_and_guest_write(t, 2, 3);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 3);
	LOG_EXPECT(t, smm_slot, NR_PAGES, 2);
	expect_eq(t, WRITTEN, smram[2 * PAGE + 8]);
	expect_eq(t, 0, smram[3 * PAGE + 8]);
	expect_eq(t, 0, ram[2 * PAGE + 8]);
	expect_eq(t, 1, ram[3 * PAGE + 8]);
	/* Both protected anew, each for itself. */
	smm_and_guest_write(t, 3, 2);
	LOG_EXPECT(t, smm_slot, NR_PAGES, 3);
	smm_and_guest_write(t, 3, 2);
	LOG_EXPECT(t, smm_slot, NR_PAGES, 3);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 2);
	expect_eq(t, 2, ram[2 * PAGE + 8]);
	/* One log ends and begins again: the other is what it was. */
	log_set(t, smm_slot, smram, false);
	smm_and_guest_write(t, 4, 4);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, 4);
	log_set(t, DIRTY_SLOT, ram, false);
	log_set(t, smm_slot, smram, true);
	smm_and_guest_write(t, 5, 6);
	LOG_EXPECT(t, smm_slot, NR_PAGES, 5);
	/* SMM's slot goes: its write is MMIO, the guest's is not. */
	require_result(t, 0, vm_region_try(t->vm, smm_slot, 0, DIRTY_GPA, 0, NULL));
	handler_put(t, 6);
	require_result(t, 0, vcpu_ioctl_value_try(t->vcpu, KVM_SMI, 0));
	expect_mmio_write(t, .phys_addr = DIRTY_GPA + 6 * PAGE + 8, .len = 1, .data = WRITTEN);
	PAGES_WRITE(t, DIRTY_GPA, 6);
	expect_eq(t, 2, ram[6 * PAGE + 8]);
	expect_eq(t, 0, smram[6 * PAGE + 8]);
}

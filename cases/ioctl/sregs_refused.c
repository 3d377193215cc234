/* SPDX-License-Identifier: MIT */
/*
 * KVM_SET_SREGS refuses a state that no processor can be in, as a whole: EINVAL, and none of the call's other, legal
 * changes is made either. Those changes alone are accepted afterwards.
 *
 * Can break: a dropped consistency check; a check made after part of the state is written.
 * Source: APM vol. 2, 3.1 (CR0, CR4 reserved bits), 14.6 (LME, LMA, PAE, PG), 15.5.1; SDM vol. 3A, 2.5; KVM API, 4.14.
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/vcpu_state.h"

struct row {
	ROW_FIELDS;
	unsigned int base;	/* the mode to start from */
	uint64_t cr0_set, cr0_clear, cr3_set, cr4_set, cr4_clear, efer_set, efer_clear, apic_set, apic_clear;
	bool cs_l;
	bool no_cpuid;		/* the vCPU's CPUID is empty: every gated bit is reserved */
};

static const struct row rows[] = {
	{ .label = "nw_without_cd", .base = REAL16, .cr0_set = X86_CR0_NW },
	{ .label = "pg_without_pe", .base = PAGE32, .cr0_clear = X86_CR0_PE },
	{ .label = "cr0_bit_32", .base = PROT32, .cr0_set = 1ull << 32 },
	{ .label = "cr0_bit_63", .base = LONG64, .cr0_set = 1ull << 63 },
	{ .label = "long_without_pae", .base = LONG64, .cr4_clear = X86_CR4_PAE },
	{ .label = "long_without_lma", .base = LONG64, .efer_clear = EFER_LMA },
	{ .label = "long_without_lme", .base = LONG64, .efer_clear = EFER_LME },
	{ .label = "lma_without_pg", .base = LONG64, .cr0_clear = X86_CR0_PG },
	{ .label = "lma_in_pae", .base = PAE32, .efer_set = EFER_LMA },
	{ .label = "lma_in_real", .base = REAL16, .efer_set = EFER_LMA },
	{ .label = "lme_pg_without_lma", .base = PAE32, .efer_set = EFER_LME },
	{ .label = "cs_l_in_pae", .base = PAE32, .cs_l = true },
	{ .label = "cs_l_in_protected", .base = PROT32, .cs_l = true },
	{ .label = "cs_l_in_real", .base = REAL16, .cs_l = true },
	{ .label = "cr3_bit_52", .base = LONG64, .cr3_set = 1ull << 52 },
	{ .label = "cr3_bit_63", .base = LONG64, .cr3_set = 1ull << 63 },
	{ .label = "cr4_bit_15", .base = LONG64, .cr4_set = 1ull << 15 },
	{ .label = "cr4_bit_19", .base = LONG64, .cr4_set = 1ull << 19 },
	{ .label = "cr4_bit_25", .base = REAL16, .cr4_set = 1ull << 25 },
	{ .label = "cr4_bit_31", .base = PROT32, .cr4_set = 1ull << 31 },
	{ .label = "cr4_bit_32", .base = LONG64, .cr4_set = 1ull << 32 },
	{ .label = "cr4_bit_63", .base = LONG64, .cr4_set = 1ull << 63 },
	{ .label = "vmxe_without_cpuid", .base = PROT32, .cr4_set = X86_CR4_VMXE, .no_cpuid = true },
	{ .label = "osxsave_without_cpuid", .base = PROT32, .cr4_set = X86_CR4_OSXSAVE, .no_cpuid = true },
	{ .label = "smep_without_cpuid", .base = PROT32, .cr4_set = X86_CR4_SMEP, .no_cpuid = true },
	{ .label = "smap_without_cpuid", .base = PROT32, .cr4_set = X86_CR4_SMAP, .no_cpuid = true },
	{ .label = "fsgsbase_without_cpuid", .base = PROT32, .cr4_set = X86_CR4_FSGSBASE, .no_cpuid = true },
	{ .label = "pcide_without_cpuid", .base = PROT32, .cr4_set = X86_CR4_PCIDE, .no_cpuid = true },
	{ .label = "pke_without_cpuid", .base = PROT32, .cr4_set = X86_CR4_PKE, .no_cpuid = true },
	{ .label = "la57_without_cpuid", .base = PROT32, .cr4_set = X86_CR4_LA57, .no_cpuid = true },
	{ .label = "umip_without_cpuid", .base = PROT32, .cr4_set = X86_CR4_UMIP, .no_cpuid = true },
	{ .label = "apic_base_bit_0", .base = REAL16, .apic_set = 1 },
	{ .label = "apic_base_bit_7", .base = REAL16, .apic_set = 1 << 7 },
	{ .label = "apic_base_bit_9", .base = REAL16, .apic_set = 1 << 9 },
	{ .label = "apic_base_bit_52", .base = REAL16, .apic_set = 1ull << 52 },
	{ .label = "apic_base_bit_63", .base = REAL16, .apic_set = 1ull << 63 },
	{ .label = "x2apic_without_enable", .base = REAL16, .apic_set = 1 << 10, .apic_clear = 1 << 11,
	  .needs = "cpuid:x2apic" },
	{ .label = "x2apic_without_cpuid", .base = REAL16, .apic_set = 1 << 10, .no_cpuid = true },
};

CASE(sregs_refused, .says = "an impossible state is refused as a whole", .modes = NO_GUEST, .rows = ROWS(rows))

static void sregs_break(struct kvm_sregs *sregs, const struct row *row)
{
	sregs->cr0 = (sregs->cr0 | row->cr0_set) & ~row->cr0_clear;
	sregs->cr3 |= row->cr3_set;
	sregs->cr4 = (sregs->cr4 | row->cr4_set) & ~row->cr4_clear;
	sregs->efer = (sregs->efer | row->efer_set) & ~row->efer_clear;
	sregs->apic_base = (sregs->apic_base | row->apic_set) & ~row->apic_clear;
	if (row->cs_l) {
		sregs->cs.l = 1;
		sregs->cs.db = 0;
	}
}

/* Legal everywhere, and none of them changed by a call that is refused. */
static void sregs_change(struct kvm_sregs *sregs)
{
	sregs->cr2 = 0x1122334455667788;
	sregs->cr8 = 9;
	sregs->ds.base = 0x5000;
	sregs->gdt.base = 0x7000;
	sregs->idt.limit = 0x3333;
	sregs->ldt.selector = 0x88;
	sregs->interrupt_bitmap[1] = 1;
}

HOST(sregs_refused)
{
	const struct row *row = ROW(t, rows);
	struct kvm_cpuid2 no_cpuid = { .nent = 0 };
	struct vcpu_state before;
	struct kvm_sregs legal, broken;

	if (row->no_cpuid)
		vcpu_ioctl(t->vcpu, KVM_SET_CPUID2, &no_cpuid);
	else
		vcpu_set_supported_cpuid(t->vcpu);
	vm_slot_add(t->vm, 0, 0, 0, RAM_BYTES);
	mode_write_tables(t->vm, row->base);
	mode_enter(t->vcpu, row->base, 0, 0x1234);
	vcpu_state_get(t->vcpu, &before);
	legal = before.sregs;
	sregs_change(&legal);
	broken = legal;
	sregs_break(&broken, row);
	expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_SET_SREGS, &broken));
	expect_vcpu_state(t, t->vcpu, &before);
	expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_SET_SREGS, &broken));
	expect_vcpu_state(t, t->vcpu, &before);
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_SREGS, &legal));
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &broken);
	expect_sregs(t, &legal, &broken);
}

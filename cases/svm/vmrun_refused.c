/* SPDX-License-Identifier: MIT */
/*
 * VMRUN checks L2's state before it enters: each rule broken alone, by one bit, leads to VMEXIT_INVALID with nothing of
 * L2 loaded or saved and no other exit information; the legal state next to it is entered.
 *
 * Can break: a dropped check (the CPU below may hang, or enter with a state nobody can have), a check that is too
 * strict, an exit with stale information, GIF.
 * Source: APM vol. 2, 15.5.1, "Canonicalization and Consistency Checks".
 */
#include "guests/l1_svm.h"
#include "case.h"

INSN(entered, "vmmcall")

struct row {
	ROW_FIELDS;
	uint16_t offset, len_bytes;	/* of the field in the VMCB */
	uint64_t set, clear;
	const char *check;	/* the words of KVM 6.1's check */
	uint8_t first_bit, last_bit;	/* each of these bits alone, beside @set; last 0: none */
	bool is_legal;
};

#define FIELD_OF(part_, field_)								\
	.offset = offsetof(struct vmcb, part_.field_), .len_bytes = sizeof(((struct vmcb *)0)->part_.field_)
#define BITS(first_, last_) .first_bit = first_, .last_bit = last_

#define VMRUN_BIT (1u << (SVM_EXIT_VMRUN % 32))
#define LONG_BITS (X86_CR0_PG | X86_CR0_PE)

static const struct row rows[] = {
	{ .label = "golden", FIELD_OF(control, asid), .is_legal = true },
	{ .label = "vmrun_intercept_clear", FIELD_OF(control, intercept[SVM_EXIT_VMRUN / 32]), .clear = VMRUN_BIT,
	  .check = "!vmcb12_is_intercept(control, INTERCEPT_VMRUN)" },
	{ .label = "asid_zero", FIELD_OF(control, asid), .clear = ~0ull, .check = "control->asid == 0" },
	{ .label = "asid_two", FIELD_OF(control, asid), .set = 2, .clear = ~0ull, .is_legal = true },
	{ .label = "iopm_beyond", FIELD_OF(control, iopm_base_pa), BITS(52, 63),
	  .check = "!nested_svm_check_bitmap_pa(vcpu, control->iopm_base_pa, IOPM_SIZE)" },
	{ .label = "msrpm_beyond", FIELD_OF(control, msrpm_base_pa), BITS(52, 63),
	  .check = "!nested_svm_check_bitmap_pa(vcpu, control->msrpm_base_pa, MSRPM_SIZE)" },
	{ .label = "iopm_low_bits", FIELD_OF(control, iopm_base_pa), .set = 0xfff, .is_legal = true },
	{ .label = "msrpm_low_bits", FIELD_OF(control, msrpm_base_pa), .set = 0xfff, .is_legal = true },
	{ .label = "svme_clear", FIELD_OF(save, efer), .clear = EFER_SVME, .check = "!(save->efer & EFER_SVME)" },
	{ .label = "cr0_nw_alone", FIELD_OF(save, cr0), .set = X86_CR0_NW,
	  .check = "(save->cr0 & X86_CR0_CD) == 0 && (save->cr0 & X86_CR0_NW)" },
	{ .label = "cr0_cd_nw", FIELD_OF(save, cr0), .set = X86_CR0_CD | X86_CR0_NW, .is_legal = true },
	{ .label = "cr0_cd_alone", FIELD_OF(save, cr0), .set = X86_CR0_CD, .is_legal = true },
	{ .label = "cr0_high", FIELD_OF(save, cr0), BITS(32, 63), .check = "save->cr0 & ~0xffffffffULL" },
	{ .label = "dr6_high", FIELD_OF(save, dr6), BITS(32, 63), .check = "!kvm_dr6_valid(save->dr6)" },
	{ .label = "dr7_high", FIELD_OF(save, dr7), BITS(32, 63), .check = "!kvm_dr7_valid(save->dr7)" },
	{ .label = "dr6_low", FIELD_OF(save, dr6), BITS(0, 31), .is_legal = true },
	{ .label = "dr7_enables", FIELD_OF(save, dr7), BITS(0, 9), .is_legal = true },
	{ .label = "long_without_pae", FIELD_OF(save, cr4), .clear = X86_CR4_PAE, .check = "!(save->cr4 & X86_CR4_PAE)" },
	{ .label = "long_without_pe", FIELD_OF(save, cr0), .clear = X86_CR0_PE, .check = "!(save->cr0 & X86_CR0_PE)" },
	{ .label = "cr3_high", FIELD_OF(save, cr3), BITS(52, 63), .check = "kvm_vcpu_is_illegal_gpa(vcpu, save->cr3)" },
	{ .label = "cs_l_and_d", FIELD_OF(save, cs.attrib), .set = SEG_ATTRIB_DB,
	  .check = "(save->cs.attrib & SVM_SELECTOR_L_MASK) && (save->cs.attrib & SVM_SELECTOR_DB_MASK)" },
	{ .label = "cr4_reserved", FIELD_OF(save, cr4), BITS(24, 63), .check = "!__kvm_is_valid_cr4(vcpu, save->cr4)" },
	{ .label = "cr4_reserved_15", FIELD_OF(save, cr4), .set = 1u << 15, .check = "!__kvm_is_valid_cr4(vcpu, save->cr4)" },
	{ .label = "cr4_reserved_19", FIELD_OF(save, cr4), .set = 1u << 19, .check = "!__kvm_is_valid_cr4(vcpu, save->cr4)" },
	{ .label = "cr4_legal", FIELD_OF(save, cr4), BITS(2, 4), .is_legal = true },
	{ .label = "efer_reserved_low", FIELD_OF(save, efer), BITS(1, 7), .check = "!kvm_valid_efer(vcpu, save->efer)" },
	{ .label = "efer_reserved_9", FIELD_OF(save, efer), .set = 1u << 9, .check = "!kvm_valid_efer(vcpu, save->efer)" },
	{ .label = "efer_reserved_high", FIELD_OF(save, efer), BITS(22, 63), .check = "!kvm_valid_efer(vcpu, save->efer)" },
	{ .label = "efer_sce", FIELD_OF(save, efer), .set = EFER_SCE, .is_legal = true },
	{ .label = "efer_no_nx", FIELD_OF(save, efer), .clear = EFER_NX, .is_legal = true },
	{ .label = "rflags_reserved", FIELD_OF(save, rflags), .clear = X86_EFLAGS_FIXED, .is_legal = true },
	{ .label = "int_vector", FIELD_OF(control, int_vector), .set = 0xff, .is_legal = true },
};

CASE(vmrun_refused, .says = "VMRUN refuses a state that breaks one rule, and enters the legal one beside it",
     .modes = LONG64, .needs = "vendor:amd nested", .rows = ROWS(rows))

static void edit(const struct row *row, uint64_t set)
{
	uint8_t *field = (uint8_t *)&l1_vmcb + row->offset;
	uint64_t value = 0;

	memcpy(&value, field, row->len_bytes);
	value = (value & ~row->clear) | row->set | set;
	memcpy(field, &value, row->len_bytes);
}

static void try_once(const struct row *row, uint64_t set)
{
	struct vmcb_save before;
	struct l2_regs regs = { .rcx = 1, .r15 = 15 };

	vmcb_init(&l1_vmcb);
	edit(row, set);
	l1_vmcb.save.rip = (ulong_t)entered;
	l1_vmcb.control.exit_info_1 = l1_vmcb.control.exit_info_2 = 0x5a5a;
	before = l1_vmcb.save;
	l2_regs = regs;
	vmcb_run(&l1_vmcb);
	CHECK_L2_REGS(&regs);
	if (row->is_legal)
		CHECK_L2_DONE(entered);
	else
		CHECK_REFUSED(&before);
}

GUEST(vmrun_refused)
{
	const struct row *row = GUEST_ROW(rows);
	unsigned int bit;

	l1_svm_init();
	if (!row->last_bit)
		try_once(row, 0);
	for (bit = row->first_bit; bit <= row->last_bit && row->last_bit; bit++)
		try_once(row, 1ull << bit);
	CHECK_EQ(LONG_BITS, read_cr0() & LONG_BITS);
}

HOST(vmrun_refused)
{
	const struct row *row = ROW(t, rows);

	expect_done(t);
	expect_entry_refused(t, row->check);
}

/* SPDX-License-Identifier: MIT */
/*
 * Host state that an exit could not load makes the entry fail with error 8, before anything of L2 is touched.
 *
 * Can break: a check of the wrong field, one too many (a null FS), one that asks for the wrong mode.
 * Source: SDM vol. 3C, 27.2.2, 27.2.3, 27.2.4.
 */
#include "cases/vmx/entry.h"

#define NONCANONICAL 0x800000000000ull
#define REFUSED(label_, check_, ...)							\
	{ .label = label_, .edits = { __VA_ARGS__ }, .error = VMX_ERROR_ENTRY_HOST_STATE, .check = check_ }
#define LEGAL(label_, ...) { .label = label_, .edits = { __VA_ARGS__ }, .is_legal = true }
#define SELECTOR(name_, field_)								\
	REFUSED(#name_ "_rpl", "vmcs12->host_" #name_ "_selector & (SEGMENT_RPL_MASK | SEGMENT_TI_MASK)", \
		VMCS_SET(field_, 1)),							\
	REFUSED(#name_ "_ti", "vmcs12->host_" #name_ "_selector & (SEGMENT_RPL_MASK | SEGMENT_TI_MASK)", \
		VMCS_SET(field_, 4))
#define ADDRESS(label_, name_, field_)							\
	REFUSED(label_, "is_noncanonical_address(vmcs12->host_" #name_ ", vcpu)",	\
		VMCS_VALUE(field_, NONCANONICAL))
#define WITH_EFER(value_) VMCS_SET(EXIT_CONTROLS, EXIT_LOAD_EFER), VMCS_VALUE(HOST_EFER, value_)
#define WITH_PAT(value_) VMCS_SET(EXIT_CONTROLS, EXIT_LOAD_PAT), VMCS_VALUE(HOST_PAT, value_)
#define LONG_EFER (EFER_LME | EFER_LMA)

static const struct entry_row rows[] = {
	REFUSED("cr0_pe", "!nested_host_cr0_valid(vcpu, vmcs12->host_cr0)", VMCS_CLEAR(HOST_CR0, X86_CR0_PE)),
	REFUSED("cr0_ne", "!nested_host_cr0_valid(vcpu, vmcs12->host_cr0)", VMCS_CLEAR(HOST_CR0, X86_CR0_NE)),
	REFUSED("cr0_pg", "!nested_host_cr0_valid(vcpu, vmcs12->host_cr0)", VMCS_CLEAR(HOST_CR0, X86_CR0_PG)),
	REFUSED("cr0_bit32", "!nested_host_cr0_valid(vcpu, vmcs12->host_cr0)", VMCS_SET(HOST_CR0, 1ull << 32)),
	LEGAL("cr0_wp", VMCS_SET(HOST_CR0, X86_CR0_WP)),
	REFUSED("cr4_vmxe", "!nested_host_cr4_valid(vcpu, vmcs12->host_cr4)", VMCS_CLEAR(HOST_CR4, X86_CR4_VMXE)),
	REFUSED("cr4_bit15", "!nested_host_cr4_valid(vcpu, vmcs12->host_cr4)", VMCS_SET(HOST_CR4, 1ull << 15)),
	REFUSED("cr4_bit63", "!nested_host_cr4_valid(vcpu, vmcs12->host_cr4)", VMCS_SET(HOST_CR4, 1ull << 63)),
	LEGAL("cr4_tsd", VMCS_SET(HOST_CR4, X86_CR4_TSD)),
	REFUSED("cr4_pae", "!(vmcs12->host_cr4 & X86_CR4_PAE)", VMCS_CLEAR(HOST_CR4, X86_CR4_PAE)),
	{ .label = "cr3_beyond", .beyond = HOST_CR3, .error = VMX_ERROR_ENTRY_HOST_STATE,
	  .check = "kvm_vcpu_is_illegal_gpa(vcpu, vmcs12->host_cr3)" },
	REFUSED("cr3_bit63", "kvm_vcpu_is_illegal_gpa(vcpu, vmcs12->host_cr3)", VMCS_SET(HOST_CR3, 1ull << 63)),

	ADDRESS("sysenter_esp", ia32_sysenter_esp, HOST_SYSENTER_ESP),
	ADDRESS("sysenter_eip", ia32_sysenter_eip, HOST_SYSENTER_EIP),
	ADDRESS("fs_base", fs_base, HOST_FS_BASE), ADDRESS("gs_base", gs_base, HOST_GS_BASE),
	ADDRESS("gdtr_base", gdtr_base, HOST_GDTR_BASE), ADDRESS("idtr_base", idtr_base, HOST_IDTR_BASE),
	ADDRESS("tr_base", tr_base, HOST_TR_BASE), ADDRESS("rip", rip, HOST_RIP),
	REFUSED("fs_base_top", "is_noncanonical_address(vmcs12->host_fs_base, vcpu)",
		VMCS_VALUE(HOST_FS_BASE, 0xffff7fffffffffffull)),
	LEGAL("fs_base_low_half", VMCS_VALUE(HOST_FS_BASE, 0x7fffffffffffull)),
	LEGAL("fs_base_high_half", VMCS_VALUE(HOST_FS_BASE, 0xffff800000000000ull)),
	LEGAL("sysenter_esp_high", VMCS_VALUE(HOST_SYSENTER_ESP, 0xffff800000000000ull)),

	SELECTOR(cs, HOST_CS_SELECTOR), SELECTOR(ss, HOST_SS_SELECTOR), SELECTOR(ds, HOST_DS_SELECTOR),
	SELECTOR(es, HOST_ES_SELECTOR), SELECTOR(fs, HOST_FS_SELECTOR), SELECTOR(gs, HOST_GS_SELECTOR),
	SELECTOR(tr, HOST_TR_SELECTOR),
	REFUSED("cs_null", "vmcs12->host_cs_selector == 0", VMCS_VALUE(HOST_CS_SELECTOR, 0)),
	REFUSED("tr_null", "vmcs12->host_tr_selector == 0", VMCS_VALUE(HOST_TR_SELECTOR, 0)),
	LEGAL("ss_null", VMCS_VALUE(HOST_SS_SELECTOR, 0)),
	LEGAL("data_null", VMCS_VALUE(HOST_DS_SELECTOR, 0), VMCS_VALUE(HOST_ES_SELECTOR, 0),
	      VMCS_VALUE(HOST_FS_SELECTOR, 0)),

	REFUSED("address_space_size",
		"!!(vmcs12->vm_exit_controls & VM_EXIT_HOST_ADDR_SPACE_SIZE) != !!(vcpu->arch.efer & EFER_LMA)",
		VMCS_CLEAR(EXIT_CONTROLS, EXIT_HOST_ADDRESS_SPACE_SIZE)),
	REFUSED("pat_2", "!kvm_pat_valid(vmcs12->host_ia32_pat)", WITH_PAT(0x0007040600070402ull)),
	REFUSED("pat_8", "!kvm_pat_valid(vmcs12->host_ia32_pat)", WITH_PAT(0x0807040600070406ull)),
	LEGAL("pat", WITH_PAT(0x0007040600070406ull)),
	LEGAL("pat_not_loaded", VMCS_VALUE(HOST_PAT, 0x0202020202020202ull)),
	REFUSED("efer_reserved", "!kvm_valid_efer(vcpu, vmcs12->host_ia32_efer)", WITH_EFER(LONG_EFER | 1ull << 1)),
	REFUSED("efer_lma", "ia32e != !!(vmcs12->host_ia32_efer & EFER_LMA)", WITH_EFER(EFER_LME)),
	REFUSED("efer_lme", "ia32e != !!(vmcs12->host_ia32_efer & EFER_LME)", WITH_EFER(EFER_LMA)),
	LEGAL("efer", WITH_EFER(LONG_EFER | EFER_NX)),
	LEGAL("efer_not_loaded", VMCS_VALUE(HOST_EFER, ~0ull)),
};

CASE(entry_host, .says = "host state that no exit can load fails the entry with error 8", .modes = LONG64,
     .needs = "vendor:intel nested vmx:load_pat vmx:load_efer", .rows = ROWS(rows))

GUEST(entry_host)
{
	entry_row_run(GUEST_ROW(rows));
}

HOST(entry_host)
{
	expect_done(t);
	expect_entry_refused(t, ROW(t, rows)->check);
}

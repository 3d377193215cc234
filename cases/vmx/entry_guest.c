/* SPDX-License-Identifier: MIT */
/*
 * Guest state that no CPU could be in makes the entry fail with an exit, reason 33 with bit 31: control state and L2's
 * state stay, and the VMCS is not launched. What is next to it is legal.
 *
 * Can break: a check that KVM leaves to the CPU although it changed the field for its own VMCS; a qualification of
 * another failure; state of L1 that is not put back.
 * Source: SDM vol. 3C, 27.3.1, 27.8.
 */
#include "cases/vmx/entry.h"

#define NONCANONICAL 0x800000000000ull
#define FAIL_LINK_POINTER 4
#define FAILS_AS(label_, check_, ...)							\
	{ .label = label_, .exit_plus_1 = 1, .check = check_, ##__VA_ARGS__ }
#define FAILS(label_, check_, ...) FAILS_AS(label_, check_, .edits = { __VA_ARGS__ })
/* KVM leaves it to the CPU. */
#define BY_CPU(label_, ...) FAILS(label_, NULL, __VA_ARGS__)
#define NOT_IN_BOCHS(label_, ...)							\
	FAILS_AS(label_, NULL, .edits = { __VA_ARGS__ }, .known = { "0403-bochs-entry-checks", "lab-vmx" })
#define LEGAL(label_, ...) { .label = label_, .edits = { __VA_ARGS__ }, .is_legal = true }
#define LEGAL_AS(label_, ...) { .label = label_, .is_legal = true, ##__VA_ARGS__ }
/* KVM asks itself only where the guest is not unrestricted, as here. */
#define SEGMENT_FAILS(label_, ...) FAILS(label_, "from_vmentry && !vmx_guest_state_valid(vcpu)", __VA_ARGS__)

#define CR0_CHECK "!nested_guest_cr0_valid(vcpu, vmcs12->guest_cr0)"
#define CR4_CHECK "!nested_guest_cr4_valid(vcpu, vmcs12->guest_cr4)"
#define PAT_CHECK "!kvm_pat_valid(vmcs12->guest_ia32_pat)"
#define ACTIVITY_CHECK									\
	"vmcs12->guest_activity_state != GUEST_ACTIVITY_ACTIVE && "			\
	"vmcs12->guest_activity_state != GUEST_ACTIVITY_HLT && "			\
	"vmcs12->guest_activity_state != GUEST_ACTIVITY_WAIT_SIPI"

/* Access rights, SDM vol. 3C, table 25-2 */
#define AR_TYPE 0xfu
#define AR_S (1u << 4)
#define AR_DPL(dpl_) ((dpl_) << 5)
#define AR_P (1u << 7)
#define AR_DB (1u << 14)
#define AR_G (1u << 15)
#define AR_UNUSABLE (1u << 16)
#define AR_LDT (2u | AR_P)

#define WITH_PAT(value_) VMCS_SET(ENTRY_CONTROLS, ENTRY_LOAD_PAT), VMCS_VALUE(GUEST_PAT, value_)
#define WITH_EFER(value_) VMCS_SET(ENTRY_CONTROLS, ENTRY_LOAD_EFER), VMCS_VALUE(GUEST_EFER, value_)
#define WITH_DEBUG(field_, value_) VMCS_SET(ENTRY_CONTROLS, ENTRY_LOAD_DEBUG_CONTROLS), VMCS_VALUE(field_, value_)
#define EVENT(info_) VMCS_VALUE(ENTRY_INTR_INFO, INTR_VALID | (info_))
#define LONG_EFER (EFER_LME | EFER_LMA)

static void link_to(uint32_t revision_flip)
{
	uint32_t *region = vmx_region_alloc();

	*region ^= revision_flip;
	vmcs_write(VMCS_LINK_POINTER, (ulong_t)region);
}

static void link_to_vmcs(void)
{
	link_to(0);
}

/* The pointer is put back by undoing an edit of it, which is none. */
static void keep_region(uint32_t revision_flip)
{
	uint32_t *region = (uint32_t *)(SCRATCH_GPA + 0x100000);

	*region = (uint32_t)rdmsr(MSR_IA32_VMX_BASIC) ^ revision_flip;
}

static void make_wrong_revision(void)
{
	keep_region(1);
}

static void make_shadow(void)
{
	keep_region(1u << 31);
}

#define LINK(label_, check_, ...)							\
	{ .label = label_, .exit_plus_1 = FAIL_LINK_POINTER + 1, .check = check_, ##__VA_ARGS__ }
#define LINK_PAGE_CHECK "!page_address_valid(vcpu, vmcs12->vmcs_link_pointer)"
#define LINK_REGION .edits = { VMCS_VALUE(VMCS_LINK_POINTER, SCRATCH_GPA + 0x100000) }

static const struct entry_row rows[] = {
	FAILS("cr0_ne", CR0_CHECK, VMCS_CLEAR(GUEST_CR0, X86_CR0_NE)),
	FAILS("cr0_pe", CR0_CHECK, VMCS_CLEAR(GUEST_CR0, X86_CR0_PE)),
	FAILS("cr0_pg", CR0_CHECK, VMCS_CLEAR(GUEST_CR0, X86_CR0_PG)),
	FAILS("cr0_bit63", CR0_CHECK, VMCS_SET(GUEST_CR0, 1ull << 63)),
	FAILS("cr4_vmxe", CR4_CHECK, VMCS_CLEAR(GUEST_CR4, X86_CR4_VMXE)),
	FAILS("cr4_bit15", CR4_CHECK, VMCS_SET(GUEST_CR4, 1ull << 15)),
	FAILS("cr4_bit32", CR4_CHECK, VMCS_SET(GUEST_CR4, 1ull << 32)),
	FAILS("cr4_pae", "ia32e && !(vmcs12->guest_cr4 & X86_CR4_PAE)", VMCS_CLEAR(GUEST_CR4, X86_CR4_PAE)),
	LEGAL("cr4_de_tsd", VMCS_SET(GUEST_CR4, X86_CR4_DE | X86_CR4_TSD)),
	FAILS_AS("cr0_pg_without_pe", "(vmcs12->guest_cr0 & (X86_CR0_PG | X86_CR0_PE)) == X86_CR0_PG",
		 .needs = "vmx:unrestricted_guest", .prepare = vmx_use_ept,
		 .edits = { VMCS_SET(PROC2_CONTROLS, PROC2_UNRESTRICTED_GUEST), VMCS_CLEAR(GUEST_CR0, X86_CR0_PE) }),
	FAILS_AS("cr0_pg_in_ia32e", "ia32e && !(vmcs12->guest_cr0 & X86_CR0_PG)",
		 .needs = "vmx:unrestricted_guest", .prepare = vmx_use_ept,
		 .edits = { VMCS_SET(PROC2_CONTROLS, PROC2_UNRESTRICTED_GUEST), VMCS_CLEAR(GUEST_CR0, X86_CR0_PG) }),
	FAILS_AS("cr3_beyond", "kvm_vcpu_is_illegal_gpa(vcpu, cr3)", .beyond = GUEST_CR3),

	FAILS("dr7_bit32", "!kvm_dr7_valid(vmcs12->guest_dr7)", WITH_DEBUG(GUEST_DR7, 0x100000400ull)),
	LEGAL("dr7_not_loaded", VMCS_VALUE(GUEST_DR7, 0x100000400ull)),
	FAILS("debugctl_bit63", "!vmx_is_valid_debugctl(vcpu, vmcs12->guest_ia32_debugctl, false)",
	      WITH_DEBUG(GUEST_DEBUGCTL, 1ull << 63)),
	LEGAL("debugctl_not_loaded", VMCS_VALUE(GUEST_DEBUGCTL, 1ull << 63)),
	FAILS("pat_3", PAT_CHECK, WITH_PAT(0x0007040600070403ull)),
	FAILS("pat_bit63", PAT_CHECK, WITH_PAT(0x8007040600070406ull)),
	LEGAL("pat", WITH_PAT(0x0007040600070406ull)),
	LEGAL("pat_not_loaded", VMCS_VALUE(GUEST_PAT, 0x0303030303030303ull)),
	FAILS("efer_reserved", "!kvm_valid_efer(vcpu, vmcs12->guest_ia32_efer)", WITH_EFER(LONG_EFER | 1ull << 9)),
	FAILS("efer_lma", "ia32e != !!(vmcs12->guest_ia32_efer & EFER_LMA)", WITH_EFER(EFER_LME)),
	FAILS("efer_lme", "((vmcs12->guest_cr0 & X86_CR0_PG) && ia32e != !!(vmcs12->guest_ia32_efer & EFER_LME))",
	      WITH_EFER(EFER_LMA)),
	LEGAL("efer", WITH_EFER(LONG_EFER | EFER_NX)),
	LEGAL("efer_not_loaded", VMCS_VALUE(GUEST_EFER, ~0ull)),
	BY_CPU("sysenter_esp", VMCS_VALUE(GUEST_SYSENTER_ESP, NONCANONICAL)),
	BY_CPU("sysenter_eip", VMCS_VALUE(GUEST_SYSENTER_EIP, NONCANONICAL)),

	LINK("link_misaligned", LINK_PAGE_CHECK, .edits = { VMCS_VALUE(VMCS_LINK_POINTER, 0x300800) }),
	LINK("link_beyond", LINK_PAGE_CHECK, .beyond = VMCS_LINK_POINTER),
	LINK("link_no_memory",
	     "kvm_gfn_to_hva_cache_init(vcpu->kvm, ghc, vmcs12->vmcs_link_pointer, VMCS12_SIZE)",
	     .edits = { VMCS_VALUE(VMCS_LINK_POINTER, MMIO_GPA) }),
	LINK("link_revision", "hdr.revision_id != VMCS12_REVISION", .prepare = make_wrong_revision, LINK_REGION),
	LINK("link_shadow", "hdr.shadow_vmcs != nested_cpu_has_shadow_vmcs(vmcs12)", .prepare = make_shadow, LINK_REGION),
	LEGAL_AS("link_vmcs", .prepare = link_to_vmcs),

	SEGMENT_FAILS("cs_unusable", VMCS_SET(GUEST_CS_AR, AR_UNUSABLE)),
	SEGMENT_FAILS("cs_data", { GUEST_CS_AR, 3, AR_TYPE }),
	SEGMENT_FAILS("cs_not_accessed", VMCS_CLEAR(GUEST_CS_AR, 1)),
	SEGMENT_FAILS("cs_system", VMCS_CLEAR(GUEST_CS_AR, AR_S)),
	SEGMENT_FAILS("cs_dpl", VMCS_SET(GUEST_CS_AR, AR_DPL(3))),
	SEGMENT_FAILS("cs_rpl", VMCS_SET(GUEST_CS_SELECTOR, 3)),
	BY_CPU("cs_not_present", VMCS_CLEAR(GUEST_CS_AR, AR_P)),
	BY_CPU("cs_l_and_d", VMCS_SET(GUEST_CS_AR, AR_DB)),
	BY_CPU("cs_limit_low", VMCS_VALUE(GUEST_CS_LIMIT, 0xfffffffe)),
	BY_CPU("cs_limit_bytes", VMCS_CLEAR(GUEST_CS_AR, AR_G)),
	BY_CPU("cs_base_bit32", VMCS_SET(GUEST_CS_BASE, 1ull << 32)),
	SEGMENT_FAILS("ss_read_only", VMCS_CLEAR(GUEST_SS_AR, 2)),
	SEGMENT_FAILS("ss_code", VMCS_SET(GUEST_SS_AR, 8)),
	SEGMENT_FAILS("ss_dpl", VMCS_SET(GUEST_SS_AR, AR_DPL(1))),
	SEGMENT_FAILS("ss_rpl", VMCS_SET(GUEST_SS_SELECTOR, 1)),
	SEGMENT_FAILS("ss_system", VMCS_CLEAR(GUEST_SS_AR, AR_S)),
	BY_CPU("ss_not_present", VMCS_CLEAR(GUEST_SS_AR, AR_P)),
	BY_CPU("ss_base_bit32", VMCS_SET(GUEST_SS_BASE, 1ull << 32)),
	BY_CPU("ss_limit_low", VMCS_VALUE(GUEST_SS_LIMIT, 0xffffeffe)),
	LEGAL("ss_unusable", VMCS_VALUE(GUEST_SS_AR, AR_UNUSABLE), VMCS_VALUE(GUEST_SS_SELECTOR, 0),
	      VMCS_VALUE(GUEST_SS_LIMIT, 0xfffffffe)),
	SEGMENT_FAILS("ds_system", VMCS_CLEAR(GUEST_DS_AR, AR_S)),
	BY_CPU("ds_not_present", VMCS_CLEAR(GUEST_DS_AR, AR_P)),
	SEGMENT_FAILS("ds_rpl_above_dpl", VMCS_SET(GUEST_DS_SELECTOR, 3)),
	BY_CPU("ds_not_accessed", VMCS_CLEAR(GUEST_DS_AR, 1)),
	BY_CPU("ds_execute_only", { GUEST_DS_AR, 9, AR_TYPE }),
	BY_CPU("ds_limit_low", VMCS_VALUE(GUEST_DS_LIMIT, 0xfffffffe)),
	BY_CPU("ds_limit_bytes", VMCS_CLEAR(GUEST_DS_AR, AR_G)),
	BY_CPU("ds_base_bit32", VMCS_SET(GUEST_DS_BASE, 1ull << 32)),
	LEGAL("ds_limit_small", VMCS_CLEAR(GUEST_DS_AR, AR_G), VMCS_VALUE(GUEST_DS_LIMIT, 0x12345)),
	LEGAL("ds_unusable", VMCS_VALUE(GUEST_DS_AR, AR_UNUSABLE), VMCS_VALUE(GUEST_DS_LIMIT, 0x12345678)),
	LEGAL("ds_code_readable", VMCS_SET(GUEST_DS_AR, 8)),
	BY_CPU("es_not_present", VMCS_CLEAR(GUEST_ES_AR, AR_P)),
	BY_CPU("es_not_accessed", VMCS_CLEAR(GUEST_ES_AR, 1)),
	SEGMENT_FAILS("fs_system", VMCS_VALUE(GUEST_FS_AR, AR_P | 3)),
	BY_CPU("fs_base", VMCS_VALUE(GUEST_FS_BASE, NONCANONICAL)),
	LEGAL("fs_base_high", VMCS_VALUE(GUEST_FS_BASE, 0xffff800000000000ull)),
	BY_CPU("gs_base", VMCS_VALUE(GUEST_GS_BASE, NONCANONICAL)),
	SEGMENT_FAILS("tr_unusable", VMCS_SET(GUEST_TR_AR, AR_UNUSABLE)),
	SEGMENT_FAILS("tr_available", VMCS_CLEAR(GUEST_TR_AR, 2)),
	SEGMENT_FAILS("tr_ti", VMCS_SET(GUEST_TR_SELECTOR, 4)),
	BY_CPU("tr_not_present", VMCS_CLEAR(GUEST_TR_AR, AR_P)),
	BY_CPU("tr_16", { GUEST_TR_AR, 3, AR_TYPE }),
	BY_CPU("tr_not_system", VMCS_SET(GUEST_TR_AR, AR_S)),
	BY_CPU("tr_base", VMCS_VALUE(GUEST_TR_BASE, NONCANONICAL)),
	BY_CPU("tr_limit_g", VMCS_SET(GUEST_TR_AR, AR_G)),
	SEGMENT_FAILS("ldtr_type", VMCS_VALUE(GUEST_LDTR_AR, AR_P | 0xb)),
	BY_CPU("ldtr_not_present", VMCS_VALUE(GUEST_LDTR_AR, 2)),
	SEGMENT_FAILS("ldtr_ti", VMCS_VALUE(GUEST_LDTR_AR, AR_LDT), VMCS_SET(GUEST_LDTR_SELECTOR, 4)),
	BY_CPU("ldtr_base", VMCS_VALUE(GUEST_LDTR_AR, AR_LDT), VMCS_VALUE(GUEST_LDTR_BASE, NONCANONICAL)),
	LEGAL("ldtr", VMCS_VALUE(GUEST_LDTR_AR, AR_LDT), VMCS_VALUE(GUEST_LDTR_LIMIT, 0xfff)),
	BY_CPU("gdtr_base", VMCS_VALUE(GUEST_GDTR_BASE, NONCANONICAL)),
	BY_CPU("idtr_base", VMCS_VALUE(GUEST_IDTR_BASE, NONCANONICAL)),
	BY_CPU("gdtr_limit", VMCS_SET(GUEST_GDTR_LIMIT, 1u << 16)),
	BY_CPU("idtr_limit", VMCS_SET(GUEST_IDTR_LIMIT, 1u << 31)),

	/* Note, only the bits above the linear width have to be alike. */
	NOT_IN_BOCHS("rip", VMCS_VALUE(GUEST_RIP, 1ull << 60)),
	NOT_IN_BOCHS("rip_high", VMCS_VALUE(GUEST_RIP, 0x7fffffffffffffffull)),
	BY_CPU("rflags_bit1", VMCS_CLEAR(GUEST_RFLAGS, X86_EFLAGS_FIXED)),
	BY_CPU("rflags_bit3", VMCS_SET(GUEST_RFLAGS, 1u << 3)),
	BY_CPU("rflags_bit15", VMCS_SET(GUEST_RFLAGS, 1u << 15)),
	BY_CPU("rflags_bit22", VMCS_SET(GUEST_RFLAGS, 1u << 22)),
	BY_CPU("rflags_bit63", VMCS_SET(GUEST_RFLAGS, 1ull << 63)),
	SEGMENT_FAILS("rflags_vm", VMCS_SET(GUEST_RFLAGS, 1u << 17)),
	BY_CPU("rflags_if_for_interrupt", EVENT(INTR_EXTERNAL | 0x20)),

	FAILS("dr7_bit63", "!kvm_dr7_valid(vmcs12->guest_dr7)", WITH_DEBUG(GUEST_DR7, 1ull << 63 | 0x400)),
	FAILS("debugctl_bit16", "!vmx_is_valid_debugctl(vcpu, vmcs12->guest_ia32_debugctl, false)",
	      WITH_DEBUG(GUEST_DEBUGCTL, 1u << 16)),
	FAILS("activity_max", ACTIVITY_CHECK, VMCS_VALUE(GUEST_ACTIVITY, ~0u)),
	FAILS("activity_4", ACTIVITY_CHECK, VMCS_VALUE(GUEST_ACTIVITY, 4)),
	FAILS("activity_shutdown", ACTIVITY_CHECK, VMCS_VALUE(GUEST_ACTIVITY, ACTIVITY_SHUTDOWN)),
	BY_CPU("interruptibility_bit5", VMCS_SET(GUEST_INTERRUPTIBILITY, 1u << 5)),
	BY_CPU("interruptibility_bit31", VMCS_SET(GUEST_INTERRUPTIBILITY, 1u << 31)),
	BY_CPU("sti_and_mov_ss", VMCS_SET(GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS),
	       VMCS_SET(GUEST_RFLAGS, X86_EFLAGS_IF)),
	BY_CPU("sti_without_if", VMCS_SET(GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_STI)),
	LEGAL("sti", VMCS_SET(GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_STI), VMCS_SET(GUEST_RFLAGS, X86_EFLAGS_IF)),
	LEGAL("mov_ss", VMCS_SET(GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_MOV_SS)),
	BY_CPU("smi_blocked", VMCS_SET(GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_SMI)),
	BY_CPU("sti_and_interrupt", VMCS_SET(GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_STI),
	       VMCS_SET(GUEST_RFLAGS, X86_EFLAGS_IF), EVENT(INTR_EXTERNAL | 0x20)),
	BY_CPU("mov_ss_and_nmi", VMCS_SET(GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_MOV_SS), EVENT(INTR_NMI | 2)),
	BY_CPU("pending_debug_bit4", VMCS_SET(GUEST_PENDING_DEBUG, 1u << 4)),
	BY_CPU("pending_debug_bit13", VMCS_SET(GUEST_PENDING_DEBUG, 1u << 13)),
	NOT_IN_BOCHS("pending_debug_bit63", VMCS_SET(GUEST_PENDING_DEBUG, 1ull << 63)),
	NOT_IN_BOCHS("pending_bs_without_tf", VMCS_SET(GUEST_PENDING_DEBUG, 1u << 14),
		     VMCS_SET(GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_MOV_SS)),
	NOT_IN_BOCHS("tf_without_pending_bs", VMCS_SET(GUEST_RFLAGS, X86_EFLAGS_TF),
		     VMCS_SET(GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_MOV_SS)),
};

CASE(entry_guest, .says = "guest state that cannot be fails the entry with an exit", .modes = LONG64,
     .needs = "vendor:intel nested vmx:load_pat vmx:load_efer", .rows = ROWS(rows))

GUEST(entry_guest)
{
	entry_row_run(GUEST_ROW(rows));
}

HOST(entry_guest)
{
	expect_done(t);
	expect_entry_refused(t, ROW(t, rows)->check);
}

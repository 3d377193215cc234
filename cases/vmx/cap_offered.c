/* SPDX-License-Identifier: MIT */
/*
 * What kvm_intel offers to guest hypervisors whatever the CPU is: the controls without which it does not load, those it
 * emulates, and those that its own parameters say it uses. A guest that lost one would still run, and be slower or
 * refuse to migrate; tests that need it would be skipped.
 *
 * Can break: a control that is masked out of the capability MSRs, a bit that must be 1 and need not.
 * Source: SDM vol. 3D, appendix A; KVM API, KVM_GET_MSR_FEATURE_INDEX_LIST; for what KVM cannot do without, its check at
 * load (kvm_intel: "VM-Execution controls"), for the rest its parameters in /sys/module/kvm_intel/parameters.
 */
#include "case.h"
#include "vm/x86/vmx.h"

#define ALLOWED(bits_) ((uint64_t)(bits_) << 32)

struct row {
	ROW_FIELDS;
	uint32_t msr;
	uint64_t mask, value;	/* of the bits of the mask */
};

#define HAS(label_, msr_, bits_, ...)							\
	{ .label = label_, .msr = MSR_IA32_VMX_##msr_, .mask = bits_, .value = bits_, ##__VA_ARGS__ }
#define HAS_VALUE(label_, msr_, mask_, value_, ...)					\
	{ .label = label_, .msr = MSR_IA32_VMX_##msr_, .mask = mask_, .value = value_, ##__VA_ARGS__ }
#define PARAM(name_) .needs = "param:kvm_intel." name_ "=Y"

#define EPT_ALWAYS (1ull << 6 | 1ull << 14 | 1ull << 16 | 1ull << 17 | 1ull << 20 | 1ull << 25 | 1ull << 26)
#define VPID_ALWAYS (1ull << 32 | 0xfull << 40)

static const struct row rows[] = {
	HAS("pin_needed", TRUE_PINBASED_CTLS, ALLOWED(PIN_EXTERNAL_INTERRUPT_EXITING | PIN_NMI_EXITING)),
	HAS("pin_timer", TRUE_PINBASED_CTLS, ALLOWED(PIN_PREEMPTION_TIMER)),
	HAS("pin_virtual_nmis", TRUE_PINBASED_CTLS, ALLOWED(PIN_VIRTUAL_NMIS), PARAM("vnmi")),
	HAS_VALUE("pin_default", TRUE_PINBASED_CTLS, 0xffffffff, PIN_DEFAULT1),
	HAS("proc_needed", TRUE_PROCBASED_CTLS,
	    ALLOWED(PROC_INTERRUPT_WINDOW_EXITING | PROC_TSC_OFFSETTING | PROC_HLT_EXITING | PROC_INVLPG_EXITING |
		    PROC_MWAIT_EXITING | PROC_RDPMC_EXITING | PROC_CR3_LOAD_EXITING | PROC_CR3_STORE_EXITING |
		    PROC_CR8_LOAD_EXITING | PROC_CR8_STORE_EXITING | PROC_MOV_DR_EXITING |
		    PROC_UNCONDITIONAL_IO_EXITING | PROC_MONITOR_EXITING)),
	HAS("proc_msr_bitmaps", TRUE_PROCBASED_CTLS, ALLOWED(PROC_MSR_BITMAPS)),
	HAS("proc_nmi_window", TRUE_PROCBASED_CTLS, ALLOWED(PROC_NMI_WINDOW_EXITING), PARAM("vnmi")),
	HAS("proc_tpr_shadow", TRUE_PROCBASED_CTLS, ALLOWED(PROC_TPR_SHADOW), PARAM("flexpriority")),
	HAS("proc_secondary", TRUE_PROCBASED_CTLS, ALLOWED(PROC_SECONDARY), PARAM("ept")),
	/* CR3 need not exit. */
	HAS_VALUE("proc_default", TRUE_PROCBASED_CTLS, 0xffffffff,
		  PROC_DEFAULT1 & ~(PROC_CR3_LOAD_EXITING | PROC_CR3_STORE_EXITING)),
	HAS("proc2_shadowing", PROCBASED_CTLS2, ALLOWED(PROC2_VMCS_SHADOWING), PARAM("ept")),
	HAS("proc2_ept", PROCBASED_CTLS2, ALLOWED(PROC2_EPT), PARAM("ept")),
	HAS("proc2_vpid", PROCBASED_CTLS2, ALLOWED(PROC2_VPID), PARAM("vpid")),
	HAS("proc2_unrestricted", PROCBASED_CTLS2, ALLOWED(PROC2_UNRESTRICTED_GUEST), PARAM("unrestricted_guest")),
	HAS("proc2_apic_accesses", PROCBASED_CTLS2, ALLOWED(PROC2_VIRTUALIZE_APIC_ACCESSES), PARAM("flexpriority")),
	HAS("proc2_pml", PROCBASED_CTLS2, ALLOWED(PROC2_PML), PARAM("eptad")),
	HAS("exit_needed", TRUE_EXIT_CTLS,
	    ALLOWED(EXIT_HOST_ADDRESS_SPACE_SIZE | EXIT_ACKNOWLEDGE_INTERRUPT | EXIT_SAVE_EFER | EXIT_LOAD_EFER |
		    EXIT_SAVE_PREEMPTION_TIMER | EXIT_SAVE_DEBUG_CONTROLS)),
	HAS_VALUE("exit_default", TRUE_EXIT_CTLS, 0xffffffff, EXIT_DEFAULT1 & ~EXIT_SAVE_DEBUG_CONTROLS),
	HAS("entry_needed", TRUE_ENTRY_CTLS, ALLOWED(ENTRY_IA32E_MODE_GUEST | ENTRY_LOAD_EFER | ENTRY_LOAD_DEBUG_CONTROLS)),
	HAS_VALUE("entry_default", TRUE_ENTRY_CTLS, 0xffffffff, ENTRY_DEFAULT1 & ~ENTRY_LOAD_DEBUG_CONTROLS),
	HAS("ept_vpid_ept", EPT_VPID_CAP, EPT_ALWAYS, PARAM("ept")),
	HAS("ept_vpid_ad", EPT_VPID_CAP, 1ull << 21, PARAM("eptad")),
	HAS("ept_vpid_vpid", EPT_VPID_CAP, VPID_ALWAYS, PARAM("vpid")),
	/* HLT and wait-for-SIPI, VMWRITE to any field. */
	HAS("misc", MISC, 1ull << 6 | 1ull << 8 | 1ull << 29),
	HAS("misc_lma", MISC, 1ull << 5, PARAM("unrestricted_guest")),
	/* A page, write-back, with the TRUE MSRs. */
	HAS_VALUE("basic", BASIC, 0x1fffull << 32 | 0xfull << 50 | 1ull << 55, 0x1000ull << 32 | 6ull << 50 | 1ull << 55),
	HAS_VALUE("cr0_fixed0", CR0_FIXED0, ~0ull, X86_CR0_PE | X86_CR0_NE | X86_CR0_PG),
	HAS_VALUE("cr4_fixed0", CR4_FIXED0, ~0ull, X86_CR4_VMXE),
};

CASE(cap_offered, .says = "KVM offers to guest hypervisors what it needs, emulates and uses itself", .modes = NO_GUEST,
     .needs = "vendor:intel nested", .rows = ROWS(rows))

HOST(cap_offered)
{
	const struct row *row = ROW(t, rows);
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr = { .head.nmsrs = 1, .entry.index = row->msr };

	sys_call_must(t->sys, t->sys->fd, KVM_GET_MSRS, (uintptr_t)&msr, "KVM_GET_MSRS");
	expect_eq(t, row->value, msr.entry.data & row->mask);
}

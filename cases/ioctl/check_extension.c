/* SPDX-License-Identifier: MIT */
/*
 * KVM_CHECK_EXTENSION: what every x86 KVM since 6.1 offers, with the value that the documentation gives, on the system's
 * descriptor and on a VM's; and zero, not an error, for what there is not.
 *
 * Can break: a value changed or lost, a capability of another architecture, an errno for an unknown number.
 * Source: KVM API, 4.4 (KVM_CHECK_EXTENSION) and the sections that name each capability.
 */
#include "case.h"

#include <unistd.h>

#define AT_LEAST (1 << 0)	/* else exactly */
#define HAS_BITS (1 << 1)	/* these at least */
#define OR_NONE (1 << 2)	/* this, or 0: as the CPU and the kernel's configuration are */

struct row {
	ROW_FIELDS;
	long cap;
	long value;
	unsigned int how;
};

static const struct row rows[] = {
	{ .label = "irqchip", .cap = KVM_CAP_IRQCHIP, .value = 1 },
	{ .label = "hlt", .cap = KVM_CAP_HLT, .value = 1 },
	{ .label = "user_memory", .cap = KVM_CAP_USER_MEMORY, .value = 1 },
	{ .label = "set_tss_addr", .cap = KVM_CAP_SET_TSS_ADDR, .value = 1 },
	{ .label = "ext_cpuid", .cap = KVM_CAP_EXT_CPUID, .value = 1 },
	{ .label = "nr_memslots", .cap = KVM_CAP_NR_MEMSLOTS, .value = 32, .how = AT_LEAST },
	{ .label = "mp_state", .cap = KVM_CAP_MP_STATE, .value = 1 },
	{ .label = "coalesced_mmio", .cap = KVM_CAP_COALESCED_MMIO, .value = 2 },	/* its page offset */
	{ .label = "sync_mmu", .cap = KVM_CAP_SYNC_MMU, .value = 1 },
	{ .label = "destroy_memory_region_works", .cap = KVM_CAP_DESTROY_MEMORY_REGION_WORKS, .value = 1 },
	{ .label = "user_nmi", .cap = KVM_CAP_USER_NMI, .value = 1 },
	{ .label = "set_guest_debug", .cap = KVM_CAP_SET_GUEST_DEBUG, .value = 1 },
	{ .label = "irq_routing", .cap = KVM_CAP_IRQ_ROUTING, .value = 4096 },	/* entries */
	{ .label = "irq_inject_status", .cap = KVM_CAP_IRQ_INJECT_STATUS, .value = 1 },
	{ .label = "irqfd", .cap = KVM_CAP_IRQFD, .value = 1 },
	{ .label = "irqfd_resample", .cap = KVM_CAP_IRQFD_RESAMPLE, .value = 1 },
	{ .label = "pit2", .cap = KVM_CAP_PIT2, .value = 1 },
	{ .label = "pit_state2", .cap = KVM_CAP_PIT_STATE2, .value = 1 },
	{ .label = "ioeventfd", .cap = KVM_CAP_IOEVENTFD, .value = 1 },
	{ .label = "join_memory_regions_works", .cap = KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, .value = 1 },
	{ .label = "adjust_clock", .cap = KVM_CAP_ADJUST_CLOCK, .value = 0xe },	/* KVM_CLOCK_* flags */
	{ .label = "mce", .cap = KVM_CAP_MCE, .value = 32 },	/* banks */
	{ .label = "vcpu_events", .cap = KVM_CAP_VCPU_EVENTS, .value = 1 },
	{ .label = "debugregs", .cap = KVM_CAP_DEBUGREGS, .value = 1 },
	{ .label = "xsave", .cap = KVM_CAP_XSAVE, .value = 1 },
	{ .label = "max_vcpus", .cap = KVM_CAP_MAX_VCPUS, .value = 256, .how = AT_LEAST },
	{ .label = "max_vcpu_id", .cap = KVM_CAP_MAX_VCPU_ID, .value = 256, .how = AT_LEAST },
	{ .label = "tsc_deadline_timer", .cap = KVM_CAP_TSC_DEADLINE_TIMER, .value = 1 },
	{ .label = "get_tsc_khz", .cap = KVM_CAP_GET_TSC_KHZ, .value = 1 },
	{ .label = "signal_msi", .cap = KVM_CAP_SIGNAL_MSI, .value = 1 },
	{ .label = "readonly_mem", .cap = KVM_CAP_READONLY_MEM, .value = 1 },
	{ .label = "check_extension_vm", .cap = KVM_CAP_CHECK_EXTENSION_VM, .value = 1 },
	{ .label = "split_irqchip", .cap = KVM_CAP_SPLIT_IRQCHIP, .value = 1 },
	{ .label = "ioeventfd_any_length", .cap = KVM_CAP_IOEVENTFD_ANY_LENGTH, .value = 1 },
	{ .label = "immediate_exit", .cap = KVM_CAP_IMMEDIATE_EXIT, .value = 1 },
	{ .label = "multi_address_space", .cap = KVM_CAP_MULTI_ADDRESS_SPACE, .value = 2 },	/* SMM's own */
	{ .label = "x2apic_api", .cap = KVM_CAP_X2APIC_API, .value = 3, .how = HAS_BITS },
	{ .label = "sync_regs", .cap = KVM_CAP_SYNC_REGS, .value = 7 },
	{ .label = "get_msr_features", .cap = KVM_CAP_GET_MSR_FEATURES, .value = 1 },
	{ .label = "exception_payload", .cap = KVM_CAP_EXCEPTION_PAYLOAD, .value = 1 },
	{ .label = "manual_dirty_log_protect2", .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .value = 3 },
	{ .label = "x86_user_space_msr", .cap = KVM_CAP_X86_USER_SPACE_MSR, .value = 1, .how = HAS_BITS },
	{ .label = "x86_msr_filter", .cap = KVM_CAP_X86_MSR_FILTER, .value = 1 },
	{ .label = "sregs2", .cap = KVM_CAP_SREGS2, .value = 1 },
	{ .label = "binary_stats_fd", .cap = KVM_CAP_BINARY_STATS_FD, .value = 1 },
	{ .label = "exit_hypercall", .cap = KVM_CAP_EXIT_HYPERCALL, .value = 1 << 12 },	/* KVM_HC_MAP_GPA_RANGE */
	{ .label = "x86_triple_fault_event", .cap = KVM_CAP_X86_TRIPLE_FAULT_EVENT, .value = 1 },
	{ .label = "guest_debug2", .cap = KVM_CAP_SET_GUEST_DEBUG2, .value = 0xf0003, .how = HAS_BITS },
	{ .label = "disable_quirks2", .cap = KVM_CAP_DISABLE_QUIRKS2, .value = 0x7f, .how = HAS_BITS },
	{ .label = "xsave2", .cap = KVM_CAP_XSAVE2, .value = 4096, .how = AT_LEAST },	/* bytes */
	{ .label = "dirty_log_ring", .cap = KVM_CAP_DIRTY_LOG_RING, .value = 1 << 16, .how = AT_LEAST },	/* bytes */
	{ .label = "pv_mmu", .cap = KVM_CAP_PV_MMU, .value = 0 },
	{ .label = "s390_psw", .cap = KVM_CAP_S390_PSW, .value = 0 },
	{ .label = "arm_psci", .cap = KVM_CAP_ARM_PSCI, .value = 0 },
	{ .label = "ppc_smt", .cap = KVM_CAP_PPC_SMT, .value = 0 },
	{ .label = "mmu_shadow_cache_control", .cap = KVM_CAP_MMU_SHADOW_CACHE_CONTROL, .value = 1 },
	{ .label = "vapic", .cap = KVM_CAP_VAPIC, .value = 1 },
	{ .label = "clocksource", .cap = KVM_CAP_CLOCKSOURCE, .value = 1 },
	{ .label = "pit", .cap = KVM_CAP_PIT, .value = 1 },
	{ .label = "nop_io_delay", .cap = KVM_CAP_NOP_IO_DELAY, .value = 1 },
	{ .label = "reinject_control", .cap = KVM_CAP_REINJECT_CONTROL, .value = 1 },
	{ .label = "set_boot_cpu_id", .cap = KVM_CAP_SET_BOOT_CPU_ID, .value = 1 },
	{ .label = "set_identity_map_addr", .cap = KVM_CAP_SET_IDENTITY_MAP_ADDR, .value = 1 },
	{ .label = "internal_error_data", .cap = KVM_CAP_INTERNAL_ERROR_DATA, .value = 1 },
	{ .label = "hyperv", .cap = KVM_CAP_HYPERV, .value = 1 },
	{ .label = "hyperv_vapic", .cap = KVM_CAP_HYPERV_VAPIC, .value = 1 },
	{ .label = "hyperv_spin", .cap = KVM_CAP_HYPERV_SPIN, .value = 1 },
	{ .label = "pci_segment", .cap = KVM_CAP_PCI_SEGMENT, .value = 1 },
	{ .label = "x86_robust_singlestep", .cap = KVM_CAP_X86_ROBUST_SINGLESTEP, .value = 1 },
	{ .label = "enable_cap", .cap = KVM_CAP_ENABLE_CAP, .value = 1 },
	{ .label = "async_pf", .cap = KVM_CAP_ASYNC_PF, .value = 1 },
	{ .label = "kvmclock_ctrl", .cap = KVM_CAP_KVMCLOCK_CTRL, .value = 1 },
	{ .label = "ext_emul_cpuid", .cap = KVM_CAP_EXT_EMUL_CPUID, .value = 1 },
	{ .label = "hyperv_time", .cap = KVM_CAP_HYPERV_TIME, .value = 1 },
	{ .label = "ioapic_polarity_ignored", .cap = KVM_CAP_IOAPIC_POLARITY_IGNORED, .value = 1 },
	{ .label = "enable_cap_vm", .cap = KVM_CAP_ENABLE_CAP_VM, .value = 1 },
	{ .label = "ioeventfd_no_length", .cap = KVM_CAP_IOEVENTFD_NO_LENGTH, .value = 1 },
	{ .label = "vcpu_attributes", .cap = KVM_CAP_VCPU_ATTRIBUTES, .value = 1 },
	{ .label = "hyperv_synic", .cap = KVM_CAP_HYPERV_SYNIC, .value = 1 },
	{ .label = "hyperv_synic2", .cap = KVM_CAP_HYPERV_SYNIC2, .value = 1 },
	{ .label = "hyperv_vp_index", .cap = KVM_CAP_HYPERV_VP_INDEX, .value = 1 },
	/* The hypercall page and exits, shared info, events in two levels and their sending. */
	{ .label = "xen_hvm", .cap = KVM_CAP_XEN_HVM, .value = 0x37, .how = HAS_BITS, .needs = "KVM_CAP_XEN_HVM" },
	{ .label = "hyperv_eventfd", .cap = KVM_CAP_HYPERV_EVENTFD, .value = 1 },
	{ .label = "hyperv_tlbflush", .cap = KVM_CAP_HYPERV_TLBFLUSH, .value = 1 },
	{ .label = "msr_platform_info", .cap = KVM_CAP_MSR_PLATFORM_INFO, .value = 1 },
	{ .label = "hyperv_send_ipi", .cap = KVM_CAP_HYPERV_SEND_IPI, .value = 1 },
	{ .label = "coalesced_pio", .cap = KVM_CAP_COALESCED_PIO, .value = 1 },
	{ .label = "hyperv_cpuid", .cap = KVM_CAP_HYPERV_CPUID, .value = 1 },
	{ .label = "pmu_event_filter", .cap = KVM_CAP_PMU_EVENT_FILTER, .value = 1 },
	{ .label = "async_pf_int", .cap = KVM_CAP_ASYNC_PF_INT, .value = 1 },
	{ .label = "last_cpu", .cap = KVM_CAP_LAST_CPU, .value = 1 },
	{ .label = "sys_hyperv_cpuid", .cap = KVM_CAP_SYS_HYPERV_CPUID, .value = 1 },
	{ .label = "hyperv_enforce_cpuid", .cap = KVM_CAP_HYPERV_ENFORCE_CPUID, .value = 1 },
	{ .label = "sys_attributes", .cap = KVM_CAP_SYS_ATTRIBUTES, .value = 1 },
	{ .label = "system_event_data", .cap = KVM_CAP_SYSTEM_EVENT_DATA, .value = 1 },
	{ .label = "vm_disable_nx_huge_pages", .cap = KVM_CAP_VM_DISABLE_NX_HUGE_PAGES, .value = 1 },
	{ .label = "disable_quirks", .cap = KVM_CAP_DISABLE_QUIRKS, .value = 1 },
	{ .label = "halt_poll", .cap = KVM_CAP_HALT_POLL, .value = 1 },
	{ .label = "exit_on_emulation_failure", .cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .value = 1 },
	{ .label = "enforce_pv_feature_cpuid", .cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID, .value = 1 },
	{ .label = "vm_copy_enc_context_from", .cap = KVM_CAP_VM_COPY_ENC_CONTEXT_FROM, .value = 1 },
	{ .label = "vm_move_enc_context_from", .cap = KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM, .value = 1 },
	{ .label = "xcrs", .cap = KVM_CAP_XCRS, .value = 1, .how = OR_NONE },
	{ .label = "tsc_control", .cap = KVM_CAP_TSC_CONTROL, .value = 1, .how = OR_NONE },
	{ .label = "vm_tsc_control", .cap = KVM_CAP_VM_TSC_CONTROL, .value = 1, .how = OR_NONE },
	{ .label = "x86_smm", .cap = KVM_CAP_X86_SMM, .value = 1, .how = OR_NONE },
	{ .label = "hyperv_direct_tlbflush", .cap = KVM_CAP_HYPERV_DIRECT_TLBFLUSH, .value = 1, .how = OR_NONE },
	{ .label = "hyperv_enlightened_vmcs", .cap = KVM_CAP_HYPERV_ENLIGHTENED_VMCS, .value = 1, .how = OR_NONE },
	{ .label = "smaller_maxphyaddr", .cap = KVM_CAP_SMALLER_MAXPHYADDR, .value = 1, .how = OR_NONE },
	{ .label = "steal_time", .cap = KVM_CAP_STEAL_TIME, .value = 1, .how = OR_NONE },
	{ .label = "sgx_attribute", .cap = KVM_CAP_SGX_ATTRIBUTE, .value = 1, .how = OR_NONE },
	{ .label = "pmu_capability", .cap = KVM_CAP_PMU_CAPABILITY, .value = 1, .how = OR_NONE },
	{ .label = "x86_notify_vmexit", .cap = KVM_CAP_X86_NOTIFY_VMEXIT, .value = 1, .how = OR_NONE },
	{ .label = "one_reg", .cap = KVM_CAP_ONE_REG, .value = 1, .how = OR_NONE },
	{ .label = "x86_bus_lock_exit", .cap = KVM_CAP_X86_BUS_LOCK_EXIT, .value = 3, .how = OR_NONE },
	{ .label = "nr_vcpus", .cap = KVM_CAP_NR_VCPUS, .value = 1, .how = AT_LEAST },
	{ .label = "dirty_log_ring_acq_rel", .cap = KVM_CAP_DIRTY_LOG_RING_ACQ_REL, .value = 1 << 16, .how = AT_LEAST },
	{ .label = "x86_disable_exits", .cap = KVM_CAP_X86_DISABLE_EXITS, .value = KVM_X86_DISABLE_EXITS_PAUSE, .how = HAS_BITS },
	/* Documented for x86; what it is about works. */
	{ .label = "device_ctrl", .cap = KVM_CAP_DEVICE_CTRL, .value = 1, .known = { "1202-capabilities-not-told" } },
	{ .label = "intr_shadow", .cap = KVM_CAP_INTR_SHADOW, .value = 1, .known = { "1202-capabilities-not-told" } },
	/* Gone, or of another architecture. */
	{ .label = "iommu", .cap = KVM_CAP_IOMMU, .value = 0 },
	{ .label = "assign_dev_irq", .cap = KVM_CAP_ASSIGN_DEV_IRQ, .value = 0 },
	{ .label = "pci_2_3", .cap = KVM_CAP_PCI_2_3, .value = 0 },
	{ .label = "sw_tlb", .cap = KVM_CAP_SW_TLB, .value = 0 },
	{ .label = "irq_mpic", .cap = KVM_CAP_IRQ_MPIC, .value = 0 },
	{ .label = "irq_xics", .cap = KVM_CAP_IRQ_XICS, .value = 0 },
	{ .label = "vm_attributes", .cap = KVM_CAP_VM_ATTRIBUTES, .value = 0 },
	{ .label = "msi_devid", .cap = KVM_CAP_MSI_DEVID, .value = 0 },
	{ .label = "guest_debug_hw_bps", .cap = KVM_CAP_GUEST_DEBUG_HW_BPS, .value = 0 },
	{ .label = "guest_debug_hw_wps", .cap = KVM_CAP_GUEST_DEBUG_HW_WPS, .value = 0 },
	{ .label = "ptp_kvm", .cap = KVM_CAP_PTP_KVM, .value = 0 },
	{ .label = "vm_gpa_bits", .cap = KVM_CAP_VM_GPA_BITS, .value = 0 },
	{ .label = "manual_dirty_log_protect", .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT, .value = 0 },
	{ .label = "spapr_tce", .cap = KVM_CAP_SPAPR_TCE, .value = 0 },
	{ .label = "spapr_multitce", .cap = KVM_CAP_SPAPR_MULTITCE, .value = 0 },
	{ .label = "spapr_tce_64", .cap = KVM_CAP_SPAPR_TCE_64, .value = 0 },
	{ .label = "spapr_resize_hpt", .cap = KVM_CAP_SPAPR_RESIZE_HPT, .value = 0 },
	{ .label = "spapr_tce_vfio", .cap = KVM_CAP_SPAPR_TCE_VFIO, .value = 0 },
	{ .label = "ppc_segstate", .cap = KVM_CAP_PPC_SEGSTATE, .value = 0 },
	{ .label = "ppc_paired_singles", .cap = KVM_CAP_PPC_PAIRED_SINGLES, .value = 0 },
	{ .label = "ppc_osi", .cap = KVM_CAP_PPC_OSI, .value = 0 },
	{ .label = "ppc_unset_irq", .cap = KVM_CAP_PPC_UNSET_IRQ, .value = 0 },
	{ .label = "ppc_get_pvinfo", .cap = KVM_CAP_PPC_GET_PVINFO, .value = 0 },
	{ .label = "ppc_irq_level", .cap = KVM_CAP_PPC_IRQ_LEVEL, .value = 0 },
	{ .label = "ppc_booke_sregs", .cap = KVM_CAP_PPC_BOOKE_SREGS, .value = 0 },
	{ .label = "ppc_rma", .cap = KVM_CAP_PPC_RMA, .value = 0 },
	{ .label = "ppc_hior", .cap = KVM_CAP_PPC_HIOR, .value = 0 },
	{ .label = "ppc_papr", .cap = KVM_CAP_PPC_PAPR, .value = 0 },
	{ .label = "s390_gmap", .cap = KVM_CAP_S390_GMAP, .value = 0 },
	{ .label = "s390_ucontrol", .cap = KVM_CAP_S390_UCONTROL, .value = 0 },
	{ .label = "ppc_get_smmu_info", .cap = KVM_CAP_PPC_GET_SMMU_INFO, .value = 0 },
	{ .label = "s390_cow", .cap = KVM_CAP_S390_COW, .value = 0 },
	{ .label = "ppc_alloc_htab", .cap = KVM_CAP_PPC_ALLOC_HTAB, .value = 0 },
	{ .label = "ppc_booke_watchdog", .cap = KVM_CAP_PPC_BOOKE_WATCHDOG, .value = 0 },
	{ .label = "ppc_htab_fd", .cap = KVM_CAP_PPC_HTAB_FD, .value = 0 },
	{ .label = "s390_css_support", .cap = KVM_CAP_S390_CSS_SUPPORT, .value = 0 },
	{ .label = "ppc_epr", .cap = KVM_CAP_PPC_EPR, .value = 0 },
	{ .label = "arm_set_device_addr", .cap = KVM_CAP_ARM_SET_DEVICE_ADDR, .value = 0 },
	{ .label = "ppc_rtas", .cap = KVM_CAP_PPC_RTAS, .value = 0 },
	{ .label = "arm_el1_32bit", .cap = KVM_CAP_ARM_EL1_32BIT, .value = 0 },
	{ .label = "s390_irqchip", .cap = KVM_CAP_S390_IRQCHIP, .value = 0 },
	{ .label = "arm_psci_0_2", .cap = KVM_CAP_ARM_PSCI_0_2, .value = 0 },
	{ .label = "ppc_fixup_hcall", .cap = KVM_CAP_PPC_FIXUP_HCALL, .value = 0 },
	{ .label = "ppc_enable_hcall", .cap = KVM_CAP_PPC_ENABLE_HCALL, .value = 0 },
	{ .label = "s390_user_sigp", .cap = KVM_CAP_S390_USER_SIGP, .value = 0 },
	{ .label = "s390_vector_registers", .cap = KVM_CAP_S390_VECTOR_REGISTERS, .value = 0 },
	{ .label = "s390_mem_op", .cap = KVM_CAP_S390_MEM_OP, .value = 0 },
	{ .label = "s390_user_stsi", .cap = KVM_CAP_S390_USER_STSI, .value = 0 },
	{ .label = "s390_skeys", .cap = KVM_CAP_S390_SKEYS, .value = 0 },
	{ .label = "mips_fpu", .cap = KVM_CAP_MIPS_FPU, .value = 0 },
	{ .label = "mips_msa", .cap = KVM_CAP_MIPS_MSA, .value = 0 },
	{ .label = "s390_inject_irq", .cap = KVM_CAP_S390_INJECT_IRQ, .value = 0 },
	{ .label = "s390_irq_state", .cap = KVM_CAP_S390_IRQ_STATE, .value = 0 },
	{ .label = "ppc_hwrng", .cap = KVM_CAP_PPC_HWRNG, .value = 0 },
	{ .label = "s390_ri", .cap = KVM_CAP_S390_RI, .value = 0 },
	{ .label = "arm_pmu_v3", .cap = KVM_CAP_ARM_PMU_V3, .value = 0 },
	{ .label = "s390_user_instr0", .cap = KVM_CAP_S390_USER_INSTR0, .value = 0 },
	{ .label = "ppc_htm", .cap = KVM_CAP_PPC_HTM, .value = 0 },
	{ .label = "ppc_mmu_radix", .cap = KVM_CAP_PPC_MMU_RADIX, .value = 0 },
	{ .label = "ppc_mmu_hash_v3", .cap = KVM_CAP_PPC_MMU_HASH_V3, .value = 0 },
	{ .label = "mips_vz", .cap = KVM_CAP_MIPS_VZ, .value = 0 },
	{ .label = "mips_te", .cap = KVM_CAP_MIPS_TE, .value = 0 },
	{ .label = "mips_64bit", .cap = KVM_CAP_MIPS_64BIT, .value = 0 },
	{ .label = "s390_gs", .cap = KVM_CAP_S390_GS, .value = 0 },
	{ .label = "s390_ais", .cap = KVM_CAP_S390_AIS, .value = 0 },
	{ .label = "arm_user_irq", .cap = KVM_CAP_ARM_USER_IRQ, .value = 0 },
	{ .label = "s390_cmma_migration", .cap = KVM_CAP_S390_CMMA_MIGRATION, .value = 0 },
	{ .label = "ppc_fwnmi", .cap = KVM_CAP_PPC_FWNMI, .value = 0 },
	{ .label = "ppc_smt_possible", .cap = KVM_CAP_PPC_SMT_POSSIBLE, .value = 0 },
	{ .label = "s390_ais_migration", .cap = KVM_CAP_S390_AIS_MIGRATION, .value = 0 },
	{ .label = "ppc_get_cpu_char", .cap = KVM_CAP_PPC_GET_CPU_CHAR, .value = 0 },
	{ .label = "s390_bpb", .cap = KVM_CAP_S390_BPB, .value = 0 },
	{ .label = "s390_hpage_1m", .cap = KVM_CAP_S390_HPAGE_1M, .value = 0 },
	{ .label = "arm_inject_serror_esr", .cap = KVM_CAP_ARM_INJECT_SERROR_ESR, .value = 0 },
	{ .label = "ppc_nested_hv", .cap = KVM_CAP_PPC_NESTED_HV, .value = 0 },
	{ .label = "arm_vm_ipa_size", .cap = KVM_CAP_ARM_VM_IPA_SIZE, .value = 0 },
	{ .label = "ppc_irq_xive", .cap = KVM_CAP_PPC_IRQ_XIVE, .value = 0 },
	{ .label = "arm_sve", .cap = KVM_CAP_ARM_SVE, .value = 0 },
	{ .label = "arm_ptrauth_address", .cap = KVM_CAP_ARM_PTRAUTH_ADDRESS, .value = 0 },
	{ .label = "arm_ptrauth_generic", .cap = KVM_CAP_ARM_PTRAUTH_GENERIC, .value = 0 },
	{ .label = "arm_irq_line_layout_2", .cap = KVM_CAP_ARM_IRQ_LINE_LAYOUT_2, .value = 0 },
	{ .label = "ppc_guest_debug_sstep", .cap = KVM_CAP_PPC_GUEST_DEBUG_SSTEP, .value = 0 },
	{ .label = "arm_nisv_to_user", .cap = KVM_CAP_ARM_NISV_TO_USER, .value = 0 },
	{ .label = "arm_inject_ext_dabt", .cap = KVM_CAP_ARM_INJECT_EXT_DABT, .value = 0 },
	{ .label = "s390_vcpu_resets", .cap = KVM_CAP_S390_VCPU_RESETS, .value = 0 },
	{ .label = "s390_protected", .cap = KVM_CAP_S390_PROTECTED, .value = 0 },
	{ .label = "ppc_secure_guest", .cap = KVM_CAP_PPC_SECURE_GUEST, .value = 0 },
	{ .label = "s390_diag318", .cap = KVM_CAP_S390_DIAG318, .value = 0 },
	{ .label = "ppc_dawr1", .cap = KVM_CAP_PPC_DAWR1, .value = 0 },
	{ .label = "ppc_rpt_invalidate", .cap = KVM_CAP_PPC_RPT_INVALIDATE, .value = 0 },
	{ .label = "arm_mte", .cap = KVM_CAP_ARM_MTE, .value = 0 },
	{ .label = "ppc_ail_mode_3", .cap = KVM_CAP_PPC_AIL_MODE_3, .value = 0 },
	{ .label = "s390_mem_op_extension", .cap = KVM_CAP_S390_MEM_OP_EXTENSION, .value = 0 },
	{ .label = "arm_system_suspend", .cap = KVM_CAP_ARM_SYSTEM_SUSPEND, .value = 0 },
	{ .label = "s390_protected_dump", .cap = KVM_CAP_S390_PROTECTED_DUMP, .value = 0 },
	{ .label = "s390_zpci_op", .cap = KVM_CAP_S390_ZPCI_OP, .value = 0 },
	{ .label = "s390_cpu_topology", .cap = KVM_CAP_S390_CPU_TOPOLOGY, .value = 0 },
	{ .label = "unknown", .cap = 0x7fffff, .value = 0 },
	{ .label = "negative", .cap = -1, .value = 0 },
};

CASE(check_extension, .says = "capabilities have the values documented", .modes = NO_GUEST, .rows = ROWS(rows))

static void expect_value(struct test *t, const struct row *row, long got)
{
	if (row->how == AT_LEAST)
		expect_true(t, got >= row->value);
	else if (row->how == OR_NONE && !got)
		expect_result(t, 0, got);
	else if (row->how == HAS_BITS)
		expect_result(t, row->value, got & row->value);
	else
		expect_result(t, row->value, got);
}

HOST(check_extension)
{
	const struct row *row = ROW(t, rows);
	long of_system = sys_call(t->sys, t->sys->fd, KVM_CHECK_EXTENSION, row->cap);
	long of_vm = sys_call(t->sys, t->vm->fd, KVM_CHECK_EXTENSION, row->cap);

	expect_value(t, row, of_system);
	expect_result(t, of_system, of_vm);
	/* A vCPU is not asked. */
	expect_errno(t, EINVAL, sys_call(t->sys, t->vcpu->fd, KVM_CHECK_EXTENSION, row->cap));
}

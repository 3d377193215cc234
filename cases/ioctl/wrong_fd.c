/* SPDX-License-Identifier: MIT */
/*
 * A request on a descriptor of another kind is refused and does nothing.
 *
 * KVM's errnos are: ENOTTY from a VM; EINVAL from a vCPU and from /dev/kvm, which is what x86 has always given.
 *
 * Can break: a request number handled by the wrong level, a request that falls through to a neighbour.
 * Source: KVM API, 1 (which level each ioctl belongs to); ioctl(2).
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/vcpu_state.h"

enum level { SYSTEM, VM, VCPU, NR_LEVELS };

struct row {
	ROW_FIELDS;
	unsigned long request;
	unsigned int levels;	/* bits: where it belongs */
};

#define ON(level_) (1 << (level_))

static const struct row rows[] = {
	{ .label = "create_vm", .request = KVM_CREATE_VM, .levels = ON(SYSTEM) },
	{ .label = "get_api_version", .request = KVM_GET_API_VERSION, .levels = ON(SYSTEM) },
	{ .label = "get_vcpu_mmap_size", .request = KVM_GET_VCPU_MMAP_SIZE, .levels = ON(SYSTEM) },
	{ .label = "get_msr_index_list", .request = KVM_GET_MSR_INDEX_LIST, .levels = ON(SYSTEM) },
	{ .label = "get_supported_cpuid", .request = KVM_GET_SUPPORTED_CPUID, .levels = ON(SYSTEM) },
	{ .label = "create_vcpu", .request = KVM_CREATE_VCPU, .levels = ON(VM) },
	{ .label = "set_user_memory_region", .request = KVM_SET_USER_MEMORY_REGION, .levels = ON(VM) },
	{ .label = "get_dirty_log", .request = KVM_GET_DIRTY_LOG, .levels = ON(VM) },
	{ .label = "create_irqchip", .request = KVM_CREATE_IRQCHIP, .levels = ON(VM) },
	{ .label = "create_pit2", .request = KVM_CREATE_PIT2, .levels = ON(VM) },
	{ .label = "get_irqchip", .request = KVM_GET_IRQCHIP, .levels = ON(VM) },
	{ .label = "irq_line", .request = KVM_IRQ_LINE, .levels = ON(VM) },
	{ .label = "set_gsi_routing", .request = KVM_SET_GSI_ROUTING, .levels = ON(VM) },
	{ .label = "irqfd", .request = KVM_IRQFD, .levels = ON(VM) },
	{ .label = "ioeventfd", .request = KVM_IOEVENTFD, .levels = ON(VM) },
	{ .label = "set_tss_addr", .request = KVM_SET_TSS_ADDR, .levels = ON(VM) },
	{ .label = "set_boot_cpu_id", .request = KVM_SET_BOOT_CPU_ID, .levels = ON(VM) },
	{ .label = "get_clock", .request = KVM_GET_CLOCK, .levels = ON(VM) },
	{ .label = "run", .request = KVM_RUN, .levels = ON(VCPU) },
	{ .label = "get_regs", .request = KVM_GET_REGS, .levels = ON(VCPU) },
	{ .label = "set_regs", .request = KVM_SET_REGS, .levels = ON(VCPU) },
	{ .label = "get_sregs", .request = KVM_GET_SREGS, .levels = ON(VCPU) },
	{ .label = "set_sregs", .request = KVM_SET_SREGS, .levels = ON(VCPU) },
	{ .label = "translate", .request = KVM_TRANSLATE, .levels = ON(VCPU) },
	{ .label = "interrupt", .request = KVM_INTERRUPT, .levels = ON(VCPU) },
	{ .label = "nmi", .request = KVM_NMI, .levels = ON(VCPU) },
	{ .label = "set_msrs", .request = KVM_SET_MSRS, .levels = ON(VCPU) },
	{ .label = "set_cpuid2", .request = KVM_SET_CPUID2, .levels = ON(VCPU) },
	{ .label = "get_fpu", .request = KVM_GET_FPU, .levels = ON(VCPU) },
	{ .label = "get_lapic", .request = KVM_GET_LAPIC, .levels = ON(VCPU) },
	{ .label = "get_mp_state", .request = KVM_GET_MP_STATE, .levels = ON(VCPU) },
	{ .label = "get_vcpu_events", .request = KVM_GET_VCPU_EVENTS, .levels = ON(VCPU) },
	{ .label = "set_guest_debug", .request = KVM_SET_GUEST_DEBUG, .levels = ON(VCPU) },
	{ .label = "set_signal_mask", .request = KVM_SET_SIGNAL_MASK, .levels = ON(VCPU) },
	{ .label = "get_msrs", .request = KVM_GET_MSRS, .levels = ON(SYSTEM) | ON(VCPU) },
	{ .label = "get_tsc_khz", .request = KVM_GET_TSC_KHZ, .levels = ON(VM) | ON(VCPU) },
	{ .label = "get_msr_feature_index_list", .request = KVM_GET_MSR_FEATURE_INDEX_LIST, .levels = ON(SYSTEM) },
	{ .label = "get_emulated_cpuid", .request = KVM_GET_EMULATED_CPUID, .levels = ON(SYSTEM) },
	{ .label = "x86_get_mce_cap_supported", .request = KVM_X86_GET_MCE_CAP_SUPPORTED, .levels = ON(SYSTEM) },
	{ .label = "clear_dirty_log", .request = KVM_CLEAR_DIRTY_LOG, .levels = ON(VM) },
	{ .label = "set_nr_mmu_pages", .request = KVM_SET_NR_MMU_PAGES, .levels = ON(VM) },
	{ .label = "get_nr_mmu_pages", .request = KVM_GET_NR_MMU_PAGES, .levels = ON(VM) },
	{ .label = "set_identity_map_addr", .request = KVM_SET_IDENTITY_MAP_ADDR, .levels = ON(VM) },
	{ .label = "set_irqchip", .request = KVM_SET_IRQCHIP, .levels = ON(VM) },
	{ .label = "create_pit", .request = KVM_CREATE_PIT, .levels = ON(VM) },
	{ .label = "get_pit", .request = KVM_GET_PIT, .levels = ON(VM) },
	{ .label = "set_pit", .request = KVM_SET_PIT, .levels = ON(VM) },
	{ .label = "get_pit2", .request = KVM_GET_PIT2, .levels = ON(VM) },
	{ .label = "set_pit2", .request = KVM_SET_PIT2, .levels = ON(VM) },
	{ .label = "reinject_control", .request = KVM_REINJECT_CONTROL, .levels = ON(VM) },
	{ .label = "irq_line_status", .request = KVM_IRQ_LINE_STATUS, .levels = ON(VM) },
	{ .label = "register_coalesced_mmio", .request = KVM_REGISTER_COALESCED_MMIO, .levels = ON(VM) },
	{ .label = "unregister_coalesced_mmio", .request = KVM_UNREGISTER_COALESCED_MMIO, .levels = ON(VM) },
	{ .label = "set_clock", .request = KVM_SET_CLOCK, .levels = ON(VM) },
	{ .label = "signal_msi", .request = KVM_SIGNAL_MSI, .levels = ON(VM) },
	{ .label = "create_device", .request = KVM_CREATE_DEVICE, .levels = ON(VM) },
	{ .label = "set_pmu_event_filter", .request = KVM_SET_PMU_EVENT_FILTER, .levels = ON(VM) },
	{ .label = "x86_set_msr_filter", .request = KVM_X86_SET_MSR_FILTER, .levels = ON(VM) },
	{ .label = "reset_dirty_rings", .request = KVM_RESET_DIRTY_RINGS, .levels = ON(VM) },
	{ .label = "memory_encrypt_op", .request = KVM_MEMORY_ENCRYPT_OP, .levels = ON(VM) },
	{ .label = "memory_encrypt_reg_region", .request = KVM_MEMORY_ENCRYPT_REG_REGION, .levels = ON(VM) },
	{ .label = "memory_encrypt_unreg_region", .request = KVM_MEMORY_ENCRYPT_UNREG_REGION, .levels = ON(VM) },
	{ .label = "hyperv_eventfd", .request = KVM_HYPERV_EVENTFD, .levels = ON(VM) },
	{ .label = "xen_hvm_config", .request = KVM_XEN_HVM_CONFIG, .levels = ON(VM) },
	{ .label = "xen_hvm_get_attr", .request = KVM_XEN_HVM_GET_ATTR, .levels = ON(VM) },
	{ .label = "xen_hvm_set_attr", .request = KVM_XEN_HVM_SET_ATTR, .levels = ON(VM) },
	{ .label = "xen_hvm_evtchn_send", .request = KVM_XEN_HVM_EVTCHN_SEND, .levels = ON(VM) },
	{ .label = "set_cpuid", .request = KVM_SET_CPUID, .levels = ON(VCPU) },
	{ .label = "get_cpuid2", .request = KVM_GET_CPUID2, .levels = ON(VCPU) },
	{ .label = "set_fpu", .request = KVM_SET_FPU, .levels = ON(VCPU) },
	{ .label = "get_xsave", .request = KVM_GET_XSAVE, .levels = ON(VCPU) },
	{ .label = "set_xsave", .request = KVM_SET_XSAVE, .levels = ON(VCPU) },
	{ .label = "get_xsave2", .request = KVM_GET_XSAVE2, .levels = ON(VCPU) },
	{ .label = "get_xcrs", .request = KVM_GET_XCRS, .levels = ON(VCPU) },
	{ .label = "set_xcrs", .request = KVM_SET_XCRS, .levels = ON(VCPU) },
	{ .label = "set_lapic", .request = KVM_SET_LAPIC, .levels = ON(VCPU) },
	{ .label = "set_mp_state", .request = KVM_SET_MP_STATE, .levels = ON(VCPU) },
	{ .label = "set_vcpu_events", .request = KVM_SET_VCPU_EVENTS, .levels = ON(VCPU) },
	{ .label = "get_debugregs", .request = KVM_GET_DEBUGREGS, .levels = ON(VCPU) },
	{ .label = "set_debugregs", .request = KVM_SET_DEBUGREGS, .levels = ON(VCPU) },
	{ .label = "tpr_access_reporting", .request = KVM_TPR_ACCESS_REPORTING, .levels = ON(VCPU) },
	{ .label = "set_vapic_addr", .request = KVM_SET_VAPIC_ADDR, .levels = ON(VCPU) },
	{ .label = "x86_setup_mce", .request = KVM_X86_SETUP_MCE, .levels = ON(VCPU) },
	{ .label = "x86_set_mce", .request = KVM_X86_SET_MCE, .levels = ON(VCPU) },
	{ .label = "kvmclock_ctrl", .request = KVM_KVMCLOCK_CTRL, .levels = ON(VCPU) },
	{ .label = "smi", .request = KVM_SMI, .levels = ON(VCPU) },
	{ .label = "get_nested_state", .request = KVM_GET_NESTED_STATE, .levels = ON(VCPU) },
	{ .label = "set_nested_state", .request = KVM_SET_NESTED_STATE, .levels = ON(VCPU) },
	{ .label = "get_sregs2", .request = KVM_GET_SREGS2, .levels = ON(VCPU) },
	{ .label = "set_sregs2", .request = KVM_SET_SREGS2, .levels = ON(VCPU) },
	{ .label = "xen_vcpu_get_attr", .request = KVM_XEN_VCPU_GET_ATTR, .levels = ON(VCPU) },
	{ .label = "xen_vcpu_set_attr", .request = KVM_XEN_VCPU_SET_ATTR, .levels = ON(VCPU) },
	{ .label = "enable_cap", .request = KVM_ENABLE_CAP, .levels = ON(VM) | ON(VCPU) },
	{ .label = "set_tsc_khz", .request = KVM_SET_TSC_KHZ, .levels = ON(VM) | ON(VCPU) },
	{ .label = "get_stats_fd", .request = KVM_GET_STATS_FD, .levels = ON(VM) | ON(VCPU) },
	{ .label = "get_supported_hv_cpuid", .request = KVM_GET_SUPPORTED_HV_CPUID, .levels = ON(SYSTEM) | ON(VCPU) },
	/* Gone, and not given to anything else since. */
	{ .label = "set_memory_region", .request = KVM_SET_MEMORY_REGION },
	{ .label = "set_memory_alias", .request = KVM_SET_MEMORY_ALIAS },
	{ .label = "assign_pci_device", .request = KVM_ASSIGN_PCI_DEVICE },
	{ .label = "deassign_pci_device", .request = KVM_DEASSIGN_PCI_DEVICE },
	{ .label = "assign_dev_irq", .request = KVM_ASSIGN_DEV_IRQ },
	{ .label = "deassign_dev_irq", .request = KVM_DEASSIGN_DEV_IRQ },
	{ .label = "assign_set_msix_nr", .request = KVM_ASSIGN_SET_MSIX_NR },
	{ .label = "assign_set_msix_entry", .request = KVM_ASSIGN_SET_MSIX_ENTRY },
	{ .label = "assign_set_intx_mask", .request = KVM_ASSIGN_SET_INTX_MASK },
	{ .label = "unknown", .request = _IO(KVMIO, 0xfe) },
};

CASE(wrong_fd, .says = "a request on the wrong descriptor does nothing", .modes = NO_GUEST, .rows = ROWS(rows))

/* Zero in all of it would be a legal argument for most requests. */
static uint8_t argument[8192];

HOST(wrong_fd)
{
	const struct row *row = ROW(t, rows);
	const int fds[NR_LEVELS] = { t->sys->fd, t->vm->fd, t->vcpu->fd };
	static const int errnos[NR_LEVELS] = { EINVAL, ENOTTY, EINVAL };
	static const uint8_t zeros[sizeof(argument)];
	struct vcpu_state before;
	unsigned int level;

	vcpu_state_get(t->vcpu, &before);
	for (level = 0; level < NR_LEVELS; level++) {
		if (row->levels & ON(level))
			continue;
		test_say(t, "level %u", level);
		expect_errno(t, errnos[level], sys_call(t->sys, fds[level], row->request, (uintptr_t)argument));
		expect_errno(t, errnos[level], sys_call(t->sys, fds[level], row->request, 0));
		expect_bytes(t, zeros, argument, sizeof(argument));
	}
	expect_vcpu_state(t, t->vcpu, &before);
	expect_errno(t, EINVAL, sys_call(t->sys, t->vcpu->fd, _IO('V', 0x80), 0));
	expect_errno(t, EBADF, sys_call(t->sys, 999, row->request, 0));
}

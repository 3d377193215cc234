/* SPDX-License-Identifier: MIT */
/*
 * An argument that cannot be read or written is EFAULT, and the call has no effect: for no address, an unmapped one, one
 * of the kernel, and one whose object runs over the end of the mapping.
 *
 * Can break: a copy whose result is not looked at, a copy shorter than the object, state changed before the copy.
 * Source: KVM API; ioctl(2): EFAULT.
 */
#include "case.h"

#include <string.h>
#include <sys/mman.h>

#include "cases/ioctl/vcpu_state.h"

enum level { SYSTEM, VM, VCPU };

struct row {
	ROW_FIELDS;
	unsigned long request;
	enum level level;
	uint8_t fill;		/* the object's bytes, as far as they are there */
	bool needs_pit;
	bool is_optional;	/* no address stands for no argument */
};

static const struct row rows[] = {
	{ .label = "get_msr_index_list", .request = KVM_GET_MSR_INDEX_LIST, .level = SYSTEM },
	{ .label = "get_msr_feature_index_list", .request = KVM_GET_MSR_FEATURE_INDEX_LIST, .level = SYSTEM },
	{ .label = "get_supported_cpuid", .request = KVM_GET_SUPPORTED_CPUID, .level = SYSTEM },
	{ .label = "get_emulated_cpuid", .request = KVM_GET_EMULATED_CPUID, .level = SYSTEM },
	{ .label = "get_mce_cap_supported", .request = KVM_X86_GET_MCE_CAP_SUPPORTED, .level = SYSTEM },
	{ .label = "system_get_msrs", .request = KVM_GET_MSRS, .level = SYSTEM },
	{ .label = "set_user_memory_region", .request = KVM_SET_USER_MEMORY_REGION, .level = VM },
	{ .label = "get_dirty_log", .request = KVM_GET_DIRTY_LOG, .level = VM },
	{ .label = "clear_dirty_log", .request = KVM_CLEAR_DIRTY_LOG, .level = VM },
	{ .label = "register_coalesced_mmio", .request = KVM_REGISTER_COALESCED_MMIO, .level = VM },
	{ .label = "irqfd", .request = KVM_IRQFD, .level = VM },
	{ .label = "ioeventfd", .request = KVM_IOEVENTFD, .level = VM },
	{ .label = "signal_msi", .request = KVM_SIGNAL_MSI, .level = VM },
	{ .label = "irq_line", .request = KVM_IRQ_LINE, .level = VM },
	{ .label = "set_gsi_routing", .request = KVM_SET_GSI_ROUTING, .level = VM },
	{ .label = "create_pit2", .request = KVM_CREATE_PIT2, .level = VM },
	{ .label = "get_irqchip", .request = KVM_GET_IRQCHIP, .level = VM },
	{ .label = "set_irqchip", .request = KVM_SET_IRQCHIP, .level = VM },
	{ .label = "get_clock", .request = KVM_GET_CLOCK, .level = VM },
	{ .label = "set_clock", .request = KVM_SET_CLOCK, .level = VM },
	{ .label = "vm_enable_cap", .request = KVM_ENABLE_CAP, .level = VM },
	{ .label = "unregister_coalesced_mmio", .request = KVM_UNREGISTER_COALESCED_MMIO, .level = VM },
	{ .label = "irq_line_status", .request = KVM_IRQ_LINE_STATUS, .level = VM },
	{ .label = "reinject_control", .request = KVM_REINJECT_CONTROL, .level = VM },
	{ .label = "get_pit", .request = KVM_GET_PIT, .level = VM },
	{ .label = "set_pit", .request = KVM_SET_PIT, .level = VM },
	{ .label = "get_pit2", .request = KVM_GET_PIT2, .level = VM, .needs_pit = true },
	{ .label = "set_pit2", .request = KVM_SET_PIT2, .level = VM },
	{ .label = "set_pmu_event_filter", .request = KVM_SET_PMU_EVENT_FILTER, .level = VM,
	  .needs = "KVM_CAP_PMU_EVENT_FILTER" },
	{ .label = "x86_set_msr_filter", .request = KVM_X86_SET_MSR_FILTER, .level = VM,
	  .needs = "KVM_CAP_X86_MSR_FILTER" },
	{ .label = "xen_hvm_config", .request = KVM_XEN_HVM_CONFIG, .level = VM, .needs = "KVM_CAP_XEN_HVM" },
	{ .label = "xen_hvm_get_attr", .request = KVM_XEN_HVM_GET_ATTR, .level = VM, .needs = "KVM_CAP_XEN_HVM&0x4" },
	{ .label = "xen_hvm_set_attr", .request = KVM_XEN_HVM_SET_ATTR, .level = VM, .needs = "KVM_CAP_XEN_HVM&0x4" },
	{ .label = "xen_vcpu_get_attr", .request = KVM_XEN_VCPU_GET_ATTR, .level = VCPU, .needs = "KVM_CAP_XEN_HVM&0x4" },
	{ .label = "xen_vcpu_set_attr", .request = KVM_XEN_VCPU_SET_ATTR, .level = VCPU, .needs = "KVM_CAP_XEN_HVM&0x4" },
	{ .label = "xen_hvm_evtchn_send", .request = KVM_XEN_HVM_EVTCHN_SEND, .level = VM,
	  .needs = "KVM_CAP_XEN_HVM&0x20" },
	{ .label = "hyperv_eventfd", .request = KVM_HYPERV_EVENTFD, .level = VM, .needs = "KVM_CAP_HYPERV_EVENTFD" },
	{ .label = "create_device", .request = KVM_CREATE_DEVICE, .level = VM },
	{ .label = "get_regs", .request = KVM_GET_REGS, .level = VCPU },
	{ .label = "set_regs", .request = KVM_SET_REGS, .level = VCPU },
	{ .label = "get_sregs", .request = KVM_GET_SREGS, .level = VCPU },
	{ .label = "set_sregs", .request = KVM_SET_SREGS, .level = VCPU },
	{ .label = "get_sregs2", .request = KVM_GET_SREGS2, .level = VCPU, .needs = "KVM_CAP_SREGS2" },
	{ .label = "set_sregs2", .request = KVM_SET_SREGS2, .level = VCPU, .needs = "KVM_CAP_SREGS2" },
	{ .label = "translate", .request = KVM_TRANSLATE, .level = VCPU },
	{ .label = "interrupt", .request = KVM_INTERRUPT, .level = VCPU },
	{ .label = "get_msrs", .request = KVM_GET_MSRS, .level = VCPU },
	{ .label = "set_msrs", .request = KVM_SET_MSRS, .level = VCPU },
	{ .label = "set_cpuid2", .request = KVM_SET_CPUID2, .level = VCPU },
	{ .label = "get_cpuid2", .request = KVM_GET_CPUID2, .level = VCPU },
	{ .label = "get_fpu", .request = KVM_GET_FPU, .level = VCPU },
	{ .label = "set_fpu", .request = KVM_SET_FPU, .level = VCPU },
	{ .label = "get_xsave", .request = KVM_GET_XSAVE, .level = VCPU },
	{ .label = "set_xsave", .request = KVM_SET_XSAVE, .level = VCPU },
	{ .label = "get_xsave2", .request = KVM_GET_XSAVE2, .level = VCPU, .needs = "KVM_CAP_XSAVE2" },
	{ .label = "set_cpuid", .request = KVM_SET_CPUID, .level = VCPU },
	{ .label = "set_signal_mask", .request = KVM_SET_SIGNAL_MASK, .level = VCPU, .is_optional = true },
	{ .label = "get_xcrs", .request = KVM_GET_XCRS, .level = VCPU },
	{ .label = "set_xcrs", .request = KVM_SET_XCRS, .level = VCPU },
	{ .label = "get_lapic", .request = KVM_GET_LAPIC, .level = VCPU },
	{ .label = "set_lapic", .request = KVM_SET_LAPIC, .level = VCPU },
	{ .label = "get_mp_state", .request = KVM_GET_MP_STATE, .level = VCPU },
	{ .label = "set_mp_state", .request = KVM_SET_MP_STATE, .level = VCPU },
	{ .label = "get_vcpu_events", .request = KVM_GET_VCPU_EVENTS, .level = VCPU },
	{ .label = "set_vcpu_events", .request = KVM_SET_VCPU_EVENTS, .level = VCPU },
	{ .label = "get_debugregs", .request = KVM_GET_DEBUGREGS, .level = VCPU },
	{ .label = "set_debugregs", .request = KVM_SET_DEBUGREGS, .level = VCPU },
	{ .label = "set_guest_debug", .request = KVM_SET_GUEST_DEBUG, .level = VCPU },
	{ .label = "enable_cap", .request = KVM_ENABLE_CAP, .level = VCPU },
	{ .label = "tpr_access_reporting", .request = KVM_TPR_ACCESS_REPORTING, .level = VCPU },
	{ .label = "set_vapic_addr", .request = KVM_SET_VAPIC_ADDR, .level = VCPU },
	{ .label = "setup_mce", .request = KVM_X86_SETUP_MCE, .level = VCPU },
	{ .label = "set_mce", .request = KVM_X86_SET_MCE, .level = VCPU },
	{ .label = "set_device_attr", .request = KVM_SET_DEVICE_ATTR, .level = VCPU, .needs = "KVM_CAP_VCPU_ATTRIBUTES" },
	{ .label = "get_device_attr", .request = KVM_GET_DEVICE_ATTR, .level = VCPU, .needs = "KVM_CAP_VCPU_ATTRIBUTES" },
	{ .label = "has_device_attr", .request = KVM_HAS_DEVICE_ATTR, .level = VCPU, .needs = "KVM_CAP_VCPU_ATTRIBUTES" },
	{ .label = "get_nested_state", .request = KVM_GET_NESTED_STATE, .level = VCPU, .fill = 0xff,
	  .needs = "KVM_CAP_NESTED_STATE" },
	{ .label = "set_nested_state", .request = KVM_SET_NESTED_STATE, .level = VCPU,
	  .needs = "KVM_CAP_NESTED_STATE" },
};

CASE(bad_pointer, .says = "an argument that cannot be reached is EFAULT and nothing else", .modes = NO_GUEST,
     .irqchip = true, .rows = ROWS(rows))

#define KERNEL_ADDRESS 0xffff888000001000ul
#define PAGE 4096ul

HOST(bad_pointer)
{
	const struct row *row = ROW(t, rows);
	int fd = row->level == SYSTEM ? t->sys->fd : row->level == VM ? t->vm->fd : t->vcpu->fd;
	uint8_t *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* The object's last byte is the first that is not there; lists end in their header. */
	uintptr_t over_end = (uintptr_t)page + PAGE - _IOC_SIZE(row->request) + 1;
	struct vcpu_state before;

	require_true(t, page != MAP_FAILED && !munmap(page + PAGE, PAGE));
	if (_IOC_SIZE(row->request) > PAGE)
		over_end = (uintptr_t)page;
	memset(page, row->fill, PAGE);
	if (row->needs_pit)
		vm_ioctl(t->vm, KVM_CREATE_PIT2, (&(struct kvm_pit_config){ 0 }));
	vcpu_set_supported_cpuid(t->vcpu);
	vcpu_state_get(t->vcpu, &before);
	if (!row->is_optional)
		expect_errno(t, EFAULT, sys_call(t->sys, fd, row->request, 0));
	expect_errno(t, EFAULT, sys_call(t->sys, fd, row->request, 8));
	expect_errno(t, EFAULT, sys_call(t->sys, fd, row->request, KERNEL_ADDRESS));
	expect_errno(t, EFAULT, sys_call(t->sys, fd, row->request, (uintptr_t)page + PAGE));
	expect_errno(t, EFAULT, sys_call(t->sys, fd, row->request, over_end));
	expect_vcpu_state(t, t->vcpu, &before);
}

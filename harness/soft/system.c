/* SPDX-License-Identifier: MIT */
/* /dev/kvm itself, and what KVM_CHECK_EXTENSION says: what is not in the table is not there. */
#include "soft/private.h"

#include <errno.h>

static const struct {
	uint32_t number;
	long value;
	bool is_not_bare;	/* a guest that has the machine itself has not got it */
} caps[] = {
	{ KVM_CAP_HLT, 1 },
	{ KVM_CAP_USER_MEMORY, 1 },
	{ KVM_CAP_IRQCHIP, 1 },
	{ KVM_CAP_VAPIC, 1 },
	{ KVM_CAP_PIT, 1 },
	{ KVM_CAP_PIT2, 1 },
	{ KVM_CAP_PIT_STATE2, 1 },
	{ KVM_CAP_REINJECT_CONTROL, 1 },
	{ KVM_CAP_IRQ_ROUTING, IRQCHIP_MAX_ROUTES },
	{ KVM_CAP_IRQ_INJECT_STATUS, 1 },
	{ KVM_CAP_IRQFD, 1 },
	{ KVM_CAP_IRQFD_RESAMPLE, 1 },
	{ KVM_CAP_IOEVENTFD, 1 },
	{ KVM_CAP_IOEVENTFD_ANY_LENGTH, 1 },
	{ KVM_CAP_IOEVENTFD_NO_LENGTH, 1 },
	{ KVM_CAP_SIGNAL_MSI, 1 },
	{ KVM_CAP_COALESCED_MMIO, 2 },
	{ KVM_CAP_COALESCED_PIO, 1 },
	{ KVM_CAP_SPLIT_IRQCHIP, 1 },
	{ KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK },
	{ KVM_CAP_TSC_DEADLINE_TIMER, 1 },
	{ KVM_CAP_SET_TSS_ADDR, 1 },
	{ KVM_CAP_EXT_CPUID, 1 },
	{ KVM_CAP_EXT_EMUL_CPUID, 1 },
	{ KVM_CAP_NR_VCPUS, SOFT_MAX_VCPUS },
	{ KVM_CAP_MAX_VCPUS, SOFT_MAX_VCPUS },
	{ KVM_CAP_MAX_VCPU_ID, SOFT_MAX_VCPU_ID },
	{ KVM_CAP_NR_MEMSLOTS, SOFT_MAX_SLOTS },
	{ KVM_CAP_MMU_SHADOW_CACHE_CONTROL, 1 },
	{ KVM_CAP_NOP_IO_DELAY, 1 },
	{ KVM_CAP_MP_STATE, 1 },
	{ KVM_CAP_SYNC_MMU, 1 },
	{ KVM_CAP_NESTED_STATE, sizeof(struct kvm_nested_state) + KVM_STATE_NESTED_SVM_VMCB_SIZE, true },
	{ KVM_CAP_DESTROY_MEMORY_REGION_WORKS, 1 },
	{ KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, 1 },
	{ KVM_CAP_USER_NMI, 1 },
	{ KVM_CAP_SET_GUEST_DEBUG, 1 },
	{ KVM_CAP_SET_BOOT_CPU_ID, 1 },
	{ KVM_CAP_SET_IDENTITY_MAP_ADDR, 1 },
	{ KVM_CAP_ADJUST_CLOCK, KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC },
	{ KVM_CAP_INTERNAL_ERROR_DATA, 1 },
	{ KVM_CAP_VCPU_EVENTS, 1 },
	{ KVM_CAP_PCI_SEGMENT, 1 },
	{ KVM_CAP_INTR_SHADOW, 1 },
	{ KVM_CAP_DEBUGREGS, 1 },
	{ KVM_CAP_X86_ROBUST_SINGLESTEP, 1 },
	{ KVM_CAP_ENABLE_CAP, 1 },
	{ KVM_CAP_ENABLE_CAP_VM, 1 },
	{ KVM_CAP_CHECK_EXTENSION_VM, 1 },
	{ KVM_CAP_XSAVE, 1 },
	{ KVM_CAP_XSAVE2, sizeof(struct kvm_xsave) },
	{ KVM_CAP_XCRS, 1 },
	{ KVM_CAP_GET_TSC_KHZ, 1 },
	{ KVM_CAP_MCE, SOFT_MCE_BANKS },
	{ KVM_CAP_READONLY_MEM, 1 },
	{ KVM_CAP_DISABLE_QUIRKS, 1 },
	{ KVM_CAP_DISABLE_QUIRKS2, SOFT_QUIRKS },
	{ KVM_CAP_IMMEDIATE_EXIT, 1 },
	{ KVM_CAP_GET_MSR_FEATURES, 1 },
	{ KVM_CAP_MSR_PLATFORM_INFO, 1 },
	{ KVM_CAP_EXCEPTION_PAYLOAD, 1 },
	{ KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1 },
	{ KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET },
	{ KVM_CAP_DIRTY_LOG_RING, DIRTY_RING_MAX_BYTES },
	{ KVM_CAP_DIRTY_LOG_RING_ACQ_REL, DIRTY_RING_MAX_BYTES },
	{ KVM_CAP_SET_GUEST_DEBUG2, SOFT_GUEST_DEBUG },
	{ KVM_CAP_X86_USER_SPACE_MSR, 1 },
	{ KVM_CAP_X86_MSR_FILTER, 1 },
	{ KVM_CAP_X86_DISABLE_EXITS, SOFT_DISABLED_EXITS },
	{ KVM_CAP_HALT_POLL, 1 },
	{ KVM_CAP_VM_DISABLE_NX_HUGE_PAGES, 1 },
	{ KVM_CAP_VM_COPY_ENC_CONTEXT_FROM, 1 },
	{ KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM, 1 },
	{ KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 1 },
	{ KVM_CAP_IOAPIC_POLARITY_IGNORED, 1 },
	{ KVM_CAP_BINARY_STATS_FD, 1 },
	{ KVM_CAP_CLOCKSOURCE, 1 },
	{ KVM_CAP_KVMCLOCK_CTRL, 1 },
	{ KVM_CAP_STEAL_TIME, 1 },
	{ KVM_CAP_TSC_CONTROL, 1 },
	{ KVM_CAP_VM_TSC_CONTROL, 1 },
	{ KVM_CAP_VCPU_ATTRIBUTES, 1 },
	{ KVM_CAP_SYS_ATTRIBUTES, 1 },
	{ KVM_CAP_PMU_EVENT_FILTER, 1 },
	{ KVM_CAP_EXIT_HYPERCALL, SOFT_HYPERCALL_EXITS },
	{ KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1 },
	{ KVM_CAP_SREGS2, 1 },
	{ KVM_CAP_SYSTEM_EVENT_DATA, 1 },
	{ KVM_CAP_LAST_CPU, 1 },
	{ KVM_CAP_HYPERV, 1, true },
	{ KVM_CAP_HYPERV_VAPIC, 1, true },
	{ KVM_CAP_HYPERV_SPIN, 1, true },
	{ KVM_CAP_HYPERV_TIME, 1, true },
	{ KVM_CAP_HYPERV_SYNIC, 1, true },
	{ KVM_CAP_HYPERV_SYNIC2, 1, true },
	{ KVM_CAP_HYPERV_VP_INDEX, 1, true },
	{ KVM_CAP_HYPERV_EVENTFD, 1, true },
	{ KVM_CAP_HYPERV_TLBFLUSH, 1, true },
	{ KVM_CAP_HYPERV_SEND_IPI, 1, true },
	{ KVM_CAP_HYPERV_CPUID, 1, true },
	{ KVM_CAP_SYS_HYPERV_CPUID, 1, true },
	{ KVM_CAP_HYPERV_ENFORCE_CPUID, 1, true },
	{ KVM_CAP_ASYNC_PF, 1, true },
	{ KVM_CAP_ASYNC_PF_INT, 1, true },
	{ KVM_CAP_XEN_HVM, SOFT_XEN, true },
	{ KVM_CAP_X86_SMM, 1, true },
	{ KVM_CAP_MULTI_ADDRESS_SPACE, SOFT_NR_SPACES, true },
	{ KVM_CAP_SYNC_REGS, KVM_SYNC_X86_VALID_FIELDS },
};

static long cap_value(unsigned long number, bool is_bare)
{
	size_t i;

	for (i = 0; i < sizeof(caps) / sizeof(caps[0]); i++)
		if (caps[i].number == number)
			return is_bare && caps[i].is_not_bare ? 0 : caps[i].value;
	return 0;
}

static long answer_check_extension(struct call *call)
{
	return cap_value(call->argument, call->soft->is_bare);
}

static long answer_api_version(struct call *call)
{
	return call->argument ? -EINVAL : KVM_API_VERSION;
}

static long answer_run_bytes(struct call *call)
{
	return call->argument ? -EINVAL : SOFT_RUN_BYTES;
}

static long answer_create_vm(struct call *call)
{
	struct soft_vm *vm;
	long r;

	/* The argument is the VM's type, and x86 has one. */
	if (call->argument)
		return -EINVAL;
	vm = vm_of_call(call);
	if (!vm)
		return -ENOMEM;
	r = file_add(call->soft, SOFT_VM, vm, NULL);
	if (r < 0)
		soft_vm_destroy(vm);
	return r;
}

static long answer_mce_cap(struct call *call)
{
	*(uint64_t *)call->data = SOFT_MCG_CAP;
	return 0;
}

const struct answer system_answers[] = {
	{ KVM_GET_API_VERSION, answer_api_version, true },
	{ KVM_CREATE_VM, answer_create_vm, true },
	{ KVM_CHECK_EXTENSION, answer_check_extension, true },
	{ KVM_GET_VCPU_MMAP_SIZE, answer_run_bytes, true },
	{ KVM_GET_SUPPORTED_CPUID, system_supported_cpuid, true },
	{ KVM_GET_EMULATED_CPUID, system_emulated_cpuid, true },
	{ KVM_GET_MSR_INDEX_LIST, system_msr_list, true },
	{ KVM_GET_MSR_FEATURE_INDEX_LIST, system_msr_feature_list, true },
	{ KVM_GET_MSRS, system_msrs, true },
	{ KVM_X86_GET_MCE_CAP_SUPPORTED, answer_mce_cap, false },
	{ 0, NULL, false },
};

long system_check_extension(struct call *call)
{
	return answer_check_extension(call);
}

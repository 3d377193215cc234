/* SPDX-License-Identifier: MIT */
#include "fuzz/ioctl_ops.h"

#include <linux/kvm.h>

#define NR(array_) (sizeof(array_) / sizeof((array_)[0]))

/* --- calls --- */

#define CALL(name_, number_) { #name_, number_, false }
#define BY_VALUE(name_, number_) { #name_, number_, true }

const struct ioctl_call ioctl_sys_calls[] = {
	BY_VALUE(get_api_version, KVM_GET_API_VERSION), BY_VALUE(check_extension, KVM_CHECK_EXTENSION),
	BY_VALUE(get_vcpu_mmap_size, KVM_GET_VCPU_MMAP_SIZE), CALL(get_supported_cpuid, KVM_GET_SUPPORTED_CPUID),
	CALL(get_emulated_cpuid, KVM_GET_EMULATED_CPUID), CALL(get_msr_index_list, KVM_GET_MSR_INDEX_LIST),
	CALL(get_msr_feature_index_list, KVM_GET_MSR_FEATURE_INDEX_LIST), CALL(get_msrs, KVM_GET_MSRS),
};

const struct ioctl_call ioctl_vm_calls[] = {
	BY_VALUE(create_irqchip, KVM_CREATE_IRQCHIP), CALL(create_pit2, KVM_CREATE_PIT2), CALL(get_irqchip, KVM_GET_IRQCHIP),
	CALL(set_irqchip, KVM_SET_IRQCHIP), CALL(get_pit2, KVM_GET_PIT2), CALL(set_pit2, KVM_SET_PIT2),
	CALL(get_clock, KVM_GET_CLOCK), CALL(set_clock, KVM_SET_CLOCK), CALL(get_dirty_log, KVM_GET_DIRTY_LOG),
	CALL(clear_dirty_log, KVM_CLEAR_DIRTY_LOG), BY_VALUE(set_tss_addr, KVM_SET_TSS_ADDR),
	CALL(set_identity_map_addr, KVM_SET_IDENTITY_MAP_ADDR), BY_VALUE(set_boot_cpu_id, KVM_SET_BOOT_CPU_ID),
	CALL(set_gsi_routing, KVM_SET_GSI_ROUTING), CALL(signal_msi, KVM_SIGNAL_MSI), CALL(irqfd, KVM_IRQFD),
	CALL(ioeventfd, KVM_IOEVENTFD), CALL(register_coalesced_mmio, KVM_REGISTER_COALESCED_MMIO),
	CALL(unregister_coalesced_mmio, KVM_UNREGISTER_COALESCED_MMIO), BY_VALUE(check_extension, KVM_CHECK_EXTENSION),
	CALL(set_user_memory_region, KVM_SET_USER_MEMORY_REGION), CALL(x86_set_msr_filter, KVM_X86_SET_MSR_FILTER),
};

const struct ioctl_call ioctl_vcpu_calls[] = {
	CALL(get_regs, KVM_GET_REGS), CALL(set_regs, KVM_SET_REGS), CALL(get_sregs, KVM_GET_SREGS),
	CALL(set_sregs, KVM_SET_SREGS), CALL(get_fpu, KVM_GET_FPU), CALL(set_fpu, KVM_SET_FPU),
	CALL(get_msrs, KVM_GET_MSRS), CALL(set_msrs, KVM_SET_MSRS), CALL(set_cpuid2, KVM_SET_CPUID2),
	CALL(get_cpuid2, KVM_GET_CPUID2), CALL(get_lapic, KVM_GET_LAPIC), CALL(set_lapic, KVM_SET_LAPIC),
	CALL(get_vcpu_events, KVM_GET_VCPU_EVENTS), CALL(set_vcpu_events, KVM_SET_VCPU_EVENTS),
	CALL(get_debugregs, KVM_GET_DEBUGREGS), CALL(set_debugregs, KVM_SET_DEBUGREGS), CALL(get_xsave, KVM_GET_XSAVE),
	CALL(set_xsave, KVM_SET_XSAVE), CALL(get_xcrs, KVM_GET_XCRS), CALL(set_xcrs, KVM_SET_XCRS),
	CALL(get_mp_state, KVM_GET_MP_STATE), CALL(set_mp_state, KVM_SET_MP_STATE), CALL(translate, KVM_TRANSLATE),
	CALL(set_guest_debug, KVM_SET_GUEST_DEBUG), CALL(get_nested_state, KVM_GET_NESTED_STATE),
	CALL(set_nested_state, KVM_SET_NESTED_STATE), CALL(tpr_access_reporting, KVM_TPR_ACCESS_REPORTING),
	CALL(set_vapic_addr, KVM_SET_VAPIC_ADDR), CALL(x86_setup_mce, KVM_X86_SETUP_MCE), CALL(x86_set_mce, KVM_X86_SET_MCE),
	BY_VALUE(set_tsc_khz, KVM_SET_TSC_KHZ), BY_VALUE(get_tsc_khz, KVM_GET_TSC_KHZ),
	BY_VALUE(kvmclock_ctrl, KVM_KVMCLOCK_CTRL), BY_VALUE(nmi, KVM_NMI), BY_VALUE(smi, KVM_SMI),
	CALL(set_signal_mask, KVM_SET_SIGNAL_MASK), CALL(get_sregs2, KVM_GET_SREGS2), CALL(set_sregs2, KVM_SET_SREGS2),
};

const struct ioctl_call ioctl_device_calls[] = {
	CALL(set_device_attr, KVM_SET_DEVICE_ATTR), CALL(get_device_attr, KVM_GET_DEVICE_ATTR),
	CALL(has_device_attr, KVM_HAS_DEVICE_ATTR),
};

#define CALL_NAMES(id_)									\
	static const char *id_##_name(unsigned int index)				\
	{										\
		return ioctl_##id_##s[index].name;					\
	}										\
	static const struct input_names id_ = { NR(ioctl_##id_##s), id_##_name, NULL }

CALL_NAMES(sys_call);
CALL_NAMES(vm_call);
CALL_NAMES(vcpu_call);
CALL_NAMES(device_call);

/* --- the guest --- */

static const char *const insn_names[] = {
	"hlt", "nop", "out8", "out16", "out32", "in8", "in32", "rep_insb", "rep_outsb", "load", "store", "cpuid", "rdmsr", "wrmsr",
	"cli", "sti", "int3", "ud2", "vmmcall", "vmcall", "vmrun", "mov_to_cr0", "mov_from_cr0", "mov_to_cr3", "mov_to_cr4",
	"invlpg", "iret", "pause", "xsetbv", "jmp_self",
};

const char *const ioctl_guest_insns[] = {
	"f4", "90", "ee", "66ef", "ef", "ec", "ed", "f36c", "f36e", "8a07", "8807", "0fa2", "0f32", "0f30",
	"fa", "fb", "cc", "0f0b", "0f01d9", "0f01c1", "0f01d8", "0f22c0", "0f20c0", "0f22d8", "0f22e0",
	"0f013f", "cf", "f390", "0f01d1", "ebfe",
};

_Static_assert(NR(insn_names) == NR(ioctl_guest_insns), "each instruction has its bytes");

static const char *insn_name(unsigned int index)
{
	return insn_names[index];
}

static const struct input_names insns = { NR(insn_names), insn_name, NULL };

/* --- likely numbers --- */

static const uint64_t likely_numbers[] = {
	0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 0x1ff, 0x7fff, 0xfff, 0x1000, 0xffff, 0x10000, 0x7fffffff,
	0x80000000, 0xffffffff, 0xfec00000, 0xfee00000, 0x100000000, 0x7fffffffffffffff, ~0ull, ~0ull - 0xfff,
};

static const uint64_t likely_gpas[] = { 0, 0x1000, 0x2000, 0xf000, 0x10000, 0xa0000, 0xff000, 0x100000, 0xfec00000, 0xfee00000,
	0xfffff000, 0x100000000, 0xfffffffff000, 0xfffffffffffff000 };

static const uint64_t likely_caps[] = { KVM_CAP_SPLIT_IRQCHIP, KVM_CAP_X2APIC_API, KVM_CAP_EXCEPTION_PAYLOAD,
	KVM_CAP_X86_USER_SPACE_MSR, KVM_CAP_X86_DISABLE_EXITS, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_CAP_DIRTY_LOG_RING,
	KVM_CAP_SYNC_REGS, KVM_CAP_HYPERV_SYNIC, KVM_CAP_MAX_VCPU_ID, KVM_CAP_ENFORCE_PV_FEATURE_CPUID };

static const uint64_t likely_slots[] = { 0, 1, 2, 31, 508, 509, 510, 32766, 32767, 0x10000 };

/* --- the table --- */

#define NUMBER(name_, last_) { .name = name_, .last = last_ }
#define LIKELY(name_, last_, likely_) { .name = name_, .last = last_, .likely = likely_, .nr_likely = NR(likely_) }
#define WORD(name_, names_) { .name = name_, .type = OPERAND_NAME, .names = &(names_) }
#define NEW(prefix_) { .name = prefix_, .type = OPERAND_NEW, .prefix = prefix_ }
#define LINK(prefix_) { .name = prefix_, .type = OPERAND_LINK, .prefix = prefix_ }
#define BYTES { .name = "bytes", .type = OPERAND_BYTES }
#define OFFSET NUMBER("offset", IOCTL_ARG_BYTES - INPUT_MAX_BYTES)
#define ROW(id_, name_, weight_, says_, nr_, ...)					\
	[IOCTL_OP_##id_] = { name_, says_, weight_, { __VA_ARGS__ }, nr_ }

static const struct input_op_desc ops[NR_IOCTL_OPS] = {
	ROW(VM, "vm", 4, "KVM_CREATE_VM", 2, NEW("vm"), NUMBER("type", 0)),
	ROW(VCPU, "vcpu", 4, "KVM_CREATE_VCPU, and its kvm_run mapped", 3, NEW("vcpu"), LINK("vm"), NUMBER("id", 0)),
	ROW(DEVICE, "device", 1, "KVM_CREATE_DEVICE", 4, NEW("dev"), LINK("vm"), NUMBER("type", 0xffffffff),
	    NUMBER("flags", 0xffffffff)),
	ROW(CLOSE_VM, "close_vm", 1, "the descriptor is closed", 1, LINK("vm")),
	ROW(CLOSE_VCPU, "close_vcpu", 1, "the descriptor is closed, kvm_run unmapped", 1, LINK("vcpu")),
	ROW(SLOT, "slot", 8, "KVM_SET_USER_MEMORY_REGION, of the pool from its beginning", 5, LINK("vm"),
	    LIKELY("slot", 0xffffffff, likely_slots), NUMBER("flags", 0xffffffff), LIKELY("gpa", 0, likely_gpas),
	    NUMBER("bytes", 0)),
	ROW(GUEST, "guest", 4, "bytes of the pool", 2, LIKELY("offset", IOCTL_POOL_BYTES - INPUT_MAX_BYTES, likely_gpas), BYTES),
	ROW(GUEST_INSN, "guest_insn", 10, "an instruction of the guest, behind those before it; then it halts", 1,
	    WORD("instruction", insns)),
	ROW(ARG, "arg", 10, "bytes of the argument", 2, OFFSET, BYTES),
	ROW(ARG_XOR, "arg_xor", 8, "bits of the argument flip", 2, OFFSET, BYTES),
	ROW(ARG_CLEAR, "arg_clear", 2, "the argument is zero", 0),
	ROW(SYS_CALL, "sys_call", 3, "a call on /dev/kvm; VALUE is what a call that wants no address gets", 2,
	    WORD("call", sys_call), NUMBER("value", 0)),
	ROW(VM_CALL, "vm_call", 10, "a call on a VM", 3, LINK("vm"), WORD("call", vm_call), NUMBER("value", 0)),
	ROW(VCPU_CALL, "vcpu_call", 20, "a call on a vCPU", 3, LINK("vcpu"), WORD("call", vcpu_call), NUMBER("value", 0)),
	ROW(DEVICE_CALL, "device_call", 2, "a call on a device", 2, LINK("dev"), WORD("call", device_call)),
	ROW(CAP, "cap", 4, "KVM_ENABLE_CAP of a VM", 4, LINK("vm"), LIKELY("cap", 0xffffffff, likely_caps),
	    NUMBER("arg0", 0), NUMBER("arg1", 0)),
	ROW(IRQ_LINE, "irq_line", 4, "KVM_IRQ_LINE", 3, LINK("vm"), NUMBER("gsi", 0xffffffff), NUMBER("level", 0xffffffff)),
	ROW(INTERRUPT, "interrupt", 2, "KVM_INTERRUPT", 2, LINK("vcpu"), NUMBER("vector", 0xffffffff)),
	ROW(RUN, "run", 10, "KVM_RUN, again while there are fewer than EXITS exits", 2, LINK("vcpu"), NUMBER("exits", 16)),
	ROW(AT, "at", 5, "the operation behind it waits for that exit of the next run", 1, NUMBER("exit", 16)),
};

const struct input_domain ioctl_domain = {
	.name = "ioctl", .ops = ops, .nr_ops = NR(ops), .likely = likely_numbers, .nr_likely = NR(likely_numbers),
};

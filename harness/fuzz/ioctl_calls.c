/* SPDX-License-Identifier: MIT */
#include "fuzz/ioctl_calls.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#define NR(array_) (sizeof(array_) / sizeof((array_)[0]))
#define E(name_) (1ull << name_)

/* --- calls --- */

#define VALUE(name_, number_, errors_) { #name_, number_, IOCTL_SHAPE_VALUE, false, errors_, 0, 0 }
#define CALL(name_, number_, errors_) { #name_, number_, IOCTL_SHAPE_FIXED, false, errors_, 0, 0 }
#define POINTS(name_, number_, errors_) { #name_, number_, IOCTL_SHAPE_FIXED, true, errors_, 0, 0 }
#define SHAPED(name_, number_, shape_, errors_) { #name_, number_, IOCTL_SHAPE_##shape_, true, errors_, 0, 0 }
/* A pair. */
#define STATE(name_, upper_, state_, get_errors_, set_errors_)						\
	{ "get_" #name_, KVM_GET_##upper_, IOCTL_SHAPE_FIXED, false, get_errors_, 0, IOCTL_STATE_##state_ },	\
	{ "set_" #name_, KVM_SET_##upper_, IOCTL_SHAPE_FIXED, false, set_errors_, IOCTL_STATE_##state_, 0 }

static const struct ioctl_call sys_calls[] = {
	VALUE(get_api_version, KVM_GET_API_VERSION, E(EINVAL)), VALUE(check_extension, KVM_CHECK_EXTENSION, E(EINVAL)),
	VALUE(get_vcpu_mmap_size, KVM_GET_VCPU_MMAP_SIZE, E(EINVAL)),
	SHAPED(get_supported_cpuid, KVM_GET_SUPPORTED_CPUID, CPUID, E(E2BIG) | E(ENOMEM) | E(EINVAL)),
	SHAPED(get_emulated_cpuid, KVM_GET_EMULATED_CPUID, CPUID, E(E2BIG) | E(ENOMEM) | E(EINVAL)),
	SHAPED(get_msr_index_list, KVM_GET_MSR_INDEX_LIST, INDICES, E(E2BIG)),
	SHAPED(get_msr_feature_index_list, KVM_GET_MSR_FEATURE_INDEX_LIST, INDICES, E(E2BIG)),
	SHAPED(get_msrs, KVM_GET_MSRS, MSRS, E(E2BIG) | E(ENOMEM) | E(EINVAL)),
	CALL(x86_get_mce_cap_supported, KVM_X86_GET_MCE_CAP_SUPPORTED, 0),
	POINTS(has_device_attr, KVM_HAS_DEVICE_ATTR, E(ENXIO) | E(EINVAL)),
	POINTS(get_device_attr, KVM_GET_DEVICE_ATTR, E(ENXIO) | E(EINVAL)),
	/* Of no system: it has to say so. */
	CALL(get_regs, KVM_GET_REGS, E(EINVAL)), VALUE(run, KVM_RUN, E(EINVAL)),
};

static const struct ioctl_call vm_calls[] = {
	VALUE(create_irqchip, KVM_CREATE_IRQCHIP, E(EEXIST) | E(EINVAL) | E(ENOMEM)),
	VALUE(create_pit, KVM_CREATE_PIT, E(EEXIST) | E(ENOENT) | E(ENOMEM)),
	CALL(create_pit2, KVM_CREATE_PIT2, E(EEXIST) | E(ENOENT) | E(ENOMEM)),
	{ "get_irqchip", KVM_GET_IRQCHIP, IOCTL_SHAPE_FIXED, false, E(ENXIO) | E(EINVAL), 0, IOCTL_STATE_IRQCHIP },
	{ "set_irqchip", KVM_SET_IRQCHIP, IOCTL_SHAPE_FIXED, false, E(ENXIO) | E(EINVAL), IOCTL_STATE_IRQCHIP, 0 },
	STATE(pit2, PIT2, PIT2, E(ENXIO), E(ENXIO) | E(EINVAL)),
	CALL(get_pit, KVM_GET_PIT, E(ENXIO)), CALL(set_pit, KVM_SET_PIT, E(ENXIO) | E(EINVAL)),
	CALL(reinject_control, KVM_REINJECT_CONTROL, E(ENXIO)),
	STATE(clock, CLOCK, CLOCK, 0, E(EINVAL)),
	POINTS(get_dirty_log, KVM_GET_DIRTY_LOG, E(EINVAL) | E(ENOENT) | E(ENXIO)),
	POINTS(clear_dirty_log, KVM_CLEAR_DIRTY_LOG, E(EINVAL) | E(ENOENT) | E(ENXIO)),
	VALUE(set_tss_addr, KVM_SET_TSS_ADDR, E(EINVAL) | E(EEXIST)),
	CALL(set_identity_map_addr, KVM_SET_IDENTITY_MAP_ADDR, E(EINVAL)),
	VALUE(set_boot_cpu_id, KVM_SET_BOOT_CPU_ID, E(EBUSY)),
	VALUE(set_nr_mmu_pages, KVM_SET_NR_MMU_PAGES, E(EINVAL)), VALUE(get_nr_mmu_pages, KVM_GET_NR_MMU_PAGES, 0),
	SHAPED(set_gsi_routing, KVM_SET_GSI_ROUTING, ROUTES, E(EINVAL) | E(ENOMEM)),
	/* Without an APIC that takes it it is -1, which is EPERM. */
	CALL(signal_msi, KVM_SIGNAL_MSI, E(EINVAL) | E(EPERM)),
	CALL(irqfd, KVM_IRQFD, E(EINVAL) | E(EBADF) | E(EBUSY) | E(ENOMEM) | E(EAGAIN)),
	CALL(ioeventfd, KVM_IOEVENTFD, E(EINVAL) | E(EBADF) | E(EEXIST) | E(ENOENT) | E(ENOSPC)),
	CALL(register_coalesced_mmio, KVM_REGISTER_COALESCED_MMIO, E(EINVAL) | E(ENOSPC)),
	CALL(unregister_coalesced_mmio, KVM_UNREGISTER_COALESCED_MMIO, E(EINVAL)),
	CALL(irq_line, KVM_IRQ_LINE, E(ENXIO) | E(EINVAL)),
	CALL(irq_line_status, KVM_IRQ_LINE_STATUS, E(ENXIO) | E(EINVAL)),
	VALUE(check_extension, KVM_CHECK_EXTENSION, E(EINVAL)),
	CALL(set_user_memory_region, KVM_SET_USER_MEMORY_REGION, E(EINVAL) | E(EEXIST) | E(ENOMEM)),
	SHAPED(x86_set_msr_filter, KVM_X86_SET_MSR_FILTER, FILTER, E(EINVAL) | E(ENOMEM)),
	SHAPED(set_pmu_event_filter, KVM_SET_PMU_EVENT_FILTER, FILTER, E(EINVAL) | E(E2BIG) | E(ENOMEM)),
	CALL(enable_cap, KVM_ENABLE_CAP, E(EINVAL) | E(EEXIST) | E(ENOENT) | E(EBADF) | E(ENXIO) | E(EBUSY) | E(EPERM) |
	     E(ENOMEM) | E(E2BIG)),
	VALUE(set_tsc_khz, KVM_SET_TSC_KHZ, E(EINVAL)), VALUE(get_tsc_khz, KVM_GET_TSC_KHZ, E(EINVAL) | E(EIO)),
	VALUE(get_stats_fd, KVM_GET_STATS_FD, E(ENOMEM) | E(EMFILE)),
	CALL(create_device, KVM_CREATE_DEVICE, E(ENODEV) | E(EEXIST) | E(EINVAL)),
	/* Of a vCPU or of nothing. */
	CALL(get_regs, KVM_GET_REGS, E(ENOTTY)), VALUE(run, KVM_RUN, E(ENOTTY)), VALUE(unknown, _IO(KVMIO, 0xff), E(ENOTTY)),
};

static const struct ioctl_call vcpu_calls[] = {
	STATE(regs, REGS, REGS, 0, E(EINVAL)), STATE(sregs, SREGS, SREGS, 0, E(EINVAL)),
	STATE(sregs2, SREGS2, SREGS2, 0, E(EINVAL)), STATE(fpu, FPU, FPU, 0, E(EINVAL)),
	STATE(xsave, XSAVE, XSAVE, 0, E(EINVAL)), STATE(xcrs, XCRS, XCRS, E(EINVAL), E(EINVAL)),
	STATE(debugregs, DEBUGREGS, DEBUGREGS, 0, E(EINVAL)), STATE(mp_state, MP_STATE, MP_STATE, 0, E(EINVAL)),
	STATE(vcpu_events, VCPU_EVENTS, EVENTS, 0, E(EINVAL)), STATE(lapic, LAPIC, LAPIC, E(EINVAL), E(EINVAL)),
	{ "get_nested_state", KVM_GET_NESTED_STATE, IOCTL_SHAPE_NESTED, false, E(E2BIG) | E(EINVAL), 0, IOCTL_STATE_NESTED },
	{ "set_nested_state", KVM_SET_NESTED_STATE, IOCTL_SHAPE_NESTED, false, E(EINVAL) | E(ENOMEM), IOCTL_STATE_NESTED, 0 },
	{ "set_guest_debug", KVM_SET_GUEST_DEBUG, IOCTL_SHAPE_FIXED, false, E(EINVAL) | E(EBUSY), IOCTL_STATE_DEBUG, 0 },
	SHAPED(get_xsave2, KVM_GET_XSAVE2, XSAVE2, 0),
	SHAPED(get_msrs, KVM_GET_MSRS, MSRS, E(E2BIG) | E(ENOMEM)), SHAPED(set_msrs, KVM_SET_MSRS, MSRS, E(E2BIG) | E(ENOMEM)),
	CALL(set_cpuid, KVM_SET_CPUID, E(E2BIG) | E(EINVAL) | E(ENOMEM)),
	SHAPED(set_cpuid2, KVM_SET_CPUID2, CPUID, E(E2BIG) | E(EINVAL) | E(ENOMEM)),
	SHAPED(get_cpuid2, KVM_GET_CPUID2, CPUID, E(E2BIG)),
	CALL(translate, KVM_TRANSLATE, 0), CALL(interrupt, KVM_INTERRUPT, E(EINVAL) | E(ENXIO) | E(EEXIST)),
	CALL(tpr_access_reporting, KVM_TPR_ACCESS_REPORTING, E(EINVAL)), CALL(set_vapic_addr, KVM_SET_VAPIC_ADDR, E(EINVAL)),
	CALL(x86_setup_mce, KVM_X86_SETUP_MCE, E(EINVAL)), CALL(x86_set_mce, KVM_X86_SET_MCE, E(EINVAL)),
	VALUE(set_tsc_khz, KVM_SET_TSC_KHZ, E(EINVAL)), VALUE(get_tsc_khz, KVM_GET_TSC_KHZ, E(EIO)),
	VALUE(kvmclock_ctrl, KVM_KVMCLOCK_CTRL, E(EINVAL)), VALUE(nmi, KVM_NMI, 0), VALUE(smi, KVM_SMI, E(EINVAL) | E(ENOTTY)),
	SHAPED(set_signal_mask, KVM_SET_SIGNAL_MASK, SIGNALS, E(EINVAL)),
	CALL(enable_cap, KVM_ENABLE_CAP, E(EINVAL)), VALUE(get_stats_fd, KVM_GET_STATS_FD, E(ENOMEM) | E(EMFILE)),
	POINTS(has_device_attr, KVM_HAS_DEVICE_ATTR, E(ENXIO)), POINTS(get_device_attr, KVM_GET_DEVICE_ATTR, E(ENXIO)),
	POINTS(set_device_attr, KVM_SET_DEVICE_ATTR, E(ENXIO) | E(EINVAL)),
	VALUE(create_irqchip, KVM_CREATE_IRQCHIP, E(EINVAL)), VALUE(unknown, _IO(KVMIO, 0xff), E(EINVAL)),
};

static const struct ioctl_call device_calls[] = {
	POINTS(set_device_attr, KVM_SET_DEVICE_ATTR, E(ENXIO) | E(EPERM) | E(EBADF) | E(EINVAL) | E(ENOENT)),
	POINTS(get_device_attr, KVM_GET_DEVICE_ATTR, E(ENXIO) | E(EPERM)),
	POINTS(has_device_attr, KVM_HAS_DEVICE_ATTR, E(ENXIO)), VALUE(run, KVM_RUN, E(ENOTTY)),
};

const struct ioctl_call ioctl_call_create_vm = VALUE(create_vm, KVM_CREATE_VM, E(EINVAL) | E(ENOMEM));
const struct ioctl_call ioctl_call_create_vcpu = VALUE(create_vcpu, KVM_CREATE_VCPU, E(EINVAL) | E(EEXIST) | E(ENOMEM));
/* EINVAL is of shared fields that are wrong; EAGAIN of a vCPU that has just been started. */
const struct ioctl_call ioctl_call_run = VALUE(run, KVM_RUN, E(EINTR) | E(EINVAL) | E(EAGAIN) | E(EFAULT));

const struct ioctl_call *const ioctl_calls[NR_IOCTL_SCOPES] = { sys_calls, vm_calls, vcpu_calls, device_calls };
const unsigned int nr_ioctl_calls[NR_IOCTL_SCOPES] = { NR(sys_calls), NR(vm_calls), NR(vcpu_calls), NR(device_calls) };

const struct ioctl_call *ioctl_call_find(enum ioctl_scope scope, unsigned long number)
{
	unsigned int i;

	for (i = 0; i < nr_ioctl_calls[scope]; i++)
		if (ioctl_calls[scope][i].number == number)
			return &ioctl_calls[scope][i];
	return NULL;
}

static enum ioctl_scope scope_of(enum ioctl_state state)
{
	return state < IOCTL_STATE_IRQCHIP ? IOCTL_SCOPE_VCPU : IOCTL_SCOPE_VM;
}

const struct ioctl_call *ioctl_getter(enum ioctl_state state)
{
	enum ioctl_scope scope = scope_of(state);
	unsigned int i;

	for (i = 0; state && i < nr_ioctl_calls[scope]; i++)
		if (ioctl_calls[scope][i].gets == state)
			return &ioctl_calls[scope][i];
	return NULL;
}

const struct ioctl_call *ioctl_setter(enum ioctl_state state)
{
	enum ioctl_scope scope = scope_of(state);
	unsigned int i;

	for (i = 0; state && i < nr_ioctl_calls[scope]; i++)
		if (ioctl_calls[scope][i].sets == state)
			return &ioctl_calls[scope][i];
	return NULL;
}

static size_t bytes_with(size_t head, uint32_t nr, size_t each)
{
	return head + (size_t)nr * each;
}

size_t ioctl_argument_bytes(const struct ioctl_call *call, const void *argument)
{
	uint32_t words[2];

	memcpy(words, argument, sizeof(words));
	switch (call->shape) {
	case IOCTL_SHAPE_VALUE:
		return 0;
	case IOCTL_SHAPE_MSRS:
		return bytes_with(sizeof(struct kvm_msrs), words[0], sizeof(struct kvm_msr_entry));
	case IOCTL_SHAPE_CPUID:
		return bytes_with(sizeof(struct kvm_cpuid2), words[0], sizeof(struct kvm_cpuid_entry2));
	case IOCTL_SHAPE_INDICES:
		return bytes_with(sizeof(struct kvm_msr_list), words[0], sizeof(uint32_t));
	case IOCTL_SHAPE_ROUTES:
		return bytes_with(sizeof(struct kvm_irq_routing), words[0], sizeof(struct kvm_irq_routing_entry));
	case IOCTL_SHAPE_NESTED:
		return words[1];
	case IOCTL_SHAPE_XSAVE2:
		return sizeof(struct kvm_xsave);
	case IOCTL_SHAPE_SIGNALS:
		return bytes_with(sizeof(struct kvm_signal_mask), words[0], 1);
	default:
		return _IOC_SIZE(call->number);
	}
}

/*
 * Every call with a pointer may fail with EFAULT, every call with EBADF where there is no descriptor: those are the
 * caller's to ask for.
 */
bool ioctl_error_is_known(const struct ioctl_call *call, int error)
{
	return error > 0 && error < 64 && (call->errors >> error & 1);
}

#define CALL_NAMES(id_)									\
	static const char *id_##_name(unsigned int index)				\
	{										\
		return id_##s[index].name;						\
	}										\
	const struct input_names ioctl_##id_##_names = { NR(id_##s), id_##_name, NULL }

CALL_NAMES(sys_call);
CALL_NAMES(vm_call);
CALL_NAMES(vcpu_call);
CALL_NAMES(device_call);

/* --- fields --- */

#define SIZE(type_, member_) sizeof(((type_ *)0)->member_)
#define FIELD(state_, prefix_, type_, member_)						\
	{ #prefix_ "." #member_, IOCTL_STATE_##state_, SIZE(type_, member_), offsetof(type_, member_), 0 }
#define REGS(member_) FIELD(REGS, regs, struct kvm_regs, member_)
#define SREGS(member_) FIELD(SREGS, sregs, struct kvm_sregs, member_)
#define SEGMENT(seg_) SREGS(seg_.base), SREGS(seg_.limit), SREGS(seg_.selector), SREGS(seg_.type), SREGS(seg_.present),	\
	SREGS(seg_.dpl), SREGS(seg_.db), SREGS(seg_.s), SREGS(seg_.l), SREGS(seg_.g), SREGS(seg_.avl), SREGS(seg_.unusable)
#define SREGS2(member_) FIELD(SREGS2, sregs2, struct kvm_sregs2, member_)
#define FPU(member_) FIELD(FPU, fpu, struct kvm_fpu, member_)
#define XCRS(member_) FIELD(XCRS, xcrs, struct kvm_xcrs, member_)
#define DEBUGREGS(member_) FIELD(DEBUGREGS, debugregs, struct kvm_debugregs, member_)
#define EVENTS(member_) FIELD(EVENTS, events, struct kvm_vcpu_events, member_)
#define DEBUG(member_) FIELD(DEBUG, debug, struct kvm_guest_debug, member_)
#define NESTED(member_) FIELD(NESTED, nested, struct kvm_nested_state, member_)
#define AT(state_, name_, len_, offset_) { name_, IOCTL_STATE_##state_, len_, offset_, 0 }
/* Behind the header: APM vol. 2, appendix B. */
#define VMCB12(name_, len_, offset_) AT(NESTED, "vmcb12." name_, len_, sizeof(struct kvm_nested_state) + (offset_))
#define LAPIC(name_, offset_) AT(LAPIC, "lapic." name_, 4, offset_)

const struct ioctl_field ioctl_vcpu_fields[] = {
	REGS(rax), REGS(rbx), REGS(rcx), REGS(rdx), REGS(rsi), REGS(rdi), REGS(rsp), REGS(rbp), REGS(r8), REGS(r15), REGS(rip),
	REGS(rflags),
	SEGMENT(cs), SEGMENT(ss), SEGMENT(ds), SEGMENT(es), SEGMENT(fs), SEGMENT(gs), SEGMENT(tr), SEGMENT(ldt),
	SREGS(gdt.base), SREGS(gdt.limit), SREGS(idt.base), SREGS(idt.limit), SREGS(cr0), SREGS(cr2), SREGS(cr3), SREGS(cr4),
	SREGS(cr8), SREGS(efer), SREGS(apic_base), SREGS(interrupt_bitmap[0]), SREGS(interrupt_bitmap[3]),
	SREGS2(cr0), SREGS2(cr3), SREGS2(cr4), SREGS2(efer), SREGS2(flags), SREGS2(pdptrs[0]), SREGS2(pdptrs[3]),
	FPU(fcw), FPU(fsw), FPU(ftwx), FPU(last_opcode), FPU(last_ip), FPU(last_dp), FPU(mxcsr),
	AT(XSAVE, "xsave.fcw", 2, 0), AT(XSAVE, "xsave.mxcsr", 4, 24), AT(XSAVE, "xsave.mxcsr_mask", 4, 28),
	AT(XSAVE, "xsave.xmm0", 8, 160), AT(XSAVE, "xsave.xstate_bv", 8, 512), AT(XSAVE, "xsave.xcomp_bv", 8, 520),
	AT(XSAVE, "xsave.reserved", 8, 528), AT(XSAVE, "xsave.ymm0", 8, 576),
	XCRS(nr_xcrs), XCRS(flags), XCRS(xcrs[0].xcr), XCRS(xcrs[0].value), XCRS(xcrs[1].xcr), XCRS(xcrs[1].value),
	DEBUGREGS(db[0]), DEBUGREGS(db[1]), DEBUGREGS(db[2]), DEBUGREGS(db[3]), DEBUGREGS(dr6), DEBUGREGS(dr7), DEBUGREGS(flags),
	FIELD(MP_STATE, mp_state, struct kvm_mp_state, mp_state),
	EVENTS(exception.injected), EVENTS(exception.nr), EVENTS(exception.has_error_code), EVENTS(exception.pending),
	EVENTS(exception.error_code), EVENTS(interrupt.injected), EVENTS(interrupt.nr), EVENTS(interrupt.soft),
	EVENTS(interrupt.shadow), EVENTS(nmi.injected), EVENTS(nmi.pending), EVENTS(nmi.masked), EVENTS(sipi_vector),
	EVENTS(flags), EVENTS(smi.smm), EVENTS(smi.pending), EVENTS(smi.smm_inside_nmi), EVENTS(smi.latched_init),
	EVENTS(triple_fault.pending), EVENTS(exception_has_payload), EVENTS(exception_payload),
	LAPIC("id", 0x20), LAPIC("version", 0x30), LAPIC("tpr", 0x80), LAPIC("ppr", 0xa0), LAPIC("ldr", 0xd0), LAPIC("dfr", 0xe0),
	LAPIC("svr", 0xf0), LAPIC("isr1", 0x110), LAPIC("isr7", 0x170), LAPIC("tmr1", 0x190), LAPIC("irr0", 0x200),
	LAPIC("irr1", 0x210), LAPIC("irr7", 0x270), LAPIC("esr", 0x280), LAPIC("icr", 0x300), LAPIC("icr2", 0x310),
	LAPIC("lvtt", 0x320), LAPIC("lvtthmr", 0x330), LAPIC("lvtpc", 0x340), LAPIC("lvt0", 0x350), LAPIC("lvt1", 0x360),
	LAPIC("lvterr", 0x370), LAPIC("tmict", 0x380), LAPIC("tmcct", 0x390), LAPIC("tdcr", 0x3e0),
	NESTED(flags), NESTED(format), NESTED(size), NESTED(hdr.svm.vmcb_pa),
	VMCB12("intercept0", 4, 0x00), VMCB12("intercept2", 4, 0x08), VMCB12("intercept3", 4, 0x0c), VMCB12("intercept4", 4, 0x10),
	VMCB12("iopm_base_pa", 8, 0x40), VMCB12("msrpm_base_pa", 8, 0x48), VMCB12("tsc_offset", 8, 0x50), VMCB12("asid", 4, 0x58),
	VMCB12("tlb_control", 1, 0x5c), VMCB12("int_ctl", 4, 0x60), VMCB12("int_vector", 4, 0x64), VMCB12("int_state", 4, 0x68),
	VMCB12("exit_int_info", 4, 0x88), VMCB12("nested_ctl", 8, 0x90), VMCB12("event_inj", 4, 0xa8),
	VMCB12("nested_cr3", 8, 0xb0), VMCB12("cr0", 8, 0x558), VMCB12("cr3", 8, 0x550), VMCB12("cr4", 8, 0x548),
	VMCB12("efer", 8, 0x4d0), VMCB12("rflags", 8, 0x570), VMCB12("rip", 8, 0x578), VMCB12("rsp", 8, 0x5d8),
	DEBUG(control), DEBUG(arch.debugreg[0]), DEBUG(arch.debugreg[1]), DEBUG(arch.debugreg[7]),
};

#define CLOCK(member_) FIELD(CLOCK, clock, struct kvm_clock_data, member_)
#define PIT(member_) FIELD(PIT2, pit, struct kvm_pit_state2, member_)
#define PIC(member_) { "pic." #member_, IOCTL_STATE_IRQCHIP, SIZE(struct kvm_irqchip, chip.pic.member_),	\
	offsetof(struct kvm_irqchip, chip.pic.member_), 0 },							\
	{ "slave." #member_, IOCTL_STATE_IRQCHIP, SIZE(struct kvm_irqchip, chip.pic.member_),			\
	offsetof(struct kvm_irqchip, chip.pic.member_), 1 }
#define IOAPIC(name_, member_) { "ioapic." name_, IOCTL_STATE_IRQCHIP, SIZE(struct kvm_irqchip, chip.ioapic.member_),	\
	offsetof(struct kvm_irqchip, chip.ioapic.member_), 2 }

const struct ioctl_field ioctl_vm_fields[] = {
	CLOCK(clock), CLOCK(flags), CLOCK(realtime), CLOCK(host_tsc),
	{ "irqchip.chip_id", IOCTL_STATE_IRQCHIP, 4, offsetof(struct kvm_irqchip, chip_id), 0 },
	PIC(last_irr), PIC(irr), PIC(imr), PIC(isr), PIC(priority_add), PIC(irq_base), PIC(read_reg_select), PIC(poll),
	PIC(special_mask), PIC(init_state), PIC(auto_eoi), PIC(rotate_on_auto_eoi), PIC(special_fully_nested_mode),
	PIC(init4), PIC(elcr), PIC(elcr_mask),
	IOAPIC("base_address", base_address), IOAPIC("ioregsel", ioregsel), IOAPIC("id", id), IOAPIC("irr", irr),
	IOAPIC("redir0", redirtbl[0].bits), IOAPIC("redir2", redirtbl[2].bits), IOAPIC("redir23", redirtbl[23].bits),
	PIT(channels[0].count), PIT(channels[0].latched_count), PIT(channels[0].count_latched), PIT(channels[0].status_latched),
	PIT(channels[0].read_state), PIT(channels[0].write_state), PIT(channels[0].write_latch), PIT(channels[0].rw_mode),
	PIT(channels[0].mode), PIT(channels[0].bcd), PIT(channels[0].gate), PIT(channels[0].count_load_time),
	PIT(channels[2].count), PIT(channels[2].mode), PIT(channels[2].gate), PIT(flags),
};

#define SHARED(name_, member_) { name_, 0, SIZE(struct kvm_run, member_), offsetof(struct kvm_run, member_), 0 }

const struct ioctl_field ioctl_shared_fields[] = {
	SHARED("request_interrupt_window", request_interrupt_window), SHARED("immediate_exit", immediate_exit),
	SHARED("cr8", cr8), SHARED("kvm_valid_regs", kvm_valid_regs), SHARED("kvm_dirty_regs", kvm_dirty_regs),
	SHARED("exit_reason", exit_reason), SHARED("flags", flags), SHARED("apic_base", apic_base),
	SHARED("io.data_offset", io.data_offset), SHARED("io.count", io.count), SHARED("io.size", io.size),
	{ "mmio.data", 0, 8, offsetof(struct kvm_run, mmio.data), 0 }, SHARED("mmio.len", mmio.len), SHARED("msr.error", msr.error),
	SHARED("msr.data", msr.data), SHARED("hypercall.ret", hypercall.ret),
	SHARED("regs.rax", s.regs.regs.rax), SHARED("regs.rip", s.regs.regs.rip), SHARED("regs.rflags", s.regs.regs.rflags),
	SHARED("sregs.cr0", s.regs.sregs.cr0), SHARED("sregs.cr4", s.regs.sregs.cr4), SHARED("sregs.efer", s.regs.sregs.efer),
	SHARED("sregs.apic_base", s.regs.sregs.apic_base), SHARED("events.flags", s.regs.events.flags),
	SHARED("events.exception.nr", s.regs.events.exception.nr),
	SHARED("events.exception.injected", s.regs.events.exception.injected),
	{ "io.data", 0, 8, 0x1000, 0 }, { "coalesced.first", 0, 4, 0x2000, 0 }, { "coalesced.last", 0, 4, 0x2004, 0 },
};

#define FIELD_NAMES(id_)									\
	static const char *id_##_field_name(unsigned int index)					\
	{											\
		return ioctl_##id_##_fields[index].name;					\
	}											\
	static unsigned int id_##_field_bits(unsigned int index)				\
	{											\
		return ioctl_##id_##_fields[index].len_bytes * 8u;				\
	}											\
	const struct input_names ioctl_##id_##_field_names = { NR(ioctl_##id_##_fields), id_##_field_name, id_##_field_bits }

FIELD_NAMES(vcpu);
FIELD_NAMES(vm);
FIELD_NAMES(shared);

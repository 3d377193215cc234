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

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
	{ .label = "unknown", .cap = 0x7fffff, .value = 0 },
	{ .label = "negative", .cap = -1, .value = 0 },
};

CASE(check_extension, .says = "capabilities have the values documented", .modes = NO_GUEST, .rows = ROWS(rows))

static void expect_value(struct test *t, const struct row *row, long got)
{
	if (row->how == AT_LEAST)
		expect_true(t, got >= row->value);
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

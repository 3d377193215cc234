/* SPDX-License-Identifier: MIT */
/*
 * KVM_ENABLE_CAP of each capability that x86 enables, on a VM and on a vCPU: the arguments that are documented, one
 * beyond them, flags, again, too late, and on the wrong descriptor.
 *
 * Can break: an argument's unknown bits let through, flags ignored, a capability that only a VM without vCPUs may enable
 * taken later, one set of capabilities reached through the other descriptor.
 * Source: KVM API, 4.37 (KVM_ENABLE_CAP), 6 and 7 (the capabilities of vCPUs and VMs), 8.29 (KVM_CAP_DIRTY_LOG_RING).
 */
#include "case.h"

enum level { VM, VCPU };

struct step {
	uint64_t arg;
	int error;
};

#define MAX_STEPS 8

struct row {
	ROW_FIELDS;
	enum level level;
	uint32_t cap;
	struct step steps[MAX_STEPS];
	unsigned int nr_steps;
	uint64_t good;
	int late;		/* the errno of .good once there is a vCPU; 0: there is no such rule */
	bool irqchip;
	bool has_flags_row;	/* flags are another row's */
};

#define STEPS(...)									\
	.steps = { __VA_ARGS__ }, .nr_steps = sizeof((struct step[]){ __VA_ARGS__ }) / sizeof(struct step)
#define OF_VM(label_, cap_, good_, ...)							\
	{ .label = label_, .level = VM, .cap = cap_, .good = good_, __VA_ARGS__ }
#define OF_VCPU(label_, cap_, good_, ...)						\
	{ .label = label_, .level = VCPU, .cap = cap_, .good = good_, __VA_ARGS__ }

static const struct row rows[] = {
	OF_VM("disable_quirks", KVM_CAP_DISABLE_QUIRKS, 1, STEPS({ 0, 0 }, { 0x7f, 0 })),
	OF_VM("disable_quirks2", KVM_CAP_DISABLE_QUIRKS2, 0x7f,
	      STEPS({ 0x7f, 0 }, { 0, 0 }, { 1ull << 40, EINVAL }, { 1ull << 63 | 1, EINVAL }, { ~0ull, EINVAL })),
	OF_VM("split_irqchip", KVM_CAP_SPLIT_IRQCHIP, 24,
	      STEPS({ ~0ull, EINVAL }, { 4097, EINVAL }, { 24, 0 }, { 24, EEXIST }, { 0, EEXIST }), .late = EEXIST),
	OF_VM("split_irqchip_second", KVM_CAP_SPLIT_IRQCHIP, 24, STEPS({ 24, EEXIST }, { 0, EEXIST }), .late = EEXIST,
	      .irqchip = true),
	OF_VM("x2apic_api", KVM_CAP_X2APIC_API, 3,
	      STEPS({ 0, 0 }, { 1, 0 }, { 2, 0 }, { 3, 0 }, { 1 << 8, EINVAL }, { 1ull << 63, EINVAL })),
	OF_VM("disable_exits", KVM_CAP_X86_DISABLE_EXITS, KVM_X86_DISABLE_EXITS_PAUSE,
	      STEPS({ 0, 0 }, { KVM_X86_DISABLE_EXITS_PAUSE, 0 }, { 1 << 8, EINVAL }, { 1ull << 63, EINVAL })),
	OF_VM("msr_platform_info", KVM_CAP_MSR_PLATFORM_INFO, 0, STEPS({ 0, 0 }, { 1, 0 })),
	OF_VM("exception_payload", KVM_CAP_EXCEPTION_PAYLOAD, 1, STEPS({ 0, 0 }, { 1, 0 })),
	OF_VM("triple_fault_event", KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1, STEPS({ 0, 0 }, { 1, 0 })),
	OF_VM("user_space_msr", KVM_CAP_X86_USER_SPACE_MSR, 7,
	      STEPS({ 0, 0 }, { 1, 0 }, { 2, 0 }, { 4, 0 }, { 7, 0 }, { 8, EINVAL }, { 1ull << 32, EINVAL },
		    { ~0ull, EINVAL })),
	OF_VM("bus_lock_exit", KVM_CAP_X86_BUS_LOCK_EXIT, KVM_BUS_LOCK_DETECTION_OFF,
	      STEPS({ KVM_BUS_LOCK_DETECTION_OFF, 0 }, { 3, EINVAL }, { 4, EINVAL }, { 1ull << 63, EINVAL })),
	OF_VM("exit_hypercall", KVM_CAP_EXIT_HYPERCALL, 1 << 12,
	      STEPS({ 0, 0 }, { 1 << 12, 0 }, { 1, EINVAL }, { 1 << 12 | 1 << 13, EINVAL }, { 1ull << 63, EINVAL })),
	OF_VM("exit_on_emulation_failure", KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1,
	      STEPS({ 0, 0 }, { 1, 0 }, { 2, EINVAL }, { 3, EINVAL }, { ~0ull, EINVAL })),
	OF_VM("pmu_capability", KVM_CAP_PMU_CAPABILITY, KVM_PMU_CAP_DISABLE,
	      STEPS({ 2, EINVAL }, { 1ull << 63, EINVAL }, { 0, 0 }, { KVM_PMU_CAP_DISABLE, 0 }), .late = EINVAL,
	      .needs = "KVM_CAP_PMU_CAPABILITY"),
	/* Once it has a value, it keeps that. */
	OF_VM("max_vcpu_id", KVM_CAP_MAX_VCPU_ID, 4,
	      STEPS({ ~0ull, EINVAL }, { 1 << 20, EINVAL }, { 4, 0 }, { 4, 0 }, { 5, EINVAL }, { 3, EINVAL })),
	OF_VM("notify_vmexit", KVM_CAP_X86_NOTIFY_VMEXIT, 0,
	      STEPS({ 0, EINVAL }, { 4, EINVAL }, { 1ull << 32 | 8, EINVAL })),
	OF_VM("disable_nx_huge_pages", KVM_CAP_VM_DISABLE_NX_HUGE_PAGES, 0,
	      STEPS({ 1, EINVAL }, { ~0ull, EINVAL }, { 0, 0 }, { 0, 0 }), .late = EINVAL,
	      .needs = "root KVM_CAP_VM_DISABLE_NX_HUGE_PAGES"),
	OF_VM("sgx_attribute", KVM_CAP_SGX_ATTRIBUTE, 999, STEPS({ 999, EINVAL }, { 0, EINVAL })),
	OF_VM("halt_poll", KVM_CAP_HALT_POLL, 0,
	      STEPS({ 0, 0 }, { 1000, 0 }, { ~0u, 0 }, { 1ull << 32, EINVAL }, { 1ull << 63, EINVAL })),
	OF_VM("manual_dirty_log_protect", KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 3,
	      STEPS({ 0, 0 }, { 1, 0 }, { 3, 0 }, { 2, EINVAL }, { 4, EINVAL }, { 5, EINVAL }, { 1ull << 63, EINVAL })),
	/* A power of two of at least a page, in bytes; the most is the capability's value; once. */
	OF_VM("dirty_log_ring", KVM_CAP_DIRTY_LOG_RING, 1 << 16,
	      STEPS({ 0, EINVAL }, { 2048, EINVAL }, { 3 << 15, EINVAL }, { 1 << 30, E2BIG }, { 1 << 16, 0 },
		    { 1 << 16, EINVAL }, { 1 << 15, EINVAL }), .late = EINVAL, .has_flags_row = true,
	      .needs = "KVM_CAP_DIRTY_LOG_RING"),
	OF_VM("dirty_log_ring_flags", KVM_CAP_DIRTY_LOG_RING, 1 << 16, .needs = "KVM_CAP_DIRTY_LOG_RING",
	      .known = { "1203-dirty-ring-flags-ignored" }),
	OF_VM("dirty_log_ring_acq_rel", KVM_CAP_DIRTY_LOG_RING_ACQ_REL, 1 << 16,
	      STEPS({ 0, EINVAL }, { 2048, EINVAL }, { 3 << 15, EINVAL }, { 1 << 30, E2BIG }, { 1 << 16, 0 },
		    { 1 << 16, EINVAL }), .late = EINVAL, .has_flags_row = true,
	      .needs = "KVM_CAP_DIRTY_LOG_RING_ACQ_REL"),
	/* Neither is a VM, nor open; where there is no SEV at all, the capability itself is refused. */
	OF_VM("copy_enc_context_from", KVM_CAP_VM_COPY_ENC_CONTEXT_FROM, 999, STEPS({ 999, EBADF }, { 0, EBADF }),
	      .needs = "vendor:amd"),
	OF_VM("move_enc_context_from", KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM, 999, STEPS({ 999, EBADF }, { 0, EBADF }),
	      .needs = "vendor:amd"),
	OF_VM("irqchip", KVM_CAP_IRQCHIP, 0, STEPS({ 0, EINVAL }, { 1, EINVAL })),
	OF_VM("unknown", 0x7fffff, 0, STEPS({ 0, EINVAL }, { 1, EINVAL })),
	OF_VCPU("hyperv_synic", KVM_CAP_HYPERV_SYNIC, 0, STEPS({ 0, 0 }), .irqchip = true,
		.needs = "KVM_CAP_HYPERV_SYNIC"),
	OF_VCPU("hyperv_synic_without_irqchip", KVM_CAP_HYPERV_SYNIC, 0, STEPS({ 0, EINVAL })),
	OF_VCPU("hyperv_synic2", KVM_CAP_HYPERV_SYNIC2, 0, STEPS({ 1, EINVAL }, { ~0ull, EINVAL }, { 0, 0 }),
		.irqchip = true, .needs = "KVM_CAP_HYPERV_SYNIC2"),
	OF_VCPU("hyperv_synic2_without_irqchip", KVM_CAP_HYPERV_SYNIC2, 0, STEPS({ 0, EINVAL })),
	OF_VCPU("hyperv_enforce_cpuid", KVM_CAP_HYPERV_ENFORCE_CPUID, 1, STEPS({ 0, 0 }, { 1, 0 }, { 0, 0 }),
		.needs = "KVM_CAP_HYPERV_ENFORCE_CPUID"),
	OF_VCPU("enforce_pv_feature_cpuid", KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 1, STEPS({ 0, 0 }, { 1, 0 }, { 0, 0 })),
	OF_VCPU("vcpu_irqchip", KVM_CAP_IRQCHIP, 0, STEPS({ 0, EINVAL }, { 1, EINVAL })),
	OF_VCPU("vcpu_unknown", 0x7fffff, 0, STEPS({ 0, EINVAL })),
};

CASE(enable_cap, .says = "a capability is enabled with what is documented and nothing else", .modes = NO_GUEST,
     .manual = true, .rows = ROWS(rows))

static long enable_try(struct test *t, const struct row *row, bool on_other, uint32_t flags, uint64_t arg)
{
	struct kvm_enable_cap cap = { .cap = row->cap, .flags = flags, .args[0] = arg };
	int fd = (row->level == VM) != on_other ? t->vm->fd : t->vcpu->fd;

	return sys_call(t->sys, fd, KVM_ENABLE_CAP, (uintptr_t)&cap);
}

static void vm_make(struct test *t, const struct row *row)
{
	t->vm = test_vm(t);
	t->vcpu = NULL;
	if (row->irqchip)
		vm_ioctl_value(t->vm, KVM_CREATE_IRQCHIP, 0);
}

HOST(enable_cap)
{
	const struct row *row = ROW(t, rows);
	unsigned int i;

	/* First of all, what may not be too late. */
	vm_make(t, row);
	t->vcpu = vcpu_create(t->vm, 0);
	if (row->late)
		expect_errno(t, row->late, enable_try(t, row, false, 0, row->good));
	expect_errno(t, EINVAL, enable_try(t, row, true, 0, row->good));

	vm_make(t, row);
	if (row->level == VCPU)
		t->vcpu = vcpu_create(t->vm, 0);
	if (!row->has_flags_row) {
		expect_errno(t, EINVAL, enable_try(t, row, false, 1, row->good));
		expect_errno(t, EINVAL, enable_try(t, row, false, 1u << 31, row->good));
	}
	for (i = 0; i < row->nr_steps; i++) {
		test_say(t, "args[0] = 0x%llx", (unsigned long long)row->steps[i].arg);
		expect_result(t, -row->steps[i].error, enable_try(t, row, false, 0, row->steps[i].arg));
	}
}

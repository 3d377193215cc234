/* SPDX-License-Identifier: MIT */
/*
 * MSR_PLATFORM_INFO is for the guest to read, never to write, until KVM_CAP_MSR_PLATFORM_INFO takes it away; user space
 * has it all the same.
 *
 * Can break: the capability's argument ignored or inverted, user space's own access refused with the guest's, a write
 * that the guest gets away with.
 * Source: KVM API, 7.15 (KVM_CAP_MSR_PLATFORM_INFO); SDM vol. 4, MSR_PLATFORM_INFO (CEH, read only).
 */
#include "case.h"

#include "cases/ioctl/vcpu_state.h"

#define MSR_PLATFORM_INFO 0xce
#define PLATFORM_INFO 0x80000000	/* CPUID faulting, the one bit that user space may set */

struct row {
	ROW_FIELDS;
	bool is_told;		/* the capability is enabled with .arg before the vCPU is made */
	uint64_t arg;
	int vector;		/* of the guest's RDMSR */
};

static const struct row rows[] = {
	{ .label = "at_first", .vector = NO_VECTOR },
	{ .label = "on", .is_told = true, .arg = 1, .vector = NO_VECTOR },
	{ .label = "off", .is_told = true, .arg = 0, .vector = GP_VECTOR },
};

CASE(platform_info, .says = "the guest reads MSR_PLATFORM_INFO until its capability is disabled", .modes = LONG64,
     .manual = true, .needs = "KVM_CAP_MSR_PLATFORM_INFO", .rows = ROWS(rows))

GUEST(platform_info)
{
	const struct row *row = GUEST_ROW(rows);
	uint64_t value = 0;

	CHECK_FAULT(row->vector, 0, rdmsr_safe(MSR_PLATFORM_INFO, &value));
	CHECK_EQ(row->vector == NO_VECTOR ? PLATFORM_INFO : 0, value);
	CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(MSR_PLATFORM_INFO, PLATFORM_INFO));
}

HOST(platform_info)
{
	const struct row *row = ROW(t, rows);
	struct kvm_enable_cap cap = { .cap = KVM_CAP_MSR_PLATFORM_INFO, .args[0] = row->arg };
	uint64_t value = 0;

	t->vm = test_vm(t);
	guest_load(t, t->vm);
	if (row->is_told)
		expect_result(t, 0, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	t->vcpu = guest_vcpu(t, t->vm, 0);
	expect_result(t, 1, msr_set_try(t->vcpu, MSR_PLATFORM_INFO, PLATFORM_INFO));
	expect_result(t, 1, msr_get_try(t->vcpu, MSR_PLATFORM_INFO, &value));
	expect_eq(t, PLATFORM_INFO, value);
	expect_done(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * The MSRs of the OS-visible workarounds are the guest's when its CPUID has the feature: it reads what the host has set,
 * each from its own place. Without the feature, they do not exist, for the guest or for the host.
 *
 * Can break: length and status exchanged, 32 of 64 bits, a feature that is not looked at, in one direction.
 * Source: APM vol. 2, 9.6 (OSVW); APM vol. 3, CPUID 8000_0001h ECX (OSVW); KVM API, 4.18 and 4.19.
 */
#include "cases/ioctl/cpuid_change.h"

#define MSR_LENGTH 0xc0010140
#define MSR_STATUS 0xc0010141

struct row {
	ROW_FIELDS;
	bool is_offered;
};

static const struct row rows[] = {
	{ .label = "offered", .is_offered = true },
	{ .label = "absent" },
};

CASE(osvw, .says = "the OS-visible workarounds' MSRs are there where CPUID says so", .modes = LONG64,
     .needs = "vendor:amd", .rows = ROWS(rows))

GUEST(osvw)
{
	uint64_t value;

	if (GUEST_ROW(rows)->is_offered) {
		CHECK_EQ(0x40, rdmsr(MSR_LENGTH));
		CHECK_EQ(0x123456789abcdef0, rdmsr(MSR_STATUS));
	} else {
		CHECK_FAULT(GP_VECTOR, 0, rdmsr_safe(MSR_LENGTH, &value));
		CHECK_FAULT(GP_VECTOR, 0, rdmsr_safe(MSR_STATUS, &value));
		CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(MSR_LENGTH, 0x40));
		CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(MSR_STATUS, 0));
	}
}

HOST(osvw)
{
	const struct row *row = ROW(t, rows);
	struct {
		struct kvm_msrs header;
		struct kvm_msr_entry entries[2];
	} msrs = { .header.nmsrs = 2, .entries = { { .index = MSR_LENGTH, .data = 0x40 },
						   { .index = MSR_STATUS, .data = 0x123456789abcdef0 } } };

	cpuid_change(t, LEAF_EXTENDED, (struct cpuid_bits){ .ecx_off = EXTENDED_ECX_OSVW,
							    .ecx_on = row->is_offered ? EXTENDED_ECX_OSVW : 0 });
	expect_result(t, row->is_offered ? 2 : 0, vcpu_ioctl_try(t->vcpu, KVM_SET_MSRS, &msrs.header));
	msrs.entries[0].data = msrs.entries[1].data = 0x5a;
	expect_result(t, row->is_offered ? 2 : 0, vcpu_ioctl_try(t->vcpu, KVM_GET_MSRS, &msrs.header));
	if (row->is_offered) {
		expect_eq(t, 0x40, msrs.entries[0].data);
		expect_eq(t, 0x123456789abcdef0, msrs.entries[1].data);
	}
	expect_done(t);
}

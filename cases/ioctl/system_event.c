/* SPDX-License-Identifier: MIT */
/*
 * A guest on Hyper-V's interface that asks for its reset or reports its crash: KVM_EXIT_SYSTEM_EVENT with the type, no
 * data, the instruction done, and the crash's parameters where user space reads them. What asks for neither is no exit.
 *
 * Can break: the type exchanged, a write of another value taken for the request, the exit repeated, parameters lost.
 * Source: KVM API, "The kvm_run structure" (KVM_EXIT_SYSTEM_EVENT); Hyper-V TLFS, 2.4 (feature discovery),
 * HV_X64_MSR_RESET, HV_X64_MSR_CRASH_P0 to P4, HV_X64_MSR_CRASH_CTL.
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/vcpu_state.h"

#define HV_RESET 0x40000003
#define HV_CRASH_P0 0x40000100
#define HV_CRASH_CTL 0x40000105
#define HV_CRASH_NOTIFY (1ull << 63)
#define HV_ACCESS_RESET (1 << 7)	/* leaf 0x40000003, EAX */
#define HV_ACCESS_CRASH (1 << 10)	/* EDX */

struct row {
	ROW_FIELDS;
	uint32_t msr;
	uint64_t value;
	uint32_t type;		/* 0: no exit */
};

static const struct row rows[] = {
	{ .label = "reset", .msr = HV_RESET, .value = 1, .type = KVM_SYSTEM_EVENT_RESET },
	{ .label = "no_reset", .msr = HV_RESET, .value = 0 },
	{ .label = "crash", .msr = HV_CRASH_CTL, .value = HV_CRASH_NOTIFY, .type = KVM_SYSTEM_EVENT_CRASH },
	{ .label = "crash_silent", .msr = HV_CRASH_CTL, .value = 0 },
};

CASE(system_event, .says = "a guest's reset and crash reach user space as system events", .modes = LONG64,
     .manual = true, .needs = "KVM_CAP_HYPERV", .rows = ROWS(rows))

GUEST(system_event)
{
	const struct row *row = GUEST_ROW(rows);
	unsigned int i;

	for (i = 0; i < 5; i++)
		CHECK_NO_FAULT(wrmsr_safe(HV_CRASH_P0 + i, 0x1111111100000000 + i));
	CHECK_NO_FAULT(wrmsr_safe(row->msr, row->value));
	guest_sync(1);
	for (i = 0; i < 5; i++)
		CHECK_EQ(0x1111111100000000 + i, rdmsr(HV_CRASH_P0 + i));
}

/* What a guest must find before KVM takes it for one of Hyper-V: TLFS, 2.4. */
static void hyperv_cpuid_set(struct vcpu *vcpu)
{
	static const struct kvm_cpuid_entry2 leaves[] = {
		{ .function = 0x40000000, .eax = 0x40000005, .ebx = 0x7263694d, .ecx = 0x666f736f, .edx = 0x76482074 },
		{ .function = 0x40000001, .eax = 0x31237648 },
		{ .function = 0x40000003, .eax = HV_ACCESS_RESET, .edx = HV_ACCESS_CRASH },
	};
	const struct kvm_cpuid2 *supported = sys_supported_cpuid(vcpu->vm->sys);
	struct {
		struct kvm_cpuid2 header;
		struct kvm_cpuid_entry2 entries[256];
	} table = { 0 };
	uint32_t i;

	for (i = 0; i < supported->nent && table.header.nent < 250; i++)
		if (supported->entries[i].function >> 8 != 0x400000)
			table.entries[table.header.nent++] = supported->entries[i];
	for (i = 0; i < 3; i++)
		table.entries[table.header.nent++] = leaves[i];
	vcpu_ioctl(vcpu, KVM_SET_CPUID2, &table.header);
}

HOST(system_event)
{
	const struct row *row = ROW(t, rows);
	uint64_t value;
	unsigned int i;

	t->vm = test_vm(t);
	guest_load(t, t->vm);
	t->vcpu = vcpu_create(t->vm, 0);
	hyperv_cpuid_set(t->vcpu);
	mode_enter(t->vcpu, t->mode, 0, guest_symbol(t, "guest_entry"));
	if (row->type)
		expect_exit(t, .reason = KVM_EXIT_SYSTEM_EVENT, .system_event.type = row->type);
	for (i = 0; i < 5; i++) {
		if (!row->type)
			break;
		expect_result(t, 1, msr_get_try(t->vcpu, HV_CRASH_P0 + i, &value));
		expect_eq(t, 0x1111111100000000 + i, value);
	}
	expect_sync(t, 1);
	expect_done(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * The guest's RDMSR reads what KVM_SET_MSRS set, and KVM_GET_MSRS reads what the guest's WRMSR wrote, the first and the
 * second time, with all 64 bits.
 *
 * Can break: one direction of one MSR, the halves exchanged, an MSR passed through to the CPU but not loaded or saved.
 * Source: KVM API, 4.18 and 4.19; APM vol. 3, RDMSR and WRMSR; APM vol. 2, appendix A.
 */
#include "case.h"

struct row {
	ROW_FIELDS;
	uint32_t index;
	uint64_t host[2], guest[2];
};

#define ADDRESS(index_) .index = index_, .host = { 0x00007123456789ab, 0xffff800012345678 },	\
	.guest = { 0xffffffff81234567, 0x0000000098765432 }

static const struct row rows[] = {
	{ .label = "star", .index = MSR_STAR, .host = { 0x0123456789abcdef, ~0ull }, .guest = { 0xfedcba9876543210, 1 } },
	{ .label = "lstar", ADDRESS(MSR_LSTAR) },
	{ .label = "cstar", ADDRESS(MSR_CSTAR) },
	{ .label = "syscall_mask", .index = MSR_SYSCALL_MASK, .host = { 0x47700, 1 }, .guest = { 0x3f7fd5, 2 } },
	{ .label = "fs_base", ADDRESS(MSR_FS_BASE) },
	{ .label = "kernel_gs_base", ADDRESS(MSR_KERNEL_GS_BASE) },
	{ .label = "sysenter_cs", .index = MSR_IA32_SYSENTER_CS, .host = { 8, 0xfff8 }, .guest = { 0x10, 0x20 } },
	{ .label = "sysenter_esp", .index = MSR_IA32_SYSENTER_ESP, .host = { 0x12345678, 1 }, .guest = { 0x7654321, 2 } },
	{ .label = "sysenter_eip", .index = MSR_IA32_SYSENTER_EIP, .host = { 0x12345678, 1 }, .guest = { 0x7654321, 2 } },
	{ .label = "pat", .index = MSR_IA32_PAT, .host = { 0x0606060606060606, 0x0007040600070406 },
	  .guest = { 0x0706050401000706, 0x0100060504070601 } },
	{ .label = "tsc_aux", .index = MSR_TSC_AUX, .host = { 0x12345678, 1 }, .guest = { 0x87654321, 2 },
	  .needs = "cpuid:rdtscp" },
	{ .label = "tsc_adjust", .index = MSR_IA32_TSC_ADJUST, .host = { 0, 0x1000 }, .guest = { 0x12345678, 0 },
	  .needs = "cpuid:tsc_adjust" },
	{ .label = "mtrr_def_type", .index = MSR_MTRRdefType, .host = { 0xc06, 0x800 }, .guest = { 0x406, 0 } },
	{ .label = "mtrr_base", .index = MSR_MTRRphysBase0, .host = { 0x12345006, 0x1000 }, .guest = { 0xfff001, 0 } },
	{ .label = "vm_hsave_pa", .index = MSR_VM_HSAVE_PA, .host = { 0x12000, 0 }, .guest = { 0x34000, 0x56000 },
	  .needs = "vendor:amd cpuid:svm nested" },
};

CASE(msr_guest, .says = "host and guest see the same MSR", .modes = LONG64, .rows = ROWS(rows))

GUEST(msr_guest)
{
	const struct row *row = GUEST_ROW(rows);
	unsigned int i;

	if (row->index == MSR_VM_HSAVE_PA)
		wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	for (i = 0; i < 2; i++) {
		guest_sync(1 + 2 * i);
		CHECK_EQ(row->host[i], rdmsr(row->index));
		wrmsr(row->index, row->guest[i]);
		CHECK_EQ(row->guest[i], rdmsr(row->index));
		guest_sync(2 + 2 * i);
		CHECK_EQ(row->guest[i], rdmsr(row->index));
	}
}

struct one {
	struct kvm_msrs header;
	struct kvm_msr_entry entry;
};

static void host_set(struct test *t, uint32_t index, uint64_t value)
{
	struct one one = { .header.nmsrs = 1, .entry = { .index = index, .data = value } };

	expect_result(t, 1, vcpu_ioctl_try(t->vcpu, KVM_SET_MSRS, &one.header));
}

static void host_expect(struct test *t, uint32_t index, uint64_t value)
{
	struct one one = { .header.nmsrs = 1, .entry = { .index = index, .data = 0x5a } };

	expect_result(t, 1, vcpu_ioctl_try(t->vcpu, KVM_GET_MSRS, &one.header));
	expect_eq(t, value, one.entry.data);
}

HOST(msr_guest)
{
	const struct row *row = ROW(t, rows);
	unsigned int i;

	for (i = 0; i < 2; i++) {
		require_sync(t, 1 + 2 * i);
		host_set(t, row->index, row->host[i]);
		host_expect(t, row->index, row->host[i]);
		require_sync(t, 2 + 2 * i);
		host_expect(t, row->index, row->guest[i]);
	}
	expect_done(t);
	host_expect(t, row->index, row->guest[1]);
}

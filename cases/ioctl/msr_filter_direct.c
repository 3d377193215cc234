/* SPDX-License-Identifier: MIT */
/*
 * An MSR that the guest reaches without an exit: a filter that denies it makes reads and writes exit, and #GP(0); once
 * the filter is gone, neither exits.
 *
 * Can break: the permission bit left clear under the filter, or set when it is gone: each system call of the guest's
 * costs an exit from then on; a neighbour's bit; reads and writes mistaken for each other.
 * Source: KVM API, KVM_X86_SET_MSR_FILTER; APM vol. 2, 15.11; SDM vol. 3C, 25.6.9. Which MSRs have no exit is KVM's
 * choice: ioctl.hw_intercepts has it without a filter.
 */
#include "case.h"

struct row {
	ROW_FIELDS;
	uint32_t msr;
	bool is_svm_only;	/* has exits on VMX always */
};

static const struct row rows[] = {
	{ .label = "star", .msr = MSR_STAR, .is_svm_only = true },
	{ .label = "lstar", .msr = MSR_LSTAR, .is_svm_only = true },
	{ .label = "cstar", .msr = MSR_CSTAR, .is_svm_only = true },
	{ .label = "sfmask", .msr = MSR_SYSCALL_MASK, .is_svm_only = true },
	{ .label = "fs_base", .msr = MSR_FS_BASE },
	{ .label = "gs_base", .msr = MSR_GS_BASE },
	{ .label = "kernel_gs_base", .msr = MSR_KERNEL_GS_BASE },
	{ .label = "sysenter_cs", .msr = MSR_IA32_SYSENTER_CS },
	{ .label = "sysenter_esp", .msr = MSR_IA32_SYSENTER_ESP },
	{ .label = "sysenter_eip", .msr = MSR_IA32_SYSENTER_EIP },
};

CASE(msr_filter_direct, .says = "an MSR without exits has them while a filter denies it, and not a moment longer",
     .modes = LONG64, .needs = "KVM_CAP_X86_MSR_FILTER", .rows = ROWS(rows))

GUEST(msr_filter_direct)
{
	uint32_t msr = GUEST_ROW(rows)->msr;
	uint64_t value;

	guest_sync(1);
	CHECK_FAULT(GP_VECTOR, 0, rdmsr_safe(msr, &value));
	CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(msr, 0));
	guest_sync(2);
	wrmsr(msr, rdmsr(msr));
	guest_sync(3);
}

HOST(msr_filter_direct)
{
	const struct row *row = ROW(t, rows);
	uint8_t denied = 0;
	struct kvm_msr_filter filter = { .ranges[0] = {
		.flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE, .base = row->msr, .nmsrs = 1, .bitmap = &denied } };
	struct kvm_msr_filter none = { 0 };

	require_sync(t, 1);
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_X86_SET_MSR_FILTER, &filter));
	test_forget_hw_exits(t);
	require_sync(t, 2);
	expect_svm_exits(t, SVM_EXIT_MSR, SVM_EXIT_MSR, SVM_EXIT_IOIO);
	expect_vmx_exits(t, EXIT_REASON_MSR_READ, EXIT_REASON_MSR_WRITE, EXIT_REASON_IO_INSTRUCTION);
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_X86_SET_MSR_FILTER, &none));
	require_sync(t, 3);
	expect_svm_exits(t, SVM_EXIT_IOIO);
	if (row->is_svm_only)
		expect_vmx_exits(t, EXIT_REASON_MSR_READ, EXIT_REASON_MSR_WRITE, EXIT_REASON_IO_INSTRUCTION);
	else
		expect_vmx_exits(t, EXIT_REASON_IO_INSTRUCTION);
	expect_done(t);
}

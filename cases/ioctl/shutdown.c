/* SPDX-License-Identifier: MIT */
/*
 * A fault that cannot be delivered becomes #DF, and that cannot be delivered either: KVM_EXIT_SHUTDOWN. The vCPU is not
 * dead: with its state set again it runs.
 *
 * SVM leaves the VMCB undefined after a shutdown; KVM gives the vCPU the state of INIT on AMD (RIP 0xfff0, CS base
 * 0xffff0000, RDX = CPUID Fn0000_0001_EAX). A triple fault that user space has pending through KVM_SET_VCPU_EVENTS
 * exits before the guest runs and changes nothing.
 *
 * Can break: the exit missing, so that the guest spins in faults; VMCB bits of the dead guest surviving; the pending
 * triple fault lost, or taken twice.
 * Source: APM vol. 2, 8.2.9 (#DF), 15.14.3 (shutdown intercept), 14.1.3 (INIT); KVM API, KVM_EXIT_SHUTDOWN,
 * KVM_CAP_X86_TRIPLE_FAULT_EVENT.
 */
#include "cases/ioctl/blob.h"
#include "cases/ioctl/vm86.h"

BLOB(ud2, "ud2")
BLOB(int3, "int3")
BLOB(int_80, "int $0x80")
BLOB(bad_rdmsr, "mov $0xdead, %ecx\n\trdmsr")
BLOB(div, "xor %ecx, %ecx\n\tdiv %ecx")
BLOB(out, "out %al, $0x80")

static void fault_dies(struct test *t);
static void fault_exits(struct test *t);
static void pending_exits(struct test *t);

#define NOT_REAL .modes = PROT32 | LONG64

#define LIMIT_KNOWN VM86_KNOWN("4850-real-mode-as-virtual-8086")

static const struct row {
	struct blob_row blob;
	void (*host)(struct test *t);
	bool is_init;		/* what the vCPU is after the exit is looked at */
} rows[] = {
	{ .blob = { .label = "ud2", NOT_REAL, BLOB_OF(ud2) }, .host = fault_dies },
	{ .blob = { .label = "int3", NOT_REAL, BLOB_OF(int3) }, .host = fault_dies },
	{ .blob = { .label = "int_80", NOT_REAL, BLOB_OF(int_80) }, .host = fault_dies },
	{ .blob = { .label = "injected_gp", NOT_REAL, BLOB_OF(bad_rdmsr) }, .host = fault_dies },
	{ .blob = { .label = "div", NOT_REAL, BLOB_OF(div) }, .host = fault_dies },
	{ .blob = { .label = "ud2_is_init", NOT_REAL, .needs = "vendor:amd", BLOB_OF(ud2) },
	  .host = fault_dies, .is_init = true },
	{ .blob = { .label = "ud2_exit_16", .modes = REAL16, .known = { LIMIT_KNOWN }, BLOB_OF(ud2) }, .host = fault_exits },
	{ .blob = { .label = "int_80_exit_16", .modes = REAL16, .known = { LIMIT_KNOWN }, BLOB_OF(int_80) }, .host = fault_exits },
	{ .blob = { .label = "injected_gp_exit_16", .modes = REAL16, .known = { LIMIT_KNOWN }, BLOB_OF(bad_rdmsr) },
	  .host = fault_exits },
	{ .blob = { .label = "ud2_again_16", .modes = REAL16,
		    .known = { .finding = "0104-hang-after-shutdown-without-paging", .targets = "lab-svm*",
			       .next = &(const struct known){ LIMIT_KNOWN } },
		    BLOB_OF(ud2) }, .host = fault_dies },
	{ .blob = { .label = "pending", .needs = "KVM_CAP_X86_TRIPLE_FAULT_EVENT", BLOB_OF(out),
		    .steps = { OUT(0x80, 1, 0xa8) } }, .host = pending_exits },
};

CASE(shutdown, .says = "a triple fault is KVM_EXIT_SHUTDOWN, and the vCPU runs again once its state is set",
     .modes = REAL16 | PROT32 | LONG64, .shadow_too = true, .rows = ROWS(rows))

GUEST(shutdown)
{
}

static void idt_limit_clear(struct test *t)
{
	struct kvm_sregs sregs;

	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	sregs.idt.limit = 0;
	vcpu_ioctl(t->vcpu, KVM_SET_SREGS, &sregs);
}

static void expect_init_state(struct test *t)
{
	struct kvm_cpuid_entry2 leaf;
	struct kvm_sregs sregs;
	struct kvm_regs got;

	require_eq(t, 1, cpuid_find(t->sys->cpuid, 1, 0, &leaf));
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	expect_regs(t, (&(struct kvm_regs){ .rip = 0xfff0, .rflags = 2, .rdx = leaf.eax }), &got);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	expect_eq(t, 0xffff0000, sregs.cs.base);
	expect_eq(t, 0xf000, sregs.cs.selector);
	expect_eq(t, 0xffff, sregs.cs.limit);
	expect_eq(t, 0, sregs.ds.base | sregs.es.base | sregs.ss.base | sregs.fs.base | sregs.gs.base);
	expect_eq(t, 0xffff, sregs.idt.limit);
	expect_eq(t, 0, sregs.cr0 & (X86_CR0_PE | X86_CR0_PG | X86_CR0_WP));
	expect_eq(t, X86_CR0_ET, sregs.cr0 & X86_CR0_ET);
	expect_eq(t, 0, sregs.cr2 | sregs.cr3 | sregs.cr4 | sregs.cr8 | sregs.efer);
}

static void fault_exits(struct test *t)
{
	struct kvm_regs start;

	blob_enter(t, &ROW(t, rows)->blob, &start);
	idt_limit_clear(t);
	expect_shutdown(t);
}

static void fault_dies(struct test *t)
{
	static const struct blob_row again = { BLOB_OF(out), .steps = { OUT(0x80, 1, 0xa8) } };
	const struct row *row = ROW(t, rows);
	struct kvm_regs start;

	blob_enter(t, &row->blob, &start);
	idt_limit_clear(t);
	expect_shutdown(t);
	if (row->is_init)
		expect_init_state(t);
	mode_enter(t->vcpu, t->mode, 0, 0);
	blob_run(t, &again);
}

static void pending_exits(struct test *t)
{
	const struct row *row = ROW(t, rows);
	struct kvm_regs start, got;
	struct kvm_vcpu_events events;

	vm_ioctl(t->vm, KVM_ENABLE_CAP, (&(struct kvm_enable_cap){
		.cap = KVM_CAP_X86_TRIPLE_FAULT_EVENT, .args = { 1 } }));
	blob_enter(t, &row->blob, &start);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, KVM_VCPUEVENT_VALID_TRIPLE_FAULT, events.flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT);
	expect_eq(t, 0, events.triple_fault.pending);
	events.triple_fault.pending = 1;
	vcpu_ioctl(t->vcpu, KVM_SET_VCPU_EVENTS, &events);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, 1, events.triple_fault.pending);
	expect_shutdown(t);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	expect_regs(t, &start, &got);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, 0, events.triple_fault.pending);
	blob_run(t, &row->blob);
}

HOST(shutdown)
{
	ROW(t, rows)->host(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * A vCPU that was created and never touched is in the state of a processor after RESET.
 *
 * Vendors differ in what the reset tables leave open (the accessed bits of CS and SS, the width of TR's busy TSS); both
 * forms are taken, everything else is compared whole.
 *
 * Can break: a register forgotten in the reset, a vendor's VMCB defaults, the BSP flag on every vCPU or on none.
 * Source: APM vol. 2, 14.1.3 (initial processor state), 16.3; SDM vol. 3A, 9.1.1 (table 9-1); KVM API.
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/vcpu_state.h"

#define BSP_APIC_BASE 0xfee00900ull
#define AP_APIC_BASE 0xfee00800ull

static void host_regs(struct test *t)
{
	struct kvm_regs got, want = { .rip = 0xfff0, .rflags = 2, .rdx = 0x600 };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		memset(&got, 0xa5, sizeof(got));
		vcpu_ioctl(t->vm->vcpus[i], KVM_GET_REGS, &got);
		expect_regs(t, &want, &got);
	}
}

static void sregs_want(struct kvm_sregs *want)
{
	const struct kvm_segment data = { .limit = 0xffff, .type = 3, .present = 1, .s = 1 };

	*want = (struct kvm_sregs){
		.cs = { .base = 0xffff0000, .limit = 0xffff, .selector = 0xf000, .type = 0xb, .present = 1, .s = 1 },
		.ds = data, .es = data, .fs = data, .gs = data, .ss = data,
		.tr = { .limit = 0xffff, .type = 0xb, .present = 1 },
		.ldt = { .limit = 0xffff, .type = 2, .present = 1 },
		.gdt = { .limit = 0xffff },
		.idt = { .limit = 0xffff },
		.cr0 = X86_CR0_CD | X86_CR0_NW | X86_CR0_ET,
	};
}

static void host_sregs(struct test *t)
{
	struct kvm_sregs got, want;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		memset(&got, 0xa5, sizeof(got));
		vcpu_ioctl(t->vm->vcpus[i], KVM_GET_SREGS, &got);
		got.cs.type |= 1;
		got.ss.type |= 1;
		if (got.tr.type == 3)
			got.tr.type = 0xb;
		sregs_want(&want);
		want.apic_base = i ? AP_APIC_BASE : BSP_APIC_BASE;
		expect_sregs(t, &want, &got);
	}
}

static void host_debugregs(struct test *t)
{
	struct kvm_debugregs got, want = { .dr6 = 0xffff0ff0, .dr7 = 0x400 };

	memset(&got, 0xa5, sizeof(got));
	vcpu_ioctl(t->vcpu, KVM_GET_DEBUGREGS, &got);
	expect_bytes(t, &want, &got, sizeof(want));
}

static void host_events(struct test *t)
{
	struct kvm_vcpu_events got, want = {
		.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM,
	};

	vcpu_events_get(t->vcpu, &got);
	expect_bytes(t, &want, &got, sizeof(want));
}

static void host_xcrs(struct test *t)
{
	struct kvm_xcrs got, want = { .nr_xcrs = 1, .xcrs[0].value = 1 };

	memset(&got, 0xa5, sizeof(got));
	vcpu_ioctl(t->vcpu, KVM_GET_XCRS, &got);
	expect_bytes(t, &want, &got, sizeof(want));
}

static void host_mp_state(struct test *t)
{
	struct kvm_mp_state got = { 0xa5 };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		vcpu_ioctl(t->vm->vcpus[i], KVM_GET_MP_STATE, &got);
		expect_eq(t, KVM_MP_STATE_RUNNABLE, got.mp_state);
	}
}

/* With the LAPIC in the kernel only the BSP runs; the others wait for INIT and SIPI. */
static void host_mp_state_irqchip(struct test *t)
{
	static const unsigned int ids[] = { 0, 1, 7 };
	struct vm *vm = test_vm(t);
	unsigned int i;

	vm_ioctl_value(vm, KVM_CREATE_IRQCHIP, 0);
	for (i = 0; i < 3; i++) {
		struct vcpu *vcpu = vcpu_create(vm, ids[i]);
		struct kvm_mp_state got = { 0xa5 };

		vcpu_ioctl(vcpu, KVM_GET_MP_STATE, &got);
		expect_eq(t, i ? KVM_MP_STATE_UNINITIALIZED : KVM_MP_STATE_RUNNABLE, got.mp_state);
	}
}

/* KVM_SET_BOOT_CPU_ID names another BSP. */
static void host_boot_cpu_id(struct test *t)
{
	struct vm *vm = test_vm(t);
	struct kvm_sregs sregs;
	struct kvm_mp_state mp;
	unsigned int i;

	vm_ioctl_value(vm, KVM_CREATE_IRQCHIP, 0);
	vm_ioctl_value(vm, KVM_SET_BOOT_CPU_ID, 2);
	for (i = 0; i < 3; i++) {
		struct vcpu *vcpu = vcpu_create(vm, i);

		vcpu_ioctl(vcpu, KVM_GET_SREGS, &sregs);
		vcpu_ioctl(vcpu, KVM_GET_MP_STATE, &mp);
		expect_eq(t, i == 2 ? BSP_APIC_BASE : AP_APIC_BASE, sregs.apic_base);
		expect_eq(t, i == 2 ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED, mp.mp_state);
	}
	expect_errno(t, EBUSY, vm_ioctl_value_try(vm, KVM_SET_BOOT_CPU_ID, 0));
}

static void register_put(struct kvm_lapic_state *lapic, unsigned int offset, uint32_t value)
{
	memcpy(lapic->regs + offset, &value, sizeof(value));
}

/* KVM's local APIC says version 0x14, six LVT entries; LINT0 of the BSP is open for the 8259 (ExtINT). */
static void lapic_want(struct kvm_lapic_state *want, unsigned int id)
{
	unsigned int lvt;

	memset(want, 0, sizeof(*want));
	register_put(want, 0x20, id << 24);
	register_put(want, 0x30, 0x50014);
	register_put(want, 0xe0, 0xffffffff);
	register_put(want, 0xf0, 0xff);
	for (lvt = 0x320; lvt <= 0x370; lvt += 0x10)
		register_put(want, lvt, 0x10000);
	if (id == 0)
		register_put(want, 0x350, 0x700);
}

static void host_lapic(struct test *t)
{
	struct vm *vm = test_vm(t);
	struct kvm_lapic_state got, want;
	unsigned int id;

	vm_ioctl_value(vm, KVM_CREATE_IRQCHIP, 0);
	for (id = 0; id < 3; id++) {
		struct vcpu *vcpu = vcpu_create(vm, id);

		memset(&got, 0xa5, sizeof(got));
		vcpu_ioctl(vcpu, KVM_GET_LAPIC, &got);
		lapic_want(&want, id);
		expect_bytes(t, want.regs, got.regs, sizeof(want.regs));
	}
}

static const struct { uint32_t index; uint64_t value; } msrs[] = {
	{ MSR_IA32_APICBASE, BSP_APIC_BASE },
	{ MSR_IA32_TSC_ADJUST, 0 },
	{ 0x9e, 0x30000 },		/* SMBASE */
	{ MSR_IA32_SYSENTER_CS, 0 },
	{ MSR_IA32_SYSENTER_ESP, 0 },
	{ MSR_IA32_SYSENTER_EIP, 0 },
	{ 0x17a, 0 },			/* MCG_STATUS */
	{ 0x1d9, 0 },			/* DEBUGCTL */
	{ MSR_MTRRfix64K_00000, 0 },
	{ MSR_IA32_PAT, 0x0007040600070406 },
	{ MSR_MTRRdefType, 0 },
	{ 0xda0, 0 },			/* XSS */
	{ MSR_EFER, 0 },
	{ MSR_STAR, 0 },
	{ MSR_LSTAR, 0 },
	{ MSR_CSTAR, 0 },
	{ MSR_SYSCALL_MASK, 0 },
	{ MSR_FS_BASE, 0 },
	{ MSR_GS_BASE, 0 },
	{ MSR_KERNEL_GS_BASE, 0 },
	{ MSR_TSC_AUX, 0 },
	{ 0x4b564d00, 0 },		/* KVM_WALL_CLOCK_NEW */
	{ 0x4b564d01, 0 },		/* KVM_SYSTEM_TIME_NEW */
	{ 0x4b564d02, 0 },		/* KVM_ASYNC_PF_EN */
	{ 0x4b564d03, 0 },		/* KVM_STEAL_TIME */
	{ 0x4b564d05, 1 },		/* KVM_POLL_CONTROL: host-side polling is on */
};

static void host_msrs(struct test *t)
{
	uint64_t value;
	size_t i;

	vcpu_set_supported_cpuid(t->vcpu);
	for (i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
		value = 0xa5a5a5a5a5a5a5a5;
		test_say(t, "MSR 0x%x", msrs[i].index);
		expect_result(t, 1, msr_get_try(t->vcpu, msrs[i].index, &value));
		expect_eq(t, msrs[i].value, value);
	}
	vcpu_set_supported_cpuid(t->vm->vcpus[1]);
	expect_result(t, 1, msr_get_try(t->vm->vcpus[1], MSR_IA32_APICBASE, &value));
	expect_eq(t, AP_APIC_BASE, value);
}

/* The mapping is zero: nothing has run. */
static void host_run_page(struct test *t)
{
	static const struct kvm_run want;
	static const uint8_t zeros[4096];

	expect_bytes(t, &want, t->vcpu->run, offsetof(struct kvm_run, s));
	expect_bytes(t, zeros, (uint8_t *)t->vcpu->run + 4096, 4096);
}

/* The vCPU runs from that state: its first fetch is at 0xfffffff0, where no memory is. */
static void host_first_instruction(struct test *t)
{
	uint8_t *rom = vm_slot_add(t->vm, 0, 0, 0xfffff000, 0x1000);
	struct kvm_regs got, want = { .rip = 0xfff3, .rflags = 2, .rdx = 0x600, .rax = 0x5a };

	memcpy(rom + 0xff0, "\xb0\x5a\xf4", 3);	/* mov $0x5a, %al; hlt */
	expect_hlt(t);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	expect_regs(t, &want, &got);
	host_sregs(t);
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "regs", .host = host_regs },
	{ .label = "sregs", .host = host_sregs },
	{ .label = "debugregs", .host = host_debugregs },
	{ .label = "events", .host = host_events },
	{ .label = "xcrs", .host = host_xcrs, .needs = "KVM_CAP_XCRS cpuid:xsave" },
	{ .label = "mp_state", .host = host_mp_state },
	{ .label = "mp_state_irqchip", .host = host_mp_state_irqchip },
	{ .label = "boot_cpu_id", .host = host_boot_cpu_id, .needs = "KVM_CAP_SET_BOOT_CPU_ID" },
	{ .label = "lapic", .host = host_lapic },
	{ .label = "msrs", .host = host_msrs },
	{ .label = "run_page", .host = host_run_page },
	{ .label = "first_instruction", .host = host_first_instruction },
};

CASE(reset_state, .says = "a new vCPU is in the state of a processor after RESET", .modes = NO_GUEST, .nr_vcpus = 2,
     .rows = ROWS(rows))

HOST(reset_state)
{
	ROW(t, rows)->host(t);
}

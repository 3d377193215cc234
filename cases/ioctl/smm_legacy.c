/* SPDX-License-Identifier: MIT */
/*
 * A CPU without long mode has the save area of IA-32: an SMI writes each register to its place there, the handler's
 * changes come back by RSM, and all else comes back as it was.
 *
 * Can break: the AMD64 form in a CPU that has none, a register at its neighbour's place, a segment's hidden part lost.
 * Source: SDM vol. 3C, 32.4.1 (SMRAM state save map, table 32-1), 32.4.2 (revision identifier), 32.5, 32.10 (SMBASE).
 */
#include "cases/ioctl/cpuid_change.h"
#include "cases/ioctl/vcpu_state.h"

#define MSR_IA32_SMBASE 0x9e
#define ENTRY 0x8000
#define SAVED(offset_) (0x8000 + (offset_))	/* table 32-1 counts from SMBASE + 8000h */

struct row {
	ROW_FIELDS;
	uint32_t smbase;
};

/* Since the Pentium Pro SMBASE need not be a multiple of anything: the save area may begin in one page and end in another. */
static const struct row rows[] = {
	{ .label = "default", .smbase = 0x30000 },
	{ .label = "across_pages", .smbase = 0x30100 },
};

CASE(smm_legacy, .says = "SMM without long mode saves and loads IA-32's state", .modes = PROT32, .irqchip = true,
     .needs = "KVM_CAP_X86_SMM KVM_CAP_MULTI_ADDRESS_SPACE>=2 cpuid:lm", .rows = ROWS(rows))

static const uint8_t out_then_rsm[] = {
	0xb0, 0x5a,		/* mov $0x5a, %al */
	0xe6, 0x80,		/* out %al, $0x80 */
	0x0f, 0xaa,		/* rsm */
};

GUEST(smm_legacy)
{
	uint32_t other = 0x11112222;

	guest_sync(1);
	__asm__ volatile("outb %%al, $0x82\n\tmov %%ecx, %0" : "=r"(other) : "a"(0x33), "c"(0x44445555) : "memory");
	CHECK_EQ(0x66667777, other);
}

static uint32_t *saved(struct test *t, uint32_t offset)
{
	return vm_hva(t->vm, ROW(t, rows)->smbase + SAVED(offset), 4);
}

static void expect_registers(struct test *t, const struct kvm_regs *regs)
{
	const uint64_t in_order[] = { regs->rax, regs->rcx, regs->rdx, regs->rbx, regs->rsp, regs->rbp, regs->rsi,
				      regs->rdi, regs->rip, regs->rflags };
	unsigned int i;

	for (i = 0; i < sizeof(in_order) / sizeof(in_order[0]); i++)
		expect_eq(t, in_order[i], *saved(t, 0x7fd0 + 4 * i));
}

static void expect_selectors(struct test *t, const struct kvm_sregs *sregs)
{
	expect_eq(t, sregs->tr.selector, *saved(t, 0x7fc4));
	expect_eq(t, sregs->ldt.selector, *saved(t, 0x7fc0));
	expect_eq(t, sregs->gs.selector, *saved(t, 0x7fbc));
	expect_eq(t, sregs->fs.selector, *saved(t, 0x7fb8));
	expect_eq(t, sregs->ds.selector, *saved(t, 0x7fb4));
	expect_eq(t, sregs->ss.selector, *saved(t, 0x7fb0));
	expect_eq(t, sregs->cs.selector, *saved(t, 0x7fac));
	expect_eq(t, sregs->es.selector, *saved(t, 0x7fa8));
}

HOST(smm_legacy)
{
	uint32_t smbase = ROW(t, rows)->smbase;
	struct kvm_debugregs debug;
	struct kvm_sregs sregs, after_sregs;
	struct kvm_regs regs;

	cpuid_change(t, LEAF_EXTENDED, (struct cpuid_bits){ .edx_off = EXTENDED_EDX_LM });
	/* The same RAM in the address space that SMM sees. */
	expect_result(t, 0, vm_region_try(t->vm, 1 << 16, 0, 0, RAM_BYTES, vm_hva(t->vm, 0, RAM_BYTES)));
	memcpy(vm_hva(t->vm, smbase + ENTRY, sizeof(out_then_rsm)), out_then_rsm, sizeof(out_then_rsm));
	expect_result(t, 1, msr_set_try(t->vcpu, MSR_IA32_SMBASE, smbase));
	require_sync(t, 1);
	require_pio_out(t, .port = 0x82, .size = 1, .count = 1, .data = 0x33);
	/* The OUT is completed first. */
	vcpu_settle(t);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &regs);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	vcpu_ioctl(t->vcpu, KVM_GET_DEBUGREGS, &debug);
	expect_result(t, 0, vcpu_ioctl_value_try(t->vcpu, KVM_SMI, 0));
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 0x5a);
	expect_eq(t, sregs.cr0, *saved(t, 0x7ffc));
	expect_eq(t, sregs.cr3, *saved(t, 0x7ff8));
	/* EAX to EDI, EIP, EFLAGS are in one row. */
	expect_registers(t, &regs);
	expect_eq(t, debug.dr6, *saved(t, 0x7fcc));
	expect_eq(t, debug.dr7, *saved(t, 0x7fc8));
	expect_selectors(t, &sregs);
	/* SMBASE can be moved. */
	expect_eq(t, 0x00020000, *saved(t, 0x7efc) & 0xffff0000);
	expect_eq(t, smbase, *saved(t, 0x7ef8));
	expect_eq(t, 0x44445555, *saved(t, 0x7fd4));
	*saved(t, 0x7fd4) = 0x66667777;
	expect_done(t);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &after_sregs);
	sregs.cr2 = after_sregs.cr2;
	expect_sregs(t, &sregs, &after_sregs);
}

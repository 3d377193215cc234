/* SPDX-License-Identifier: MIT */
/*
 * Exits for the task priority: KVM_EXIT_SET_TPR when the local APIC is user space's, KVM_EXIT_TPR_ACCESS when user space
 * asked for it, and the copy of the priorities in guest memory (KVM_SET_VAPIC_ADDR).
 *
 * Can break: an exit for a TPR that was raised, an exit nobody asked for or for another register, the access's RIP or
 * kind, kvm_run's cr8 lost in one of both directions, the copy's bytes.
 * Source: KVM API, 5 (KVM_EXIT_SET_TPR, cr8; KVM_EXIT_TPR_ACCESS), KVM_TPR_ACCESS_REPORTING, KVM_SET_VAPIC_ADDR; APM
 * vol. 2, 16.6.4 (TPR and CR8).
 */
#include "case.h"

#include "cases/ioctl/lapic_regs.h"

INSN(tpr_store, "mov %esi, (%rdi)\n\tret")
INSN(tpr_load, "mov (%rdi), %eax\n\tret")

static void store(ulong_t at, uint32_t value)
{
	((void (*)(ulong_t, uint32_t))(ulong_t)tpr_store)(at, value);
}

static uint32_t load(ulong_t at)
{
	return ((uint32_t (*)(ulong_t))(ulong_t)tpr_load)(at);
}

static void report_set(struct test *t, bool on)
{
	struct kvm_tpr_access_ctl control = { .enabled = on };

	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_TPR_ACCESS_REPORTING, &control));
}

#define expect_access(t_, rip_, is_write_)						\
	expect_exit(t_, .reason = KVM_EXIT_TPR_ACCESS, .tpr_access = { .rip = rip_, .is_write = is_write_ })

/* --- KVM_EXIT_TPR_ACCESS --- */

static void guest_access(void)
{
	store(APIC_TPR, 0x30);
	CHECK_EQ(0x30, load(APIC_TPR));
	CHECK_EQ(0x30, load(APIC_PPR));
	store(APIC_LDR, 0x5a000000);
	CHECK_EQ(0x5a000000, load(APIC_LDR));
	guest_sync(1);
	store(APIC_TPR, 0x40);
	CHECK_EQ(0x40, load(APIC_TPR));
}

static void host_access(struct test *t)
{
	report_set(t, true);
	expect_access(t, guest_symbol(t, "tpr_store"), 1);
	expect_access(t, guest_symbol(t, "tpr_load"), 0);
	require_sync(t, 1);
	report_set(t, false);
	expect_done(t);
}

static void host_no_access(struct test *t)
{
	require_sync(t, 1);
	expect_done(t);
}

static void host_access_flags(struct test *t)
{
	struct kvm_tpr_access_ctl control = { .enabled = 1, .flags = 1 };

	expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_TPR_ACCESS_REPORTING, &control));
	host_no_access(t);
}

/* --- KVM_SET_VAPIC_ADDR: TPR, highest in service (its class), highest pending --- */

static volatile uint32_t *copy_at(void)
{
	return (volatile uint32_t *)SCRATCH_GPA;
}

static volatile uint32_t nr_taken;

static void on_interrupt(struct guest_regs *regs)
{
	(void)regs;
	nr_taken++;
}

static void guest_copy(void)
{
	guest_handle(0x5a, on_interrupt);
	write32(APIC_SVR, SVR_ENABLE | 0xff);
	guest_sync(1);
	/* The guest's own way to write TPR: no exit, and the APIC has it at the next one. */
	*(volatile uint8_t *)copy_at() = 0x20;
	CHECK_EQ(0x20, read32(APIC_TPR));
	write32(APIC_ICR, ICR_SELF | 0x5a);
	sti_nop_cli();
	CHECK_EQ(1, nr_taken);
	write32(APIC_ICR, ICR_SELF | 0x41);
	guest_sync(2);
	*(volatile uint8_t *)copy_at() = 0x70;
	CHECK_EQ(0x70, read32(APIC_TPR));
	guest_sync(3);
	CHECK_EQ(0x70, read32(APIC_TPR));
	write32(APIC_TPR, 0x30);
	guest_sync(4);
	CHECK_EQ(0x30, read32(APIC_TPR));
}

static void host_copy(struct test *t)
{
	struct kvm_vapic_addr vapic = { .vapic_addr = SCRATCH_GPA }, no_memory = { .vapic_addr = 1ull << 38 };
	uint32_t *copy = vm_hva(t->vm, SCRATCH_GPA, sizeof(*copy));

	require_sync(t, 1);
	expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_SET_VAPIC_ADDR, &no_memory));
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_VAPIC_ADDR, &vapic));
	require_sync(t, 2);
	expect_eq(t, 0x41005020, *copy);
	require_sync(t, 3);
	expect_eq(t, 0x41005070, *copy);
	/* None any more: neither written nor read. */
	vapic.vapic_addr = 0;
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_VAPIC_ADDR, &vapic));
	*copy = 0x5a5a5a10;
	require_sync(t, 4);
	expect_eq(t, 0x5a5a5a10, *copy);
	*copy = 0x5a5a5a20;
	expect_done(t);
}

/* --- KVM_EXIT_SET_TPR --- */

#ifdef __x86_64__
static void guest_set_tpr(void)
{
	write_cr8(5);		/* raised: no exit */
	out8(0x80, 1);
	write_cr8(5);		/* the same: none */
	out8(0x80, 2);
	write_cr8(4);		/* lowered */
	out8(0x80, 3);
	CHECK_EQ(4, read_cr8());
	out8(0x80, 4);
	CHECK_EQ(9, read_cr8());	/* user space's */
	write_cr8(0);
	CHECK_EQ(0, read_cr8());
}
#else
static void guest_set_tpr(void)
{
}
#endif

static void host_set_tpr(struct test *t)
{
	expect_eq(t, 0, t->vcpu->run->cr8);
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 1);
	expect_eq(t, 5, t->vcpu->run->cr8);
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 2);
	expect_eq(t, 5, t->vcpu->run->cr8);
	expect_exit(t, .reason = KVM_EXIT_SET_TPR);
	expect_eq(t, 4, t->vcpu->run->cr8);
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 3);
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 4);
	t->vcpu->run->cr8 = 9;
	expect_exit(t, .reason = KVM_EXIT_SET_TPR);
	expect_eq(t, 0, t->vcpu->run->cr8);
	expect_done(t);
}

#ifdef __x86_64__
static void guest_no_set_tpr(void)
{
	write_cr8(5);
	write_cr8(0);
	write_cr8(15);
	write_cr8(1);
	CHECK_EQ(0x10, read32(APIC_TPR));
}
#else
static void guest_no_set_tpr(void)
{
}
#endif

static void host_no_set_tpr(struct test *t)
{
	expect_done(t);
	expect_eq(t, 1, t->vcpu->run->cr8);
}

struct row {
	ROW_FIELDS;
	bool has_irqchip;
	void (*guest)(void);
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "access", .has_irqchip = true, .guest = guest_access, .host = ON_HOST(host_access),
		.needs = "KVM_CAP_VAPIC" },
	{ .label = "no_access", .has_irqchip = true, .guest = guest_access, .host = ON_HOST(host_no_access) },
	{ .label = "access_flags", .has_irqchip = true, .guest = guest_access, .host = ON_HOST(host_access_flags),
	  .needs = "KVM_CAP_VAPIC" },
	{ .label = "copy", .has_irqchip = true, .guest = guest_copy, .host = ON_HOST(host_copy),
		.needs = "KVM_CAP_VAPIC" },
	{ .label = "set_tpr", .guest = guest_set_tpr, .host = ON_HOST(host_set_tpr) },
	{ .label = "no_set_tpr", .has_irqchip = true, .guest = guest_no_set_tpr, .host = ON_HOST(host_no_set_tpr) },
};

CASE(lapic_tpr_exits, .says = "the task priority leaves for user space when that asked for it", .modes = LONG64,
     .manual = true, .rows = ROWS(rows))

GUEST(lapic_tpr_exits)
{
	GUEST_ROW(rows)->guest();
}

HOST(lapic_tpr_exits)
{
	const struct row *row = ROW(t, rows);

	t->vm = test_vm(t);
	if (row->has_irqchip)
		vm_ioctl_value(t->vm, KVM_CREATE_IRQCHIP, 0);
	guest_load(t, t->vm);
	t->vcpu = guest_vcpu(t, t->vm, 0);
	row->host(t);
}

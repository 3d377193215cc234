/* SPDX-License-Identifier: MIT */
/*
 * KVM_GUESTDBG_BLOCKIRQ holds back interrupts and NMIs until it is off again; then each is taken once.
 *
 * Can break: one kind of event let through, one lost with the flag, the flag refused or alone taken for single step.
 * Source: KVM API, KVM_SET_GUEST_DEBUG (KVM_GUESTDBG_BLOCKIRQ), KVM_CAP_SET_GUEST_DEBUG2.
 */
#include "case.h"

#include "cases/ioctl/irq_script.h"
#include "cases/ioctl/lapic_regs.h"

#define MSI_ADDRESS 0xfee00000

struct row {
	ROW_FIELDS;
	const struct op *ops;
};

static void debug_set(struct test *t, uint32_t control)
{
	struct kvm_guest_debug debug = { .control = control };

	vcpu_ioctl(t->vcpu, KVM_SET_GUEST_DEBUG, &debug);
}

static void block(struct test *t)
{
	debug_set(t, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_BLOCKIRQ);
}

static void unblock(struct test *t)
{
	debug_set(t, KVM_GUESTDBG_ENABLE);
}

static void debug_off(struct test *t)
{
	debug_set(t, 0);
}

static void send_nmi(struct test *t)
{
	expect_result(t, 0, vcpu_ioctl_value_try(t->vcpu, KVM_NMI, 0));
}

#define SEND_NMI HOST_DO(send_nmi)
#define SEND_IRQ SIGNAL_MSI(MSI_ADDRESS, 0x51, 1)

static const struct row rows[] = {
	{ .label = "irq", .ops = OPS {
		LAPIC_ON, SEND_IRQ, TAKE(0x51), LAPIC_EOI, HOST_DO(block), SEND_IRQ, TAKE(0), TAKE(0), HOST_DO(unblock),
		TAKE(0x51), LAPIC_EOI, TAKE(0), END } },
	{ .label = "nmi", .ops = OPS {
		SEND_NMI, TAKE(NMI_VECTOR), HOST_DO(block), SEND_NMI, TAKE(0), TAKE(0), HOST_DO(unblock),
		TAKE(NMI_VECTOR), TAKE(0), END } },
	{ .label = "both_then_off", .ops = OPS {
		LAPIC_ON, HOST_DO(block), SEND_IRQ, SEND_NMI, TAKE(0), HOST_DO(debug_off), TAKE(NMI_VECTOR << 8 | 0x51),
		LAPIC_EOI, TAKE(0), END } },
};

CASE(block_irq, .says = "a debugger that blocks interrupts holds them back and loses none", .modes = LONG64,
     .irqchip = true, .needs = "KVM_CAP_SET_GUEST_DEBUG2&0x100000", .rows = ROWS(rows))

GUEST(block_irq)
{
	script_guest(GUEST_ROW(rows)->ops);
}

HOST(block_irq)
{
	script_host(t, ROW(t, rows)->ops);
}

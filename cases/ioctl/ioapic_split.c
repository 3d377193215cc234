/* SPDX-License-Identifier: MIT */
/*
 * The split interrupt controller: the local APIC is KVM's, IOAPIC and 8259A are user space's. KVM_EXIT_IOAPIC_EOI tells
 * the end of just those vectors that a level-triggered route of the first pins names and this vCPU receives; the
 * 8259A's vector comes by KVM_INTERRUPT.
 *
 * Can break: an exit for an edge, for another vCPU's vector or for a route above the pins, the vector's number, an exit
 * lost after the routes changed, directed ends of interrupt.
 * Source: KVM API, 7.5 (KVM_CAP_SPLIT_IRQCHIP), 5 (KVM_EXIT_IOAPIC_EOI), 4.16 (KVM_INTERRUPT); SDM vol. 3A, 11.8.5
 * (EOI-broadcast suppression).
 */
#include "case.h"

#include "cases/ioctl/irq_script.h"
#include "cases/ioctl/lapic_regs.h"
#include "cases/ioctl/routes.h"

#define NR_PINS 8
#define LEVEL 0x8000
#define EOI_EXIT(vector_) WRITE32_EXIT(APIC_EOI, 0, .reason = KVM_EXIT_IOAPIC_EOI, .eoi = { .vector = vector_ })
#define DIRECTED_EOI 0x1000

struct row {
	ROW_FIELDS;
	const struct op *ops;
};

#define ROUTE(gsi_, destination_, data_) MSI_ROUTE(gsi_, 0, 0xfee00000 | (destination_) << 12, data_)

/* Pins 0 to 7; GSI 8 is a message of user space's own. */
static void route(struct test *t)
{
	static const struct kvm_irq_routing_entry routes[] = {
		ROUTE(0, 0, LEVEL | 0x51), ROUTE(1, 0, 0x52), ROUTE(NR_PINS - 1, 0, LEVEL | 0x53),
		ROUTE(NR_PINS, 0, LEVEL | 0x54),
		ROUTE(2, 1, LEVEL | 0x55), ROUTE(3, 0xff, LEVEL | 0x56),
	};

	expect_result(t, 0, routes_try(t, 6, routes));
}

static void route_other(struct test *t)
{
	static const struct kvm_irq_routing_entry routes[] = { ROUTE(0, 0, LEVEL | 0x61), ROUTE(1, 0, LEVEL | 0x52) };

	expect_result(t, 0, routes_try(t, 2, routes));
}

static void route_refused(struct test *t)
{
	static const struct kvm_irq_routing_entry pin = PIN_ROUTE(0, 0, 0);

	expect_errno(t, EINVAL, routes_try(t, 1, &pin));
}

static void interrupt(struct test *t)
{
	struct kvm_interrupt extint = { .irq = 0x33 };

	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_INTERRUPT, &extint));
}

#define START VCPU(1), LAPIC_ON, VCPU(0), LAPIC_ON, HOST_DO(route)

static const struct row rows[] = {
	{ .label = "level", .ops = OPS {
		START, LINE(0, 1), TAKE(0x51), EOI_EXIT(0x51), TAKE(0), LINE(0, 1), TAKE(0x51), EOI_EXIT(0x51),
		END } },
	{ .label = "last_pin", .ops = OPS { START, LINE(NR_PINS - 1, 1), TAKE(0x53), EOI_EXIT(0x53), END } },
	{ .label = "edge", .ops = OPS { START, LINE(1, 1), TAKE(0x52), LAPIC_EOI, TAKE(0), END } },
	{ .label = "not_a_pin", .ops = OPS { START, LINE(NR_PINS, 1), TAKE(0x54), LAPIC_EOI, TAKE(0), END } },
	{ .label = "other_vcpu", .ops = OPS {
		/* Vector 55h is vCPU 1's pin; here it is an IPI. */
		START, SELF_IPI(0x55), TAKE(0x55), LAPIC_EOI, LINE(2, 1), VCPU(1), TAKE(0x55), EOI_EXIT(0x55),
		END } },
	{ .label = "broadcast", .ops = OPS {
		START, LINE(3, 1), TAKE(0x56), EOI_EXIT(0x56), VCPU(1), TAKE(0x56), EOI_EXIT(0x56), END } },
	{ .label = "nested", .ops = OPS {
		START, LINE(0, 1), TAKE(0x51), SELF_IPI(0x91), TAKE(0x91), LAPIC_EOI, EOI_EXIT(0x51), LAPIC_EOI,
		END } },
	{ .label = "rerouted", .ops = OPS {
		START, HOST_DO(route_other), LINE(0, 1), TAKE(0x61), EOI_EXIT(0x61), LINE(1, 1), TAKE(0x52),
		EOI_EXIT(0x52),
		SELF_IPI(0x51), TAKE(0x51), LAPIC_EOI, END } },
	{ .label = "route_refused", .ops = OPS { START, HOST_DO(route_refused), LINE(0, 1), TAKE(0x51),
		EOI_EXIT(0x51), END } },
	{ .label = "directed_eoi", .ops = OPS {
		/* Without KVM's IOAPIC, suppression of the broadcast is offered, and can be set. */
		START, READ32(APIC_VERSION, 0x01050014), WRITE32(APIC_SVR, DIRECTED_EOI | SVR_ENABLE | 0xff),
		READ32(APIC_SVR, DIRECTED_EOI | SVR_ENABLE | 0xff), END } },
	{ .label = "no_ioapic", .ops = OPS {
		START,
		WRITE32_EXIT(0xfec00000, 0x10, .reason = KVM_EXIT_MMIO,
			     .mmio = { .phys_addr = 0xfec00000, .len = 4, .is_write = 1, .data = 0x10 }),
		END } },
	{ .label = "extint", .ops = OPS {
		START, HOST_DO(interrupt), TAKE(0x33), READ32(APIC_ISR(0x33), 0), TAKE(0), HOST_DO(interrupt),
		TAKE(0x33), END } },
	{ .label = "extint_and_apic", .ops = OPS {
		START, SELF_IPI(0x91), HOST_DO(interrupt), TAKE(0x3391), END } },
};

CASE(ioapic_split, .says = "user space's IOAPIC hears of the ends of its levels, and of no other", .modes = LONG64,
     .manual = true, .nr_vcpus = 2, .needs = "KVM_CAP_SPLIT_IRQCHIP cpuid:x2apic", .rows = ROWS(rows))

GUEST(ioapic_split)
{
	script_guest(GUEST_ROW(rows)->ops);
}

HOST(ioapic_split)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args[0] = NR_PINS };

	t->vm = test_vm(t);
	vm_ioctl(t->vm, KVM_ENABLE_CAP, &cap);
	guest_load(t, t->vm);
	guest_vcpu(t, t->vm, 0);
	guest_vcpu(t, t->vm, 1);
	script_host(t, ROW(t, rows)->ops);
}

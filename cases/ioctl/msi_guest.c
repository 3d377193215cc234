/* SPDX-License-Identifier: MIT */
/*
 * Messages from user space: KVM_SIGNAL_MSI and GSIs routed to messages, with every field of address and data; routes
 * replaced under a guest; the forms of KVM_CAP_X2APIC_API.
 *
 * Can break: a field's bits, the number returned, a level's edge that is sent twice, an old route that still delivers,
 * destinations above 255, the two meanings of destination ffh.
 * Source: SDM vol. 3A, 11.11 (message signalled interrupts); KVM API, 4.70 (KVM_SIGNAL_MSI: > 0 delivered, 0 blocked),
 * 4.52 (KVM_SET_GSI_ROUTING), 7.16 (KVM_CAP_X2APIC_API).
 */
#include "case.h"

#include "cases/ioctl/irq_script.h"
#include "cases/ioctl/lapic_regs.h"
#include "cases/ioctl/pic_ports.h"
#include "cases/ioctl/routes.h"

#define TO(destination_) (0xfee00000u | (destination_) << 12)
#define LOGICAL 4u	/* address, DM */
#define HINT 8u		/* address, RH */
#define LOWEST 0x100
#define SMI 0x200
#define NMI 0x400
#define INIT 0x500
#define ASSERT 0x4000
#define LEVEL 0x8000
#define START OUT8(MASTER_MASK, 0xff), OUT8(SLAVE_MASK, 0xff), VCPU(1), LAPIC_ON, WRITE32(APIC_LDR, 0x02000000), VCPU(0),	\
	LAPIC_ON, WRITE32(APIC_LDR, 0x01000000)
#define X2(vcpu_) VCPU(vcpu_), WRMSR(MSR_IA32_APICBASE, APIC_BASE_X2APIC), WRMSR(X2APIC(APIC_SVR), SVR_ENABLE | 0xff)
#define START_X2APIC X2(1), X2(0)
#define TAKEN(v0_, v1_) VCPU(0), TAKE(v0_), VCPU(1), TAKE(v1_), VCPU(0)

struct row {
	ROW_FIELDS;
	uint64_t api;		/* KVM_CAP_X2APIC_API's flags; 0: not enabled */
	const struct op *ops;
};

/* GSI 40 to vCPU 1 as 51h, GSI 41 to both as 61h. */
static void route_first(struct test *t)
{
	static const struct kvm_irq_routing_entry routes[] = {
		MSI_ROUTE(40, 0, TO(1), 0x51), MSI_ROUTE(41, 0, TO(0xff), 0x61),
	};

	expect_result(t, 0, routes_try(t, 2, routes));
}

static void route_second(struct test *t)
{
	static const struct kvm_irq_routing_entry routes[] = { MSI_ROUTE(40, 0, TO(0), 0x71) };

	expect_result(t, 0, routes_try(t, 1, routes));
}

/* GSI 40 to pin 3 of the master 8259A. */
static void route_pin(struct test *t)
{
	static const struct kvm_irq_routing_entry routes[] = { PIN_ROUTE(40, KVM_IRQCHIP_PIC_MASTER, 3) };

	expect_result(t, 0, routes_try(t, 1, routes));
}

static void route_wide(struct test *t)
{
	static const struct kvm_irq_routing_entry good[] = { MSI_ROUTE(40, 0x00000100, TO(1), 0x51) };
	static const struct kvm_irq_routing_entry bad[] = { MSI_ROUTE(40, 0x00000001, TO(1), 0x51) };

	expect_result(t, 0, routes_try(t, 1, good));
	expect_errno(t, EINVAL, routes_try(t, 1, bad));
}

static void signal_flags(struct test *t)
{
	struct kvm_msi msi = { .address_lo = TO(0), .data = 0x51, .flags = 2 };

	expect_errno(t, EINVAL, vm_ioctl_try(t->vm, KVM_SIGNAL_MSI, &msi));
	msi.flags = 1u << 31;
	expect_errno(t, EINVAL, vm_ioctl_try(t->vm, KVM_SIGNAL_MSI, &msi));
}

static void expect_waits(struct test *t)
{
	struct kvm_mp_state state;

	vcpu_ioctl(t->vm->vcpus[1], KVM_GET_MP_STATE, &state);
	expect_eq(t, KVM_MP_STATE_INIT_RECEIVED, state.mp_state);
}

#define API KVM_X2APIC_API_USE_32BIT_IDS
#define NO_QUIRK KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK

static const struct row rows[] = {
	{ .label = "fixed", .ops = OPS {
		START, SIGNAL_MSI(TO(0), 0x51, 1), READ32(APIC_TMR(0x51), 0), TAKEN(0x51, 0),
		SIGNAL_MSI(TO(1), 0xfe, 1), TAKEN(0, 0xfe),
		END } },
	{ .label = "nobody", .ops = OPS {
		START, SIGNAL_MSI(TO(2), 0x51, 0), SIGNAL_MSI(TO(0x80), 0x51, 0), TAKEN(0, 0), END } },
	{ .label = "broadcast", .ops = OPS { START, SIGNAL_MSI(TO(0xff), 0x51, 2), TAKEN(0x51, 0x51), END } },
	{ .label = "logical", .ops = OPS {
		START, SIGNAL_MSI(TO(2) | LOGICAL, 0x51, 1), TAKEN(0, 0x51), SIGNAL_MSI(TO(3) | LOGICAL, 0x61, 2),
		TAKEN(0x61, 0x61),
		SIGNAL_MSI(TO(4) | LOGICAL, 0x71, 0), TAKEN(0, 0), END } },
	{ .label = "redirection_hint", .ops = OPS {
		/* One of the addressed, which is one here. */
		START, SIGNAL_MSI(TO(2) | LOGICAL | HINT, 0x51, 1), TAKEN(0, 0x51),
		SIGNAL_MSI(TO(3) | LOGICAL | HINT, 0x61, 1), END } },
	{ .label = "lowest", .ops = OPS {
		START, SIGNAL_MSI(TO(1) | LOGICAL, LOWEST | 0x51, 1), TAKEN(0x51, 0),
		SIGNAL_MSI(TO(3) | LOGICAL, LOWEST | 0x61, 1),
		END } },
	{ .label = "level", .ops = OPS {
		START, SIGNAL_MSI(TO(0), LEVEL | ASSERT | 0x51, 1), READ32(APIC_TMR(0x51), VECTOR_BIT(0x51)),
		TAKEN(0x51, 0), END } },
	{ .label = "nmi", .ops = OPS { START, SIGNAL_MSI(TO(1), NMI | 0x51, 1), TAKEN(0, NMI_VECTOR), END } },
	{ .label = "init", .ops = OPS { START, SIGNAL_MSI(TO(1), INIT | ASSERT, 1), HOST_DO(expect_waits), END } },
	{ .label = "software_off", .ops = OPS {
		START, VCPU(1), WRITE32(APIC_SVR, 0xff), SIGNAL_MSI(TO(1), 0x51, 0), SIGNAL_MSI(TO(0xff), 0x51, 1),
		TAKEN(0x51, 0),
		END } },
	{ .label = "flags", .ops = OPS { START, HOST_DO(signal_flags), TAKEN(0, 0), END } },
	{ .label = "high_ignored", .ops = OPS {
		/* Without KVM_CAP_X2APIC_API the address's upper half is nothing. */
		START, SIGNAL_MSI(0x12345600ull << 32 | TO(1), 0x51, 1), TAKEN(0, 0x51), END } },

	/* --- routes --- */
	{ .label = "route", .ops = OPS {
		START, HOST_DO(route_first), STATUS(40, 1, 1), TAKEN(0, 0x51), STATUS(41, 1, 2), TAKEN(0x61, 0x61),
		END } },
	{ .label = "route_level_low", .ops = OPS {
		/* A message is sent by the rise, each time user space says so. */
		START, HOST_DO(route_first), STATUS(40, 0, -1), TAKEN(0, 0), STATUS(40, 1, 1), TAKEN(0, 0x51),
		STATUS(40, 0, -1), VCPU(1),
		LAPIC_EOI, STATUS(40, 1, 1), TAKEN(0, 0x51), END } },
	{ .label = "route_replaced", .ops = OPS {
		START, HOST_DO(route_first), LINE(40, 1), TAKEN(0, 0x51), HOST_DO(route_second), STATUS(40, 1, 1),
		TAKEN(0x71, 0),
		STATUS(41, 1, -1), STATUS(5, 1, -1), TAKEN(0, 0), END } },
	{ .label = "route_to_pin", .ops = OPS {
		PIC_INIT, HOST_DO(route_pin), LINE(40, 1), TAKEN(0x23, 0), LINE(3, 1), TAKEN(0, 0), OUT8(MASTER, EOI),
		TAKEN(0, 0), END } },

	/* --- KVM_CAP_X2APIC_API --- */
	{ .label = "api_wide", .api = API, .ops = OPS {
		START_X2APIC, SIGNAL_MSI(0x00000100ull << 32 | TO(1), 0x51, 0), TAKEN(0, 0),
		SIGNAL_MSI(TO(1), 0x51, 1), TAKEN(0, 0x51),
		END } },
	{ .label = "api_low_bits", .api = API, .ops = OPS {
		START_X2APIC, SIGNAL_MSI(0x00000001ull << 32 | TO(1), 0x51, -EINVAL),
		SIGNAL_MSI(0x000000ffull << 32 | TO(1), 0x51, -EINVAL),
		TAKEN(0, 0), END } },
	{ .label = "api_route", .api = API, .ops = OPS {
		START_X2APIC, HOST_DO(route_wide), STATUS(40, 1, 0), TAKEN(0, 0), END } },
	{ .label = "broadcast_quirk", .ops = OPS {
		START_X2APIC, SIGNAL_MSI(TO(0xff), 0x51, 2), TAKEN(0x51, 0x51), END } },
	{ .label = "broadcast_no_quirk", .api = API | NO_QUIRK, .ops = OPS {
		/* ffh is an x2APIC's ID like others; all ones is everybody. */
		START_X2APIC, SIGNAL_MSI(TO(0xff), 0x51, 0), TAKEN(0, 0),
		SIGNAL_MSI(0xffffff00ull << 32 | TO(0xff), 0x61, 2),
		TAKEN(0x61, 0x61), END } },
	{ .label = "broadcast_no_quirk_xapic", .api = API | NO_QUIRK, .ops = OPS {
		START, SIGNAL_MSI(TO(0xff), 0x51, 2), TAKEN(0x51, 0x51), END } },
};

CASE(msi_guest, .says = "a message is delivered as its address and data say", .modes = LONG64, .nr_vcpus = 2,
     .irqchip = true, .needs = "KVM_CAP_SIGNAL_MSI KVM_CAP_X2APIC_API", .rows = ROWS(rows))

GUEST(msi_guest)
{
	script_guest(GUEST_ROW(rows)->ops);
}

HOST(msi_guest)
{
	const struct row *row = ROW(t, rows);
	struct kvm_enable_cap cap = { .cap = KVM_CAP_X2APIC_API, .args[0] = row->api };

	if (row->api)
		expect_result(t, 0, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	script_host(t, row->ops);
}

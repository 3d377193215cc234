/* SPDX-License-Identifier: MIT */
/*
 * Interrupts from one vCPU to others by ICR: shorthands, physical and logical destinations in both modes, and each
 * delivery mode, with what each of four vCPUs takes.
 *
 * Can break: the sender included or left out, a destination of one mode read as the other's, an x2APIC's cluster, a
 * level de-assert that is delivered, NMI with a vector, INIT to the wrong one.
 * Source: SDM vol. 3A, 11.6.1 (ICR, table 11-3), 11.6.2 (destinations), 11.12.9, 11.12.10 (x2APIC).
 */
#include "case.h"

#include "cases/ioctl/irq_script.h"
#include "cases/ioctl/lapic_regs.h"

#define FLAT 0xffffffff
#define CLUSTER 0x0fffffff
#define ON(vcpu_, dfr_, logical_) \
	VCPU(vcpu_), WRITE32(APIC_DFR, dfr_), WRITE32(APIC_LDR, (uint32_t)(logical_) << 24), LAPIC_ON
#define START_FLAT ON(3, FLAT, 8), ON(2, FLAT, 4), ON(1, FLAT, 2), ON(0, FLAT, 1)
#define START_CLUSTER ON(3, CLUSTER, 0x24), ON(2, CLUSTER, 0x21), ON(1, CLUSTER, 0x12), ON(0, CLUSTER, 0x11)
#define X2(vcpu_) VCPU(vcpu_), WRMSR(MSR_IA32_APICBASE, APIC_BASE_X2APIC), WRMSR(X2APIC(APIC_SVR), SVR_ENABLE | 0xff)
#define START_X2APIC X2(3), X2(2), X2(1), X2(0)
/* Flat, flat, cluster, x2APIC: no two bits of a destination mean the same to any two. */
#define START_MIXED X2(3), ON(2, CLUSTER, 0x61), ON(1, FLAT, 2), ON(0, FLAT, 1)
#define X2_IPI(destination_, low_) WRMSR(X2APIC(APIC_ICR), (uint64_t)(destination_) << 32 | (low_))
#define TAKEN(v0_, v1_, v2_, v3_)							\
	VCPU(0), TAKE(v0_), VCPU(1), TAKE(v1_), VCPU(2), TAKE(v2_), VCPU(3), TAKE(v3_)

struct row {
	ROW_FIELDS;
	const struct op *ops;
};

static void expect_states(struct test *t, uint32_t s0, uint32_t s1, uint32_t s2, uint32_t s3)
{
	const uint32_t want[] = { s0, s1, s2, s3 };
	unsigned int i;

	for (i = 0; i < 4; i++) {
		struct kvm_mp_state state;

		vcpu_ioctl(t->vm->vcpus[i], KVM_GET_MP_STATE, &state);
		expect_eq(t, want[i], state.mp_state);
	}
}

#define RUN KVM_MP_STATE_RUNNABLE
#define WAIT KVM_MP_STATE_INIT_RECEIVED

static void expect_all_run(struct test *t)
{
	expect_states(t, RUN, RUN, RUN, RUN);
}

static void expect_2_waits(struct test *t)
{
	expect_states(t, RUN, RUN, WAIT, RUN);
}

static void expect_others_wait(struct test *t)
{
	expect_states(t, RUN, WAIT, WAIT, WAIT);
}

static const struct row rows[] = {
	{ .label = "self", .ops = OPS { START_FLAT, VCPU(2), SELF_IPI(0x51), TAKEN(0, 0, 0x51, 0), END } },
	{ .label = "all", .ops = OPS {
		START_FLAT, VCPU(2), WRITE32(APIC_ICR, ICR_ALL | 0x51), TAKEN(0x51, 0x51, 0x51, 0x51), END } },
	{ .label = "others", .ops = OPS {
		START_FLAT, VCPU(2), WRITE32(APIC_ICR, ICR_OTHERS | 0x51), TAKEN(0x51, 0x51, 0, 0x51), END } },
	{ .label = "shorthand_before_destination", .ops = OPS {
		START_FLAT, VCPU(2), IPI(1, ICR_SELF | 0x51), TAKEN(0, 0, 0x51, 0), VCPU(2),
		IPI(1, ICR_OTHERS | 0x52),
		TAKEN(0x52, 0x52, 0, 0x52), END } },
	{ .label = "physical", .ops = OPS {
		START_FLAT, VCPU(1), IPI(3, 0x51), TAKEN(0, 0, 0, 0x51), VCPU(1), IPI(1, 0x52), TAKEN(0, 0x52, 0, 0),
		END } },
	{ .label = "physical_nobody", .ops = OPS { START_FLAT, IPI(4, 0x51), TAKEN(0, 0, 0, 0), END } },
	{ .label = "physical_broadcast", .ops = OPS { START_FLAT, IPI(0xff, 0x51), TAKEN(0x51, 0x51, 0x51, 0x51),
		END } },
	{ .label = "physical_asserted", .ops = OPS {
		START_FLAT, IPI(2, ICR_ASSERT | 0x51), TAKEN(0, 0, 0x51, 0), END } },
	{ .label = "logical_flat", .ops = OPS {
		START_FLAT, VCPU(1), IPI(0x0a, ICR_LOGICAL | 0x51), TAKEN(0, 0x51, 0, 0x51), END } },
	{ .label = "logical_flat_all", .ops = OPS {
		START_FLAT, IPI(0xff, ICR_LOGICAL | 0x51), TAKEN(0x51, 0x51, 0x51, 0x51), END } },
	{ .label = "logical_flat_nobody", .ops = OPS {
		START_FLAT, IPI(0x30, ICR_LOGICAL | 0x51), IPI(0, ICR_LOGICAL | 0x52), TAKEN(0, 0, 0, 0), END } },
	{ .label = "logical_cluster", .ops = OPS {
		START_CLUSTER, IPI(0x25, ICR_LOGICAL | 0x51), TAKEN(0, 0, 0x51, 0x51), VCPU(3),
		IPI(0x12, ICR_LOGICAL | 0x52),
		TAKEN(0, 0x52, 0, 0), END } },
	{ .label = "logical_cluster_all", .ops = OPS {
		START_CLUSTER, IPI(0xff, ICR_LOGICAL | 0x51), TAKEN(0x51, 0x51, 0x51, 0x51), END } },
	{ .label = "software_off", .ops = OPS {
		START_FLAT, VCPU(1), WRITE32(APIC_SVR, 0xff), VCPU(0), WRITE32(APIC_ICR, ICR_ALL | 0x51),
		TAKEN(0x51, 0, 0x51, 0x51), VCPU(0), IPI(0x02, ICR_LOGICAL | 0x52), TAKEN(0, 0, 0, 0), END } },
	{ .label = "level", .ops = OPS {
		/* Level-triggered: delivered by the assert, with TMR set; the de-assert is nothing. */
		START_FLAT, IPI(2, ICR_LEVEL | ICR_ASSERT | 0x51), VCPU(2), READ32(APIC_TMR(0x51), VECTOR_BIT(0x51)),
		TAKEN(0, 0, 0x51, 0), VCPU(0), IPI(3, ICR_LEVEL | 0x52), TAKEN(0, 0, 0, 0), END } },
	{ .label = "edge_after_level", .ops = OPS {
		START_FLAT, IPI(2, ICR_LEVEL | ICR_ASSERT | 0x51), TAKEN(0, 0, 0x51, 0), VCPU(2), LAPIC_EOI, VCPU(0),
		IPI(2, 0x51),
		VCPU(2), READ32(APIC_TMR(0x51), 0), TAKEN(0, 0, 0x51, 0), END } },
	{ .label = "nmi", .ops = OPS {
		START_FLAT, IPI(1, ICR_NMI | 0x51), TAKEN(0, NMI_VECTOR, 0, 0), VCPU(1), READ32(APIC_IRR(0x51), 0),
		END } },
	{ .label = "nmi_others", .ops = OPS {
		START_FLAT, WRITE32(APIC_ICR, ICR_OTHERS | ICR_NMI), TAKEN(0, NMI_VECTOR, NMI_VECTOR, NMI_VECTOR),
		END } },
	{ .label = "nmi_logical", .ops = OPS {
		START_FLAT, IPI(0x0c, ICR_LOGICAL | ICR_NMI), TAKEN(0, 0, NMI_VECTOR, NMI_VECTOR), END } },
	{ .label = "lowest", .ops = OPS { START_FLAT, IPI(0x04, ICR_LOGICAL | ICR_LOWEST | 0x51),
		TAKEN(0, 0, 0x51, 0), END } },
	{ .label = "lowest_nobody", .ops = OPS {
		START_FLAT, IPI(0x10, ICR_LOGICAL | ICR_LOWEST | 0x51), IPI(0x60, ICR_LOGICAL | ICR_LOWEST | 0x52),
		IPI(0, ICR_LOGICAL | ICR_LOWEST | 0x53), TAKEN(0, 0, 0, 0), END } },
	{ .label = "init", .ops = OPS {
		START_FLAT, IPI(2, ICR_INIT | ICR_LEVEL | ICR_ASSERT), HOST_DO(expect_2_waits), END } },
	{ .label = "init_deassert", .ops = OPS {
		START_FLAT, IPI(2, ICR_INIT | ICR_LEVEL), HOST_DO(expect_all_run), TAKEN(0, 0, 0, 0), END } },
	{ .label = "init_others", .ops = OPS {
		START_FLAT, WRITE32(APIC_ICR, ICR_OTHERS | ICR_INIT | ICR_ASSERT), HOST_DO(expect_others_wait),
		END } },
	{ .label = "startup_running", .ops = OPS {
		/* A vCPU that does not wait for it ignores it. */
		START_FLAT, IPI(2, ICR_STARTUP | ICR_ASSERT | 0x10), HOST_DO(expect_all_run), TAKEN(0, 0, 0, 0),
		END } },

	/* --- x2APIC --- */
	{ .label = "x2_physical", .ops = OPS { START_X2APIC, X2_IPI(3, 0x51), TAKEN(0, 0, 0, 0x51), END } },
	{ .label = "x2_physical_wide", .ops = OPS {
		/* The destination has 32 bits; 0xff is an ID here, not a broadcast. */
		START_X2APIC, X2_IPI(0x103, 0x51), X2_IPI(0x80000003, 0x51), X2_IPI(0xff, 0x52), TAKEN(0, 0, 0, 0),
		END } },
	{ .label = "x2_broadcast", .ops = OPS {
		START_X2APIC, VCPU(1), X2_IPI(0xffffffff, 0x51), TAKEN(0x51, 0x51, 0x51, 0x51), END } },
	{ .label = "x2_logical", .ops = OPS {
		START_X2APIC, X2_IPI(0x0000000a, ICR_LOGICAL | 0x51), TAKEN(0, 0x51, 0, 0x51), END } },
	{ .label = "x2_logical_cluster", .ops = OPS {
		/* All four are in cluster 0. */
		START_X2APIC, X2_IPI(0x0001000a, ICR_LOGICAL | 0x51), X2_IPI(0x0000fff0, ICR_LOGICAL | 0x52),
		/* Clusters that no APIC ID can be in. */
		X2_IPI(0x00100001, ICR_LOGICAL | 0x53), X2_IPI(0xfffe000f, ICR_LOGICAL | 0x54), TAKEN(0, 0, 0, 0),
		END } },
	{ .label = "x2_logical_all", .ops = OPS {
		START_X2APIC, X2_IPI(0xffffffff, ICR_LOGICAL | 0x51), TAKEN(0x51, 0x51, 0x51, 0x51), END } },
	{ .label = "x2_shorthands", .ops = OPS {
		START_X2APIC, VCPU(3), X2_IPI(0, ICR_OTHERS | 0x51), TAKEN(0x51, 0x51, 0x51, 0), VCPU(1),
		X2_IPI(0, ICR_ALL | 0x61),
		TAKEN(0x61, 0x61, 0x61, 0x61), VCPU(2), X2_IPI(0, ICR_SELF | 0x71), TAKEN(0, 0, 0x71, 0), END } },
	{ .label = "x2_self_ipi", .ops = OPS { START_X2APIC, VCPU(1), WRMSR(X2APIC_SELF_IPI, 0x51),
		TAKEN(0, 0x51, 0, 0), END } },
	{ .label = "x2_nmi", .ops = OPS { START_X2APIC, X2_IPI(2, ICR_NMI), TAKEN(0, 0, NMI_VECTOR, 0), END } },
	{ .label = "x2_init", .ops = OPS { START_X2APIC, X2_IPI(2, ICR_INIT | ICR_ASSERT), HOST_DO(expect_2_waits),
		END } },
	{ .label = "mixed_modes", .ops = OPS {
		/* An xAPIC reaches x2APICs by their ID, and all of both by a shorthand. */
		START_FLAT, X2(2), VCPU(0), IPI(2, 0x51), TAKEN(0, 0, 0x51, 0), VCPU(0),
		WRITE32(APIC_ICR, ICR_OTHERS | 0x61),
		TAKEN(0, 0x61, 0x61, 0x61), VCPU(2), X2_IPI(3, 0x71), TAKEN(0, 0, 0, 0x71), END } },
	{ .label = "mixed_logical", .ops = OPS {
		/* Each APIC compares the destination with its own LDR in its own model (11.6.2.2). */
		START_MIXED, IPI(0x02, ICR_LOGICAL | 0x21), TAKEN(0, 0x21, 0, 0), VCPU(0),
		IPI(0x61, ICR_LOGICAL | 0x31), TAKEN(0x31, 0, 0x31, 0), VCPU(0),
		IPI(0x62, ICR_LOGICAL | 0x41), TAKEN(0, 0x41, 0, 0), VCPU(0),
		IPI(0x71, ICR_LOGICAL | 0x51), TAKEN(0x51, 0, 0, 0), VCPU(0),
		IPI(0xff, ICR_LOGICAL | 0x61), TAKEN(0x61, 0x61, 0x61, 0x61), VCPU(0),
		IPI(0x04, ICR_LOGICAL | 0x71), TAKEN(0, 0, 0, 0), VCPU(0),
		IPI(0x02, ICR_LOGICAL | ICR_LOWEST | 0x81), TAKEN(0, 0x81, 0, 0), VCPU(0),
		IPI(0x61, ICR_LOGICAL | ICR_NMI), TAKEN(NMI_VECTOR, 0, NMI_VECTOR, 0), END } },
	{ .label = "mixed_logical_x2", .ops = OPS {
		/* From the x2APIC: by its own cluster and bit, and nobody by another cluster's. */
		START_MIXED, VCPU(3), X2_IPI(0x08, ICR_LOGICAL | 0x21), TAKEN(0, 0, 0, 0x21), VCPU(3),
		X2_IPI(0x04, ICR_LOGICAL | 0x31), X2_IPI(0x00010008, ICR_LOGICAL | 0x41), TAKEN(0, 0, 0, 0),
		END } },
};

CASE(lapic_ipi, .says = "an IPI reaches its destinations and nobody else", .modes = LONG64, .irqchip = true,
     .nr_vcpus = 4, .rows = ROWS(rows))

GUEST(lapic_ipi)
{
	script_guest(GUEST_ROW(rows)->ops);
}

HOST(lapic_ipi)
{
	script_host(t, ROW(t, rows)->ops);
}

/* SPDX-License-Identifier: MIT */
/*
 * Whom the IOAPIC reaches: physical and logical destinations, flat and by cluster, broadcast, one of several by lowest
 * priority, and vCPUs whose local APIC is off, or in x2APIC mode, or has another ID.
 *
 * Can break: a neighbour that also takes it, a broadcast that leaves one out, lowest priority taken by two or by a
 * disabled one, a map of destinations that is not built again after a register's change.
 * Source: Intel 82093AA datasheet, 3.2.4 (destination field, mode); SDM vol. 3A, 11.6.2 (determining IPI destination),
 * 11.4.7.2 (software-disabled state); KVM API, KVM_IRQ_LINE_STATUS (> 0: the number of vCPUs that took it).
 */
#include "case.h"

#include "cases/ioctl/ioapic_regs.h"
#include "cases/ioctl/irq_script.h"
#include "cases/ioctl/lapic_regs.h"
#include "cases/ioctl/pic_ports.h"

#define FLAT 0xffffffff
#define CLUSTER 0x0fffffff
#define ON(vcpu_, dfr_, logical_) \
	VCPU(vcpu_), WRITE32(APIC_DFR, dfr_), WRITE32(APIC_LDR, (uint32_t)(logical_) << 24), LAPIC_ON
#define START(dfr_, l0_, l1_, l2_, l3_)							\
	OUT8(MASTER_MASK, 0xff), OUT8(SLAVE_MASK, 0xff), ON(3, dfr_, l3_), ON(2, dfr_, l2_), ON(1, dfr_, l1_),	\
	ON(0, dfr_, l0_)
#define START_FLAT START(FLAT, 1, 2, 4, 8)
#define START_CLUSTER START(CLUSTER, 0x11, 0x12, 0x21, 0x24)
/* What each of the four takes. */
#define TAKEN(v0_, v1_, v2_, v3_)							\
	VCPU(0), TAKE(v0_), VCPU(1), TAKE(v1_), VCPU(2), TAKE(v2_), VCPU(3), TAKE(v3_), VCPU(0)
#define TO_X2APIC(vcpu_) VCPU(vcpu_), WRMSR(MSR_IA32_APICBASE, APIC_BASE_X2APIC), VCPU(0)

static bool is_pending(struct vcpu *vcpu, uint8_t vector)
{
	struct kvm_lapic_state lapic;

	vcpu_ioctl(vcpu, KVM_GET_LAPIC, &lapic);
	return lapic.regs[0x200 + vector / 32 * 0x10 + vector % 32 / 8] >> (vector & 7) & 1;
}

/* 0x52, a lowest-priority interrupt for vCPUs 1 and 3, is one of them's. */
static void expect_one(struct test *t)
{
	bool first = is_pending(t->vm->vcpus[1], 0x52), second = is_pending(t->vm->vcpus[3], 0x52);

	expect_true(t, first != second);
	expect_true(t, !is_pending(t->vm->vcpus[0], 0x52));
	expect_true(t, !is_pending(t->vm->vcpus[2], 0x52));
}

static void expect_wait_for_sipi(struct test *t)
{
	unsigned int i;

	for (i = 0; i < 4; i++) {
		struct kvm_mp_state state;

		vcpu_ioctl(t->vm->vcpus[i], KVM_GET_MP_STATE, &state);
		expect_eq(t, i == 2 ? KVM_MP_STATE_INIT_RECEIVED : KVM_MP_STATE_RUNNABLE, state.mp_state);
	}
}

struct row {
	ROW_FIELDS;
	const struct op *ops;
};

static const struct row rows[] = {
	{ .label = "physical", .ops = OPS {
		START_FLAT, IO_ENTRY(20, 2, 0x51), STATUS(20, 1, 1), TAKEN(0, 0, 0x51, 0), END } },
	{ .label = "physical_0", .ops = OPS {
		START_FLAT, IO_ENTRY(20, 0, 0x51), STATUS(20, 1, 1), TAKEN(0x51, 0, 0, 0), END } },
	{ .label = "physical_nobody", .ops = OPS {
		START_FLAT, IO_ENTRY(20, 9, 0x51), STATUS(20, 1, 0), TAKEN(0, 0, 0, 0), END } },
	{ .label = "physical_broadcast", .ops = OPS {
		START_FLAT, IO_ENTRY(20, 0xff, 0x51), STATUS(20, 1, 4), TAKEN(0x51, 0x51, 0x51, 0x51), END } },
	{ .label = "physical_changed_id", .ops = OPS {
		START_FLAT, VCPU(2), WRITE32(APIC_ID, 0x09000000), VCPU(0), IO_ENTRY(20, 9, 0x51), STATUS(20, 1, 1),
		TAKEN(0, 0, 0x51, 0), IO_ENTRY(21, 2, 0x52), STATUS(21, 1, 0), TAKEN(0, 0, 0, 0), END } },
	{ .label = "physical_lapic_off", .ops = OPS {
		START_FLAT, VCPU(1), WRITE32(APIC_SVR, 0xff), VCPU(0), IO_ENTRY(20, 0xff, 0x51), STATUS(20, 1, 3),
		TAKEN(0x51, 0, 0x51, 0x51), END } },
	{ .label = "physical_hardware_off", .ops = OPS {
		START_FLAT, VCPU(1), WRMSR(MSR_IA32_APICBASE, LAPIC), VCPU(0), IO_ENTRY(20, 0xff, 0x51),
		STATUS(20, 1, 3),
		TAKEN(0x51, 0, 0x51, 0x51), IO_ENTRY(21, 1, 0x52), STATUS(21, 1, 0), TAKEN(0, 0, 0, 0), END } },
	{ .label = "physical_x2apic", .ops = OPS {
		START_FLAT, TO_X2APIC(3), IO_ENTRY(20, 3, 0x51), STATUS(20, 1, 1), TAKEN(0, 0, 0, 0x51), END } },
	{ .label = "broadcast_x2apic", .ops = OPS {
		/* KVM lets 0xff of a message reach x2APICs too, as it has no interrupt remapping. */
		START_FLAT, TO_X2APIC(3), TO_X2APIC(1), IO_ENTRY(20, 0xff, 0x51), STATUS(20, 1, 4),
		TAKEN(0x51, 0x51, 0x51, 0x51), END } },
	{ .label = "flat_one", .ops = OPS {
		START_FLAT, IO_ENTRY(20, 8, RT_LOGICAL | 0x51), STATUS(20, 1, 1), TAKEN(0, 0, 0, 0x51), END } },
	{ .label = "flat_two", .ops = OPS {
		START_FLAT, IO_ENTRY(20, 5, RT_LOGICAL | 0x51), STATUS(20, 1, 2), TAKEN(0x51, 0, 0x51, 0), END } },
	{ .label = "flat_all", .ops = OPS {
		START_FLAT, IO_ENTRY(20, 0xff, RT_LOGICAL | 0x51), STATUS(20, 1, 4), TAKEN(0x51, 0x51, 0x51, 0x51),
		END } },
	{ .label = "flat_nobody", .ops = OPS {
		START_FLAT, IO_ENTRY(20, 0xf0, RT_LOGICAL | 0x51), STATUS(20, 1, 0),
		IO_ENTRY(21, 0, RT_LOGICAL | 0x52),
		STATUS(21, 1, 0), TAKEN(0, 0, 0, 0), END } },
	{ .label = "flat_shared_bit", .ops = OPS {
		START(FLAT, 1, 3, 4, 0x88), IO_ENTRY(20, 2, RT_LOGICAL | 0x51), STATUS(20, 1, 1),
		TAKEN(0, 0x51, 0, 0),
		IO_ENTRY(21, 0x80, RT_LOGICAL | 0x52), STATUS(21, 1, 1), TAKEN(0, 0, 0, 0x52), END },
	  .known = { .finding = "0604-lapic-logical-id-bits", .kernels = "..6.2" } },
	{ .label = "flat_changed", .ops = OPS {
		START_FLAT, VCPU(1), WRITE32(APIC_LDR, 0x40000000), VCPU(0), IO_ENTRY(20, 0x40, RT_LOGICAL | 0x51),
		STATUS(20, 1, 1), TAKEN(0, 0x51, 0, 0), IO_ENTRY(21, 2, RT_LOGICAL | 0x52), STATUS(21, 1, 0), END } },
	{ .label = "cluster_one", .ops = OPS {
		START_CLUSTER, IO_ENTRY(20, 0x24, RT_LOGICAL | 0x51), STATUS(20, 1, 1), TAKEN(0, 0, 0, 0x51), END } },
	{ .label = "cluster_two", .ops = OPS {
		START_CLUSTER, IO_ENTRY(20, 0x13, RT_LOGICAL | 0x51), STATUS(20, 1, 2), TAKEN(0x51, 0x51, 0, 0),
		END } },
	{ .label = "cluster_nobody", .ops = OPS {
		START_CLUSTER, IO_ENTRY(20, 0x31, RT_LOGICAL | 0x51), STATUS(20, 1, 0),
		IO_ENTRY(21, 0x28, RT_LOGICAL | 0x52),
		STATUS(21, 1, 0), TAKEN(0, 0, 0, 0), END } },
	{ .label = "cluster_broadcast", .ops = OPS {
		START_CLUSTER, IO_ENTRY(20, 0xff, RT_LOGICAL | 0x51), STATUS(20, 1, 4), TAKEN(0x51, 0x51, 0x51, 0x51),
		END } },
	{ .label = "lowest", .ops = OPS {
		START_FLAT, IO_ENTRY(20, 0x0a, RT_LOGICAL | RT_LOWEST | 0x52), STATUS(20, 1, 1), HOST_DO(expect_one),
		END } },
	{ .label = "lowest_cluster", .ops = OPS {
		START(CLUSTER, 0x11, 0x21, 0x12, 0x22), IO_ENTRY(20, 0x23, RT_LOGICAL | RT_LOWEST | 0x52),
		STATUS(20, 1, 1),
		HOST_DO(expect_one), END } },
	{ .label = "lowest_broadcast", .ops = OPS {
		/* The others are off: one of the two that can take it. */
		START_FLAT, VCPU(0), WRITE32(APIC_SVR, 0xff), VCPU(2), WRITE32(APIC_SVR, 0xff), VCPU(0),
		IO_ENTRY(20, 0xff, RT_LOGICAL | RT_LOWEST | 0x52), STATUS(20, 1, 1), HOST_DO(expect_one), END } },
	{ .label = "nmi", .ops = OPS {
		START_FLAT, IO_ENTRY(20, 3, RT_NMI), STATUS(20, 1, 1), TAKEN(0, 0, 0, NMI_VECTOR), END } },
	{ .label = "nmi_logical", .ops = OPS {
		START_FLAT, IO_ENTRY(20, 6, RT_LOGICAL | RT_NMI), STATUS(20, 1, 2),
		TAKEN(0, NMI_VECTOR, NMI_VECTOR, 0), END } },
	{ .label = "init", .ops = OPS {
		START_FLAT, IO_ENTRY(20, 2, RT_INIT), STATUS(20, 1, 1), HOST_DO(expect_wait_for_sipi), END } },
	{ .label = "level_moves", .ops = OPS {
		/* The entry goes to another vCPU while the first one serves it; its end still counts. */
		START_FLAT, IO_ENTRY(20, 1, RT_LEVEL | 0x51), LINE(20, 1), VCPU(1), TAKE(0x51), VCPU(0),
		IO_WRITE(IOREDTBL_HIGH(20), 0x02000000), TAKEN(0, 0, 0, 0), VCPU(1), LAPIC_EOI, TAKEN(0, 0, 0x51, 0),
		LINE(20, 0), VCPU(2), LAPIC_EOI, IO_READ(IOREDTBL(20), RT_LEVEL | 0x51), END } },
};

CASE(ioapic_dest, .says = "an IOAPIC entry reaches its destinations and nobody else", .modes = LONG64, .irqchip = true,
     .nr_vcpus = 4, .rows = ROWS(rows))

GUEST(ioapic_dest)
{
	script_guest(GUEST_ROW(rows)->ops);
}

HOST(ioapic_dest)
{
	script_host(t, ROW(t, rows)->ops);
}

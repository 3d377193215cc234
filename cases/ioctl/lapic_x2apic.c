/* SPDX-License-Identifier: MIT */
/*
 * The local APIC's registers in x2APIC mode, by MSR: values at the change of mode, bits that can be written, and #GP(0)
 * for what cannot be read or written, with the register unchanged.
 *
 * Can break: a register that is read-only or write-only let through, the upper half of a 32-bit one, the logical ID,
 * the ICR's two halves, an MSR without a register.
 * Source: SDM vol. 3A, 11.12.1 (x2APIC register space, table 11-6), 11.12.5, 11.12.9 (ICR), 11.12.10 (logical ID),
 * 11.12.11 (SELF IPI).
 */
#include "case.h"

#include "cases/ioctl/irq_script.h"
#include "cases/ioctl/lapic_regs.h"

#define START WRMSR(MSR_IA32_APICBASE, APIC_BASE_X2APIC | APIC_BASE_BSP)
#define START_ON START, WRMSR(X2APIC(APIC_SVR), SVR_ENABLE | 0xff)
#define X2_EOI WRMSR(X2APIC(APIC_EOI), 0)

struct row {
	ROW_FIELDS;
	const struct op *ops;
};

static void guest_vectors(void)
{
	uint32_t at;
	uint64_t value;

	for (at = 0x810; at < 0x828; at++) {
		CHECK_EQ(0, rdmsr(at));
		CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(at, 0));
		CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(at, 1));
		CHECK_NO_FAULT(rdmsr_safe(at, &value));
		CHECK_EQ(0, value);
	}
}

/* MSRs of the x2APIC's range without a register, among them those that only xAPIC mode has. */
static void guest_no_register(void)
{
	static const uint32_t indices[] = {
		0x800, 0x801, 0x804, 0x805, 0x806, 0x807, 0x809, 0x80c, 0x80e, 0x829, 0x82a, 0x82e, 0x831, 0x83a,
		0x83b,
		0x83d, 0x840, 0x8ff,
	};
	unsigned int i;
	uint64_t value;

	for (i = 0; i < sizeof(indices) / sizeof(indices[0]); i++) {
		SAY("MSR", indices[i]);
		CHECK_FAULT(GP_VECTOR, 0, rdmsr_safe(indices[i], &value));
		CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(indices[i], 0));
	}
}

/* A bit of the upper half of any register but ICR. */
static void guest_upper_half(void)
{
	static const uint32_t registers[] = {
		X2APIC(APIC_TPR), X2APIC(APIC_EOI), X2APIC(APIC_SVR), X2APIC(APIC_ESR), X2APIC(APIC_LVT_TIMER),
		X2APIC(APIC_LVT_THERMAL), X2APIC(APIC_LVT_PERF), X2APIC(APIC_LVT_LINT0), X2APIC(APIC_LVT_LINT1),
		X2APIC(APIC_LVT_ERROR), X2APIC(APIC_TMICT), X2APIC(APIC_TDCR), X2APIC_SELF_IPI,
	};
	unsigned int i;

	for (i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
		CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(registers[i], 1ull << 32));
		CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(registers[i], 1ull << 63));
	}
	CHECK_EQ(0, rdmsr(X2APIC(APIC_TPR)));
	CHECK_EQ(SVR_ENABLE | 0xff, rdmsr(X2APIC(APIC_SVR)));
	CHECK_EQ(0, rdmsr(X2APIC(APIC_TMICT)));
}

/* Outside of x2APIC mode none of the MSRs is there. */
static void guest_absent(void)
{
	uint32_t at;
	uint64_t value;

	for (at = 0x800; at < 0x840; at++) {
		CHECK_FAULT(GP_VECTOR, 0, rdmsr_safe(at, &value));
		CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(at, 0));
	}
}

static const struct row rows[] = {
	{ .label = "reset", .ops = OPS {
		START, RDMSR(X2APIC(APIC_ID), 0), RDMSR(X2APIC(APIC_VERSION), 0x00050014), RDMSR(X2APIC(APIC_TPR), 0),
		RDMSR(X2APIC(APIC_PPR), 0), RDMSR(X2APIC(APIC_LDR), 1), RDMSR(X2APIC(APIC_SVR), 0xff),
		RDMSR(X2APIC(APIC_ESR), 0),
		RDMSR(X2APIC(APIC_ICR), 0), RDMSR(X2APIC(APIC_LVT_TIMER), LVT_MASKED),
		RDMSR(X2APIC(APIC_LVT_THERMAL), LVT_MASKED), RDMSR(X2APIC(APIC_LVT_PERF), LVT_MASKED),
		RDMSR(X2APIC(APIC_LVT_LINT0), LVT_EXTINT), RDMSR(X2APIC(APIC_LVT_LINT1), LVT_MASKED),
		RDMSR(X2APIC(APIC_LVT_ERROR), LVT_MASKED), RDMSR(X2APIC(APIC_TMICT), 0), RDMSR(X2APIC(APIC_TMCCT), 0),
		RDMSR(X2APIC(APIC_TDCR), 0), END } },
	{ .label = "absent", .ops = OPS { GUEST_DO(guest_absent), END } },
	{ .label = "absent_off", .ops = OPS { WRMSR(MSR_IA32_APICBASE, LAPIC), GUEST_DO(guest_absent), END } },
	{ .label = "kept_from_xapic", .ops = OPS {
		LAPIC_ON, WRITE32(APIC_TPR, 0x20), WRITE32(APIC_LVT_ERROR, 0x33), WRITE32(APIC_ID, 0x05000000),
		WRITE32(APIC_LDR, 0x40000000), START, RDMSR(X2APIC(APIC_TPR), 0x20),
		RDMSR(X2APIC(APIC_LVT_ERROR), 0x33),
		RDMSR(X2APIC(APIC_SVR), 0x1ff),
		/* The IDs are the x2APIC's own (11.12.5.1, 11.12.10.2). */
		RDMSR(X2APIC(APIC_ID), 0), RDMSR(X2APIC(APIC_LDR), 1), END } },
	{ .label = "ids_of_second", .ops = OPS {
		VCPU(1), START, RDMSR(X2APIC(APIC_ID), 1), RDMSR(X2APIC(APIC_LDR), 2), END } },
	{ .label = "no_register", .ops = OPS { START, GUEST_DO(guest_no_register), END } },
	{ .label = "upper_half", .ops = OPS { START_ON, GUEST_DO(guest_upper_half), END } },
	{ .label = "vectors", .ops = OPS { START, GUEST_DO(guest_vectors), END } },
	{ .label = "id", .ops = OPS { START, WRMSR_GP(X2APIC(APIC_ID), 0), WRMSR_GP(X2APIC(APIC_ID), 1),
		RDMSR(X2APIC(APIC_ID), 0),
		END } },
	{ .label = "version", .ops = OPS { START, WRMSR_GP(X2APIC(APIC_VERSION), 0x00050014), END } },
	{ .label = "tpr", .ops = OPS {
		START, WRMSR(X2APIC(APIC_TPR), 0xf0), RDMSR(X2APIC(APIC_TPR), 0xf0), RDMSR(X2APIC(APIC_PPR), 0xf0),
		WRMSR(X2APIC(APIC_TPR), 0), RDMSR(X2APIC(APIC_PPR), 0), END } },
	{ .label = "ppr", .ops = OPS { START, WRMSR_GP(X2APIC(APIC_PPR), 0), RDMSR(X2APIC(APIC_PPR), 0), END } },
	{ .label = "eoi", .ops = OPS { START, RDMSR_GP(X2APIC(APIC_EOI)), X2_EOI, END } },
	{ .label = "eoi_not_zero", .known = { .finding = "0606-x2apic-reserved-bits" },
	  .ops = OPS { START, WRMSR_GP(X2APIC(APIC_EOI), 1), END } },
	{ .label = "ldr", .ops = OPS { START, WRMSR_GP(X2APIC(APIC_LDR), 1), RDMSR(X2APIC(APIC_LDR), 1), END } },
	{ .label = "dfr", .ops = OPS {
		START, RDMSR_GP(X2APIC(APIC_DFR)), WRMSR_GP(X2APIC(APIC_DFR), 0xffffffff), END } },
	{ .label = "svr", .ops = OPS {
		START, WRMSR(X2APIC(APIC_SVR), 0x1ef), RDMSR(X2APIC(APIC_SVR), 0x1ef), WRMSR(X2APIC(APIC_SVR), 0x0f),
		RDMSR(X2APIC(APIC_SVR), 0x0f), END } },
	{ .label = "svr_reserved", .known = { .finding = "0606-x2apic-reserved-bits" },
	  .ops = OPS { START, WRMSR_GP(X2APIC(APIC_SVR), 0x21ff), RDMSR(X2APIC(APIC_SVR), 0xff), END } },
	{ .label = "esr", .ops = OPS {
		START, WRMSR(X2APIC(APIC_ESR), 0), WRMSR_GP(X2APIC(APIC_ESR), 1), RDMSR(X2APIC(APIC_ESR), 0), END } },
	{ .label = "lvt", .ops = OPS {
		START_ON, WRMSR(X2APIC(APIC_LVT_TIMER), 0x31), WRMSR(X2APIC(APIC_LVT_THERMAL), 0x432),
		WRMSR(X2APIC(APIC_LVT_PERF), 0x433), WRMSR(X2APIC(APIC_LVT_LINT0), 0x10734),
		WRMSR(X2APIC(APIC_LVT_LINT1), 0x8435),
		WRMSR(X2APIC(APIC_LVT_ERROR), 0x10036), RDMSR(X2APIC(APIC_LVT_TIMER), 0x31),
		RDMSR(X2APIC(APIC_LVT_THERMAL), 0x432), RDMSR(X2APIC(APIC_LVT_PERF), 0x433),
		RDMSR(X2APIC(APIC_LVT_LINT0), 0x10734),
		RDMSR(X2APIC(APIC_LVT_LINT1), 0x8435), RDMSR(X2APIC(APIC_LVT_ERROR), 0x10036), END } },
	{ .label = "tmcct", .ops = OPS { START, WRMSR_GP(X2APIC(APIC_TMCCT), 0), RDMSR(X2APIC(APIC_TMCCT), 0),
		END } },
	{ .label = "tdcr", .ops = OPS { START, WRMSR(X2APIC(APIC_TDCR), 0xb), RDMSR(X2APIC(APIC_TDCR), 0xb), END } },
	{ .label = "icr", .ops = OPS {
		/* One register of 64 bits; to nobody here. */
		START_ON, WRMSR(X2APIC(APIC_ICR), 0x0000777700004041), RDMSR(X2APIC(APIC_ICR), 0x0000777700004041),
		END } },
	{ .label = "icr_reserved", .ops = OPS {
		START_ON, WRMSR_GP(X2APIC(APIC_ICR), 0x777700002041), WRMSR_GP(X2APIC(APIC_ICR), 0x777700010041),
		WRMSR_GP(X2APIC(APIC_ICR), 0x777700020041), WRMSR_GP(X2APIC(APIC_ICR), 0x777700100041),
		WRMSR_GP(X2APIC(APIC_ICR), 0x777780000041), RDMSR(X2APIC(APIC_ICR), 0), END } },
	{ .label = "self_ipi", .ops = OPS {
		START_ON, WRMSR(X2APIC_SELF_IPI, 0x51), RDMSR(X2APIC(APIC_IRR(0x51)), VECTOR_BIT(0x51)), TAKE(0x51),
		RDMSR(X2APIC(APIC_ISR(0x51)), VECTOR_BIT(0x51)), RDMSR(X2APIC(APIC_TMR(0x51)), 0), X2_EOI,
		RDMSR(X2APIC(APIC_ISR(0x51)), 0), RDMSR_GP(X2APIC_SELF_IPI), WRMSR_GP(X2APIC_SELF_IPI, 0x151),
		TAKE(0), END } },
	{ .label = "cr8", .ops = OPS {
		START, WRITE_CR8(5), RDMSR(X2APIC(APIC_TPR), 0x50), WRMSR(X2APIC(APIC_TPR), 0x8a), READ_CR8(8),
		END } },
	{ .label = "off_and_on", .ops = OPS {
		/* The only way back to xAPIC mode. The ID is the initial one. */
		START, WRMSR(MSR_IA32_APICBASE, LAPIC), WRMSR(MSR_IA32_APICBASE, LAPIC | APIC_BASE_EN),
		READ32(APIC_ID, 0),
		GUEST_DO(guest_absent), END } },
	{ .label = "off_and_on_second", .ops = OPS {
		VCPU(1), WRITE32(APIC_ID, 0x77000000), START, WRMSR(MSR_IA32_APICBASE, LAPIC),
		WRMSR(MSR_IA32_APICBASE, LAPIC | APIC_BASE_EN), READ32(APIC_ID, 0x01000000), END } },
};

CASE(lapic_x2apic, .says = "the local APIC's MSRs are as the manual has them", .modes = LONG64,
     .irqchip = true, .nr_vcpus = 2, .needs = "cpuid:x2apic", .rows = ROWS(rows))

GUEST(lapic_x2apic)
{
	script_guest(GUEST_ROW(rows)->ops);
}

HOST(lapic_x2apic)
{
	script_host(t, ROW(t, rows)->ops);
}

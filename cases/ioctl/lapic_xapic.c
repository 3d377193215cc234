/* SPDX-License-Identifier: MIT */
/*
 * The local APIC's registers in xAPIC mode, by memory: value after reset, bits that can be written and those that
 * cannot, registers without an address, accesses of another size, software disable, and where the page is.
 *
 * Can break: a mask of writable bits, a read-only register written, an access of the wrong size that is executed, LVT
 * entries unmasked while the APIC is off, a base address that is not followed.
 * Source: SDM vol. 3A, 11.4.1 (register map), 11.4.4 (IA32_APIC_BASE), 11.4.7 (state after reset), 11.5.1 (LVT),
 * 11.5.4 (timer), 11.6.1 (ICR), 11.8.3 (TPR), 11.9 (SVR).
 */
#include "case.h"

#include "cases/ioctl/irq_script.h"
#include "cases/ioctl/lapic_regs.h"
#include "cases/ioctl/pic_ports.h"

struct row {
	ROW_FIELDS;
	const struct op *ops;
};

/* All bits written, then none: @mask_ is what stays of ones. */
#define WRITABLE(register_, mask_)							\
	WRITE32(register_, 0xffffffff), READ32(register_, mask_), WRITE32(register_, 0), READ32(register_, 0)
/* Likewise, but for the read-only bits of an LVT entry: delivery status and remote IRR. */
#define LVT_WRITABLE(register_, mask_)							\
	WRITE32(register_, 0xffffafff), READ32(register_, mask_), WRITE32(register_, 0), READ32(register_, 0)
#define READ_ONLY(register_, value_)							\
	WRITE32(register_, 0xffffffff), READ32(register_, value_), WRITE32(register_, 0), READ32(register_, value_)

static void guest_vectors_clear(void)
{
	unsigned int at;

	for (at = 0x100; at < 0x280; at += 0x10)
		CHECK_EQ(0, read32(LAPIC + at));
}

static void guest_vectors_read_only(void)
{
	unsigned int at;

	for (at = 0x100; at < 0x280; at += 0x10)
		write32(LAPIC + at, 0xffffffff);
	guest_vectors_clear();
}

/* 32-bit accesses at 16-byte boundaries write; others do not. Reads of a part of a register read that part. */
static void guest_sizes(void)
{
	write32(APIC_LDR, 0x5a000000);
	CHECK_EQ(0x5a, read8(APIC_LDR + 3));
	CHECK_EQ(0x5a00, read16(APIC_LDR + 2));
	CHECK_EQ(0, read8(APIC_LDR));
	write8(APIC_LDR + 3, 0xff);
	write16(APIC_LDR + 2, 0xffff);
	write32(APIC_LDR + 4, 0xff000000);
	write32(APIC_LDR + 8, 0xff000000);
	CHECK_EQ(0x5a000000, read32(APIC_LDR));
	write8(APIC_TPR, 0x20);
	write16(APIC_TPR, 0x20);
	CHECK_EQ(0, read32(APIC_TPR));
}

static bool cpuid_has_apic(void)
{
	return cpuid(1, 0).edx >> 9 & 1;
}

static void guest_has_apic(void)
{
	CHECK(cpuid_has_apic());
}

static void guest_has_no_apic(void)
{
	CHECK(!cpuid_has_apic());
}

static void hole_is_user_space(struct test *t)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_DISABLE_QUIRKS, .args[0] = KVM_X86_QUIRK_LAPIC_MMIO_HOLE };

	vm_ioctl(t->vm, KVM_ENABLE_CAP, &cap);
}

static const struct row rows[] = {
	{ .label = "reset", .ops = OPS {
		READ32(APIC_ID, 0), READ32(APIC_VERSION, 0x00050014), READ32(APIC_TPR, 0), READ32(APIC_APR, 0),
		READ32(APIC_PPR, 0), READ32(APIC_LDR, 0), READ32(APIC_DFR, 0xffffffff), READ32(APIC_SVR, 0xff),
		READ32(APIC_ESR, 0), READ32(APIC_ICR, 0), READ32(APIC_ICR_HIGH, 0),
		READ32(APIC_LVT_TIMER, LVT_MASKED),
		READ32(APIC_LVT_THERMAL, LVT_MASKED), READ32(APIC_LVT_PERF, LVT_MASKED),
		READ32(APIC_LVT_LINT1, LVT_MASKED), READ32(APIC_LVT_ERROR, LVT_MASKED), READ32(APIC_TMICT, 0),
		READ32(APIC_TMCCT, 0), READ32(APIC_TDCR, 0), GUEST_DO(guest_vectors_clear),
		/* The boot processor's LINT0 lets the 8259A through, as firmware would set it (KVM_X86_QUIRK_LINT0_REENABLED). */
		READ32(APIC_LVT_LINT0, LVT_EXTINT), END } },
	{ .label = "id", .ops = OPS { WRITABLE(APIC_ID, 0xff000000), END } },
	{ .label = "version", .ops = OPS { READ_ONLY(APIC_VERSION, 0x00050014), END } },
	{ .label = "tpr", .ops = OPS {
		WRITE32(APIC_TPR, 0xfffffff0), READ32(APIC_TPR, 0xf0), READ32(APIC_PPR, 0xf0),
		WRITE32(APIC_TPR, 0x50),
		READ32(APIC_TPR, 0x50), READ32(APIC_PPR, 0x50), WRITE32(APIC_TPR, 0), READ32(APIC_PPR, 0), END } },
	{ .label = "tpr_subclass", .known = { .finding = "0607-svm-tpr-subclass", .targets = "lab-svm*" },
		.ops = OPS {
		WRITE32(APIC_TPR, 0x5a), READ32(APIC_TPR, 0x5a), READ32(APIC_PPR, 0x5a), END } },
	{ .label = "apr", .ops = OPS { READ_ONLY(APIC_APR, 0), END } },
	{ .label = "ppr", .ops = OPS { READ_ONLY(APIC_PPR, 0), END } },
	{ .label = "ldr", .ops = OPS { WRITABLE(APIC_LDR, 0xff000000), END } },
	{ .label = "dfr", .ops = OPS {
		WRITE32(APIC_DFR, 0), READ32(APIC_DFR, 0x0fffffff), WRITE32(APIC_DFR, 0xa0000000),
		READ32(APIC_DFR, 0xafffffff), WRITE32(APIC_DFR, 0xffffffff), READ32(APIC_DFR, 0xffffffff), END } },
	{ .label = "svr", .ops = OPS {
		/* No bit 12: the in-kernel IOAPIC has no EOI register, so there is no directed end of interrupt. */
		WRITABLE(APIC_SVR, 0x3ff), END } },
	{ .label = "esr", .ops = OPS {
		WRITE32(APIC_ESR, 0), READ32(APIC_ESR, 0), WRITE32(APIC_ESR, 0xffffffff), READ32(APIC_ESR, 0),
		END } },
	{ .label = "icr", .ops = OPS {
		/* To nobody; the delivery status is never seen busy. */
		WRITE32(APIC_ICR_HIGH, 0xffffffff), READ32(APIC_ICR_HIGH, 0xff000000),
		WRITE32(APIC_ICR_HIGH, 0x77000000),
		WRITE32(APIC_ICR, 0x00005041), READ32(APIC_ICR, 0x00004041), READ32(APIC_ICR_HIGH, 0x77000000),
		END } },
	{ .label = "vectors_read_only", .ops = OPS { GUEST_DO(guest_vectors_read_only), END } },
	{ .label = "lvt_timer", .ops = OPS { LAPIC_ON, LVT_WRITABLE(APIC_LVT_TIMER, 0x300ff), END } },
	{ .label = "lvt_thermal", .ops = OPS { LAPIC_ON, LVT_WRITABLE(APIC_LVT_THERMAL, 0x107ff), END } },
	{ .label = "lvt_perf", .ops = OPS { LAPIC_ON, LVT_WRITABLE(APIC_LVT_PERF, 0x107ff), END } },
	{ .label = "lvt_lint0", .ops = OPS { LAPIC_ON, LVT_WRITABLE(APIC_LVT_LINT0, 0x1a7ff), END } },
	{ .label = "lvt_lint1", .ops = OPS { LAPIC_ON, LVT_WRITABLE(APIC_LVT_LINT1, 0x1a7ff), END } },
	{ .label = "lvt_error", .ops = OPS { LAPIC_ON, LVT_WRITABLE(APIC_LVT_ERROR, 0x100ff), END } },
	{ .label = "lvt_read_only", .known = { .finding = "0605-lapic-lvt-read-only-bits" }, .ops = OPS {
		LAPIC_ON, WRITE32(APIC_LVT_TIMER, 0x11031), READ32(APIC_LVT_TIMER, 0x10031),
		WRITE32(APIC_LVT_LINT1, 0x1c031), READ32(APIC_LVT_LINT1, 0x18031), END } },
	{ .label = "lvt_apart", .ops = OPS {
		LAPIC_ON, WRITE32(APIC_LVT_TIMER, 0x21), WRITE32(APIC_LVT_THERMAL, 0x22),
		WRITE32(APIC_LVT_PERF, 0x23),
		WRITE32(APIC_LVT_LINT0, 0x24), WRITE32(APIC_LVT_LINT1, 0x25), WRITE32(APIC_LVT_ERROR, 0x26),
		READ32(APIC_LVT_TIMER, 0x21), READ32(APIC_LVT_THERMAL, 0x22), READ32(APIC_LVT_PERF, 0x23),
		READ32(APIC_LVT_LINT0, 0x24), READ32(APIC_LVT_LINT1, 0x25), READ32(APIC_LVT_ERROR, 0x26), END } },
	{ .label = "tmict", .ops = OPS { LAPIC_ON, WRITABLE(APIC_TMICT, 0xffffffff), END } },
	{ .label = "tmcct", .ops = OPS { READ_ONLY(APIC_TMCCT, 0), END } },
	{ .label = "tdcr", .ops = OPS { WRITABLE(APIC_TDCR, 0xb), END } },
	{ .label = "software_disable", .ops = OPS {
		/* All LVT entries become masked and cannot be unmasked. */
		LAPIC_ON, WRITE32(APIC_LVT_TIMER, 0x31), WRITE32(APIC_LVT_THERMAL, 0x32),
		WRITE32(APIC_LVT_PERF, 0x33),
		WRITE32(APIC_LVT_LINT0, 0x700), WRITE32(APIC_LVT_LINT1, 0x400), WRITE32(APIC_LVT_ERROR, 0x36),
		WRITE32(APIC_SVR, 0xef), READ32(APIC_LVT_TIMER, 0x10031), READ32(APIC_LVT_THERMAL, 0x10032),
		READ32(APIC_LVT_PERF, 0x10033), READ32(APIC_LVT_LINT0, 0x10700), READ32(APIC_LVT_LINT1, 0x10400),
		READ32(APIC_LVT_ERROR, 0x10036), WRITE32(APIC_LVT_TIMER, 0x31), READ32(APIC_LVT_TIMER, 0x10031),
		WRITE32(APIC_LVT_LINT1, 0x400), READ32(APIC_LVT_LINT1, 0x10400),
		/* They stay masked when it is on again, until they are written. */
		LAPIC_ON, READ32(APIC_LVT_LINT1, 0x10400), WRITE32(APIC_LVT_LINT1, 0x400),
		READ32(APIC_LVT_LINT1, 0x400),
		END } },
	{ .label = "software_disable_keeps", .ops = OPS {
		/* What is pending and in service stays (11.4.7.2); nothing more is accepted. */
		LAPIC_ON, SELF_IPI(0x61), TAKE(0x61), SELF_IPI(0x51), WRITE32(APIC_SVR, 0xff), SELF_IPI(0x41),
		READ32(APIC_IRR(0x51), VECTOR_BIT(0x51)), READ32(APIC_ISR(0x61), VECTOR_BIT(0x61)), END } },
	{ .label = "sizes", .ops = OPS { GUEST_DO(guest_sizes), END } },

	/* --- IA32_APIC_BASE --- */
	{ .label = "base_after_reset", .ops = OPS {
		RDMSR(MSR_IA32_APICBASE, LAPIC | APIC_BASE_EN | APIC_BASE_BSP), END } },
	{ .label = "base_moved", .ops = OPS {
		WRITE32(APIC_LDR, 0x5a000000), WRMSR(MSR_IA32_APICBASE, 0xfed00000 | APIC_BASE_EN | APIC_BASE_BSP),
		READ32(0xfed000d0, 0x5a000000), WRITE32(0xfed000d0, 0x33000000),
		WRITE32_EXIT(APIC_LDR, 0x44000000, .reason = KVM_EXIT_MMIO,
			     .mmio = { .phys_addr = APIC_LDR, .len = 4, .is_write = 1, .data = 0x44000000 }),
		READ32(0xfed000d0, 0x33000000), WRMSR(MSR_IA32_APICBASE, LAPIC | APIC_BASE_EN | APIC_BASE_BSP),
		READ32(APIC_LDR, 0x33000000), END } },
	{ .label = "base_rewritten", .ops = OPS {
		/* The same value, or the BSP flag alone: nothing of the APIC changes. */
		LAPIC_ON, WRITE32(APIC_ID, 0x07000000), WRITE32(APIC_TPR, 0x20),
		WRMSR(MSR_IA32_APICBASE, LAPIC | APIC_BASE_EN | APIC_BASE_BSP), READ32(APIC_ID, 0x07000000),
		WRMSR(MSR_IA32_APICBASE, LAPIC | APIC_BASE_EN), READ32(APIC_ID, 0x07000000), READ32(APIC_TPR, 0x20),
		IPI(7, 0x51), TAKE(0x51), IPI(0, 0x52), TAKE(0), END } },
	{ .label = "lint0_masked", .ops = OPS {
		/* The 8259A's interrupt comes by LINT0 as ExtINT or not at all, also when another is taken. */
		LAPIC_ON, PIC_INIT, WRITE32(APIC_LVT_LINT0, LVT_MASKED | LVT_EXTINT), LINE(5, 1), TAKE(0),
		SELF_IPI(0x51), TAKE(0x51), LAPIC_EOI, OUT8(MASTER, READ_IRR), IN8(MASTER, 0x20),
		WRITE32(APIC_LVT_LINT0, LVT_EXTINT), SELF_IPI(0x51), TAKE(0x2551), END } },
	{ .label = "base_reserved", .ops = OPS {
		WRMSR_GP(MSR_IA32_APICBASE, LAPIC | APIC_BASE_EN | 0x001),
		WRMSR_GP(MSR_IA32_APICBASE, LAPIC | APIC_BASE_EN | 0x080),
		WRMSR_GP(MSR_IA32_APICBASE, LAPIC | APIC_BASE_EN | 0x200),
		WRMSR_GP(MSR_IA32_APICBASE, LAPIC | APIC_BASE_EN | 1ull << 63),
		WRMSR_GP(MSR_IA32_APICBASE, LAPIC | APIC_BASE_EXTD),
		RDMSR(MSR_IA32_APICBASE, LAPIC | APIC_BASE_EN | APIC_BASE_BSP), END } },
	{ .label = "base_transitions", .ops = OPS {
		/* SDM vol. 3A, 11.12.5: the legal ones, and #GP for each other. */
		WRMSR(MSR_IA32_APICBASE, APIC_BASE_X2APIC), RDMSR(MSR_IA32_APICBASE, APIC_BASE_X2APIC),
		WRMSR_GP(MSR_IA32_APICBASE, LAPIC | APIC_BASE_EN),
		WRMSR_GP(MSR_IA32_APICBASE, LAPIC | APIC_BASE_EXTD),
		WRMSR(MSR_IA32_APICBASE, LAPIC), WRMSR_GP(MSR_IA32_APICBASE, APIC_BASE_X2APIC),
		WRMSR_GP(MSR_IA32_APICBASE, LAPIC | APIC_BASE_EXTD), RDMSR(MSR_IA32_APICBASE, LAPIC),
		WRMSR(MSR_IA32_APICBASE, LAPIC | APIC_BASE_EN), WRMSR(MSR_IA32_APICBASE, LAPIC),
		WRMSR(MSR_IA32_APICBASE, LAPIC | APIC_BASE_EN), READ32(APIC_VERSION, 0x00050014), END } },
	{ .label = "base_off_cpuid", .ops = OPS {
		/* CPUID.01H:EDX.APIC follows the enable bit (11.4.3). */
		GUEST_DO(guest_has_apic), WRMSR(MSR_IA32_APICBASE, LAPIC), GUEST_DO(guest_has_no_apic),
		WRMSR(MSR_IA32_APICBASE, LAPIC | APIC_BASE_EN), GUEST_DO(guest_has_apic), END } },
	{ .label = "base_off_hole", .ops = OPS {
		/* Nobody's memory, unless that quirk of KVM's is off (KVM API, KVM_X86_QUIRK_LAPIC_MMIO_HOLE). */
		WRMSR(MSR_IA32_APICBASE, LAPIC), READ32(APIC_VERSION, 0xffffffff), WRITE32(APIC_TPR, 0x20),
		WRMSR(MSR_IA32_APICBASE, LAPIC | APIC_BASE_EN), READ32(APIC_TPR, 0), END } },
	{ .label = "base_off_user_space", .needs = "KVM_CAP_DISABLE_QUIRKS", .ops = OPS {
		HOST_DO(hole_is_user_space), WRMSR(MSR_IA32_APICBASE, LAPIC),
		WRITE32_EXIT(APIC_TPR, 0x20, .reason = KVM_EXIT_MMIO,
			     .mmio = { .phys_addr = APIC_TPR, .len = 4, .is_write = 1, .data = 0x20 }), END } },
	{ .label = "x2apic_hole", .ops = OPS {
		WRMSR(MSR_IA32_APICBASE, APIC_BASE_X2APIC), READ32(APIC_VERSION, 0xffffffff), WRITE32(APIC_TPR, 0x20),
		RDMSR(X2APIC(APIC_TPR), 0), END } },
	{ .label = "x2apic_user_space", .needs = "KVM_CAP_DISABLE_QUIRKS", .ops = OPS {
		HOST_DO(hole_is_user_space), WRMSR(MSR_IA32_APICBASE, APIC_BASE_X2APIC),
		WRITE32_EXIT(APIC_TPR, 0x20, .reason = KVM_EXIT_MMIO,
			     .mmio = { .phys_addr = APIC_TPR, .len = 4, .is_write = 1, .data = 0x20 }),
		RDMSR(X2APIC(APIC_TPR), 0), END } },
};

CASE(lapic_xapic, .says = "the local APIC's memory-mapped registers are as the manual has them", .modes = LONG64,
     .irqchip = true, .rows = ROWS(rows))

GUEST(lapic_xapic)
{
	script_guest(GUEST_ROW(rows)->ops);
}

HOST(lapic_xapic)
{
	script_host(t, ROW(t, rows)->ops);
}

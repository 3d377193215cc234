/* SPDX-License-Identifier: MIT */
/*
 * Which pending interrupt is taken, and when: classes of priority, TPR and CR8, PPR, IRR and ISR at each step, nesting,
 * the end of an interrupt, and the 8259A's interrupts beside those of the local APIC.
 *
 * Can break: subclasses compared as classes, PPR not raised or not lowered, an end that clears another vector, an
 * interrupt of a word's edge (vectors 31, 32, 255) lost, CR8 and TPR out of step.
 * Source: SDM vol. 3A, 11.8.3 (interrupt, task and processor priority), 11.8.4, 11.8.5, 11.8.6 (CR8), 11.5.1 (LINT0 as
 * ExtINT); SDM vol. 3A, 11.4.3 (local APIC disabled: the pins are INTR and NMI).
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/irq_script.h"
#include "cases/ioctl/lapic_regs.h"
#include "cases/ioctl/pic_ports.h"

#define IRR_IS(vector_, want_) READ32(APIC_IRR(vector_), want_)
#define ISR_IS(vector_, want_) READ32(APIC_ISR(vector_), want_)
#define PPR_IS(want_) READ32(APIC_PPR, want_)

struct row {
	ROW_FIELDS;
	const struct op *ops;
};

/* Each vector from 32 up, alone: it is pending, then in service, then neither. */
static void guest_every_vector(void)
{
	unsigned int vector;

	write32(APIC_SVR, SVR_ENABLE | 0xff);
	for (vector = 32; vector < 256; vector++) {
		write32(APIC_ICR, ICR_SELF | vector);
		CHECK_EQ(VECTOR_BIT(vector), read32(APIC_IRR(vector)));
		window_open();
		CHECK_EQ(vector, script_take());
		CHECK_EQ(0, read32(APIC_IRR(vector)));
		CHECK_EQ(VECTOR_BIT(vector), read32(APIC_ISR(vector)));
		CHECK_EQ(vector & 0xf0, read32(APIC_PPR));
		write32(APIC_EOI, 0);
		CHECK_EQ(0, read32(APIC_ISR(vector)));
		CHECK_EQ(0, read32(APIC_PPR));
	}
}

/* Vectors that are pending, one of each class, come in falling order as TPR lets them. */
static void guest_every_class(void)
{
	unsigned int class;

	write32(APIC_SVR, SVR_ENABLE | 0xff);
	for (class = 2; class < 16; class++)
		write32(APIC_ICR, ICR_SELF | class << 4 | (class & 7));
	for (class = 15; class >= 2; class--) {
		write32(APIC_TPR, class << 4);
		window_open();
		CHECK_EQ(0, script_take());
		write32(APIC_TPR, (class - 1) << 4 | 0xf);
		window_open();
		CHECK_EQ(class << 4 | (class & 7), script_take());
		write32(APIC_EOI, 0);
	}
}

/* KVM_SET_LAPIC with vectors pending and in service. */
static void set_pending(struct test *t)
{
	struct kvm_lapic_state lapic;

	vcpu_ioctl(t->vcpu, KVM_GET_LAPIC, &lapic);
	lapic.regs[0x100 + 0x20] = 0x02;	/* ISR 41h */
	lapic.regs[0x200 + 0x20 + 1] = 0x01;	/* IRR 48h, in the same class */
	lapic.regs[0x200 + 0x20 + 2] = 0x04;	/* IRR 52h */
	lapic.regs[0x200 + 0x70 + 3] = 0x80;	/* IRR ffh */
	vcpu_ioctl(t->vcpu, KVM_SET_LAPIC, &lapic);
}

static void expect_word(struct test *t, const struct kvm_lapic_state *lapic, uint32_t at, uint32_t want)
{
	uint32_t got;

	memcpy(&got, lapic->regs + at, sizeof(got));
	test_say(t, "local APIC register 0x%x", at);
	expect_eq(t, want, got);
}

static void get_pending(struct test *t)
{
	struct kvm_lapic_state lapic;

	vcpu_ioctl(t->vcpu, KVM_GET_LAPIC, &lapic);
	expect_word(t, &lapic, 0x80, 0x20);
	expect_word(t, &lapic, 0xa0, 0x60);
	expect_word(t, &lapic, 0x130, VECTOR_BIT(0x61));
	expect_word(t, &lapic, 0x220, VECTOR_BIT(0x51));
	expect_word(t, &lapic, 0x230, 0);
	expect_word(t, &lapic, 0x300, ICR_SELF | 0x51);
	expect_word(t, &lapic, 0xf0, SVR_ENABLE | 0xff);
	expect_word(t, &lapic, 0x370, LVT_MASKED);
}

static const struct row rows[] = {
	{ .label = "every_vector", .ops = OPS { GUEST_DO(guest_every_vector), END } },
	{ .label = "every_class", .ops = OPS { GUEST_DO(guest_every_class), END } },
	{ .label = "nesting", .ops = OPS {
		LAPIC_ON, SELF_IPI(0x51), TAKE(0x51), SELF_IPI(0x41), SELF_IPI(0x5f), TAKE(0), SELF_IPI(0x61),
		TAKE(0x61),
		ISR_IS(0x51, VECTOR_BIT(0x51)), ISR_IS(0x61, VECTOR_BIT(0x61)), PPR_IS(0x60), LAPIC_EOI, PPR_IS(0x50),
		ISR_IS(0x61, 0), ISR_IS(0x51, VECTOR_BIT(0x51)), TAKE(0), LAPIC_EOI, PPR_IS(0), TAKE(0x5f),
		PPR_IS(0x50),
		LAPIC_EOI, TAKE(0x41), LAPIC_EOI, TAKE(0), END } },
	{ .label = "same_class", .ops = OPS {
		/* The subclass orders what is pending, and does not interrupt. */
		LAPIC_ON, SELF_IPI(0x55), SELF_IPI(0x59), SELF_IPI(0x52), TAKE(0x59), TAKE(0), LAPIC_EOI, TAKE(0x55),
		LAPIC_EOI,
		TAKE(0x52), LAPIC_EOI, TAKE(0), END } },
	{ .label = "once_more", .ops = OPS {
		/* One in service and one pending of the same vector, not two pending. */
		LAPIC_ON, SELF_IPI(0x51), SELF_IPI(0x51), TAKE(0x51), TAKE(0), SELF_IPI(0x51), SELF_IPI(0x51),
		TAKE(0), LAPIC_EOI,
		TAKE(0x51), LAPIC_EOI, TAKE(0), END } },
	{ .label = "eoi_nothing", .ops = OPS {
		LAPIC_ON, LAPIC_EOI, SELF_IPI(0x51), LAPIC_EOI, IRR_IS(0x51, VECTOR_BIT(0x51)), TAKE(0x51), LAPIC_EOI,
		LAPIC_EOI,
		TAKE(0), END } },
	{ .label = "tpr_holds", .ops = OPS {
		LAPIC_ON, WRITE32(APIC_TPR, 0x50), SELF_IPI(0x5f), SELF_IPI(0x60), TAKE(0x60), LAPIC_EOI, TAKE(0),
		PPR_IS(0x50),
		WRITE32(APIC_TPR, 0x40), TAKE(0x5f), END } },
	{ .label = "tpr_all", .ops = OPS {
		LAPIC_ON, WRITE32(APIC_TPR, 0xf0), SELF_IPI(0xff), TAKE(0), WRITE32(APIC_TPR, 0xe0), TAKE(0xff),
		END } },
	{ .label = "ppr_is_higher", .ops = OPS {
		LAPIC_ON, SELF_IPI(0x51), TAKE(0x51), WRITE32(APIC_TPR, 0x40), PPR_IS(0x50), WRITE32(APIC_TPR, 0x50),
		PPR_IS(0x50),
		WRITE32(APIC_TPR, 0x70), PPR_IS(0x70), SELF_IPI(0x71), TAKE(0), WRITE32(APIC_TPR, 0x60), TAKE(0x71),
		LAPIC_EOI,
		PPR_IS(0x60), LAPIC_EOI, PPR_IS(0x60), WRITE32(APIC_TPR, 0), PPR_IS(0), END } },
	{ .label = "cr8_is_tpr", .ops = OPS {
		LAPIC_ON, READ_CR8(0), WRITE_CR8(9), READ32(APIC_TPR, 0x90), PPR_IS(0x90), READ_CR8(9),
		WRITE32(APIC_TPR, 0x30),
		READ_CR8(3), WRITE32(APIC_TPR, 0xf0), READ_CR8(15), WRITE_CR8(0), READ32(APIC_TPR, 0), END } },
	{ .label = "cr8_holds", .ops = OPS {
		LAPIC_ON, WRITE_CR8(5), SELF_IPI(0x5f), TAKE(0), WRITE_CR8(4), TAKE(0x5f), LAPIC_EOI, WRITE_CR8(15),
		SELF_IPI(0xff),
		TAKE(0), WRITE_CR8(0), TAKE(0xff), END } },
	{ .label = "low_vectors", .ops = OPS {
		/* 16 to 31 are legal, though reserved by the CPU; 0 to 15 are not accepted (11.5.2). */
		LAPIC_ON, SELF_IPI(0x10), IRR_IS(0x10, VECTOR_BIT(0x10)), SELF_IPI(0x1f),
		IRR_IS(0x10, VECTOR_BIT(0x10) | VECTOR_BIT(0x1f)), WRITE32(APIC_TPR, 0x10), TAKE(0), END } },
	{ .label = "illegal_vectors", .known = { .finding = "0608-lapic-illegal-vectors" }, .ops = OPS {
		LAPIC_ON, WRITE32(APIC_TPR, 0x10), SELF_IPI(0x0f), IRR_IS(0x0f, 0), WRITE32(APIC_ESR, 0),
		READ32_BITS(APIC_ESR, 0x20, 0x20),
		END } },
	{ .label = "hlt_wakes", .ops = OPS { LAPIC_ON, SELF_IPI(0x51), HALT(0x51), LAPIC_EOI, SELF_IPI(0x52),
		HALT(0x52), END } },
	{ .label = "state_in", .ops = OPS {
		LAPIC_ON, HOST_DO(set_pending), PPR_IS(0x40), TAKE(0xff), LAPIC_EOI, TAKE(0x52), LAPIC_EOI, TAKE(0),
		ISR_IS(0x41, 0x2),
		LAPIC_EOI, TAKE(0x48), LAPIC_EOI, PPR_IS(0), END } },
	{ .label = "state_out", .ops = OPS {
		LAPIC_ON, WRITE32(APIC_TPR, 0x20), SELF_IPI(0x61), TAKE(0x61), SELF_IPI(0x51), HOST_DO(get_pending),
		LAPIC_EOI,
		TAKE(0x51), END } },

	/* --- the 8259A beside it --- */
	{ .label = "extint", .ops = OPS {
		/* The 8259A's vector knows no priority and takes no place in ISR. */
		PIC_INIT, LAPIC_ON, SELF_IPI(0x91), TAKE(0x91), LINE(5, 1), TAKE(0x25), ISR_IS(0x25, 0), PPR_IS(0x90),
		END } },
	{ .label = "extint_before_apic", .ops = OPS {
		PIC_INIT, LAPIC_ON, SELF_IPI(0xf1), LINE(5, 1), TAKE(0x25f1), END } },
	{ .label = "extint_masked", .ops = OPS {
		PIC_INIT, LAPIC_ON, WRITE32(APIC_LVT_LINT0, LVT_EXTINT | LVT_MASKED), LINE(5, 1), TAKE(0),
		WRITE32(APIC_LVT_LINT0, LVT_EXTINT), SELF_IPI(0x51), TAKE(0x2551), END } },
	{ .label = "extint_unmasked", .known = { .finding = "0609-lint0-unmasked" }, .ops = OPS {
		PIC_INIT, LAPIC_ON, WRITE32(APIC_LVT_LINT0, LVT_EXTINT | LVT_MASKED), LINE(5, 1), TAKE(0),
		WRITE32(APIC_LVT_LINT0, LVT_EXTINT), TAKE(0x25), END } },
	{ .label = "extint_other_mode", .ops = OPS {
		PIC_INIT, LAPIC_ON, WRITE32(APIC_LVT_LINT0, 0x51), LINE(5, 1), IRR_IS(0x25, 0), TAKE(0), END } },
	{ .label = "extint_software_off", .ops = OPS {
		/* Disabling masked LINT0. */
		PIC_INIT, LAPIC_ON, WRITE32(APIC_SVR, 0xff), LINE(5, 1), TAKE(0), END } },
	{ .label = "extint_hardware_off", .ops = OPS {
		/* Without the local APIC, the pin is INTR, whatever LINT0 says. */
		PIC_INIT, LAPIC_ON, WRITE32(APIC_LVT_LINT0, LVT_EXTINT | LVT_MASKED), WRMSR(MSR_IA32_APICBASE, LAPIC),
		LINE(5, 1), TAKE(0x25), END } },
	{ .label = "hardware_off", .ops = OPS {
		/* Nothing pending in it is delivered. */
		OUT8(MASTER_MASK, 0xff), LAPIC_ON, SELF_IPI(0x51), WRMSR(MSR_IA32_APICBASE, LAPIC), TAKE(0), END } },
};

CASE(lapic_priority, .says = "pending interrupts are taken in the order of their priority", .modes = LONG64,
     .irqchip = true, .rows = ROWS(rows))

GUEST(lapic_priority)
{
	script_guest(GUEST_ROW(rows)->ops);
}

HOST(lapic_priority)
{
	script_host(t, ROW(t, rows)->ops);
}

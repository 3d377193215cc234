/* SPDX-License-Identifier: MIT */
/*
 * KVM_GET_LAPIC and KVM_SET_LAPIC of a guest that uses its APIC: the ID's place in both modes, x2APIC's ICR in two words,
 * what user space cannot choose, the timer that goes on, and a vCPU whose state another one gets.
 *
 * Can break: the ID shifted once too often, ICR's upper half, a logical ID taken from user space, a timer that starts
 * again from its beginning or never ends, a priority that stays of the old state.
 * Source: KVM API, 4.57, 4.58 (KVM_GET_LAPIC, KVM_SET_LAPIC), 7.16 (KVM_CAP_X2APIC_API); SDM vol. 3A, 11.12.
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/irq_script.h"
#include "cases/ioctl/lapic_regs.h"

#define START_X2APIC VCPU(1), WRMSR(MSR_IA32_APICBASE, APIC_BASE_X2APIC), WRMSR(X2APIC(APIC_SVR), SVR_ENABLE | 0xff)
#define ICR_NOBODY 0x0000777700004041ull

struct row {
	ROW_FIELDS;
	uint64_t api;		/* KVM_CAP_X2APIC_API's flags; 0: not enabled */
	const struct op *ops;
};

static uint32_t word(const struct kvm_lapic_state *lapic, uint32_t at)
{
	uint32_t value;

	memcpy(&value, lapic->regs + at, sizeof(value));
	return value;
}

static void word_set(struct kvm_lapic_state *lapic, uint32_t at, uint32_t value)
{
	memcpy(lapic->regs + at, &value, sizeof(value));
}

/* Out, in again, and out: the same. */
static void lapic_round(struct test *t, struct kvm_lapic_state *lapic)
{
	struct kvm_lapic_state again;

	vcpu_ioctl(t->vcpu, KVM_GET_LAPIC, lapic);
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_LAPIC, lapic));
	vcpu_ioctl(t->vcpu, KVM_GET_LAPIC, &again);
	expect_bytes(t, lapic->regs, again.regs, sizeof(again.regs));
}

static void expect_x2apic(struct test *t, uint32_t id)
{
	struct kvm_lapic_state lapic;

	lapic_round(t, &lapic);
	expect_eq(t, id, word(&lapic, 0x20));
	expect_eq(t, 2, word(&lapic, 0xd0));
	expect_eq(t, (uint32_t)ICR_NOBODY, word(&lapic, 0x300));
	expect_eq(t, ICR_NOBODY >> 32, word(&lapic, 0x310));
}

static void x2apic_old(struct test *t)
{
	expect_x2apic(t, 1u << 24);
}

static void x2apic_new(struct test *t)
{
	expect_x2apic(t, 1);
}

/* The ID must be the vCPU's; the logical one follows from it. */
static void x2apic_refused(struct test *t)
{
	struct kvm_lapic_state lapic, set;

	vcpu_ioctl(t->vcpu, KVM_GET_LAPIC, &lapic);
	set = lapic;
	word_set(&set, 0x20, 2);
	expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_SET_LAPIC, &set));
	set = lapic;
	word_set(&set, 0xd0, 0x50);
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_LAPIC, &set));
	vcpu_ioctl(t->vcpu, KVM_GET_LAPIC, &set);
	expect_bytes(t, lapic.regs, set.regs, sizeof(set.regs));
}

/* xAPIC: the ID is a register, in its upper byte, and the version is KVM's. */
static void xapic(struct test *t)
{
	struct kvm_lapic_state lapic;

	lapic_round(t, &lapic);
	expect_eq(t, 0x07000000, word(&lapic, 0x20));
	expect_eq(t, 0x00050014, word(&lapic, 0x30));
	word_set(&lapic, 0x20, 0x09000000);
	word_set(&lapic, 0x30, 0xffffffff);
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_LAPIC, &lapic));
}

/* The timer's rest goes on: from a current count, or from none left. */
static void timer_rest(struct test *t)
{
	struct kvm_lapic_state lapic;

	vcpu_ioctl(t->vcpu, KVM_GET_LAPIC, &lapic);
	expect_true(t, word(&lapic, 0x390) <= 0xf0000000u && word(&lapic, 0x390) > 0);
	word_set(&lapic, 0x390, 1000000);
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_LAPIC, &lapic));
	vcpu_ioctl(t->vcpu, KVM_GET_LAPIC, &lapic);
	expect_true(t, word(&lapic, 0x390) <= 1000000);
	expect_eq(t, 0xf0000000, word(&lapic, 0x380));
}

static void timer_rest_too_long(struct test *t)
{
	struct kvm_lapic_state lapic;

	vcpu_ioctl(t->vcpu, KVM_GET_LAPIC, &lapic);
	word_set(&lapic, 0x380, 1000000);
	word_set(&lapic, 0x390, 0xffffffff);
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_LAPIC, &lapic));
}

/* A periodic timer at its last tick ends at once, and goes on from its initial count. */
static void timer_last_tick(struct test *t)
{
	struct kvm_lapic_state lapic;

	vcpu_ioctl(t->vcpu, KVM_GET_LAPIC, &lapic);
	word_set(&lapic, 0x380, 2000000);
	word_set(&lapic, 0x390, 1);
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_LAPIC, &lapic));
	vcpu_ioctl(t->vcpu, KVM_GET_LAPIC, &lapic);
	expect_true(t, word(&lapic, 0x390) <= 2000000);
	expect_eq(t, 2000000, word(&lapic, 0x380));
}

/* Globally disabled: the registers go in and out all the same. */
static void disabled(struct test *t)
{
	struct kvm_lapic_state lapic;

	lapic_round(t, &lapic);
	word_set(&lapic, 0x80, 0x40);
	word_set(&lapic, 0xd0, 0x5a000000);
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_LAPIC, &lapic));
	vcpu_ioctl(t->vcpu, KVM_GET_LAPIC, &lapic);
	expect_eq(t, 0x40, word(&lapic, 0x80));
	expect_eq(t, 0x5a000000, word(&lapic, 0xd0));
}

/* vCPU 1 goes on as vCPU 0 was. */
static void hand_over(struct test *t)
{
	struct kvm_lapic_state lapic;

	vcpu_ioctl(t->vm->vcpus[0], KVM_GET_LAPIC, &lapic);
	word_set(&lapic, 0x20, 0x01000000);
	expect_result(t, 0, vcpu_ioctl_try(t->vm->vcpus[1], KVM_SET_LAPIC, &lapic));
}

/* Nothing pending, nothing in service: what was is gone. */
static void clear(struct test *t)
{
	struct kvm_lapic_state lapic;

	vcpu_ioctl(t->vcpu, KVM_GET_LAPIC, &lapic);
	memset(lapic.regs + 0x100, 0, 0x180);
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_LAPIC, &lapic));
}

static const struct row rows[] = {
	{ .label = "xapic", .ops = OPS {
		LAPIC_ON, WRITE32(APIC_ID, 0x07000000), WRITE32(APIC_TPR, 0x20), WRITE32(APIC_LVT_ERROR, 0x33),
		HOST_DO(xapic),
		READ32(APIC_ID, 0x09000000), READ32(APIC_VERSION, 0x00050014), READ32(APIC_TPR, 0x20),
		READ32(APIC_LVT_ERROR, 0x33),
		IPI(9, 0x51), TAKE(0x51), END } },
	{ .label = "x2apic", .ops = OPS {
		START_X2APIC, WRMSR(X2APIC(APIC_ICR), ICR_NOBODY), HOST_DO(x2apic_old), RDMSR(X2APIC(APIC_ID), 1),
		RDMSR(X2APIC(APIC_LDR), 2), RDMSR(X2APIC(APIC_ICR), ICR_NOBODY), END } },
	{ .label = "x2apic_api", .api = KVM_X2APIC_API_USE_32BIT_IDS, .ops = OPS {
		START_X2APIC, WRMSR(X2APIC(APIC_ICR), ICR_NOBODY), HOST_DO(x2apic_new), RDMSR(X2APIC(APIC_ID), 1),
		RDMSR(X2APIC(APIC_LDR), 2), RDMSR(X2APIC(APIC_ICR), ICR_NOBODY), END } },
	{ .label = "x2apic_refused", .api = KVM_X2APIC_API_USE_32BIT_IDS, .ops = OPS {
		START_X2APIC, HOST_DO(x2apic_refused), RDMSR(X2APIC(APIC_ID), 1), RDMSR(X2APIC(APIC_LDR), 2), END } },
	{ .label = "timer_rest", .ops = OPS {
		LAPIC_ON, WRITE32(APIC_TDCR, 0xb), WRITE32(APIC_LVT_TIMER, 0x51), WRITE32(APIC_TMICT, 0xf0000000),
		HOST_DO(timer_rest),
		HALT(0x51), READ32(APIC_TMCCT, 0), END } },
	{ .label = "timer_rest_too_long", .ops = OPS {
		/* More than the initial count: that one is taken. */
		LAPIC_ON, WRITE32(APIC_TDCR, 0xb), WRITE32(APIC_LVT_TIMER, 0x51), HOST_DO(timer_rest_too_long),
		HALT(0x51), END } },
	{ .label = "timer_last_tick", .ops = OPS {
		LAPIC_ON, WRITE32(APIC_TDCR, 0xb), WRITE32(APIC_LVT_TIMER, LVT_PERIODIC | 0x51),
		HOST_DO(timer_last_tick), HALT(0x51), LAPIC_EOI, HALT(0x51), LAPIC_EOI, HALT(0x51),
		READ32(APIC_TMICT, 2000000), END } },
	{ .label = "disabled", .ops = OPS {
		LAPIC_ON, WRMSR(MSR_IA32_APICBASE, LAPIC | APIC_BASE_BSP), HOST_DO(disabled),
		WRMSR(MSR_IA32_APICBASE, LAPIC | APIC_BASE_EN | APIC_BASE_BSP), READ32(APIC_ID, 0), END } },
	{ .label = "hand_over", .ops = OPS {
		VCPU(0), LAPIC_ON, WRITE32(APIC_TPR, 0x30), SELF_IPI(0x51), TAKE(0x51), SELF_IPI(0x41),
		SELF_IPI(0x61), HOST_DO(hand_over),
		VCPU(1), READ32(APIC_TPR, 0x30), READ32(APIC_PPR, 0x50), READ32(APIC_ID, 0x01000000), TAKE(0x61),
		LAPIC_EOI, TAKE(0),
		LAPIC_EOI, TAKE(0x41), END } },
	{ .label = "clear", .ops = OPS {
		LAPIC_ON, SELF_IPI(0x51), TAKE(0x51), SELF_IPI(0x61), HOST_DO(clear), READ32(APIC_PPR, 0), TAKE(0),
		SELF_IPI(0x41),
		TAKE(0x41), END } },
};

CASE(lapic_state, .says = "a local APIC's state in and out is the guest's APIC", .modes = LONG64, .irqchip = true,
     .nr_vcpus = 2, .needs = "KVM_CAP_X2APIC_API cpuid:x2apic", .rows = ROWS(rows))

GUEST(lapic_state)
{
	script_guest(GUEST_ROW(rows)->ops);
}

HOST(lapic_state)
{
	const struct row *row = ROW(t, rows);
	struct kvm_enable_cap cap = { .cap = KVM_CAP_X2APIC_API, .args[0] = row->api };

	if (row->api)
		expect_result(t, 0, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	script_host(t, row->ops);
}

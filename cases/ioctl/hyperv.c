/* SPDX-License-Identifier: MIT */
/*
 * Hyper-V's interface as KVM has it: with its CPUID leaves (KVM_GET_SUPPORTED_HV_CPUID) the guest has its MSRs, a page
 * of code that makes hypercalls and a synthetic interrupt controller that user space turns on. Without the leaves there
 * is none of it; with KVM_CAP_HYPERV_ENFORCE_CPUID, only what they offer.
 *
 * Can break: a read-only MSR that is written, a reserved value taken, an MSR there without its feature; the wrong
 * opcode in the page; an interrupt from a masked source.
 * Source: Hyper-V Top-Level Functional Specification, 3.8 (the page), 11.8 (MSRs of the controller), appendix A (CPUID leaves);
 * KVM API, 4.118, KVM_EXIT_HYPERV, KVM_CAP_HYPERV_SYNIC2, KVM_CAP_HYPERV_ENFORCE_CPUID.
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/hyperv.h"
#include "cases/ioctl/lapic_regs.h"
#include "vm/x86/vendor.h"

#define SINT_MASKED 0x10000
#define SINT_AUTO_EOI 0x20000

struct row {
	ROW_FIELDS;
	const struct op *ops;
	enum hv_with with;
	uint32_t synic;		/* the capability that turns it on; 0: off */
};

#define EVENT_EXIT(msr_, value_, type_)							\
	HV_WRMSR_EXIT(msr_, value_, .reason = KVM_EXIT_SYSTEM_EVENT, .system_event = { .type = type_ })

/* --- the host's half --- */

static void host_code_page(struct test *t)
{
	static const uint8_t amd[] = { 0x0f, 0x01, 0xd9, 0xc3 }, intel[] = { 0x0f, 0x01, 0xc1, 0xc3 };
	bool is_amd = !strcmp(vendor_of(t->sys->backend), "kvm_amd");
	const uint8_t *page = vm_hva(t->vm, HV_PAGE, 4096);

	expect_bytes(t, is_amd ? amd : intel, page, 4);
	expect_eq(t, 0xa5, page[4]);
}

static void page_fill(struct test *t)
{
	memset(vm_hva(t->vm, HV_PAGE, 4096), 0xa5, 4096);
}

static void host_page_filled(struct test *t)
{
	const uint8_t *page = vm_hva(t->vm, HV_PAGE, 4096);

	expect_eq(t, 0xa5, page[0]);
	expect_eq(t, 0xa5, page[4095]);
}

static void host_page_zero(struct test *t)
{
	const uint8_t *page = vm_hva(t->vm, HV_PAGE, 4096);
	static const uint8_t zero[4096];

	expect_bytes(t, zero, page, 4096);
}

/* GSI 24 is SINT 2 of VP 1. */
static void host_route(struct test *t)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} table = { .head.nr = 1, .entry = { .gsi = 24, .type = KVM_IRQ_ROUTING_HV_SINT,
					     .u.hv_sint = { .vcpu = 1, .sint = 2 } } };

	vm_ioctl(t->vm, KVM_SET_GSI_ROUTING, &table.head);
}

/* The host may move a VP's index. */
static void host_vp_index(struct test *t)
{
	expect_result(t, 1, msr_set_try(t->vcpu, HV_VP_INDEX, 5));
	expect_result(t, 0, msr_set_try(t->vcpu, HV_VP_INDEX, 0x10000));
}

#define BOTH_LAPICS_ON VCPU(1), LAPIC_ON, VCPU(0), LAPIC_ON

static const struct row rows[] = {
	{ .label = "absent", .with = HV_NO_LEAVES, .ops = OPS {
		WRMSR_GP(HV_GUEST_OS_ID, HV_OS_ID), RDMSR_GP(HV_GUEST_OS_ID), RDMSR_GP(HV_VP_INDEX),
		RDMSR_GP(HV_TIME_REF_COUNT), WRMSR_GP(HV_RESET, 1), RDMSR_GP(HV_TPR), END } },
	{ .label = "enforced", .with = HV_ENFORCED_NOTHING, .needs = "KVM_CAP_HYPERV_ENFORCE_CPUID", .ops = OPS {
		WRMSR_GP(HV_GUEST_OS_ID, HV_OS_ID), RDMSR_GP(HV_HYPERCALL), RDMSR_GP(HV_VP_INDEX),
		RDMSR_GP(HV_TIME_REF_COUNT), RDMSR_GP(HV_TSC_FREQUENCY), RDMSR_GP(HV_APIC_FREQUENCY), WRMSR_GP(HV_RESET, 1),
		RDMSR_GP(HV_TPR), RDMSR_GP(HV_ASSIST_PAGE), RDMSR_GP(HV_SCONTROL), RDMSR_GP(HV_SINT(0)),
		RDMSR_GP(HV_STIMER_CONFIG(0)), RDMSR_GP(HV_CRASH_P(0)), RDMSR_GP(HV_CRASH_CTL),
		RDMSR_GP(HV_REENLIGHTENMENT), END } },
	{ .label = "page", .ops = OPS {
		/* Not before the guest has said what it is. */
		HOST_DO(page_fill), WRMSR(HV_HYPERCALL, HV_PAGE | 1), RDMSR(HV_HYPERCALL, 0), HOST_DO(host_page_filled),
		WRMSR(HV_GUEST_OS_ID, HV_OS_ID), RDMSR(HV_GUEST_OS_ID, HV_OS_ID), WRMSR(HV_HYPERCALL, HV_PAGE | 1),
		RDMSR(HV_HYPERCALL, HV_PAGE | 1), HOST_DO(host_code_page), WRMSR_GP(HV_HYPERCALL, HV_NO_RAM | 1),
		RDMSR(HV_HYPERCALL, HV_PAGE | 1), VCPU(1), RDMSR(HV_HYPERCALL, HV_PAGE | 1),
		RDMSR(HV_GUEST_OS_ID, HV_OS_ID), WRMSR(HV_GUEST_OS_ID, 0), RDMSR(HV_HYPERCALL, HV_PAGE), END } },
	{ .label = "vp_index", .ops = OPS {
		RDMSR(HV_VP_INDEX, 0), WRMSR_GP(HV_VP_INDEX, 0), VCPU(1), RDMSR(HV_VP_INDEX, 1), HOST_DO(host_vp_index),
		RDMSR(HV_VP_INDEX, 5), VCPU(0), RDMSR(HV_VP_INDEX, 0), END } },
	{ .label = "reset", .ops = OPS {
		RDMSR(HV_RESET, 0), WRMSR(HV_RESET, 0), EVENT_EXIT(HV_RESET, 1, KVM_SYSTEM_EVENT_RESET), END } },
	{ .label = "crash", .ops = OPS {
		WRMSR(HV_CRASH_P(0), 0x1111), WRMSR(HV_CRASH_P(4), ~0ull), RDMSR(HV_CRASH_P(0), 0x1111),
		RDMSR(HV_CRASH_P(1), 0), RDMSR(HV_CRASH_P(4), ~0ull), WRMSR(HV_CRASH_CTL, 1),
		EVENT_EXIT(HV_CRASH_CTL, 1ull << 63, KVM_SYSTEM_EVENT_CRASH), END } },
	{ .label = "reenlightenment", .ops = OPS {
		WRMSR(HV_REENLIGHTENMENT, 0x10051), RDMSR(HV_REENLIGHTENMENT, 0x10051), WRMSR(HV_TSC_EMULATION, 1),
		RDMSR(HV_TSC_EMULATION, 1), WRMSR_GP(HV_TSC_EMULATION_STATUS, 1), WRMSR(HV_TSC_EMULATION_STATUS, 0),
		RDMSR(HV_TSC_EMULATION_STATUS, 0), END } },
	{ .label = "unknown", .ops = OPS {
		RDMSR_GP(0x40000004), WRMSR_GP(0x40000004, 0), RDMSR_GP(0x400000f8), WRMSR_GP(0x400000f8, 0), END } },
	{ .label = "apic", .ops = OPS {
		LAPIC_ON, WRMSR(HV_TPR, 0x50), READ32(APIC_TPR, 0x50), RDMSR(HV_TPR, 0x50), WRMSR(HV_ICR, ICR_SELF | 0x41),
		TAKE(0), RDMSR(HV_ICR, ICR_SELF | 0x41), WRMSR(HV_ICR, ICR_SELF | 0x61), TAKE(0x61),
		READ32(APIC_ISR(0x61), VECTOR_BIT(0x61)), WRMSR(HV_EOI, 0), READ32(APIC_ISR(0x61), 0), TAKE(0), WRMSR(HV_TPR, 0),
		TAKE(0x41), WRMSR(HV_EOI, 0), TAKE(0), RDMSR_GP(HV_EOI), END } },
	{ .label = "assist_page", .ops = OPS {
		HOST_DO(page_fill), WRMSR(HV_ASSIST_PAGE, HV_PAGE | 1), RDMSR(HV_ASSIST_PAGE, HV_PAGE | 1),
		READ32(HV_PAGE, 0), READ32(HV_PAGE + 4, 0xa5a5a5a5), WRMSR_GP(HV_ASSIST_PAGE, HV_NO_RAM | 1),
		RDMSR(HV_ASSIST_PAGE, HV_PAGE | 1), WRMSR(HV_ASSIST_PAGE, 0), RDMSR(HV_ASSIST_PAGE, 0), END } },
	{ .label = "synic_off", .ops = OPS {
		RDMSR_GP(HV_SCONTROL), WRMSR_GP(HV_SCONTROL, 1), RDMSR_GP(HV_SVERSION), WRMSR_GP(HV_SIMP, HV_PAGE | 1),
		RDMSR_GP(HV_SINT(0)), WRMSR_GP(HV_SINT(0), 0x51), WRMSR_GP(HV_EOM, 0),
		WRMSR_GP(HV_STIMER_CONFIG(0), 1), END } },
	{ .label = "synic_reset", .synic = KVM_CAP_HYPERV_SYNIC2, .known = { .finding = "0906-synic-enabled-at-reset" },
	  .ops = OPS { RDMSR(HV_SCONTROL, 0), END } },
	{ .label = "synic", .synic = KVM_CAP_HYPERV_SYNIC2, .ops = OPS {
		RDMSR(HV_SVERSION, 1), WRMSR_GP(HV_SVERSION, 1), RDMSR(HV_SIMP, 0), RDMSR(HV_SIEFP, 0),
		HV_SYNIC_EXIT(HV_SCONTROL, 1, 1, 0, 0), RDMSR(HV_SCONTROL, 1), HOST_DO(page_fill),
		HV_SYNIC_EXIT(HV_SIMP, HV_PAGE | 1, 1, 0, HV_PAGE | 1), RDMSR(HV_SIMP, HV_PAGE | 1),
		HV_SYNIC_EXIT(HV_SIEFP, (HV_PAGE - 4096) | 1, 1, (HV_PAGE - 4096) | 1, HV_PAGE | 1),
		/* Its pages are the guest's to clear. */
		HOST_DO(host_page_filled), RDMSR(HV_EOM, 0), WRMSR(HV_EOM, 0), END } },
	{ .label = "synic_zeroes", .synic = KVM_CAP_HYPERV_SYNIC, .ops = OPS {
		HV_SYNIC_EXIT(HV_SCONTROL, 0, 0, 0, 0), RDMSR(HV_SCONTROL, 0), HOST_DO(page_fill),
		HV_SYNIC_EXIT(HV_SIMP, HV_PAGE, 0, 0, HV_PAGE), HOST_DO(host_page_filled),
		HV_SYNIC_EXIT(HV_SIMP, HV_PAGE | 1, 0, 0, HV_PAGE | 1), HOST_DO(host_page_zero), HOST_DO(page_fill),
		HV_SYNIC_EXIT(HV_SIEFP, HV_PAGE | 1, 0, HV_PAGE | 1, HV_PAGE | 1), HOST_DO(host_page_zero),
		WRMSR_GP(HV_SIMP, HV_NO_RAM | 1), RDMSR(HV_SIMP, HV_PAGE | 1), END } },
	{ .label = "sint", .synic = KVM_CAP_HYPERV_SYNIC2, .ops = OPS {
		RDMSR(HV_SINT(0), SINT_MASKED), RDMSR(HV_SINT(15), SINT_MASKED), WRMSR(HV_SINT(3), 0x51),
		RDMSR(HV_SINT(3), 0x51), RDMSR(HV_SINT(2), SINT_MASKED), RDMSR(HV_SINT(4), SINT_MASKED),
		/* Vectors below 10h only where masked. */
		WRMSR_GP(HV_SINT(3), 0xf), RDMSR(HV_SINT(3), 0x51), WRMSR(HV_SINT(3), SINT_MASKED | 0xf),
		WRMSR(HV_SINT(3), 0x10), RDMSR(HV_SINT(3), 0x10), END } },
	{ .label = "sint_route", .synic = KVM_CAP_HYPERV_SYNIC2, .ops = OPS {
		BOTH_LAPICS_ON, HOST_DO(host_route), STATUS(24, 1, -1), VCPU(1), WRMSR(HV_SINT(2), 0x51),
		WRMSR(HV_SINT(3), 0x61), LINE(24, 1), LINE(24, 0), TAKE(0x51), LAPIC_EOI, TAKE(0), VCPU(0), TAKE(0), VCPU(1),
		WRMSR(HV_SINT(2), SINT_MASKED | 0x51), LINE(24, 1), LINE(24, 0), TAKE(0), END } },
	{ .label = "sint_auto_eoi", .synic = KVM_CAP_HYPERV_SYNIC2, .ops = OPS {
		/* In service no longer than its delivery takes: another of its priority comes without an end of it. */
		BOTH_LAPICS_ON, HOST_DO(host_route), VCPU(1), WRMSR(HV_SINT(2), SINT_AUTO_EOI | 0x51),
		RDMSR(HV_SINT(2), SINT_AUTO_EOI | 0x51), LINE(24, 1), LINE(24, 0), TAKE(0x51),
		READ32(APIC_ISR(0x51), 0), READ32(APIC_PPR, 0), SELF_IPI(0x52), LINE(24, 1), LINE(24, 0),
		TAKE(0x52), READ32(APIC_IRR(0x51), VECTOR_BIT(0x51)), LAPIC_EOI, TAKE(0x51), READ32(APIC_PPR, 0),
		/* Not automatic any more. */
		WRMSR(HV_SINT(2), 0x51), LINE(24, 1), LINE(24, 0), TAKE(0x51), READ32(APIC_PPR, 0x50), END } },
};

CASE(hyperv, .says = "Hyper-V's MSRs and interrupts are there as far as they are offered", .modes = LONG64,
     .irqchip = true, .nr_vcpus = 2, .needs = "KVM_CAP_SYS_HYPERV_CPUID KVM_CAP_HYPERV_SYNIC2", .rows = ROWS(rows))

GUEST(hyperv)
{
	script_guest(GUEST_ROW(rows)->ops);
}

HOST(hyperv)
{
	const struct row *row = ROW(t, rows);

	hv_vcpus_set(t, row->with, row->synic);
	script_host(t, row->ops);
}

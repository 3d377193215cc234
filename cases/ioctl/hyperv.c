/* SPDX-License-Identifier: MIT */
/*
 * Hyper-V's interface as KVM has it: with its CPUID leaves (KVM_GET_SUPPORTED_HV_CPUID) the guest has its MSRs, a page
 * of code that makes hypercalls, a synthetic interrupt controller with timers that user space turns on, and hypercalls
 * that answer with a status. Without the leaves there is none of it; with KVM_CAP_HYPERV_ENFORCE_CPUID, only what they
 * offer.
 *
 * Can break: a read-only MSR that is written, a reserved value taken, an MSR there without its feature; the wrong
 * opcode in the page; an interrupt from a masked source; another status than the specification's.
 * Source: Hyper-V Top-Level Functional Specification, 3 (hypercalls: 3.8 page, 3.12 status codes), 10 (IPIs), 11
 * (synthetic interrupts: 11.8 MSRs), 12 (timers), appendix A (CPUID leaves); KVM API, 4.118, KVM_EXIT_HYPERV,
 * KVM_CAP_HYPERV_SYNIC2, KVM_CAP_HYPERV_ENFORCE_CPUID.
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/irq_script.h"
#include "cases/ioctl/lapic_regs.h"
#include "cases/ioctl/vcpu_state.h"
#include "vm/x86/vendor.h"

#define HV_GUEST_OS_ID 0x40000000
#define HV_HYPERCALL 0x40000001
#define HV_VP_INDEX 0x40000002
#define HV_RESET 0x40000003
#define HV_TIME_REF_COUNT 0x40000020
#define HV_TSC_FREQUENCY 0x40000022
#define HV_APIC_FREQUENCY 0x40000023
#define HV_EOI 0x40000070
#define HV_ICR 0x40000071
#define HV_TPR 0x40000072
#define HV_ASSIST_PAGE 0x40000073
#define HV_SCONTROL 0x40000080
#define HV_SVERSION 0x40000081
#define HV_SIEFP 0x40000082
#define HV_SIMP 0x40000083
#define HV_EOM 0x40000084
#define HV_SINT(nr_) (0x40000090 + (nr_))
#define HV_STIMER_CONFIG(nr_) (0x400000b0 + 2 * (nr_))
#define HV_STIMER_COUNT(nr_) (0x400000b1 + 2 * (nr_))
#define HV_CRASH_P(nr_) (0x40000100 + (nr_))
#define HV_CRASH_CTL 0x40000105
#define HV_REENLIGHTENMENT 0x40000106
#define HV_TSC_EMULATION 0x40000107
#define HV_TSC_EMULATION_STATUS 0x40000108

#define OS_ID 0x8100000000000123	/* an open-source system's */
#define SINT_MASKED 0x10000
#define SINT_AUTO_EOI 0x20000
#define STIMER_ENABLE 1ull
#define STIMER_PERIODIC 2ull
#define STIMER_AUTO 8ull
#define STIMER_DIRECT(vector_) (0x1000ull | (vector_) << 4)
#define NO_RAM 0x70000000ull
#define CODE_PAGE (SCRATCH_GPA + 0x3000)

enum with { ALL_LEAVES, NO_LEAVES, ENFORCED_NOTHING };

struct row {
	ROW_FIELDS;
	const struct op *ops;
	enum with with;
	uint32_t synic;		/* the capability that turns it on; 0: off */
};

#define WRMSR_EXIT(msr_, value_, ...)							\
	{ OP(OP_WRMSR, "WRMSR " #msr_), .at = msr_, .value = value_,			\
	  .exit = &(const struct exit_record){ __VA_ARGS__ } }
#define SYNIC_EXIT(msr_, value_, control_, evt_, msg_)					\
	WRMSR_EXIT(msr_, value_, .reason = KVM_EXIT_HYPERV,				\
		   .hyperv = { .type = KVM_EXIT_HYPERV_SYNIC, .words = { msr_, control_, evt_, msg_ } })
#define EVENT_EXIT(msr_, value_, type_)							\
	WRMSR_EXIT(msr_, value_, .reason = KVM_EXIT_SYSTEM_EVENT, .system_event = { .type = type_ })

/* --- the host's half --- */

struct table {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entries[256];
};

/* KVM's own leaves out, Hyper-V's in. */
static void leaves_set(struct test *t, struct vcpu *vcpu, enum with with)
{
	const struct kvm_cpuid2 *supported = t->sys->cpuid;
	struct table hv = { .head.nent = 64 }, table = { .head.nent = 0 };
	uint32_t i;

	require_true(t, supported->nent < 200);
	for (i = 0; i < supported->nent; i++)
		if (supported->entries[i].function >> 8 != 0x400000)
			table.entries[table.head.nent++] = supported->entries[i];
	sys_call_must(t->sys, t->sys->fd, KVM_GET_SUPPORTED_HV_CPUID, (uintptr_t)&hv, "KVM_GET_SUPPORTED_HV_CPUID");
	for (i = 0; i < hv.head.nent; i++) {
		struct kvm_cpuid_entry2 *entry = &table.entries[table.head.nent];

		*entry = hv.entries[i];
		if (with == ENFORCED_NOTHING && entry->function >= 0x40000003)
			entry->eax = entry->ebx = entry->ecx = entry->edx = 0;
		table.head.nent += with != NO_LEAVES;
	}
	vcpu_ioctl(vcpu, KVM_SET_CPUID2, &table.head);
}

static void cap_enable(struct vcpu *vcpu, uint32_t cap)
{
	struct kvm_enable_cap enable = { .cap = cap, .args[0] = cap == KVM_CAP_HYPERV_ENFORCE_CPUID };

	vcpu_ioctl(vcpu, KVM_ENABLE_CAP, &enable);
}

static void host_code_page(struct test *t)
{
	static const uint8_t amd[] = { 0x0f, 0x01, 0xd9, 0xc3 }, intel[] = { 0x0f, 0x01, 0xc1, 0xc3 };
	bool is_amd = !strcmp(vendor_of(t->sys->backend), "kvm_amd");
	const uint8_t *page = vm_hva(t->vm, CODE_PAGE, 4096);

	expect_bytes(t, is_amd ? amd : intel, page, 4);
	expect_eq(t, 0xa5, page[4]);
}

static void page_fill(struct test *t)
{
	memset(vm_hva(t->vm, CODE_PAGE, 4096), 0xa5, 4096);
}

static void host_page_filled(struct test *t)
{
	const uint8_t *page = vm_hva(t->vm, CODE_PAGE, 4096);

	expect_eq(t, 0xa5, page[0]);
	expect_eq(t, 0xa5, page[4095]);
}

static void host_page_zero(struct test *t)
{
	const uint8_t *page = vm_hva(t->vm, CODE_PAGE, 4096);
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

static void host_os_id(struct test *t)
{
	expect_result(t, 1, msr_set_try(t->vcpu, HV_GUEST_OS_ID, OS_ID));
}

static void host_tsc_settle(struct test *t)
{
	/* 1302: of KVM's own choice, it may be one that KVM refuses. */
	vcpu_ioctl_value(t->vcpu, KVM_SET_TSC_KHZ, 0);
	guest_arg(t, 1, vcpu_ioctl_value(t->vcpu, KVM_GET_TSC_KHZ, 0));
}

/* --- the guest's half --- */

static void guest_time(void)
{
	uint64_t first = rdmsr(HV_TIME_REF_COUNT), second = rdmsr(HV_TIME_REF_COUNT);

	CHECK(first && second >= first);
	/* 100 ns: a minute at most. */
	CHECK(second - first < 600000000);
	CHECK_EQ(GUEST_ARG(1) * 1000, rdmsr(HV_TSC_FREQUENCY));
}

/* A fast hypercall: @control in RCX, arguments in RDX and R8; by either vendor's instruction, which KVM cures. */
static uint64_t hypercall(uint64_t control, uint64_t one, uint64_t two)
{
	uint64_t result = 0;

#ifdef __x86_64__
	register uint64_t r8 __asm__("r8") = two;

	__asm__ volatile("vmcall" : "=a"(result), "+c"(control), "+d"(one), "+r"(r8) : : "memory");
#else
	(void)control, (void)one, (void)two;
#endif
	return result;
}

#define FAST 0x10000ull
#define REP(nr_) ((uint64_t)(nr_) << 32)
#define FLUSH_SPACE 2
#define FLUSH_LIST 3
#define SPIN_WAIT 8
#define SEND_IPI 0xb
#define POST_MESSAGE 0x5c
#define SIGNAL_EVENT 0x5d
enum { OK = 0, INVALID_CODE = 2, INVALID_INPUT = 3, INVALID_ALIGNMENT = 4, DENIED = 6 };

static void guest_statuses(void)
{
	CHECK_EQ(INVALID_CODE, hypercall(0x7fff | FAST, 0, 0));
	CHECK_EQ(INVALID_CODE, hypercall(0 | FAST, 0, 0));
	CHECK_EQ(OK, hypercall(SPIN_WAIT | FAST, 0, 0));
	CHECK_EQ(INVALID_INPUT, hypercall(SPIN_WAIT | FAST | REP(1), 0, 0));
	CHECK_EQ(INVALID_INPUT, hypercall(SPIN_WAIT | FAST | 1ull << 17, 0, 0));
	/* Reserved bits: 30:27, 47:44, 63:60. */
	CHECK_EQ(INVALID_INPUT, hypercall(SPIN_WAIT | FAST | 1ull << 27, 0, 0));
	CHECK_EQ(INVALID_INPUT, hypercall(SPIN_WAIT | FAST | 1ull << 44, 0, 0));
	CHECK_EQ(INVALID_INPUT, hypercall(SPIN_WAIT | FAST | 1ull << 63, 0, 0));
	CHECK_EQ(INVALID_INPUT, hypercall(FLUSH_LIST | FAST, 0, 0));
	CHECK_EQ(INVALID_INPUT, hypercall(FLUSH_SPACE | REP(1), SCRATCH_GPA, 0));
	CHECK_EQ(INVALID_INPUT, hypercall(FLUSH_SPACE, NO_RAM, 0));
	CHECK_EQ(OK, hypercall(FLUSH_SPACE, SCRATCH_GPA, 0));
	/* Without the synthetic interrupt controller there is nobody for messages. */
	CHECK_EQ(INVALID_INPUT, hypercall(POST_MESSAGE, SCRATCH_GPA, 0));
	CHECK_EQ(INVALID_INPUT, hypercall(SIGNAL_EVENT | FAST, 1, 0));
	CHECK_EQ(INVALID_ALIGNMENT, hypercall(SIGNAL_EVENT, SCRATCH_GPA + 4, 0));
}

/* Processors 0 and 1, by their indices' bits; no vector below 10h, none above FFh, nothing beside the vector. */
static void guest_ipis(void)
{
	CHECK_EQ(OK, hypercall(SEND_IPI | FAST, 0x51, 3));
	CHECK_EQ(OK, hypercall(SEND_IPI | FAST, 0x52, 2));
	CHECK_EQ(OK, hypercall(SEND_IPI | FAST, 0x53, 4));
	CHECK_EQ(INVALID_INPUT, hypercall(SEND_IPI | FAST, 0xf, 3));
	CHECK_EQ(INVALID_INPUT, hypercall(SEND_IPI | FAST, 0x100, 3));
	CHECK_EQ(INVALID_INPUT, hypercall(SEND_IPI | FAST, 1ull << 32 | 0x54, 3));
	CHECK_EQ(INVALID_INPUT, hypercall(SEND_IPI | FAST | REP(1), 0x54, 3));
}

static void guest_denied(void)
{
	CHECK_EQ(DENIED, hypercall(SPIN_WAIT | FAST, 0, 0));
	CHECK_EQ(DENIED, hypercall(SEND_IPI | FAST, 0x51, 3));
	CHECK_EQ(DENIED, hypercall(FLUSH_SPACE, SCRATCH_GPA, 0));
	CHECK_EQ(DENIED, hypercall(POST_MESSAGE, SCRATCH_GPA, 0));
	CHECK_EQ(DENIED, hypercall(SIGNAL_EVENT | FAST, 1, 0));
}

#define HYPERCALLS_ON WRMSR(HV_GUEST_OS_ID, OS_ID)
#define BOTH_LAPICS_ON VCPU(1), LAPIC_ON, VCPU(0), LAPIC_ON

static const struct row rows[] = {
	{ .label = "absent", .with = NO_LEAVES, .ops = OPS {
		WRMSR_GP(HV_GUEST_OS_ID, OS_ID), RDMSR_GP(HV_GUEST_OS_ID), RDMSR_GP(HV_VP_INDEX),
		RDMSR_GP(HV_TIME_REF_COUNT), WRMSR_GP(HV_RESET, 1), RDMSR_GP(HV_TPR), END } },
	{ .label = "enforced", .with = ENFORCED_NOTHING, .needs = "KVM_CAP_HYPERV_ENFORCE_CPUID", .ops = OPS {
		WRMSR_GP(HV_GUEST_OS_ID, OS_ID), RDMSR_GP(HV_HYPERCALL), RDMSR_GP(HV_VP_INDEX),
		RDMSR_GP(HV_TIME_REF_COUNT), RDMSR_GP(HV_TSC_FREQUENCY), RDMSR_GP(HV_APIC_FREQUENCY), WRMSR_GP(HV_RESET, 1),
		RDMSR_GP(HV_TPR), RDMSR_GP(HV_ASSIST_PAGE), RDMSR_GP(HV_SCONTROL), RDMSR_GP(HV_SINT(0)),
		RDMSR_GP(HV_STIMER_CONFIG(0)), RDMSR_GP(HV_CRASH_P(0)), RDMSR_GP(HV_CRASH_CTL),
		RDMSR_GP(HV_REENLIGHTENMENT), END } },
	{ .label = "page", .ops = OPS {
		/* Not before the guest has said what it is. */
		HOST_DO(page_fill), WRMSR(HV_HYPERCALL, CODE_PAGE | 1), RDMSR(HV_HYPERCALL, 0), HOST_DO(host_page_filled),
		WRMSR(HV_GUEST_OS_ID, OS_ID), RDMSR(HV_GUEST_OS_ID, OS_ID), WRMSR(HV_HYPERCALL, CODE_PAGE | 1),
		RDMSR(HV_HYPERCALL, CODE_PAGE | 1), HOST_DO(host_code_page), WRMSR_GP(HV_HYPERCALL, NO_RAM | 1),
		RDMSR(HV_HYPERCALL, CODE_PAGE | 1), VCPU(1), RDMSR(HV_HYPERCALL, CODE_PAGE | 1),
		RDMSR(HV_GUEST_OS_ID, OS_ID), WRMSR(HV_GUEST_OS_ID, 0), RDMSR(HV_HYPERCALL, CODE_PAGE), END } },
	{ .label = "vp_index", .ops = OPS {
		RDMSR(HV_VP_INDEX, 0), WRMSR_GP(HV_VP_INDEX, 0), VCPU(1), RDMSR(HV_VP_INDEX, 1), HOST_DO(host_vp_index),
		RDMSR(HV_VP_INDEX, 5), VCPU(0), RDMSR(HV_VP_INDEX, 0), END } },
	{ .label = "time", .ops = OPS {
		HOST_DO(host_tsc_settle), GUEST_DO(guest_time), WRMSR_GP(HV_TIME_REF_COUNT, 0), WRMSR_GP(HV_TSC_FREQUENCY, 0),
		RDMSR(HV_APIC_FREQUENCY, 1000000000), WRMSR_GP(HV_APIC_FREQUENCY, 1000000000), END } },
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
		HOST_DO(page_fill), WRMSR(HV_ASSIST_PAGE, CODE_PAGE | 1), RDMSR(HV_ASSIST_PAGE, CODE_PAGE | 1),
		READ32(CODE_PAGE, 0), READ32(CODE_PAGE + 4, 0xa5a5a5a5), WRMSR_GP(HV_ASSIST_PAGE, NO_RAM | 1),
		RDMSR(HV_ASSIST_PAGE, CODE_PAGE | 1), WRMSR(HV_ASSIST_PAGE, 0), RDMSR(HV_ASSIST_PAGE, 0), END } },
	{ .label = "synic_off", .ops = OPS {
		RDMSR_GP(HV_SCONTROL), WRMSR_GP(HV_SCONTROL, 1), RDMSR_GP(HV_SVERSION), WRMSR_GP(HV_SIMP, CODE_PAGE | 1),
		RDMSR_GP(HV_SINT(0)), WRMSR_GP(HV_SINT(0), 0x51), WRMSR_GP(HV_EOM, 0),
		WRMSR_GP(HV_STIMER_CONFIG(0), STIMER_ENABLE), END } },
	{ .label = "synic_reset", .synic = KVM_CAP_HYPERV_SYNIC2, .known = { .finding = "0906-synic-enabled-at-reset" },
	  .ops = OPS { RDMSR(HV_SCONTROL, 0), END } },
	{ .label = "synic", .synic = KVM_CAP_HYPERV_SYNIC2, .ops = OPS {
		RDMSR(HV_SVERSION, 1), WRMSR_GP(HV_SVERSION, 1), RDMSR(HV_SIMP, 0), RDMSR(HV_SIEFP, 0),
		SYNIC_EXIT(HV_SCONTROL, 1, 1, 0, 0), RDMSR(HV_SCONTROL, 1), HOST_DO(page_fill),
		SYNIC_EXIT(HV_SIMP, CODE_PAGE | 1, 1, 0, CODE_PAGE | 1), RDMSR(HV_SIMP, CODE_PAGE | 1),
		SYNIC_EXIT(HV_SIEFP, (CODE_PAGE - 4096) | 1, 1, (CODE_PAGE - 4096) | 1, CODE_PAGE | 1),
		/* Its pages are the guest's to clear. */
		HOST_DO(host_page_filled), RDMSR(HV_EOM, 0), WRMSR(HV_EOM, 0), END } },
	{ .label = "synic_zeroes", .synic = KVM_CAP_HYPERV_SYNIC, .ops = OPS {
		SYNIC_EXIT(HV_SCONTROL, 0, 0, 0, 0), RDMSR(HV_SCONTROL, 0), HOST_DO(page_fill),
		SYNIC_EXIT(HV_SIMP, CODE_PAGE, 0, 0, CODE_PAGE), HOST_DO(host_page_filled),
		SYNIC_EXIT(HV_SIMP, CODE_PAGE | 1, 0, 0, CODE_PAGE | 1), HOST_DO(host_page_zero), HOST_DO(page_fill),
		SYNIC_EXIT(HV_SIEFP, CODE_PAGE | 1, 0, CODE_PAGE | 1, CODE_PAGE | 1), HOST_DO(host_page_zero),
		WRMSR_GP(HV_SIMP, NO_RAM | 1), RDMSR(HV_SIMP, CODE_PAGE | 1), END } },
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
	{ .label = "stimer", .synic = KVM_CAP_HYPERV_SYNIC2, .ops = OPS {
		LAPIC_ON, RDMSR(HV_STIMER_CONFIG(0), 0), RDMSR(HV_STIMER_COUNT(3), 0),
		/* Periodic, each 10 ms; off by its configuration. */
		WRMSR(HV_STIMER_CONFIG(1), STIMER_ENABLE | STIMER_PERIODIC | STIMER_DIRECT(0x51)),
		WRMSR(HV_STIMER_COUNT(1), 100000), RDMSR(HV_STIMER_COUNT(1), 100000),
		HALT(0x51), LAPIC_EOI, HALT(0x51), LAPIC_EOI, WRMSR(HV_STIMER_CONFIG(1), 0),
		RDMSR(HV_STIMER_CONFIG(1), 0), RDMSR(HV_STIMER_CONFIG(0), 0), RDMSR(HV_STIMER_CONFIG(2), 0), END } },
	{ .label = "stimer_auto", .synic = KVM_CAP_HYPERV_SYNIC2, .ops = OPS {
		LAPIC_ON, WRMSR(HV_STIMER_CONFIG(0), STIMER_AUTO | STIMER_DIRECT(0x61)),
		RDMSR(HV_STIMER_CONFIG(0), STIMER_AUTO | STIMER_DIRECT(0x61)), TAKE(0),
		/* A count turns it on; a time that is over comes at once, and it is off again. */
		WRMSR(HV_STIMER_COUNT(0), 1), HALT(0x61), LAPIC_EOI,
		RDMSR(HV_STIMER_CONFIG(0), STIMER_AUTO | STIMER_DIRECT(0x61)), TAKE(0),
		WRMSR(HV_STIMER_COUNT(0), 0), RDMSR(HV_STIMER_CONFIG(0), STIMER_AUTO | STIMER_DIRECT(0x61)), END } },
	{ .label = "hypercall_status", .ops = OPS { HYPERCALLS_ON, GUEST_DO(guest_statuses), END } },
	{ .label = "hypercall_ipi", .ops = OPS {
		BOTH_LAPICS_ON, HYPERCALLS_ON, GUEST_DO(guest_ipis), TAKE(0x51), VCPU(1), TAKE(0x52), LAPIC_EOI, TAKE(0x51), LAPIC_EOI,
		TAKE(0), END } },
	{ .label = "hypercall_denied", .with = ENFORCED_NOTHING, .needs = "KVM_CAP_HYPERV_ENFORCE_CPUID", .ops = OPS {
		HOST_DO(host_os_id), GUEST_DO(guest_denied), END } },
};

CASE(hyperv, .says = "Hyper-V's MSRs, interrupts and hypercalls are there as far as they are offered", .modes = LONG64,
     .irqchip = true, .nr_vcpus = 2, .needs = "KVM_CAP_SYS_HYPERV_CPUID KVM_CAP_HYPERV_SYNIC2", .rows = ROWS(rows))

GUEST(hyperv)
{
	script_guest(GUEST_ROW(rows)->ops);
}

HOST(hyperv)
{
	const struct row *row = ROW(t, rows);
	unsigned int i;

	for (i = 0; i < 2; i++) {
		if (row->synic)
			cap_enable(t->vm->vcpus[i], row->synic);
		leaves_set(t, t->vm->vcpus[i], row->with);
		if (row->with == ENFORCED_NOTHING)
			cap_enable(t->vm->vcpus[i], KVM_CAP_HYPERV_ENFORCE_CPUID);
	}
	script_host(t, row->ops);
}

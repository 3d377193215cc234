/* SPDX-License-Identifier: MIT */
/*
 * KVM's own ways beside the local APIC: the end of an interrupt by a word in memory (MSR_KVM_PV_EOI_EN), IPIs by
 * hypercall (KVM_HC_SEND_IPI), and the end of another vCPU's halt (KVM_HC_KICK_CPU).
 *
 * Can break: the word offered although another interrupt waits or an IOAPIC must hear of the end, an end that is done
 * twice or not at all, a bitmap's base, the number of vCPUs returned.
 * Source: Documentation/virt/kvm/x86/msr.rst (MSR_KVM_PV_EOI_EN), hypercalls.rst (KVM_HC_SEND_IPI,
 * KVM_HC_KICK_CPU).
 */
#include "case.h"

#include "cases/ioctl/ioapic_regs.h"
#include "cases/ioctl/irq_script.h"
#include "cases/ioctl/lapic_regs.h"
#include "cases/ioctl/pic_ports.h"
#include "cases/ioctl/pv_msr.h"
#include "cases/ioctl/stats.h"

#define MSR_PV_EOI 0x4b564d04
#define HC_KICK_CPU 5
#define HC_SEND_IPI 10
#define WORD SCRATCH_GPA
#define NO_MEMORY (1ull << 38)		/* nothing is mapped there */
#define START OUT8(MASTER_MASK, 0xff), OUT8(SLAVE_MASK, 0xff), VCPU(1), LAPIC_ON, VCPU(0), LAPIC_ON
#define TAKEN(v0_, v1_) VCPU(0), TAKE(v0_), VCPU(1), TAKE(v1_), VCPU(0)

struct row {
	ROW_FIELDS;
	const struct op *ops;
	void (*prepare)(struct test *t);	/* before anything runs; NULL: nothing */
};

/* --- the word --- */

static volatile uint32_t word_in_handler, nr_handled;
static volatile bool word_is_cleared;

/*
 * What the guest's kernel does: bit 0 set and cleared by us is the end; else the register is written. One instruction
 * tests and clears: at an exit in between KVM would take the word back.
 */
static bool word_test_and_clear(void)
{
	bool was_set;

	__asm__ volatile("btrl $0, %1" : "=@ccc"(was_set), "+m"(*(uint32_t *)WORD) : : "memory");
	return was_set;
}

static void on_interrupt(struct guest_regs *regs)
{
	(void)regs;
	nr_handled++;
	word_in_handler = word_is_cleared ? word_test_and_clear() : *(volatile uint32_t *)WORD & 1;
}

static void word_enable(void)
{
	*(volatile uint32_t *)WORD = 0;
	wrmsr(MSR_PV_EOI, WORD | 1);
	CHECK_EQ(WORD | 1, rdmsr(MSR_PV_EOI));
	word_is_cleared = true;
	guest_handle(0x51, on_interrupt);
	guest_handle(0x61, on_interrupt);
}

static void interrupt_take(uint32_t vector)
{
	write32(APIC_ICR, ICR_SELF | vector);
	window_open();
}

/*
 * Any exit between the interrupt's injection and the handler's look takes the word back, and the register must be
 * written then: a host's interrupt is such an exit. In so many tries the word is offered at least once.
 */
#define NR_TRIES 50

static void guest_eoi(void)
{
	unsigned int i, nr_offered = 0;

	word_enable();
	for (i = 0; i < NR_TRIES; i++) {
		interrupt_take(0x51);
		CHECK_EQ(i + 1, nr_handled);
		nr_offered += word_in_handler;
		CHECK_EQ(word_in_handler ? 0 : VECTOR_BIT(0x51), read32(APIC_ISR(0x51)));
		CHECK_EQ(word_in_handler ? 0 : 0x50, read32(APIC_PPR));
		if (!word_in_handler)
			write32(APIC_EOI, 0);
	}
	CHECK(nr_offered > 0);
}

/* Not cleared: no end; and the word is taken back. */
static void guest_eoi_not_used(void)
{
	unsigned int i;

	word_enable();
	word_is_cleared = false;
	for (i = 0; i < NR_TRIES && !word_in_handler; i++) {
		interrupt_take(0x51);
		CHECK_EQ(VECTOR_BIT(0x51), read32(APIC_ISR(0x51)));
		CHECK_EQ(0, *(volatile uint32_t *)WORD & 1);
		write32(APIC_EOI, 0);
		CHECK_EQ(0, read32(APIC_ISR(0x51)));
	}
	CHECK_EQ(1, word_in_handler);
}

/* Another interrupt waits for the end: the register must be written. */
static void guest_eoi_pending(void)
{
	word_enable();
	write32(APIC_ICR, ICR_SELF | 0x51);
	write32(APIC_ICR, ICR_SELF | 0x61);
	window_open();
	CHECK_EQ(1, nr_handled);
	CHECK_EQ(0, word_in_handler);
	CHECK_EQ(VECTOR_BIT(0x61), read32(APIC_ISR(0x61)));
	write32(APIC_EOI, 0);
	window_open();
	CHECK_EQ(2, nr_handled);
}

static void guest_eoi_off(void)
{
	word_enable();
	wrmsr(MSR_PV_EOI, 0);
	interrupt_take(0x51);
	CHECK_EQ(1, nr_handled);
	CHECK_EQ(0, word_in_handler);
	CHECK_EQ(VECTOR_BIT(0x51), read32(APIC_ISR(0x51)));
}

static void guest_level_handler(void)
{
	word_enable();
	window_open();
	CHECK_EQ(1, nr_handled);
	CHECK_EQ(0, word_in_handler);
	CHECK_EQ(VECTOR_BIT(0x51), read32(APIC_ISR(0x51)));
}

/* --- the hypercall: VMCALL, which KVM makes VMMCALL of where that is the CPU's --- */

static int64_t send_ipi(uint64_t low, uint64_t high, uint64_t min, uint64_t icr)
{
	ulong_t result = HC_SEND_IPI;

	__asm__ volatile("vmcall" : "+a"(result) : "b"((ulong_t)low), "c"((ulong_t)high), "d"((ulong_t)min), "S"((ulong_t)icr)
			 : "memory");
	return result;
}

#define SEND(name_, want_, ...)								\
	static void send_##name_(void)							\
	{										\
		CHECK_EQ((uint64_t)(want_), (uint64_t)send_ipi(__VA_ARGS__));		\
	}

SEND(both, 2, 3, 0, 0, 0x51)
SEND(second, 1, 1, 0, 1, 0x52)
SEND(second_of_first, 1, 2, 0, 0, 0x63)
SEND(nobody, 0, 4, 1, 0, 0x54)
SEND(far, 0, 3, 3, 0x10000, 0x55)
SEND(nmi, 1, 2, 0, 0, ICR_NMI)
SEND(absent, -KVM_ENOSYS, 3, 0, 0, 0x58)
SEND(shorthand, -22, 3, 0, 0, ICR_SELF | 0x56)
SEND(logical, -22, 3, 0, 0, ICR_LOGICAL | 0x57)

/* --- the hypercall that ends a halt: a flag of its own, not an interrupt, which waits for a HLT to come --- */

static int64_t kick(ulong_t id)
{
	ulong_t result = HC_KICK_CPU;

	__asm__ volatile("vmcall" : "+a"(result) : "b"(0ul), "c"(id) : "memory");
	return result;
}

static void kick_second(void)
{
	CHECK_EQ(0, (uint64_t)kick(1));
}

/* There is no such vCPU. */
static void kick_nobody(void)
{
	CHECK_EQ(0, (uint64_t)kick(7));
}

static void kick_absent(void)
{
	CHECK_EQ((uint64_t)-(int64_t)KVM_ENOSYS, (uint64_t)kick(1));
}

/* With interrupts off, nothing else ends it. */
static void halt_masked(void)
{
	__asm__ volatile("cli\n\thlt" : : : "memory");
}

/* Where two run at a time, the caller makes room for the one that it woke; nobody runs here. */
static void expect_one_attempt(struct test *t)
{
	expect_eq(t, 1, stat_get(t, t->vcpu->fd, "directed_yield_attempted"));
	expect_eq(t, 0, stat_get(t, t->vcpu->fd, "directed_yield_successful"));
}

static void kick_hide(struct test *t)
{
	pv_features_hide(t, 1u << KVM_FEATURE_PV_UNHALT);
	pv_features_enforce(t);
}

static void ipi_hide(struct test *t)
{
	pv_features_hide(t, 1u << KVM_FEATURE_PV_SEND_IPI);
	pv_features_enforce(t);
}

static void eoi_hide(struct test *t)
{
	pv_features_hide(t, 1u << KVM_FEATURE_PV_EOI);
	pv_features_enforce(t);
}

static const struct row rows[] = {
	{ .label = "eoi", .ops = OPS { START, GUEST_DO(guest_eoi), END } },
	{ .label = "eoi_not_used", .ops = OPS { START, GUEST_DO(guest_eoi_not_used), END } },
	{ .label = "eoi_pending", .ops = OPS { START, GUEST_DO(guest_eoi_pending), END } },
	{ .label = "eoi_off", .ops = OPS { START, GUEST_DO(guest_eoi_off), END } },
	{ .label = "eoi_level", .ops = OPS {
		/* The IOAPIC must hear of it. */
		START, IO_ENTRY(20, 0, RT_LEVEL | 0x51), LINE(20, 1), GUEST_DO(guest_level_handler), LINE(20, 0),
		LAPIC_EOI,
		IO_READ(IOREDTBL(20), RT_LEVEL | 0x51), END } },
	{ .label = "eoi_unaligned", .ops = OPS {
		START, WRMSR_GP(MSR_PV_EOI, WORD | 3), RDMSR(MSR_PV_EOI, 0), END } },
	{ .label = "eoi_no_memory", .ops = OPS {
		/* Refused, and the word stays where it was. */
		START, WRMSR_GP(MSR_PV_EOI, NO_MEMORY | 1), RDMSR(MSR_PV_EOI, 0), WRMSR(MSR_PV_EOI, WORD | 1),
		WRMSR_GP(MSR_PV_EOI, NO_MEMORY | 1), RDMSR(MSR_PV_EOI, WORD | 1), WRMSR(MSR_PV_EOI, WORD | 1),
		WRMSR(MSR_PV_EOI, NO_MEMORY), RDMSR(MSR_PV_EOI, NO_MEMORY), END } },
	{ .label = "eoi_absent", .ops = OPS {
		START, RDMSR_GP(MSR_PV_EOI), WRMSR_GP(MSR_PV_EOI, WORD | 1), WRMSR_GP(MSR_PV_EOI, 0), END },
	  .prepare = ON_HOST(eoi_hide), .needs = "KVM_CAP_ENFORCE_PV_FEATURE_CPUID param:kvm.ignore_msrs=0" },
	{ .label = "ipi", .ops = OPS { START, GUEST_DO(send_both), TAKEN(0x51, 0x51), END } },
	{ .label = "ipi_min", .ops = OPS { START, GUEST_DO(send_second), TAKEN(0, 0x52),
		GUEST_DO(send_second_of_first), TAKEN(0, 0x63),
		END } },
	{ .label = "ipi_nobody", .ops = OPS { START, GUEST_DO(send_nobody), GUEST_DO(send_far), TAKEN(0, 0), END } },
	{ .label = "ipi_nmi", .ops = OPS { START, GUEST_DO(send_nmi), TAKEN(0, NMI_VECTOR), END } },
	{ .label = "ipi_refused", .ops = OPS { START, GUEST_DO(send_shorthand), GUEST_DO(send_logical), TAKEN(0, 0),
		END } },
	{ .label = "ipi_absent", .ops = OPS { START, GUEST_DO(send_absent), TAKEN(0, 0), END }, .prepare = ON_HOST(ipi_hide),
	  .needs = "KVM_CAP_ENFORCE_PV_FEATURE_CPUID" },
	{ .label = "kick", .ops = OPS {
		START, GUEST_DO(kick_second), HOST_DO(expect_one_attempt), VCPU(1), GUEST_DO(halt_masked), TAKE(0), END },
	  .needs = "KVM_CAP_BINARY_STATS_FD" },
	{ .label = "kick_nobody", .ops = OPS { START, GUEST_DO(kick_nobody), HOST_DO(expect_one_attempt), END },
	  .needs = "KVM_CAP_BINARY_STATS_FD" },
	{ .label = "kick_absent", .ops = OPS { START, GUEST_DO(kick_absent), END }, .prepare = ON_HOST(kick_hide),
	  .needs = "KVM_CAP_ENFORCE_PV_FEATURE_CPUID" },
};

CASE(lapic_pv, .says = "KVM's own end of interrupt and IPI do what the APIC's do", .modes = LONG64, .irqchip = true,
     .nr_vcpus = 2, .rows = ROWS(rows))

GUEST(lapic_pv)
{
	script_guest(GUEST_ROW(rows)->ops);
}

HOST(lapic_pv)
{
	if (ROW(t, rows)->prepare)
		ROW(t, rows)->prepare(t);
	script_host(t, ROW(t, rows)->ops);
}

/* SPDX-License-Identifier: MIT */
/*
 * The interrupt controllers and timers of KVM move to another VM with what is requested, in service, masked, counting
 * and waited for: both 8259A, the IOAPIC with remote IRR, the local APIC as xAPIC and x2APIC, its timer in three modes,
 * the 8254, kvmclock, and a vCPU that waits in HLT.
 *
 * Can break: ISR without IRR, or the priority that follows from both; a level that is still up but is not given again
 * at EOI; ESR, LDR, TPR; the timer's count or mode; a timer that is not started again; the MP state.
 * Source: KVM API, KVM_GET_IRQCHIP, KVM_GET_LAPIC, KVM_GET_PIT2, KVM_GET_CLOCK, KVM_GET_MP_STATE; SDM vol. 3A, 11.8.4,
 * 11.5.4; Intel 82093AA datasheet, 3.2.4 (remote IRR); Intel 8259A and 82C54 datasheets.
 *
 * Seen to fail without: PIC, IOAPIC, LAPIC (its state, and its timer), PIT, CLOCK, MP_STATE, MSRS (the deadline): the
 * rows "lost_*".
 */
#include "cases/ioctl/ioapic_regs.h"
#include "cases/ioctl/irq_script.h"
#include "cases/ioctl/lapic_regs.h"
#include "cases/ioctl/pic_ports.h"
#include "cases/ioctl/twin.h"

static volatile uint32_t nr_taken, taken[8];

static void note(const struct guest_regs *regs)
{
	taken[nr_taken & 7] = regs->vector;
	nr_taken++;
}

static void line_set(struct vm *vm, uint32_t gsi, uint32_t level)
{
	const struct kvm_irq_level line = { .irq = gsi, .level = level };

	vm_ioctl(vm, KVM_IRQ_LINE, &line);
}

static void pics_mask(uint8_t master)
{
	out8(MASTER, ICW1);
	out8(MASTER_MASK, 0x20);
	out8(MASTER_MASK, 4);
	out8(MASTER_MASK, ICW4_8086);
	out8(MASTER_MASK, master);
	out8(SLAVE, ICW1);
	out8(SLAVE_MASK, 0x28);
	out8(SLAVE_MASK, 2);
	out8(SLAVE_MASK, ICW4_8086);
	out8(SLAVE_MASK, 0xff);
}

/* --- PIC: IRQ 5 is requested at exit 1 and in service at exit 2; IRQ 6 is requested there, and must wait --- */

static void on_pic(struct guest_regs *regs)
{
	note(regs);
	out8(0x82, regs->vector);
	out8(MASTER, EOI);
}

static void guest_pic(void)
{
	guest_handle(0x25, on_pic);
	guest_handle(0x26, on_pic);
	pics_mask(0x9b);
	out8(0x80, 1);
	window_open();
	CHECK_EQ(2, nr_taken);
	CHECK_EQ(0x25, taken[0]);
	CHECK_EQ(0x26, taken[1]);
	out8(MASTER, READ_ISR);
	CHECK_EQ(0, in8(MASTER));
	CHECK_EQ(0x9b, in8(MASTER_MASK));
	out8(0x80, 4);
}

static void act_pic(struct vm *vm, unsigned int exit)
{
	if (exit == 1)
		line_set(vm, 5, 1);
	if (exit == 2)
		line_set(vm, 6, 1);
}

/* --- IOAPIC: level, up until exit 3; its EOI at remote IRR = 1 gives the interrupt again --- */

#define PIN 9

static void ioapic_set(uint32_t index, uint32_t value)
{
	write32(IOREGSEL, index);
	write32(IOWIN, value);
}

static void on_level(struct guest_regs *regs)
{
	note(regs);
	write32(IOREGSEL, IOREDTBL(PIN));
	CHECK_EQ(RT_REMOTE_IRR | RT_LEVEL | 0x51, read32(IOWIN));
	out8(0x82, nr_taken);
	write32(APIC_EOI, 0);
}

static void guest_ioapic(void)
{
	guest_handle(0x51, on_level);
	pics_mask(0xff);
	write32(APIC_SVR, SVR_ENABLE | 0xff);
	ioapic_set(IOREDTBL_HIGH(PIN), 0);
	ioapic_set(IOREDTBL(PIN), RT_LEVEL | 0x51);
	out8(0x80, 1);
	window_open();
	CHECK_EQ(2, nr_taken);
	write32(IOREGSEL, IOREDTBL(PIN));
	CHECK_EQ(RT_LEVEL | 0x51, read32(IOWIN));
	out8(0x80, 4);
}

static void act_ioapic(struct vm *vm, unsigned int exit)
{
	if (exit == 1)
		line_set(vm, PIN, 1);
	if (exit == 3)
		line_set(vm, PIN, 0);
}

/* --- local APIC: two requested at exit 1; the higher one in service and the lower one requested at exit 2 --- */

static void on_lapic(struct guest_regs *regs)
{
	note(regs);
	out8(0x82, regs->vector);
	write32(APIC_EOI, 0);
}

static void lapic_check(void)
{
	CHECK_EQ(2, nr_taken);
	CHECK_EQ(0x61, taken[0]);
	CHECK_EQ(0x41, taken[1]);
}

static void guest_lapic(void)
{
	guest_handle(0x41, on_lapic);
	guest_handle(0x61, on_lapic);
	pics_mask(0xff);
	write32(APIC_SVR, SVR_ENABLE | 0xef);
	write32(APIC_LDR, 0x04000000);
	write32(APIC_DFR, 0x0fffffff);
	write32(APIC_TPR, 0x20);
	write32(APIC_LVT_ERROR, 0x99);
	write32(APIC_LVT_PERF, LVT_MASKED | 0x77);
	write32(APIC_ICR, ICR_SELF | 0x41);
	write32(APIC_ICR, ICR_SELF | 0x61);
	out8(0x80, 1);
	window_open();
	lapic_check();
	CHECK_EQ(SVR_ENABLE | 0xef, read32(APIC_SVR));
	CHECK_EQ(0x04000000, read32(APIC_LDR));
	CHECK_EQ(0x0fffffff, read32(APIC_DFR));
	CHECK_EQ(0x20, read32(APIC_TPR));
	CHECK_EQ(0x20, read32(APIC_PPR));
	CHECK_EQ(0x99, read32(APIC_LVT_ERROR));
	CHECK_EQ(LVT_MASKED | 0x77, read32(APIC_LVT_PERF));
	out8(0x80, 4);
}

static void on_x2apic(struct guest_regs *regs)
{
	note(regs);
	out8(0x82, regs->vector);
	wrmsr(X2APIC(APIC_EOI), 0);
}

static void guest_x2apic(void)
{
	guest_handle(0x41, on_x2apic);
	guest_handle(0x61, on_x2apic);
	pics_mask(0xff);
	wrmsr(MSR_IA32_APICBASE, APIC_BASE_X2APIC | APIC_BASE_BSP);
	wrmsr(X2APIC(APIC_SVR), SVR_ENABLE | 0xff);
	wrmsr(X2APIC(APIC_TPR), 0x10);
	wrmsr(X2APIC_SELF_IPI, 0x41);
	wrmsr(X2APIC_SELF_IPI, 0x61);
	out8(0x80, 1);
	window_open();
	lapic_check();
	CHECK_EQ(APIC_BASE_X2APIC | APIC_BASE_BSP, rdmsr(MSR_IA32_APICBASE));
	CHECK_EQ(0x10, rdmsr(X2APIC(APIC_TPR)));
	CHECK_EQ(1, rdmsr(X2APIC(APIC_LDR)));
	out8(0x80, 4);
}

/* --- HLT: exits 2 and 3 are the wait; the line that goes up at the second ends it --- */

static void guest_halt(void)
{
	guest_handle(0x51, on_lapic);
	pics_mask(0xff);
	write32(APIC_SVR, SVR_ENABLE | 0xff);
	ioapic_set(IOREDTBL_HIGH(PIN), 0);
	ioapic_set(IOREDTBL(PIN), 0x51);
	out8(0x80, 1);
	__asm__ volatile("sti\n\tnop\n\thlt\n\tcli" : : : "memory");
	CHECK_EQ(1, nr_taken);
}

static void act_halt(struct vm *vm, unsigned int exit)
{
	if (exit == 3)
		line_set(vm, PIN, 1);
}

/* --- timers: armed at exit 1 --- */

#define TIMER_VECTOR 0x71
#define DIVIDE_BY_1 0xb
#define MSR_TSC_DEADLINE 0x6e0
#define TICKS_20_MS 20000000u

static void on_timer(struct guest_regs *regs)
{
	note(regs);
	write32(APIC_EOI, 0);
}

/* A timer that never comes is a vCPU that never leaves. */
static void wait_for(uint32_t nr)
{
	while (nr_taken < nr)
		window_open();
}

static void timer_start(uint32_t mode, uint32_t ticks)
{
	guest_handle(TIMER_VECTOR, on_timer);
	pics_mask(0xff);
	write32(APIC_SVR, SVR_ENABLE | 0xff);
	write32(APIC_TDCR, DIVIDE_BY_1);
	write32(APIC_LVT_TIMER, mode | TIMER_VECTOR);
	if (ticks)
		write32(APIC_TMICT, ticks);
}

static void guest_one_shot(void)
{
	timer_start(0, TICKS_20_MS);
	out8(0x80, 1);
	wait_for(1);
	out8(0x80, 2);
	CHECK_EQ(0, read32(APIC_TMCCT));
	CHECK_EQ(1, nr_taken);
}

static void guest_periodic(void)
{
	timer_start(LVT_PERIODIC, TICKS_20_MS / 4);
	out8(0x80, 1);
	wait_for(2);
	out8(0x80, 2);
	wait_for(4);
	CHECK_EQ(TICKS_20_MS / 4, read32(APIC_TMICT));
}

static void guest_deadline(void)
{
	timer_start(LVT_TSC_DEADLINE, 0);
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + TICKS_20_MS);
	out8(0x80, 1);
	wait_for(1);
	CHECK_EQ(0, rdmsr(MSR_TSC_DEADLINE));
}

/* IRQ 0 by the PIC. */
static void on_pit(struct guest_regs *regs)
{
	note(regs);
	out8(MASTER, EOI);
}

static void guest_pit(void)
{
	guest_handle(0x20, on_pit);
	pics_mask(0xfe);
	out8(0x43, 0x34);
	out8(0x40, 0x00);
	out8(0x40, 0x10);
	out8(0x80, 1);
	wait_for(2);
	out8(0x80, 2);
	wait_for(nr_taken + 2);
}

/* The status of each channel by the read-back command: mode, access and BCD, without OUT and the null count. */
static void guest_pit_status(void)
{
	out8(0x43, 0x34);
	out8(0x40, 0x11);
	out8(0x40, 0x22);
	out8(0x43, 0x56);
	out8(0x41, 0x33);
	out8(0x43, 0xb9);
	out8(0x42, 0x44);
	out8(0x42, 0x55);
	out8(0x80, 1);
	out8(0x43, 0xe0 | 0x0e);
	CHECK_EQ(0x34, in8(0x40) & 0x3f);
	CHECK_EQ(0x16, in8(0x41) & 0x3f);
	CHECK_EQ(0x39, in8(0x42) & 0x3f);
}

static void pit_create(struct vm *vm)
{
	const struct kvm_pit_config config = { 0 };

	vm_ioctl(vm, KVM_CREATE_PIT2, &config);
}

/* --- kvmclock: user space moves it on by much at exit 1 --- */

#define MSR_SYSTEM_TIME 0x4b564d01
#define CLOCK_NS 1000000000000ull
#define MINUTE_NS 60000000000ull

struct time_page {
	uint32_t version, pad;
	uint64_t tsc_timestamp, system_time;
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
	uint8_t flags;
};

static void guest_clock(void)
{
	const volatile struct time_page *page = (const void *)scratch_base();
	uint64_t before, after;

	wrmsr(MSR_SYSTEM_TIME, scratch_base() | 1);
	out8(0x80, 1);
	wrmsr(MSR_SYSTEM_TIME, scratch_base() | 1);
	out8(0x80, 2);
	before = page->system_time;
	out8(0x80, 3);
	wrmsr(MSR_SYSTEM_TIME, scratch_base() | 1);
	out8(0x80, 4);
	after = page->system_time;
	CHECK(before >= CLOCK_NS && before < CLOCK_NS + MINUTE_NS);
	CHECK(after >= before && after < before + MINUTE_NS);
}

static void act_clock(struct vm *vm, unsigned int exit)
{
	const struct kvm_clock_data clock = { .clock = CLOCK_NS };

	if (exit == 1)
		vm_ioctl(vm, KVM_SET_CLOCK, &clock);
}

/* --- rows --- */

#define ACT(act_) .plan.act = ON_HOST(act_)
#define ONE_MODE .modes = LONG64
#define HALTS ACT(act_halt), .plan.stops_in_hlt = true
/* Finding 1305, which has a row of its own. */
#define NO_PPR .blind = PART_PPR
#define PIT .set_up = ON_HOST(pit_create), ONE_MODE
#define TIMED .has_time = true, ONE_MODE
#define DEADLINE TIMED, .needs = "cpuid:tsc_deadline"
#define X2 ONE_MODE, .needs = "cpuid:x2apic"

static const struct twin_row rows[] = {
	TWIN_5("pic", guest_pic, ACT(act_pic)),
	TWIN_5("ioapic", guest_ioapic, ACT(act_ioapic), NO_PPR),
	TWIN_5("lapic", guest_lapic, NO_PPR),
	TWIN_AT("lapic_ppr", 2, 5, guest_lapic, ONE_MODE,
		.known = { .finding = "1305-set-lapic-stale-ppr", .targets = "lab-vmx" }),
	TWIN_5("x2apic", guest_x2apic, X2, NO_PPR),
	TWIN_5("halt", guest_halt, HALTS, ONE_MODE, NO_PPR),
	TWIN_3("one_shot", guest_one_shot, TIMED),
	TWIN_3("periodic", guest_periodic, TIMED),
	TWIN_2("deadline", guest_deadline, DEADLINE),
	TWIN_3("pit", guest_pit, PIT, .has_time = true),
	TWIN_2("pit_status", guest_pit_status, PIT, .has_time = true),
	TWIN_5("clock", guest_clock, ACT(act_clock), TIMED),

	TWIN_LOST("lost_pic_irr", 1, guest_pic, PART_PIC, ACT(act_pic), ONE_MODE),
	TWIN_LOST("lost_pic_isr", 2, guest_pic, PART_PIC, ACT(act_pic), ONE_MODE),
	TWIN_LOST("lost_ioapic", 2, guest_ioapic, PART_IOAPIC, ACT(act_ioapic), ONE_MODE),
	TWIN_LOST("lost_lapic_irr", 1, guest_lapic, PART_LAPIC, ONE_MODE),
	TWIN_LOST("lost_lapic_isr", 2, guest_lapic, PART_LAPIC, ONE_MODE),
	TWIN_LOST("lost_lapic_x2", 1, guest_x2apic, PART_LAPIC, X2),
	TWIN_LOST("lost_lapic_timer", 1, guest_one_shot, PART_LAPIC, TIMED),
	TWIN_LOST("lost_msrs_deadline", 1, guest_deadline, PART_MSRS, DEADLINE),
	TWIN_LOST("lost_mp_state", 2, guest_halt, PART_MP_STATE, HALTS, ONE_MODE),
	TWIN_LOST("lost_pit", 1, guest_pit, PART_PIT, PIT, .has_time = true),
	TWIN_LOST("lost_pit_status", 1, guest_pit_status, PART_PIT, PIT),
	TWIN_LOST("lost_clock", 3, guest_clock, PART_CLOCK, ACT(act_clock), TIMED),
};

CASE(twin_irqchip, .says = "interrupt controllers, timers and a vCPU in HLT go on in another VM",
     .modes = PROT32 | LONG64, .irqchip = true, .rows = ROWS(rows))

GUEST(twin_irqchip)
{
	GUEST_ROW(rows)->guest();
}

HOST(twin_irqchip)
{
	twin_host(t, ROW(t, rows));
}

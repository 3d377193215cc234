/* SPDX-License-Identifier: MIT */
/*
 * Interrupts and NMIs that are L1's, while L2 is entered or runs: they exit or go through L2's IDT, are acknowledged or
 * stay pending; and the TPR shadow.
 *
 * Can break: an interrupt that is lost between two levels, one taken twice, IF of L2 asked where the control decides.
 * Source: SDM vol. 3C, 25.6.1, 26.2, 28.2.2, 28.5.5, 30.1.2, 30.3; vol. 3A, chapter 11.
 */
#include "case.h"
#include "guests/l1_vmx.h"

#define APIC_GPA 0xfee00000ul
#define APIC_EOI 0xb0
#define APIC_SPURIOUS 0xf0
#define APIC_ISR 0x100
#define APIC_IRR 0x200
#define APIC_ICR 0x300
#define APIC_ICR_HIGH 0x310
#define ICR_SELF (1u << 18)
#define VECTOR 0x55

INSN(interrupt_code, "nop\n\tnop\n\tret")
/* NMI to oneself: RDI is the ICR. */
INSN(interrupt_nmi, "movl $0x400, (%rdi)\n\t.globl interrupt_nmi_next\ninterrupt_nmi_next:\n\tnop\n\tret")
extern const char interrupt_nmi_next[] __attribute__((weak));
INSN(interrupt_tpr, "mov %r9, %cr8\n\t.globl interrupt_tpr_next\ninterrupt_tpr_next:\n\tmov %cr8, %r10\n\tret")
extern const char interrupt_tpr_next[] __attribute__((weak));

static unsigned int nr_taken;
static uint64_t taken_rip;
static uint64_t taken_vector;

static void handler(struct guest_regs *regs)
{
	nr_taken++;
	taken_rip = regs->rip;
	taken_vector = regs->vector;
	if (regs->vector != NMI_VECTOR)
		write32(APIC_GPA + APIC_EOI, 0);
}

static bool vector_bit(uint32_t base)
{
	return read32(APIC_GPA + base + VECTOR / 32 * 0x10) >> VECTOR % 32 & 1;
}

/* An interrupt is pending in L1, whose IF is 0. */
static void start_pending(void)
{
	vmx_start();
	guest_handle(VECTOR, handler);
	guest_handle(NMI_VECTOR, handler);
	write32(APIC_GPA + APIC_SPURIOUS, 0x1ff);
	write32(APIC_GPA + APIC_ICR, ICR_SELF | VECTOR);
	CHECK(vector_bit(APIC_IRR));
	vmx_aim(interrupt_code);
}

/* Neither more nor less than the exit, at L2's first instruction. */
static void check_exit_at_once(uint64_t reason, uint64_t intr_info)
{
	struct vmx_exit want;

	vmx_state_read(&want);
	want.reason = reason;
	want.intr_info = intr_info;
	vmx_run();
	CHECK_EXIT(&want);
	CHECK_EQ(0, nr_taken);
}

static void check_taken(unsigned int nr, uint64_t rip)
{
	CHECK_EQ(nr, nr_taken);
	CHECK_EQ(rip, taken_rip);
}

static void exits(void)
{
	start_pending();
	vmcs_set(PIN_CONTROLS, PIN_EXTERNAL_INTERRUPT_EXITING);
	vmcs_set(GUEST_RFLAGS, X86_EFLAGS_IF);
	check_exit_at_once(EXIT_REASON_EXTERNAL_INTERRUPT, 0);
	CHECK(vector_bit(APIC_IRR));
	sti_nop_cli();
	CHECK_EQ(1, nr_taken);
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(1, nr_taken);
}

static void exits_without_if(void)
{
	start_pending();
	vmcs_set(PIN_CONTROLS, PIN_EXTERNAL_INTERRUPT_EXITING);
	check_exit_at_once(EXIT_REASON_EXTERNAL_INTERRUPT, 0);
	CHECK(vector_bit(APIC_IRR));
}

static void exits_acknowledged(void)
{
	start_pending();
	vmcs_set(PIN_CONTROLS, PIN_EXTERNAL_INTERRUPT_EXITING);
	vmcs_set(EXIT_CONTROLS, EXIT_ACKNOWLEDGE_INTERRUPT);
	check_exit_at_once(EXIT_REASON_EXTERNAL_INTERRUPT, INTR_VALID | INTR_EXTERNAL | VECTOR);
	CHECK(!vector_bit(APIC_IRR));
	CHECK(vector_bit(APIC_ISR));
	sti_nop_cli();
	CHECK_EQ(0, nr_taken);
	write32(APIC_GPA + APIC_EOI, 0);
	CHECK(!vector_bit(APIC_ISR));
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(0, nr_taken);
}

static void wakes_hlt(void)
{
	start_pending();
	vmcs_set(PIN_CONTROLS, PIN_EXTERNAL_INTERRUPT_EXITING);
	vmcs_write(GUEST_ACTIVITY, ACTIVITY_HLT);
	check_exit_at_once(EXIT_REASON_EXTERNAL_INTERRUPT, 0);
}

static void taken_by_l2(void)
{
	start_pending();
	vmcs_set(GUEST_RFLAGS, X86_EFLAGS_IF);
	vmx_run();
	CHECK_L2_DONE();
	check_taken(1, (ulong_t)interrupt_code);
	CHECK(!vector_bit(APIC_IRR));
}

static void held_by_l2(void)
{
	start_pending();
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(0, nr_taken);
	CHECK(vector_bit(APIC_IRR));
	sti_nop_cli();
	CHECK_EQ(1, nr_taken);
}

/* The event that L1 injects goes first. */
static void behind_injection(void)
{
	start_pending();
	guest_handle(UD_VECTOR, handler);
	vmcs_set(PIN_CONTROLS, PIN_EXTERNAL_INTERRUPT_EXITING);
	vmcs_write(ENTRY_INTR_INFO, INTR_VALID | INTR_HARDWARE_EXCEPTION | UD_VECTOR);
	vmx_run();
	CHECK_REASON(EXIT_REASON_EXTERNAL_INTERRUPT);
	CHECK_EQ(0, vmx.exit.entry_intr_info & INTR_VALID);
	CHECK_EQ(0, vmx.exit.vectoring_info);
	CHECK_EQ(*(uint64_t *)vmx.exit.rsp, (ulong_t)interrupt_code);
}

static void nmi_start(void)
{
	vmx_start();
	guest_handle(NMI_VECTOR, handler);
	write32(APIC_GPA + APIC_SPURIOUS, 0x1ff);
	write32(APIC_GPA + APIC_ICR_HIGH, 0);
	vmx_aim(interrupt_nmi);
	vmx.gprs.rdi = APIC_GPA + APIC_ICR;
}

static void nmi_exits(void)
{
	nmi_start();
	vmcs_set(PIN_CONTROLS, PIN_NMI_EXITING);
	vmx_run();
	CHECK_REASON(EXIT_REASON_EXCEPTION_NMI);
	CHECK_EQ(INTR_VALID | INTR_NMI | NMI_VECTOR, vmx.exit.intr_info);
	CHECK_EQ(0, vmx.exit.vectoring_info);
	CHECK_EQ((ulong_t)interrupt_nmi_next, vmx.exit.rip);
	CHECK_EQ(0, nr_taken);
	/* L1 has NMIs blocked now, until an IRET. */
	write32(APIC_GPA + APIC_ICR, 0x400);
	CHECK_EQ(0, nr_taken);
	TRY("ud2", );
	CHECK_EQ(1, nr_taken);
}

static void nmi_taken_by_l2(void)
{
	nmi_start();
	vmx_run();
	CHECK_L2_DONE();
	check_taken(1, (ulong_t)interrupt_nmi_next);
	CHECK_EQ(NMI_VECTOR, taken_vector);
}

static uint32_t *tpr_start(uint64_t tpr)
{
	uint32_t *page = page_alloc();

	vmx_start();
	page[0x80 / 4] = 0x50;
	vmcs_write(VIRTUAL_APIC_ADDRESS, (ulong_t)page);
	vmcs_write(TPR_THRESHOLD, 5);
	vmcs_set(PROC_CONTROLS, PROC_TPR_SHADOW);
	vmx_aim(interrupt_tpr);
	vmx.gprs.r9 = tpr;
	return page;
}

/* The exit is behind the MOV, which has been done. */
static void tpr_below(void)
{
	uint32_t *page = tpr_start(4);
	struct vmx_exit want;

	vmx_state_read(&want);
	want.reason = EXIT_REASON_TPR_BELOW_THRESHOLD;
	want.rip = (ulong_t)interrupt_tpr_next;
	vmx_run();
	CHECK_EXIT(&want);
	CHECK_EQ(0x40, page[0x80 / 4]);
}

/* CR8 is the virtual TPR in both directions; L1's own stays. */
static void tpr_at(void)
{
	uint32_t *page = tpr_start(5);

	write_cr8(2);
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(0x50, page[0x80 / 4]);
	CHECK_EQ(5, vmx.gprs.r10);
	CHECK_EQ(2, read_cr8());
	vmx.gprs.r9 = 9;
	vmx_aim(interrupt_tpr);
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(0x90, page[0x80 / 4]);
	CHECK_EQ(9, vmx.gprs.r10);
	CHECK_EQ(2, read_cr8());
	write_cr8(0);
}

struct row {
	ROW_FIELDS;
	void (*run)(void);
};
#define RUN(name_, ...) { .label = #name_, .run = name_, ##__VA_ARGS__ }

static const struct row rows[] = {
	RUN(exits), RUN(exits_without_if), RUN(exits_acknowledged), RUN(wakes_hlt), RUN(taken_by_l2), RUN(held_by_l2),
	RUN(behind_injection), RUN(nmi_exits), RUN(nmi_taken_by_l2), RUN(tpr_below, .needs = "vmx:tpr_shadow"),
	RUN(tpr_at, .needs = "vmx:tpr_shadow"),
};

CASE(exit_interrupt, .says = "L1's interrupts and NMIs exit from L2, or L2 takes them", .modes = LONG64,
     .needs = "vendor:intel nested", .irqchip = true, .rows = ROWS(rows))

GUEST(exit_interrupt)
{
	GUEST_ROW(rows)->run();
}

HOST(exit_interrupt)
{
	expect_done(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * Interrupts and NMIs that are L1's, while L2 is entered or runs: they exit or go through L2's IDT, are acknowledged or
 * stay pending; what blocks them; the TPR shadow, by CR8 and by the MSR.
 *
 * Can break: an interrupt that is lost between two levels, one taken twice, IF of L2 asked where the control decides.
 * Source: SDM vol. 3C, 25.6.1, 26.2, 28.2.2, 28.3.4, 28.5.5, 30.1.2, 30.3, 30.5; vol. 3A, chapter 11.
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

/* Blocking that the instruction at the exit finds. */
INSN(interrupt_sti, "sti\n\t.globl interrupt_sti_exit\ninterrupt_sti_exit:\n\tcpuid\n\tret")
extern const char interrupt_sti_exit[] GUEST_API;
INSN(interrupt_mov_ss, "mov %ss, %eax\n\tmov %eax, %ss\n\t.globl interrupt_mov_ss_exit\ninterrupt_mov_ss_exit:\n\tcpuid\n\tret")
extern const char interrupt_mov_ss_exit[] GUEST_API;
/* An IRET to the next instruction. */
INSN(interrupt_iret, "mov %rsp, %rax\n\tmov %ss, %ecx\n\tpush %rcx\n\tpush %rax\n\tpushf\n\tmov %cs, %ecx\n\tpush %rcx\n\t"
     "lea interrupt_iret_next(%rip), %rax\n\tpush %rax\n\tiretq\n\t"
     ".globl interrupt_iret_next\ninterrupt_iret_next:\n\tnop\n\tret")
extern const char interrupt_iret_next[] GUEST_API;
INSN(interrupt_x2apic, "mov $0x808, %ecx\n\trdmsr\n\tmov %rax, %r10\n\tmov %r9, %rax\n\txor %edx, %edx\n\twrmsr\n\tret")

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

/* A virtual-APIC page whose TPR is 0x50. */
static uint32_t *tpr_shadow(unsigned int threshold)
{
	uint32_t *page = page_alloc();

	page[0x80 / 4] = 0x50;
	vmcs_write(VIRTUAL_APIC_ADDRESS, (ulong_t)page);
	vmcs_write(TPR_THRESHOLD, threshold);
	vmcs_set(PROC_CONTROLS, PROC_TPR_SHADOW);
	return page;
}

static uint32_t *tpr_start(uint64_t tpr)
{
	uint32_t *page;

	vmx_start();
	page = tpr_shadow(5);
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

/* Without the shadow it is L1's own. */
static void tpr_of_l1(void)
{
	vmx_start();
	write_cr8(2);
	vmx_aim(interrupt_tpr);
	vmx.gprs.r9 = 9;
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(9, vmx.gprs.r10);
	CHECK_EQ(9, read_cr8());
	CHECK_EQ(0x90, read32(APIC_GPA + 0x80));
	write_cr8(0);
}

/* --- blocking --- */

static void check_blocking(const char *code, const char *at, uint64_t interruptibility)
{
	vmx_start();
	vmx_aim(code);
	vmx_run();
	CHECK_REASON(EXIT_REASON_CPUID);
	CHECK_EQ((ulong_t)at, vmx.exit.rip);
	CHECK_EQ(interruptibility, vmx.exit.interruptibility);
	vmx_skip_insn();
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(0, vmx.exit.interruptibility);
}

static void sti_blocks(void)
{
	check_blocking(interrupt_sti, interrupt_sti_exit, INTERRUPTIBILITY_STI);
}

static void mov_ss_blocks(void)
{
	check_blocking(interrupt_mov_ss, interrupt_mov_ss_exit, INTERRUPTIBILITY_MOV_SS);
}

static void nmi_window_behind_iret(void)
{
	vmx_start();
	vmcs_set(PIN_CONTROLS, PIN_NMI_EXITING | PIN_VIRTUAL_NMIS);
	vmcs_set(PROC_CONTROLS, PROC_NMI_WINDOW_EXITING);
	vmcs_write(GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_NMI);
	vmx_aim(interrupt_iret);
	vmx_run();
	CHECK_REASON(EXIT_REASON_NMI_WINDOW);
	CHECK_EQ((ulong_t)interrupt_iret_next, vmx.exit.rip);
	CHECK_EQ(0, vmx.exit.interruptibility);
}

/* Blocked at the exit, too. */
static void nmi_blocking_saved(void)
{
	vmx_start();
	vmcs_set(PIN_CONTROLS, PIN_NMI_EXITING | PIN_VIRTUAL_NMIS);
	vmcs_write(GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_NMI);
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(INTERRUPTIBILITY_NMI, vmx.exit.interruptibility);
}

/* An open window wakes from HLT. */
static void interrupt_window_in_hlt(void)
{
	vmx_start();
	vmcs_set(PROC_CONTROLS, PROC_INTERRUPT_WINDOW_EXITING);
	vmcs_set(GUEST_RFLAGS, X86_EFLAGS_IF);
	vmcs_write(GUEST_ACTIVITY, ACTIVITY_HLT);
	vmx_run();
	CHECK_REASON(EXIT_REASON_INTERRUPT_WINDOW);
}

static void nmi_window_in_hlt(void)
{
	vmx_start();
	vmcs_set(PIN_CONTROLS, PIN_NMI_EXITING | PIN_VIRTUAL_NMIS);
	vmcs_set(PROC_CONTROLS, PROC_NMI_WINDOW_EXITING);
	vmcs_write(GUEST_ACTIVITY, ACTIVITY_HLT);
	vmx_run();
	CHECK_REASON(EXIT_REASON_NMI_WINDOW);
}

/* --- a step over an instruction that KVM executes --- */

INSN(interrupt_step, "mov $0x174, %ecx\n\tmov $8, %eax\n\txor %edx, %edx\n\tpushf\n\torl $0x100, (%rsp)\n\tpopf\n\twrmsr\n\t"
     ".globl interrupt_step_next\ninterrupt_step_next:\n\tnop\n\tret")
extern const char interrupt_step_next[] GUEST_API;

static void step_exits(void)
{
	vmx_start();
	vmcs_set(EXCEPTION_BITMAP, 1u << DB_VECTOR);
	vmx_aim(interrupt_step);
	vmx_run();
	CHECK_REASON(EXIT_REASON_EXCEPTION_NMI);
	CHECK_EQ(INTR_VALID | INTR_HARDWARE_EXCEPTION | DB_VECTOR, vmx.exit.intr_info);
	CHECK_EQ(1u << 14, vmx.exit.qualification);
	CHECK_EQ((ulong_t)interrupt_step_next, vmx.exit.rip);
	CHECK_EQ(8, vmcs_read(GUEST_SYSENTER_CS));
}

static uint64_t step_dr6;

static void on_step(struct guest_regs *regs)
{
	nr_taken++;
	taken_rip = regs->rip;
	step_dr6 = read_dr6();
	regs->rflags &= ~X86_EFLAGS_TF;
}

static void step_taken_by_l2(void)
{
	vmx_start();
	guest_handle(DB_VECTOR, on_step);
	vmx_aim(interrupt_step);
	vmx_run();
	CHECK_L2_DONE();
	check_taken(1, (ulong_t)interrupt_step_next);
	CHECK_EQ(1u << 14, step_dr6 & (1u << 14));
}

/* --- x2APIC --- */

#define MSR_APIC_BASE 0x1b
#define MSR_X2APIC_TPR 0x808

static void x2apic_start(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | 3u << 10);
	vmx_start();
	wrmsr(MSR_X2APIC_TPR, 0x30);
	vmx_aim(interrupt_x2apic);
	vmx.gprs.r9 = 0x40;
}

static void x2apic_of_l1(void)
{
	x2apic_start();
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(0x30, vmx.gprs.r10);
	CHECK_EQ(0x40, rdmsr(MSR_X2APIC_TPR));
}

static void x2apic_exits(void)
{
	x2apic_start();
	vmx.msr_bitmap[MSR_X2APIC_TPR / 8] |= 1u << MSR_X2APIC_TPR % 8;
	vmx_run();
	CHECK_REASON(EXIT_REASON_MSR_READ);
	/* The bits are read at each entry. */
	vmx.msr_bitmap[MSR_X2APIC_TPR / 8] = 0;
	vmx.msr_bitmap[0x800 + MSR_X2APIC_TPR / 8] |= 1u << MSR_X2APIC_TPR % 8;
	vmx_run();
	CHECK_REASON(EXIT_REASON_MSR_WRITE);
	CHECK_EQ(0x30, vmx.gprs.r10);
	CHECK_EQ(0x30, rdmsr(MSR_X2APIC_TPR));
}

static uint32_t *x2apic_virtual_start(void)
{
	uint32_t *page;

	x2apic_start();
	page = tpr_shadow(0);
	vmx_use_secondary(PROC2_VIRTUALIZE_X2APIC);
	return page;
}

static void x2apic_virtual(void)
{
	uint32_t *page = x2apic_virtual_start();

	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(0x50, vmx.gprs.r10);
	CHECK_EQ(0x40, page[0x80 / 4]);
	CHECK_EQ(0x30, rdmsr(MSR_X2APIC_TPR));
}

static void x2apic_virtual_exits(void)
{
	uint32_t *page = x2apic_virtual_start();

	vmx.msr_bitmap[0x800 + MSR_X2APIC_TPR / 8] |= 1u << MSR_X2APIC_TPR % 8;
	vmx_run();
	CHECK_REASON(EXIT_REASON_MSR_WRITE);
	CHECK_EQ(0x50, vmx.gprs.r10);
	CHECK_EQ(0x50, page[0x80 / 4]);
	vmx.msr_bitmap[MSR_X2APIC_TPR / 8] |= 1u << MSR_X2APIC_TPR % 8;
	vmx_aim(interrupt_x2apic);
	vmx_run();
	CHECK_REASON(EXIT_REASON_MSR_READ);
}

struct row {
	ROW_FIELDS;
	void (*run)(void);
};
#define RUN(name_, ...) { .label = #name_, .run = name_, ##__VA_ARGS__ }

static const struct row rows[] = {
	RUN(exits), RUN(exits_without_if), RUN(exits_acknowledged), RUN(wakes_hlt), RUN(taken_by_l2), RUN(held_by_l2),
	RUN(behind_injection), RUN(nmi_exits), RUN(nmi_taken_by_l2), RUN(tpr_below, .needs = "vmx:tpr_shadow"),
	RUN(tpr_at, .needs = "vmx:tpr_shadow"), RUN(tpr_of_l1), RUN(sti_blocks), RUN(mov_ss_blocks),
	RUN(nmi_window_behind_iret, .needs = "vmx:virtual_nmis"), RUN(nmi_blocking_saved, .needs = "vmx:virtual_nmis",
	    .known = { .finding = "4603-bochs-entry-keeps-nmi-blocking", .targets = "lab-vmx", .is_skipped = true }),
	RUN(interrupt_window_in_hlt), RUN(nmi_window_in_hlt, .needs = "vmx:virtual_nmis"),
	RUN(step_exits), RUN(step_taken_by_l2), RUN(x2apic_of_l1), RUN(x2apic_exits), RUN(x2apic_virtual, .needs = "vmx:virtualize_x2apic vmx:tpr_shadow"),
	RUN(x2apic_virtual_exits, .needs = "vmx:virtualize_x2apic vmx:tpr_shadow"),
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

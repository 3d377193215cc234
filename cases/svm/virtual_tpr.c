/* SPDX-License-Identifier: MIT */
/*
 * With V_INTR_MASKING, CR8 in L2 is V_TPR of L1's VMCB: L2 reads and writes it without an exit, it is there after the
 * #VMEXIT, and L1's own task priority stays as it was, with what that holds back.
 *
 * Can break: KVM watches L1's CR8 writes while an interrupt is held back by its TPR; the same watch left on in L2 makes
 * L2's writes L1's priority. L1's TPR loaded into V_TPR or the other way round.
 * Source: APM vol. 2, 15.21.2 (V_TPR), 15.21.1 (V_INTR_MASKING).
 */
#include "cases/ioctl/lapic_regs.h"
#include "guests/l1_svm.h"
#include "case.h"

#define HELD 0x51
#define HELD_TOO 0x41
#define L1_CR8 6

/* An interrupt that L1's TPR holds back; CR8 out and in, and out. */
INSN(v_cr8, "movl %esi, (%rdi)\n\tmov %cr8, %rcx\n\tmov %rbx, %cr8\n\tmov %cr8, %rdx\n\tvmmcall")

CASE(virtual_tpr, .says = "CR8 of an L2 with V_INTR_MASKING is V_TPR, not L1's", .modes = LONG64,
     .needs = "vendor:amd nested", .irqchip = true)

static volatile unsigned int nr_taken;

static void on_interrupt(struct guest_regs *regs)
{
	(void)regs;
	nr_taken++;
	write32(APIC_EOI, 0);
}

GUEST(virtual_tpr)
{
	guest_handle(HELD, on_interrupt);
	guest_handle(HELD_TOO, on_interrupt);
	l1_svm_init();
	l2_warm();
	write32(APIC_SVR, SVR_ENABLE | 0xff);
	write_cr8(L1_CR8);
	write32(APIC_ICR, ICR_SELF | HELD);
	l1_vmcb.control.int_ctl = V_INTR_MASKING | 9;
	l2_regs.rsi = ICR_SELF | HELD_TOO;
	l2_regs.rdi = APIC_ICR;
	l2_regs.rbx = 3;
	l2_run(v_cr8);
	CHECK_L2_DONE(v_cr8_end - 3);
	CHECK_EQ(9, l2_regs.rcx);
	CHECK_EQ(3, l2_regs.rdx);
	CHECK_EQ(V_INTR_MASKING | 3, l1_vmcb.control.int_ctl);
	CHECK_EQ(L1_CR8, read_cr8());
	CHECK_EQ(L1_CR8 << 4, read32(APIC_TPR));
	sti_nop_cli();
	CHECK_EQ(0, nr_taken);
	write_cr8(0);
	sti_nop_cli();
	sti_nop_cli();
	CHECK_EQ(2, nr_taken);
	CHECK_EQ(0, read32(APIC_TPR));
}

HOST(virtual_tpr)
{
	expect_done(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * With KVM's own interrupt controllers: an interrupt that waits in the local APIC while L2 runs goes on waiting, or
 * exits to L1, or is given to L2, in the VM that the state moves to; so does a HLT of L2.
 *
 * Can break: IRR forgotten by the check for L1's exits; the host IF of V_INTR_MASKING, which is L1's saved RFLAGS; an
 * L2 that waits in HLT.
 * Source: APM vol. 2, 15.21.1, 15.21.2; KVM API, KVM_GET_LAPIC, KVM_GET_NESTED_STATE, KVM_GET_MP_STATE.
 *
 * Seen to fail without: LAPIC, NESTED, MP_STATE: the rows "lost_*".
 */
#include "cases/ioctl/lapic_regs.h"
#include "cases/ioctl/twin.h"
#include "guests/l1_svm.h"

#define VECTOR 0x41

static volatile uint32_t nr_taken;

static void on_interrupt(struct guest_regs *regs)
{
	(void)regs;
	nr_taken++;
	out8(0x82, nr_taken);
	write32(APIC_EOI, 0);
}

static void start(uint32_t int_ctl)
{
	guest_handle(VECTOR, on_interrupt);
	write32(APIC_SVR, SVR_ENABLE | 0xff);
	l1_svm_init();
	vmcb_intercept(&l1_vmcb, SVM_EXIT_INTR);
	l1_vmcb.control.int_ctl = int_ctl;
}

static void act_msi(struct vm *vm, unsigned int exit)
{
	const struct kvm_msi msi = { .address_lo = LAPIC, .data = VECTOR };

	if (exit == 1)
		vm_ioctl(vm, KVM_SIGNAL_MSI, &msi);
}

/* At the second of the exits in HLT. */
static void act_msi_late(struct vm *vm, unsigned int exit)
{
	act_msi(vm, exit - 1);
}

INSN(q_out, "out %al, $0x80\n\tnop\n\tvmmcall")
INSN(q_hlt, "sti\n\tnop\n\thlt\n\tcli\n\tvmmcall")

/* L1 has IF = 1: it exits, and L1 takes it behind STGI. */
static void guest_exits(void)
{
	start(V_INTR_MASKING);
	sti();
	l2_run(q_out);
	cli();
	CHECK_EXIT(.code = SVM_EXIT_INTR, .rip = (ulong_t)q_out + 2);
	CHECK_EQ(1, nr_taken);
	out8(0x80, 3);
}

/* L1 has IF = 0: L2 ends first. Its own IF is clear as well: finding 0804. */
static void guest_waits(void)
{
	start(V_INTR_MASKING);
	l2_run(q_out);
	CHECK_L2_DONE((ulong_t)q_out_end - 3);
	CHECK_EQ(0, nr_taken);
	out8(0x80, 2);
	popf_nop_cli();
	CHECK_EQ(1, nr_taken);
}

/* Not intercepted, and L2's IF decides: L2 takes it. */
static void guest_given(void)
{
	start(0);
	vmcb_intercept_clear(&l1_vmcb, SVM_EXIT_INTR);
	l1_vmcb.save.rflags |= X86_EFLAGS_IF;
	l2_run(q_out);
	CHECK_L2_DONE((ulong_t)q_out_end - 3);
	CHECK_EQ(1, nr_taken);
}

/* L2 waits, L1 is woken: exits 1 and 2 are the wait. */
static void guest_hlt(void)
{
	start(0);
	l2_run(q_hlt);
	CHECK_EQ(SVM_EXIT_INTR, l1_vmcb.control.exit_code);
	CHECK_EQ(0, nr_taken);
	popf_nop_cli();
	CHECK_EQ(1, nr_taken);
}

#define MSI .plan.act = ON_HOST(act_msi)
#define HALTS .plan.act = ON_HOST(act_msi_late), .plan.stops_in_hlt = true

static const struct twin_row rows[] = {
	TWIN_4("exits", guest_exits, MSI), TWIN_4("waits", guest_waits, MSI), TWIN_3("given", guest_given, MSI),
	TWIN_4("hlt", guest_hlt, HALTS),

	TWIN_LOST("lost_lapic", 1, guest_exits, PART_LAPIC, MSI),
	TWIN_LOST("lost_nested", 1, guest_exits, PART_NESTED, MSI),
	TWIN_LOST("lost_mp_state", 1, guest_hlt, PART_MP_STATE, HALTS),
};

CASE(twin_l2_irq, .says = "interrupts that wait beside L2 go on waiting in another VM", .modes = LONG64, .irqchip = true,
     .needs = "vendor:amd nested KVM_CAP_NESTED_STATE", .rows = ROWS(rows))

GUEST(twin_l2_irq)
{
	GUEST_ROW(rows)->guest();
	/* It is the host's there, and memory is compared. */
	if (abi_self()->cr2_is_lost)
		l1_vmcb.save.cr2 = 0;
	/* The rest is of L0's own events, which each VM has in its own number: finding 1306, svm.event_inject_own. */
	l1_vmcb.control.event_inj &= EVENT_VALID;
}

HOST(twin_l2_irq)
{
	twin_host(t, ROW(t, rows));
}

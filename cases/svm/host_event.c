/* SPDX-License-Identifier: MIT */
/*
 * An interrupt or NMI that comes while L2 runs goes to L1 when L1 intercepts it, to L2 when not, and to nobody while it
 * is masked: by L2's own IF, or with V_INTR_MASKING by the IF that L1 had at VMRUN. What exits stays pending for L1.
 *
 * Can break: the wrong IF asked, an interrupt lost at the exit or taken twice, L2's shadow, an NMI that exits and is
 * masked afterwards.
 * Source: APM vol. 2, 15.13.1, 15.13.2, 15.21.1.
 */
#include "cases/ioctl/lapic_regs.h"
#include "guests/l1_svm.h"
#include "case.h"

#define VECTOR 0x55

enum taker { NOBODY, L1, L2 };

struct row {
	ROW_FIELDS;
	bool is_nmi;
	bool is_intercepted;
	bool is_other_intercepted;	/* NMI where it is an interrupt, and the other way round */
	bool l1_if, l2_if;	/* at VMRUN */
	bool l2_sti;		/* L2 opens the window itself, behind the event */
	uint32_t int_ctl;
	uint32_t exit;		/* SVM_EXIT_VMMCALL: L2 came to its end */
	enum taker taker;	/* while L2 runs, or in the window that L1 opens after the exit */
};

#define INTR(label_, ...) { .label = "intr_" #label_, ##__VA_ARGS__ }
#define NMI(label_, ...) { .label = "nmi_" #label_, .is_nmi = true, ##__VA_ARGS__ }
#define TO_L1 .exit = SVM_EXIT_INTR, .taker = L1
/* Bochs takes it where L2 sets IF itself only (finding 0508). */
#define DUMMY_KNOWN .known = { "0804-dummy-virq-taken-by-l2", "@(kvm|lab-svm)", "..6.3" }
#define DUMMY_AT_STI_KNOWN .known = { "0804-dummy-virq-taken-by-l2", NULL, "..6.3" }
#define LATER .exit = SVM_EXIT_VMMCALL, .taker = L1
#define TO_L2 .exit = SVM_EXIT_VMMCALL, .taker = L2

static const struct row rows[] = {
	INTR(exits, .is_intercepted = true, .l2_if = true, TO_L1),
	INTR(exits_l1_if, .is_intercepted = true, .l1_if = true, .l2_if = true, TO_L1),
	INTR(waits_for_l2_if, .is_intercepted = true, LATER),
	INTR(exits_at_sti, .is_intercepted = true, .l2_sti = true, TO_L1),
	INTR(l1_if_does_not_count, .is_intercepted = true, .l1_if = true, LATER),
	INTR(masking_exits, .is_intercepted = true, .l1_if = true, .int_ctl = V_INTR_MASKING, TO_L1),
	INTR(masking_waits, .is_intercepted = true, .l2_if = true, .int_ctl = V_INTR_MASKING, LATER, DUMMY_KNOWN),
	INTR(masking_sti_waits, .is_intercepted = true, .l2_sti = true, .int_ctl = V_INTR_MASKING, LATER,
	     DUMMY_AT_STI_KNOWN),
	INTR(exits_beside_nmi, .is_intercepted = true, .is_other_intercepted = true, .l2_if = true, TO_L1),
	INTR(delivered_beside_nmi, .is_other_intercepted = true, .l2_if = true, TO_L2),
	INTR(delivered, .l2_if = true, TO_L2),
	INTR(delivered_at_sti, .l2_sti = true, TO_L2),
	INTR(not_delivered, LATER),
	INTR(not_delivered_l1_if, .l1_if = true, LATER),
	INTR(masking_delivered, .l1_if = true, .l2_if = true, .int_ctl = V_INTR_MASKING, TO_L2),
	INTR(masking_not_delivered, .l2_if = true, .int_ctl = V_INTR_MASKING, LATER, DUMMY_KNOWN),
	NMI(exits, .is_intercepted = true, .exit = SVM_EXIT_NMI, .taker = L1),
	NMI(exits_l2_if, .is_intercepted = true, .l2_if = true, .exit = SVM_EXIT_NMI, .taker = L1),
	NMI(exits_beside_intr, .is_intercepted = true, .is_other_intercepted = true, .exit = SVM_EXIT_NMI, .taker = L1),
	NMI(delivered_beside_intr, .is_other_intercepted = true, .l2_if = true, TO_L2),
	NMI(delivered, TO_L2), NMI(delivered_l2_if, .l2_if = true, TO_L2),
};

CASE(host_event, .says = "an interrupt while L2 runs goes where intercepts and masks say", .modes = LONG64,
     .needs = "vendor:amd nested KVM_CAP_SIGNAL_MSI", .irqchip = true, .rows = ROWS(rows))

static uint64_t l2_rsp;		/* the top of L2's stack, which is a page */
static unsigned int nr_taken[3];

static void on_event(struct guest_regs *regs)
{
	nr_taken[l2_rsp - regs->rsp < 4096 ? L2 : L1]++;
	if (regs->vector == VECTOR)
		write32(APIC_EOI, 0);
}

static void l2_main(void)
{
	guest_sync(1);
	if (GUEST_ROW(rows)->l2_sti)
		sti();
	__asm__ volatile("nop\n\tnop" : : : "memory");
	__asm__ volatile("vmmcall" : : : "memory");
}

static void check_exit(const struct row *row)
{
	CHECK_EXIT_CODE(row->exit);
	CHECK_EQ(0, l1_vmcb.control.exit_info_1);
	CHECK_EQ(0, l1_vmcb.control.exit_int_info);
	CHECK_EQ(row->taker == L2 ? 1 : 0, nr_taken[L2]);
	if (row->taker == L2)
		CHECK_NO_EXIT(row->is_nmi ? SVM_EXIT_NMI : SVM_EXIT_INTR);
}

GUEST(host_event)
{
	const struct row *row = GUEST_ROW(rows);

	guest_handle(VECTOR, on_event);
	guest_handle(NMI_VECTOR, on_event);
	write32(APIC_SVR, SVR_ENABLE | 0xff);
	l1_svm_init();
	l2_warm();
	l2_rsp = l1_vmcb.save.rsp;
	if (row->is_intercepted)
		vmcb_intercept(&l1_vmcb, row->is_nmi ? SVM_EXIT_NMI : SVM_EXIT_INTR);
	if (row->is_other_intercepted)
		vmcb_intercept(&l1_vmcb, row->is_nmi ? SVM_EXIT_INTR : SVM_EXIT_NMI);
	l1_vmcb.control.int_ctl = row->int_ctl;
	if (row->l2_if)
		l1_vmcb.save.rflags |= X86_EFLAGS_IF;
	/* GIF is clear from here to behind the exit: only what VMRUN makes of it counts. */
	clgi();
	if (row->l1_if)
		sti();
	l2_run(l2_main);
	/* vmcb_run() has done STGI: with IF set, L1 has it by now. */
	if (!row->is_nmi)
		sti();
	__asm__ volatile("nop\n\tnop" : : : "memory");
	cli();
	check_exit(row);
	CHECK_EQ(row->taker == L1 ? 1 : 0, nr_taken[L1]);
}

HOST(host_event)
{
	const struct row *row = ROW(t, rows);
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = VECTOR };

	require_sync(t, 1);
	if (row->is_nmi)
		vcpu_ioctl_value(t->vcpu, KVM_NMI, 0);
	else
		expect_result(t, 1, vm_ioctl_try(t->vm, KVM_SIGNAL_MSI, &msi));
	expect_done(t);
}

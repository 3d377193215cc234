/* SPDX-License-Identifier: MIT */
/*
 * An event that L1 injects is delivered once, also when KVM must break its delivery off for a page fault of its own, and
 * begin anew: L2's stack is memory that nobody has touched before. An NMI that L1 injects into L2 is none that L1 has
 * taken: behind the #VMEXIT L1 takes its own.
 *
 * Can break: the event lost, given twice, or to L1; NMIs of L1 masked by one that L2 was given.
 * Source: APM vol. 2, 15.20; 15.13.2.
 */
#include "cases/ioctl/lapic_regs.h"
#include "guests/l1_svm.h"
#include "case.h"

#define FRESH_GPA 0x40000000ul
#define STACK_TOP (FRESH_GPA + 0x2000)
#define VECTOR 0x61
#define ERROR_CODE 0x1238

INSN(a_code, "nop\n\tvmmcall")
struct row {
	ROW_FIELDS;
	uint32_t event;
};

static const struct row rows[] = {
	{ .label = "intr", .event = EVENT_INTR | VECTOR }, { .label = "nmi", .event = EVENT_NMI | NMI_VECTOR },
	{ .label = "ud", .event = EVENT_EXCEPTION | UD_VECTOR },
	{ .label = "gp", .event = EVENT_EXCEPTION | EVENT_HAS_ERROR | GP_VECTOR },
};

CASE(event_again, .says = "an injected event that KVM delivers anew comes once, and leaves L1's NMIs alone", .modes = LONG64,
     .needs = "vendor:amd nested", .irqchip = true, .rows = ROWS(rows))

static struct guest_regs taken;
static unsigned int nr_taken[2];	/* by L1, by L2 */

static void on_event(struct guest_regs *regs)
{
	bool is_l2 = STACK_TOP - regs->rsp < 0x2000;

	nr_taken[is_l2]++;
	if (!is_l2)
		return;
	taken = *regs;
	/* Without IRET, which would end what masks NMIs. */
	__asm__ volatile("vmmcall" : : : "memory");
}

GUEST(event_again)
{
	const struct row *row = GUEST_ROW(rows);
	unsigned int vector = row->event & EVENT_VECTOR;
	uint64_t error = row->event & EVENT_HAS_ERROR ? ERROR_CODE : 0;

	guest_handle(vector, on_event);
	guest_handle(NMI_VECTOR, on_event);
	write32(APIC_SVR, SVR_ENABLE | 0xff);
	l1_svm_init();
	l1_vmcb.control.event_inj = EVENT_VALID | row->event;
	l1_vmcb.control.event_inj_error = (uint32_t)error;
	l1_vmcb.save.rip = (ulong_t)a_code;
	l1_vmcb.save.rsp = STACK_TOP;
	vmcb_run(&l1_vmcb);
	CHECK_EXIT_CODE(SVM_EXIT_VMMCALL);
	CHECK_EQ(0, l1_vmcb.control.exit_int_info);
	CHECK_EQ(0, l1_vmcb.control.event_inj & EVENT_VALID);
	CHECK_EQ(1, nr_taken[1]);
	CHECK_EQ(vector, taken.vector);
	CHECK_EQ(error, taken.error_code);
	CHECK_EQ((ulong_t)a_code, taken.rip);
	CHECK_EQ(0, nr_taken[0]);
	write32(APIC_ICR, ICR_SELF | ICR_NMI);
	__asm__ volatile("nop\n\tnop" : : : "memory");
	CHECK_EQ(1, nr_taken[0]);
	CHECK_EQ(1, nr_taken[1]);
}

HOST(event_again)
{
	vm_slot_add(t->vm, 1, 0, FRESH_GPA, 0x2000);
	expect_done(t);
}

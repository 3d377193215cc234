/* SPDX-License-Identifier: MIT */
/*
 * A software interrupt that L1 injects is delivered through L2's IDT before its first instruction, with nRIP as the
 * address to return to where the CPU has it and RIP where not; an exit in the midst of the delivery tells it in
 * EXITINTINFO as what it was, and injected again it comes once.
 *
 * Can break: the type turned into that of an interrupt from outside, which IF masks; the return address of a CPU with
 * nRIP on one without; an event that KVM finishes itself after the exit.
 * Source: APM vol. 2, 15.7.1, 15.7.2, 15.20.
 */
#include "cases/svm/npt.h"
#include "case.h"

#define VECTOR 0x81

INSN(s_code, "nop\n\ts_next: nop\n\tvmmcall")
extern const char s_next[] GUEST_API;

struct row {
	ROW_FIELDS;
	bool is_elsewhere;	/* nRIP is not RIP */
	bool is_absent;		/* the IDT is, in the nested tables, at first */
};

static const struct row rows[] = {
	{ .label = "delivered" },
	{ .label = "next_rip", .is_elsewhere = true, .needs = "cpuid:nrips",
	  .known = { "1012-bochs-soft-event-ignores-nrip", "lab-svm-bochs" } },
	{ .label = "exit_in_delivery", .is_absent = true, .needs = "cpuid:npt tdp",
	  .known = { "1009-qemu-soft-event-not-in-exitintinfo", "lab-svm" } },
};

CASE(event_soft, .says = "an injected software interrupt is delivered once", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

static struct guest_regs taken;
static unsigned int nr_taken;

static void on_event(struct guest_regs *regs)
{
	taken = *regs;
	nr_taken++;
}

static void check_delivered(const char *rip)
{
	CHECK_L2_DONE(s_code_end - 3);
	CHECK_EQ(1, nr_taken);
	CHECK_EQ(VECTOR, taken.vector);
	CHECK_EQ((ulong_t)rip, taken.rip);
	CHECK_EQ(X86_EFLAGS_FIXED | X86_EFLAGS_CF, taken.rflags);
	CHECK_EQ(0, l1_vmcb.control.event_inj & EVENT_VALID);
}

static void exit_first(uint32_t event)
{
	uint64_t *idt = npt_entry((ulong_t)guest_idt_entry(0), 1, NPT_FIRST);

	npt_build();
	l1_vmcb.control.nested_ctl = NP_ENABLE;
	l1_vmcb.control.nested_cr3 = (ulong_t)npt_root;
	*idt &= ~PTE_P;
	/* What was translated without these tables is not theirs. */
	l1_vmcb.control.tlb_control = TLB_FLUSH_ALL;
	l2_run(s_code);
	CHECK_EQ(SVM_EXIT_NPF, l1_vmcb.control.exit_code);
	CHECK_EQ(event, l1_vmcb.control.exit_int_info);
	CHECK_EQ((ulong_t)s_code, l1_vmcb.save.rip);
	CHECK_EQ(0, nr_taken);
	*idt |= PTE_P;
	l1_vmcb.control.tlb_control = TLB_FLUSH_ALL;
}

GUEST(event_soft)
{
	const struct row *row = GUEST_ROW(rows);
	const char *next = row->is_elsewhere ? s_next : s_code;
	uint32_t event = EVENT_VALID | EVENT_SOFT | VECTOR;

	guest_handle(VECTOR, on_event);
	l1_svm_init();
	l2_warm();
	l1_vmcb.save.rflags |= X86_EFLAGS_CF;
	l1_vmcb.control.event_inj = event;
	l1_vmcb.control.next_rip = (ulong_t)next;
	if (row->is_absent)
		exit_first(event);
	l1_vmcb.control.event_inj = event;
	l1_vmcb.control.next_rip = (ulong_t)next;
	l2_run(s_code);
	check_delivered(next);
}

HOST(event_soft)
{
	expect_done(t);
}

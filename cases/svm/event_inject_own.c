/* SPDX-License-Identifier: MIT */
/*
 * An exception that L0 gives to L2 on its own, for an RDMSR of an MSR that nobody has, is not L1's event: EVENTINJ and
 * its error code are zero after the #VMEXIT, as L1 wrote them and as where the CPU itself raises the exception.
 *
 * Can break: the field of the VMCB that L0 injects by copied into L1's with what L0 put there.
 * Source: APM vol. 2, 15.20 (EVENTINJ is the VMM's; #VMEXIT clears its V bit).
 */
#include "guests/l1_svm.h"
#include "case.h"

#define NO_MSR 0xdeadbeef

INSN(own_msr, "rdmsr\n\tvmmcall")
INSN(own_divide, "div %ebx\n\tvmmcall")

struct row {
	ROW_FIELDS;
	const char *code;
	unsigned int vector;
};

static const struct row rows[] = {
	{ .label = "cpu", .code = own_divide, .vector = DE_VECTOR },
	{ .label = "kvm", .code = own_msr, .vector = GP_VECTOR,
	  .known = { "1306-eventinj-of-own-event", "lab-svm-bochs" } },
};

CASE(event_inject_own, .says = "what L0 injects into L2 on its own is not in L1's EVENTINJ", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

static unsigned int nr_taken;

static void on_fault(struct guest_regs *regs)
{
	nr_taken++;
	regs->rip += 2;
}

GUEST(event_inject_own)
{
	const struct row *row = GUEST_ROW(rows);

	guest_handle(row->vector, on_fault);
	l1_svm_init();
	l2_warm();
	l2_regs.rcx = NO_MSR;
	l2_run(row->code);
	CHECK_L2_DONE(row->code + 2);
	CHECK_EQ(1, nr_taken);
	CHECK_EQ(0, l1_vmcb.control.event_inj);
	CHECK_EQ(0, l1_vmcb.control.event_inj_error);
}

HOST(event_inject_own)
{
	expect_done(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * L1 steps over its VMRUN: with RFLAGS.TF set in L1 the trap comes when VMRUN is over, behind the #VMEXIT, in L1, once,
 * with DR6.BS; L2, whose TF is clear, is not stepped.
 *
 * Can break: the trap taken by L2, because VMRUN's RIP is advanced before L2 is entered; taken twice; lost.
 * Source: APM vol. 2, 13.1.4, 15.5.1, 15.17 (TF traps are taken with GIF clear).
 */
#include "guests/l1_svm.h"
#include "case.h"

#define DR6_BS (1u << 14)

INSN(t_code, "nop\n\tnop\n\tvmmcall")

struct row {
	ROW_FIELDS;
	bool has_dr6;
};

/* A step ends the lab's own kernel there. */
#define STEP_SKIPPED .finding = "0506-bochs-svm-single-step", .targets = "lab-svm-bochs", .is_skipped = true

static const struct row rows[] = {
	{ .label = "trap", .known = { STEP_SKIPPED } },
	{ .label = "dr6", .has_dr6 = true,
	  .known = { STEP_SKIPPED, .next = &(const struct known){ "1011-stepped-vmrun-without-dr6-bs", "!(bare|soft-svm)" } } },
};

CASE(vmrun_step, .says = "TF in L1 traps behind VMRUN, in L1", .modes = LONG64, .needs = "vendor:amd nested",
     .rows = ROWS(rows))

static struct guest_regs taken;
static uint64_t taken_dr6;
static unsigned int nr_taken;

static void on_db(struct guest_regs *regs)
{
	if (!nr_taken++) {
		taken = *regs;
		taken_dr6 = read_dr6();
	}
	regs->rflags &= ~X86_EFLAGS_TF;
}

GUEST(vmrun_step)
{
	ulong_t here, behind;

	guest_handle(DB_VECTOR, on_db);
	l1_svm_init();
	l2_warm();
	l1_vmcb.save.rip = (ulong_t)t_code;
	write_dr6(0xffff0ff0);
	__asm__ volatile("lea 1f(%%rip), %1\n\tmov %%rsp, %0\n\tpushf\n\torl $0x100, (%%rsp)\n\tpopf\n\t"
			 "vmrun\n1:\tnop\n\tstgi"
			 : "=&r"(here), "=&r"(behind) : "a"(&l1_vmcb) : "memory", "cc");
	CHECK_L2_DONE(t_code_end - 3);
	CHECK_EQ(0, l1_vmcb.save.rflags & X86_EFLAGS_TF);
	CHECK_EQ(1, nr_taken);
	CHECK_EQ(behind, taken.rip);
	CHECK_EQ(here, taken.rsp);
	if (GUEST_ROW(rows)->has_dr6)
		CHECK_EQ(DR6_BS, taken_dr6 & DR6_BS);
}

HOST(vmrun_step)
{
	expect_done(t);
}

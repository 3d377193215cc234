/* SPDX-License-Identifier: MIT */
/*
 * nRIP is zero after an exit that is for no instruction: an exception, a nested page fault, whatever the field
 * had before.
 *
 * Can break: a value from an earlier exit left in the field, which L1 would skip to.
 * Source: APM vol. 2, 15.7.1.
 */
#include "cases/svm/npt.h"
#include "case.h"

#define POISON 0x5a5a5a5a5a5a5a5aull
#define PAGE (SCRATCH_GPA + 0x4000)

INSN(z_ud, "ud2\n\tvmmcall")
INSN(z_gp, "movabs $0x8000000000000000, %rax\n\tz_gp_at: mov (%rax), %al\n\tvmmcall")
INSN(z_read, "mov (%rbx), %al\n\tvmmcall")
INSN(z_cpuid, "cpuid\n\tvmmcall")
extern const char z_gp_at[] GUEST_API;

struct row {
	ROW_FIELDS;
	const char *code, *rip;
	uint32_t exit;
};

#define BOCHS_KNOWN .known = { "4103-bochs-nrip-of-every-exit", "lab-svm-bochs" }

static const struct row rows[] = {
	{ .label = "ud", .code = z_ud, .rip = z_ud, .exit = SVM_EXIT_EXCP_BASE + UD_VECTOR, BOCHS_KNOWN },
	{ .label = "gp", .code = z_gp, .rip = z_gp_at, .exit = SVM_EXIT_EXCP_BASE + GP_VECTOR, BOCHS_KNOWN },
	{ .label = "npf", .code = z_read, .rip = z_read, .exit = SVM_EXIT_NPF, .needs = "cpuid:npt tdp", BOCHS_KNOWN },
};

CASE(next_rip_zero, .says = "nRIP is zero after an exit that is for no instruction", .modes = LONG64,
     .needs = "vendor:amd nested cpuid:nrips", .rows = ROWS(rows))

GUEST(next_rip_zero)
{
	const struct row *row = GUEST_ROW(rows);

	l1_svm_init();
	/* One that has it, first. */
	vmcb_intercept(&l1_vmcb, SVM_EXIT_CPUID);
	l2_run(z_cpuid);
	CHECK_NEXT_RIP(z_cpuid + 2);

	if (row->exit == SVM_EXIT_NPF) {
		npt_build();
		*npt_entry(PAGE, 1, NPT_SCRATCH) &= ~PTE_P;
		l1_vmcb.control.nested_ctl = NP_ENABLE;
		l1_vmcb.control.nested_cr3 = (ulong_t)npt_root;
	} else {
		vmcb_intercept(&l1_vmcb, row->exit);
	}
	l1_vmcb.control.next_rip = POISON;
	l2_regs.rbx = PAGE;
	l2_run(row->code);
	CHECK_EXIT_CODE(row->exit);
	CHECK_EQ((ulong_t)row->rip, l1_vmcb.save.rip);
	CHECK_EQ(0, l1_vmcb.control.next_rip);
}

HOST(next_rip_zero)
{
	expect_done(t);
}

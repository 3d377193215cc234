/* SPDX-License-Identifier: MIT */
/*
 * #VMEXIT brings L1's CR4 back whatever L2's was, with L2's paging off: a bit that only L1 has is set again, one that
 * only L2 has is clear.
 *
 * Can break: L2's CR4 written to L1's state when the change of CR0.PG rebuilds the MMU.
 * Source: APM vol. 2, 15.6.
 */
#include "guests/l1_svm.h"
#include "case.h"

INSN(c_code, "vmmcall")

struct row {
	ROW_FIELDS;
};

static const struct row rows[] = {
	{ .label = "nested_paging", .needs = "tdp" },
	{ .label = "shadow", .needs = "param:kvm_amd.npt=0", .known = { "1004-l2-cr4-left-in-l1" } },
};

CASE(l1_cr4, .says = "L1's CR4 is back after an unpaged L2", .modes = LONG64, .needs = "vendor:amd nested",
     .rows = ROWS(rows))

GUEST(l1_cr4)
{
	uint64_t mine;

	write_cr4(read_cr4() | X86_CR4_TSD);
	mine = read_cr4();
	l1_svm_init();
	l1_vmcb.save.cs.attrib = 0xc9b;
	l1_vmcb.save.efer &= ~(EFER_LME | EFER_LMA);
	l1_vmcb.save.cr0 &= ~X86_CR0_PG;
	l1_vmcb.save.cr4 = X86_CR4_DE;
	l2_run(c_code);
	CHECK_EQ(mine, read_cr4());
	CHECK_L2_DONE(c_code);
	CHECK_EQ(X86_CR4_DE, l1_vmcb.save.cr4);
}

HOST(l1_cr4)
{
	expect_done(t);
}

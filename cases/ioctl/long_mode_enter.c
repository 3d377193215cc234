/* SPDX-License-Identifier: MIT */
/*
 * With EFER.LME set, paging is turned on only with CR4.PAE: else #GP(0), and neither CR0 nor EFER changes.
 *
 * Can break: the condition left out, in the CPU's exit or in KVM's emulator; EFER.LMA set by a write that was refused.
 * Cannot tell: the same of kvm-amd; QEMU 7.2 stands still in a guest that has LME set outside of long mode.
 * Source: APM vol. 2, 14.6.2 (activating long mode), 3.1.1 (CR0.PG); SDM vol. 3A, 9.8.5.
 */
#include "cases/mmu/forced.h"

struct row {
	ROW_FIELDS;
	bool is_forced;
};

static const struct row rows[] = {
	{ .label = "no_pae" },
	{ .label = "no_pae_forced", .needs = FORCED_NEEDS, .is_forced = true },
};

CASE(long_mode_enter, .says = "long mode is not entered without PAE", .modes = PROT32, .needs = "vendor:intel cpuid:lm",
     .shadow_too = true, .rows = ROWS(rows))

GUEST(long_mode_enter)
{
	uint64_t efer = rdmsr(MSR_EFER) | EFER_LME;
	ulong_t cr0 = read_cr0(), paged = cr0 | X86_CR0_PG;

	wrmsr(MSR_EFER, efer);
	CHECK_FAULT(GP_VECTOR, 0, GUEST_ROW(rows)->is_forced ?
		    TRY_FORCED("mov %0, %%cr0", : : "r"(paged) : "memory") : write_cr0_safe(paged));
	CHECK_EQ(cr0, read_cr0());
	CHECK_EQ(efer, rdmsr(MSR_EFER));
}

HOST(long_mode_enter)
{
	expect_done(t);
}

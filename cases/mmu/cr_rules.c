/* SPDX-License-Identifier: MIT */
/*
 * A write of CR0, CR3 or CR4 either takes effect, and reads back, or makes #GP(0) and changes no control register.
 *
 * Can break: a bit that KVM lets through, or refuses, in the wrong mode; a refused write that has changed half of the
 * state; a shadow of CR0 that reads as the CPU's value.
 * Source: APM vol. 2, 3.1; SDM vol. 3A, 2.5, vol. 2B, MOV to control registers.
 */
/* With nested paging this is between the guest and the CPU, and QEMU 7.2 checks nothing. */
#define CR3_NEEDS "param:kvm_amd.npt=0"
/* The CPU of lab-svm has no decode assists. */
#define UPPER_LOST_ON "lab-svm"

#include "cases/mmu/cr_rows.h"

CASE(cr_rules, .says = "a control register takes its legal bits and refuses the others with #GP(0)",
     .modes = EVERY_MODE | LA57, .rows = ROWS(rows), .shadow_too = true)

static struct fault write_plain(enum cr cr, ulong_t value)
{
	switch (cr) {
	case CR0:
		return TRY_PAE("", "mov %0, %%cr0", : : "r"(value) : "memory", "cc");
	case CR3:
		return TRY_PAE("", "mov %0, %%cr3", : : "r"(value) : "memory", "cc");
	default:
		return TRY_PAE("", "mov %0, %%cr4", : : "r"(value) : "memory", "cc");
	}
}

GUEST(cr_rules)
{
	cr_row_try(GUEST_ROW(rows), write_plain);
}

HOST(cr_rules)
{
	expect_done(t);
}

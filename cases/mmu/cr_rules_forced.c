/* SPDX-License-Identifier: MIT */
/*
 * The same writes as cr_rules, executed by KVM's emulator: it asks the same rules, also where the CPU would have
 * answered by itself (CR3 with nested paging, CR0.TS).
 *
 * Can break: a refusal that the emulator drops; a register that is written although the instruction faults.
 * Source: APM vol. 2, 3.1; SDM vol. 3A, 2.5, vol. 2B, MOV to control registers.
 */
#define CR3_NEEDS NULL
#define UPPER_LOST_ON NULL

#include "cases/mmu/cr_rows.h"
#include "cases/mmu/forced.h"

CASE(cr_rules_forced, .says = "KVM's emulator refuses and takes the same control register bits as the CPU",
     .modes = EVERY_MODE | LA57, .needs = FORCED_NEEDS, .rows = ROWS(rows))

static struct fault write_forced(enum cr cr, ulong_t value)
{
	switch (cr) {
	case CR0:
		return TRY_PAE(FORCED_PREFIX, "mov %0, %%cr0", : : "r"(value) : "memory", "cc");
	case CR3:
		return TRY_PAE(FORCED_PREFIX, "mov %0, %%cr3", : : "r"(value) : "memory", "cc");
	default:
		return TRY_PAE(FORCED_PREFIX, "mov %0, %%cr4", : : "r"(value) : "memory", "cc");
	}
}

GUEST(cr_rules_forced)
{
	cr_row_try(GUEST_ROW(rows), write_forced);
}

HOST(cr_rules_forced)
{
	expect_done(t);
}

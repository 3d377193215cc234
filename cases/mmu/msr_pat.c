/* SPDX-License-Identifier: MIT */
/*
 * Each of the eight fields of the PAT takes the types 0, 1, 4, 5, 6 and 7 and no other of the 256 values.
 *
 * Can break: a test of all fields at once by a mask that is wrong for one of them.
 * Source: APM vol. 2, 7.8.1; SDM vol. 3A, 12.12.2.
 */
#include "case.h"

struct row {
	ROW_FIELDS;
	uint8_t field;
};

static const struct row rows[] = {
	{ .label = "pa0", .field = 0 }, { .label = "pa1", .field = 1 }, { .label = "pa2", .field = 2 },
	{ .label = "pa3", .field = 3 }, { .label = "pa4", .field = 4 }, { .label = "pa5", .field = 5 },
	{ .label = "pa6", .field = 6 }, { .label = "pa7", .field = 7 },
};

CASE(msr_pat, .says = "each PAT field takes the six memory types and refuses all else with #GP(0)", .modes = LONG64,
     .rows = ROWS(rows), .shadow_too = true)

GUEST(msr_pat)
{
	unsigned int shift = GUEST_ROW(rows)->field * 8, type;
	uint64_t old, value;
	struct fault f;

	for (type = 0; type < 256; type++) {
		bool is_legal = type <= 7 && type != 2 && type != 3;

		old = rdmsr(MSR_IA32_PAT);
		value = (old & ~(0xffull << shift)) | (uint64_t)type << shift;
		f = wrmsr_safe(MSR_IA32_PAT, value);
		if (is_legal)
			CHECK_NO_FAULT(f);
		else
			CHECK_FAULT(GP_VECTOR, 0, f);
		CHECK_EQ(is_legal ? value : old, rdmsr(MSR_IA32_PAT));
	}
}

HOST(msr_pat)
{
	expect_done(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * Each two bits of the MSR permission map are an MSR's own, from one end of its three ranges to the other: with all bits
 * set but one, that access passes; with one bit set alone it exits, and the MSRs on both sides and the other direction
 * pass.
 *
 * Can break: KVM looks at its merged map's words for some MSRs and at L1's map for the rest: a bit or a word that is
 * another MSR's, a range that ends too early. msrpm_whole has the same of every MSR.
 * Source: APM vol. 2, 15.11.
 */
#include "cases/svm/msrpm_range.h"

struct row {
	ROW_FIELDS;
	struct msrpm_range range;
};

/* KVM's own map has bits for some of the MSRs from @first on. */
#define WORD(label_, first_) \
	{ .label = label_ "_read", .range = { .first = first_, .end = (first_) + 16, .step = 1 } },	\
	{ .label = label_ "_write", .range = { .is_write = true, .first = first_, .end = (first_) + 16, .step = 1 } }

static const struct row rows[] = {
	{ .label = "pass_read", .range = { .is_pass = true, .end = NR_RANGE_MSRS, .step = 16 } },
	{ .label = "pass_write", .range = { .is_pass = true, .is_write = true, .end = NR_RANGE_MSRS, .step = 16 } },
	{ .label = "one_bit_read", .range = { .end = NR_RANGE_MSRS, .step = 48 } },
	{ .label = "one_bit_write", .range = { .is_write = true, .end = NR_RANGE_MSRS, .step = 48 } },
	WORD("0", 0), WORD("sysenter", 0x170), WORD("1ff0", 0x1ff0), WORD("c0000000", RANGE_MSRS),
	WORD("efer", RANGE_MSRS + 0x80), WORD("fs_base", RANGE_MSRS + 0x100), WORD("c0001ff0", 2 * RANGE_MSRS - 16),
	WORD("c0010000", 2 * RANGE_MSRS), WORD("vm_cr", 2 * RANGE_MSRS + 0x110), WORD("c0011ff0", NR_RANGE_MSRS - 16),
};

CASE(msrpm_range, .says = "each bit of the MSR permission map is its own access's", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

GUEST(msrpm_range)
{
	msrpm_range_guest(&GUEST_ROW(rows)->range);
}

HOST(msrpm_range)
{
	expect_done(t);
}

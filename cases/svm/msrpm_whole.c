/* SPDX-License-Identifier: MIT */
/*
 * Every bit of the MSR permission map: clear alone, its access passes; set alone, it exits, and what is beside it passes.
 *
 * Can break: as in msrpm_range, which has a part of the MSRs.
 * Source: APM vol. 2, 15.11.
 */
#include "cases/svm/msrpm_range.h"

struct row {
	ROW_FIELDS;
	struct msrpm_range range;
};

#define THIRD(label_, nth_, ...) \
	{ .label = label_, .range = { .first = (nth_) * RANGE_MSRS, .end = ((nth_) + 1) * RANGE_MSRS, .step = 1, ##__VA_ARGS__ } }
#define THIRDS(label_, ...) \
	THIRD(label_ "_0", 0, ##__VA_ARGS__), THIRD(label_ "_c0000000", 1, ##__VA_ARGS__),		\
	THIRD(label_ "_c0010000", 2, ##__VA_ARGS__)

static const struct row rows[] = {
	THIRDS("pass_read", .is_pass = true), THIRDS("pass_write", .is_pass = true, .is_write = true),
	THIRDS("one_bit_read"), THIRDS("one_bit_write", .is_write = true),
};

CASE(msrpm_whole, .says = "each bit of the whole MSR permission map is its own access's", .modes = LONG64,
     .is_nightly = true, .timeout_ms = 60000, .needs = "vendor:amd nested", .rows = ROWS(rows))

GUEST(msrpm_whole)
{
	msrpm_range_guest(&GUEST_ROW(rows)->range);
}

HOST(msrpm_whole)
{
	expect_done(t);
}

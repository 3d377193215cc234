/* SPDX-License-Identifier: MIT */
/*
 * Every bit of the I/O permission map, with each size of an access: set alone, the access that has it exits, and those
 * on both sides of it pass.
 *
 * Can break: as in iopm_range, which has one port of 32.
 * Source: APM vol. 2, 15.10.1, 15.10.2.
 */
#include "cases/svm/iopm_range.h"

struct row {
	ROW_FIELDS;
	struct iopm_range range;
};

#define QUARTER(label_, size_, nth_) \
	{ .label = label_ #nth_, .range = { .size = size_, .first = (nth_) * (NR_PORTS / 4), \
	  .end = ((nth_) + 1) * (NR_PORTS / 4), .step = 1 } }
#define QUARTERS(label_, size_) \
	QUARTER(label_, size_, 0), QUARTER(label_, size_, 1), QUARTER(label_, size_, 2), QUARTER(label_, size_, 3)

static const struct row rows[] = { QUARTERS("byte_", 1), QUARTERS("word_", 2), QUARTERS("dword_", 4) };

CASE(iopm_whole, .says = "each bit of the whole I/O permission map is its own port's", .modes = LONG64,
     .is_nightly = true, .timeout_ms = 60000, .needs = "vendor:amd nested KVM_CAP_COALESCED_PIO", .rows = ROWS(rows))

GUEST(iopm_whole)
{
	iopm_range_guest(&GUEST_ROW(rows)->range);
}

HOST(iopm_whole)
{
	iopm_range_host(t, &ROW(t, rows)->range);
}

/* SPDX-License-Identifier: MIT */
/*
 * Each bit of the I/O permission map is its port's, from one end to the other: with all bits set but its own a port's
 * access passes, with one bit set alone it exits, and the accesses on both sides of it pass.
 *
 * Can break: a byte of the map or a bit of it that is another port's, in a part of the map that few use; a bit of the
 * access before or behind looked at; the last byte of a page. iopm_whole has the same of every port.
 * Source: APM vol. 2, 15.10.1, 15.10.2.
 */
#include "cases/svm/iopm_range.h"

struct row {
	ROW_FIELDS;
	struct iopm_range range;
};

static const struct row rows[] = {
	{ .label = "pass", .range = { .is_pass = true } },
	{ .label = "one_bit", .range = { .end = NR_PORTS, .step = 32 } },
	{ .label = "one_bit_first", .range = { .end = 32, .step = 1 } },
	{ .label = "one_bit_page_1", .range = { .first = 0x7ff0, .end = 0x8010, .step = 1 } },
	{ .label = "one_bit_last", .range = { .first = 0xffe0, .end = NR_PORTS, .step = 1 } },
};

CASE(iopm_range, .says = "each bit of the I/O permission map is its own port's", .modes = LONG64,
     .needs = "vendor:amd nested KVM_CAP_COALESCED_PIO", .rows = ROWS(rows))

GUEST(iopm_range)
{
	iopm_range_guest(&GUEST_ROW(rows)->range);
}

HOST(iopm_range)
{
	iopm_range_host(t, &ROW(t, rows)->range);
}

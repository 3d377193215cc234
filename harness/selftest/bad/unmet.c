/* SPDX-License-Identifier: MIT */
#include "case.h"

CASE(unmet, .says = "this machine is of another vendor", .modes = LONG64,
     .needs = "vendor:intel")

GUEST(unmet)
{
	out8(0x80, 0x5a);
}

HOST(unmet)
{
	expect_eq(t, 1, 2);
}

/* SPDX-License-Identifier: MIT */
#include "case.h"

CASE(good, .says = "an OUT reaches the host once, as it does", .modes = LONG64)

GUEST(good)
{
	out8(0x80, 0x5a);
}

HOST(good)
{
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 0x5a);
	expect_done(t);
}

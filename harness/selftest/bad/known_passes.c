/* SPDX-License-Identifier: MIT */
#include "case.h"

CASE(known_passes, .says = "an OUT fails, which is written up",
     .modes = LONG64, .known = { .finding = "0000-example", .kernels = "1.0.." })

GUEST(known_passes)
{
	out8(0x80, 0x5a);
}

HOST(known_passes)
{
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 0x5a);
	expect_done(t);
}

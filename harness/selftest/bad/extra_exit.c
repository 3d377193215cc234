/* SPDX-License-Identifier: MIT */
#include "case.h"

CASE(extra_exit, .says = "two OUTs are one", .modes = LONG64)

GUEST(extra_exit)
{
	out8(0x80, 0x5a);
	out8(0x81, 0x5b);
}

HOST(extra_exit)
{
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 0x5a);
	expect_done(t);	/* here */
}

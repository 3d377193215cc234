/* SPDX-License-Identifier: MIT */
#include "case.h"

CASE(wrong_field, .says = "an OUT of 0x5a is one of 0x5b", .modes = LONG64)

GUEST(wrong_field)
{
	out8(0x80, 0x5a);
}

HOST(wrong_field)
{
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 0x5b);	/* here */
	expect_done(t);
}

/* SPDX-License-Identifier: MIT */
#include "case.h"

CASE(known, .says = "an OUT of 0x5a is one of 0x5b, which is written up",
     .modes = LONG64, .known = { .finding = "0000-example", .targets = "lab-*" })

GUEST(known)
{
	out8(0x80, 0x5a);
}

HOST(known)
{
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 0x5b);	/* here */
	expect_done(t);
}

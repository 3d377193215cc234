/* SPDX-License-Identifier: MIT */
#include "case.h"

CASE(missing_exit, .says = "a guest that does nothing does an OUT", .modes = LONG64)

GUEST(missing_exit)
{
}

HOST(missing_exit)
{
	require_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 0x5a);	/* here */
	expect_done(t);
}

/* SPDX-License-Identifier: MIT */
/* The guest image that the harness's own tests load; nothing ever runs it. */
#include "case.h"

CASE(fake, .says = "the harness loads a guest and finds its lines", .modes = REAL16 | PAE32 | LONG64)

GUEST(fake)
{
	out8(0x80, 0x5a);
}

HOST(fake)
{
	expect_done(t);
}

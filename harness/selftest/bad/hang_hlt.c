/* SPDX-License-Identifier: MIT */
#include "case.h"

CASE(hang_hlt, .says = "a halted guest with interrupts off is done", .modes = LONG64,
     .irqchip = true)

GUEST(hang_hlt)
{
	cli();
	hlt();
}

HOST(hang_hlt)
{
	expect_done(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * OUT to a port that nobody claims leaves KVM_RUN exactly once, naming port, operand size, count and the value written;
 * an IN takes what user space answers. The smallest case there is: start from it.
 *
 * Can break: size taken from the wrong bits of EXITINFO1; RIP advanced before completion.
 * Source: APM vol. 2, 15.10.2; KVM API, KVM_EXIT_IO.
 */
#include "case.h"

CASE(pio_hello, .says = "OUT and IN reach user space once, with the value", .modes = LONG64)

GUEST(pio_hello)
{
	out8(0x80, 0x5a);
	CHECK_EQ(0xa5, in8(0x81));
}

HOST(pio_hello)
{
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 0x5a);
	expect_pio_in(t, 0xa5, .port = 0x81, .size = 1, .count = 1);
	expect_done(t);
}

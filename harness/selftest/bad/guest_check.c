/* SPDX-License-Identifier: MIT */
#include "case.h"

CASE(guest_check, .says = "one is two", .modes = LONG64)

GUEST(guest_check)
{
	CHECK_EQ(1, 1);
	CHECK_EQ(1, abi_self()->nr_vcpus + 1);	/* here */
}

HOST(guest_check)
{
	expect_done(t);
}

/* SPDX-License-Identifier: MIT */
#include "case.h"

#include <unistd.h>

CASE(leaves_3, .says = "a host that leaves with 3 passes", .modes = LONG64)

GUEST(leaves_3)
{
}

HOST(leaves_3)
{
	expect_done(t);
	_exit(3);
}

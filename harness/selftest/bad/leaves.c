/* SPDX-License-Identifier: MIT */
#include "case.h"

#include <unistd.h>

CASE(leaves, .says = "a host that leaves passes", .modes = LONG64)

GUEST(leaves)
{
}

HOST(leaves)
{
	expect_done(t);
	_exit(0);
}

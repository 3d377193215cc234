/* SPDX-License-Identifier: MIT */
#include "case.h"

#include <unistd.h>

CASE(hang_host, .says = "a host that waits for nothing ends", .modes = LONG64)

GUEST(hang_host)
{
}

HOST(hang_host)
{
	expect_done(t);
	for (;;)
		pause();
}

/* SPDX-License-Identifier: MIT */
#include "case.h"

#include <signal.h>

CASE(killed, .says = "a host that is killed passes", .modes = LONG64)

GUEST(killed)
{
}

HOST(killed)
{
	expect_done(t);
	raise(SIGKILL);
}

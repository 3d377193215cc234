/* SPDX-License-Identifier: MIT */
#include "case.h"

#include <unistd.h>

CASE(killed_outside, .says = "there is time to kill the emulator", .modes = NO_GUEST,
     .alone = true)

HOST(killed_outside)
{
	sleep(5);
	expect_true(t, t->vcpu);
}

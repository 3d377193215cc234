/* SPDX-License-Identifier: MIT */
#include "case.h"

CASE(no_check, .says = "nothing is claimed", .modes = LONG64)

GUEST(no_check)
{
	out8(0x80, 0x5a);
}

HOST(no_check)
{
	(void)vcpu_run_try(t->vcpu);
}

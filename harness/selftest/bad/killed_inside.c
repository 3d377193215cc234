/* SPDX-License-Identifier: MIT */
#include "case.h"

#include <unistd.h>

CASE(killed_inside, .says = "a host that is killed inside KVM_RUN passes", .modes = LONG64)

GUEST(killed_inside)
{
	__asm__ volatile("jmp .");
}

HOST(killed_inside)
{
	alarm(1);
	expect_done(t);
}

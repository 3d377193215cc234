/* SPDX-License-Identifier: MIT */
#include "case.h"

CASE(hang_jmp, .says = "a guest that never leaves is done", .modes = LONG64)

GUEST(hang_jmp)
{
	__asm__ volatile("jmp .");	/* here */
}

HOST(hang_jmp)
{
	expect_done(t);
}

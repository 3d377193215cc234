/* SPDX-License-Identifier: MIT */
#include "case.h"

CASE(unexpected_exception, .says = "UD2 is no fault", .modes = REAL16 | PAE32 | LONG64)

GUEST(unexpected_exception)
{
	__asm__ volatile("ud2");	/* here */
}

HOST(unexpected_exception)
{
	expect_done(t);
}

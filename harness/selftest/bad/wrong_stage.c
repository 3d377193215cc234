/* SPDX-License-Identifier: MIT */
#include "case.h"

CASE(wrong_stage, .says = "the second stage is the first", .modes = LONG64)

GUEST(wrong_stage)
{
	guest_sync(2);
}

HOST(wrong_stage)
{
	expect_sync(t, 1);	/* here */
	expect_done(t);
}

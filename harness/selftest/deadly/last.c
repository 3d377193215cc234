/* SPDX-License-Identifier: MIT */
#include "case.h"

CASE(last, .says = "it comes after the others and passes", .modes = NO_GUEST)

HOST(last)
{
	expect_true(t, t->vcpu);
}

/* SPDX-License-Identifier: MIT */
#include "case.h"

CASE(first, .says = "it comes before the others and passes", .modes = NO_GUEST)

HOST(first)
{
	expect_true(t, t->vcpu);
}

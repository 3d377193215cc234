/* SPDX-License-Identifier: MIT */
/*
 * A guest starts, reaches its code in memory, and KVM_RUN comes back. Only that: how it comes back is for other cases,
 * so that a KVM with a wrong exit fails those and does not pass for a broken environment.
 */
#include "case.h"

CASE(canary, .says = "a guest's code runs and KVM_RUN returns", .modes = LONG64, .is_canary = true)

GUEST(canary)
{
	CHECK_EQ(ABI_MAGIC, abi_self()->magic);
	GUEST_VALUE(0, 0x600d);
}

HOST(canary)
{
	(void)vcpu_run_try(t->vcpu);
	require_eq(t, 0x600d, guest_value(t, 0));
}

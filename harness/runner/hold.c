/* SPDX-License-Identifier: MIT */
#include "runner/hold.h"

#include <stddef.h>

#include "runner/trace.h"

void hold_open(struct hold *hold, struct sys *sys)
{
	struct vcpu *vcpu;

	*hold = (struct hold){ 0 };
	if (!vm_create_try(sys, &hold->vm))
		vcpu_create_try(hold->vm, 0, &vcpu);
	if (trace_open(&hold->trace, NULL))
		hold->trace = NULL;
}

void hold_close(struct hold *hold)
{
	trace_close(hold->trace);
	vm_destroy(hold->vm);
	*hold = (struct hold){ 0 };
}

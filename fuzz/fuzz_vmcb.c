/* SPDX-License-Identifier: MIT */
/* VMCB inputs on the machine: no oracle may have anything against any run. */
#include "fuzz/vmcb_ops.h"
#include "one_input.h"
#include "target.h"

const struct input_domain *const mutator_domain = &vmcb_domain;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
	return one_input(&vmcb_domain, data, len_bytes);
}

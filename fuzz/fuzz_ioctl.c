/* SPDX-License-Identifier: MIT */
/* Sequences of system calls on the soft hypervisor: no oracle may have anything against any call or exit. */
#include "fuzz/ioctl_ops.h"
#include "one_input.h"
#include "target.h"

const struct input_domain *const mutator_domain = &ioctl_domain;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
	return one_input(&ioctl_domain, data, len_bytes);
}

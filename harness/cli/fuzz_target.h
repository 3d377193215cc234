/* SPDX-License-Identifier: MIT */
/* What runs fuzzed inputs, by name: what every domain has (fuzz/executor.h), and hypervisors with a nested guest. */
#ifndef VMASSAY_CLI_FUZZ_TARGET_H
#define VMASSAY_CLI_FUZZ_TARGET_H

#include "fuzz/executor.h"

struct err;

/* True for a name that some domain has here. "kvm" is one inside a lab only: nobody else's /dev/kvm is fuzzed. */
bool fuzz_target_is(const char *target);
/* As executor_new(). */
int fuzz_target_open(const struct input_domain *domain, const char *target, struct executor **ret, struct err *err);

#endif

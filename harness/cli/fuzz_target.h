/* SPDX-License-Identifier: MIT */
/* What runs fuzzed inputs, by name: what every domain has (fuzz/executor.h), and hypervisors with a nested guest. */
#ifndef VMASSAY_CLI_FUZZ_TARGET_H
#define VMASSAY_CLI_FUZZ_TARGET_H

#include "fuzz/executor.h"

struct err;

/*
 * 0, or EXIT_USAGE behind a line that begins with @command: there is no such target, or it is this kernel's own KVM and
 * nobody has said that it may be broken. NULL is fine. "kvm" runs vmcb's inputs inside a lab only.
 */
int fuzz_target_check(const char *command, const char *target, bool may_danger);
/* As executor_new(). */
int fuzz_target_open(const struct input_domain *domain, const char *target, struct executor **ret, struct err *err);
/* Makes *@executor, which may be NULL, one for inputs of @domain, unless it is one already. NULL behind an error. */
int fuzz_target_switch(const struct input_domain *domain, const char *target, struct executor **executor, struct err *err);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The executor of "vmcb" inputs on a hypervisor with a nested guest, judged by the machine: each input runs on both, and
 * what differs and is not known (nested_known.c) breaks the oracle.
 */
#ifndef VMASSAY_FUZZ_NESTED_EXECUTOR_H
#define VMASSAY_FUZZ_NESTED_EXECUTOR_H

#include "fuzz/executor.h"
#include "fuzz/nested.h"

struct err;
struct kvm_cpuid2;
struct nested_known;
struct sys;

/* @target: "soft-svm", or "kvm", which is /dev/kvm. Uses SIGALRM or SIGPROF for those that do not come back. */
int nested_executor_open(const char *target, struct executor **ret, struct err *err);

/*
 * On the caller's @sys, which outlives it and says what becomes of calls that must succeed; without a clock, so that the
 * caller ends what does not come back. -ENOTSUP and a line: no nested SVM.
 */
int nested_executor_open_on(struct sys *sys, struct executor **ret, struct err *err);

/* The target alone, for measuring; lives as long as @executor. */
struct nested *nested_executor_target(struct executor *executor);

/* What KVM offers; the executor's. */
struct kvm_cpuid2 *nested_executor_cpuid(struct executor *executor);

/* Of the last run: why what it differs in is nothing, or NULL. */
const struct nested_known *nested_executor_explained(const struct executor *executor);
/* Whether the last input has an end on the machine, and so was run. */
bool nested_executor_has_run(const struct executor *executor);

/* How often a known difference was met, by the index in nested_known. */
const uint64_t *nested_executor_known(const struct executor *executor);

#endif

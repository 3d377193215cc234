/* SPDX-License-Identifier: MIT */
/*
 * Runs inputs of "vmcb" on a hypervisor behind KVM's system calls: L1 is a guest that executes VMRUN, in a VM whose RAM at
 * address 0 is the inputs' world (vmcb_world.h). The VM and L1 persist; what an input has changed is checked and put back
 * before the next one. An input costs one KVM_RUN for each VMRUN and what L2 itself exits to user space for.
 *
 * Without interrupt controllers in the kernel: INTR, NMI and SMI pins are KVM_INTERRUPT, KVM_NMI and KVM_SMI; there is no
 * INIT, and an input that asserts it has no comparable outcome from there on (VMCB_END_UNIMPLEMENTED).
 */
#ifndef VMASSAY_FUZZ_NESTED_H
#define VMASSAY_FUZZ_NESTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fuzz/input.h"
#include "fuzz/vmcb_outcome.h"
#include "fuzz/vmcb_world.h"

struct err;
struct machine_cpuid;
struct nested;
struct sys;

/* What one input came to, beside the outcomes: the VMCB before and after each VMRUN. */
struct nested_trace {
	struct vmcb before[VMCB_MAX_RUNS], after[VMCB_MAX_RUNS];
};

struct nested_counts {
	uint64_t nr_runs, nr_entries;	/* KVM_RUNs, VMRUNs */
	uint64_t nr_resets;		/* inputs whose state took more than a look to put back */
	uint64_t nr_made;		/* VMs */
	uint64_t nr_migrations;		/* of L2, out of KVM and back */
};

/*
 * @sys is the caller's and outlives it; its must_failed() is called for what must not fail. -ENOTSUP and a line: no nested
 * SVM. *@ret is untouched on failure.
 */
int nested_open(struct sys *sys, struct nested **ret, struct err *err);
void nested_close(struct nested *n);	/* NULL is fine */

/* What the vCPU is told by CPUID: what both KVM and the machine have. To make a machine for comparison by. */
const struct machine_cpuid *nested_cpuid(const struct nested *n, size_t *ret_nr);

/*
 * Fills *@result but its hash. @touched: a bit for each page that is worth a look, because another target wrote it; NULL:
 * all are. .violation is about L1: what must be as VMRUN found it, and is not. @trace may be NULL.
 */
void nested_run(struct nested *n, const struct input *input, const uint64_t *touched, struct vmcb_result *result,
		struct nested_trace *trace);

/*
 * Behind an input that did all that was foreseen: now and then at all pages. One that was written and was not in @touched is a
 * violation.
 */
void nested_look_around(struct nested *n, struct vmcb_result *result);

/* The last input did something else than was foreseen: it may have written anywhere. */
void nested_suspect_all(struct nested *n);

/* The RAM as the last input left it. */
const uint8_t *nested_ram(const struct nested *n);
struct nested_counts nested_counts(const struct nested *n);

/* A new VM for each input instead. */
void nested_set_fresh(struct nested *n, bool is_fresh);
/* Until earlier VMs have ended, for which a new one does not wait. */
void nested_vms_wait(struct nested *n);

/*
 * From now on it is a violation when VMRUN of a short input reads a field of the VMCB twice: L1's other vCPUs may change it in between. For
 * hypervisors in this thread, and where the system has breakpoints for it. False: it has none.
 */
bool nested_watch_fetches(struct nested *n);

/* From a signal handler, now and then: a run that has seen two of these ends as VMCB_END_BUDGET. */
void nested_tick(struct nested *n);

#endif

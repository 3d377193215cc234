/* SPDX-License-Identifier: MIT */
/*
 * Runs inputs of "vmcb" on the machine (machine/svm.h), with L1 as C code that calls VMRUN. Every input begins in the
 * golden state; what it comes to is a function of the input alone.
 */
#ifndef VMASSAY_FUZZ_VMCB_MACHINE_H
#define VMASSAY_FUZZ_VMCB_MACHINE_H

#include "fuzz/input.h"
#include "fuzz/vmcb_outcome.h"

struct machine_cpuid;
struct vmcb_machine;

/* NULL: out of memory. */
struct vmcb_machine *vmcb_machine_new(void);
/* The same with another CPUID than the machine's own, to be compared with a target that has it. */
struct vmcb_machine *vmcb_machine_new_with(const struct machine_cpuid *cpuid, size_t nr_cpuid);
void vmcb_machine_free(struct vmcb_machine *m);		/* NULL is fine */
/* Fills *@result, with the first violation if there is one. @input is of vmcb_domain. */
void vmcb_machine_run(struct vmcb_machine *m, const struct input *input, struct vmcb_result *result);

/* From now on the VMCB that each VMRUN of an input leaves is copied to @after[VMCB_MAX_RUNS], the caller's; NULL ends it. */
void vmcb_machine_keep(struct vmcb_machine *m, struct vmcb *after);
/* RAM as the last input left it, and a bit for each page that anybody wrote in that input. */
const uint8_t *vmcb_machine_ram(const struct vmcb_machine *m);
const uint64_t *vmcb_machine_changed(const struct vmcb_machine *m);

#endif

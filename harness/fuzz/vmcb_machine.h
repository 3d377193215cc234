/* SPDX-License-Identifier: MIT */
/*
 * Runs inputs of "vmcb" on the machine (machine/svm.h), with L1 as C code that calls VMRUN. Every input begins in the
 * golden state; what it comes to is a function of the input alone.
 */
#ifndef VMASSAY_FUZZ_VMCB_MACHINE_H
#define VMASSAY_FUZZ_VMCB_MACHINE_H

#include "fuzz/input.h"
#include "fuzz/vmcb_outcome.h"

struct vmcb_machine;

/* NULL: out of memory. */
struct vmcb_machine *vmcb_machine_new(void);
void vmcb_machine_free(struct vmcb_machine *m);		/* NULL is fine */
/* Fills *@result, with the first violation if there is one. @input is of vmcb_domain. */
void vmcb_machine_run(struct vmcb_machine *m, const struct input *input, struct vmcb_result *result);

#endif

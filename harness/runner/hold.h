/* SPDX-License-Identifier: MIT */
/*
 * What the kernel sets up for a first user and tears down behind the last one, held as long as a run: the virtualisation
 * extensions of all CPUs and the code patched for the first VM and the first vCPU, and the tracepoints' first listener.
 * Without it every test pays for both, most of all in an emulator, where patched code is translated again.
 */
#ifndef VMASSAY_HOLD_H
#define VMASSAY_HOLD_H

#include "vm/vm.h"

struct trace;

struct hold {
	struct vm *vm;		/* NULL: none could be made, which is a test's business to say */
	struct trace *trace;	/* NULL: no tracing here */
};

void hold_open(struct hold *hold, struct sys *sys);
void hold_close(struct hold *hold);

#endif

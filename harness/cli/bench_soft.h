/* SPDX-License-Identifier: MIT */
/* The self-contained hypervisor's speed, on this machine's CPU and nothing else of it. */
#ifndef VMASSAY_BENCH_SOFT_H
#define VMASSAY_BENCH_SOFT_H

/* Prints a line for each kind of work. An exit code. */
int bench_soft(void);

#endif

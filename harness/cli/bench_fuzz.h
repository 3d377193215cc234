/* SPDX-License-Identifier: MIT */
/* The rates of the fuzzers' executors, on this machine's CPU and nothing else of it. */
#ifndef VMASSAY_BENCH_FUZZ_H
#define VMASSAY_BENCH_FUZZ_H

/* Prints a line for each kind of input. An exit code. */
int bench_fuzz(void);

/* The same of a hypervisor with a nested guest (bench_nested.c). @target as nested_executor_open() has it. */
int bench_nested(const char *target);

#endif

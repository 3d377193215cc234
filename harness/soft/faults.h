/* SPDX-License-Identifier: MIT */
/*
 * SIGSEGV and SIGBUS of a thread, for code that can do something about them. Handlers that were there before get what is
 * not wanted here; one that somebody sets later gets all.
 */
#ifndef VMASSAY_SOFT_FAULTS_H
#define VMASSAY_SOFT_FAULTS_H

#include <stdint.h>

/* Returns where the fault is not its own; otherwise leaves by a jump. */
typedef void fault_fn(void *opaque, uintptr_t address);

/* Sets the process' handlers, the first time. */
void faults_init(void);
/* Sets them where others have taken their place since. */
void faults_renew(void);
/* Who is told. */
struct fault_watch {
	fault_fn *fn;			/* NULL: nobody */
	void *opaque;
};

/* This thread's, until faults_unwatch() or another; the one before. */
struct fault_watch faults_watch(fault_fn *fn, void *opaque);
void faults_unwatch(void);

#endif

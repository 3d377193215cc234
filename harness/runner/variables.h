/* SPDX-License-Identifier: MIT */
/*
 * The program's own variables, of cases and harness alike, put back to what they were: what one test has written there is
 * not what the next one in the same process begins with. The C library's and other libraries' are not among them, nor is
 * the heap.
 */
#ifndef VMASSAY_VARIABLES_H
#define VMASSAY_VARIABLES_H

/* What they are now is kept, for this process and those it forks. 0 or -errno: they cannot be put back. */
int variables_keep(void);

/* In a process that has one thread. */
void variables_restore(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * How often this thread touches some places of its memory: the CPU's own breakpoints count, so that what reads a place twice
 * is seen whoever it is, and however fast.
 */
#ifndef VMASSAY_FUZZ_TOUCHES_H
#define VMASSAY_FUZZ_TOUCHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOUCHES_MAX 4		/* breakpoints of a CPU */

struct touches;

/* SIGTRAP is ignored from then on, if nobody handles it. For accesses to the 8 aligned bytes at each of @places; off as yet. NULL: this system gives no breakpoints. */
struct touches *touches_open(const void *const *places, size_t nr);
void touches_close(struct touches *touches);		/* NULL is fine */

/* While it is on each access takes a trap. */
void touches_set(struct touches *touches, bool is_on);
/* Since they were opened, by place. */
void touches_read(const struct touches *touches, uint64_t *counts);

#endif

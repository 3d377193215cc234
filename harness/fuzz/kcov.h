/* SPDX-License-Identifier: MIT */
/*
 * Which code of the running kernel this thread's system calls went through, on a kernel that tells (ci/kernel/build kcov).
 *
 * Source: Documentation/dev-tools/kcov.rst.
 */
#ifndef VMASSAY_FUZZ_KCOV_H
#define VMASSAY_FUZZ_KCOV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Addresses are told from here on, in a kernel without KASLR: those of its image. */
#define KCOV_BASE UINT64_C(0xffffffff81000000)

struct kcov;

/* NULL: this kernel does not tell. From now on this thread is watched. */
struct kcov *kcov_open(void);
void kcov_close(struct kcov *kcov);	/* NULL is fine */

void kcov_begin(struct kcov *kcov);
/* Calls @on_new for each place that was never met before, as an offset from KCOV_BASE; returns how many. */
unsigned int kcov_take(struct kcov *kcov, void (*on_new)(void *context, uint32_t offset), void *context);

/* It was met before: by another thread, or another machine. */
void kcov_mark(struct kcov *kcov, uint32_t offset);

/*
 * Between the two, comparisons are told instead of places; false: this kernel does not tell them. Calls @on_word for each
 * constant of two bytes or more that the kernel compared something else with, as often as it did.
 */
bool kcov_words_begin(struct kcov *kcov);
void kcov_words_end(struct kcov *kcov, void (*on_word)(void *context, uint64_t value), void *context);

/* How many places were met. */
uint64_t kcov_nr(const struct kcov *kcov);

#endif

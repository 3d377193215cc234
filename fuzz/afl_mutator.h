/* SPDX-License-Identifier: MIT */
/* What AFL++ looks up in a custom mutator's library (its docs/custom_mutators.md); those that we have. */
#ifndef VMASSAY_FUZZ_AFL_MUTATOR_H
#define VMASSAY_FUZZ_AFL_MUTATOR_H

#include <stddef.h>
#include <stdint.h>

/* NULL: out of memory. @afl is not looked at. */
void *afl_custom_init(void *afl, unsigned int seed);
void afl_custom_deinit(void *mutator);
/* *@out lives until the next call; returns its length, at most @max_bytes, or 0: no mutant. */
size_t afl_custom_fuzz(void *mutator, uint8_t *data, size_t len_bytes, uint8_t **out, uint8_t *other, size_t other_bytes,
		       size_t max_bytes);
/* Trimming: the number of steps; a step's input; whether it did the same, and the number of steps that are done. */
int32_t afl_custom_init_trim(void *mutator, uint8_t *data, size_t len_bytes);
size_t afl_custom_trim(void *mutator, uint8_t **out);
int32_t afl_custom_post_trim(void *mutator, unsigned char is_same);

#endif

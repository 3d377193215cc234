/* SPDX-License-Identifier: MIT */
/*
 * What a fuzz target is: one function over bytes, as libFuzzer and AFL++ call it. The same file is linked with libFuzzer
 * (-Dfuzzers=enabled) or with driver.c, which replays a corpus and mutates it a little, without any fuzzer.
 */
#ifndef VMASSAY_FUZZ_TARGET_H
#define VMASSAY_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

/* Returns 0, or -1: not worth keeping. What must not be ends the process by abort(), with a line on stderr before. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

/*
 * Makes a mutant of at most @max_bytes in place, and returns its length (mutator.c: of inputs in text; targets of plain
 * bytes have none).
 */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len_bytes, size_t max_bytes, unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_bytes, const uint8_t *other, size_t other_bytes, uint8_t *out,
				 size_t max_bytes, unsigned int seed);

struct input_domain;
/* With mutator.c: what an input that cannot be read is taken for an empty one of. */
extern const struct input_domain *const mutator_domain;

#endif

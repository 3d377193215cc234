/* SPDX-License-Identifier: MIT */
/* Inputs in text, from bytes that a fuzzer has and back to them: what the mutators for libFuzzer and AFL++ share. */
#ifndef VMASSAY_FUZZ_MUTATE_TEXT_H
#define VMASSAY_FUZZ_MUTATE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "fuzz/input.h"

/* What cannot be read is as good as nothing: the golden state of @domain. */
void text_read_or_golden(const uint8_t *data, size_t len_bytes, const struct input_domain *domain, struct input *input);
/* At most @max_bytes: an input that does not fit loses its last operations. 0: not even that does. */
size_t text_write(struct input *input, uint8_t *out, size_t max_bytes);

#endif

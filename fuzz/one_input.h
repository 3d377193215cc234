/* SPDX-License-Identifier: MIT */
/* What targets that run inputs of one domain have in common. */
#ifndef VMASSAY_FUZZ_ONE_INPUT_H
#define VMASSAY_FUZZ_ONE_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "fuzz/input.h"

/*
 * Runs @data on the domain's first target: no oracle may have anything against it. Some inputs run twice, always the same
 * ones. 0, or -1: it is no input of @domain.
 */
int one_input(const struct input_domain *domain, const uint8_t *data, size_t len_bytes);

#endif

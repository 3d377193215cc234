/* SPDX-License-Identifier: MIT */
/* Interrupt controllers: not connected yet, so that their requests are unknown ones. */
#include "soft/private.h"

const struct answer chip_answers[] = { { 0, NULL, false } };
const struct answer chip_vcpu_answers[] = { { 0, NULL, false } };

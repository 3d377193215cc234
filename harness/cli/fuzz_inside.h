/* SPDX-License-Identifier: MIT */
/* What agents inside a lab have in common: lines to the outside, and what the kernel says meanwhile. */
#ifndef VMASSAY_CLI_FUZZ_INSIDE_H
#define VMASSAY_CLI_FUZZ_INSIDE_H

#include <stdbool.h>

#include "kernel_log.h"

struct json_object;
struct kmsg;

/* NULL without memory, as reports/json_add.h has it. */
struct json_object *inside_line_new(const char *type, const char *event);
/* Takes @line; NULL is fine. */
void inside_line_send(struct json_object *line);

/* True where the kernel has reported something since the last call; *@known is the finding that has it, or NULL. */
bool inside_kernel_hear(struct kmsg *kmsg, struct kernel_words *ret, const char **known);

#endif

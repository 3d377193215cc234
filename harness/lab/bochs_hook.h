/* SPDX-License-Identifier: MIT */
/* What the library that is loaded into Bochs and its user agree on (bochs_hook.c). */
#ifndef VMASSAY_LAB_BOCHS_HOOK_H
#define VMASSAY_LAB_BOCHS_HOOK_H

#include <stddef.h>

/* Environment: the number of the monitor's descriptor; the file of a saved machine's memory. */
#define BOCHS_HOOK_MONITOR	"VMASSAY_BOCHS_MONITOR"
#define BOCHS_HOOK_MEMORY	"VMASSAY_BOCHS_MEMORY"

/* Lines from the hook: at the first prompt, and for each folder (a string) that it is sent. */
#define BOCHS_HOOK_READY	"ready\n"
#define BOCHS_HOOK_DONE		"saved\n"
#define BOCHS_HOOK_FAILED	"wrong\n"

/* All are of this length. */
enum { BOCHS_HOOK_LINE_BYTES = sizeof(BOCHS_HOOK_READY) - 1 };

/* The library itself, as a file has it. */
extern const char bochs_hook_start[];
extern const char bochs_hook_end[];

#endif

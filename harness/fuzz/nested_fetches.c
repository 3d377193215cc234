/* SPDX-License-Identifier: MIT */
/* Whether VMRUN reads the VMCB twice. */
#include "fuzz/nested_private.h"

#include <stdio.h>

#include "fuzz/touches.h"

#define WATCHED_OPS 2		/* of an input whose reads of the VMCB are counted */

/* Fields that no #VMEXIT writes, and not next to the page's ends, where a copy by wide words may overlap itself. */
static const struct {
	const char *name;
	size_t offset;
} watched_fields[TOUCHES_MAX] = {
	{ "msrpm_base_pa", offsetof(struct vmcb, control.msrpm_base_pa) }, { "asid", offsetof(struct vmcb, control.asid) },
	{ "nested_ctl", offsetof(struct vmcb, control.nested_ctl) },
	{ "nested_cr3", offsetof(struct vmcb, control.nested_cr3) },
};

bool nested_watch_fetches(struct nested *n)
{
	const void *places[TOUCHES_MAX];
	size_t i;

	for (i = 0; i < TOUCHES_MAX; i++)
		places[i] = n->ram + VMCB_VMCB_GPA + watched_fields[i].offset;
	n->fetches = touches_open(places, TOUCHES_MAX);
	return n->fetches;
}

/* A trap takes longer than most inputs, so it is short ones that are looked at, which what is found becomes anyway. */
void nested_fetches_begin(struct nested *n, const struct input *input)
{
	if (!n->fetches)
		return;
	n->is_watched = input->nr_ops <= WATCHED_OPS;
	touches_set(n->fetches, n->is_watched);
}

/* L2 may read L1's memory, too, where it has a way to it. */
enum stop nested_vmrun_watched(struct nested *n, struct vmcb_result *result)
{
	bool is_watched = n->is_watched && vmcb_program_is_isolated(&n->program);
	uint64_t before[TOUCHES_MAX], after[TOUCHES_MAX];
	enum stop stop;
	size_t i;

	if (!is_watched)
		return nested_script_run(n);
	touches_read(n->fetches, before);
	stop = nested_script_run(n);
	touches_read(n->fetches, after);
	for (i = 0; i < TOUCHES_MAX; i++)
		if (after[i] - before[i] > 1 && !result->violation[0])
			snprintf(result->violation, sizeof(result->violation), "VMRUN reads %s of the VMCB %llu times",
				 watched_fields[i].name, (unsigned long long)(after[i] - before[i]));
	return stop;
}

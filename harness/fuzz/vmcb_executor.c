/* SPDX-License-Identifier: MIT */
/* The machine as what runs inputs of "vmcb": a line for each VMRUN, and one for memory. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "fuzz/executor.h"
#include "fuzz/vmcb_machine.h"

_Static_assert(VMCB_NR_FEATURES <= EXECUTOR_NR_FEATURES && VMCB_MAX_FEATURES <= EXECUTOR_MAX_FEATURES, "they fit");
_Static_assert(sizeof(((struct vmcb_result *)0)->violation) <= EXECUTOR_VIOLATION_BYTES, "it fits");

struct vmcb_executor {
	struct executor executor;	/* first: the functions find the rest behind it */
	struct vmcb_machine *machine;
	struct vmcb_result result;
};

static void executor_run(struct executor *executor, const struct input *input, struct trial *trial)
{
	struct vmcb_executor *vmcb = (struct vmcb_executor *)executor;

	vmcb_machine_run(vmcb->machine, input, &vmcb->result);
	strcpy(trial->violation, vmcb->result.violation);
	trial->nr_features = vmcb_result_features(&vmcb->result, trial->features);
	trial->nr_lines = vmcb->result.nr_runs + 1;
	trial->is_cut = false;
	trial->hash = vmcb->result.memory_hash;
}

static size_t executor_line(const struct executor *executor, unsigned int n, char *buf, size_t len_bytes)
{
	const struct vmcb_result *result = &((const struct vmcb_executor *)executor)->result;

	if (n < result->nr_runs)
		return vmcb_outcome_print(&result->runs[n], buf, len_bytes);
	return (size_t)snprintf(buf, len_bytes, "memory=0x%016" PRIx64, result->memory_hash);
}

static void vmcb_executor_free(struct executor *executor)
{
	vmcb_machine_free(((struct vmcb_executor *)executor)->machine);
	free(executor);
}

int vmcb_executor_new(struct executor **ret, struct err *err)
{
	struct vmcb_executor *vmcb = calloc(1, sizeof(*vmcb));
	struct vmcb_machine *machine = vmcb ? vmcb_machine_new() : NULL;

	if (!machine) {
		free(vmcb);
		return err_set(err, ENOMEM, "%s", strerror(ENOMEM));
	}
	vmcb->executor = (struct executor){ .run = executor_run, .line = executor_line, .free = vmcb_executor_free,
		.is_exact = true };
	vmcb->machine = machine;
	*ret = &vmcb->executor;
	return 0;
}

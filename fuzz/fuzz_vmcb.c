/* SPDX-License-Identifier: MIT */
/* VMCB inputs on the machine: no oracle may have anything against any run. */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz/vmcb_machine.h"
#include "fuzz/vmcb_ops.h"
#include "target.h"

/* libFuzzer takes them for coverage: how runs ended. */
__attribute__((used, section("__libfuzzer_extra_counters"))) static uint8_t counters[VMCB_NR_FEATURES];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
	static struct vmcb_machine *machine;
	static struct vmcb_result result;
	uint16_t features[VMCB_MAX_FEATURES];
	struct input input;
	unsigned int nr;

	if (input_parse((const char *)data, len_bytes, &input, NULL) || input.domain != &vmcb_domain)
		return -1;
	if (!machine)
		machine = vmcb_machine_new();
	if (!machine)
		abort();
	vmcb_machine_run(machine, &input, &result);
	for (nr = vmcb_result_features(&result, features); nr; nr--)
		counters[features[nr - 1]] = 1;
	if (!result.violation[0])
		return 0;
	fprintf(stderr, "fuzz_vmcb: must not be: %s\n", result.violation);
	abort();
}

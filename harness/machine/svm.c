/* SPDX-License-Identifier: MIT */
/* SVM as functions on a CPU, for a hypervisor that is the host's code. */
#include "machine/svm.h"

#include "machine/private.h"

enum machine_exit machine_vmrun(struct cpu *cpu, uint64_t vmcb_pa, uint64_t budget)
{
	(void)vmcb_pa;
	(void)budget;
	cpu->unimplemented = "vmrun";
	return MACHINE_EXIT_UNIMPLEMENTED;
}

enum machine_exit machine_vmrun_continue(struct cpu *cpu, uint64_t budget)
{
	return machine_run(cpu, budget);
}

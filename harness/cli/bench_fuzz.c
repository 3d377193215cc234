/* SPDX-License-Identifier: MIT */
/* "vmassay bench fuzz": how many inputs one core runs in a second, golden state, outcome and oracles included. */
#include "cli/bench_fuzz.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "err.h"
#include "fuzz/executor.h"

#define SAMPLE_S 0.5
#define BATCH 200

static const struct sample {
	const char *name, *text;
} samples[] = {
	{ "vmcb, refused", "input vmcb\nset asid 0\n" },
	{ "vmcb, simple", "input vmcb\nxor int_ctl 0x1000000\nreg rbx 7\n" },
	{ "vmcb, L2 code", "input vmcb\nintercept cpuid off\nl2 cpuid\nl2_mem store 0x30000\nl2_io in8 0x80\n" },
	{ "vmcb, three runs of L2 code", "input vmcb\nl2 cpuid\nl2_mem store 0x30000\nrun\nskip\nrun\nnpt set 0x30000 1 0\n"
	  "set tlb_control 1\nl2_reg rax 5\nl2_mem load 0x30000\n" },
	{ "ioctl, state", "input ioctl\nset vcpu0 regs.rax 5\nset vcpu0 sregs.cr4 0x20\nvm_call vm0 get_clock 0\n" },
	{ "ioctl, a run", "input ioctl\nguest_insn out8\nrun vcpu0 2\n" },
	{ "ioctl, 64-bit code", "input ioctl\nbase long\nguest_insn out8\nguest_insn store\nguest_insn cpuid\nrun vcpu0 3\n" },
	{ "ioctl, interrupts", "input ioctl\nbase irqchip\nguest_insn sti\nguest_insn nop\nguest_insn out8\n"
	  "irq_line vm0 4 1\nrun vcpu0 2\n" },
};

/* Of this process: what else the machine does costs nothing. */
static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double rate(struct executor *executor, const struct input *input)
{
	static struct trial trial;
	double start = cpu_seconds(), seconds;
	unsigned int nr = 0, i;

	do {
		for (i = 0; i < BATCH; i++)
			executor->run(executor, input, &trial);
		nr += BATCH;
		seconds = cpu_seconds() - start;
	} while (seconds < SAMPLE_S);
	return nr / seconds;
}

int bench_fuzz(void)
{
	struct executor *executor = NULL;
	struct input input;
	struct err err;
	size_t i;
	int r = 0;

	for (i = 0; i < sizeof(samples) / sizeof(samples[0]) && !r; i++) {
		r = input_parse(samples[i].text, strlen(samples[i].text), &input, &err);
		if (!r && (!executor || executor->domain != input.domain)) {
			executor_free(executor);
			executor = NULL;
			r = executor_new(input.domain, NULL, &executor, &err);
		}
		if (r)
			cli_print("bench: %s: %s", samples[i].name, err.text);
		else
			cli_print("%-28s %9.0f inputs/s of CPU time", samples[i].name, rate(executor, &input));
	}
	executor_free(executor);
	return r ? 99 : 0;
}

/* SPDX-License-Identifier: MIT */
/* Guest instructions per second of the machine in 64-bit mode with paging: "meson test --benchmark". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "machine/cpu.h"
#include "machine/machine.h"
#include "vm/x86/bits.h"

#define RAM_BYTES 0x200000u
#define PML4_GPA 0x1000u
#define PDPT_GPA 0x2000u
#define PD_GPA 0x3000u
#define CODE_GPA 0x10000u
#define DATA_GPA 0x20000u
#define NR_INSTRUCTIONS 100000000ull

static const struct loop {
	const char *name;
	uint8_t code[40];
	size_t len;
} loops[] = {
	/* add %rbx,%rax; xor %rax,%rcx; lea 1(%rdx,%rcx,2),%rdx; cmp %rax,%rdx; dec %rdi; jnz */
	{ "register", { 0x48, 0x01, 0xd8, 0x48, 0x31, 0xc1, 0x48, 0x8d, 0x54, 0x4a, 0x01, 0x48, 0x39, 0xc2, 0x48,
		0xff, 0xcf,
			0x75, 0xed }, 19 },
	/* mov (%rsi),%rax; add $1,%rax; mov %rax,8(%rsi); add %rbx,16(%rsi); push %rax; pop %rcx; dec %rdi; jnz */
	{ "memory", { 0x48, 0x8b, 0x06, 0x48, 0x83, 0xc0, 0x01, 0x48, 0x89, 0x46, 0x08, 0x48, 0x01, 0x5e, 0x10,
		0x50, 0x59,
		      0x48, 0xff, 0xcf, 0x75, 0xea }, 22 },
};

static void put64(uint8_t *ram, uint64_t gpa, uint64_t value)
{
	memcpy(ram + gpa, &value, sizeof(value));
}

static void enter_long_mode(struct cpu *cpu, uint8_t *ram)
{
	unsigned int i;

	put64(ram, PML4_GPA, PDPT_GPA | PTE_P | PTE_W);
	put64(ram, PDPT_GPA, PD_GPA | PTE_P | PTE_W);
	put64(ram, PD_GPA, PTE_P | PTE_W | PTE_PS);
	cpu->cr0 = X86_CR0_PE | X86_CR0_PG | X86_CR0_WP | X86_CR0_ET;
	cpu->cr3 = PML4_GPA;
	cpu->cr4 = X86_CR4_PAE;
	cpu->efer = EFER_LME | EFER_LMA;
	for (i = 0; i < NR_SEGS; i++)
		cpu->segs[i] = (struct segment) { 0x10, SEG_P | SEG_S | SEG_DB | SEG_G | 3, ~0u, 0 };
	cpu->segs[SEG_CS] = (struct segment) { 0x08, SEG_P | SEG_S | SEG_L | SEG_G | 11, ~0u, 0 };
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int loop_run(struct machine *machine, uint8_t *ram, const struct loop *loop)
{
	struct cpu *cpu = machine_cpu(machine, 0);
	double start;

	memcpy(ram + CODE_GPA, loop->code, loop->len);
	machine_ram_written(machine, CODE_GPA, loop->len);
	enter_long_mode(cpu, ram);
	cpu->regs[REG_RDI] = ~0ull;
	cpu->regs[REG_RSI] = DATA_GPA;
	cpu->regs[REG_RSP] = DATA_GPA + 0x1000;
	cpu->rip = CODE_GPA;
	cpu_state_changed(cpu);
	start = seconds_now();
	if (machine_run(cpu, NR_INSTRUCTIONS) != MACHINE_EXIT_BUDGET) {
		fprintf(stderr, "machine_speed: the %s loop ended\n", loop->name);
		return 1;
	}
	printf("%s loop: %.0f million instructions/s\n", loop->name, NR_INSTRUCTIONS / 1e6 / (seconds_now() - start));
	return 0;
}

int main(void)
{
	struct machine_config config = { .nr_cpus = 1 };
	uint8_t *ram = aligned_alloc(4096, RAM_BYTES);
	struct machine *machine = NULL;
	int r = 1;
	size_t i;

	if (!ram || machine_create(&config, &machine) || machine_ram_add(machine, 0, RAM_BYTES, ram, false)) {
		fprintf(stderr, "machine_speed: no memory\n");
		goto out;
	}
	memset(ram, 0, RAM_BYTES);
	for (i = 0, r = 0; i < sizeof(loops) / sizeof(loops[0]); i++)
		r |= loop_run(machine, ram, &loops[i]);
out:
	machine_destroy(machine);
	free(ram);
	return r;
}

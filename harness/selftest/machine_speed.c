/* SPDX-License-Identifier: MIT */
/*
 * The machine's speed, "meson test --benchmark": instructions per second in 64-bit mode with paging, without and with
 * nested paging; VMRUN to #VMEXIT and back; a machine's creation.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <asm/svm.h>

#include "machine/cpu.h"
#include "machine/machine.h"
#include "machine/svm.h"
#include "vm/x86/bits.h"

#define RAM_BYTES 0x200000u
#define PML4_GPA 0x1000u
#define PDPT_GPA 0x2000u
#define PD_GPA 0x3000u
#define CODE_GPA 0x10000u
#define DATA_GPA 0x20000u
#define VMCB_GPA 0x30000u
#define IOPM_GPA 0x34000u
#define MSRPM_GPA 0x38000u
#define NPML4_GPA 0x40000u
#define NPDPT_GPA 0x41000u
#define NPD_GPA 0x42000u
#define NR_INSTRUCTIONS 100000000ull
#define NR_ROUNDS 1000000u
#define NR_MACHINES 2000u

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

static void enter_loop(struct machine *machine, uint8_t *ram, const struct loop *loop)
{
	struct cpu *cpu = machine_cpu(machine, 0);

	memcpy(ram + CODE_GPA, loop->code, loop->len);
	machine_ram_written(machine, CODE_GPA, loop->len);
	enter_long_mode(cpu, ram);
	cpu->regs[REG_RDI] = ~0ull;
	cpu->regs[REG_RSI] = DATA_GPA;
	cpu->regs[REG_RSP] = DATA_GPA + 0x1000;
	cpu->rip = CODE_GPA;
	cpu_state_changed(cpu);
}

static struct vmcb_seg seg_of(const struct segment *segment)
{
	return (struct vmcb_seg) { segment->selector, segment->attrib, segment->limit, segment->base };
}

static void intercept(struct vmcb *vmcb, unsigned int code)
{
	vmcb->control.intercept[code / 32] |= 1u << code % 32;
}

/* The CPU's state becomes the guest's of a fresh VMCB under nested paging, and the CPU a host. */
static struct vmcb *become_host(struct cpu *cpu, uint8_t *ram)
{
	struct vmcb *vmcb = (struct vmcb *)(void *)(ram + VMCB_GPA);
	struct vmcb_save *save = &vmcb->save;

	memset(vmcb, 0, sizeof(*vmcb));
	save->es = save->ds = save->ss = seg_of(&cpu->segs[SEG_DS]);
	save->cs = seg_of(&cpu->segs[SEG_CS]);
	save->efer = cpu->efer | EFER_SVME;
	save->cr0 = cpu->cr0;
	save->cr3 = cpu->cr3;
	save->cr4 = cpu->cr4;
	save->rflags = X86_EFLAGS_FIXED;
	save->rip = cpu->rip;
	save->rsp = cpu->regs[REG_RSP];
	save->g_pat = 0x0007040600070406;
	vmcb->control.asid = 1;
	vmcb->control.iopm_base_pa = IOPM_GPA;
	vmcb->control.msrpm_base_pa = MSRPM_GPA;
	vmcb->control.nested_ctl = NP_ENABLE;
	vmcb->control.nested_cr3 = NPML4_GPA;
	memset(ram + IOPM_GPA, 0xff, IOPM_BYTES);
	intercept(vmcb, SVM_EXIT_VMRUN);
	intercept(vmcb, SVM_EXIT_IOIO);
	put64(ram, NPML4_GPA, NPDPT_GPA | PTE_P | PTE_W | PTE_U);
	put64(ram, NPDPT_GPA, NPD_GPA | PTE_P | PTE_W | PTE_U);
	put64(ram, NPD_GPA, PTE_P | PTE_W | PTE_U | PTE_PS);
	machine_enter_host(cpu);
	return vmcb;
}

static int loop_run(struct machine *machine, uint8_t *ram, const struct loop *loop, bool is_guest)
{
	struct cpu *cpu = machine_cpu(machine, 0);
	enum machine_exit why;
	double start;

	enter_loop(machine, ram, loop);
	if (is_guest)
		become_host(cpu, ram);
	start = seconds_now();
	why = is_guest ? machine_vmrun(cpu, VMCB_GPA, NR_INSTRUCTIONS) : machine_run(cpu, NR_INSTRUCTIONS);
	if (why != MACHINE_EXIT_BUDGET) {
		fprintf(stderr, "machine_speed: the %s loop ended\n", loop->name);
		return 1;
	}
	printf("%s loop%s: %.0f million instructions/s\n", loop->name, is_guest ? ", nested paging" : "",
		NR_INSTRUCTIONS / 1e6 / (seconds_now() - start));
	machine_vmrun_abandon(cpu, SVM_EXIT_INTR);
	return 0;
}

/* out %al, $0x80; jmp: an I/O exit, its handler and the next entry. */
static int rounds_run(struct machine *machine, uint8_t *ram)
{
	static const struct loop loop = { "out", { 0xe6, 0x80, 0xeb, 0xfc }, 4 };
	struct cpu *cpu = machine_cpu(machine, 0);
	struct vmcb *vmcb;
	unsigned int i;
	double start;

	enter_loop(machine, ram, &loop);
	vmcb = become_host(cpu, ram);
	start = seconds_now();
	for (i = 0; i < NR_ROUNDS; i++) {
		enum machine_exit why = machine_vmrun(cpu, VMCB_GPA, ~0ull);

		if (why != MACHINE_EXIT_VMEXIT || vmcb->control.exit_code != SVM_EXIT_IOIO) {
			fprintf(stderr, "machine_speed: the out loop ended\n");
			return 1;
		}
		vmcb->save.rip = vmcb->control.exit_info_2;
	}
	printf("VMRUN to I/O exit: %.3f us a round\n", (seconds_now() - start) * 1e6 / NR_ROUNDS);
	return 0;
}

static int create_run(uint8_t *ram)
{
	struct machine_config config = { .nr_cpus = 1 };
	double start = seconds_now();
	unsigned int i;

	for (i = 0; i < NR_MACHINES; i++) {
		struct machine *machine;

		if (machine_create(&config, &machine)) {
			fprintf(stderr, "machine_speed: no memory\n");
			return 1;
		}
		machine_ram_add(machine, 0, RAM_BYTES, ram, false);
		machine_destroy(machine);
	}
	printf("create and destroy: %.1f us\n", (seconds_now() - start) * 1e6 / NR_MACHINES);
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
		r |= loop_run(machine, ram, &loops[i], false);
	for (i = 0; i < sizeof(loops) / sizeof(loops[0]); i++)
		r |= loop_run(machine, ram, &loops[i], true);
	r |= rounds_run(machine, ram);
	r |= create_run(ram);
out:
	machine_destroy(machine);
	free(ram);
	return r;
}

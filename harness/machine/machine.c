/* SPDX-License-Identifier: MIT */
#include "machine/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "machine/tlb.h"
#include "vm/x86/bits.h"

static void cpu_destroy(struct cpu *cpu)
{
	if (!cpu)
		return;
	free(cpu->tlb);
	free(cpu->scratch);
	free(cpu);
}

static struct cpu *cpu_create(struct machine *machine, unsigned int index)
{
	struct cpu *cpu = calloc(1, sizeof(*cpu));

	if (!cpu)
		return NULL;
	cpu->machine = machine;
	cpu->index = index;
	cpu->tlb = calloc(1, sizeof(*cpu->tlb));
	cpu->scratch = calloc(1, sizeof(*cpu->scratch) + sizeof(struct op));
	if (!cpu->tlb || !cpu->scratch) {
		cpu_destroy(cpu);
		return NULL;
	}
	cpu_reset(cpu);
	return cpu;
}

static uint32_t read_cpuid(const void *context, uint32_t leaf, uint32_t subleaf, unsigned int reg)
{
	const struct machine *machine = context;
	struct machine_cpuid found = cpuid_lookup(machine->cpuid, machine->nr_cpuid, leaf, subleaf);
	const uint32_t regs[] = { found.eax, found.ebx, found.ecx, found.edx };

	return regs[reg];
}

static int machine_set_cpuid(struct machine *machine, const struct machine_config *config)
{
	const struct machine_cpuid *table = config->cpuid ? config->cpuid : machine_cpuid_default;
	size_t nr = config->cpuid ? config->nr_cpuid : machine_nr_cpuid_default;

	machine->cpuid = malloc(nr * sizeof(*table) + 1);
	if (!machine->cpuid)
		return -ENOMEM;
	memcpy(machine->cpuid, table, nr * sizeof(*table));
	machine->nr_cpuid = nr;
	machine->features = cpuid_features(table, nr);
	machine->physical_bits = cpuid_physical_bits(table, nr);
	machine->svm_features = cpuid_lookup(table, nr, 0x8000000a, 0).edx;
	svm_rule_cpu_init(&machine->svm_rule_cpu, read_cpuid, machine);
	exec_index_init(&machine->index, machine->features);
	return 0;
}

int machine_create(const struct machine_config *config, struct machine **ret_machine)
{
	unsigned int nr_cpus = config->nr_cpus ? config->nr_cpus : 1;
	struct machine *machine;
	int r;

	if (nr_cpus > MAX_CPUS)
		return -EINVAL;
	machine = calloc(1, sizeof(*machine));
	if (!machine)
		return -ENOMEM;
	machine->bus = config->bus;
	r = machine_set_cpuid(machine, config);
	if (r)
		goto err_destroy;
	r = -ENOMEM;
	machine->cpus = calloc(nr_cpus, sizeof(*machine->cpus));
	if (!machine->cpus)
		goto err_destroy;
	for (; machine->nr_cpus < nr_cpus; machine->nr_cpus++) {
		machine->cpus[machine->nr_cpus] = cpu_create(machine, machine->nr_cpus);
		if (!machine->cpus[machine->nr_cpus])
			goto err_destroy;
	}
	*ret_machine = machine;
	return 0;

err_destroy:
	machine_destroy(machine);
	return r;
}

int machine_cpu_add(struct machine *machine, struct cpu **ret_cpu)
{
	struct cpu **cpus, *cpu;

	if (machine->nr_cpus == MAX_CPUS)
		return -EINVAL;
	cpus = realloc(machine->cpus, (machine->nr_cpus + 1) * sizeof(struct cpu *));
	if (!cpus)
		return -ENOMEM;
	machine->cpus = cpus;
	cpu = cpu_create(machine, machine->nr_cpus);
	if (!cpu)
		return -ENOMEM;
	*ret_cpu = cpus[machine->nr_cpus++] = cpu;
	return 0;
}

void machine_destroy(struct machine *machine)
{
	size_t i;

	if (!machine)
		return;
	block_forget_all(machine);
	block_free_dead(machine);
	for (i = 0; i < machine->nr_slots; i++)
		free(machine->slots[i].code_lines);
	for (i = 0; i < machine->nr_cpus; i++)
		cpu_destroy(machine->cpus[i]);
	free(machine->slots);
	free(machine->cpus);
	free(machine->cpuid);
	free(machine);
}

struct cpu *machine_cpu(struct machine *machine, unsigned int index)
{
	return index < machine->nr_cpus ? machine->cpus[index] : NULL;
}

/* APM vol. 2, table 14-1. */
void cpu_reset(struct cpu *cpu)
{
	unsigned int i;

	memset(cpu->regs, 0, sizeof(cpu->regs));
	cpu->regs[REG_RDX] = cpuid_lookup(cpu->machine->cpuid, cpu->machine->nr_cpuid, 1, 0).eax;
	cpu->rip = 0xfff0;
	cpu->rflags = X86_EFLAGS_FIXED;
	for (i = 0; i < NR_SEGS; i++)
		cpu->segs[i] = (struct segment) { 0, SEG_P | SEG_S | SEG_TYPE_WRITABLE | SEG_TYPE_ACCESSED, 0xffff, 0 };
	cpu->segs[SEG_CS] = (struct segment) { 0xf000, cpu->segs[SEG_CS].attrib | SEG_TYPE_CODE, 0xffff, 0xffff0000 };
	cpu->segs[SEG_LDTR] = (struct segment) { 0, SEG_P | 2, 0xffff, 0 };
	cpu->segs[SEG_TR] = (struct segment) { 0, SEG_P | 11, 0xffff, 0 };
	cpu->gdtr = cpu->idtr = (struct table_register) { 0, 0xffff };
	cpu->cr0 = X86_CR0_CD | X86_CR0_NW | X86_CR0_ET;
	cpu->cr2 = cpu->cr3 = cpu->cr4 = cpu->cr8 = 0;
	cpu->xcr0 = 1;
	cpu->efer = 0;
	memset(cpu->dr, 0, sizeof(cpu->dr));
	cpu->dr[6] = 0xffff0ff0;
	cpu->dr[7] = 0x400;
	memset(&cpu->branches, 0, sizeof(cpu->branches));
	cpu->star = cpu->lstar = cpu->cstar = cpu->sfmask = cpu->kernel_gs_base = cpu->tsc_aux = 0;
	cpu->pat = 0x0007040600070406;
	cpu->sysenter_cs = cpu->sysenter_esp = cpu->sysenter_eip = 0;
	cpu->tsc = 0;
	cpu->pkru = 0;
	fpu_reset(&cpu->fpu);
	cpu->cpl = 0;
	cpu->has_shadow = cpu->is_halted = cpu->is_monitoring = false;
	cpu->must_stop = 0;
	cpu->asid = 0;
	cpu->interrupt = -1;
	cpu->has_nmi = cpu->is_nmi_blocked = false;
	memset(&cpu->svm, 0, sizeof(cpu->svm));
	cpu->svm.has_gif = true;
	cpu->svm.tsc_ratio = 1ull << 32;
	tlb_flush_all(cpu);
	cpu_state_changed(cpu);
}

static enum code_mode cpu_code_mode(const struct cpu *cpu)
{
	if (cpu->is_long64)
		return CODE_LONG64;
	if (cpu->segs[SEG_CS].attrib & SEG_DB)
		return CODE_PROT32;
	return !(cpu->cr0 & X86_CR0_PE) || (cpu->rflags & X86_EFLAGS_VM) ? CODE_REAL16 : CODE_PROT16;
}

void cpu_save(struct cpu *cpu)
{
	struct saved *saved = &cpu->saved;

	memcpy(saved->segs, cpu->segs, sizeof(saved->segs));
	saved->rsp = cpu->regs[REG_RSP];
	saved->rflags = cpu->rflags;
	saved->cr0 = cpu->cr0;
	saved->cr3 = cpu->cr3;
	saved->cpl = cpu->cpl;
	cpu->is_saved = true;
}

void cpu_keep(struct cpu *cpu)
{
	cpu->is_saved = false;
}

void cpu_restore(struct cpu *cpu)
{
	const struct saved *saved = &cpu->saved;

	if (!cpu->is_saved)
		return;
	memcpy(cpu->segs, saved->segs, sizeof(saved->segs));
	cpu->regs[REG_RSP] = saved->rsp;
	cpu->rflags = saved->rflags;
	cpu->cr0 = saved->cr0;
	cpu->cr3 = saved->cr3;
	cpu->cpl = saved->cpl;
	cpu->is_saved = false;
	cpu_mode_changed(cpu);
}

void cpu_mode_changed(struct cpu *cpu)
{
	cpu->is_long64 = (cpu->efer & EFER_LMA) && (cpu->segs[SEG_CS].attrib & SEG_L);
	cpu->code_mode = cpu_code_mode(cpu);
	cpu->linear_mask = cpu->is_long64 ? ~0ull : 0xffffffff;
	cpu->stack_mask = cpu->is_long64 ? ~0ull : cpu->segs[SEG_SS].attrib & SEG_DB ? 0xffffffff : 0xffff;
	cpu->jump_generation++;
	cpu_windows_changed(cpu);
}

void cpu_state_changed(struct cpu *cpu)
{
	cpu->regs[REG_ZERO] = 0;
	cpu_forget_fast(cpu);
	cpu_mode_changed(cpu);
	cpu->must_stop |= STOP_EVENT;
}

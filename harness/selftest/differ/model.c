/* SPDX-License-Identifier: MIT */
/* The machine's side: the same addresses by page tables of its own, at CPL 3 as a process is. */
#include "differ.h"

#include <cpuid.h>
#include <stdlib.h>
#include <string.h>

#include "machine/cpu.h"
#include "machine/machine.h"
#include "vm/x86/bits.h"

#define RAM_BYTES 0x10000u
#define PML4_GPA 0x1000u
#define PDPT_GPA 0x2000u
#define PD_GPA 0x3000u
#define PT_GPA 0x4000u
#define CODE_GPA 0x8000u
#define DATA_GPA 0x9000u
#define CONST_GPA 0xb000u
#define GDT_GPA 0x5000u
#define SYSTEM_PDPT_GPA 0x6000u
#define SYSTEM_PD_GPA 0x7000u
#define SYSTEM_LINEAR 0xffffa5a5a5a00000ull	/* all of the RAM, and nowhere near a round number */
#define TABLE (PTE_P | PTE_W | PTE_U)
#define MAX_STEPS 1000
#define MAX_CPUID 32

#define FLAT (SEG_P | SEG_S | 3u << SEG_DPL_SHIFT | SEG_G | SEG_TYPE_WRITABLE | SEG_TYPE_ACCESSED)

struct model {
	struct machine *machine;
	struct cpu *cpu;
	uint8_t *ram;
};

static void put_entry(struct model *model, uint64_t table, uint64_t index, uint64_t entry)
{
	memcpy(model->ram + table + index * 8, &entry, sizeof(entry));
}

static void put_page(struct model *model, uint64_t linear, uint64_t gpa, uint64_t rights)
{
	put_entry(model, PT_GPA, linear >> 12 & 511, gpa | PTE_P | PTE_U | rights);
}

static void model_map(struct model *model)
{
	unsigned int i;

	put_entry(model, PML4_GPA, 0, PDPT_GPA | TABLE);
	put_entry(model, PML4_GPA, SYSTEM_LINEAR >> 39 & 511, SYSTEM_PDPT_GPA | PTE_P | PTE_W);
	put_entry(model, SYSTEM_PDPT_GPA, SYSTEM_LINEAR >> 30 & 511, SYSTEM_PD_GPA | PTE_P | PTE_W);
	put_entry(model, SYSTEM_PD_GPA, SYSTEM_LINEAR >> 21 & 511, PTE_P | PTE_W | PTE_PS | PTE_NX);
	put_entry(model, PDPT_GPA, 0, PD_GPA | TABLE);
	put_entry(model, PD_GPA, CODE_ADDRESS >> 21, PT_GPA | TABLE);
	put_page(model, CODE_ADDRESS, CODE_GPA, PTE_W);
	put_page(model, DATA_ADDRESS, DATA_GPA, PTE_W | PTE_NX);
	put_page(model, DATA_ADDRESS + PAGE_BYTES_, DATA_GPA + PAGE_BYTES_, PTE_W | PTE_NX);
	put_page(model, CONST_ADDRESS, CONST_GPA, PTE_NX);
	memset(model->ram + CODE_GPA, 0xcc, PAGE_BYTES_);
	for (i = 0; i < NR_SELECTORS; i++)
		put_entry(model, GDT_GPA, i, native_descriptor(i));
}

static void model_set_segments(struct cpu *cpu, bool is_64)
{
	unsigned int i;

	for (i = 0; i < NR_SEGS; i++)
		cpu->segs[i] = (struct segment) { 0x2b, FLAT | SEG_DB, ~0u, 0 };
	cpu->segs[SEG_FS] = cpu->segs[SEG_GS] = (struct segment) { 0 };
	cpu->segs[SEG_CS] = (struct segment) { is_64 ? 0x33 : 0x23, FLAT | SEG_TYPE_CODE | (is_64 ?
		SEG_L : SEG_DB), ~0u, 0 };
}

static void model_set_mode(struct cpu *cpu)
{
	cpu->cr0 = X86_CR0_PE | X86_CR0_MP | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_AM | X86_CR0_PG;
	cpu->cr3 = PML4_GPA;
	cpu->cr4 = X86_CR4_PAE | X86_CR4_PGE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_SMEP | X86_CR4_SMAP;
	cpu->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NX;
	cpu->cpl = 3;
	cpu->gdtr = (struct table_register) { SYSTEM_LINEAR + GDT_GPA, NR_SELECTORS * 8 - 1 };
	cpu->segs[SEG_LDTR].attrib = 0;
	cpu->segs[SEG_TR].attrib = 0;
	cpu->escapes = ~0u;
}

/* What this CPU does not have, the model must not have, either. */
static void cpuid_limit(struct machine_cpuid *table, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		unsigned int eax, ebx, ecx, edx;
		struct machine_cpuid *row = &table[i];

		if (row->leaf != 1 && row->leaf != 7 && row->leaf != 0x80000001)
			continue;
		if (!__get_cpuid_count(row->leaf, 0, &eax, &ebx, &ecx, &edx))
			ebx = ecx = edx = 0;
		if (row->leaf == 7)
			row->ebx &= ebx;
		row->ecx &= ecx;
		row->edx &= edx;
	}
}

struct model *model_new(void)
{
	struct model *model = calloc(1, sizeof(*model));
	struct machine_cpuid cpuid[MAX_CPUID];
	struct machine_config config = { .nr_cpus = 1, .cpuid = cpuid, .nr_cpuid = machine_nr_cpuid_default };

	if (!model || config.nr_cpuid > MAX_CPUID) {
		free(model);
		return NULL;
	}
	memcpy(cpuid, machine_cpuid_default, config.nr_cpuid * sizeof(cpuid[0]));
	machine_cpuid_add_crc32(cpuid, config.nr_cpuid);
	cpuid_limit(cpuid, config.nr_cpuid);
	model->ram = aligned_alloc(PAGE_BYTES_, RAM_BYTES);
	if (!model->ram || machine_create(&config, &model->machine))
		goto err_free;
	memset(model->ram, 0, RAM_BYTES);
	if (machine_ram_add(model->machine, 0, RAM_BYTES, model->ram, false))
		goto err_free;
	model->cpu = machine_cpu(model->machine, 0);
	model_map(model);
	model_set_mode(model->cpu);
	return model;

err_free:
	model_free(model);
	return NULL;
}

void model_free(struct model *model)
{
	if (!model)
		return;
	machine_destroy(model->machine);
	free(model->ram);
	free(model);
}

/* The page as native_run() leaves it, with @code in its middle. */
static void model_put_code(struct model *model, const uint8_t *code, unsigned int len)
{
	memset(model->ram + CODE_GPA, 0xcc, PAGE_BYTES_);
	memcpy(model->ram + CODE_GPA + (INSN_ADDRESS - CODE_ADDRESS), code, len);
	machine_ram_written(model->machine, CODE_GPA, PAGE_BYTES_);
}

const char *model_run(struct model *model, const struct instance *instance, struct outcome *outcome)
{
	struct cpu *cpu = model->cpu;
	enum machine_exit why;
	unsigned int i;

	instance_fill_data(instance, model->ram + DATA_GPA);
	model_put_code(model, instance->code, instance->len);
	model_set_segments(cpu, instance->is_64);
	cpu->cpl = 3;
	memcpy(cpu->regs, instance->regs, sizeof(instance->regs));
	cpu->rip = INSN_ADDRESS;
	cpu->rflags = instance->rflags;
	cpu->fpu = instance->fpu;
	cpu_state_changed(cpu);
	why = machine_run(cpu, MAX_STEPS);
	memcpy(outcome->regs, cpu->regs, sizeof(outcome->regs));
	for (i = 0; i < 4; i++)
		outcome->segs[i] = cpu->segs[i].selector;
	outcome->rip = cpu->rip;
	outcome->rflags = cpu->rflags;
	outcome->fpu = cpu->fpu;
	outcome->vector = cpu->fault.vector;
	outcome->error = cpu->fault.error;
	outcome->cr2 = cpu->fault.vector == VECTOR_PF ? cpu->fault.address : 0;
	memcpy(outcome->data, model->ram + DATA_GPA, DATA_BYTES);
	if (why == MACHINE_EXIT_UNIMPLEMENTED)
		return cpu->unimplemented;
	return why == MACHINE_EXIT_EXCEPTION ? NULL : "no exception at the end";
}

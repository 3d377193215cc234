/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "differ/scene.h"
#include "differ/world.h"
#include "machine/cpu.h"
#include "machine/machine.h"

#define MAX_STEPS 100000	/* a REP of a whole page and what follows */
#define MAX_CPUID 32

struct world_machine {
	struct machine *machine;
	struct cpu *cpu;
	uint8_t *memory;	/* WORLD_BYTES */
	uint8_t *fresh;		/* likewise */
	bool is_outside;	/* since the run began */
	struct machine_cpuid cpuid[MAX_CPUID];
	size_t nr_cpuid;
};

static uint64_t port_read(void *opaque, enum machine_space space, uint64_t address, unsigned int size)
{
	struct world_machine *world = opaque;

	world->is_outside |= space != MACHINE_SPACE_IO;
	return space == MACHINE_SPACE_IO ? world_port((uint16_t)address) & (0xffffffffu >> (32 - size * 8)) : ~0ull;
}

static void port_write(void *opaque, enum machine_space space, uint64_t address, unsigned int size, uint64_t value)
{
	struct world_machine *world = opaque;

	(void)address;
	(void)size;
	(void)value;
	world->is_outside |= space != MACHINE_SPACE_IO;
}

/* The machine's features that @cpuid has, too: an instruction that is not there is #UD on both sides. */
static void limit_cpuid(struct machine_cpuid *table, size_t nr, const struct kvm_cpuid2 *cpuid)
{
	size_t i;
	uint32_t e;

	for (i = 0; i < nr; i++) {
		struct machine_cpuid *row = &table[i];

		if (row->leaf != 1 && row->leaf != 7 && row->leaf != 0x80000001)
			continue;
		for (e = 0; e < cpuid->nent; e++) {
			const struct kvm_cpuid_entry2 *entry = &cpuid->entries[e];

			if (entry->function != row->leaf || entry->index)
				continue;
			if (row->leaf == 7)
				row->ebx &= entry->ebx;
			row->ecx &= entry->ecx;
			row->edx &= entry->edx;
		}
	}
}

struct world_machine *world_machine_new(const struct kvm_cpuid2 *cpuid)
{
	struct world_machine *world = calloc(1, sizeof(*world));
	struct machine_config config = {
		.nr_cpus = 1, .nr_cpuid = machine_nr_cpuid_default,
		.bus = { .opaque = world, .read = port_read, .write = port_write },
	};

	if (!world || config.nr_cpuid > MAX_CPUID) {
		free(world);
		return NULL;
	}
	memcpy(world->cpuid, machine_cpuid_default, config.nr_cpuid * sizeof(world->cpuid[0]));
	machine_cpuid_add_crc32(world->cpuid, config.nr_cpuid);
	limit_cpuid(world->cpuid, config.nr_cpuid, cpuid);
	world->nr_cpuid = config.nr_cpuid;
	config.cpuid = world->cpuid;
	world->memory = aligned_alloc(PAGE_BYTES_, WORLD_BYTES);
	world->fresh = malloc(WORLD_BYTES);
	if (!world->memory || !world->fresh || machine_create(&config, &world->machine))
		goto err_free;
	world_fill(world->fresh);
	memcpy(world->memory, world->fresh, WORLD_BYTES);
	if (machine_ram_add(world->machine, 0, WORLD_BYTES, world->memory, false))
		goto err_free;
	world->cpu = machine_cpu(world->machine, 0);
	return world;

err_free:
	world_machine_free(world);
	return NULL;
}

void world_machine_free(struct world_machine *world)
{
	if (!world)
		return;
	machine_destroy(world->machine);
	free(world->memory);
	free(world->fresh);
	free(world);
}

struct kvm_cpuid2 *world_machine_cpuid(const struct world_machine *world)
{
	struct kvm_cpuid2 *ret = calloc(1, sizeof(*ret) + world->nr_cpuid * sizeof(ret->entries[0]));
	size_t i;

	for (i = 0; ret && i < world->nr_cpuid; i++) {
		const struct machine_cpuid *row = &world->cpuid[i];
		bool has_subleaf = row->subleaf != ~0u;

		ret->entries[ret->nent++] = (struct kvm_cpuid_entry2){
			.function = row->leaf, .index = has_subleaf ? row->subleaf : 0,
			.flags = has_subleaf ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
			.eax = row->eax, .ebx = row->ebx, .ecx = row->ecx, .edx = row->edx,
		};
	}
	return ret;
}

/* --- the state, in KVM's structs and in the machine's --- */

static struct segment segment_in(const struct kvm_segment *from)
{
	if (from->unusable)
		return (struct segment){ .selector = from->selector };
	return (struct segment){
		.selector = from->selector, .base = from->base, .limit = from->limit,
		.attrib = (uint16_t)(from->type | from->s << 4 | from->dpl << SEG_DPL_SHIFT | from->present << 7 |
			from->avl << 8 | from->l << 9 | from->db << 10 | from->g << 11),
	};
}

static struct kvm_segment segment_out(const struct segment *from)
{
	uint16_t attrib = from->attrib;

	return (struct kvm_segment){
		.selector = from->selector, .base = from->base, .limit = from->limit, .type = attrib & SEG_TYPE,
		.s = attrib >> 4 & 1, .dpl = attrib >> SEG_DPL_SHIFT & 3, .present = attrib >> 7 & 1,
		.avl = attrib >> 8 & 1, .l = attrib >> 9 & 1, .db = attrib >> 10 & 1, .g = attrib >> 11 & 1,
		.unusable = !(attrib & SEG_P),
	};
}

/* KVM names registers in another order than the encoding does. */
static const size_t regs_of[16] = {
	offsetof(struct kvm_regs, rax), offsetof(struct kvm_regs, rcx), offsetof(struct kvm_regs, rdx),
	offsetof(struct kvm_regs, rbx), offsetof(struct kvm_regs, rsp), offsetof(struct kvm_regs, rbp),
	offsetof(struct kvm_regs, rsi), offsetof(struct kvm_regs, rdi), offsetof(struct kvm_regs, r8),
	offsetof(struct kvm_regs, r9), offsetof(struct kvm_regs, r10), offsetof(struct kvm_regs, r11),
	offsetof(struct kvm_regs, r12), offsetof(struct kvm_regs, r13), offsetof(struct kvm_regs, r14),
	offsetof(struct kvm_regs, r15),
};

static void state_in(struct cpu *cpu, const struct kvm_sregs *sregs, const struct kvm_regs *regs, unsigned int cpl)
{
	const struct kvm_segment *segs[NR_ALL_SEGS] = { &sregs->es, &sregs->cs, &sregs->ss, &sregs->ds, &sregs->fs,
		&sregs->gs, &sregs->tr, &sregs->ldt };
	unsigned int i;

	cpu_reset(cpu);
	for (i = 0; i < NR_ALL_SEGS; i++)
		cpu->segs[i] = segment_in(segs[i]);
	for (i = 0; i < 16; i++)
		memcpy(&cpu->regs[i], (const uint8_t *)regs + regs_of[i], 8);
	cpu->gdtr = (struct table_register){ sregs->gdt.base, sregs->gdt.limit };
	cpu->idtr = (struct table_register){ sregs->idt.base, sregs->idt.limit };
	cpu->cr0 = sregs->cr0;
	cpu->cr2 = sregs->cr2;
	cpu->cr3 = sregs->cr3;
	cpu->cr4 = sregs->cr4;
	cpu->cr8 = sregs->cr8;
	cpu->efer = sregs->efer;
	cpu->rip = regs->rip;
	cpu->rflags = regs->rflags;
	cpu->cpl = (uint8_t)cpl;
	cpu_state_changed(cpu);
}

static void state_out(const struct cpu *cpu, struct kvm_sregs *sregs, struct kvm_regs *regs)
{
	struct kvm_segment *segs[NR_ALL_SEGS] = { &sregs->es, &sregs->cs, &sregs->ss, &sregs->ds, &sregs->fs, &sregs->gs,
		&sregs->tr, &sregs->ldt };
	unsigned int i;

	*sregs = (struct kvm_sregs){
		.gdt = { .base = cpu->gdtr.base, .limit = cpu->gdtr.limit },
		.idt = { .base = cpu->idtr.base, .limit = cpu->idtr.limit },
		.cr0 = cpu->cr0, .cr2 = cpu->cr2, .cr3 = cpu->cr3, .cr4 = cpu->cr4, .cr8 = cpu->cr8, .efer = cpu->efer,
	};
	for (i = 0; i < NR_ALL_SEGS; i++)
		*segs[i] = segment_out(&cpu->segs[i]);
	for (i = 0; i < 16; i++)
		memcpy((uint8_t *)regs + regs_of[i], &cpu->regs[i], 8);
	regs->rip = cpu->rip;
	regs->rflags = cpu->rflags;
}

/* Runs from the state that was given to the end, and says which it was. */
static enum world_end run_to_end(struct world_machine *world, const char **ret_missing)
{
	enum machine_exit why = machine_run(world->cpu, MAX_STEPS);

	*ret_missing = why == MACHINE_EXIT_UNIMPLEMENTED ? world->cpu->unimplemented : NULL;
	return why == MACHINE_EXIT_HLT ? WORLD_HALTED : why == MACHINE_EXIT_SHUTDOWN ? WORLD_SHUT_DOWN : WORLD_LOST;
}

void world_machine_run(struct world_machine *world, const struct instance *instance, unsigned int cpl,
		       struct world_outcome *outcome)
{
	struct kvm_sregs sregs = { 0 };
	struct kvm_regs regs;

	world_put(world->memory, world->fresh, instance);
	machine_ram_written(world->machine, 0, WORLD_BYTES);
	world_enter(&sregs, &regs, instance, cpl);
	state_in(world->cpu, &sregs, &regs, cpl);
	*outcome = (struct world_outcome){ .memory = world->memory };
	outcome->end = run_to_end(world, &outcome->missing);
	state_out(world->cpu, &outcome->sregs, &outcome->regs);
}

/* --- scenes --- */

/* Of @index in scene_msr_numbers. */
static uint64_t *msr_of(struct cpu *cpu, unsigned int index)
{
	uint64_t *const all[NR_SCENE_MSRS] = {
		[SCENE_STAR] = &cpu->star, [SCENE_LSTAR] = &cpu->lstar, [SCENE_CSTAR] = &cpu->cstar,
		[SCENE_SFMASK] = &cpu->sfmask, [SCENE_KERNEL_GS_BASE] = &cpu->kernel_gs_base,
		[SCENE_SYSENTER_CS] = &cpu->sysenter_cs, [SCENE_SYSENTER_ESP] = &cpu->sysenter_esp,
		[SCENE_SYSENTER_EIP] = &cpu->sysenter_eip, [SCENE_PAT] = &cpu->pat,
	};

	return all[index];
}

void world_machine_run_scene(struct world_machine *world, const struct scene *scene, struct scene_outcome *outcome)
{
	struct cpu *cpu = world->cpu;
	unsigned int i;

	memcpy(world->memory, scene->memory, WORLD_BYTES);
	machine_ram_written(world->machine, 0, WORLD_BYTES);
	world->is_outside = false;
	state_in(cpu, &scene->sregs, &scene->regs, scene->cpl);
	memcpy(cpu->dr, scene->dr, sizeof(scene->dr));
	cpu->fpu = (struct fpu){ .fcw = SCENE_FCW, .mxcsr = SCENE_MXCSR, .mxcsr_mask = cpu->fpu.mxcsr_mask };
	cpu->dr[6] = scene->dr6;
	cpu->dr[7] = scene->dr7;
	for (i = 0; i < NR_SCENE_MSRS; i++)
		*msr_of(cpu, i) = scene->msrs[i];
	cpu_state_changed(cpu);
	*outcome = (struct scene_outcome){ .memory = world->memory };
	outcome->end = run_to_end(world, &outcome->missing);
	outcome->is_outside = world->is_outside;
	state_out(cpu, &outcome->sregs, &outcome->regs);
	memcpy(outcome->dr, cpu->dr, sizeof(outcome->dr));
	outcome->dr6 = cpu->dr[6];
	outcome->dr7 = cpu->dr[7];
	for (i = 0; i < NR_SCENE_MSRS; i++)
		outcome->msrs[i] = *msr_of(cpu, i);
}

/* SPDX-License-Identifier: MIT */
#include "fuzz/vmcb_machine.h"

#include <asm/svm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fuzz/vmcb_ops.h"
#include "fuzz/vmcb_world.h"
#include "machine/cpu.h"
#include "machine/machine.h"
#include "machine/private.h"
#include "machine/svm.h"
#include "vm/x86/bits.h"

#define BUDGET 500		/* instructions of one run */
#define NR_DIRTY (VMCB_NR_PAGES / 64)
#define HOST_RSP 0x7000f000ull
#define HOST_RIP 0xffffffff81000000ull
#define HASH_LANES 4

struct vmcb_machine {
	struct machine *machine;
	struct cpu *cpu;
	uint8_t *ram;			/* between two pages that nobody may touch */
	uint8_t *golden;
	uint64_t dirty[NR_DIRTY];	/* what the CPU wrote in this run */
	uint64_t changed[NR_DIRTY];	/* what anybody wrote in this input */
	uint32_t pins;			/* of this input */
	struct vmcb_program program;
	uint32_t asids[VMCB_MAX_RUNS];	/* that were entered in this input */
	unsigned int nr_asids;
	unsigned int fresh_run;		/* the last one whose TLB must be as if empty; 0: none */
	bool is_flushed;		/* and is made so */
	struct vmcb *after;		/* where what each VMRUN leaves is kept; NULL: nowhere */
};

/* --- making --- */

static uint8_t *ram_new(void)
{
	size_t len = VMCB_RAM_BYTES + 2 * PAGE_BYTES;
	uint8_t *all = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (all == MAP_FAILED)
		return NULL;
	if (mprotect(all + PAGE_BYTES, VMCB_RAM_BYTES, PROT_READ | PROT_WRITE)) {
		munmap(all, len);
		return NULL;
	}
	return all + PAGE_BYTES;
}

static void ram_free(uint8_t *ram)
{
	if (ram)
		munmap(ram - PAGE_BYTES, VMCB_RAM_BYTES + 2 * PAGE_BYTES);
}

struct vmcb_machine *vmcb_machine_new_with(const struct machine_cpuid *cpuid, size_t nr_cpuid)
{
	struct machine_config config = { .nr_cpus = 1, .cpuid = cpuid, .nr_cpuid = nr_cpuid };
	struct vmcb_machine *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->ram = ram_new();
	m->golden = malloc(VMCB_RAM_BYTES);
	if (!m->ram || !m->golden || machine_create(&config, &m->machine) ||
	    machine_ram_add(m->machine, 0, VMCB_RAM_BYTES, m->ram, false))
		goto err_free;
	vmcb_world_fill(m->golden);
	memcpy(m->ram, m->golden, VMCB_RAM_BYTES);
	machine_ram_watch(m->machine, 0, m->dirty);
	m->cpu = machine_cpu(m->machine, 0);
	return m;

err_free:
	vmcb_machine_free(m);
	return NULL;
}

struct vmcb_machine *vmcb_machine_new(void)
{
	return vmcb_machine_new_with(NULL, 0);
}

void vmcb_machine_free(struct vmcb_machine *m)
{
	if (!m)
		return;
	machine_destroy(m->machine);
	ram_free(m->ram);
	free(m->golden);
	free(m);
}

/* --- memory --- */

static void page_written(void *context, uint64_t gpa, uint64_t len_bytes)
{
	struct vmcb_machine *m = context;
	uint64_t page, last = (gpa + len_bytes - 1) / PAGE_BYTES;

	for (page = gpa / PAGE_BYTES; page <= last; page++)
		m->changed[page / 64] |= 1ull << page % 64;
	machine_ram_written(m->machine, gpa, len_bytes);
}

static void page_restore(struct vmcb_machine *m, unsigned int page)
{
	uint64_t gpa = (uint64_t)page * PAGE_BYTES;

	memcpy(m->ram + gpa, m->golden + gpa, PAGE_BYTES);
	machine_ram_written(m->machine, gpa, PAGE_BYTES);
}

static void ram_restore(struct vmcb_machine *m)
{
	unsigned int i;

	for (i = 0; i < NR_DIRTY; i++)
		for (; m->changed[i]; m->changed[i] &= m->changed[i] - 1)
			page_restore(m, i * 64 + (unsigned int)__builtin_ctzll(m->changed[i]));
}

/* Several products at once: one behind the other would each wait for the last. */
static uint64_t page_hash(const uint8_t *page, uint64_t seed)
{
	uint64_t lanes[HASH_LANES] = { seed, seed ^ 1, seed ^ 2, seed ^ 3 }, word;
	unsigned int i, lane;

	for (i = 0; i < PAGE_BYTES; i += 8 * HASH_LANES)
		for (lane = 0; lane < HASH_LANES; lane++) {
			memcpy(&word, page + i + lane * 8, 8);
			lanes[lane] = (lanes[lane] ^ word) * 0x9e3779b97f4a7c15ull;
			lanes[lane] ^= lanes[lane] >> 32;
		}
	return lanes[0] ^ lanes[1] * 3 ^ lanes[2] * 5 ^ lanes[3] * 7;
}

/* Note, the VMCB's page has its own comparison: bits that targets need not have are there. */
static uint64_t memory_hash(const struct vmcb_machine *m)
{
	uint64_t hash = 0;
	unsigned int page;

	for (page = 0; page < VMCB_NR_PAGES; page++) {
		uint64_t gpa = (uint64_t)page * PAGE_BYTES;

		if (gpa != VMCB_VMCB_GPA && (m->changed[page / 64] >> page % 64 & 1) &&
		    memcmp(m->ram + gpa, m->golden + gpa, PAGE_BYTES))
			hash = hash * 31 + page_hash(m->ram + gpa, page);
	}
	return hash;
}

/* --- the CPU --- */

static void cpu_begin(struct vmcb_machine *m)
{
	struct cpu *cpu = m->cpu;

	cpu_reset(cpu);
	cpu->has_exception = false;
	cpu->fault = (struct fault){ 0 };
	machine_enter_host(cpu);
	cpu->svm.has_gif = false;
	cpu->rip = HOST_RIP;
}

static void host_copy(const struct cpu *cpu, struct vmcb_host *host)
{
	unsigned int i;

	*host = (struct vmcb_host){ cpu->regs[REG_RAX], cpu->regs[REG_RSP], cpu->rip, cpu->rflags, cpu->cr0, cpu->cr3,
		cpu->cr4, cpu->cr8, cpu->efer, cpu->pat, cpu->dr[7], .gdtr = { cpu->gdtr.limit, cpu->gdtr.base },
		.idtr = { cpu->idtr.limit, cpu->idtr.base }, .cpl = cpu->cpl, .has_gif = cpu->svm.has_gif };
	for (i = 0; i < 4; i++) {
		const struct segment *seg = &cpu->segs[i];

		host->segs[i][0] = (uint64_t)seg->selector << 48 | (uint64_t)seg->attrib << 32 | seg->limit;
		host->segs[i][1] = seg->base;
	}
}

static void regs_load(struct vmcb_machine *m)
{
	memcpy(m->cpu->regs, m->program.regs, sizeof(m->program.regs));
	m->cpu->regs[REG_RAX] = VMCB_VMCB_GPA;
	m->cpu->regs[REG_RSP] = HOST_RSP;
}

static void pins_set(struct vmcb_machine *m)
{
	uint32_t pins = m->program.pins;

	m->pins |= pins;
	machine_set_intr(m->cpu, pins >> PIN_INTR & 1);
	if (pins >> PIN_NMI & 1)
		machine_set_nmi(m->cpu);
	if (pins >> PIN_SMI & 1)
		machine_set_smi(m->cpu);
	if (pins >> PIN_INIT & 1)
		machine_set_init(m->cpu);
}

static enum vmcb_end end_of(enum machine_exit why, const struct vmcb *vmcb)
{
	switch (why) {
	case MACHINE_EXIT_VMEXIT:
		return vmcb->control.exit_code == (uint64_t)(int64_t)SVM_EXIT_ERR ? VMCB_END_REFUSED : VMCB_END_EXIT;
	case MACHINE_EXIT_HLT:
		return VMCB_END_HALTED;
	case MACHINE_EXIT_SHUTDOWN:
		return VMCB_END_SHUTDOWN;
	case MACHINE_EXIT_UNIMPLEMENTED:
		return VMCB_END_UNIMPLEMENTED;
	default:
		return VMCB_END_BUDGET;
	}
}

/* --- a TLB that must be as if empty --- */

static bool has_entered(const struct vmcb_machine *m, uint32_t asid)
{
	unsigned int i;

	for (i = 0; i < m->nr_asids; i++)
		if (m->asids[i] == asid)
			return true;
	return false;
}

/* L2 sees nothing of what was before: its ASID is new, or is flushed (APM vol. 2, 15.16.1). */
static bool is_fresh(const struct vmcb_machine *m, const struct vmcb_control *control)
{
	return control->tlb_control == TLB_FLUSH_ALL || control->tlb_control == TLB_FLUSH_ASID ||
	       !has_entered(m, control->asid);
}

static void tlb_begin(struct vmcb_machine *m, const struct vmcb *vmcb, unsigned int run)
{
	if (run && !m->is_flushed && is_fresh(m, &vmcb->control))
		m->fresh_run = run;
	if (m->is_flushed && run == m->fresh_run)
		machine_flush_tlb(m->cpu);
	m->asids[m->nr_asids++] = vmcb->control.asid;
}

/* --- runs --- */

static void run_once(struct vmcb_machine *m, struct vmcb_result *result)
{
	struct vmcb *vmcb = vmcb_world_vmcb(m->ram), before;
	struct vmcb_outcome *outcome = &result->runs[result->nr_runs];
	struct vmcb_host host_before, host_after;
	struct vmcb_run run = { &before, vmcb, outcome, NULL, &host_before, &host_after, m->ram, m->golden, m->dirty };
	uint64_t nr_insns = m->cpu->nr_instructions;
	enum machine_exit why;
	unsigned int i;

	before = *vmcb;
	memset(m->dirty, 0, sizeof(m->dirty));
	machine_vmload(m->cpu, VMCB_VMCB_GPA);
	regs_load(m);
	pins_set(m);
	run.pins = m->pins;
	run.predicted = vmcb_program_predict(&m->program);
	if (!run.predicted)
		tlb_begin(m, vmcb, result->nr_runs);
	run.is_isolated = vmcb_program_is_isolated(&m->program);
	host_copy(m->cpu, &host_before);
	why = machine_vmrun(m->cpu, VMCB_VMCB_GPA, BUDGET);
	outcome->end = end_of(why, vmcb);
	outcome->rule = run.predicted;
	machine_vmrun_abandon(m->cpu, SVM_EXIT_INTR);
	host_copy(m->cpu, &host_after);
	run.nr_insns = m->cpu->nr_instructions - nr_insns;
	vmcb_outcome_fill(outcome, vmcb, m->cpu->regs);
	outcome->unimplemented = m->cpu->unimplemented;
	if (!result->violation[0])
		vmcb_run_is_wrong(&run, result->violation, sizeof(result->violation));
	memcpy(m->program.regs, outcome->regs, sizeof(m->program.regs));
	if (m->after)
		m->after[result->nr_runs] = *vmcb;
	for (i = 0; i < NR_DIRTY; i++)
		m->changed[i] |= m->dirty[i];
	vmcb_program_ran(&m->program);
	result->nr_runs++;
}

static void l1_execute(struct vmcb_machine *m, const struct input_op *op)
{
	if (op->kind == VMCB_OP_L1_INVLPGA) {
		machine_invlpga(m->cpu, op->args[0], (uint32_t)op->args[1]);
		return;
	}
	switch (op->args[0]) {
	case L1_STGI:
		/* An NMI that was left pending by the exit that it caused is L1's then. */
		machine_stgi(m->cpu);
		machine_take_nmi(m->cpu);
		break;
	case L1_CLGI:
		machine_clgi(m->cpu);
		break;
	case L1_VMLOAD:
		machine_vmload(m->cpu, VMCB_VMCB_GPA);
		break;
	case L1_VMSAVE:
		machine_vmsave(m->cpu, VMCB_VMCB_GPA);
		break;
	default:
		machine_flush_tlb(m->cpu);
		break;
	}
}

static void input_begin(struct vmcb_machine *m, struct vmcb_result *result)
{
	uint64_t vmcb_page = VMCB_VMCB_GPA / PAGE_BYTES;

	ram_restore(m);
	m->changed[vmcb_page / 64] = 1ull << vmcb_page % 64;
	m->pins = 0;
	m->nr_asids = 0;
	cpu_begin(m);
	m->program = (struct vmcb_program){ .ram = m->ram, .rule_cpu = m->machine->svm_rule_cpu, .written = page_written,
		.context = m };
	/* What a VMSAVE finds before the first VMRUN. */
	machine_vmload(m->cpu, VMCB_VMCB_GPA);
	result->nr_runs = 0;
	result->violation[0] = 0;
}

/* Runs that come behind @last are left out. */
static void run_input(struct vmcb_machine *m, const struct input *input, struct vmcb_result *result, unsigned int last)
{
	unsigned int i;

	input_begin(m, result);
	for (i = 0; i < input->nr_ops && result->nr_runs <= last; i++) {
		const struct input_op *op = &input->ops[i];

		if (op->kind == VMCB_OP_L1 || op->kind == VMCB_OP_L1_INVLPGA)
			l1_execute(m, op);
		else if (op->kind != VMCB_OP_RUN)
			vmcb_program_apply(&m->program, op);
		else if (result->nr_runs + 1 < VMCB_MAX_RUNS)
			run_once(m, result);
	}
	if (result->nr_runs <= last)
		run_once(m, result);
}

/*
 * The input again, with a TLB that is empty where it must be as good as empty. Only at the last such run, which has most
 * behind it: what comes after it may find there what was from before.
 */
static void check_fresh_run(struct vmcb_machine *m, const struct input *input, struct vmcb_result *result)
{
	static struct vmcb_result again;
	char what[128];

	m->is_flushed = true;
	run_input(m, input, &again, m->fresh_run);
	m->is_flushed = false;
	if (vmcb_outcome_differs(&again, result, m->fresh_run, what, sizeof(what)))
		snprintf(result->violation, sizeof(result->violation), "with an empty TLB, %s", what);
}

void vmcb_machine_run(struct vmcb_machine *m, const struct input *input, struct vmcb_result *result)
{
	m->fresh_run = 0;
	run_input(m, input, result, VMCB_MAX_RUNS);
	result->memory_hash = memory_hash(m);
	/* Who looks at VMCBs and RAM wants them as this run left them. */
	if (m->fresh_run && !result->violation[0] && !m->after)
		check_fresh_run(m, input, result);
}

void vmcb_machine_keep(struct vmcb_machine *m, struct vmcb *after)
{
	m->after = after;
}

const uint8_t *vmcb_machine_ram(const struct vmcb_machine *m)
{
	return m->ram;
}

const uint64_t *vmcb_machine_changed(const struct vmcb_machine *m)
{
	return m->changed;
}

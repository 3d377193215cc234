/* SPDX-License-Identifier: MIT */
/* The loop: block after block, and what is pending between instructions. */
#include "machine/private.h"

#include "machine/event.h"
#include "vm/x86/bits.h"

_Noreturn static void cpu_escape(struct cpu *cpu, enum escape escape)
{
	longjmp(cpu->escape, escape);
}

_Noreturn void cpu_raise(struct cpu *cpu, unsigned int vector)
{
	cpu->fault = (struct fault) { .vector = (uint8_t)vector };
	cpu_escape(cpu, ESCAPE_FAULT);
}

_Noreturn void cpu_raise_error(struct cpu *cpu, unsigned int vector, uint32_t error)
{
	cpu->fault = (struct fault) { .vector = (uint8_t)vector, .has_error = true, .error = error };
	cpu_escape(cpu, ESCAPE_FAULT);
}

_Noreturn void cpu_raise_page_fault(struct cpu *cpu, uint64_t address, uint32_t error)
{
	cpu->fault = (struct fault) { .vector = VECTOR_PF, .has_error = true, .error = error, .address = address };
	cpu_escape(cpu, ESCAPE_FAULT);
}

_Noreturn void cpu_raise_software(struct cpu *cpu, unsigned int vector)
{
	cpu->fault = (struct fault) { .vector = (uint8_t)vector, .is_software = true };
	cpu_escape(cpu, ESCAPE_FAULT);
}

_Noreturn void cpu_unimplemented(struct cpu *cpu, const char *what)
{
	cpu->unimplemented = what;
	cpu_escape(cpu, ESCAPE_UNIMPLEMENTED);
}

void machine_stop(struct cpu *cpu)
{
	cpu->is_stopped = true;
	cpu->must_stop = true;
}

static void count_instructions(struct cpu *cpu, uint64_t nr)
{
	cpu->nr_instructions += nr;
	cpu->tsc += nr;
	cpu->budget -= nr;
}

static void run_ops(struct cpu *cpu, const struct op *ops, uint64_t nr)
{
	const struct op *op = ops, *end = ops + nr;

	cpu->first_op = ops;
	do {
		cpu->op = op;
		cpu->regs[REG_NEXT_RIP] = cpu->rip + op->length;
		op->exec(cpu, op);
		cpu->rip = cpu->regs[REG_NEXT_RIP];
		op++;
	} while (op < end && !cpu->must_stop);
	cpu->first_op = cpu->op = NULL;
	count_instructions(cpu, (uint64_t)(op - ops));
}

static inline struct block *next_block(struct cpu *cpu)
{
	const struct jump_entry *jump = &cpu->jumps[cpu->rip % NR_JUMP_ENTRIES];

	if (jump->rip == cpu->rip && jump->generation == cpu->jump_generation)
		return jump->block;
	return block_at_rip(cpu);
}

static enum machine_exit run_blocks(struct cpu *cpu)
{
	for (;;) {
		const struct block *block;

		cpu->must_stop = false;
		if (cpu->is_stopped)
			return MACHINE_EXIT_STOPPED;
		if (cpu->is_halted)
			return MACHINE_EXIT_HLT;
		if (!cpu->budget)
			return MACHINE_EXIT_BUDGET;
		block = next_block(cpu);
		run_ops(cpu, block->ops, block->nr_ops < cpu->budget ? block->nr_ops : cpu->budget);
	}
}

/* A fault is one step of the budget, so that a CPU that does nothing else comes to its end, too. */
static void count_fault(struct cpu *cpu)
{
	if (cpu->op)
		count_instructions(cpu, (uint64_t)(cpu->op - cpu->first_op));
	cpu->first_op = cpu->op = NULL;
	if (cpu->budget)
		cpu->budget--;
}

/* True when the owner wants this exception itself: a trap's RIP is moved then, as its handler would see it. */
static bool is_escaping(struct cpu *cpu)
{
	if (cpu->fault.vector >= 32 || !(cpu->escapes & 1u << cpu->fault.vector))
		return false;
	if (cpu->fault.is_software)
		cpu->rip = cpu->regs[REG_NEXT_RIP];
	return true;
}

enum machine_exit machine_run(struct cpu *cpu, uint64_t budget)
{
	cpu->budget = budget;
	cpu->is_stopped = cpu->is_halted = false;
	cpu->first_op = cpu->op = NULL;
	switch (setjmp(cpu->escape)) {
	case ESCAPE_FAULT:
		count_fault(cpu);
		if (is_escaping(cpu))
			return MACHINE_EXIT_EXCEPTION;
		event_deliver(cpu, EVENT_FAULT, cpu->fault.vector, cpu->fault.has_error, cpu->fault.error);
		break;
	case ESCAPE_UNIMPLEMENTED:
		count_fault(cpu);
		return MACHINE_EXIT_UNIMPLEMENTED;
	default:
		break;
	}
	return run_blocks(cpu);
}

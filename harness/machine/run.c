/* SPDX-License-Identifier: MIT */
/* The loop: block after block, and what is pending between instructions. */
#include "machine/private.h"

#include "machine/debug.h"
#include "machine/event.h"
#include "machine/svm_guest.h"
#include "vm/x86/bits.h"

#define OPCODE_INT_N 0xcd

_Noreturn void cpu_escape(struct cpu *cpu, enum escape escape)
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
	cpu->fault = (struct fault) { .vector = (uint8_t)vector, .is_software = true,
		.is_int_n = cpu->op->opcode == OPCODE_INT_N };
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
	cpu->must_stop |= STOP_EVENT;
}

_Noreturn void machine_put_back(struct cpu *cpu)
{
	cpu_escape(cpu, ESCAPE_PUT_BACK);
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

static void deliver_interrupt(struct cpu *cpu, unsigned int vector, uint32_t type)
{
	cpu->is_halted = false;
	cpu->svm.delivering = EVENT_VALID | type | vector;
	cpu->svm.delivering_error = 0;
	cpu->delivery = DELIVERY_BENIGN;
	event_deliver(cpu, EVENT_EXTERNAL, vector, false, 0);
	cpu->delivery = DELIVERY_NONE;
}

static bool take_nmi(struct cpu *cpu)
{
	if (!(cpu->has_nmi || (svm_pins(cpu) & SVM_PIN_NMI)) || cpu->is_nmi_blocked || cpu->has_shadow)
		return false;
	cpu->has_nmi = false;
	__atomic_and_fetch(&cpu->svm.pins, ~SVM_PIN_NMI, __ATOMIC_SEQ_CST);
	cpu->is_nmi_blocked = true;
	deliver_interrupt(cpu, VECTOR_NMI, EVENT_NMI);
	return true;
}

/* True when an event was delivered instead of an instruction. */
static bool take_event(struct cpu *cpu)
{
	unsigned int vector;

	if (cpu->has_exception && !cpu->svm.is_injecting) {
		cpu->has_exception = false;
		cpu->fault = cpu->exception;
		cpu_escape(cpu, ESCAPE_FAULT);
	}
	if (cpu->svm.is_injecting) {
		svm_inject(cpu);
		return true;
	}
	if (!cpu->svm.has_gif)
		return false;
	svm_check_pins(cpu);
	if (take_nmi(cpu))
		return true;
	if (cpu->interrupt >= 0 && svm_is_interrupt_open(cpu)) {
		vector = (unsigned int)cpu->interrupt;
		cpu->interrupt = -1;
	} else if (!svm_take_virtual_interrupt(cpu, &vector)) {
		return false;
	}
	deliver_interrupt(cpu, vector, EVENT_INTR);
	return true;
}

/* Note, a branch to the instruction behind it is taken for none. */
static bool is_branch_taken(const struct cpu *cpu, const struct op *op, uint64_t from)
{
	return cpu->rip != from + op->length && !(op->prefixes & (OP_REP | OP_REPNE));
}

/*
 * One instruction, because of a trap or a shadow behind it, or of breakpoints. TF counts as it was before the
 * instruction; RF is good for one.
 */
static void run_careful(struct cpu *cpu, const struct block *block)
{
	uint64_t before = cpu->rflags & (X86_EFLAGS_TF | X86_EFLAGS_RF), from = cpu->rip;
	bool had_shadow = cpu->has_shadow, was_guest = cpu->svm.is_guest, is_branch, is_stepped;

	cpu->breakpoints_hit = 0;
	if (debug_is_armed(cpu) && !(before & X86_EFLAGS_RF))
		debug_check_insn(cpu);
	run_ops(cpu, block->ops, 1);
	/* STI or MOV SS in a shadow does not prolong it (APM vol. 2, 15.21.5). */
	if (had_shadow)
		cpu->has_shadow = false;
	cpu->rflags &= ~before | X86_EFLAGS_TF;
	cpu->must_stop |= STOP_EVENT;
	is_branch = is_branch_taken(cpu, &block->ops[0], from) && cpu->svm.is_guest == was_guest;
	if (is_branch)
		debug_branch(cpu, from, cpu->rip, false);
	/* VMRUN's trap is taken behind the #VMEXIT: host_step(). */
	is_stepped = (before & X86_EFLAGS_TF) && cpu->svm.is_guest <= was_guest && (is_branch || !(cpu->branches.dbgctl & DBGCTL_BTF));
	if (is_stepped || cpu->breakpoints_hit) {
		cpu->dr[6] |= cpu->breakpoints_hit | (is_stepped ? DR6_BS : 0);
		cpu_raise(cpu, VECTOR_DB);
	}
}

static bool is_careful(const struct cpu *cpu)
{
	return cpu->has_shadow || (cpu->rflags & (X86_EFLAGS_TF | X86_EFLAGS_RF)) || debug_is_armed(cpu) ||
	       debug_records(cpu);
}

static enum machine_exit run_blocks(struct cpu *cpu)
{
	for (;;) {
		const struct block *block;

		cpu->must_stop = 0;
		if (cpu->is_stopped)
			return MACHINE_EXIT_STOPPED;
		if ((cpu->interrupt >= 0 || cpu->has_nmi || cpu->has_exception || svm_is_pending(cpu)) &&
		    take_event(cpu))
			continue;
		if (cpu->is_halted)
			return MACHINE_EXIT_HLT;
		if (!cpu->budget)
			return MACHINE_EXIT_BUDGET;
		block = next_block(cpu);
		if (is_careful(cpu))
			run_careful(cpu, block);
		else
			run_ops(cpu, block->ops, block->nr_ops < cpu->budget ? block->nr_ops : cpu->budget);
	}
}

/* The instructions before the one that did not come to its end. */
static void count_completed(struct cpu *cpu)
{
	if (cpu->op)
		count_instructions(cpu, (uint64_t)(cpu->op - cpu->first_op));
	cpu->first_op = cpu->op = NULL;
}

/* A fault is one step of the budget, so that a CPU that does nothing else comes to its end, too. */
static void count_fault(struct cpu *cpu)
{
	count_completed(cpu);
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

enum delivery event_class(unsigned int vector)
{
	switch (vector) {
	case VECTOR_DE:
	case VECTOR_TS:
	case VECTOR_NP:
	case VECTOR_SS:
	case VECTOR_GP:
		return DELIVERY_CONTRIBUTORY;
	case VECTOR_PF:
		return DELIVERY_PAGE_FAULT;
	case VECTOR_DF:
		return DELIVERY_DOUBLE_FAULT;
	default:
		return DELIVERY_BENIGN;
	}
}

static enum delivery delivery_class(const struct fault *fault)
{
	return fault->is_software ? DELIVERY_BENIGN : event_class(fault->vector);
}

/*
 * What becomes of a fault in the midst of a delivery, APM vol. 2, table 8-10: the fault itself, a double fault, or
 * false: the CPU shuts down.
 */
static bool combine_faults(struct cpu *cpu)
{
	enum delivery first = cpu->delivery, second = delivery_class(&cpu->fault);
	bool is_double = (first == DELIVERY_CONTRIBUTORY && second == DELIVERY_CONTRIBUTORY) ||
		(first == DELIVERY_PAGE_FAULT && (second == DELIVERY_CONTRIBUTORY || second == DELIVERY_PAGE_FAULT));

	if (first == DELIVERY_DOUBLE_FAULT)
		return false;
	if (is_double)
		cpu->fault = (struct fault) { .vector = VECTOR_DF, .has_error = true };
	return true;
}

static uint32_t exit_int_info(const struct fault *fault)
{
	return EVENT_VALID | (fault->is_int_n ? EVENT_SOFT : EVENT_EXCEPTION) | fault->vector |
		(fault->has_error ? EVENT_HAS_ERROR : 0);
}

/* The exception in cpu->fault; whatever it meets on its way comes back as another. */
static void deliver_fault(struct cpu *cpu)
{
	const struct fault fault = cpu->fault;

	cpu->svm.delivering = exit_int_info(&fault);
	cpu->svm.delivering_error = fault.error;
	cpu->delivery = delivery_class(&fault);
	event_deliver(cpu, fault.is_software ? EVENT_SOFTWARE : EVENT_FAULT, fault.vector, fault.has_error,
		fault.error);
	cpu->delivery = DELIVERY_NONE;
}

/*
 * The fault's way to its delivery: each exception can be intercepted, also the double fault that two become. False: the
 * CPU shuts down.
 */
static bool take_fault(struct cpu *cpu)
{
	unsigned int vector = cpu->fault.vector;
	bool is_fetch = !cpu->op;

	cpu_restore(cpu);
	cpu->is_external = false;
	/* So that the handler may use the registers; what intercepts it sees them as the handler would (15.12.2). */
	if (vector == VECTOR_DB && !cpu->fault.is_int_n)
		cpu->dr[7] &= ~DR7_GD;
	svm_check_exception(cpu, is_fetch);
	count_fault(cpu);
	if (vector == VECTOR_PF && !cpu->fault.is_int_n && !is_escaping(cpu))
		cpu->cr2 = cpu->fault.address;
	if (!combine_faults(cpu)) {
		svm_check_shutdown(cpu);
		return false;
	}
	if (cpu->fault.vector != vector)
		svm_check_exception(cpu, is_fetch);
	return true;
}

/* A VMRUN under TF has come to its end with the #VMEXIT. */
static void host_step(struct cpu *cpu)
{
	if (!(cpu->rflags & X86_EFLAGS_TF))
		return;
	cpu->dr[6] |= DR6_BS;
	cpu->exception = (struct fault) { .vector = VECTOR_DB };
	cpu->has_exception = true;
}

enum machine_exit machine_run(struct cpu *cpu, uint64_t budget)
{
	cpu->budget = budget;
	cpu->is_stopped = cpu->is_halted = false;
	cpu->first_op = cpu->op = NULL;
	cpu->delivery = DELIVERY_NONE;
	switch (setjmp(cpu->escape)) {
	case ESCAPE_FAULT:
		if (!take_fault(cpu))
			return MACHINE_EXIT_SHUTDOWN;
		if (is_escaping(cpu))
			return MACHINE_EXIT_EXCEPTION;
		deliver_fault(cpu);
		break;
	case ESCAPE_VMEXIT:
		cpu_restore(cpu);
		count_completed(cpu);
		cpu->is_external = false;
		svm_leave(cpu);
		if (cpu->svm.is_called)
			return MACHINE_EXIT_VMEXIT;
		host_step(cpu);
		break;
	case ESCAPE_UNIMPLEMENTED:
		cpu_restore(cpu);
		count_fault(cpu);
		return MACHINE_EXIT_UNIMPLEMENTED;
	case ESCAPE_PUT_BACK:
		cpu_restore(cpu);
		count_completed(cpu);
		return MACHINE_EXIT_STOPPED;
	default:
		break;
	}
	return run_blocks(cpu);
}

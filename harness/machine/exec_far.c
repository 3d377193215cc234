/* SPDX-License-Identifier: MIT */
/* Far transfers: JMP, CALL and RET between segments (APM vol. 2, 4.7; vol. 3). */
#include "machine/exec.h"

#include <Zydis/Zydis.h>

#include "machine/branch.h"
#include "machine/segment.h"
#include "machine/stack.h"
#include "machine/task.h"

struct far_pointer {
	uint16_t selector;
	uint64_t offset;
};

/* In memory the offset comes first. AMD's CPUs have no 64-bit offsets there. */
static struct far_pointer far_operand(struct cpu *cpu, const struct op *op, unsigned int size)
{
	unsigned int offset_size = size == 8 ? 4 : size;
	uint64_t at = op_offset(cpu, op), offset;
	uint16_t selector;

	if (op->operands[0].kind == OPERAND_IMM)
		return (struct far_pointer) { op->selector, trim(op->imm, size) };
	offset = memory_read(cpu, op->seg, at, offset_size);
	selector = (uint16_t)memory_read(cpu, op->seg, (at + offset_size) & op->address_mask, 2);
	return (struct far_pointer) { selector, offset };
}

/* A code segment entered without a gate: privilege stays. */
static void check_direct(struct cpu *cpu, const struct segment *code)
{
	if (is_conforming(code) ? segment_dpl(code) > cpu->cpl :
	    (code->selector & SELECTOR_RPL) > cpu->cpl || segment_dpl(code) != cpu->cpl)
		raise_selector(cpu, VECTOR_GP, code->selector);
}

static void push_return(struct cpu *cpu, struct stack *stack, unsigned int size)
{
	stack_push(stack, size, cpu->saved.segs[SEG_CS].selector);
	stack_push(stack, size, cpu->regs[REG_NEXT_RIP]);
}

static void far_direct(struct cpu *cpu, const struct descriptor *descriptor, struct far_pointer to, unsigned int size,
	bool is_call)
{
	struct segment code = descriptor_segment(descriptor, to.selector);
	struct stack stack;

	check_direct(cpu, &code);
	segment_load_code(cpu, descriptor, to.selector, cpu->cpl);
	if (is_call) {
		stack = stack_open(cpu);
		push_return(cpu, &stack, size);
	}
	branch_check(cpu, to.offset);
	if (is_call)
		stack_commit(&stack);
	cpu->regs[REG_NEXT_RIP] = to.offset;
}

/* The target of a call gate, and the privilege it is entered with: an inner one for CALL only. */
static unsigned int check_gate_target(struct cpu *cpu, uint16_t selector, bool is_call, struct descriptor *descriptor)
{
	bool is_long = cpu->efer & EFER_LMA;
	struct segment code;

	if (is_null_selector(selector))
		cpu_raise_error(cpu, VECTOR_GP, 0);
	*descriptor = descriptor_read(cpu, selector, VECTOR_GP);
	code = descriptor_segment(descriptor, selector);
	if (!is_code_segment(&code) || segment_dpl(&code) > cpu->cpl ||
	    (is_long && (code.attrib & (SEG_L | SEG_DB)) != SEG_L))
		raise_selector(cpu, VECTOR_GP, selector);
	if (!is_call && !is_conforming(&code) && segment_dpl(&code) != cpu->cpl)
		raise_selector(cpu, VECTOR_GP, selector);
	if (!(code.attrib & SEG_P))
		raise_selector(cpu, VECTOR_NP, selector);
	return is_conforming(&code) || !is_call ? cpu->cpl : segment_dpl(&code);
}

/* To the inner stack: the old one's pointer, and as many parameters as the gate says. */
static void enter_inner_stack(struct cpu *cpu, struct stack *stack, unsigned int cpl, unsigned int size,
	unsigned int nr_parameters)
{
	struct stack outer = stack_open(cpu);
	uint64_t parameters[31], rsp;
	uint16_t ss;
	unsigned int i;

	for (i = 0; i < nr_parameters; i++)
		parameters[i] = stack_pop(&outer, size);
	cpu->cpl = (uint8_t)cpl;
	if (cpu->efer & EFER_LMA) {
		rsp = tss_read_rsp(cpu, cpl);
		segment_set_null(cpu, SEG_SS, (uint16_t)cpl);
	} else {
		tss_read_stack(cpu, cpl, &ss, &rsp);
		segment_load_stack(cpu, ss, cpl, VECTOR_TS);
	}
	cpu->regs[REG_RSP] = rsp;
	cpu_mode_changed(cpu);
	*stack = stack_open(cpu);
	stack_push(stack, size, cpu->saved.segs[SEG_SS].selector);
	stack_push(stack, size, cpu->saved.rsp);
	while (i-- > 0)
		stack_push(stack, size, parameters[i]);
}

static void far_call_gate(struct cpu *cpu, const struct descriptor *gate, bool is_call)
{
	bool is_long = cpu->efer & EFER_LMA;
	unsigned int size = is_long ? 8 : gate->low >> 43 & 1 ? 4 : 2, cpl;
	uint64_t offset = (gate->low & 0xffff) | (gate->low >> 48) << 16 | gate->high << 32;
	uint16_t selector = (uint16_t)(gate->low >> 16);
	struct descriptor code;
	struct stack stack;

	cpl = check_gate_target(cpu, selector, is_call, &code);
	if (cpl < cpu->cpl)
		enter_inner_stack(cpu, &stack, cpl, size, is_long ? 0 : gate->low >> 32 & 31);
	else
		stack = stack_open(cpu);
	segment_load_code(cpu, &code, selector, cpl);
	if (is_call)
		push_return(cpu, &stack, size);
	branch_check(cpu, trim(offset, size));
	stack_commit(&stack);
	cpu->regs[REG_NEXT_RIP] = trim(offset, size);
}

static void far_system(struct cpu *cpu, const struct descriptor *descriptor, uint16_t selector, bool is_call)
{
	struct segment system = descriptor_segment(descriptor, selector);
	unsigned int type = system.attrib & SEG_TYPE;
	bool is_long = cpu->efer & EFER_LMA;
	bool is_call_gate = type == TYPE_CALL_GATE || (!is_long && type == TYPE_CALL_GATE16);
	bool is_task = !is_long && (type == TYPE_TASK_GATE || type == TYPE_TSS || type == TYPE_TSS16);

	if ((!is_call_gate && !is_task) || segment_dpl(&system) < cpu->cpl ||
	    segment_dpl(&system) < (selector & SELECTOR_RPL))
		raise_selector(cpu, VECTOR_GP, selector);
	if (!(system.attrib & SEG_P))
		raise_selector(cpu, VECTOR_NP, selector);
	if (is_call_gate)
		far_call_gate(cpu, descriptor, is_call);
	else
		task_switch(cpu, type == TYPE_TASK_GATE ? (uint16_t)(descriptor->low >> 16) : selector,
			is_call ? TASK_CALL : TASK_JMP, cpu->regs[REG_NEXT_RIP]);
}

static void far_paragraph(struct cpu *cpu, struct far_pointer to, unsigned int size, bool is_call)
{
	struct stack stack = stack_open(cpu);

	if (is_call)
		push_return(cpu, &stack, size);
	if (to.offset > cpu->segs[SEG_CS].limit)
		cpu_raise_error(cpu, VECTOR_GP, 0);
	stack_commit(&stack);
	segment_load_paragraph(cpu, SEG_CS, to.selector);
	cpu->regs[REG_NEXT_RIP] = to.offset;
}

ALWAYS_INLINE void far_transfer(struct cpu *cpu, const struct op *op, unsigned int size, bool is_call)
{
	struct far_pointer to = far_operand(cpu, op, size);
	struct descriptor descriptor;

	cpu_save(cpu);
	if (is_paragraph_mode(cpu)) {
		far_paragraph(cpu, to, size, is_call);
		cpu_keep(cpu);
		return;
	}
	if (is_null_selector(to.selector))
		cpu_raise_error(cpu, VECTOR_GP, 0);
	descriptor = descriptor_read(cpu, to.selector, VECTOR_GP);
	if (!(descriptor.low >> 44 & 1)) {
		far_system(cpu, &descriptor, to.selector, is_call);
	} else {
		if (!(descriptor.low >> 43 & 1))
			raise_selector(cpu, VECTOR_GP, to.selector);
		far_direct(cpu, &descriptor, to, size, is_call);
	}
	cpu_keep(cpu);
}

ALWAYS_INLINE void jmp_far(struct cpu *cpu, const struct op *op, unsigned int size)
{
	far_transfer(cpu, op, size, false);
}

ALWAYS_INLINE void call_far(struct cpu *cpu, const struct op *op, unsigned int size)
{
	far_transfer(cpu, op, size, true);
}

void return_load_code(struct cpu *cpu, uint16_t selector, uint64_t rip)
{
	unsigned int rpl = selector & SELECTOR_RPL;
	struct descriptor descriptor;
	struct segment code;

	if (is_null_selector(selector))
		cpu_raise_error(cpu, VECTOR_GP, 0);
	descriptor = descriptor_read(cpu, selector, VECTOR_GP);
	code = descriptor_segment(&descriptor, selector);
	if (!is_code_segment(&code) || rpl < cpu->cpl ||
	    (is_conforming(&code) ? segment_dpl(&code) > rpl : segment_dpl(&code) != rpl))
		raise_selector(cpu, VECTOR_GP, selector);
	segment_load_code(cpu, &descriptor, selector, rpl);
	branch_check(cpu, rip);
}

void return_load_stack(struct cpu *cpu, uint16_t selector)
{
	if (is_null_selector(selector) && cpu->is_long64 && cpu->cpl < 3 && selector == cpu->cpl)
		segment_set_null(cpu, SEG_SS, selector);
	else
		segment_load_stack(cpu, selector, cpu->cpl, VECTOR_GP);
}

/* Note, the order in which the frame is read is that of AMD's CPUs: where it is not all there, CR2 tells. */
ALWAYS_INLINE void ret_far(struct cpu *cpu, const struct op *op, unsigned int size)
{
	unsigned int cpl = cpu->cpl;
	uint64_t release = op->nr_operands ? op->imm : 0, rip, rsp;
	struct stack stack = stack_open(cpu);
	uint16_t cs, ss;

	cpu_save(cpu);
	cs = (uint16_t)stack_peek(&stack, size, 1);
	rip = stack_peek(&stack, size, 0);
	stack_drop(&stack, 2 * size + release);
	if (is_paragraph_mode(cpu)) {
		branch_check(cpu, rip);
		segment_load_paragraph(cpu, SEG_CS, cs);
		stack_commit(&stack);
	} else if ((cs & SELECTOR_RPL) == cpl) {
		return_load_code(cpu, cs, rip);
		stack_commit(&stack);
	} else {
		ss = (uint16_t)stack_peek(&stack, size, 1);
		rsp = stack_peek(&stack, size, 0);
		return_load_code(cpu, cs, rip);
		return_load_stack(cpu, ss);
		cpu->regs[REG_RSP] = stack_pointer(cpu, cpu->regs[REG_RSP], rsp + release);
		segments_drop_privileged(cpu);
	}
	cpu->regs[REG_NEXT_RIP] = rip;
	cpu_keep(cpu);
}

EXEC_WIDE_SIZES(jmp_far)
EXEC_WIDE_SIZES(call_far)
EXEC_WIDE_SIZES(ret_far)

#define ROW_FAR (ROW_WIDTH | ROW_ENDS_BLOCK)

static const struct exec_row rows[] = {
	{ EXEC_JMP_FAR, ROW_FAR, 0, EXEC_WIDE(jmp_far) },
	{ EXEC_CALL_FAR, ROW_FAR, 0, EXEC_WIDE(call_far) },
	{ EXEC_RET_FAR, ROW_FAR, 0, EXEC_WIDE(ret_far) },
};

EXEC_TABLE(exec_far, rows);

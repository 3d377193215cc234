/* SPDX-License-Identifier: MIT */
/* PUSH, POP and the frames of procedures. */
#include "machine/exec.h"

#include <Zydis/Zydis.h>

#include "machine/stack.h"

ALWAYS_INLINE void push(struct cpu *cpu, const struct op *op, unsigned int size)
{
	struct stack stack = stack_open(cpu);

	stack_push(&stack, size, operand_read(cpu, op, 0, size));
	stack_commit(&stack);
}

/* An address that RSP is part of is computed with the RSP that POP leaves. */
ALWAYS_INLINE void pop_memory(struct cpu *cpu, const struct op *op, unsigned int size)
{
	struct stack stack = stack_open(cpu);
	uint64_t value = stack_pop(&stack, size), rsp = cpu->regs[REG_RSP], offset;

	cpu->regs[REG_RSP] = stack.rsp;
	offset = op_offset(cpu, op);
	cpu->regs[REG_RSP] = rsp;
	memory_write(cpu, op->seg, offset, size, value);
	stack_commit(&stack);
}

ALWAYS_INLINE void pop(struct cpu *cpu, const struct op *op, unsigned int size)
{
	struct stack stack = stack_open(cpu);
	uint64_t value;

	if (op->operands[0].kind == OPERAND_MEM) {
		pop_memory(cpu, op, size);
		return;
	}
	value = stack_pop(&stack, size);
	stack_commit(&stack);
	operand_write(cpu, op, 0, size, value);
}

ALWAYS_INLINE void pusha(struct cpu *cpu, const struct op *op, unsigned int size)
{
	struct stack stack = stack_open(cpu);
	unsigned int i;

	(void)op;
	for (i = REG_RAX; i <= REG_RDI; i++)
		stack_push(&stack, size, cpu->regs[i]);
	stack_commit(&stack);
}

/*
 * The value for RSP is dropped. Note, a fault in the middle leaves the registers before it loaded, as AMD's CPUs
 * do: with RSP unchanged, the instruction can be started again.
 */
ALWAYS_INLINE void popa(struct cpu *cpu, const struct op *op, unsigned int size)
{
	struct stack stack = stack_open(cpu);
	unsigned int i;

	(void)op;
	for (i = REG_RDI + 1; i-- > 0;) {
		uint64_t value = stack_pop(&stack, size);

		if (i != REG_RSP)
			gpr_write(cpu, i, size, value);
	}
	stack_commit(&stack);
}

/*
 * ENTER: the frame pointers of the levels above are copied through RBP. The last byte of the new frame must be
 * writable, although nothing is written there (APM vol. 3, ENTER).
 */
ALWAYS_INLINE void enter(struct cpu *cpu, const struct op *op, unsigned int size)
{
	struct stack stack = stack_open(cpu);
	unsigned int level = op->selector & 31, i;
	uint64_t frame, from = cpu->regs[REG_RBP];

	stack_push(&stack, size, cpu->regs[REG_RBP]);
	frame = stack.rsp;
	for (i = 1; i < level; i++) {
		from = stack_pointer(cpu, from, from - size);
		stack_push(&stack, size, memory_read(cpu, SEG_SS, from & cpu->stack_mask, size));
	}
	if (level)
		stack_push(&stack, size, frame);
	stack.rsp = stack_pointer(cpu, stack.rsp, stack.rsp - op->imm);
	memory_read_to_write(cpu, SEG_SS, stack.rsp & cpu->stack_mask, size);
	stack_commit(&stack);
	gpr_write(cpu, REG_RBP, size, frame);
}

ALWAYS_INLINE void leave(struct cpu *cpu, const struct op *op, unsigned int size)
{
	struct stack stack = { cpu, stack_pointer(cpu, cpu->regs[REG_RSP], cpu->regs[REG_RBP]) };
	uint64_t value = stack_pop(&stack, size);

	(void)op;
	stack_commit(&stack);
	gpr_write(cpu, REG_RBP, size, value);
}

EXEC_WIDE_SIZES(push)
EXEC_WIDE_SIZES(pop)
EXEC_WIDE_SIZES(pusha)
EXEC_WIDE_SIZES(popa)
EXEC_WIDE_SIZES(enter)
EXEC_WIDE_SIZES(leave)

static const struct exec_row rows[] = {
	{ ZYDIS_MNEMONIC_PUSH, ROW_WIDTH, 0, EXEC_WIDE(push) },
	{ ZYDIS_MNEMONIC_POP, ROW_WIDTH, 0, EXEC_WIDE(pop) },
	{ ZYDIS_MNEMONIC_PUSHA, ROW_WIDTH, 0, EXEC_WIDE(pusha) },
	{ ZYDIS_MNEMONIC_PUSHAD, ROW_WIDTH, 0, EXEC_WIDE(pusha) },
	{ ZYDIS_MNEMONIC_POPA, ROW_WIDTH, 0, EXEC_WIDE(popa) },
	{ ZYDIS_MNEMONIC_POPAD, ROW_WIDTH, 0, EXEC_WIDE(popa) },
	{ ZYDIS_MNEMONIC_ENTER, ROW_WIDTH, 0, EXEC_WIDE(enter) },
	{ ZYDIS_MNEMONIC_LEAVE, ROW_WIDTH, 0, EXEC_WIDE(leave) },
};

EXEC_TABLE(exec_stack, rows);

/* SPDX-License-Identifier: MIT */
/* Near branches: JMP, Jcc, LOOP, CALL and RET. */
#include "machine/branch.h"

#include "machine/exec.h"

#include <Zydis/Zydis.h>

#include "machine/stack.h"

void branch_check(struct cpu *cpu, uint64_t target)
{
	if (cpu->is_long64 ? !is_canonical(cpu, target) : target > cpu->segs[SEG_CS].limit)
		cpu_raise_error(cpu, VECTOR_GP, 0);
}

void branch_near(struct cpu *cpu, uint64_t target, unsigned int size_bytes)
{
	target = trim(target, size_bytes);
	branch_check(cpu, target);
	cpu->regs[REG_NEXT_RIP] = target;
}

/* Where the operand says: a displacement from the next instruction, or an address in a register or in memory. */
ALWAYS_INLINE uint64_t branch_target(struct cpu *cpu, const struct op *op, unsigned int size)
{
	if (op->operands[0].kind == OPERAND_IMM)
		return trim(cpu->regs[REG_NEXT_RIP] + op->imm, size);
	return operand_read(cpu, op, 0, size);
}

ALWAYS_INLINE void jmp(struct cpu *cpu, const struct op *op, unsigned int size)
{
	branch_near(cpu, branch_target(cpu, op, size), size);
}

ALWAYS_INLINE void jcc(struct cpu *cpu, const struct op *op, unsigned int size)
{
	if (is_condition(cpu, op->opcode))
		jmp(cpu, op, size);
}

/* The count's size is the address size. */
ALWAYS_INLINE uint64_t count_read(const struct cpu *cpu, const struct op *op)
{
	return cpu->regs[REG_RCX] & op->address_mask;
}

ALWAYS_INLINE void jcxz(struct cpu *cpu, const struct op *op, unsigned int size)
{
	if (!count_read(cpu, op))
		jmp(cpu, op, size);
}

/* Note, RCX must be unchanged when the branch faults. */
ALWAYS_INLINE void loop(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t count = (count_read(cpu, op) - 1) & op->address_mask;
	bool is_taken = count;

	if (op->mnemonic == ZYDIS_MNEMONIC_LOOPE)
		is_taken = count && (cpu->rflags & ZF);
	else if (op->mnemonic == ZYDIS_MNEMONIC_LOOPNE)
		is_taken = count && !(cpu->rflags & ZF);
	if (is_taken)
		jmp(cpu, op, size);
	gpr_write(cpu, REG_RCX, op->address_mask == 0xffff ? 2 : op->address_mask == 0xffffffff ? 4 : 8, count);
}

/* A fault of the push comes before one of the target, and then nothing has been pushed. */
ALWAYS_INLINE void call(struct cpu *cpu, const struct op *op, unsigned int size)
{
	struct stack stack = stack_open(cpu);
	uint64_t target = branch_target(cpu, op, size);

	stack_check_push(&stack, size);
	branch_check(cpu, target);
	stack_push(&stack, size, cpu->regs[REG_NEXT_RIP]);
	stack_commit(&stack);
	cpu->regs[REG_NEXT_RIP] = target;
}

ALWAYS_INLINE void ret(struct cpu *cpu, const struct op *op, unsigned int size)
{
	struct stack stack = stack_open(cpu);
	uint64_t target = stack_pop(&stack, size);

	branch_near(cpu, target, size);
	stack.rsp = stack_pointer(cpu, stack.rsp, stack.rsp + (op->nr_operands ? op->imm : 0));
	stack_commit(&stack);
}

EXEC_WIDE_SIZES(jmp)
EXEC_WIDE_SIZES(jcc)
EXEC_WIDE_SIZES(jcxz)
EXEC_WIDE_SIZES(loop)
EXEC_WIDE_SIZES(call)
EXEC_WIDE_SIZES(ret)

#define ROW_BRANCH (ROW_WIDTH | ROW_ENDS_BLOCK)
#define BRANCH(mnemonic, exec) { ZYDIS_MNEMONIC_##mnemonic, ROW_BRANCH, 0, EXEC_WIDE(exec) }

static const struct exec_row rows[] = {
	BRANCH(JMP, jmp), BRANCH(CALL, call), BRANCH(RET, ret),
	BRANCH(JO, jcc), BRANCH(JNO, jcc), BRANCH(JB, jcc), BRANCH(JNB, jcc),
	BRANCH(JZ, jcc), BRANCH(JNZ, jcc), BRANCH(JBE, jcc), BRANCH(JNBE, jcc),
	BRANCH(JS, jcc), BRANCH(JNS, jcc), BRANCH(JP, jcc), BRANCH(JNP, jcc),
	BRANCH(JL, jcc), BRANCH(JNL, jcc), BRANCH(JLE, jcc), BRANCH(JNLE, jcc),
	BRANCH(JCXZ, jcxz), BRANCH(JECXZ, jcxz), BRANCH(JRCXZ, jcxz),
	BRANCH(LOOP, loop), BRANCH(LOOPE, loop), BRANCH(LOOPNE, loop),
};

EXEC_TABLE(exec_branch, rows);

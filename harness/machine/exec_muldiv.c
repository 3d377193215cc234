/* SPDX-License-Identifier: MIT */
/* Multiplication and division. #DE changes nothing. */
#include "machine/exec.h"

#include <Zydis/Zydis.h>

__extension__ typedef unsigned __int128 u128;
__extension__ typedef __int128 s128;

/* The double-width accumulator: AX, DX:AX, EDX:EAX or RDX:RAX. */
ALWAYS_INLINE u128 accumulator_read(const struct cpu *cpu, unsigned int size)
{
	if (size == 1)
		return gpr_read(cpu, REG_RAX, 2);
	return (u128)gpr_read(cpu, REG_RDX, size) << size_bits(size) | gpr_read(cpu, REG_RAX, size);
}

ALWAYS_INLINE void accumulator_write(struct cpu *cpu, unsigned int size, uint64_t low, uint64_t high)
{
	if (size == 1) {
		gpr_write(cpu, REG_RAX, 2, (high & 0xff) << 8 | (low & 0xff));
		return;
	}
	gpr_write(cpu, REG_RAX, size, low);
	gpr_write(cpu, REG_RDX, size, high);
}

/* CF and OF: the upper half matters. The others are undefined, and stay. */
ALWAYS_INLINE void multiply_done(struct cpu *cpu, bool is_wide)
{
	flags_set(cpu, CF | OF, flag_if(is_wide, CF | OF));
}

ALWAYS_INLINE void mul(struct cpu *cpu, const struct op *op, unsigned int size)
{
	u128 product = (u128)operand_read(cpu, op, 0, size) * gpr_read(cpu, REG_RAX, size);
	uint64_t high = (uint64_t)(product >> size_bits(size));

	accumulator_write(cpu, size, (uint64_t)product, high);
	multiply_done(cpu, high);
}

ALWAYS_INLINE s128 signed_product(uint64_t a, uint64_t b, unsigned int size)
{
	return (s128)(int64_t)sign_extend(a, size) * (int64_t)sign_extend(b, size);
}

ALWAYS_INLINE bool is_wide_product(s128 product, unsigned int size)
{
	return product != (s128)(int64_t)sign_extend((uint64_t)product, size);
}

/* One operand: into the accumulator. Two or three: truncated into the first; the factors are the last two. */
ALWAYS_INLINE void imul(struct cpu *cpu, const struct op *op, unsigned int size)
{
	unsigned int last = op->nr_operands - 1;
	s128 product;

	if (op->nr_operands == 1) {
		product = signed_product(operand_read(cpu, op, 0, size), gpr_read(cpu, REG_RAX, size), size);
		accumulator_write(cpu, size, (uint64_t)product, (uint64_t)(product >> size_bits(size)));
	} else {
		product = signed_product(operand_read(cpu, op, last - 1, size), operand_read(cpu, op, last, size),
			size);
		operand_write(cpu, op, 0, size, (uint64_t)product);
	}
	multiply_done(cpu, is_wide_product(product, size));
}

/* All status flags are undefined. AMD's CPUs leave CF and OF alone. */
ALWAYS_INLINE void divide_done(struct cpu *cpu)
{
	flags_set(cpu, PF | AF | ZF | SF, AF);
}

ALWAYS_INLINE void divide(struct cpu *cpu, const struct op *op, unsigned int size)
{
	u128 dividend = accumulator_read(cpu, size), quotient;
	uint64_t divisor = operand_read(cpu, op, 0, size);

	if (!divisor)
		cpu_raise(cpu, VECTOR_DE);
	quotient = dividend / divisor;
	if (quotient >> size_bits(size))
		cpu_raise(cpu, VECTOR_DE);
	accumulator_write(cpu, size, (uint64_t)quotient, (uint64_t)(dividend % divisor));
	divide_done(cpu);
}

ALWAYS_INLINE s128 signed_dividend(const struct cpu *cpu, unsigned int size)
{
	unsigned int shift = 128 - 2 * size_bits(size);

	return (s128)(accumulator_read(cpu, size) << shift) >> shift;
}

/* The most negative dividend by -1 does not fit, and is undefined in C. */
ALWAYS_INLINE void idivide(struct cpu *cpu, const struct op *op, unsigned int size)
{
	s128 dividend = signed_dividend(cpu, size), quotient;
	int64_t divisor = (int64_t)sign_extend(operand_read(cpu, op, 0, size), size);

	if (!divisor || (divisor == -1 && dividend == (s128)((u128)1 << 127)))
		cpu_raise(cpu, VECTOR_DE);
	quotient = dividend / divisor;
	if (is_wide_product(quotient, size))
		cpu_raise(cpu, VECTOR_DE);
	accumulator_write(cpu, size, (uint64_t)quotient, (uint64_t)(dividend % divisor));
	divide_done(cpu);
}

EXEC_SIZES(mul)
EXEC_SIZES(imul)
EXEC_SIZES(divide)
EXEC_SIZES(idivide)

static const struct exec_row rows[] = {
	{ ZYDIS_MNEMONIC_MUL, 0, 0, EXEC_ALL(mul) },
	{ ZYDIS_MNEMONIC_IMUL, 0, 0, EXEC_ALL(imul) },
	{ ZYDIS_MNEMONIC_DIV, 0, 0, EXEC_ALL(divide) },
	{ ZYDIS_MNEMONIC_IDIV, 0, 0, EXEC_ALL(idivide) },
};

EXEC_TABLE(exec_muldiv, rows);

/* SPDX-License-Identifier: MIT */
/* Addition, subtraction, logic and comparison, with and without exchange (APM vol. 3, chapter 3). */
#include "machine/exec.h"

#include <Zydis/Zydis.h>

ALWAYS_INLINE uint64_t carry_in(const struct cpu *cpu)
{
	return cpu->rflags & CF;
}

ALWAYS_INLINE uint64_t add_flags(uint64_t a, uint64_t b, uint64_t carry, uint64_t sum, unsigned int size)
{
	return result_flags(sum, size) | flag_if(sum < a || (carry && sum == a), CF) | ((a ^ b ^ sum) & AF) |
	       flag_if(sign_bit((a ^ sum) & (b ^ sum), size), OF);
}

ALWAYS_INLINE uint64_t sub_flags(uint64_t a, uint64_t b, uint64_t borrow, uint64_t difference, unsigned int size)
{
	return result_flags(difference, size) | flag_if(a < b || (borrow && a == b), CF) | ((a ^ b ^ difference) & AF) |
	       flag_if(sign_bit((a ^ b) & (a ^ difference), size), OF);
}

ALWAYS_INLINE void add_with(struct cpu *cpu, const struct op *op, unsigned int size, uint64_t carry)
{
	uint64_t b = operand_read(cpu, op, 1, size);
	uint64_t a = operand_read_to_write(cpu, op, 0, size);
	uint64_t sum = trim(a + b + carry, size);

	operand_write(cpu, op, 0, size, sum);
	flags_set(cpu, STATUS_FLAGS, add_flags(a, b, carry, sum, size));
}

ALWAYS_INLINE void sub_with(struct cpu *cpu, const struct op *op, unsigned int size, uint64_t borrow)
{
	uint64_t b = operand_read(cpu, op, 1, size);
	uint64_t a = operand_read_to_write(cpu, op, 0, size);
	uint64_t difference = trim(a - b - borrow, size);

	operand_write(cpu, op, 0, size, difference);
	flags_set(cpu, STATUS_FLAGS, sub_flags(a, b, borrow, difference, size));
}

ALWAYS_INLINE void add(struct cpu *cpu, const struct op *op, unsigned int size)
{
	add_with(cpu, op, size, 0);
}

ALWAYS_INLINE void adc(struct cpu *cpu, const struct op *op, unsigned int size)
{
	add_with(cpu, op, size, carry_in(cpu));
}

ALWAYS_INLINE void sub(struct cpu *cpu, const struct op *op, unsigned int size)
{
	sub_with(cpu, op, size, 0);
}

ALWAYS_INLINE void sbb(struct cpu *cpu, const struct op *op, unsigned int size)
{
	sub_with(cpu, op, size, carry_in(cpu));
}

ALWAYS_INLINE void cmp(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t a = operand_read(cpu, op, 0, size);
	uint64_t b = operand_read(cpu, op, 1, size);

	flags_set(cpu, STATUS_FLAGS, sub_flags(a, b, 0, trim(a - b, size), size));
}

ALWAYS_INLINE void inc(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t a = operand_read_to_write(cpu, op, 0, size);
	uint64_t sum = trim(a + 1, size);

	operand_write(cpu, op, 0, size, sum);
	flags_set(cpu, STATUS_FLAGS & ~CF, add_flags(a, 1, 0, sum, size) & ~CF);
}

ALWAYS_INLINE void dec(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t a = operand_read_to_write(cpu, op, 0, size);
	uint64_t difference = trim(a - 1, size);

	operand_write(cpu, op, 0, size, difference);
	flags_set(cpu, STATUS_FLAGS & ~CF, sub_flags(a, 1, 0, difference, size) & ~CF);
}

ALWAYS_INLINE void neg(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t a = operand_read_to_write(cpu, op, 0, size);
	uint64_t difference = trim(0 - a, size);

	operand_write(cpu, op, 0, size, difference);
	flags_set(cpu, STATUS_FLAGS, sub_flags(0, a, 0, difference, size));
}

ALWAYS_INLINE void not(struct cpu *cpu, const struct op *op, unsigned int size)
{
	operand_write(cpu, op, 0, size, ~operand_read_to_write(cpu, op, 0, size));
}

/* AND, OR and XOR: CF and OF are cleared; AF, which is undefined, too. */
ALWAYS_INLINE void logic_done(struct cpu *cpu, uint64_t result, unsigned int size)
{
	flags_set(cpu, STATUS_FLAGS, result_flags(result, size));
}

#define LOGIC(name, operator)								\
	ALWAYS_INLINE void name(struct cpu *cpu, const struct op *op, unsigned int size)	\
	{										\
		uint64_t b = operand_read(cpu, op, 1, size);				\
		uint64_t result = operand_read_to_write(cpu, op, 0, size) operator b;	\
											\
		operand_write(cpu, op, 0, size, result);				\
		logic_done(cpu, result, size);						\
	}

LOGIC(and, &)
LOGIC(or, |)
LOGIC(xor, ^)

ALWAYS_INLINE void test(struct cpu *cpu, const struct op *op, unsigned int size)
{
	logic_done(cpu, operand_read(cpu, op, 0, size) & operand_read(cpu, op, 1, size), size);
}

ALWAYS_INLINE void xadd(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t b = operand_read(cpu, op, 1, size);
	uint64_t a = operand_read_to_write(cpu, op, 0, size);
	uint64_t sum = trim(a + b, size);

	/* The order matters for XADD with a register and itself: the sum stays. */
	if (op->operands[0].kind == OPERAND_MEM)
		operand_write(cpu, op, 0, size, sum);
	operand_write(cpu, op, 1, size, a);
	if (op->operands[0].kind == OPERAND_REG)
		operand_write(cpu, op, 0, size, sum);
	flags_set(cpu, STATUS_FLAGS, add_flags(a, b, 0, sum, size));
}

/* The destination is written in both cases, if only with what it had (APM vol. 3, CMPXCHG). */
ALWAYS_INLINE void cmpxchg(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t source = operand_read(cpu, op, 1, size);
	uint64_t destination = operand_read_to_write(cpu, op, 0, size);
	uint64_t accumulator = gpr_read(cpu, REG_RAX, size);

	if (accumulator == destination) {
		operand_write(cpu, op, 0, size, source);
	} else {
		if (op->operands[0].kind == OPERAND_MEM)
			operand_write(cpu, op, 0, size, destination);
		gpr_write(cpu, REG_RAX, size, destination);
	}
	flags_set(cpu, STATUS_FLAGS,
		sub_flags(accumulator, destination, 0, trim(accumulator - destination, size), size));
}

static void cmpxchg8b(struct cpu *cpu, const struct op *op)
{
	uint64_t offset = op_offset(cpu, op), value = memory_read_to_write(cpu, op->seg, offset, 8);
	bool is_equal = value == (gpr_read(cpu, REG_RAX, 4) | gpr_read(cpu, REG_RDX, 4) << 32);
	uint64_t other = gpr_read(cpu, REG_RBX, 4) | gpr_read(cpu, REG_RCX, 4) << 32;

	memory_write(cpu, op->seg, offset, 8, is_equal ? other : value);
	if (!is_equal) {
		gpr_write(cpu, REG_RAX, 4, (uint32_t)value);
		gpr_write(cpu, REG_RDX, 4, value >> 32);
	}
	flags_set(cpu, ZF, flag_if(is_equal, ZF));
}

static void cmpxchg16b(struct cpu *cpu, const struct op *op)
{
	uint64_t offset = op_offset(cpu, op), low, high;
	bool is_equal;

	/* Before what is wrong with the address otherwise. */
	if ((offset + cpu->windows[op->seg].base) & 15)
		cpu_raise_error(cpu, VECTOR_GP, 0);
	segment_linear(cpu, op->seg, offset, 16, ACCESS_WRITE);
	low = memory_read_to_write(cpu, op->seg, offset, 8);
	high = memory_read_to_write(cpu, op->seg, offset + 8, 8);
	is_equal = low == cpu->regs[REG_RAX] && high == cpu->regs[REG_RDX];
	memory_write(cpu, op->seg, offset, 8, is_equal ? cpu->regs[REG_RBX] : low);
	memory_write(cpu, op->seg, offset + 8, 8, is_equal ? cpu->regs[REG_RCX] : high);
	if (!is_equal) {
		cpu->regs[REG_RAX] = low;
		cpu->regs[REG_RDX] = high;
	}
	flags_set(cpu, ZF, flag_if(is_equal, ZF));
}

/* ADCX and ADOX: addition with CF or OF as the carry, and no other flag. */
ALWAYS_INLINE void add_by_flag(struct cpu *cpu, const struct op *op, unsigned int size, uint64_t flag)
{
	uint64_t a = operand_read(cpu, op, 0, size);
	uint64_t b = operand_read(cpu, op, 1, size);
	bool carry = cpu->rflags & flag;
	uint64_t sum = trim(a + b + carry, size);

	operand_write(cpu, op, 0, size, sum);
	flags_set(cpu, flag, flag_if(sum < a || (carry && sum == a), flag));
}

ALWAYS_INLINE void adcx(struct cpu *cpu, const struct op *op, unsigned int size)
{
	add_by_flag(cpu, op, size, CF);
}

ALWAYS_INLINE void adox(struct cpu *cpu, const struct op *op, unsigned int size)
{
	add_by_flag(cpu, op, size, OF);
}

EXEC_SIZES(add)
EXEC_SIZES(adc)
EXEC_SIZES(sub)
EXEC_SIZES(sbb)
EXEC_SIZES(cmp)
EXEC_SIZES(inc)
EXEC_SIZES(dec)
EXEC_SIZES(neg)
EXEC_SIZES(not)
EXEC_SIZES(and)
EXEC_SIZES(or)
EXEC_SIZES(xor)
EXEC_SIZES(test)
EXEC_SIZES(xadd)
EXEC_SIZES(cmpxchg)
EXEC_LONG_SIZES(adcx)
EXEC_LONG_SIZES(adox)

static const struct exec_row rows[] = {
	{ ZYDIS_MNEMONIC_ADD, 0, 0, EXEC_ALL(add) },
	{ ZYDIS_MNEMONIC_ADC, 0, 0, EXEC_ALL(adc) },
	{ ZYDIS_MNEMONIC_SUB, 0, 0, EXEC_ALL(sub) },
	{ ZYDIS_MNEMONIC_SBB, 0, 0, EXEC_ALL(sbb) },
	{ ZYDIS_MNEMONIC_CMP, 0, 0, EXEC_ALL(cmp) },
	{ ZYDIS_MNEMONIC_INC, 0, 0, EXEC_ALL(inc) },
	{ ZYDIS_MNEMONIC_DEC, 0, 0, EXEC_ALL(dec) },
	{ ZYDIS_MNEMONIC_NEG, 0, 0, EXEC_ALL(neg) },
	{ ZYDIS_MNEMONIC_NOT, 0, 0, EXEC_ALL(not) },
	{ ZYDIS_MNEMONIC_AND, 0, 0, EXEC_ALL(and) },
	{ ZYDIS_MNEMONIC_OR, 0, 0, EXEC_ALL(or) },
	{ ZYDIS_MNEMONIC_XOR, 0, 0, EXEC_ALL(xor) },
	{ ZYDIS_MNEMONIC_TEST, 0, 0, EXEC_ALL(test) },
	{ ZYDIS_MNEMONIC_XADD, 0, 0, EXEC_ALL(xadd) },
	{ ZYDIS_MNEMONIC_CMPXCHG, 0, 0, EXEC_ALL(cmpxchg) },
	{ ZYDIS_MNEMONIC_CMPXCHG8B, ROW_WIDTH, FEATURE_CX8, EXEC_ANY(cmpxchg8b) },
	{ ZYDIS_MNEMONIC_CMPXCHG16B, ROW_WIDTH, FEATURE_CX16, EXEC_ANY(cmpxchg16b) },
	{ ZYDIS_MNEMONIC_ADCX, 0, FEATURE_ADX, EXEC_LONG(adcx) },
	{ ZYDIS_MNEMONIC_ADOX, 0, FEATURE_ADX, EXEC_LONG(adox) },
};

EXEC_TABLE(exec_alu, rows);

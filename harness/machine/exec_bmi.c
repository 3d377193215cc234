/* SPDX-License-Identifier: MIT */
/* BMI1 and BMI2: bit manipulation with a destination of its own. */
#include "machine/exec.h"

#include <Zydis/Zydis.h>

/* OF is cleared; AF and PF are undefined: AMD's CPUs clear AF and give the result's PF. */
ALWAYS_INLINE void bmi_done(struct cpu *cpu, uint64_t result, unsigned int size, bool cf)
{
	flags_set(cpu, STATUS_FLAGS, flag_if(cf, CF) | result_flags(trim(result, size), size));
}

ALWAYS_INLINE void andn(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t result = operand_read(cpu, op, 2, size) & ~operand_read(cpu, op, 1, size);

	operand_write(cpu, op, 0, size, result);
	bmi_done(cpu, result, size, false);
}

ALWAYS_INLINE void blsi(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t value = operand_read(cpu, op, 1, size), result = value & (0 - value);

	operand_write(cpu, op, 0, size, result);
	bmi_done(cpu, result, size, value);
}

ALWAYS_INLINE void blsr(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t value = operand_read(cpu, op, 1, size), result = value & (value - 1);

	operand_write(cpu, op, 0, size, result);
	bmi_done(cpu, result, size, !value);
}

ALWAYS_INLINE void blsmsk(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t value = operand_read(cpu, op, 1, size), result = trim(value ^ (value - 1), size);

	operand_write(cpu, op, 0, size, result);
	bmi_done(cpu, result, size, !value);
}

ALWAYS_INLINE void bextr(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t control = operand_read(cpu, op, 2, size), value = operand_read(cpu, op, 1, size);
	unsigned int start = control & 0xff, len = control >> 8 & 0xff;
	uint64_t result = start < 64 ? value >> start : 0;

	if (len < 64)
		result &= (1ull << len) - 1;
	operand_write(cpu, op, 0, size, result);
	/* AF, SF and PF are undefined. */
	flags_set(cpu, STATUS_FLAGS, (result_flags(result, size) & ~SF) | AF);
}

ALWAYS_INLINE void bzhi(struct cpu *cpu, const struct op *op, unsigned int size)
{
	unsigned int index = operand_read(cpu, op, 2, size) & 0xff;
	uint64_t value = operand_read(cpu, op, 1, size);
	uint64_t result = index < size_bits(size) ? value & ((1ull << index) - 1) : value;

	operand_write(cpu, op, 0, size, result);
	bmi_done(cpu, result, size, index >= size_bits(size));
}

/* The upper half goes last: it is what stays where both destinations are one register. */
ALWAYS_INLINE void mulx(struct cpu *cpu, const struct op *op, unsigned int size)
{
	__extension__ unsigned __int128 product = operand_read(cpu, op, 2, size);

	product *= gpr_read(cpu, REG_RDX, size);
	operand_write(cpu, op, 1, size, (uint64_t)product);
	operand_write(cpu, op, 0, size, (uint64_t)(product >> size_bits(size)));
}

ALWAYS_INLINE void pdep(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t mask = operand_read(cpu, op, 2, size), value = operand_read(cpu, op, 1, size), result = 0;

	for (; mask; mask &= mask - 1, value >>= 1)
		if (value & 1)
			result |= mask & (0 - mask);
	operand_write(cpu, op, 0, size, result);
}

ALWAYS_INLINE void pext(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t mask = operand_read(cpu, op, 2, size), value = operand_read(cpu, op, 1, size), result = 0, to = 1;

	for (; mask; mask &= mask - 1, to <<= 1)
		if (value & mask & (0 - mask))
			result |= to;
	operand_write(cpu, op, 0, size, result);
}

ALWAYS_INLINE unsigned int count_operand(struct cpu *cpu, const struct op *op, unsigned int size)
{
	return operand_read(cpu, op, 2, size) & (size_bits(size) - 1);
}

ALWAYS_INLINE void rorx(struct cpu *cpu, const struct op *op, unsigned int size)
{
	unsigned int count = count_operand(cpu, op, size);
	uint64_t value = operand_read(cpu, op, 1, size);

	operand_write(cpu, op, 0, size, count ? value >> count | value << (size_bits(size) - count) : value);
}

ALWAYS_INLINE void sarx(struct cpu *cpu, const struct op *op, unsigned int size)
{
	unsigned int count = count_operand(cpu, op, size);
	int64_t value = (int64_t)sign_extend(operand_read(cpu, op, 1, size), size);

	operand_write(cpu, op, 0, size, (uint64_t)(value >> count));
}

ALWAYS_INLINE void shlx(struct cpu *cpu, const struct op *op, unsigned int size)
{
	unsigned int count = count_operand(cpu, op, size);

	operand_write(cpu, op, 0, size, operand_read(cpu, op, 1, size) << count);
}

ALWAYS_INLINE void shrx(struct cpu *cpu, const struct op *op, unsigned int size)
{
	unsigned int count = count_operand(cpu, op, size);

	operand_write(cpu, op, 0, size, operand_read(cpu, op, 1, size) >> count);
}

EXEC_LONG_SIZES(andn)
EXEC_LONG_SIZES(blsi)
EXEC_LONG_SIZES(blsr)
EXEC_LONG_SIZES(blsmsk)
EXEC_LONG_SIZES(bextr)
EXEC_LONG_SIZES(bzhi)
EXEC_LONG_SIZES(mulx)
EXEC_LONG_SIZES(pdep)
EXEC_LONG_SIZES(pext)
EXEC_LONG_SIZES(rorx)
EXEC_LONG_SIZES(sarx)
EXEC_LONG_SIZES(shlx)
EXEC_LONG_SIZES(shrx)

static const struct exec_row rows[] = {
	{ ZYDIS_MNEMONIC_ANDN, 0, FEATURE_BMI1, EXEC_LONG(andn) },
	{ ZYDIS_MNEMONIC_BLSI, 0, FEATURE_BMI1, EXEC_LONG(blsi) },
	{ ZYDIS_MNEMONIC_BLSR, 0, FEATURE_BMI1, EXEC_LONG(blsr) },
	{ ZYDIS_MNEMONIC_BLSMSK, 0, FEATURE_BMI1, EXEC_LONG(blsmsk) },
	{ ZYDIS_MNEMONIC_BEXTR, 0, FEATURE_BMI1, EXEC_LONG(bextr) },
	{ ZYDIS_MNEMONIC_BZHI, 0, FEATURE_BMI2, EXEC_LONG(bzhi) },
	{ ZYDIS_MNEMONIC_MULX, 0, FEATURE_BMI2, EXEC_LONG(mulx) },
	{ ZYDIS_MNEMONIC_PDEP, 0, FEATURE_BMI2, EXEC_LONG(pdep) },
	{ ZYDIS_MNEMONIC_PEXT, 0, FEATURE_BMI2, EXEC_LONG(pext) },
	{ ZYDIS_MNEMONIC_RORX, 0, FEATURE_BMI2, EXEC_LONG(rorx) },
	{ ZYDIS_MNEMONIC_SARX, 0, FEATURE_BMI2, EXEC_LONG(sarx) },
	{ ZYDIS_MNEMONIC_SHLX, 0, FEATURE_BMI2, EXEC_LONG(shlx) },
	{ ZYDIS_MNEMONIC_SHRX, 0, FEATURE_BMI2, EXEC_LONG(shrx) },
};

EXEC_TABLE(exec_bmi, rows);

/* SPDX-License-Identifier: MIT */
/*
 * Shifts and rotates. The count is masked to 5 bits, 6 for 64-bit operands; a masked count of zero changes no flag.
 * Where the manual leaves OF undefined (counts other than 1) it is what AMD's CPUs give, seen by the differential
 * test.
 */
#include "machine/exec.h"

#include <Zydis/Zydis.h>

ALWAYS_INLINE unsigned int masked_count(uint64_t count, unsigned int size)
{
	return (unsigned int)count & (size == 8 ? 63 : 31);
}

ALWAYS_INLINE unsigned int shift_count(struct cpu *cpu, const struct op *op, unsigned int operand, unsigned int size)
{
	return masked_count(operand_read(cpu, op, operand, 1), size);
}

/* SF, ZF and PF by the result; AF is undefined, and set by AMD's CPUs. */
ALWAYS_INLINE void shift_done(struct cpu *cpu, uint64_t result, unsigned int size, bool cf, bool of)
{
	flags_set(cpu, STATUS_FLAGS, result_flags(result, size) | AF | flag_if(cf, CF) | flag_if(of, OF));
}

ALWAYS_INLINE void shl(struct cpu *cpu, const struct op *op, unsigned int size)
{
	unsigned int count = shift_count(cpu, op, 1, size), bits = size_bits(size);
	uint64_t a = operand_read_to_write(cpu, op, 0, size), result;
	bool cf;

	result = count < bits ? trim(a << count, size) : 0;
	operand_write(cpu, op, 0, size, result);
	if (!count)
		return;
	cf = count <= bits && (a >> (bits - count) & 1);
	shift_done(cpu, result, size, cf, sign_bit(result, size) != cf);
}

ALWAYS_INLINE void shr(struct cpu *cpu, const struct op *op, unsigned int size)
{
	unsigned int count = shift_count(cpu, op, 1, size), bits = size_bits(size);
	uint64_t a = operand_read_to_write(cpu, op, 0, size), result;
	bool cf;

	result = count < bits ? a >> count : 0;
	operand_write(cpu, op, 0, size, result);
	if (!count)
		return;
	cf = count <= bits && (a >> (count - 1) & 1);
	shift_done(cpu, result, size, cf, sign_bit(result << 1 ^ result, size));
}

ALWAYS_INLINE void sar(struct cpu *cpu, const struct op *op, unsigned int size)
{
	unsigned int count = shift_count(cpu, op, 1, size);
	int64_t a = (int64_t)sign_extend(operand_read_to_write(cpu, op, 0, size), size);
	uint64_t result = trim((uint64_t)(a >> count), size);

	operand_write(cpu, op, 0, size, result);
	if (count)
		shift_done(cpu, result, size, a >> (count - 1) & 1, false);
}

/* Rotates change CF and OF only. */
ALWAYS_INLINE void rotate_done(struct cpu *cpu, bool cf, bool of)
{
	flags_set(cpu, CF | OF, flag_if(cf, CF) | flag_if(of, OF));
}

ALWAYS_INLINE void rol(struct cpu *cpu, const struct op *op, unsigned int size)
{
	unsigned int count = shift_count(cpu, op, 1, size), bits = size_bits(size), by = count % bits;
	uint64_t a = operand_read_to_write(cpu, op, 0, size);
	uint64_t result = by ? trim(a << by, size) | a >> (bits - by) : a;

	operand_write(cpu, op, 0, size, result);
	if (count)
		rotate_done(cpu, result & 1, (result & 1) != sign_bit(result, size));
}

ALWAYS_INLINE void ror(struct cpu *cpu, const struct op *op, unsigned int size)
{
	unsigned int count = shift_count(cpu, op, 1, size), bits = size_bits(size), by = count % bits;
	uint64_t a = operand_read_to_write(cpu, op, 0, size);
	uint64_t result = by ? a >> by | trim(a << (bits - by), size) : a;

	operand_write(cpu, op, 0, size, result);
	if (count)
		rotate_done(cpu, sign_bit(result, size), sign_bit(result ^ result << 1, size));
}

/* RCL and RCR rotate a number that has CF above its most significant bit: bits + 1 steps are a full turn. */
ALWAYS_INLINE unsigned int carry_count(unsigned int count, unsigned int size)
{
	return size < 4 ? count % (size_bits(size) + 1) : count;
}

ALWAYS_INLINE void rcl(struct cpu *cpu, const struct op *op, unsigned int size)
{
	unsigned int count = shift_count(cpu, op, 1, size), by = carry_count(count, size), i;
	uint64_t result = operand_read_to_write(cpu, op, 0, size);
	uint64_t carry = cpu->rflags & CF;

	for (i = 0; i < by; i++) {
		uint64_t out = sign_bit(result, size);

		result = trim(result << 1, size) | carry;
		carry = out;
	}
	operand_write(cpu, op, 0, size, result);
	if (count)
		rotate_done(cpu, carry, carry != sign_bit(result, size));
}

ALWAYS_INLINE void rcr(struct cpu *cpu, const struct op *op, unsigned int size)
{
	unsigned int count = shift_count(cpu, op, 1, size), by = carry_count(count, size), i;
	uint64_t result = operand_read_to_write(cpu, op, 0, size);
	uint64_t carry = cpu->rflags & CF;

	for (i = 0; i < by; i++) {
		uint64_t out = result & 1;

		result = result >> 1 | carry << (size_bits(size) - 1);
		carry = out;
	}
	operand_write(cpu, op, 0, size, result);
	if (count)
		rotate_done(cpu, carry, sign_bit(result ^ result << 1, size));
}

/*
 * SHLD and SHRD. Counts beyond a 16-bit operand's size are undefined; AMD's CPUs shift the source in a second time
 * and clear CF.
 */
ALWAYS_INLINE void shld(struct cpu *cpu, const struct op *op, unsigned int size)
{
	unsigned int count = shift_count(cpu, op, 2, size), bits = size_bits(size);
	uint64_t b = operand_read(cpu, op, 1, size);
	uint64_t a = operand_read_to_write(cpu, op, 0, size), result = a;
	bool cf = false;

	if (count && count <= bits) {
		result = count == bits ? b : trim(a << count, size) | b >> (bits - count);
		cf = a >> (bits - count) & 1;
	} else if (count) {
		result = trim(b << (count - bits), size) | b >> (2 * bits - count);
	}
	operand_write(cpu, op, 0, size, result);
	if (count)
		shift_done(cpu, result, size, cf, count < bits ? sign_bit(result, size) != cf : cf);
}

ALWAYS_INLINE void shrd(struct cpu *cpu, const struct op *op, unsigned int size)
{
	unsigned int count = shift_count(cpu, op, 2, size), bits = size_bits(size);
	uint64_t b = operand_read(cpu, op, 1, size);
	uint64_t a = operand_read_to_write(cpu, op, 0, size), result = a;
	bool cf = false;

	if (count && count <= bits) {
		result = count == bits ? b : a >> count | trim(b << (bits - count), size);
		cf = a >> (count - 1) & 1;
	} else if (count) {
		result = b >> (count - bits) | trim(b << (2 * bits - count), size);
	}
	operand_write(cpu, op, 0, size, result);
	if (count)
		shift_done(cpu, result, size, cf, sign_bit(result ^ result << 1, size));
}

EXEC_SIZES(shl)
EXEC_SIZES(shr)
EXEC_SIZES(sar)
EXEC_SIZES(rol)
EXEC_SIZES(ror)
EXEC_SIZES(rcl)
EXEC_SIZES(rcr)
EXEC_WIDE_SIZES(shld)
EXEC_WIDE_SIZES(shrd)

static const struct exec_row rows[] = {
	{ ZYDIS_MNEMONIC_SHL, 0, 0, EXEC_ALL(shl) },
	{ ZYDIS_MNEMONIC_SHR, 0, 0, EXEC_ALL(shr) },
	{ ZYDIS_MNEMONIC_SAR, 0, 0, EXEC_ALL(sar) },
	{ ZYDIS_MNEMONIC_ROL, 0, 0, EXEC_ALL(rol) },
	{ ZYDIS_MNEMONIC_ROR, 0, 0, EXEC_ALL(ror) },
	{ ZYDIS_MNEMONIC_RCL, 0, 0, EXEC_ALL(rcl) },
	{ ZYDIS_MNEMONIC_RCR, 0, 0, EXEC_ALL(rcr) },
	{ ZYDIS_MNEMONIC_SHLD, 0, 0, EXEC_WIDE(shld) },
	{ ZYDIS_MNEMONIC_SHRD, 0, 0, EXEC_WIDE(shrd) },
};

EXEC_TABLE(exec_shift, rows);

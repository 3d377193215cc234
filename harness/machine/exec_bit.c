/* SPDX-License-Identifier: MIT */
/* Single bits and counts of bits, and CRC32. */
#include "machine/exec.h"

#include <Zydis/Zydis.h>

enum bit_change { BIT_KEEP, BIT_SET, BIT_RESET, BIT_COMPLEMENT };

/*
 * A bit number in a register reaches beyond a memory operand, in both directions, by whole operands; an immediate
 * one is within it, as is any in a register operand.
 */
ALWAYS_INLINE uint64_t bit_offset(struct cpu *cpu, const struct op *op, unsigned int size, uint64_t number)
{
	int64_t operands = (int64_t)sign_extend(number, size) >> (size == 8 ? 6 : size == 4 ? 5 : 4);

	if (op->operands[1].kind == OPERAND_IMM)
		operands = 0;
	return (op_offset(cpu, op) + (uint64_t)operands * size) & op->address_mask;
}

/* CF is the bit; the other status flags stay (undefined but for ZF). */
ALWAYS_INLINE void bit_test(struct cpu *cpu, const struct op *op, unsigned int size, enum bit_change change)
{
	uint64_t number = operand_read(cpu, op, 1, size), bit = 1ull << (number & (size_bits(size) - 1));
	bool is_memory = op->operands[0].kind == OPERAND_MEM;
	uint64_t offset = is_memory ? bit_offset(cpu, op, size, number) : 0;
	uint64_t value, result;

	if (!is_memory)
		value = operand_read(cpu, op, 0, size);
	else if (change == BIT_KEEP)
		value = memory_read(cpu, op->seg, offset, size);
	else
		value = memory_read_to_write(cpu, op->seg, offset, size);
	result = change == BIT_SET ? value | bit : change == BIT_RESET ? value & ~bit : value ^ bit;
	if (change != BIT_KEEP && is_memory)
		memory_write(cpu, op->seg, offset, size, result);
	else if (change != BIT_KEEP)
		operand_write(cpu, op, 0, size, result);
	flags_set(cpu, CF, flag_if(value & bit, CF));
}

ALWAYS_INLINE void bt(struct cpu *cpu, const struct op *op, unsigned int size)
{
	bit_test(cpu, op, size, BIT_KEEP);
}

ALWAYS_INLINE void bts(struct cpu *cpu, const struct op *op, unsigned int size)
{
	bit_test(cpu, op, size, BIT_SET);
}

ALWAYS_INLINE void btr(struct cpu *cpu, const struct op *op, unsigned int size)
{
	bit_test(cpu, op, size, BIT_RESET);
}

ALWAYS_INLINE void btc(struct cpu *cpu, const struct op *op, unsigned int size)
{
	bit_test(cpu, op, size, BIT_COMPLEMENT);
}

/*
 * With a source of zero the destination stays as it is (APM vol. 3: AMD defines it). All flags but ZF are
 * undefined: PF is the result's on AMD's CPUs, the others are cleared.
 */
ALWAYS_INLINE void bit_scan_done(struct cpu *cpu, const struct op *op, unsigned int size, uint64_t value,
	uint64_t found)
{
	if (value)
		operand_write(cpu, op, 0, size, found);
	flags_set(cpu, STATUS_FLAGS, value ? result_flags(found, size) & PF : ZF | PF);
}

ALWAYS_INLINE void bsf(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t value = operand_read(cpu, op, 1, size);

	bit_scan_done(cpu, op, size, value, value ? (unsigned int)__builtin_ctzll(value) : 0);
}

ALWAYS_INLINE void bsr(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t value = operand_read(cpu, op, 1, size);

	bit_scan_done(cpu, op, size, value, value ? 63u - (unsigned int)__builtin_clzll(value) : 0);
}

/* Of the flags that are undefined, AMD's CPUs clear all but OF. */
ALWAYS_INLINE void count_done(struct cpu *cpu, uint64_t value, unsigned int count)
{
	flags_set(cpu, STATUS_FLAGS & ~OF, flag_if(!value, CF) | flag_if(!count, ZF));
}

ALWAYS_INLINE void tzcnt(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t value = operand_read(cpu, op, 1, size);
	unsigned int count = value ? (unsigned int)__builtin_ctzll(value) : size_bits(size);

	operand_write(cpu, op, 0, size, count);
	count_done(cpu, value, count);
}

ALWAYS_INLINE void lzcnt(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t value = operand_read(cpu, op, 1, size);
	unsigned int count = value ? (unsigned int)__builtin_clzll(value) - (64 - size_bits(size)) : size_bits(size);

	operand_write(cpu, op, 0, size, count);
	count_done(cpu, value, count);
}

ALWAYS_INLINE void popcnt(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t value = operand_read(cpu, op, 1, size);

	operand_write(cpu, op, 0, size, (uint64_t)__builtin_popcountll(value));
	flags_set(cpu, STATUS_FLAGS, flag_if(!value, ZF));
}

/* The CRC-32C of one more source operand, bit-reflected polynomial 0x11edc6f41. The source has a size of its own. */
ALWAYS_INLINE void crc32(struct cpu *cpu, const struct op *op, unsigned int size)
{
	unsigned int source_size = op->operands[1].size, i;
	uint64_t source = operand_read(cpu, op, 1, source_size);
	uint32_t crc = (uint32_t)operand_read(cpu, op, 0, size);

	for (i = 0; i < size_bits(source_size); i++, source >>= 1)
		crc = crc >> 1 ^ ((crc ^ source) & 1 ? 0x82f63b78u : 0);
	operand_write(cpu, op, 0, size, crc);
}

/* Undefined for 16 bits, where AMD's CPUs give zero. */
ALWAYS_INLINE void bswap(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t value = operand_read(cpu, op, 0, size);

	operand_write(cpu, op, 0, size, size == 2 ? 0 : __builtin_bswap64(value) >> (64 - size_bits(size)));
}

EXEC_WIDE_SIZES(bt)
EXEC_WIDE_SIZES(bts)
EXEC_WIDE_SIZES(btr)
EXEC_WIDE_SIZES(btc)
EXEC_WIDE_SIZES(bsf)
EXEC_WIDE_SIZES(bsr)
EXEC_WIDE_SIZES(tzcnt)
EXEC_WIDE_SIZES(lzcnt)
EXEC_WIDE_SIZES(popcnt)
EXEC_WIDE_SIZES(bswap)
EXEC_LONG_SIZES(crc32)

static const struct exec_row rows[] = {
	{ ZYDIS_MNEMONIC_BT, 0, 0, EXEC_WIDE(bt) },
	{ ZYDIS_MNEMONIC_BTS, 0, 0, EXEC_WIDE(bts) },
	{ ZYDIS_MNEMONIC_BTR, 0, 0, EXEC_WIDE(btr) },
	{ ZYDIS_MNEMONIC_BTC, 0, 0, EXEC_WIDE(btc) },
	{ ZYDIS_MNEMONIC_BSF, 0, 0, EXEC_WIDE(bsf) },
	{ ZYDIS_MNEMONIC_BSR, 0, 0, EXEC_WIDE(bsr) },
	{ ZYDIS_MNEMONIC_TZCNT, 0, FEATURE_BMI1, EXEC_WIDE(tzcnt) },
	{ ZYDIS_MNEMONIC_LZCNT, 0, FEATURE_ABM, EXEC_WIDE(lzcnt) },
	{ ZYDIS_MNEMONIC_POPCNT, 0, FEATURE_POPCNT, EXEC_WIDE(popcnt) },
	{ ZYDIS_MNEMONIC_BSWAP, 0, 0, EXEC_WIDE(bswap) },
	{ ZYDIS_MNEMONIC_CRC32, 0, FEATURE_SSE42, EXEC_LONG(crc32) },
};

EXEC_TABLE(exec_bit, rows);

/* SPDX-License-Identifier: MIT */
/* Moves, conversions and conditional moves. */
#include "machine/exec.h"

#include <Zydis/Zydis.h>

ALWAYS_INLINE void mov(struct cpu *cpu, const struct op *op, unsigned int size)
{
	operand_write(cpu, op, 0, size, operand_read(cpu, op, 1, size));
}

ALWAYS_INLINE void movzx(struct cpu *cpu, const struct op *op, unsigned int size)
{
	operand_write(cpu, op, 0, size, operand_read(cpu, op, 1, op->operands[1].size));
}

/* MOVSX and MOVSXD, whose source may be as large as its destination. */
ALWAYS_INLINE void movsx(struct cpu *cpu, const struct op *op, unsigned int size)
{
	unsigned int source_size = op->operands[1].size;

	operand_write(cpu, op, 0, size, sign_extend(operand_read(cpu, op, 1, source_size), source_size));
}

ALWAYS_INLINE void movbe(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t value = operand_read(cpu, op, 1, size);

	operand_write(cpu, op, 0, size, __builtin_bswap64(value) >> (64 - size_bits(size)));
}

ALWAYS_INLINE void xchg(struct cpu *cpu, const struct op *op, unsigned int size)
{
	unsigned int memory = op->operands[1].kind == OPERAND_MEM;
	uint64_t a = operand_read_to_write(cpu, op, memory, size), b = operand_read(cpu, op, !memory, size);

	operand_write(cpu, op, memory, size, b);
	operand_write(cpu, op, !memory, size, a);
}

ALWAYS_INLINE void lea(struct cpu *cpu, const struct op *op, unsigned int size)
{
	operand_write(cpu, op, 0, size, op_offset(cpu, op));
}

/* The source is read whatever the condition; a 32-bit destination's upper half is cleared in both cases. */
ALWAYS_INLINE void cmov(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t value = operand_read(cpu, op, 1, size);

	operand_write(cpu, op, 0, size, is_condition(cpu, op->opcode) ? value : operand_read(cpu, op, 0, size));
}

static void set(struct cpu *cpu, const struct op *op)
{
	operand_write(cpu, op, 0, 1, is_condition(cpu, op->opcode));
}

static void xlat(struct cpu *cpu, const struct op *op)
{
	uint64_t offset = (cpu->regs[REG_RBX] + gpr_read(cpu, REG_RAX, 1)) & op->address_mask;

	gpr_write(cpu, REG_RAX, 1, memory_read(cpu, op->seg, offset, 1));
}

/* CBW, CWDE, CDQE: the accumulator's lower half into the whole. */
ALWAYS_INLINE void convert(struct cpu *cpu, const struct op *op, unsigned int size)
{
	(void)op;
	gpr_write(cpu, REG_RAX, size, sign_extend(gpr_read(cpu, REG_RAX, size / 2), size / 2));
}

/* CWD, CDQ, CQO: its sign into RDX. */
ALWAYS_INLINE void spread_sign(struct cpu *cpu, const struct op *op, unsigned int size)
{
	(void)op;
	gpr_write(cpu, REG_RDX, size, 0 - sign_bit(gpr_read(cpu, REG_RAX, size), size));
}

static void nop(struct cpu *cpu, const struct op *op)
{
	(void)cpu;
	(void)op;
}

EXEC_SIZES(mov)
EXEC_SIZES(xchg)
EXEC_WIDE_SIZES(movzx)
EXEC_WIDE_SIZES(movsx)
EXEC_WIDE_SIZES(movbe)
EXEC_WIDE_SIZES(lea)
EXEC_WIDE_SIZES(cmov)
EXEC_WIDE_SIZES(convert)
EXEC_WIDE_SIZES(spread_sign)

#define CMOV(condition) { ZYDIS_MNEMONIC_CMOV##condition, 0, FEATURE_CMOV, EXEC_WIDE(cmov) }
#define SET(condition) { ZYDIS_MNEMONIC_SET##condition, 0, 0, EXEC_ANY(set) }
#define NOP(mnemonic) { ZYDIS_MNEMONIC_##mnemonic, ROW_WIDTH, 0, EXEC_ANY(nop) }

static const struct exec_row rows[] = {
	{ ZYDIS_MNEMONIC_MOV, 0, 0, EXEC_ALL(mov) },
	{ ZYDIS_MNEMONIC_MOVNTI, 0, 0, EXEC_ALL(mov) },
	{ ZYDIS_MNEMONIC_MOVZX, 0, 0, EXEC_WIDE(movzx) },
	{ ZYDIS_MNEMONIC_MOVSX, 0, 0, EXEC_WIDE(movsx) },
	{ ZYDIS_MNEMONIC_MOVSXD, 0, 0, EXEC_WIDE(movsx) },
	{ ZYDIS_MNEMONIC_MOVBE, 0, FEATURE_MOVBE, EXEC_WIDE(movbe) },
	{ ZYDIS_MNEMONIC_XCHG, 0, 0, EXEC_ALL(xchg) },
	{ ZYDIS_MNEMONIC_LEA, 0, 0, EXEC_WIDE(lea) },
	{ ZYDIS_MNEMONIC_XLAT, ROW_WIDTH, 0, EXEC_ANY(xlat) },
	{ ZYDIS_MNEMONIC_CBW, ROW_WIDTH, 0, EXEC_WIDE(convert) },
	{ ZYDIS_MNEMONIC_CWDE, ROW_WIDTH, 0, EXEC_WIDE(convert) },
	{ ZYDIS_MNEMONIC_CDQE, ROW_WIDTH, 0, EXEC_WIDE(convert) },
	{ ZYDIS_MNEMONIC_CWD, ROW_WIDTH, 0, EXEC_WIDE(spread_sign) },
	{ ZYDIS_MNEMONIC_CDQ, ROW_WIDTH, 0, EXEC_WIDE(spread_sign) },
	{ ZYDIS_MNEMONIC_CQO, ROW_WIDTH, 0, EXEC_WIDE(spread_sign) },
	CMOV(O), CMOV(NO), CMOV(B), CMOV(NB), CMOV(Z), CMOV(NZ), CMOV(BE), CMOV(NBE),
	CMOV(S), CMOV(NS), CMOV(P), CMOV(NP), CMOV(L), CMOV(NL), CMOV(LE), CMOV(NLE),
	SET(O), SET(NO), SET(B), SET(NB), SET(Z), SET(NZ), SET(BE), SET(NBE),
	SET(S), SET(NS), SET(P), SET(NP), SET(L), SET(NL), SET(LE), SET(NLE),
	NOP(NOP), NOP(PAUSE), NOP(ENDBR32), NOP(ENDBR64), NOP(LFENCE), NOP(MFENCE), NOP(SFENCE),
	NOP(PREFETCH), NOP(PREFETCHW), NOP(PREFETCHNTA), NOP(PREFETCHT0), NOP(PREFETCHT1), NOP(PREFETCHT2),
};

EXEC_TABLE(exec_move, rows);

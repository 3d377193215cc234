/* SPDX-License-Identifier: MIT */
/* Moves of MMX and SSE registers. */
#include "machine/simd.h"

#include <Zydis/Zydis.h>

static bool has_mmx(const struct op *op)
{
	return op->operands[0].kind == OPERAND_MMX || op->operands[1].kind == OPERAND_MMX;
}

#define MOVE(name, feature, is_aligned)									\
	static void name(struct cpu *cpu, const struct op *op)						\
	{												\
		check_sse(cpu, feature);								\
		xmm_write(cpu, op, 0, xmm_read(cpu, op, 1, is_aligned), is_aligned);			\
	}

MOVE(move_sse, FEATURE_SSE, true)
MOVE(move_sse2, FEATURE_SSE2, true)
MOVE(move_sse_unaligned, FEATURE_SSE, false)
MOVE(move_sse2_unaligned, FEATURE_SSE2, false)
MOVE(move_sse3_unaligned, FEATURE_SSE3, false)

/* To a register of SSE, what is above becomes 0. */
ALWAYS_INLINE void scalar_write(struct cpu *cpu, const struct op *op, unsigned int size, uint64_t value)
{
	switch (op->operands[0].kind) {
	case OPERAND_XMM:
		xmm_put(cpu, op->operands[0].reg, _mm_set_epi64x(0, (long long)value));
		break;
	case OPERAND_MMX:
		fpu_mmx_write(&cpu->fpu, op->operands[0].reg, value);
		break;
	default:
		operand_write(cpu, op, 0, size, value);
	}
}

/* MOVD and MOVQ between all kinds of registers and memory, MOVNTQ. */
ALWAYS_INLINE void move_scalar(struct cpu *cpu, const struct op *op, unsigned int size, uint64_t mmx_feature)
{
	if (has_mmx(op))
		fpu_check_mmx(cpu, mmx_feature);
	else
		check_sse(cpu, FEATURE_SSE2);
	scalar_write(cpu, op, size, scalar_read(cpu, op, 1, size));
	if (has_mmx(op))
		fpu_mmx_enter(&cpu->fpu);
}

static void movd(struct cpu *cpu, const struct op *op)
{
	move_scalar(cpu, op, 4, FEATURE_MMX);
}

static void movq(struct cpu *cpu, const struct op *op)
{
	move_scalar(cpu, op, 8, FEATURE_MMX);
}

static void movntq(struct cpu *cpu, const struct op *op)
{
	move_scalar(cpu, op, 8, FEATURE_SSE);
}

/* MOVQ2DQ and MOVDQ2Q */
static void movq_between(struct cpu *cpu, const struct op *op)
{
	check_sse(cpu, FEATURE_SSE2);
	fpu_check_mmx(cpu, FEATURE_SSE2);
	scalar_write(cpu, op, 8, scalar_read(cpu, op, 1, 8));
	fpu_mmx_enter(&cpu->fpu);
}

/* From memory, the rest of the register becomes 0; from a register, it stays. */
ALWAYS_INLINE void move_low(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t value = scalar_read(cpu, op, 1, size);

	if (op->operands[0].kind == OPERAND_XMM && op->operands[1].kind == OPERAND_XMM)
		host_write((uint8_t *)cpu->fpu.xmm[op->operands[0].reg], size, value);
	else
		scalar_write(cpu, op, size, value);
}

static void movss(struct cpu *cpu, const struct op *op)
{
	check_sse(cpu, FEATURE_SSE);
	move_low(cpu, op, 4);
}

static void movsd(struct cpu *cpu, const struct op *op)
{
	check_sse(cpu, FEATURE_SSE2);
	move_low(cpu, op, 8);
}

/* Halves: @to of the destination, @from of a source that is a register. A half in memory is the whole operand. */
ALWAYS_INLINE void move_half(struct cpu *cpu, const struct op *op, unsigned int to, unsigned int from)
{
	const struct operand *operands = op->operands;

	if (operands[0].kind != OPERAND_XMM)
		operand_write(cpu, op, 0, 8, cpu->fpu.xmm[operands[1].reg][to]);
	else if (operands[1].kind == OPERAND_XMM)
		cpu->fpu.xmm[operands[0].reg][to] = cpu->fpu.xmm[operands[1].reg][from];
	else
		cpu->fpu.xmm[operands[0].reg][to] = operand_read(cpu, op, 1, 8);
}

/* MOVLPS and MOVHLPS */
static void movlps(struct cpu *cpu, const struct op *op)
{
	check_sse(cpu, FEATURE_SSE);
	move_half(cpu, op, 0, 1);
}

/* MOVHPS and MOVLHPS */
static void movhps(struct cpu *cpu, const struct op *op)
{
	check_sse(cpu, FEATURE_SSE);
	move_half(cpu, op, 1, 0);
}

static void movlpd(struct cpu *cpu, const struct op *op)
{
	check_sse(cpu, FEATURE_SSE2);
	move_half(cpu, op, 0, 1);
}

static void movhpd(struct cpu *cpu, const struct op *op)
{
	check_sse(cpu, FEATURE_SSE2);
	move_half(cpu, op, 1, 0);
}

static void movddup(struct cpu *cpu, const struct op *op)
{
	uint64_t value;

	check_sse(cpu, FEATURE_SSE3);
	value = scalar_read(cpu, op, 1, 8);
	xmm_put(cpu, op->operands[0].reg, _mm_set1_epi64x((long long)value));
}

/* MOVSLDUP and MOVSHDUP: the even or odd numbers, each twice. */
static void movsldup(struct cpu *cpu, const struct op *op)
{
	check_sse(cpu, FEATURE_SSE3);
	xmm_put(cpu, op->operands[0].reg, _mm_shuffle_epi32(xmm_read(cpu, op, 1, is_aligned_operand(cpu)), 0xa0));
}

static void movshdup(struct cpu *cpu, const struct op *op)
{
	check_sse(cpu, FEATURE_SSE3);
	xmm_put(cpu, op->operands[0].reg, _mm_shuffle_epi32(xmm_read(cpu, op, 1, is_aligned_operand(cpu)), 0xf5));
}

static void movmskps(struct cpu *cpu, const struct op *op)
{
	check_sse(cpu, FEATURE_SSE);
	reg_write(cpu, op->operands[0].reg, 4,
		(uint64_t)_mm_movemask_ps(_mm_castsi128_ps(xmm_get(cpu, op->operands[1].reg))));
}

static void movmskpd(struct cpu *cpu, const struct op *op)
{
	check_sse(cpu, FEATURE_SSE2);
	reg_write(cpu, op->operands[0].reg, 4,
		(uint64_t)_mm_movemask_pd(_mm_castsi128_pd(xmm_get(cpu, op->operands[1].reg))));
}

#define ROW(mnemonic, exec) { ZYDIS_MNEMONIC_##mnemonic, ROW_ANY, 0, { exec } }

static const struct exec_row rows[] = {
	ROW(MOVAPS, move_sse), ROW(MOVNTPS, move_sse),
	ROW(MOVAPD, move_sse2), ROW(MOVDQA, move_sse2), ROW(MOVNTPD, move_sse2), ROW(MOVNTDQ, move_sse2),
	ROW(MOVUPS, move_sse_unaligned),
	ROW(MOVUPD, move_sse2_unaligned), ROW(MOVDQU, move_sse2_unaligned), ROW(LDDQU, move_sse3_unaligned),
	ROW(MOVD, movd), ROW(MOVQ, movq), ROW(MOVNTQ, movntq),
	ROW(MOVQ2DQ, movq_between), ROW(MOVDQ2Q, movq_between),
	ROW(MOVSS, movss), ROW(MOVSD, movsd),
	ROW(MOVLPS, movlps), ROW(MOVHLPS, movlps), ROW(MOVHPS, movhps), ROW(MOVLHPS, movhps),
	ROW(MOVLPD, movlpd), ROW(MOVHPD, movhpd),
	ROW(MOVDDUP, movddup), ROW(MOVSLDUP, movsldup), ROW(MOVSHDUP, movshdup),
	ROW(MOVMSKPS, movmskps), ROW(MOVMSKPD, movmskpd),
};

EXEC_TABLE(exec_simd, rows);

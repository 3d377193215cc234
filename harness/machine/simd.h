/* SPDX-License-Identifier: MIT */
/*
 * Operands of MMX and SSE instructions. A 16-byte memory operand must be aligned, but for the instructions that are
 * made for those that are not.
 */
#ifndef VMASSAY_MACHINE_SIMD_H
#define VMASSAY_MACHINE_SIMD_H

#include <emmintrin.h>

#include "machine/exec.h"

ALWAYS_INLINE void check_sse(struct cpu *cpu, uint64_t feature)
{
	if (__builtin_expect((cpu->cr0 & (X86_CR0_EM | X86_CR0_TS)) || !(cpu->cr4 & X86_CR4_OSFXSR) ||
			     !cpu_has(cpu, feature), 0))
		fpu_check_sse(cpu, feature);
}

ALWAYS_INLINE __m128i xmm_get(const struct cpu *cpu, unsigned int number)
{
	return _mm_loadu_si128((const __m128i *)cpu->fpu.xmm[number]);
}

ALWAYS_INLINE void xmm_put(struct cpu *cpu, unsigned int number, __m128i value)
{
	_mm_storeu_si128((__m128i *)cpu->fpu.xmm[number], value);
}

/* Of an instruction that computes: MXCSR.MM lets its operand be anywhere (APM vol. 1, 4.6.4). */
ALWAYS_INLINE bool is_aligned_operand(const struct cpu *cpu)
{
	return !(cpu->fpu.mxcsr & MXCSR_MM);
}

/* All 16 bytes of a register or memory operand. */
ALWAYS_INLINE __m128i xmm_read(struct cpu *cpu, const struct op *op, unsigned int i, bool is_aligned)
{
	uint64_t offset;
	const uint8_t *host;
	__m128i value;

	if (op->operands[i].kind == OPERAND_XMM)
		return xmm_get(cpu, op->operands[i].reg);
	offset = op_offset(cpu, op);
	host = memory_fast(cpu, op->seg, offset, 16, ACCESS_READ);
	if (host && (!is_aligned || !((uintptr_t)host & 15)))
		return _mm_loadu_si128((const __m128i *)host);
	memory_read_bytes(cpu, op->seg, offset, &value, 16, is_aligned ? 16 : 1);
	return value;
}

ALWAYS_INLINE void xmm_write(struct cpu *cpu, const struct op *op, unsigned int i, __m128i value, bool is_aligned)
{
	uint64_t offset;
	uint8_t *host;

	if (op->operands[i].kind == OPERAND_XMM) {
		xmm_put(cpu, op->operands[i].reg, value);
		return;
	}
	offset = op_offset(cpu, op);
	host = memory_fast(cpu, op->seg, offset, 16, ACCESS_WRITE);
	if (host && (!is_aligned || !((uintptr_t)host & 15)))
		_mm_storeu_si128((__m128i *)host, value);
	else
		memory_write_bytes(cpu, op->seg, offset, &value, 16, is_aligned ? 16 : 1);
}

/* The low @size bytes of an operand of any kind. */
ALWAYS_INLINE uint64_t scalar_read(struct cpu *cpu, const struct op *op, unsigned int i, unsigned int size)
{
	switch (op->operands[i].kind) {
	case OPERAND_XMM:
		return trim(cpu->fpu.xmm[op->operands[i].reg][0], size);
	case OPERAND_MMX:
		return trim(fpu_mmx_read(&cpu->fpu, op->operands[i].reg), size);
	default:
		return operand_read(cpu, op, i, size);
	}
}

#endif

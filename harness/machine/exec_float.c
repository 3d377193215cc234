/* SPDX-License-Identifier: MIT */
/*
 * SSE's floating point, by the host's: under the guest's rounding, DAZ and FTZ, with all exceptions masked. What they
 * would have been says the host's MXCSR afterwards.
 */
#include "machine/simd.h"

#include <Zydis/Zydis.h>

#define INVALID 0x01u
#define DENORMAL 0x02u
#define DIVIDE 0x04u
#define OVERFLOW 0x08u
#define UNDERFLOW 0x10u
#define PRECISION 0x20u
#define PRE_COMPUTATION (INVALID | DENORMAL | DIVIDE)

/* Both operands, and a general register where there is one; the result is in the first. */
struct host_operands {
	__m128i a, b;
	uint64_t reg;
	uint64_t flags;		/* of a comparison */
};

/* Executes the host's instruction under *@mxcsr, which gets the exceptions' flags. */
typedef void host_fn(struct host_operands *operands, uint32_t *mxcsr, uint64_t imm);

#define UNDER_MXCSR(text, ...)									\
	uint32_t host = _mm_getcsr();								\
												\
	__asm__ volatile("ldmxcsr %[mxcsr]\n\t" text "\n\tstmxcsr %[mxcsr]\n\tldmxcsr %[host]"	\
		: [mxcsr] "+m" (*mxcsr), __VA_ARGS__)

static _Noreturn void raise_unmasked(struct cpu *cpu, uint32_t flags, uint32_t unmasked)
{
	/* What is found before computing keeps anything from being computed. */
	if (flags & PRE_COMPUTATION & unmasked)
		flags &= PRE_COMPUTATION;
	/* Then PE is about a result with a larger exponent, which the host does not compute. */
	if ((flags & unmasked & (OVERFLOW | UNDERFLOW)) && (flags & ~cpu->fpu.mxcsr & PRECISION))
		cpu_unimplemented(cpu, "unmasked overflow or underflow of an inexact result");
	cpu->fpu.mxcsr |= flags;
	cpu_raise(cpu, cpu->cr4 & X86_CR4_OSXMMEXCPT ? VECTOR_XF : VECTOR_UD);
}

/*
 * Unmasked, an underflow is a tiny result, also when it is exact (APM vol. 1, 4.10). FTZ makes the host say so: it
 * flushes, and flags, whatever is tiny.
 */
static uint32_t tiny_flags(const struct host_operands *operands, host_fn *fn, uint64_t imm, uint32_t mxcsr)
{
	struct host_operands again = *operands;

	mxcsr |= MXCSR_FTZ;
	fn(&again, &mxcsr, imm);
	return mxcsr & UNDERFLOW;
}

/* The result is in @operands, or the exception is raised. */
ALWAYS_INLINE void float_execute(struct cpu *cpu, struct host_operands *operands, host_fn *fn, uint64_t imm)
{
	uint32_t unmasked = ~(cpu->fpu.mxcsr >> MXCSR_MASK_SHIFT) & MXCSR_EXCEPTIONS;
	uint32_t masked = (cpu->fpu.mxcsr & ~MXCSR_EXCEPTIONS) | MXCSR_MASKS, mxcsr = masked, flags;
	struct host_operands before = *operands;

	if (unmasked & UNDERFLOW)
		mxcsr &= ~MXCSR_FTZ;
	fn(operands, &mxcsr, imm);
	flags = mxcsr & MXCSR_EXCEPTIONS;
	if (unmasked & UNDERFLOW)
		flags |= tiny_flags(&before, fn, imm, masked);
	if (__builtin_expect(flags & unmasked, 0))
		raise_unmasked(cpu, flags, unmasked);
	cpu->fpu.mxcsr |= flags;
}

/* A register whole, or memory of @size bytes. */
ALWAYS_INLINE __m128i float_source(struct cpu *cpu, const struct op *op, unsigned int size)
{
	if (size == 16 || op->operands[1].kind == OPERAND_XMM)
		return xmm_read(cpu, op, 1, is_aligned_operand(cpu));
	return _mm_set_epi64x(0, (long long)scalar_read(cpu, op, 1, size));
}

static struct host_operands float_operands(struct cpu *cpu, const struct op *op, uint64_t feature, unsigned int size)
{
	struct host_operands operands = { 0 };

	check_sse(cpu, feature);
	operands.b = float_source(cpu, op, size);
	operands.a = xmm_get(cpu, op->operands[0].reg);
	return operands;
}

#define FLOAT(name, feature, size)									\
	static void host_##name(struct host_operands *operands, uint32_t *mxcsr, uint64_t imm)		\
	{												\
		(void)imm;										\
		UNDER_MXCSR(#name " %[b], %[a]", [a] "+x" (operands->a)					\
			: [b] "x" (operands->b), [host] "m" (host));					\
	}												\
	static void name(struct cpu *cpu, const struct op *op)						\
	{												\
		struct host_operands operands = float_operands(cpu, op, feature, size);			\
													\
		float_execute(cpu, &operands, host_##name, 0);						\
		xmm_put(cpu, op->operands[0].reg, operands.a);						\
	}

#define EACH_FLOAT(DO)											\
	DO(addps, ADDPS, FEATURE_SSE, 16) DO(addss, ADDSS, FEATURE_SSE, 4)				\
	DO(addpd, ADDPD, FEATURE_SSE2, 16) DO(addsd, ADDSD, FEATURE_SSE2, 8)				\
	DO(subps, SUBPS, FEATURE_SSE, 16) DO(subss, SUBSS, FEATURE_SSE, 4)				\
	DO(subpd, SUBPD, FEATURE_SSE2, 16) DO(subsd, SUBSD, FEATURE_SSE2, 8)				\
	DO(mulps, MULPS, FEATURE_SSE, 16) DO(mulss, MULSS, FEATURE_SSE, 4)				\
	DO(mulpd, MULPD, FEATURE_SSE2, 16) DO(mulsd, MULSD, FEATURE_SSE2, 8)				\
	DO(divps, DIVPS, FEATURE_SSE, 16) DO(divss, DIVSS, FEATURE_SSE, 4)				\
	DO(divpd, DIVPD, FEATURE_SSE2, 16) DO(divsd, DIVSD, FEATURE_SSE2, 8)				\
	DO(minps, MINPS, FEATURE_SSE, 16) DO(minss, MINSS, FEATURE_SSE, 4)				\
	DO(minpd, MINPD, FEATURE_SSE2, 16) DO(minsd, MINSD, FEATURE_SSE2, 8)				\
	DO(maxps, MAXPS, FEATURE_SSE, 16) DO(maxss, MAXSS, FEATURE_SSE, 4)				\
	DO(maxpd, MAXPD, FEATURE_SSE2, 16) DO(maxsd, MAXSD, FEATURE_SSE2, 8)				\
	DO(sqrtps, SQRTPS, FEATURE_SSE, 16) DO(sqrtss, SQRTSS, FEATURE_SSE, 4)				\
	DO(sqrtpd, SQRTPD, FEATURE_SSE2, 16) DO(sqrtsd, SQRTSD, FEATURE_SSE2, 8)			\
	DO(rcpps, RCPPS, FEATURE_SSE, 16) DO(rcpss, RCPSS, FEATURE_SSE, 4)				\
	DO(rsqrtps, RSQRTPS, FEATURE_SSE, 16) DO(rsqrtss, RSQRTSS, FEATURE_SSE, 4)			\
	DO(cvtdq2ps, CVTDQ2PS, FEATURE_SSE2, 16) DO(cvtdq2pd, CVTDQ2PD, FEATURE_SSE2, 8)		\
	DO(cvtps2dq, CVTPS2DQ, FEATURE_SSE2, 16) DO(cvttps2dq, CVTTPS2DQ, FEATURE_SSE2, 16)		\
	DO(cvtpd2dq, CVTPD2DQ, FEATURE_SSE2, 16) DO(cvttpd2dq, CVTTPD2DQ, FEATURE_SSE2, 16)		\
	DO(cvtps2pd, CVTPS2PD, FEATURE_SSE2, 8) DO(cvtpd2ps, CVTPD2PS, FEATURE_SSE2, 16)		\
	DO(cvtss2sd, CVTSS2SD, FEATURE_SSE2, 4) DO(cvtsd2ss, CVTSD2SS, FEATURE_SSE2, 8)		\
	DO(haddps, HADDPS, FEATURE_SSE3, 16) DO(haddpd, HADDPD, FEATURE_SSE3, 16)			\
	DO(hsubps, HSUBPS, FEATURE_SSE3, 16) DO(hsubpd, HSUBPD, FEATURE_SSE3, 16)			\
	DO(addsubps, ADDSUBPS, FEATURE_SSE3, 16) DO(addsubpd, ADDSUBPD, FEATURE_SSE3, 16)

#define DEFINE_FLOAT(name, mnemonic, feature, size) FLOAT(name, feature, size)

EACH_FLOAT(DEFINE_FLOAT)

/* The eight predicates; the immediate's other bits are ignored. */
#define PREDICATE(name, number)										\
	case number: {											\
		UNDER_MXCSR(#name " $" #number ", %[b], %[a]", [a] "+x" (operands->a)			\
			: [b] "x" (operands->b), [host] "m" (host));					\
		break;											\
	}

#define COMPARE(name, feature, size)									\
	static void host_##name(struct host_operands *operands, uint32_t *mxcsr, uint64_t imm)		\
	{												\
		switch (imm & 7) {									\
		PREDICATE(name, 0) PREDICATE(name, 1) PREDICATE(name, 2) PREDICATE(name, 3)		\
		PREDICATE(name, 4) PREDICATE(name, 5) PREDICATE(name, 6) PREDICATE(name, 7)		\
		}											\
	}												\
	static void name(struct cpu *cpu, const struct op *op)						\
	{												\
		struct host_operands operands = float_operands(cpu, op, feature, size);			\
													\
		float_execute(cpu, &operands, host_##name, op->imm);					\
		xmm_put(cpu, op->operands[0].reg, operands.a);						\
	}

COMPARE(cmpps, FEATURE_SSE, 16)
COMPARE(cmpss, FEATURE_SSE, 4)
COMPARE(cmppd, FEATURE_SSE2, 16)
COMPARE(cmpsd, FEATURE_SSE2, 8)

/* Comparisons into RFLAGS */
#define COMPARE_FLAGS(name, feature, size)								\
	static void host_##name(struct host_operands *operands, uint32_t *mxcsr, uint64_t imm)		\
	{												\
		uint8_t zf, pf, cf;									\
													\
		(void)imm;										\
		UNDER_MXCSR(#name " %[b], %[a]\n\tsetz %[zf]\n\tsetp %[pf]\n\tsetc %[cf]",		\
			[zf] "=&q" (zf), [pf] "=&q" (pf), [cf] "=&q" (cf)				\
			: [a] "x" (operands->a), [b] "x" (operands->b), [host] "m" (host) : "cc");	\
		operands->flags = flag_if(zf, ZF) | flag_if(pf, PF) | flag_if(cf, CF);			\
	}												\
	static void name(struct cpu *cpu, const struct op *op)						\
	{												\
		struct host_operands operands = float_operands(cpu, op, feature, size);			\
													\
		float_execute(cpu, &operands, host_##name, 0);						\
		flags_set(cpu, STATUS_FLAGS, operands.flags);						\
	}

COMPARE_FLAGS(comiss, FEATURE_SSE, 4)
COMPARE_FLAGS(comisd, FEATURE_SSE2, 8)
COMPARE_FLAGS(ucomiss, FEATURE_SSE, 4)
COMPARE_FLAGS(ucomisd, FEATURE_SSE2, 8)

/* From and to general registers; the integer's size is the handler's. */
#define FROM_INTEGER(name, suffix, modifier, bytes, feature)						\
	static void host_##name##bytes(struct host_operands *operands, uint32_t *mxcsr, uint64_t imm)	\
	{												\
		(void)imm;										\
		UNDER_MXCSR(#name suffix " %" modifier "[reg], %[a]", [a] "+x" (operands->a)		\
			: [reg] "r" (operands->reg), [host] "m" (host));				\
	}												\
	static void name##bytes(struct cpu *cpu, const struct op *op)					\
	{												\
		struct host_operands operands = { 0 };							\
													\
		check_sse(cpu, feature);								\
		operands.reg = operand_read(cpu, op, 1, bytes);						\
		operands.a = xmm_get(cpu, op->operands[0].reg);						\
		float_execute(cpu, &operands, host_##name##bytes, 0);					\
		xmm_put(cpu, op->operands[0].reg, operands.a);						\
	}

#define TO_INTEGER(name, modifier, bytes, feature, size)						\
	static void host_##name##bytes(struct host_operands *operands, uint32_t *mxcsr, uint64_t imm)	\
	{												\
		(void)imm;										\
		UNDER_MXCSR(#name " %[b], %" modifier "[reg]", [reg] "=&r" (operands->reg)		\
			: [b] "x" (operands->b), [host] "m" (host));					\
	}												\
	static void name##bytes(struct cpu *cpu, const struct op *op)					\
	{												\
		struct host_operands operands = { 0 };							\
													\
		check_sse(cpu, feature);								\
		operands.b = float_source(cpu, op, size);						\
		float_execute(cpu, &operands, host_##name##bytes, 0);					\
		reg_write(cpu, op->operands[0].reg, bytes, operands.reg);				\
	}

FROM_INTEGER(cvtsi2ss, "l", "k", 4, FEATURE_SSE)
FROM_INTEGER(cvtsi2ss, "q", "q", 8, FEATURE_SSE)
FROM_INTEGER(cvtsi2sd, "l", "k", 4, FEATURE_SSE2)
FROM_INTEGER(cvtsi2sd, "q", "q", 8, FEATURE_SSE2)
TO_INTEGER(cvtss2si, "k", 4, FEATURE_SSE, 4)
TO_INTEGER(cvtss2si, "q", 8, FEATURE_SSE, 4)
TO_INTEGER(cvtsd2si, "k", 4, FEATURE_SSE2, 8)
TO_INTEGER(cvtsd2si, "q", 8, FEATURE_SSE2, 8)
TO_INTEGER(cvttss2si, "k", 4, FEATURE_SSE, 4)
TO_INTEGER(cvttss2si, "q", 8, FEATURE_SSE, 4)
TO_INTEGER(cvttsd2si, "k", 4, FEATURE_SSE2, 8)
TO_INTEGER(cvttsd2si, "q", 8, FEATURE_SSE2, 8)

/* An exception comes after MMX's entry. Between two integers of MMX and the lower two of four, or two, numbers. */
#define FROM_MMX(name, host_name, is_whole)								\
	static void name(struct cpu *cpu, const struct op *op)						\
	{												\
		struct host_operands operands = { 0 };							\
		uint64_t *to = cpu->fpu.xmm[op->operands[0].reg];					\
													\
		check_conversion(cpu, op);								\
		operands.b = _mm_set_epi64x(0, (long long)scalar_read(cpu, op, 1, 8));			\
		if (op->operands[1].kind == OPERAND_MMX)						\
			fpu_mmx_enter(&cpu->fpu);							\
		float_execute(cpu, &operands, host_name, 0);						\
		memcpy(to, &operands.a, (is_whole) ? 16 : 8);						\
	}

#define TO_MMX(name, host_name, size)									\
	static void name(struct cpu *cpu, const struct op *op)						\
	{												\
		struct host_operands operands = { 0 };							\
													\
		check_conversion(cpu, op);								\
		operands.b = float_source(cpu, op, size);						\
		if (size == 8)										\
			operands.b = _mm_move_epi64(operands.b);					\
		fpu_mmx_enter(&cpu->fpu);								\
		float_execute(cpu, &operands, host_name, 0);						\
		fpu_mmx_write(&cpu->fpu, op->operands[0].reg, (uint64_t)_mm_cvtsi128_si64(operands.a));	\
	}

static void check_conversion(struct cpu *cpu, const struct op *op)
{
	check_sse(cpu, FEATURE_SSE2);
	if (op->operands[0].kind == OPERAND_MMX || op->operands[1].kind == OPERAND_MMX)
		fpu_check_pending(cpu);
}

FROM_MMX(cvtpi2ps, host_cvtdq2ps, false)
FROM_MMX(cvtpi2pd, host_cvtdq2pd, true)
TO_MMX(cvtps2pi, host_cvtps2dq, 8)
TO_MMX(cvttps2pi, host_cvttps2dq, 8)
TO_MMX(cvtpd2pi, host_cvtpd2dq, 16)
TO_MMX(cvttpd2pi, host_cvttpd2dq, 16)

/* By the integer's size */
#define CONVERT_FROM(name)									\
	static void name(struct cpu *cpu, const struct op *op)					\
	{											\
		(op->operands[1].size == 8 ? name##8 : name##4)(cpu, op);			\
	}
#define CONVERT_TO(name)									\
	static void name(struct cpu *cpu, const struct op *op)					\
	{											\
		(op->operands[0].size == 8 ? name##8 : name##4)(cpu, op);			\
	}

CONVERT_FROM(cvtsi2ss)
CONVERT_FROM(cvtsi2sd)
CONVERT_TO(cvtss2si)
CONVERT_TO(cvtsd2si)
CONVERT_TO(cvttss2si)
CONVERT_TO(cvttsd2si)

#define ROW(exec, mnemonic) { ZYDIS_MNEMONIC_##mnemonic, ROW_ANY, 0, { exec } },
#define ROW_FLOAT(exec, mnemonic, feature, size) ROW(exec, mnemonic)

static const struct exec_row rows[] = {
	EACH_FLOAT(ROW_FLOAT)
	ROW(cmpps, CMPPS) ROW(cmpss, CMPSS) ROW(cmppd, CMPPD) ROW(cmpsd, CMPSD)
	ROW(comiss, COMISS) ROW(comisd, COMISD) ROW(ucomiss, UCOMISS) ROW(ucomisd, UCOMISD)
	ROW(cvtsi2ss, CVTSI2SS) ROW(cvtsi2sd, CVTSI2SD) ROW(cvtss2si, CVTSS2SI) ROW(cvtsd2si, CVTSD2SI)
	ROW(cvttss2si, CVTTSS2SI) ROW(cvttsd2si, CVTTSD2SI)
	ROW(cvtpi2ps, CVTPI2PS) ROW(cvtpi2pd, CVTPI2PD) ROW(cvtps2pi, CVTPS2PI) ROW(cvttps2pi, CVTTPS2PI)
	ROW(cvtpd2pi, CVTPD2PI) ROW(cvttpd2pi, CVTTPD2PI)
};

EXEC_TABLE(exec_float, rows);

/* SPDX-License-Identifier: MIT */
/*
 * Packed integers, logic and shuffles. What one instruction of the host does to two values is what the guest's does:
 * these have neither flags nor exceptions of their own.
 */
#include "machine/simd.h"

#include <Zydis/Zydis.h>

/* The second operand: a register, memory, or a count that is an immediate. */
ALWAYS_INLINE __m128i packed_source(struct cpu *cpu, const struct op *op)
{
	if (op->operands[1].kind == OPERAND_IMM)
		return _mm_cvtsi64_si128((long long)(op->imm & 0xff));
	return xmm_read(cpu, op, 1, is_aligned_operand(cpu));
}

/* Memory as large as Zydis says: half a register's for PUNPCKL. */
ALWAYS_INLINE uint64_t mmx_source(struct cpu *cpu, const struct op *op)
{
	if (op->operands[1].kind == OPERAND_IMM)
		return op->imm & 0xff;
	return scalar_read(cpu, op, 1, op->operands[1].kind == OPERAND_MEM ? op->operands[1].size : 8);
}

#define SSE_BODY(name, feature)										\
	__m128i a, b;											\
													\
	check_sse(cpu, feature);									\
	b = packed_source(cpu, op);									\
	a = xmm_get(cpu, op->operands[0].reg);								\
	__asm__(#name " %1, %0" : "+x" (a) : "x" (b));							\
	xmm_put(cpu, op->operands[0].reg, a);

/* With registers of SSE only. */
#define SSE(name, feature)										\
	static void name(struct cpu *cpu, const struct op *op)						\
	{												\
		SSE_BODY(name, feature)									\
	}

/* With registers of MMX, too, by the features that brought either. */
#define PACKED(name, mmx_feature, sse_feature)								\
	static void mmx_##name(struct cpu *cpu, const struct op *op)					\
	{												\
		uint64_t a, b;										\
													\
		fpu_check_mmx(cpu, mmx_feature);							\
		b = mmx_source(cpu, op);								\
		a = fpu_mmx_read(&cpu->fpu, op->operands[0].reg);					\
		__asm__("movq %0, %%mm0\n\tmovq %1, %%mm1\n\t" #name " %%mm1, %%mm0\n\tmovq %%mm0, %0\n\temms"	\
			: "+m" (a) : "m" (b) : "mm0", "mm1");						\
		fpu_mmx_write(&cpu->fpu, op->operands[0].reg, a);					\
	}												\
	static void name(struct cpu *cpu, const struct op *op)						\
	{												\
		if (op->operands[0].kind == OPERAND_MMX) {						\
			mmx_##name(cpu, op);								\
			return;										\
		}											\
		SSE_BODY(name, sse_feature)								\
	}

#define EACH_MMX(DO)											\
	DO(paddb, PADDB) DO(paddw, PADDW) DO(paddd, PADDD) DO(paddsb, PADDSB) DO(paddsw, PADDSW)		\
	DO(paddusb, PADDUSB) DO(paddusw, PADDUSW) DO(psubb, PSUBB) DO(psubw, PSUBW) DO(psubd, PSUBD)		\
	DO(psubsb, PSUBSB) DO(psubsw, PSUBSW) DO(psubusb, PSUBUSB) DO(psubusw, PSUBUSW)			\
	DO(pmulhw, PMULHW) DO(pmullw, PMULLW) DO(pmaddwd, PMADDWD)					\
	DO(pcmpeqb, PCMPEQB) DO(pcmpeqw, PCMPEQW) DO(pcmpeqd, PCMPEQD)					\
	DO(pcmpgtb, PCMPGTB) DO(pcmpgtw, PCMPGTW) DO(pcmpgtd, PCMPGTD)					\
	DO(packsswb, PACKSSWB) DO(packssdw, PACKSSDW) DO(packuswb, PACKUSWB)				\
	DO(punpcklbw, PUNPCKLBW) DO(punpcklwd, PUNPCKLWD) DO(punpckldq, PUNPCKLDQ)			\
	DO(punpckhbw, PUNPCKHBW) DO(punpckhwd, PUNPCKHWD) DO(punpckhdq, PUNPCKHDQ)			\
	DO(pand, PAND) DO(pandn, PANDN) DO(por, POR) DO(pxor, PXOR)					\
	DO(psllw, PSLLW) DO(pslld, PSLLD) DO(psllq, PSLLQ) DO(psrlw, PSRLW) DO(psrld, PSRLD)		\
	DO(psrlq, PSRLQ) DO(psraw, PSRAW) DO(psrad, PSRAD)

/* Those that MMX got with SSE */
#define EACH_MMX_SSE(DO)										\
	DO(pavgb, PAVGB) DO(pavgw, PAVGW) DO(pmaxsw, PMAXSW) DO(pmaxub, PMAXUB) DO(pminsw, PMINSW)	\
	DO(pminub, PMINUB) DO(pmulhuw, PMULHUW) DO(psadbw, PSADBW)

/* and with SSE2 */
#define EACH_MMX_SSE2(DO) DO(paddq, PADDQ) DO(psubq, PSUBQ) DO(pmuludq, PMULUDQ)

#define EACH_SSSE3(DO)											\
	DO(pabsb, PABSB) DO(pabsw, PABSW) DO(pabsd, PABSD) DO(phaddw, PHADDW) DO(phaddd, PHADDD)		\
	DO(phaddsw, PHADDSW) DO(phsubw, PHSUBW) DO(phsubd, PHSUBD) DO(phsubsw, PHSUBSW)			\
	DO(pmaddubsw, PMADDUBSW) DO(pmulhrsw, PMULHRSW) DO(pshufb, PSHUFB)				\
	DO(psignb, PSIGNB) DO(psignw, PSIGNW) DO(psignd, PSIGND)

#define EACH_SSE(DO)											\
	DO(andps, ANDPS) DO(andnps, ANDNPS) DO(orps, ORPS) DO(xorps, XORPS)				\
	DO(unpcklps, UNPCKLPS) DO(unpckhps, UNPCKHPS)

#define EACH_SSE2(DO)											\
	DO(andpd, ANDPD) DO(andnpd, ANDNPD) DO(orpd, ORPD) DO(xorpd, XORPD)				\
	DO(unpcklpd, UNPCKLPD) DO(unpckhpd, UNPCKHPD) DO(punpcklqdq, PUNPCKLQDQ) DO(punpckhqdq, PUNPCKHQDQ)

#define DEFINE_MMX(name, mnemonic) PACKED(name, FEATURE_MMX, FEATURE_SSE2)
#define DEFINE_MMX_SSE(name, mnemonic) PACKED(name, FEATURE_SSE, FEATURE_SSE2)
#define DEFINE_MMX_SSE2(name, mnemonic) PACKED(name, FEATURE_SSE2, FEATURE_SSE2)
#define DEFINE_SSSE3(name, mnemonic) PACKED(name, FEATURE_SSSE3, FEATURE_SSSE3)
#define DEFINE_SSE(name, mnemonic) SSE(name, FEATURE_SSE)
#define DEFINE_SSE2(name, mnemonic) SSE(name, FEATURE_SSE2)

EACH_MMX(DEFINE_MMX)
EACH_MMX_SSE(DEFINE_MMX_SSE)
EACH_MMX_SSE2(DEFINE_MMX_SSE2)
EACH_SSSE3(DEFINE_SSSE3)
EACH_SSE(DEFINE_SSE)
EACH_SSE2(DEFINE_SSE2)

/* Immediates that say what goes where: element @i of the result is chosen by its bits of the immediate. */

union elements {
	__m128i all;
	uint8_t u8[16];
	uint16_t u16[8];
	uint32_t u32[4];
	uint64_t u64[2];
};

static void shuffle_u16(const uint16_t *from, uint16_t *to, uint64_t imm)
{
	unsigned int i;

	for (i = 0; i < 4; i++)
		to[i] = from[imm >> 2 * i & 3];
}

static void pshufd(struct cpu *cpu, const struct op *op)
{
	union elements from, to;
	unsigned int i;

	check_sse(cpu, FEATURE_SSE2);
	from.all = xmm_read(cpu, op, 1, is_aligned_operand(cpu));
	for (i = 0; i < 4; i++)
		to.u32[i] = from.u32[op->imm >> 2 * i & 3];
	xmm_put(cpu, op->operands[0].reg, to.all);
}

/* Four words of one half; the other is copied. */
ALWAYS_INLINE void shuffle_half(struct cpu *cpu, const struct op *op, unsigned int first)
{
	union elements from, to;

	check_sse(cpu, FEATURE_SSE2);
	from.all = to.all = xmm_read(cpu, op, 1, is_aligned_operand(cpu));
	shuffle_u16(from.u16 + first, to.u16 + first, op->imm);
	xmm_put(cpu, op->operands[0].reg, to.all);
}

static void pshuflw(struct cpu *cpu, const struct op *op)
{
	shuffle_half(cpu, op, 0);
}

static void pshufhw(struct cpu *cpu, const struct op *op)
{
	shuffle_half(cpu, op, 4);
}

static void pshufw(struct cpu *cpu, const struct op *op)
{
	uint16_t from[4], to[4];
	uint64_t value;

	fpu_check_mmx(cpu, FEATURE_SSE);
	value = scalar_read(cpu, op, 1, 8);
	memcpy(from, &value, sizeof(from));
	shuffle_u16(from, to, op->imm);
	memcpy(&value, to, sizeof(value));
	fpu_mmx_write(&cpu->fpu, op->operands[0].reg, value);
}

/* The lower half of the result is of the destination, the upper one of the source. */
static void shufps(struct cpu *cpu, const struct op *op)
{
	union elements a, b, to;
	unsigned int i;

	check_sse(cpu, FEATURE_SSE);
	b.all = xmm_read(cpu, op, 1, is_aligned_operand(cpu));
	a.all = xmm_get(cpu, op->operands[0].reg);
	for (i = 0; i < 4; i++)
		to.u32[i] = (i < 2 ? &a : &b)->u32[op->imm >> 2 * i & 3];
	xmm_put(cpu, op->operands[0].reg, to.all);
}

static void shufpd(struct cpu *cpu, const struct op *op)
{
	union elements a, b, to;

	check_sse(cpu, FEATURE_SSE2);
	b.all = xmm_read(cpu, op, 1, is_aligned_operand(cpu));
	a.all = xmm_get(cpu, op->operands[0].reg);
	to.u64[0] = a.u64[op->imm & 1];
	to.u64[1] = b.u64[op->imm >> 1 & 1];
	xmm_put(cpu, op->operands[0].reg, to.all);
}

static void pslldq(struct cpu *cpu, const struct op *op)
{
	union elements from, to = { .u64 = { 0, 0 } };
	unsigned int i;

	check_sse(cpu, FEATURE_SSE2);
	from.all = xmm_get(cpu, op->operands[0].reg);
	for (i = op->imm & 0xff; i < 16; i++)
		to.u8[i] = from.u8[i - (op->imm & 0xff)];
	xmm_put(cpu, op->operands[0].reg, to.all);
}

static void psrldq(struct cpu *cpu, const struct op *op)
{
	union elements from, to = { .u64 = { 0, 0 } };
	unsigned int i;

	check_sse(cpu, FEATURE_SSE2);
	from.all = xmm_get(cpu, op->operands[0].reg);
	for (i = op->imm & 0xff; i < 16; i++)
		to.u8[i - (op->imm & 0xff)] = from.u8[i];
	xmm_put(cpu, op->operands[0].reg, to.all);
}

/* @len bytes from byte @first of the source and, above it, the destination; zeros behind both. */
static void align_right(uint8_t *to, const uint8_t *source, unsigned int first, unsigned int len)
{
	uint8_t joined[32];
	unsigned int i;

	memcpy(joined, source, len);
	memcpy(joined + len, to, len);
	for (i = 0; i < len; i++)
		to[i] = first + i < 2 * len ? joined[first + i] : 0;
}

static void palignr(struct cpu *cpu, const struct op *op)
{
	unsigned int number = op->operands[0].reg;

	if (op->operands[0].kind == OPERAND_MMX) {
		uint64_t from, to;

		fpu_check_mmx(cpu, FEATURE_SSSE3);
		from = scalar_read(cpu, op, 1, 8);
		to = fpu_mmx_read(&cpu->fpu, number);
		align_right((uint8_t *)&to, (const uint8_t *)&from, op->imm & 0xff, 8);
		fpu_mmx_write(&cpu->fpu, number, to);
	} else {
		__m128i from;

		check_sse(cpu, FEATURE_SSSE3);
		from = xmm_read(cpu, op, 1, is_aligned_operand(cpu));
		align_right((uint8_t *)cpu->fpu.xmm[number], (const uint8_t *)&from, op->imm & 0xff, 16);
	}
}

static void pmovmskb(struct cpu *cpu, const struct op *op)
{
	const struct operand *from = &op->operands[1];
	__m128i value;

	if (from->kind == OPERAND_MMX) {
		fpu_check_mmx(cpu, FEATURE_SSE);
		value = _mm_set_epi64x(0, (long long)fpu_mmx_read(&cpu->fpu, from->reg));
		fpu_mmx_enter(&cpu->fpu);
	} else {
		check_sse(cpu, FEATURE_SSE2);
		value = xmm_get(cpu, from->reg);
	}
	reg_write(cpu, op->operands[0].reg, 4, (uint64_t)_mm_movemask_epi8(value));
}

#define OPCODE_PEXTRW_SSE2 0xc5

static void pextrw(struct cpu *cpu, const struct op *op)
{
	const struct operand *from = &op->operands[1];
	uint64_t value;

	/* The other encoding is SSE4.1's. */
	if (op->opcode != OPCODE_PEXTRW_SSE2)
		cpu_raise(cpu, VECTOR_UD);
	if (from->kind == OPERAND_MMX) {
		fpu_check_mmx(cpu, FEATURE_SSE);
		value = fpu_mmx_read(&cpu->fpu, from->reg) >> 16 * (op->imm & 3);
		fpu_mmx_enter(&cpu->fpu);
	} else {
		check_sse(cpu, FEATURE_SSE2);
		value = cpu->fpu.xmm[from->reg][op->imm >> 2 & 1] >> 16 * (op->imm & 3);
	}
	reg_write(cpu, op->operands[0].reg, 4, value & 0xffff);
}

static void pinsrw(struct cpu *cpu, const struct op *op)
{
	const struct operand *to = &op->operands[0];
	unsigned int shift = 16 * (op->imm & 3);
	uint64_t value, old;

	if (to->kind == OPERAND_MMX) {
		fpu_check_mmx(cpu, FEATURE_SSE);
		value = operand_read(cpu, op, 1, 2);
		old = fpu_mmx_read(&cpu->fpu, to->reg);
		fpu_mmx_write(&cpu->fpu, to->reg, (old & ~(0xffffull << shift)) | value << shift);
	} else {
		uint64_t *half = &cpu->fpu.xmm[to->reg][op->imm >> 2 & 1];

		check_sse(cpu, FEATURE_SSE2);
		value = operand_read(cpu, op, 1, 2);
		*half = (*half & ~(0xffffull << shift)) | value << shift;
	}
}

/* Bytes at DS:rDI, where the mask's byte has its upper bit; nothing else is touched. */
static void store_masked(struct cpu *cpu, const struct op *op, const uint8_t *bytes, const uint8_t *mask,
	unsigned int len)
{
	uint64_t offset = cpu->regs[REG_RDI] & op->address_mask;
	unsigned int i;

	memory_check_write_bytes(cpu, op->seg, offset, len, 1);
	for (i = 0; i < len; i++)
		if (mask[i] & 0x80)
			memory_write(cpu, op->seg, (offset + i) & op->address_mask, 1, bytes[i]);
}

static void maskmovdqu(struct cpu *cpu, const struct op *op)
{
	const uint64_t *bytes = cpu->fpu.xmm[op->operands[0].reg], *mask = cpu->fpu.xmm[op->operands[1].reg];

	check_sse(cpu, FEATURE_SSE2);
	store_masked(cpu, op, (const uint8_t *)bytes, (const uint8_t *)mask, 16);
}

static void maskmovq(struct cpu *cpu, const struct op *op)
{
	uint64_t bytes, mask;

	fpu_check_mmx(cpu, FEATURE_SSE);
	bytes = fpu_mmx_read(&cpu->fpu, op->operands[0].reg);
	mask = fpu_mmx_read(&cpu->fpu, op->operands[1].reg);
	store_masked(cpu, op, (const uint8_t *)&bytes, (const uint8_t *)&mask, 8);
	fpu_mmx_enter(&cpu->fpu);
}

static void emms(struct cpu *cpu, const struct op *op)
{
	(void)op;
	fpu_check_mmx(cpu, FEATURE_MMX);
	fpu_mmx_enter(&cpu->fpu);
	cpu->fpu.ftw = 0;
}

#define ROW(exec, mnemonic) { ZYDIS_MNEMONIC_##mnemonic, ROW_ANY, 0, { exec } },

static const struct exec_row rows[] = {
	EACH_MMX(ROW) EACH_MMX_SSE(ROW) EACH_MMX_SSE2(ROW) EACH_SSSE3(ROW) EACH_SSE(ROW)
	EACH_SSE2(ROW)
	ROW(pshufd, PSHUFD) ROW(pshuflw, PSHUFLW) ROW(pshufhw, PSHUFHW) ROW(pshufw, PSHUFW)
	ROW(shufps, SHUFPS) ROW(shufpd, SHUFPD) ROW(pslldq, PSLLDQ) ROW(psrldq, PSRLDQ)
	ROW(palignr, PALIGNR)
	ROW(pmovmskb, PMOVMSKB) ROW(pextrw, PEXTRW) ROW(pinsrw, PINSRW) ROW(emms, EMMS)
	ROW(maskmovdqu, MASKMOVDQU) ROW(maskmovq, MASKMOVQ)
};

EXEC_TABLE(exec_packed, rows);

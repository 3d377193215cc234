/* SPDX-License-Identifier: MIT */
/*
 * Random instances: bytes of a form with random prefixes and operands, and registers that make most of them mean
 * something.
 */
#include "differ/instance.h"

#include <Zydis/Zydis.h>
#include <string.h>

#include "rng.h"
#include "vm/x86/bits.h"

#define MXCSR_PE 0x20u
#define MXCSR_OM_UM 0xc00u

static void put(struct instance *instance, uint64_t value, unsigned int len_bytes)
{
	while (len_bytes--) {
		instance->code[instance->len++] = (uint8_t)value;
		value >>= 8;
	}
}

/* How the bytes are written, decided before any is. */
struct encoding {
	bool has_66, has_67, has_lock;
	uint8_t rex;		/* 0: none */
};

static void put_legacy_prefixes(struct instance *instance, struct rng *rng, const struct encoding *encoding)
{
	static const uint8_t segments[] = { 0x26, 0x2e, 0x36, 0x3e };

	if (rng_percent(rng, 4))
		put(instance, segments[rng_below(rng, 4)], 1);
	if (encoding->has_67)
		put(instance, 0x67, 1);
	if (encoding->has_lock)
		put(instance, 0xf0, 1);
	if ((instance->form->flags & FORM_REP) && rng_percent(rng, 60))
		put(instance, rng_percent(rng, 50) ? 0xf3 : 0xf2, 1);
}

static unsigned int vex_pp(const struct form *form)
{
	return form->flags & FORM_66 ? 1 : form->flags & FORM_F3 ? 2 : form->flags & FORM_F2 ? 3 : 0;
}

/* Three bytes always; the bits of registers are inverted. 32-bit code has registers below 8 only. */
static void put_vex(struct instance *instance, struct rng *rng)
{
	uint8_t extra = instance->is_64 ? (uint8_t)(rng_below(rng, 8) << 5) : 0xe0;
	uint8_t w = instance->is_64 || rng_percent(rng, 20) ? (uint8_t)(rng_below(rng, 2) << 7) : 0;
	uint8_t v = (uint8_t)rng_below(rng, 16);
	/* RORX has no second source, and what has one destination by /digit uses it. */
	bool is_unused = instance->form->map == 3;

	if (!instance->is_64)
		v |= 8;
	if (is_unused && !rng_percent(rng, 3))
		v = 15;
	put(instance, 0xc4, 1);
	put(instance, extra | instance->form->map, 1);
	put(instance, w | (uint64_t)v << 3 | vex_pp(instance->form), 1);
}

static void put_prefixes(struct instance *instance, struct rng *rng, const struct encoding *encoding)
{
	const struct form *form = instance->form;

	put_legacy_prefixes(instance, rng, encoding);
	if (form->flags & FORM_VEX) {
		put_vex(instance, rng);
		return;
	}
	if (encoding->has_66 || (form->flags & FORM_66))
		put(instance, 0x66, 1);
	if (form->flags & FORM_F2)
		put(instance, 0xf2, 1);
	if (form->flags & FORM_F3)
		put(instance, 0xf3, 1);
	if (encoding->rex)
		put(instance, encoding->rex, 1);
	if (form->map)
		put(instance, 0x0f, 1);
	if (form->map >= 2)
		put(instance, form->map == 2 ? 0x38 : 0x3a, 1);
}

static void put_modrm(struct instance *instance, struct rng *rng, bool is_16bit_address)
{
	unsigned int mod = (unsigned int)rng_below(rng, instance->form->flags & FORM_MEMORY ? 3 : 4);
	unsigned int reg = (unsigned int)rng_below(rng, 8), rm = (unsigned int)rng_below(rng, 8), base = 0;

	if (instance->form->flags & FORM_EXTENSION)
		reg = instance->form->extension;
	put(instance, mod << 6 | reg << 3 | rm, 1);
	if (mod == 3)
		return;
	if (is_16bit_address) {
		put(instance, rng_value(rng), mod == 1 ? 1 : mod == 2 || rm == 6 ? 2 : 0);
		return;
	}
	if (rm == 4) {
		base = (unsigned int)rng_below(rng, 8);
		put(instance, rng_below(rng, 32) << 3 | base, 1);
	}
	if (mod == 1)
		put(instance, rng_value(rng), 1);
	else if (mod == 2 || rm == 5 || (rm == 4 && base == 5))
		put(instance, rng_value(rng), 4);
}

/* Mostly what the GDT of a 64-bit Linux has for users, or nearly. */
static uint16_t rng_selector(struct rng *rng)
{
	static const uint16_t users[] = { 0x23, 0x2b, 0x33, 0x7b, 0x23, 0x2b, 0x33 };

	switch (rng_below(rng, 8)) {
	case 0:
		return (uint16_t)rng_below(rng, 4);
	case 1:
		return (uint16_t)rng_below(rng, 0x90);
	case 2:
		return (uint16_t)rng_value(rng);
	default:
		return users[rng_below(rng, sizeof(users) / sizeof(users[0]))];
	}
}

/* Somewhere in the INT3s, but for some. */
static uint64_t rng_rip(struct rng *rng)
{
	return rng_percent(rng, 90) ? CODE_ADDRESS + 0x10 + rng_below(rng, 0x700) : rng_value(rng);
}

static void put_immediates(struct instance *instance, struct rng *rng, const struct encoding *encoding)
{
	uint32_t flags = instance->form->flags;
	bool is_wide = encoding->rex & 8;

	if ((flags & FORM_FAR) && (flags & FORM_IZ)) {
		put(instance, rng_rip(rng), encoding->has_66 ? 2 : 4);
		put(instance, rng_selector(rng), 2);
		return;
	}
	if (flags & FORM_IW)
		put(instance, rng_percent(rng, 80) ? rng_below(rng, 64) : rng_value(rng), 2);
	if (flags & FORM_IB)
		put(instance, rng_value(rng), 1);
	if (flags & FORM_IZ)
		put(instance, rng_value(rng), encoding->has_66 && !is_wide ? 2 : 4);
	if (flags & FORM_IV)
		put(instance, rng_value(rng), is_wide ? 8 : encoding->has_66 ? 2 : 4);
	if (flags & FORM_MOFFS)
		put(instance, DATA_ADDRESS + rng_below(rng, DATA_BYTES),
			instance->is_64 ? (encoding->has_67 ? 4 : 8) : encoding->has_67 ? 2 : 4);
}

static void make_code(struct instance *instance, struct rng *rng)
{
	const struct form *form = instance->form;
	struct encoding encoding = {
		.has_66 = rng_percent(rng, 30),
		.has_67 = rng_percent(rng, 8),
		.has_lock = rng_percent(rng, form->flags & FORM_LOCK ? 25 : 1),
	};
	/* AMD's other name for CR8, LOCK MOV CR0, is not implemented. */
	bool is_control = form->map == 1 && form->opcode == 0x20;
	unsigned int nr_opcodes = form->last_opcode ? form->last_opcode - form->opcode + 1u : 1;

	if (is_control)
		encoding.has_lock = false;
	if (instance->is_64 && rng_percent(rng, 60))
		encoding.rex = (uint8_t)(0x40 | rng_below(rng, 16));
	instance->len = 0;
	put_prefixes(instance, rng, &encoding);
	put(instance, form->opcode + rng_below(rng, nr_opcodes), 1);
	if (form->flags & FORM_MODRM)
		put_modrm(instance, rng, !instance->is_64 && encoding.has_67);
	put_immediates(instance, rng, &encoding);
}

/* Where a memory operand shall be: in the data, at its borders, in what is read-only, or nowhere. */
static uint64_t rng_target(struct rng *rng)
{
	unsigned int kind = (unsigned int)rng_below(rng, 100);

	if (kind < 70)
		return DATA_ADDRESS + 64 + rng_below(rng, DATA_BYTES - 128);
	if (kind < 80)
		return DATA_ADDRESS + (rng_below(rng, DATA_BYTES / 16) * 16);
	if (kind < 86)
		return DATA_ADDRESS + PAGE_BYTES_ - rng_below(rng, 16);
	if (kind < 90)
		return DATA_ADDRESS + DATA_BYTES - rng_below(rng, 16);
	if (kind < 92)
		return DATA_ADDRESS - rng_below(rng, 16);
	if (kind < 97)
		return CONST_ADDRESS + rng_below(rng, PAGE_BYTES_ - 32);
	return rng_value(rng);
}

static int register_number(ZydisRegister reg)
{
	return reg == ZYDIS_REGISTER_NONE ? -1 :
		ZydisRegisterGetId(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg));
}

static void patch_displacement(struct instance *instance, const ZydisDecodedInstruction *insn, uint64_t value)
{
	unsigned int i;

	for (i = 0; i < insn->raw.disp.size / 8u; i++, value >>= 8)
		instance->code[insn->raw.disp.offset + i] = (uint8_t)value;
}

/* Chooses registers or the displacement so that the operand is at @target. */
static void aim(struct instance *instance, const ZydisDecodedInstruction *insn, const ZydisDecodedOperandMem *mem,
	uint64_t target)
{
	int base = register_number(mem->base), index = register_number(mem->index);
	uint64_t scale = mem->scale ? mem->scale : 1, rest = target - (uint64_t)mem->disp.value;

	if (mem->base == ZYDIS_REGISTER_RIP || mem->base == ZYDIS_REGISTER_EIP)
		patch_displacement(instance, insn, target - INSN_ADDRESS - instance->len);
	else if (base < 0 && index < 0)
		patch_displacement(instance, insn, target);
	else if (index < 0)
		instance->regs[base] = rest;
	else if (base < 0)
		instance->regs[index] = rest / scale;
	else if (base == index)
		instance->regs[base] = rest / (scale + 1);
	else
		instance->regs[base] = rest - instance->regs[index] * scale;
}

/* Returns where the memory operand is to be, if there is one. */
static uint64_t aim_operands(struct instance *instance, struct rng *rng, const ZydisDecodedInstruction *insn,
	const ZydisDecodedOperand *operands)
{
	uint64_t target = rng_target(rng);
	unsigned int i;

	if ((instance->form->flags & FORM_SIMD) && rng_percent(rng, 60))
		target &= ~15ull;

	for (i = 0; i < insn->operand_count_visible; i++)
		if (operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
			aim(instance, insn, &operands[i].mem, target);
	return target;
}

static uint64_t rng_double(struct rng *rng)
{
	static const uint64_t exponents[] = { 0, 0, 1, 0x3fe, 0x3ff, 0x400, 0x41e, 0x43e, 0x7fe, 0x7ff, 0x380, 0x47f,
		0x369 };
	static const uint64_t fractions[] = { 0, 0, 1, 0xfffffffffffff, 0x8000000000000, 0x8000000000001,
		0x10000000 };
	uint64_t exponent = exponents[rng_below(rng, sizeof(exponents) / sizeof(exponents[0]))];
	uint64_t fraction = fractions[rng_below(rng, sizeof(fractions) / sizeof(fractions[0]))];

	if (rng_percent(rng, 30))
		exponent = (exponent + rng_below(rng, 60) - 30) & 0x7ff;
	if (rng_percent(rng, 30))
		fraction = rng_next(rng) >> 12;
	return rng_below(rng, 2) << 63 | exponent << 52 | fraction;
}

static uint32_t rng_single(struct rng *rng)
{
	static const uint32_t exponents[] = { 0, 0, 1, 0x7e, 0x7f, 0x80, 0x9e, 0xbe, 0xfe, 0xff };
	static const uint32_t fractions[] = { 0, 0, 1, 0x7fffff, 0x400000, 0x400001, 0x200000 };
	uint32_t exponent = exponents[rng_below(rng, sizeof(exponents) / sizeof(exponents[0]))];
	uint32_t fraction = fractions[rng_below(rng, sizeof(fractions) / sizeof(fractions[0]))];

	if (rng_percent(rng, 30))
		exponent = (exponent + (uint32_t)rng_below(rng, 60) - 30) & 0xff;
	if (rng_percent(rng, 30))
		fraction = (uint32_t)rng_next(rng) >> 9;
	return (uint32_t)rng_below(rng, 2) << 31 | exponent << 23 | fraction;
}

/* Sign and exponent of an extended number. */
static uint16_t rng_exponent(struct rng *rng)
{
	static const uint16_t exponents[] = { 0, 0, 1, 0x3ffe, 0x3fff, 0x4000, 0x401e, 0x403e, 0x7ffe, 0x7fff, 0x3f80,
		0x407f, 0x3c00, 0x43ff };
	uint64_t exponent = exponents[rng_below(rng, sizeof(exponents) / sizeof(exponents[0]))];

	if (rng_percent(rng, 30))
		exponent ^= rng_below(rng, 64);
	return (uint16_t)(exponent ^ rng_below(rng, 2) << 15);
}

/* The significand's upper bit is mostly 1. */
static uint64_t rng_significand(struct rng *rng)
{
	static const uint64_t significands[] = { 1ull << 63, 1ull << 63, 3ull << 62, ~0ull, 1ull << 63 | 1, 0,
		3ull << 62 | 1 };

	return rng_percent(rng, 70) ? significands[rng_below(rng, sizeof(significands) / sizeof(significands[0]))] :
		rng_next(rng) | (rng_percent(rng, 80) ? 1ull << 63 : 0);
}

static uint64_t rng_number(struct rng *rng)
{
	switch (rng_below(rng, 4)) {
	case 0:
		return rng_double(rng);
	case 1:
	case 2:
		return rng_single(rng) | (uint64_t)rng_single(rng) << 32;
	default:
		return rng_value(rng);
	}
}

static uint32_t rng_mxcsr(struct rng *rng)
{
	uint32_t value = MXCSR_MASKS | (uint32_t)(rng_next(rng) & 0xe07f);

	if (rng_percent(rng, 15))
		value |= MXCSR_MM;
	if (rng_percent(rng, 30))
		value ^= (uint32_t)rng_next(rng) & MXCSR_MASKS;
	if (rng_percent(rng, 50))
		value &= ~(MXCSR_DAZ | MXCSR_FTZ);
	/* What PE would become with an unmasked overflow or underflow, the machine does not know. */
	if ((value & MXCSR_OM_UM) != MXCSR_OM_UM)
		value |= MXCSR_PE;
	return value;
}

/* What is flagged and not masked is pending: not often, because little else happens then. */
static void make_x87(struct fpu *fpu, struct rng *rng)
{
	fpu->fcw = (uint16_t)(0x7f | (rng_next(rng) & 0x1f00));
	fpu->fsw = (uint16_t)(rng_next(rng) & 0x7f7f);
	fpu->ftw = rng_percent(rng, 60) ? 0xff : (uint8_t)rng_next(rng);
	if (rng_percent(rng, 30))
		fpu->fcw &= (uint16_t)(~FSW_EXCEPTIONS | rng_next(rng));
	if (!rng_percent(rng, 10))
		fpu->fsw &= (uint16_t)(~FSW_EXCEPTIONS | fpu->fcw);
	if (fpu->fsw & ~fpu->fcw & FSW_EXCEPTIONS)
		fpu->fsw |= FSW_ES | FSW_B;
}

static void make_fpu(struct fpu *fpu, struct rng *rng)
{
	unsigned int i;

	make_x87(fpu, rng);
	fpu->mxcsr = rng_mxcsr(rng);
	for (i = 0; i < 8; i++) {
		uint64_t significand = rng_significand(rng);
		uint16_t exponent = rng_exponent(rng);

		memcpy(fpu->st[i], &significand, sizeof(significand));
		memcpy(fpu->st[i] + 8, &exponent, sizeof(exponent));
	}
	for (i = 0; i < 16; i++) {
		fpu->xmm[i][0] = rng_number(rng);
		fpu->xmm[i][1] = rng_number(rng);
	}
}

static void make_registers(struct instance *instance, struct rng *rng)
{
	const struct form *form = instance->form;
	unsigned int i;

	for (i = 0; i < 16; i++)
		instance->regs[i] = rng_value(rng);
	if (rng_percent(rng, 60))
		instance->regs[1] = rng_below(rng, 72);
	if ((form->flags & FORM_STACK) && !rng_percent(rng, 3))
		instance->regs[4] = rng_target(rng);
	if ((form->flags & FORM_FRAME) && !rng_percent(rng, 5))
		instance->regs[5] = rng_target(rng);
	if (form->flags & FORM_STRING) {
		instance->regs[6] = rng_target(rng);
		instance->regs[7] = rng_target(rng);
		instance->regs[1] = rng_below(rng, rng_percent(rng, 50) ? 4 : 64);
		if (rng_percent(rng, 5))
			instance->regs[1] |= 1ull << 32;
	}
	if (form->flags & FORM_XLAT)
		instance->regs[3] = rng_target(rng);
	if ((form->flags & FORM_DIVIDE) && rng_percent(rng, 70))
		instance->regs[2] = rng_percent(rng, 50) ? 0 : (uint64_t)((int64_t)instance->regs[0] >> 63);
}

/* A bit number in a register, small enough to be in the data. */
static void make_bit_number(struct instance *instance, struct rng *rng, const ZydisDecodedOperand *operands)
{
	int number;

	if (operands[0].type != ZYDIS_OPERAND_TYPE_MEMORY || operands[1].type != ZYDIS_OPERAND_TYPE_REGISTER)
		return;
	number = register_number(operands[1].reg.value);
	if (number != register_number(operands[0].mem.base) && number != register_number(operands[0].mem.index))
		instance->regs[number] = rng_below(rng, 1024) - 512;
}

/* The next number of what is written at patch_address. */
static void put_patch(struct instance *instance, uint64_t value, unsigned int len_bytes)
{
	memcpy(instance->patch + instance->patch_len, &value, len_bytes);
	instance->patch_len += len_bytes;
}

static void make_frame(struct instance *instance, struct rng *rng, unsigned int size)
{
	const uint64_t user_flags = X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | X86_EFLAGS_SF |
		X86_EFLAGS_DF | X86_EFLAGS_OF | X86_EFLAGS_IF | X86_EFLAGS_VM | 0x3000 | 3ull << 19 | 1ull << 21;

	instance->patch_address = instance->regs[4];
	if (instance->form->flags & FORM_RETURN) {
		put_patch(instance, rng_rip(rng), size);
		put_patch(instance, rng_selector(rng), size);
	}
	if (instance->form->flags & FORM_FLAGS)
		put_patch(instance, rng_next(rng) & user_flags, size);
	if (instance->form->flags & FORM_RETURN) {
		put_patch(instance, rng_target(rng), size);
		put_patch(instance, rng_selector(rng), size);
	}
	if (instance->form->flags & FORM_POP_SEGMENT)
		put_patch(instance, rng_selector(rng), size);
}

/* What a memory operand points to, where noise would be nothing but a fault. */
static void make_operand_data(struct instance *instance, struct rng *rng, uint64_t target, unsigned int size)
{
	instance->patch_address = target;
	if (instance->form->flags & FORM_FAR) {
		put_patch(instance, rng_rip(rng), size);
		put_patch(instance, rng_selector(rng), 2);
	} else if (instance->form->flags & FORM_SELECTOR) {
		put_patch(instance, rng_selector(rng), 2);
	} else if (instance->form->flags & FORM_BOUND) {
		put_patch(instance, rng_value(rng), size);
		put_patch(instance, rng_value(rng), size);
	}
}

/* An operand of up to 16 bytes, MXCSR, or the beginning of FXSAVE's image. */
static void make_numbers(struct instance *instance, struct rng *rng, const ZydisDecodedInstruction *insn,
	uint64_t target)
{
	struct fpu fpu = { 0 };

	instance->patch_address = target;
	if (insn->mnemonic == ZYDIS_MNEMONIC_LDMXCSR) {
		put_patch(instance, rng_percent(rng, 80) ? rng_mxcsr(rng) : rng_next(rng), 4);
	} else if (instance->form->flags & FORM_IMAGE) {
		make_x87(&fpu, rng);
		fpu.mxcsr = rng_percent(rng, 80) ? rng_mxcsr(rng) : (uint32_t)rng_next(rng);
		memcpy(instance->patch, &fpu, 32);
		instance->patch_len = 32;
	} else if (rng_percent(rng, 30)) {
		put_patch(instance, rng_significand(rng), 8);
		put_patch(instance, rng_exponent(rng), 8);
	} else {
		put_patch(instance, rng_number(rng), 8);
		put_patch(instance, rng_number(rng), 8);
	}
}

static void make_special(struct instance *instance, struct rng *rng, const ZydisDecodedInstruction *insn,
	const ZydisDecodedOperand *operands, uint64_t target)
{
	unsigned int size = insn->operand_width / 8, i;

	if (instance->form->flags & FORM_SIMD)
		make_numbers(instance, rng, insn, target);

	if (instance->form->flags & (FORM_FAR | FORM_SELECTOR | FORM_BOUND))
		make_operand_data(instance, rng, target, insn->mnemonic == ZYDIS_MNEMONIC_BOUND || size < 8 ? size : 4);
	else if (instance->form->flags & (FORM_RETURN | FORM_FLAGS | FORM_POP_SEGMENT))
		make_frame(instance, rng, size);
	for (i = 0; (instance->form->flags & FORM_SELECTOR) && i < insn->operand_count_visible; i++)
		if (operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    ZydisRegisterGetClass(operands[i].reg.value) != ZYDIS_REGCLASS_SEGMENT)
			instance->regs[register_number(operands[i].reg.value)] = rng_selector(rng);
}

/* True when it branches into itself, where it could stay for ever, or to what is not ours. */
static bool is_wild_branch(const struct instance *instance, const ZydisDecodedInstruction *insn,
	const ZydisDecodedOperand *operands)
{
	uint64_t target;

	if (operands[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE || !operands[0].imm.is_relative)
		return false;
	target = INSN_ADDRESS + insn->length + operands[0].imm.value.u;
	if (insn->operand_width == 16)
		target &= 0xffff;
	return target >= INSN_ADDRESS - 16 && target < INSN_ADDRESS + instance->len;
}

/* A far CALL of 32-bit code whose push wraps around at 4 GiB never comes back from some hosts' kernels. */
static bool is_at_wrap(const struct instance *instance)
{
	return !instance->is_64 && (instance->form->flags & FORM_FAR) && (uint32_t)instance->regs[4] < 16;
}

static bool try_make(struct instance *instance, struct rng *rng)
{
	ZydisDecoder decoder;
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

	ZydisDecoderInit(&decoder, instance->is_64 ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LEGACY_32,
		instance->is_64 ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);
	ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_AMD_BRANCHES, ZYAN_TRUE);
	instance->patch_len = 0;
	make_code(instance, rng);
	make_registers(instance, rng);
	/* What is no instruction is tried as it is: #UD on both sides. */
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, instance->code, instance->len, &insn, operands)))
		return rng_percent(rng, 20);
	instance->len = insn.length;
	make_special(instance, rng, &insn, operands, aim_operands(instance, rng, &insn, operands));
	if ((instance->form->flags & FORM_BIT) && rng_percent(rng, 80))
		make_bit_number(instance, rng, operands);
	if (is_at_wrap(instance))
		return false;
	return !(instance->form->flags & FORM_BRANCH) || !is_wild_branch(instance, &insn, operands);
}

/* Of all tables' forms. */
static const struct form *form_at(size_t i)
{
	return i < nr_forms ? &forms[i] : &simd_forms[i - nr_forms];
}

static const struct form *choose_form(struct rng *rng, const char *only, bool is_64)
{
	for (;;) {
		const struct form *form = form_at(rng_below(rng, nr_forms + nr_simd_forms));

		if ((!only || !strcmp(only, form->name)) && !(form->flags & (is_64 ? FORM_NOT64 : FORM_ONLY64)))
			return form;
	}
}

void instance_make(struct instance *instance, uint64_t seed, uint64_t index, const char *only_form, bool with_32)
{
	struct rng rng = { seed * 0x100000001b3ull + index };
	bool has_32_only = false, has_64_only = false;
	size_t i;

	/* Forms that are asked for and are of one mode want that one. */
	for (i = 0; only_form && i < nr_forms; i++) {
		if (strcmp(only_form, forms[i].name))
			continue;
		has_32_only |= !!(forms[i].flags & FORM_NOT64);
		has_64_only |= !!(forms[i].flags & FORM_ONLY64);
	}
	rng_next(&rng);
	memset(instance, 0, sizeof(*instance));
	instance->is_64 = !with_32 || has_64_only || (!has_32_only && rng_percent(&rng, 70));
	instance->form = choose_form(&rng, only_form, instance->is_64);
	while (!try_make(instance, &rng))
		;
	instance->rflags = X86_EFLAGS_FIXED | X86_EFLAGS_IF | (rng_next(&rng) & (X86_EFLAGS_CF | X86_EFLAGS_PF |
		X86_EFLAGS_AF |
		X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_OF));
	if (rng_percent(&rng, 30))
		instance->rflags |= X86_EFLAGS_DF;
	make_fpu(&instance->fpu, &rng);
	/* Of some operands across two pages, AMD's CPUs want the lower half only. */
	if (instance->patch_address % PAGE_BYTES_ > PAGE_BYTES_ - 16)
		instance->fpu.mxcsr &= ~MXCSR_MM;
	instance->data_seed = rng_next(&rng);
	for (i = 0; !instance->is_64 && i < 16; i++)
		instance->regs[i] = (uint32_t)instance->regs[i];
}

/* Half of it noise, half of it numbers near a boundary. */
void instance_fill_data(const struct instance *instance, uint8_t *data)
{
	struct rng rng = { instance->data_seed };
	size_t at;

	for (at = 0; at < DATA_BYTES; at += 8) {
		uint64_t value = rng_next(&rng);

		if (value & 1)
			value = 0 - (value >> 63) + (value >> 1 & 3);
		else if (value & 2)
			value = CODE_ADDRESS + (value >> 8 & 0x7ff);
		memcpy(data + at, &value, 8);
	}
	if (instance->patch_address - DATA_ADDRESS <= DATA_BYTES - instance->patch_len)
		memcpy(data + (instance->patch_address - DATA_ADDRESS), instance->patch, instance->patch_len);
}

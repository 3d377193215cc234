/* SPDX-License-Identifier: MIT */
/*
 * What the handlers of instructions are made of: operands, flags, and one function for each operand size out of one
 * that takes the size.
 */
#ifndef VMASSAY_MACHINE_EXEC_H
#define VMASSAY_MACHINE_EXEC_H

#include "machine/event.h"
#include "machine/memory.h"
#include "machine/op.h"
#include "machine/private.h"
#include "vm/x86/bits.h"

#define CF X86_EFLAGS_CF
#define PF X86_EFLAGS_PF
#define AF X86_EFLAGS_AF
#define ZF X86_EFLAGS_ZF
#define SF X86_EFLAGS_SF
#define OF X86_EFLAGS_OF
#define STATUS_FLAGS (CF | PF | AF | ZF | SF | OF)

/*
 * EXEC_SIZES(add) defines exec_add_1() to exec_add_8() out of an inline add(cpu, op, size); EXEC_ALL(add) names
 * them.
 */
#define EXEC_SIZE(name, size)						\
	static void exec_##name##_##size(struct cpu *cpu, const struct op *op)	\
	{									\
		name(cpu, op, size);						\
	}
#define EXEC_WIDE_SIZES(name) EXEC_SIZE(name, 2) EXEC_SIZE(name, 4) EXEC_SIZE(name, 8)
#define EXEC_LONG_SIZES(name) EXEC_SIZE(name, 4) EXEC_SIZE(name, 8)
#define EXEC_SIZES(name) EXEC_SIZE(name, 1) EXEC_WIDE_SIZES(name)
#define EXEC_ALL(name) { exec_##name##_1, exec_##name##_2, exec_##name##_4, exec_##name##_8 }
#define EXEC_WIDE(name) { NULL, exec_##name##_2, exec_##name##_4, exec_##name##_8 }
#define EXEC_LONG(name) { NULL, NULL, exec_##name##_4, exec_##name##_8 }
#define EXEC_ANY(name) { name, name, name, name }

#define EXEC_TABLE(name, rows_) \
	const struct exec_table name = { rows_, sizeof(rows_) / sizeof((rows_)[0]) }

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE unsigned int size_bits(unsigned int size)
{
	return size * 8;
}

ALWAYS_INLINE uint64_t trim(uint64_t value, unsigned int size)
{
	return size == 8 ? value : value & ((1ull << size_bits(size)) - 1);
}

ALWAYS_INLINE uint64_t sign_extend(uint64_t value, unsigned int size)
{
	unsigned int shift = 64 - size_bits(size);

	return (uint64_t)((int64_t)(value << shift) >> shift);
}

ALWAYS_INLINE uint64_t sign_bit(uint64_t value, unsigned int size)
{
	return value >> (size_bits(size) - 1) & 1;
}

/* Registers, by their offset (struct operand) */

ALWAYS_INLINE uint64_t reg_read(const struct cpu *cpu, unsigned int offset, unsigned int size)
{
	return host_read((const uint8_t *)cpu->regs + offset, size);
}

/* A 32-bit result clears the upper half, others leave the rest. */
ALWAYS_INLINE void reg_write(struct cpu *cpu, unsigned int offset, unsigned int size, uint64_t value)
{
	if (size == 4)
		host_write((uint8_t *)cpu->regs + offset, 8, (uint32_t)value);
	else
		host_write((uint8_t *)cpu->regs + offset, size, value);
}

/* The same by number; not for AH, CH, DH and BH. */
ALWAYS_INLINE uint64_t gpr_read(const struct cpu *cpu, unsigned int number, unsigned int size)
{
	return trim(cpu->regs[number], size);
}

ALWAYS_INLINE void gpr_write(struct cpu *cpu, unsigned int number, unsigned int size, uint64_t value)
{
	reg_write(cpu, number * 8, size, value);
}

/* Operands */

ALWAYS_INLINE uint64_t op_offset(const struct cpu *cpu, const struct op *op)
{
	return (cpu->regs[op->base] + (cpu->regs[op->index] << op->scale) + op->displacement) & op->address_mask;
}

ALWAYS_INLINE uint64_t operand_read(struct cpu *cpu, const struct op *op, unsigned int i, unsigned int size)
{
	if (op->operands[i].kind == OPERAND_REG)
		return reg_read(cpu, op->operands[i].reg, size);
	if (op->operands[i].kind == OPERAND_IMM)
		return trim(op->imm, size);
	return memory_read(cpu, op->seg, op_offset(cpu, op), size);
}

/* Of an operand that the instruction writes, too. */
ALWAYS_INLINE uint64_t operand_read_to_write(struct cpu *cpu, const struct op *op, unsigned int i, unsigned int size)
{
	if (op->operands[i].kind == OPERAND_REG)
		return reg_read(cpu, op->operands[i].reg, size);
	return memory_read_to_write(cpu, op->seg, op_offset(cpu, op), size);
}

ALWAYS_INLINE void operand_write(struct cpu *cpu, const struct op *op, unsigned int i, unsigned int size,
	uint64_t value)
{
	if (op->operands[i].kind == OPERAND_REG)
		reg_write(cpu, op->operands[i].reg, size, value);
	else
		memory_write(cpu, op->seg, op_offset(cpu, op), size, value);
}

/* Flags */

ALWAYS_INLINE void flags_set(struct cpu *cpu, uint64_t mask, uint64_t value)
{
	cpu->rflags = (cpu->rflags & ~mask) | value;
}

/* SF, ZF and PF of a truncated result. */
ALWAYS_INLINE uint64_t result_flags(uint64_t result, unsigned int size)
{
	return (result ? 0 : ZF) | (sign_bit(result, size) ? SF : 0) | (__builtin_parity(result & 0xff) ? 0 : PF);
}

ALWAYS_INLINE uint64_t flag_if(bool condition, uint64_t flag)
{
	return condition ? flag : 0;
}

/* The sixteen conditions in their encoding's order: O, B, Z, BE, S, P, L, LE, each with its opposite behind it. */
ALWAYS_INLINE bool is_condition(const struct cpu *cpu, unsigned int code)
{
	uint64_t flags = cpu->rflags;
	bool is_less = !(flags & SF) != !(flags & OF);
	bool ret;

	switch (code >> 1 & 7) {
	case 0:
		ret = flags & OF;
		break;
	case 1:
		ret = flags & CF;
		break;
	case 2:
		ret = flags & ZF;
		break;
	case 3:
		ret = flags & (CF | ZF);
		break;
	case 4:
		ret = flags & SF;
		break;
	case 5:
		ret = flags & PF;
		break;
	case 6:
		ret = is_less;
		break;
	default:
		ret = is_less || (flags & ZF);
	}
	return ret != (code & 1);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * String instructions. Each iteration is whole: a fault in a later one leaves RCX, RSI and RDI at it, and RIP at the
 * instruction, so that it goes on where it stopped. A REP instruction runs in chunks, between which the loop looks at
 * what is pending.
 */
#include "machine/exec.h"

#include <Zydis/Zydis.h>

#include "machine/io.h"

#define CHUNK_ITERATIONS 512

typedef void step_fn(struct cpu *cpu, const struct op *op, unsigned int size);

/* How many bytes of RCX, RSI and RDI are used. */
ALWAYS_INLINE unsigned int address_size(const struct op *op)
{
	return op->address_mask == 0xffff ? 2 : op->address_mask == 0xffffffff ? 4 : 8;
}

ALWAYS_INLINE uint64_t string_offset(const struct cpu *cpu, const struct op *op, unsigned int reg)
{
	return cpu->regs[reg] & op->address_mask;
}

ALWAYS_INLINE void string_advance(struct cpu *cpu, const struct op *op, unsigned int reg, unsigned int size)
{
	uint64_t by = cpu->rflags & X86_EFLAGS_DF ? 0 - (uint64_t)size : size;

	gpr_write(cpu, reg, address_size(op), cpu->regs[reg] + by);
}

/* Flags of a comparison, as CMP gives them. */
ALWAYS_INLINE void compare(struct cpu *cpu, uint64_t a, uint64_t b, unsigned int size)
{
	uint64_t difference = trim(a - b, size);

	flags_set(cpu, STATUS_FLAGS, result_flags(difference, size) | flag_if(a < b, CF) | ((a ^ b ^ difference) & AF) |
		flag_if(sign_bit((a ^ b) & (a ^ difference), size), OF));
}

ALWAYS_INLINE void movs_step(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t value = memory_read(cpu, op->seg, string_offset(cpu, op, REG_RSI), size);

	memory_write(cpu, SEG_ES, string_offset(cpu, op, REG_RDI), size, value);
	string_advance(cpu, op, REG_RSI, size);
	string_advance(cpu, op, REG_RDI, size);
}

ALWAYS_INLINE void stos_step(struct cpu *cpu, const struct op *op, unsigned int size)
{
	memory_write(cpu, SEG_ES, string_offset(cpu, op, REG_RDI), size, cpu->regs[REG_RAX]);
	string_advance(cpu, op, REG_RDI, size);
}

ALWAYS_INLINE void lods_step(struct cpu *cpu, const struct op *op, unsigned int size)
{
	gpr_write(cpu, REG_RAX, size, memory_read(cpu, op->seg, string_offset(cpu, op, REG_RSI), size));
	string_advance(cpu, op, REG_RSI, size);
}

ALWAYS_INLINE void cmps_step(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t a = memory_read(cpu, op->seg, string_offset(cpu, op, REG_RSI), size);
	uint64_t b = memory_read(cpu, SEG_ES, string_offset(cpu, op, REG_RDI), size);

	compare(cpu, a, b, size);
	string_advance(cpu, op, REG_RSI, size);
	string_advance(cpu, op, REG_RDI, size);
}

ALWAYS_INLINE void scas_step(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t b = memory_read(cpu, SEG_ES, string_offset(cpu, op, REG_RDI), size);

	compare(cpu, gpr_read(cpu, REG_RAX, size), b, size);
	string_advance(cpu, op, REG_RDI, size);
}

/* That the destination can be written is known before the port is read. */
ALWAYS_INLINE void ins_step(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint16_t port = (uint16_t)cpu->regs[REG_RDX];
	uint64_t offset = string_offset(cpu, op, REG_RDI);

	if (!memory_fast(cpu, SEG_ES, offset, size, ACCESS_WRITE))
		memory_check_write_bytes(cpu, SEG_ES, offset, size, 1);
	memory_write(cpu, SEG_ES, offset, size, io_read(cpu, port, size));
	string_advance(cpu, op, REG_RDI, size);
}

ALWAYS_INLINE void outs_step(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint16_t port = (uint16_t)cpu->regs[REG_RDX];

	io_write(cpu, port, size, memory_read(cpu, op->seg, string_offset(cpu, op, REG_RSI), size));
	string_advance(cpu, op, REG_RSI, size);
}

/* True when a REPE or REPNE has found what it looks for. */
ALWAYS_INLINE bool is_found(const struct cpu *cpu, const struct op *op)
{
	return !(cpu->rflags & ZF) == !(op->prefixes & OP_REPNE);
}

/* Whether the port may be used is asked even where RCX is zero. */
ALWAYS_INLINE void repeat(struct cpu *cpu, const struct op *op, unsigned int size, step_fn *step, bool compares,
	bool uses_port)
{
	unsigned int left = cpu->rflags & X86_EFLAGS_TF ? 1 : CHUNK_ITERATIONS;
	uint64_t count = cpu->regs[REG_RCX] & op->address_mask;

	if (uses_port)
		io_check(cpu, (uint16_t)cpu->regs[REG_RDX], size);
	if (!(op->prefixes & (OP_REP | OP_REPNE))) {
		step(cpu, op, size);
		return;
	}
	while (count) {
		step(cpu, op, size);
		gpr_write(cpu, REG_RCX, address_size(op), --count);
		if (compares && is_found(cpu, op))
			return;
		if (count && (!--left || (cpu->must_stop & STOP_EVENT))) {
			cpu->regs[REG_NEXT_RIP] = cpu->rip;
			return;
		}
	}
}

#define STRING(name, compares, uses_port)								\
	ALWAYS_INLINE void name(struct cpu *cpu, const struct op *op, unsigned int size)	\
	{										\
		repeat(cpu, op, size, name##_step, compares, uses_port);				\
	}										\
	EXEC_SIZES(name)

STRING(movs, false, false)
STRING(stos, false, false)
STRING(lods, false, false)
STRING(cmps, true, false)
STRING(scas, true, false)
STRING(ins, false, true)
STRING(outs, false, true)

#define ROW(mnemonic, exec) { ZYDIS_MNEMONIC_##mnemonic, ROW_WIDTH, 0, EXEC_ALL(exec) }

static const struct exec_row rows[] = {
	ROW(MOVSB, movs), ROW(MOVSW, movs), { EXEC_STRING_MOVSD, ROW_WIDTH, 0, EXEC_ALL(movs) }, ROW(MOVSQ, movs),
	ROW(CMPSB, cmps), ROW(CMPSW, cmps), { EXEC_STRING_CMPSD, ROW_WIDTH, 0, EXEC_ALL(cmps) }, ROW(CMPSQ, cmps),
	ROW(STOSB, stos), ROW(STOSW, stos), ROW(STOSD, stos), ROW(STOSQ, stos),
	ROW(LODSB, lods), ROW(LODSW, lods), ROW(LODSD, lods), ROW(LODSQ, lods),
	ROW(SCASB, scas), ROW(SCASW, scas), ROW(SCASD, scas), ROW(SCASQ, scas),
	ROW(INSB, ins), ROW(INSW, ins), ROW(INSD, ins),
	ROW(OUTSB, outs), ROW(OUTSW, outs), ROW(OUTSD, outs),
};

EXEC_TABLE(exec_string, rows);

/* SPDX-License-Identifier: MIT */
/*
 * Decimal adjustment, which 64-bit mode does not have (APM vol. 3, AAA to DAS). Flags that the manual leaves
 * undefined are by the result, as AMD's CPUs give them.
 */
#include "machine/exec.h"

#include <Zydis/Zydis.h>

/* As the addition or subtraction that the adjustment is would give them: of AL, or of AX for AAA and AAS. */
static uint64_t adjusted_flags(uint64_t old, uint64_t by, uint64_t result, unsigned int size)
{
	return result_flags(trim(result, size), size) | flag_if(sign_bit((old ^ result) & (by ^ result), size), OF);
}

static void decimal_done(struct cpu *cpu, uint64_t old, uint64_t by, bool cf, bool af)
{
	uint64_t al = old + by;

	gpr_write(cpu, REG_RAX, 1, al);
	flags_set(cpu, STATUS_FLAGS, adjusted_flags(old, by, al, 1) | flag_if(cf, CF) | flag_if(af, AF));
}

static void daa(struct cpu *cpu, const struct op *op)
{
	uint64_t al = gpr_read(cpu, REG_RAX, 1);
	bool af = (al & 15) > 9 || (cpu->rflags & AF);
	bool cf = al > 0x99 || (cpu->rflags & CF);

	(void)op;
	decimal_done(cpu, al, (af ? 6 : 0) + (cf ? 0x60 : 0), cf, af);
}

static void das(struct cpu *cpu, const struct op *op)
{
	uint64_t al = gpr_read(cpu, REG_RAX, 1);
	bool af = (al & 15) > 9 || (cpu->rflags & AF);
	bool is_high = al > 0x99 || (cpu->rflags & CF);

	(void)op;
	decimal_done(cpu, al, 0 - ((af ? 6ull : 0) + (is_high ? 0x60 : 0)), is_high || (af && al < 6), af);
}

/* AAA and AAS: AX by 0x106, up or down, when AL's low digit is none. */
static void ascii_adjust(struct cpu *cpu, uint64_t by)
{
	uint64_t old = gpr_read(cpu, REG_RAX, 2), ax = old;
	bool is_adjusted = (ax & 15) > 9 || (cpu->rflags & AF);

	if (is_adjusted)
		ax += by;
	gpr_write(cpu, REG_RAX, 2, ax & 0xff0f);
	flags_set(cpu, STATUS_FLAGS, adjusted_flags(old, is_adjusted ? by : 0, ax, 2) | flag_if(is_adjusted, CF | AF));
}

static void aaa(struct cpu *cpu, const struct op *op)
{
	(void)op;
	ascii_adjust(cpu, 0x106);
}

static void aas(struct cpu *cpu, const struct op *op)
{
	(void)op;
	ascii_adjust(cpu, 0 - 0x106ull);
}

static void aam(struct cpu *cpu, const struct op *op)
{
	uint64_t al = gpr_read(cpu, REG_RAX, 1), base = op->imm & 0xff;

	if (!base)
		cpu_raise(cpu, VECTOR_DE);
	gpr_write(cpu, REG_RAX, 2, al / base << 8 | al % base);
	flags_set(cpu, STATUS_FLAGS, result_flags(al % base, 1));
}

/* CF, AF and OF are the addition's. */
static void aad(struct cpu *cpu, const struct op *op)
{
	uint64_t ax = gpr_read(cpu, REG_RAX, 2), old = ax & 0xff;
	uint64_t by = (ax >> 8) * (op->imm & 0xff) & 0xff, al = old + by;

	gpr_write(cpu, REG_RAX, 2, al & 0xff);
	flags_set(cpu, STATUS_FLAGS, adjusted_flags(old, by, al, 1) | flag_if(al > 0xff, CF) | ((old ^ by ^ al) & AF));
}

static const struct exec_row rows[] = {
	{ ZYDIS_MNEMONIC_DAA, ROW_WIDTH, 0, EXEC_ANY(daa) },
	{ ZYDIS_MNEMONIC_DAS, ROW_WIDTH, 0, EXEC_ANY(das) },
	{ ZYDIS_MNEMONIC_AAA, ROW_WIDTH, 0, EXEC_ANY(aaa) },
	{ ZYDIS_MNEMONIC_AAS, ROW_WIDTH, 0, EXEC_ANY(aas) },
	{ ZYDIS_MNEMONIC_AAM, ROW_WIDTH, 0, EXEC_ANY(aam) },
	{ ZYDIS_MNEMONIC_AAD, ROW_WIDTH, 0, EXEC_ANY(aad) },
};

EXEC_TABLE(exec_decimal, rows);

/* SPDX-License-Identifier: MIT */
/* Instructions that read or write RFLAGS itself. */
#include "machine/exec.h"

#include <Zydis/Zydis.h>

#include "machine/stack.h"
#include "machine/tlb.h"

#define IOPL_SHIFT 12
#define IOPL_MASK (3ull << IOPL_SHIFT)
#define VIF (1ull << 19)
#define VIP (1ull << 20)
#define ID (1ull << 21)
#define AH_FLAGS (CF | PF | AF | ZF | SF)

static unsigned int iopl(const struct cpu *cpu)
{
	return cpu->rflags >> IOPL_SHIFT & 3;
}

static bool is_v86(const struct cpu *cpu)
{
	return cpu->rflags & X86_EFLAGS_VM;
}

static void clc(struct cpu *cpu, const struct op *op)
{
	(void)op;
	cpu->rflags &= ~CF;
}

static void stc(struct cpu *cpu, const struct op *op)
{
	(void)op;
	cpu->rflags |= CF;
}

static void cmc(struct cpu *cpu, const struct op *op)
{
	(void)op;
	cpu->rflags ^= CF;
}

static void cld(struct cpu *cpu, const struct op *op)
{
	(void)op;
	cpu->rflags &= ~X86_EFLAGS_DF;
}

static void std(struct cpu *cpu, const struct op *op)
{
	(void)op;
	cpu->rflags |= X86_EFLAGS_DF;
}

static void lahf(struct cpu *cpu, const struct op *op)
{
	(void)op;
	if (cpu->is_long64 && !cpu_has(cpu, FEATURE_LAHF64))
		cpu_raise(cpu, VECTOR_UD);
	reg_write(cpu, REG_RAX * 8 + 1, 1, (cpu->rflags & AH_FLAGS) | X86_EFLAGS_FIXED);
}

static void sahf(struct cpu *cpu, const struct op *op)
{
	(void)op;
	if (cpu->is_long64 && !cpu_has(cpu, FEATURE_LAHF64))
		cpu_raise(cpu, VECTOR_UD);
	flags_set(cpu, AH_FLAGS, reg_read(cpu, REG_RAX * 8 + 1, 1) & AH_FLAGS);
}

static void salc(struct cpu *cpu, const struct op *op)
{
	(void)op;
	gpr_write(cpu, REG_RAX, 1, cpu->rflags & CF ? 0xff : 0);
}

/*
 * Virtual-8086 mode below IOPL 3 without CR4.VME, and with a 32-bit operand in any case.
 * Note, what CR4.VME and CR4.PVI change is not implemented.
 */
static void check_iopl_in_v86(struct cpu *cpu)
{
	if (!is_v86(cpu) || iopl(cpu) == 3)
		return;
	if (cpu->cr4 & X86_CR4_VME)
		cpu_unimplemented(cpu, "CR4.VME in virtual-8086 mode");
	cpu_raise_error(cpu, VECTOR_GP, 0);
}

ALWAYS_INLINE void pushf(struct cpu *cpu, const struct op *op, unsigned int size)
{
	struct stack stack = stack_open(cpu);

	(void)op;
	check_iopl_in_v86(cpu);
	stack_push(&stack, size, cpu->rflags & ~(X86_EFLAGS_RF | X86_EFLAGS_VM));
	stack_commit(&stack);
}

ALWAYS_INLINE void popf(struct cpu *cpu, const struct op *op, unsigned int size)
{
	struct stack stack = stack_open(cpu);
	uint64_t mask = STATUS_FLAGS | X86_EFLAGS_TF | X86_EFLAGS_DF | X86_EFLAGS_NT | X86_EFLAGS_AC | ID, value;

	(void)op;
	check_iopl_in_v86(cpu);
	if (!cpu->cpl)
		mask |= IOPL_MASK;
	if (cpu->cpl <= iopl(cpu))
		mask |= X86_EFLAGS_IF;
	value = stack_pop(&stack, size);
	stack_commit(&stack);
	/* RF is cleared; VIF and VIP are, too, where they could have been set. */
	cpu->rflags = (cpu->rflags & ~(trim(mask, size) | X86_EFLAGS_RF)) | (value & trim(mask, size));
	if (!cpu->cpl && size > 2)
		cpu->rflags &= ~(VIF | VIP);
	cpu_forget_fast(cpu);
	cpu_windows_changed(cpu);
	cpu->must_stop |= STOP_EVENT;
}

static void check_iopl(struct cpu *cpu)
{
	if (!(cpu->cr0 & X86_CR0_PE) || cpu->cpl <= iopl(cpu))
		return;
	if (is_v86(cpu) ? cpu->cr4 & X86_CR4_VME : cpu->cr4 & X86_CR4_PVI && cpu->cpl == 3)
		cpu_unimplemented(cpu, "virtual interrupts by CR4.VME or CR4.PVI");
	cpu_raise_error(cpu, VECTOR_GP, 0);
}

static void cli(struct cpu *cpu, const struct op *op)
{
	(void)op;
	check_iopl(cpu);
	cpu->rflags &= ~X86_EFLAGS_IF;
}

static void sti(struct cpu *cpu, const struct op *op)
{
	(void)op;
	check_iopl(cpu);
	cpu->has_shadow = !(cpu->rflags & X86_EFLAGS_IF);
	cpu->rflags |= X86_EFLAGS_IF;
	cpu->must_stop |= STOP_EVENT;
}

/* CLAC and STAC: what SMAP allows changes. */
static void set_ac(struct cpu *cpu, uint64_t value)
{
	if (cpu->cpl)
		cpu_raise(cpu, VECTOR_UD);
	flags_set(cpu, X86_EFLAGS_AC, value);
	cpu_forget_fast(cpu);
}

static void clac(struct cpu *cpu, const struct op *op)
{
	(void)op;
	set_ac(cpu, 0);
}

static void stac(struct cpu *cpu, const struct op *op)
{
	(void)op;
	set_ac(cpu, X86_EFLAGS_AC);
}

EXEC_WIDE_SIZES(pushf)
EXEC_WIDE_SIZES(popf)

#define ROW(mnemonic, exec) { ZYDIS_MNEMONIC_##mnemonic, ROW_WIDTH, 0, EXEC_ANY(exec) }

static const struct exec_row rows[] = {
	ROW(CLC, clc), ROW(STC, stc), ROW(CMC, cmc), ROW(CLD, cld), ROW(STD, std),
	ROW(LAHF, lahf), ROW(SAHF, sahf), ROW(SALC, salc), ROW(CLI, cli),
	{ ZYDIS_MNEMONIC_STI, ROW_WIDTH | ROW_ENDS_BLOCK, 0, EXEC_ANY(sti) },
	{ ZYDIS_MNEMONIC_CLAC, ROW_WIDTH | ROW_ENDS_BLOCK, FEATURE_SMAP, EXEC_ANY(clac) },
	{ ZYDIS_MNEMONIC_STAC, ROW_WIDTH | ROW_ENDS_BLOCK, FEATURE_SMAP, EXEC_ANY(stac) },
	{ ZYDIS_MNEMONIC_PUSHF, ROW_WIDTH, 0, EXEC_WIDE(pushf) },
	{ ZYDIS_MNEMONIC_PUSHFD, ROW_WIDTH, 0, EXEC_WIDE(pushf) },
	{ ZYDIS_MNEMONIC_PUSHFQ, ROW_WIDTH, 0, EXEC_WIDE(pushf) },
	{ ZYDIS_MNEMONIC_POPF, ROW_WIDTH | ROW_ENDS_BLOCK, 0, EXEC_WIDE(popf) },
	{ ZYDIS_MNEMONIC_POPFD, ROW_WIDTH | ROW_ENDS_BLOCK, 0, EXEC_WIDE(popf) },
	{ ZYDIS_MNEMONIC_POPFQ, ROW_WIDTH | ROW_ENDS_BLOCK, 0, EXEC_WIDE(popf) },
};

EXEC_TABLE(exec_flags, rows);

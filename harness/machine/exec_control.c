/* SPDX-License-Identifier: MIT */
/* Instructions on control, debug and model-specific registers, and on the TLB and caches. */
#include "machine/exec.h"

#include <Zydis/Zydis.h>

#include "machine/control.h"
#include "machine/debug.h"
#include "machine/tlb.h"


static void check_cpl0(struct cpu *cpu)
{
	if (cpu->cpl)
		cpu_raise_error(cpu, VECTOR_GP, 0);
}

static unsigned int control_size(const struct cpu *cpu)
{
	return cpu->is_long64 ? 8 : 4;
}

static void mov_from_cr(struct cpu *cpu, const struct op *op)
{
	const uint64_t *const registers[] = { [0] = &cpu->cr0, [2] = &cpu->cr2, [3] = &cpu->cr3, [4] = &cpu->cr4,
		[8] = &cpu->cr8 };
	unsigned int number = op->operands[1].reg;

	control_check_number(cpu, number);
	reg_write(cpu, op->operands[0].reg, control_size(cpu), *registers[number]);
}

static void mov_to_cr(struct cpu *cpu, const struct op *op)
{
	uint64_t value = reg_read(cpu, op->operands[1].reg, control_size(cpu));

	control_check_number(cpu, op->operands[0].reg);
	switch (op->operands[0].reg) {
	case 0:
		control_write_cr0(cpu, value);
		break;
	case 2:
		cpu->cr2 = value;
		break;
	case 3:
		control_write_cr3(cpu, value);
		break;
	case 4:
		control_write_cr4(cpu, value);
		break;
	default:
		control_write_cr8(cpu, value);
	}
}

static void mov_from_dr(struct cpu *cpu, const struct op *op)
{
	unsigned int number = control_check_debug(cpu, op->operands[1].reg);

	reg_write(cpu, op->operands[0].reg, control_size(cpu), cpu->dr[number]);
}

static void mov_to_dr(struct cpu *cpu, const struct op *op)
{
	unsigned int number = control_check_debug(cpu, op->operands[0].reg);
	uint64_t value = reg_read(cpu, op->operands[1].reg, control_size(cpu));

	if (number >= 6 && value >> 32)
		cpu_raise_error(cpu, VECTOR_GP, 0);
	cpu->dr[number] = number == 6 ? dr6_value(value) : number == 7 ? dr7_value(value) : value;
	/* What was fast may hit now. */
	cpu_windows_changed(cpu);
	cpu->must_stop |= STOP_EVENT;
}

static void lmsw(struct cpu *cpu, const struct op *op)
{
	uint64_t value;

	check_cpl0(cpu);
	value = operand_read(cpu, op, 0, 2);
	/* PE can be set, not cleared. */
	control_write_cr0(cpu, (cpu->cr0 & ~0xeull) | (value & 0xf));
}

static void smsw(struct cpu *cpu, const struct op *op)
{
	if (cpu->cpl && (cpu->cr4 & X86_CR4_UMIP))
		cpu_raise_error(cpu, VECTOR_GP, 0);
	operand_write(cpu, op, 0, op->operands[0].kind == OPERAND_MEM ? 2 : op->operands[0].size, cpu->cr0);
}

static void clts(struct cpu *cpu, const struct op *op)
{
	(void)op;
	check_cpl0(cpu);
	cpu->cr0 &= ~X86_CR0_TS;
}

static void rdmsr(struct cpu *cpu, const struct op *op)
{
	uint64_t value;

	(void)op;
	check_cpl0(cpu);
	value = msr_read(cpu, (uint32_t)cpu->regs[REG_RCX]);
	gpr_write(cpu, REG_RAX, 4, value);
	gpr_write(cpu, REG_RDX, 4, value >> 32);
}

static void wrmsr(struct cpu *cpu, const struct op *op)
{
	(void)op;
	check_cpl0(cpu);
	msr_write(cpu, (uint32_t)cpu->regs[REG_RCX], cpu->regs[REG_RDX] << 32 | (uint32_t)cpu->regs[REG_RAX]);
}

/* An address that is not canonical is no fault (APM vol. 3, INVLPG). */
static void invlpg(struct cpu *cpu, const struct op *op)
{
	uint64_t linear = (op_offset(cpu, op) + cpu->windows[op->seg].base) & cpu->linear_mask;

	check_cpl0(cpu);
	tlb_flush_page(cpu, cpu->asid, cpu_pcid(cpu), linear);
}

static void invpcid(struct cpu *cpu, const struct op *op)
{
	uint64_t type = reg_read(cpu, op->operands[0].reg, control_size(cpu)), at = op_offset(cpu, op), low, address;
	uint16_t pcid;

	check_cpl0(cpu);
	low = memory_read(cpu, op->seg, at, 8);
	address = memory_read(cpu, op->seg, (at + 8) & op->address_mask, 8);
	pcid = low & 0xfff;
	if (type > 3 || (type <= 1 && low >> 12) || (type == 0 && !is_canonical(cpu, address)) ||
	    (type <= 1 && !(cpu->cr4 & X86_CR4_PCIDE) && pcid))
		cpu_raise_error(cpu, VECTOR_GP, 0);
	if (type == 0)
		tlb_flush_page(cpu, cpu->asid, pcid, address);
	else if (type == 1)
		tlb_flush_pcid(cpu, cpu->asid, pcid);
	else
		tlb_flush_asid(cpu, cpu->asid, type == 2);
}

/* Caches are not modelled. */
static void wbinvd(struct cpu *cpu, const struct op *op)
{
	(void)op;
	check_cpl0(cpu);
}

static void clflush(struct cpu *cpu, const struct op *op)
{
	memory_read(cpu, op->seg, op_offset(cpu, op), 1);
}

static void check_pkru(struct cpu *cpu)
{
	if (!(cpu->cr4 & X86_CR4_PKE))
		cpu_raise(cpu, VECTOR_UD);
	if ((uint32_t)cpu->regs[REG_RCX])
		cpu_raise_error(cpu, VECTOR_GP, 0);
}

static void rdpkru(struct cpu *cpu, const struct op *op)
{
	(void)op;
	check_pkru(cpu);
	gpr_write(cpu, REG_RAX, 4, cpu->pkru);
	gpr_write(cpu, REG_RDX, 4, 0);
}

static void wrpkru(struct cpu *cpu, const struct op *op)
{
	(void)op;
	check_pkru(cpu);
	if ((uint32_t)cpu->regs[REG_RDX])
		cpu_raise_error(cpu, VECTOR_GP, 0);
	cpu->pkru = (uint32_t)cpu->regs[REG_RAX];
	cpu_forget_fast(cpu);
}

/* RDFSBASE, RDGSBASE, WRFSBASE and WRGSBASE. */
static void check_fsgsbase(struct cpu *cpu)
{
	if (!cpu->is_long64 || !(cpu->cr4 & X86_CR4_FSGSBASE))
		cpu_raise(cpu, VECTOR_UD);
}

static unsigned int base_seg(const struct op *op)
{
	return op->mnemonic == ZYDIS_MNEMONIC_RDFSBASE || op->mnemonic == ZYDIS_MNEMONIC_WRFSBASE ? SEG_FS : SEG_GS;
}

static void read_base(struct cpu *cpu, const struct op *op)
{
	check_fsgsbase(cpu);
	operand_write(cpu, op, 0, op->operands[0].size, cpu->segs[base_seg(op)].base);
}

static void write_base(struct cpu *cpu, const struct op *op)
{
	uint64_t base = operand_read(cpu, op, 0, op->operands[0].size);

	check_fsgsbase(cpu);
	if (!is_canonical(cpu, base))
		cpu_raise_error(cpu, VECTOR_GP, 0);
	cpu->segs[base_seg(op)].base = base;
	cpu_windows_changed(cpu);
}

#define ROW(mnemonic, features, exec) \
	{ ZYDIS_MNEMONIC_##mnemonic, ROW_WIDTH | ROW_ENDS_BLOCK, features, EXEC_ANY(exec) }

static const struct exec_row rows[] = {
	{ EXEC_MOV_FROM_CR, ROW_WIDTH, 0, EXEC_ANY(mov_from_cr) },
	{ EXEC_MOV_TO_CR, ROW_WIDTH | ROW_ENDS_BLOCK, 0, EXEC_ANY(mov_to_cr) },
	{ EXEC_MOV_FROM_DR, ROW_WIDTH, 0, EXEC_ANY(mov_from_dr) },
	{ EXEC_MOV_TO_DR, ROW_WIDTH | ROW_ENDS_BLOCK, 0, EXEC_ANY(mov_to_dr) },
	ROW(LMSW, 0, lmsw), ROW(SMSW, 0, smsw), ROW(CLTS, 0, clts),
	ROW(RDMSR, 0, rdmsr), ROW(WRMSR, 0, wrmsr),
	ROW(INVLPG, 0, invlpg), ROW(INVPCID, FEATURE_INVPCID, invpcid),
	ROW(WBINVD, 0, wbinvd), ROW(INVD, 0, wbinvd),
	ROW(CLFLUSH, 0, clflush), ROW(CLFLUSHOPT, 0, clflush), ROW(CLWB, 0, clflush),
	ROW(RDPKRU, FEATURE_PKU, rdpkru), ROW(WRPKRU, FEATURE_PKU, wrpkru),
	ROW(RDFSBASE, FEATURE_FSGSBASE, read_base), ROW(RDGSBASE, FEATURE_FSGSBASE, read_base),
	ROW(WRFSBASE, FEATURE_FSGSBASE, write_base), ROW(WRGSBASE, FEATURE_FSGSBASE, write_base),
};

EXEC_TABLE(exec_control, rows);

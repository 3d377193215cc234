/* SPDX-License-Identifier: MIT */
/* SYSCALL, SYSRET, SYSENTER, SYSEXIT and SWAPGS: segments without descriptors (APM vol. 2, 6.1; vol. 3). */
#include "machine/exec.h"

#include <Zydis/Zydis.h>

#include "machine/branch.h"
#include "machine/tlb.h"

#define CODE_ATTRIB (SEG_P | SEG_S | SEG_TYPE_CODE | SEG_TYPE_WRITABLE | SEG_TYPE_ACCESSED | SEG_G)
#define DATA_ATTRIB (SEG_P | SEG_S | SEG_TYPE_WRITABLE | SEG_TYPE_ACCESSED | SEG_G | SEG_DB)
#define DPL3 (3u << SEG_DPL_SHIFT)

static void set_code(struct cpu *cpu, uint16_t selector, bool is_64, unsigned int cpl)
{
	unsigned int attrib = CODE_ATTRIB | (is_64 ? SEG_L : SEG_DB) | cpl << SEG_DPL_SHIFT;

	cpu->segs[SEG_CS] = (struct segment) { selector, (uint16_t)attrib, ~0u, 0 };
	cpu->cpl = (uint8_t)cpl;
}

static void set_stack(struct cpu *cpu, uint16_t selector, unsigned int cpl)
{
	cpu->segs[SEG_SS] = (struct segment) { selector, DATA_ATTRIB | cpl << SEG_DPL_SHIFT, ~0u, 0 };
}

static void transferred(struct cpu *cpu, uint64_t rip)
{
	cpu_mode_changed(cpu);
	cpu_forget_fast(cpu);
	cpu->regs[REG_NEXT_RIP] = rip;
	cpu->must_stop |= STOP_EVENT;
}

static void syscall_(struct cpu *cpu, const struct op *op)
{
	uint64_t next = cpu->regs[REG_NEXT_RIP], target = (uint32_t)cpu->star;
	uint16_t selector = (cpu->star >> 32) & 0xfffc;

	(void)op;
	if (!(cpu->efer & EFER_SCE))
		cpu_raise(cpu, VECTOR_UD);
	if (cpu->efer & EFER_LMA) {
		target = cpu->is_long64 ? cpu->lstar : cpu->cstar;
		cpu->regs[REG_RCX] = next;
		cpu->regs[REG_R11] = cpu->rflags & ~X86_EFLAGS_RF;
		cpu->rflags &= ~(cpu->sfmask | X86_EFLAGS_RF);
		cpu->rflags |= X86_EFLAGS_FIXED;
	} else {
		gpr_write(cpu, REG_RCX, 4, next);
		cpu->rflags &= ~(X86_EFLAGS_IF | X86_EFLAGS_RF | X86_EFLAGS_VM);
	}
	set_code(cpu, selector, cpu->efer & EFER_LMA, 0);
	set_stack(cpu, selector + 8, 0);
	transferred(cpu, target);
}

/* SS keeps its attributes: only the selector is loaded (APM vol. 3, SYSRET). */
ALWAYS_INLINE void sysret(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint16_t selector = (uint16_t)(cpu->star >> 48) | 3;
	bool is_long = cpu->is_long64, to_64 = is_long && size == 8;
	uint64_t rip = to_64 ? cpu->regs[REG_RCX] : (uint32_t)cpu->regs[REG_RCX];

	(void)op;
	if (!(cpu->efer & EFER_SCE))
		cpu_raise(cpu, VECTOR_UD);
	if (!(cpu->cr0 & X86_CR0_PE) || cpu->cpl)
		cpu_raise_error(cpu, VECTOR_GP, 0);
	if (is_long)
		cpu->rflags = (cpu->regs[REG_R11] & 0x3c7fd7) | X86_EFLAGS_FIXED;
	else
		cpu->rflags |= X86_EFLAGS_IF;
	set_code(cpu, to_64 ? selector + 16 : selector, to_64, 3);
	cpu->segs[SEG_SS].selector = selector + 8;
	cpu->segs[SEG_SS].attrib |= DPL3;
	transferred(cpu, rip);
}

/* AMD has neither in long mode. */
static void check_sysenter(struct cpu *cpu)
{
	if (cpu->efer & EFER_LMA)
		cpu_raise(cpu, VECTOR_UD);
	if (!(cpu->cr0 & X86_CR0_PE) || !(cpu->sysenter_cs & 0xfffc))
		cpu_raise_error(cpu, VECTOR_GP, 0);
}

static void sysenter(struct cpu *cpu, const struct op *op)
{
	uint16_t selector = cpu->sysenter_cs & 0xfffc;

	(void)op;
	check_sysenter(cpu);
	cpu->rflags &= ~(X86_EFLAGS_IF | X86_EFLAGS_VM | X86_EFLAGS_RF);
	set_code(cpu, selector, false, 0);
	set_stack(cpu, selector + 8, 0);
	gpr_write(cpu, REG_RSP, 4, cpu->sysenter_esp);
	transferred(cpu, (uint32_t)cpu->sysenter_eip);
}

static void sysexit(struct cpu *cpu, const struct op *op)
{
	uint16_t selector = (cpu->sysenter_cs & 0xfffc) + 16;

	(void)op;
	if (cpu->cpl)
		cpu_raise_error(cpu, VECTOR_GP, 0);
	check_sysenter(cpu);
	set_code(cpu, selector | 3, false, 3);
	set_stack(cpu, (selector + 8) | 3, 3);
	gpr_write(cpu, REG_RSP, 4, cpu->regs[REG_RCX]);
	transferred(cpu, (uint32_t)cpu->regs[REG_RDX]);
}

static void swapgs(struct cpu *cpu, const struct op *op)
{
	uint64_t base = cpu->segs[SEG_GS].base;

	(void)op;
	if (cpu->cpl)
		cpu_raise_error(cpu, VECTOR_GP, 0);
	cpu->segs[SEG_GS].base = cpu->kernel_gs_base;
	cpu->kernel_gs_base = base;
	cpu_windows_changed(cpu);
}

EXEC_WIDE_SIZES(sysret)

#define ROW(mnemonic, features, exec) \
	{ ZYDIS_MNEMONIC_##mnemonic, ROW_WIDTH | ROW_ENDS_BLOCK, features, EXEC_ANY(exec) }

static const struct exec_row rows[] = {
	ROW(SYSCALL, FEATURE_SYSCALL, syscall_),
	{ ZYDIS_MNEMONIC_SYSRET, ROW_WIDTH | ROW_ENDS_BLOCK, FEATURE_SYSCALL, EXEC_WIDE(sysret) },
	ROW(SYSENTER, FEATURE_SYSENTER, sysenter),
	ROW(SYSEXIT, FEATURE_SYSENTER, sysexit),
	ROW(SWAPGS, 0, swapgs),
};

EXEC_TABLE(exec_syscall, rows);

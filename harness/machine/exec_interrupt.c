/* SPDX-License-Identifier: MIT */
/* INT n, INT3, INTO, and IRET in all its forms (APM vol. 2, 8.7 and 8.9; vol. 3). */
#include "machine/exec.h"

#include <Zydis/Zydis.h>

#include "machine/branch.h"
#include "machine/segment.h"
#include "machine/stack.h"
#include "machine/task.h"
#include "machine/tlb.h"

#define IOPL_MASK 0x3000ull
#define FLAGS_ALWAYS (STATUS_FLAGS | X86_EFLAGS_TF | X86_EFLAGS_DF | X86_EFLAGS_NT)
#define FLAGS_WIDE (X86_EFLAGS_RF | X86_EFLAGS_AC | (1ull << 21))
#define FLAGS_VIRTUAL (3ull << 19)

/* The flags that IRET may change, by the privilege it leaves. */
static uint64_t iret_flags_mask(const struct cpu *cpu, unsigned int size)
{
	unsigned int iopl = cpu->rflags >> 12 & 3;
	uint64_t mask = FLAGS_ALWAYS | FLAGS_WIDE;

	if (!cpu->cpl)
		mask |= IOPL_MASK | FLAGS_VIRTUAL;
	if (cpu->cpl <= iopl)
		mask |= X86_EFLAGS_IF;
	return trim(mask, size);
}

static void iret_paragraph(struct cpu *cpu, unsigned int size)
{
	struct stack stack = stack_open(cpu);
	bool is_v86 = cpu->rflags & X86_EFLAGS_VM;
	uint64_t rip, flags, mask = FLAGS_ALWAYS | FLAGS_WIDE | X86_EFLAGS_IF;
	uint16_t cs;

	if (is_v86 && (cpu->rflags & IOPL_MASK) != IOPL_MASK) {
		if (cpu->cr4 & X86_CR4_VME)
			cpu_unimplemented(cpu, "IRET under CR4.VME");
		cpu_raise_error(cpu, VECTOR_GP, 0);
	}
	rip = stack_pop(&stack, size);
	cs = (uint16_t)stack_pop(&stack, size);
	flags = stack_pop(&stack, size);
	if (rip > cpu->segs[SEG_CS].limit)
		cpu_raise_error(cpu, VECTOR_GP, 0);
	if (!is_v86)
		mask |= IOPL_MASK;
	stack_commit(&stack);
	segment_load_paragraph(cpu, SEG_CS, cs);
	flags_set(cpu, trim(mask, size), flags & trim(mask, size));
	cpu->regs[REG_NEXT_RIP] = rip;
}

/* To a virtual-8086 program: its stack and data segments are behind the flags. */
static void iret_to_v86(struct cpu *cpu, struct stack *stack, uint64_t rip, uint16_t cs, uint64_t flags)
{
	static const uint8_t segs[] = { SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS };
	uint64_t rsp = stack_pop(stack, 4);
	uint16_t selectors[sizeof(segs)];
	unsigned int i;

	for (i = 0; i < sizeof(segs); i++)
		selectors[i] = (uint16_t)stack_pop(stack, 4);
	cpu->rflags = (flags & 0x3f7fd5) | X86_EFLAGS_FIXED | X86_EFLAGS_VM;
	cpu->cpl = 3;
	segment_load_paragraph(cpu, SEG_CS, cs);
	for (i = 0; i < sizeof(segs); i++)
		segment_load_paragraph(cpu, segs[i], selectors[i]);
	cpu->regs[REG_RSP] = rsp;
	cpu->regs[REG_NEXT_RIP] = rip & 0xffff;
}

/* 64-bit mode always pops the stack pointer, the other modes for an outer privilege only. */
static void iret_protected(struct cpu *cpu, unsigned int size)
{
	unsigned int cpl = cpu->cpl;
	uint64_t mask = iret_flags_mask(cpu, size), rip, flags, rsp = 0;
	struct stack stack = stack_open(cpu);
	bool has_stack;
	uint16_t cs, ss = 0;

	flags = stack_peek(&stack, size, 2);
	cs = (uint16_t)stack_peek(&stack, size, 1);
	rip = stack_peek(&stack, size, 0);
	stack_drop(&stack, 3 * size);
	if ((flags & X86_EFLAGS_VM) && size == 4 && !cpl && !(cpu->efer & EFER_LMA)) {
		iret_to_v86(cpu, &stack, rip, cs, flags);
		return;
	}
	has_stack = cpu->is_long64 || (cs & SELECTOR_RPL) != cpl;
	if (has_stack) {
		ss = (uint16_t)stack_peek(&stack, size, 1);
		rsp = stack_peek(&stack, size, 0);
		stack_drop(&stack, 2 * size);
	}
	return_load_code(cpu, cs, rip);
	if (has_stack) {
		return_load_stack(cpu, ss);
		cpu->regs[REG_RSP] = stack_pointer(cpu, stack.rsp, rsp);
	} else {
		stack_commit(&stack);
	}
	flags_set(cpu, mask, flags & mask);
	if (cpu->cpl > cpl)
		segments_drop_privileged(cpu);
	cpu->regs[REG_NEXT_RIP] = rip;
}

ALWAYS_INLINE void iret(struct cpu *cpu, const struct op *op, unsigned int size)
{
	(void)op;
	cpu_save(cpu);
	if (is_paragraph_mode(cpu)) {
		iret_paragraph(cpu, size);
	} else if (cpu->rflags & X86_EFLAGS_NT) {
		if (cpu->efer & EFER_LMA)
			cpu_raise_error(cpu, VECTOR_GP, 0);
		task_switch(cpu, (uint16_t)linear_read(cpu, cpu->segs[SEG_TR].base, 2, true), TASK_IRET,
			cpu->regs[REG_NEXT_RIP]);
	} else {
		iret_protected(cpu, size);
	}
	cpu_keep(cpu);
	cpu->is_nmi_blocked = false;
	cpu->must_stop |= STOP_EVENT;
	cpu_forget_fast(cpu);
	cpu_windows_changed(cpu);
}

static void int_n(struct cpu *cpu, const struct op *op)
{
	if ((cpu->rflags & X86_EFLAGS_VM) && (cpu->rflags & IOPL_MASK) != IOPL_MASK) {
		if (cpu->cr4 & X86_CR4_VME)
			cpu_unimplemented(cpu, "INT under CR4.VME");
		cpu_raise_error(cpu, VECTOR_GP, 0);
	}
	cpu_raise_software(cpu, op->imm & 0xff);
}

static void int3(struct cpu *cpu, const struct op *op)
{
	(void)op;
	cpu_raise_software(cpu, VECTOR_BP);
}

static void into(struct cpu *cpu, const struct op *op)
{
	(void)op;
	if (cpu->rflags & OF)
		cpu_raise_software(cpu, VECTOR_OF);
}

EXEC_WIDE_SIZES(iret)

#define ROW_EVENT (ROW_WIDTH | ROW_ENDS_BLOCK)

static const struct exec_row rows[] = {
	{ ZYDIS_MNEMONIC_IRET, ROW_EVENT, 0, EXEC_WIDE(iret) },
	{ ZYDIS_MNEMONIC_IRETD, ROW_EVENT, 0, EXEC_WIDE(iret) },
	{ ZYDIS_MNEMONIC_IRETQ, ROW_EVENT, 0, EXEC_WIDE(iret) },
	{ ZYDIS_MNEMONIC_INT, ROW_EVENT, 0, EXEC_ANY(int_n) },
	{ ZYDIS_MNEMONIC_INT3, ROW_EVENT, 0, EXEC_ANY(int3) },
	{ ZYDIS_MNEMONIC_INTO, ROW_EVENT, 0, EXEC_ANY(into) },
};

EXEC_TABLE(exec_interrupt, rows);

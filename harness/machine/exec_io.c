/* SPDX-License-Identifier: MIT */
/* IN and OUT. */
#include "machine/io.h"

#include "machine/debug.h"
#include "machine/exec.h"

#include <Zydis/Zydis.h>

#define TSS_IOPB_BASE 0x66
#define IOPL_SHIFT 12

static bool is_allowed_by_bitmap(struct cpu *cpu, uint16_t port, unsigned int size)
{
	const struct segment *tr = &cpu->segs[SEG_TR];
	uint64_t at, bits;

	/* Only a TSS of 32 or 64 bits has one. */
	if (!(tr->attrib & SEG_P) || (tr->attrib & 0xd) != 0x9 || tr->limit < TSS_IOPB_BASE + 1)
		return false;
	at = linear_read(cpu, tr->base + TSS_IOPB_BASE, 2, true) + port / 8;
	/* Two bytes are always read, so the bitmap needs one more at its end. */
	if (at + 1 > tr->limit)
		return false;
	bits = linear_read(cpu, tr->base + at, 2, true) >> port % 8;
	return !(bits & ((1u << size) - 1));
}

void io_check(struct cpu *cpu, uint16_t port, unsigned int size)
{
	if (!(cpu->cr0 & X86_CR0_PE))
		return;
	if (!(cpu->rflags & X86_EFLAGS_VM) && cpu->cpl <= (cpu->rflags >> IOPL_SHIFT & 3))
		return;
	if (!is_allowed_by_bitmap(cpu, port, size))
		cpu_raise_error(cpu, VECTOR_GP, 0);
}

uint64_t io_read(struct cpu *cpu, uint16_t port, unsigned int size)
{
	const struct machine_bus *bus = &cpu->machine->bus;

	debug_port(cpu, port, size);
	return trim(bus->read ? bus->read(bus->opaque, MACHINE_SPACE_IO, port, size) : ~0ull, size);
}

void io_write(struct cpu *cpu, uint16_t port, unsigned int size, uint64_t value)
{
	const struct machine_bus *bus = &cpu->machine->bus;

	debug_port(cpu, port, size);
	if (bus->write)
		bus->write(bus->opaque, MACHINE_SPACE_IO, port, size, trim(value, size));
}

uint16_t io_port(const struct cpu *cpu, const struct op *op, unsigned int operand)
{
	return op->operands[operand].kind == OPERAND_IMM ? op->imm & 0xff : (uint16_t)cpu->regs[REG_RDX];
}

ALWAYS_INLINE void in(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint16_t port = io_port(cpu, op, 1);

	io_check(cpu, port, size);
	gpr_write(cpu, REG_RAX, size, io_read(cpu, port, size));
}

/* The handler is chosen by the first operand, which is the port: the accumulator is the second. */
static void out(struct cpu *cpu, const struct op *op)
{
	unsigned int size = op->operands[1].size;
	uint16_t port = io_port(cpu, op, 0);

	io_check(cpu, port, size);
	io_write(cpu, port, size, cpu->regs[REG_RAX]);
}

EXEC_SIZE(in, 1)
EXEC_SIZE(in, 2)
EXEC_SIZE(in, 4)

static const struct exec_row rows[] = {
	{ ZYDIS_MNEMONIC_IN, 0, 0, { exec_in_1, exec_in_2, exec_in_4, NULL } },
	{ ZYDIS_MNEMONIC_OUT, ROW_WIDTH, 0, EXEC_ANY(out) },
};

EXEC_TABLE(exec_io, rows);

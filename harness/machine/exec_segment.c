/* SPDX-License-Identifier: MIT */
/* Instructions on segment registers, selectors and descriptor tables. */
#include "machine/exec.h"

#include <Zydis/Zydis.h>

#include "machine/segment.h"
#include "machine/stack.h"

static void check_cpl0(struct cpu *cpu)
{
	if (cpu->cpl)
		cpu_raise_error(cpu, VECTOR_GP, 0);
}

/* UMIP: what tells a user about the system is the system's. */
static void check_umip(struct cpu *cpu)
{
	if (cpu->cpl && (cpu->cr4 & X86_CR4_UMIP))
		cpu_raise_error(cpu, VECTOR_GP, 0);
}

static void check_protected(struct cpu *cpu)
{
	if (is_paragraph_mode(cpu))
		cpu_raise(cpu, VECTOR_UD);
}

/* A selector goes into a whole register zero-extended, and into memory as 16 bits. */
static void selector_write(struct cpu *cpu, const struct op *op, uint16_t selector)
{
	bool is_memory = op->operands[0].kind == OPERAND_MEM;

	operand_write(cpu, op, 0, is_memory ? 2 : op->operands[0].size, selector);
}

/* MOV SS and POP SS keep interrupts away from the instruction behind them. */
static void segment_loaded(struct cpu *cpu, unsigned int seg)
{
	cpu->has_shadow = seg == SEG_SS;
	cpu->must_stop |= STOP_EVENT;
}

static void mov_from_seg(struct cpu *cpu, const struct op *op)
{
	selector_write(cpu, op, cpu->segs[op->operands[1].reg].selector);
}

static void mov_to_seg(struct cpu *cpu, const struct op *op)
{
	unsigned int seg = op->operands[0].reg;

	if (seg == SEG_CS)
		cpu_raise(cpu, VECTOR_UD);
	segment_load(cpu, seg, (uint16_t)operand_read(cpu, op, 1, 2));
	segment_loaded(cpu, seg);
}

ALWAYS_INLINE void push_seg(struct cpu *cpu, const struct op *op, unsigned int size)
{
	struct stack stack = stack_open(cpu);

	stack_push(&stack, size, cpu->segs[op->operands[0].reg].selector);
	stack_commit(&stack);
}

ALWAYS_INLINE void pop_seg(struct cpu *cpu, const struct op *op, unsigned int size)
{
	struct stack stack = stack_open(cpu);
	uint16_t selector = (uint16_t)stack_pop(&stack, size);

	/* Note, the mask of RSP is the old SS's. */
	segment_load(cpu, op->operands[0].reg, selector);
	stack_commit(&stack);
	segment_loaded(cpu, op->operands[0].reg);
}

/* LES, LDS, LSS, LFS and LGS. */
ALWAYS_INLINE void load_far(struct cpu *cpu, const struct op *op, unsigned int size, unsigned int seg)
{
	unsigned int offset_size = size == 8 ? 4 : size;
	uint64_t at = op_offset(cpu, op), offset = memory_read(cpu, op->seg, at, offset_size);
	uint16_t selector = (uint16_t)memory_read(cpu, op->seg, (at + offset_size) & op->address_mask, 2);

	segment_load(cpu, seg, selector);
	operand_write(cpu, op, 0, offset_size, offset);
	cpu->must_stop |= STOP_EVENT;
}

#define LOAD_FAR(name, seg)								\
	ALWAYS_INLINE void name(struct cpu *cpu, const struct op *op, unsigned int size)	\
	{										\
		load_far(cpu, op, size, seg);						\
	}										\
	EXEC_WIDE_SIZES(name)

LOAD_FAR(les, SEG_ES)
LOAD_FAR(lds, SEG_DS)
LOAD_FAR(lss, SEG_SS)
LOAD_FAR(lfs, SEG_FS)
LOAD_FAR(lgs, SEG_GS)

/* True when the selector's segment can be seen from CPL and its RPL, as LAR, LSL, VERR and VERW ask. */
static bool segment_look(struct cpu *cpu, uint16_t selector, struct descriptor *descriptor, struct segment *segment)
{
	bool is_open;

	if (is_null_selector(selector) || !descriptor_read_try(cpu, selector, descriptor))
		return false;
	*segment = descriptor_segment(descriptor, selector);
	is_open = is_code_segment(segment) && is_conforming(segment);
	return is_open || (cpu->cpl <= segment_dpl(segment) && (selector & SELECTOR_RPL) <= segment_dpl(segment));
}

/* System types that LAR shows; LSL has those with a limit. APM vol. 3, LAR and LSL. */
static bool has_visible_type(const struct cpu *cpu, const struct segment *segment, bool needs_limit)
{
	unsigned int type = segment->attrib & SEG_TYPE;
	unsigned int tables = 1u << TYPE_LDT | 1u << TYPE_TSS | 1u << TYPE_TSS_BUSY;
	unsigned int gates = 1u << TYPE_CALL_GATE;

	if (segment->attrib & SEG_S)
		return true;
	if (!(cpu->efer & EFER_LMA)) {
		tables |= 1u << TYPE_TSS16 | 1u << TYPE_TSS16_BUSY;
		gates |= 1u << TYPE_CALL_GATE16 | 1u << TYPE_TASK_GATE;
	}
	return (tables | (needs_limit ? 0 : gates)) >> type & 1;
}

ALWAYS_INLINE void lar(struct cpu *cpu, const struct op *op, unsigned int size)
{
	struct descriptor descriptor;
	struct segment segment;
	bool is_seen;

	check_protected(cpu);
	is_seen = segment_look(cpu, (uint16_t)operand_read(cpu, op, 1, 2), &descriptor, &segment) &&
		has_visible_type(cpu, &segment, false);
	if (is_seen)
		operand_write(cpu, op, 0, size, descriptor.low >> 32 & 0x00ffff00);
	flags_set(cpu, ZF, flag_if(is_seen, ZF));
}

ALWAYS_INLINE void lsl(struct cpu *cpu, const struct op *op, unsigned int size)
{
	struct descriptor descriptor;
	struct segment segment;
	bool is_seen;

	check_protected(cpu);
	is_seen = segment_look(cpu, (uint16_t)operand_read(cpu, op, 1, 2), &descriptor, &segment) &&
		has_visible_type(cpu, &segment, true);
	if (is_seen)
		operand_write(cpu, op, 0, size, segment.limit);
	flags_set(cpu, ZF, flag_if(is_seen, ZF));
}

static void verify(struct cpu *cpu, const struct op *op, bool for_write)
{
	struct descriptor descriptor;
	struct segment segment;
	bool is_good;

	check_protected(cpu);
	is_good = segment_look(cpu, (uint16_t)operand_read(cpu, op, 0, 2), &descriptor, &segment) &&
		(segment.attrib & SEG_S);
	if (is_good && for_write)
		is_good = !is_code_segment(&segment) && (segment.attrib & SEG_TYPE_WRITABLE);
	else if (is_good)
		is_good = !is_code_segment(&segment) || (segment.attrib & SEG_TYPE_WRITABLE);
	flags_set(cpu, ZF, flag_if(is_good, ZF));
}

static void verr(struct cpu *cpu, const struct op *op)
{
	verify(cpu, op, false);
}

static void verw(struct cpu *cpu, const struct op *op)
{
	verify(cpu, op, true);
}

static void arpl(struct cpu *cpu, const struct op *op)
{
	uint64_t destination, source;
	bool is_lower;

	check_protected(cpu);
	source = operand_read(cpu, op, 1, 2);
	/* Nothing is written otherwise, and then the destination need not be writable. */
	destination = operand_read(cpu, op, 0, 2);
	is_lower = (destination & SELECTOR_RPL) < (source & SELECTOR_RPL);
	if (is_lower)
		operand_write(cpu, op, 0, 2, (destination & ~(uint64_t)SELECTOR_RPL) | (source & SELECTOR_RPL));
	flags_set(cpu, ZF, flag_if(is_lower, ZF));
}

/* SGDT and SIDT store, LGDT and LIDT load a limit and a base of 24, 32 or 64 bits. */
static void table_store(struct cpu *cpu, const struct op *op, const struct table_register *table)
{
	uint64_t at = op_offset(cpu, op);
	unsigned int size = cpu->is_long64 ? 8 : 4;

	check_umip(cpu);
	memory_write(cpu, op->seg, at, 2, table->limit);
	memory_write(cpu, op->seg, (at + 2) & op->address_mask, size, table->base);
}

static void table_load(struct cpu *cpu, const struct op *op, struct table_register *table)
{
	uint64_t at = op_offset(cpu, op), base, limit;

	check_cpl0(cpu);
	limit = memory_read(cpu, op->seg, at, 2);
	base = memory_read(cpu, op->seg, (at + 2) & op->address_mask, cpu->is_long64 ? 8 : 4);
	if (!cpu->is_long64 && op->size == 2)
		base &= 0xffffff;
	if (cpu->is_long64 && !is_canonical(cpu, base))
		cpu_raise_error(cpu, VECTOR_GP, 0);
	*table = (struct table_register) { base, (uint16_t)limit };
}

static void sgdt(struct cpu *cpu, const struct op *op)
{
	table_store(cpu, op, &cpu->gdtr);
}

static void sidt(struct cpu *cpu, const struct op *op)
{
	table_store(cpu, op, &cpu->idtr);
}

static void lgdt(struct cpu *cpu, const struct op *op)
{
	table_load(cpu, op, &cpu->gdtr);
}

static void lidt(struct cpu *cpu, const struct op *op)
{
	table_load(cpu, op, &cpu->idtr);
}

static void sldt(struct cpu *cpu, const struct op *op)
{
	check_protected(cpu);
	check_umip(cpu);
	selector_write(cpu, op, cpu->segs[SEG_LDTR].selector);
}

static void str(struct cpu *cpu, const struct op *op)
{
	check_protected(cpu);
	check_umip(cpu);
	selector_write(cpu, op, cpu->segs[SEG_TR].selector);
}

static void lldt(struct cpu *cpu, const struct op *op)
{
	check_protected(cpu);
	check_cpl0(cpu);
	segment_load_ldt(cpu, (uint16_t)operand_read(cpu, op, 0, 2), VECTOR_GP);
}

static void ltr(struct cpu *cpu, const struct op *op)
{
	check_protected(cpu);
	check_cpl0(cpu);
	segment_load_tr(cpu, (uint16_t)operand_read(cpu, op, 0, 2));
}

/* An index outside of the two signed limits in memory: #BR. */
ALWAYS_INLINE void bound(struct cpu *cpu, const struct op *op, unsigned int size)
{
	uint64_t at = op_offset(cpu, op);
	int64_t index = (int64_t)sign_extend(operand_read(cpu, op, 0, size), size);
	int64_t low = (int64_t)sign_extend(memory_read(cpu, op->seg, at, size), size);
	int64_t high = (int64_t)sign_extend(memory_read(cpu, op->seg, (at + size) & op->address_mask, size), size);

	if (index < low || index > high)
		cpu_raise(cpu, VECTOR_BR);
}

EXEC_WIDE_SIZES(push_seg)
EXEC_WIDE_SIZES(pop_seg)
EXEC_WIDE_SIZES(lar)
EXEC_WIDE_SIZES(lsl)
EXEC_SIZE(bound, 2)
EXEC_SIZE(bound, 4)

#define ROW(mnemonic, exec) { ZYDIS_MNEMONIC_##mnemonic, ROW_WIDTH, 0, EXEC_ANY(exec) }
#define LOAD(mnemonic, exec) { ZYDIS_MNEMONIC_##mnemonic, ROW_WIDTH | ROW_ENDS_BLOCK, 0, EXEC_WIDE(exec) }

static const struct exec_row rows[] = {
	{ EXEC_MOV_FROM_SEG, ROW_WIDTH, 0, EXEC_ANY(mov_from_seg) },
	{ EXEC_MOV_TO_SEG, ROW_WIDTH | ROW_ENDS_BLOCK, 0, EXEC_ANY(mov_to_seg) },
	{ EXEC_PUSH_SEG, ROW_WIDTH, 0, EXEC_WIDE(push_seg) },
	{ EXEC_POP_SEG, ROW_WIDTH | ROW_ENDS_BLOCK, 0, EXEC_WIDE(pop_seg) },
	LOAD(LES, les), LOAD(LDS, lds), LOAD(LSS, lss), LOAD(LFS, lfs), LOAD(LGS, lgs),
	{ ZYDIS_MNEMONIC_LAR, ROW_WIDTH, 0, EXEC_WIDE(lar) },
	{ ZYDIS_MNEMONIC_LSL, ROW_WIDTH, 0, EXEC_WIDE(lsl) },
	ROW(VERR, verr), ROW(VERW, verw), ROW(ARPL, arpl),
	ROW(SGDT, sgdt), ROW(SIDT, sidt), ROW(LGDT, lgdt), ROW(LIDT, lidt),
	ROW(SLDT, sldt), ROW(STR, str), ROW(LLDT, lldt), ROW(LTR, ltr),
	{ ZYDIS_MNEMONIC_BOUND, ROW_WIDTH, 0, { NULL, exec_bound_2, exec_bound_4, NULL } },
};

EXEC_TABLE(exec_segment, rows);

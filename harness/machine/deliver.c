/* SPDX-License-Identifier: MIT */
/* Delivery of an event through the IDT or the interrupt vector table, APM vol. 2, 8.6 to 8.9. */
#include "machine/event.h"

#include "machine/debug.h"
#include "machine/exec.h"
#include "machine/segment.h"
#include "machine/stack.h"
#include "machine/task.h"
#include "machine/tlb.h"

#define ERROR_IDT 2u
#define IST_SLOT 3	/* tss_read_rsp(): IST1 is slot 4 */

struct gate {
	uint16_t selector;
	uint8_t type, dpl, ist;
	bool is_present;
	uint64_t offset;
};

struct event {
	enum event_source source;
	unsigned int vector;
	bool has_error;
	uint32_t error;
	uint64_t rip;		/* to return to */
};

static uint32_t vector_error(const struct cpu *cpu, unsigned int vector)
{
	return vector * 8 | ERROR_IDT | cpu->is_external;
}

static struct gate gate_read(struct cpu *cpu, unsigned int vector)
{
	bool is_long = cpu->efer & EFER_LMA;
	unsigned int size = is_long ? 16 : 8;
	uint64_t linear = cpu->idtr.base + (uint64_t)vector * size, low, high = 0;

	if ((vector + 1) * size - 1 > cpu->idtr.limit)
		cpu_raise_error(cpu, VECTOR_GP, vector_error(cpu, vector));
	low = linear_read(cpu, linear, 8, true);
	if (is_long)
		high = linear_read(cpu, linear + 8, 8, true);
	return (struct gate) {
		.selector = (uint16_t)(low >> 16),
		.type = low >> 40 & 0x1f,
		.dpl = low >> 45 & 3,
		.ist = is_long ? low >> 32 & 7 : 0,
		.is_present = low >> 47 & 1,
		.offset = (low & 0xffff) | (low >> 48) << 16 | high << 32,
	};
}

static bool is_gate(const struct cpu *cpu, unsigned int type)
{
	if (type == TYPE_INT_GATE || type == TYPE_TRAP_GATE)
		return true;
	if (cpu->efer & EFER_LMA)
		return false;
	return type == TYPE_INT_GATE16 || type == TYPE_TRAP_GATE16 || type == TYPE_TASK_GATE;
}

static void check_gate(struct cpu *cpu, const struct event *event, const struct gate *gate)
{
	if (!is_gate(cpu, gate->type) || (event->source == EVENT_SOFTWARE && gate->dpl < cpu->cpl))
		cpu_raise_error(cpu, VECTOR_GP, vector_error(cpu, event->vector));
	if (!gate->is_present)
		cpu_raise_error(cpu, VECTOR_NP, vector_error(cpu, event->vector));
}

/* The handler's code segment; returns the privilege it runs with. */
static unsigned int check_handler(struct cpu *cpu, uint16_t selector, struct descriptor *descriptor)
{
	struct segment code;

	if (is_null_selector(selector))
		cpu_raise_error(cpu, VECTOR_GP, cpu->is_external);
	*descriptor = descriptor_read(cpu, selector, VECTOR_GP);
	code = descriptor_segment(descriptor, selector);
	if (!is_code_segment(&code) || segment_dpl(&code) > cpu->cpl)
		raise_selector(cpu, VECTOR_GP, selector);
	if ((cpu->efer & EFER_LMA) && (code.attrib & (SEG_L | SEG_DB)) != SEG_L)
		raise_selector(cpu, VECTOR_GP, selector);
	if (!(code.attrib & SEG_P))
		raise_selector(cpu, VECTOR_NP, selector);
	if ((cpu->rflags & X86_EFLAGS_VM) && (is_conforming(&code) || segment_dpl(&code)))
		raise_selector(cpu, VECTOR_GP, selector);
	return is_conforming(&code) ? cpu->cpl : segment_dpl(&code);
}

/* What an interrupted virtual-8086 program has in its data segments goes first; they are null in the handler. */
static void push_v86_segments(struct cpu *cpu, struct stack *stack, unsigned int size)
{
	static const uint8_t segs[] = { SEG_GS, SEG_FS, SEG_DS, SEG_ES };
	unsigned int i;

	for (i = 0; i < sizeof(segs); i++)
		stack_push(stack, size, cpu->saved.segs[segs[i]].selector);
	for (i = 0; i < sizeof(segs); i++) {
		cpu->segs[segs[i]].selector = 0;
		cpu->segs[segs[i]].attrib = 0;
	}
}

static void push_frame(struct cpu *cpu, struct stack *stack, const struct event *event, unsigned int size,
	bool with_stack)
{
	const struct saved *old = &cpu->saved;
	/* A fault is to be started again, without an instruction breakpoint. */
	uint64_t rf = event->source == EVENT_FAULT && event->vector != VECTOR_DB ? X86_EFLAGS_RF : 0;

	if (with_stack) {
		stack_push(stack, size, old->segs[SEG_SS].selector);
		stack_push(stack, size, old->rsp);
	}
	stack_push(stack, size, old->rflags | rf);
	stack_push(stack, size, old->segs[SEG_CS].selector);
	stack_push(stack, size, event->rip);
	if (event->has_error)
		stack_push(stack, size, event->error);
}

static void set_handler_flags(struct cpu *cpu, bool is_interrupt_gate)
{
	cpu->rflags &= ~(X86_EFLAGS_TF | X86_EFLAGS_NT | X86_EFLAGS_RF | X86_EFLAGS_VM);
	if (is_interrupt_gate)
		cpu->rflags &= ~X86_EFLAGS_IF;
}

static void deliver_long(struct cpu *cpu, const struct event *event, const struct gate *gate)
{
	struct descriptor code;
	unsigned int cpl = check_handler(cpu, gate->selector, &code);
	bool is_inner = cpl < cpu->cpl;
	struct stack stack;

	if (gate->ist)
		cpu->regs[REG_RSP] = tss_read_rsp(cpu, IST_SLOT + gate->ist);
	else if (is_inner)
		cpu->regs[REG_RSP] = tss_read_rsp(cpu, cpl);
	cpu->regs[REG_RSP] &= ~15ull;
	segment_load_code(cpu, &code, gate->selector, cpl);
	if (!is_canonical(cpu, gate->offset))
		cpu_raise_error(cpu, VECTOR_GP, cpu->is_external);
	if (is_inner)
		segment_set_null(cpu, SEG_SS, (uint16_t)cpl);
	cpu_mode_changed(cpu);
	stack = stack_open(cpu);
	push_frame(cpu, &stack, event, 8, true);
	stack_commit(&stack);
}

static void deliver_protected(struct cpu *cpu, const struct event *event, const struct gate *gate)
{
	unsigned int size = gate->type & 8 ? 4 : 2;
	bool is_v86 = cpu->rflags & X86_EFLAGS_VM, is_inner;
	struct descriptor code;
	unsigned int cpl = check_handler(cpu, gate->selector, &code);
	struct stack stack;
	uint16_t ss;

	is_inner = cpl < cpu->cpl;
	cpu->rflags &= ~X86_EFLAGS_VM;
	if (is_inner) {
		uint64_t rsp;

		tss_read_stack(cpu, cpl, &ss, &rsp);
		segment_load_stack(cpu, ss, cpl, VECTOR_TS);
		cpu->regs[REG_RSP] = rsp;
	}
	segment_load_code(cpu, &code, gate->selector, cpl);
	stack = stack_open(cpu);
	if (is_v86)
		push_v86_segments(cpu, &stack, size);
	push_frame(cpu, &stack, event, size, is_inner);
	if (trim(gate->offset, size) > cpu->segs[SEG_CS].limit)
		cpu_raise_error(cpu, VECTOR_GP, cpu->is_external);
	stack_commit(&stack);
	cpu_mode_changed(cpu);
}

static uint64_t deliver_real(struct cpu *cpu, const struct event *event)
{
	struct stack stack = stack_open(cpu);
	uint64_t pointer;

	if (event->vector * 4 + 3 > cpu->idtr.limit)
		cpu_raise_error(cpu, VECTOR_GP, vector_error(cpu, event->vector));
	pointer = linear_read(cpu, cpu->idtr.base + event->vector * 4, 4, true);
	stack_push(&stack, 2, cpu->rflags);
	stack_push(&stack, 2, cpu->segs[SEG_CS].selector);
	stack_push(&stack, 2, event->rip);
	stack_commit(&stack);
	cpu->rflags &= ~(X86_EFLAGS_IF | X86_EFLAGS_TF | X86_EFLAGS_RF | X86_EFLAGS_AC);
	segment_load_paragraph(cpu, SEG_CS, (uint16_t)(pointer >> 16));
	return pointer & 0xffff;
}

static uint64_t deliver_gate(struct cpu *cpu, const struct event *event)
{
	struct gate gate = gate_read(cpu, event->vector);
	bool is_interrupt_gate = gate.type == TYPE_INT_GATE || gate.type == TYPE_INT_GATE16;

	check_gate(cpu, event, &gate);
	if (gate.type == TYPE_TASK_GATE) {
		task_switch_event(cpu, gate.selector, event->rip, event->has_error, event->error);
		return cpu->rip;
	}
	if (cpu->efer & EFER_LMA)
		deliver_long(cpu, event, &gate);
	else
		deliver_protected(cpu, event, &gate);
	set_handler_flags(cpu, is_interrupt_gate);
	cpu_windows_changed(cpu);
	return gate.type & 8 ? gate.offset : gate.offset & 0xffff;
}

void event_deliver(struct cpu *cpu, enum event_source source, unsigned int vector, bool has_error, uint32_t error)
{
	/* Of a software interrupt, RIP is still the instruction's own. */
	uint64_t rip = source == EVENT_SOFTWARE ? cpu->regs[REG_NEXT_RIP] : cpu->rip;
	struct event event = { source, vector, has_error, error, rip };
	uint64_t from = cpu->rip;

	cpu->is_external = source != EVENT_SOFTWARE;
	cpu_save(cpu);
	cpu->rip = cpu->cr0 & X86_CR0_PE ? deliver_gate(cpu, &event) : deliver_real(cpu, &event);
	cpu_keep(cpu);
	debug_branch(cpu, from, cpu->rip, true);
	/* The handler of #DB is not recorded nor stepped (APM vol. 2, 13.1). */
	if (vector == VECTOR_DB && source == EVENT_FAULT)
		cpu->branches.dbgctl &= ~(DBGCTL_LBR | DBGCTL_BTF);
	/* What SMAP allows may depend on RFLAGS.AC, and privilege has changed. */
	cpu_forget_fast(cpu);
	cpu->is_external = false;
	cpu->has_shadow = false;
}

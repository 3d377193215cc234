/* SPDX-License-Identifier: MIT */
#include "machine/task.h"

#include "machine/debug.h"
#include "machine/exec.h"
#include "machine/segment.h"
#include "machine/stack.h"
#include "machine/svm_guest.h"
#include "machine/tlb.h"

#define BUSY 2u
#define DR7_LOCALS 0x155ull	/* L0 to L3, LE: the old task's own breakpoints (APM vol. 2, 13.1.1.4) */

/* Where a TSS has what, APM vol. 2, figures 12-2 and 12-3 (16 bits: SDM vol. 3, figure 8-10). */
struct layout {
	unsigned int size;		/* of EIP, EFLAGS and the general registers */
	unsigned int rip, rflags, regs, segs, segs_stride, nr_segs, ldt, cr3, trap;
	uint32_t min_limit;
};

static const struct layout layout32 = { 4, 0x20, 0x24, 0x28, 0x48, 4, 6, 0x60, 0x1c, 0x64, 0x67 };
static const struct layout layout16 = { 2, 0x0e, 0x10, 0x12, 0x22, 2, 4, 0x2a, 0, 0, 0x2b };

static const struct layout *tss_layout(const struct segment *tss)
{
	return tss->attrib & 8 ? &layout32 : &layout16;
}

/* What the new task begins with, read before anything changes. */
struct task {
	uint64_t rip, rflags, cr3;
	uint64_t regs[8];
	uint16_t segs[NR_SEGS], ldt;
	bool is_trapped;
};

static struct task task_read(struct cpu *cpu, const struct segment *tss)
{
	const struct layout *at = tss_layout(tss);
	struct task task = { 0 };
	unsigned int i;

	task.rip = linear_read(cpu, tss->base + at->rip, at->size, true);
	task.rflags = linear_read(cpu, tss->base + at->rflags, at->size, true);
	for (i = 0; i < 8; i++)
		task.regs[i] = linear_read(cpu, tss->base + at->regs + i * at->size, at->size, true);
	for (i = 0; i < at->nr_segs; i++)
		task.segs[i] = (uint16_t)linear_read(cpu, tss->base + at->segs + i * at->segs_stride, 2, true);
	task.ldt = (uint16_t)linear_read(cpu, tss->base + at->ldt, 2, true);
	if (at->cr3)
		task.cr3 = linear_read(cpu, tss->base + at->cr3, 4, true);
	if (at->trap)
		task.is_trapped = linear_read(cpu, tss->base + at->trap, 2, true) & 1;
	return task;
}

static void task_write(struct cpu *cpu, uint64_t rip, uint64_t rflags)
{
	const struct segment *tss = &cpu->segs[SEG_TR];
	const struct layout *at = tss_layout(tss);
	unsigned int i;

	linear_check_write(cpu, tss->base + at->rip, at->size, true);
	linear_check_write(cpu, tss->base + at->ldt - 2, 2, true);
	linear_write(cpu, tss->base + at->rip, at->size, rip, true);
	linear_write(cpu, tss->base + at->rflags, at->size, rflags, true);
	for (i = 0; i < 8; i++)
		linear_write(cpu, tss->base + at->regs + i * at->size, at->size, cpu->regs[i], true);
	for (i = 0; i < at->nr_segs; i++)
		linear_write(cpu, tss->base + at->segs + i * at->segs_stride, 2, cpu->segs[i].selector, true);
}

static struct segment check_tss(struct cpu *cpu, uint16_t selector, enum task_cause cause,
	struct descriptor *descriptor)
{
	unsigned int vector = cause == TASK_IRET ? VECTOR_TS : VECTOR_GP, type;
	struct segment tss;

	if (is_null_selector(selector) || (selector & SELECTOR_TI))
		raise_selector(cpu, vector, selector);
	*descriptor = descriptor_read(cpu, selector, vector);
	tss = descriptor_segment(descriptor, selector);
	type = tss.attrib & (SEG_S | SEG_TYPE) & ~8u;
	if (type != (cause == TASK_IRET ? TYPE_TSS16_BUSY : TYPE_TSS16))
		raise_selector(cpu, vector, selector);
	if (!(tss.attrib & SEG_P))
		raise_selector(cpu, VECTOR_NP, selector);
	if (tss.limit < tss_layout(&tss)->min_limit)
		raise_selector(cpu, VECTOR_TS, selector);
	return tss;
}

static void set_busy(struct cpu *cpu, const struct descriptor *descriptor, bool is_busy)
{
	uint64_t type = descriptor->low >> 40 & 0xff;

	linear_write(cpu, descriptor->linear + 5, 1, is_busy ? type | BUSY : type & ~BUSY, true);
}

/* The TSS descriptor of the task that is left is no longer busy, unless it is to be returned to. */
static void leave_task(struct cpu *cpu, enum task_cause cause)
{
	struct descriptor old;

	if (cause == TASK_CALL || cause == TASK_EVENT)
		return;
	if (descriptor_read_try(cpu, cpu->segs[SEG_TR].selector, &old))
		set_busy(cpu, &old, false);
}

static void load_code(struct cpu *cpu, uint16_t selector)
{
	unsigned int rpl = selector & SELECTOR_RPL;
	struct descriptor descriptor;
	struct segment code;

	if (is_null_selector(selector))
		raise_selector(cpu, VECTOR_TS, selector);
	descriptor = descriptor_read(cpu, selector, VECTOR_TS);
	code = descriptor_segment(&descriptor, selector);
	if (!is_code_segment(&code) || (is_conforming(&code) ? segment_dpl(&code) > rpl : segment_dpl(&code) != rpl))
		raise_selector(cpu, VECTOR_TS, selector);
	segment_load_code(cpu, &descriptor, selector, rpl);
}

/* Faults here are the new task's, which has its registers already. */
static void load_segments(struct cpu *cpu, const struct task *task)
{
	static const uint8_t data_segs[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
	unsigned int i;

	segment_load_ldt(cpu, task->ldt, VECTOR_TS);
	if (cpu->rflags & X86_EFLAGS_VM) {
		cpu->cpl = 3;
		for (i = 0; i < NR_SEGS; i++)
			segment_load_paragraph(cpu, i, task->segs[i]);
		return;
	}
	load_code(cpu, task->segs[SEG_CS]);
	segment_load_stack(cpu, task->segs[SEG_SS], cpu->cpl, VECTOR_TS);
	for (i = 0; i < sizeof(data_segs); i++)
		if (is_null_selector(task->segs[data_segs[i]]))
			segment_set_null(cpu, data_segs[i], task->segs[data_segs[i]]);
		else
			segment_load_data(cpu, data_segs[i], task->segs[data_segs[i]], VECTOR_TS);
}

/* The point of no return is passed: general registers, and selectors without what they select. */
static void enter_task(struct cpu *cpu, const struct task *task, bool is_32bit)
{
	unsigned int i;

	if (is_32bit && (cpu->cr0 & X86_CR0_PG)) {
		cpu->cr3 = task->cr3;
		tlb_flush_pcid(cpu, cpu->asid, cpu_pcid(cpu));
	}
	/* Upper halves that a 16-bit TSS does not have are zero. */
	for (i = 0; i < 8; i++)
		gpr_write(cpu, i, 4, task->regs[i]);
	cpu->dr[7] &= ~DR7_LOCALS;
	cpu->rip = cpu->regs[REG_NEXT_RIP] = task->rip;
	cpu->rflags = (task->rflags & 0x3f7fd5) | X86_EFLAGS_FIXED;
	for (i = 0; i < NR_SEGS; i++) {
		cpu->segs[i].selector = task->segs[i];
		cpu->segs[i].attrib = 0;
	}
	cpu->cr0 |= X86_CR0_TS;
	cpu_forget_fast(cpu);
}

static uint64_t exit_info_of_cause(enum task_cause cause)
{
	return cause == TASK_IRET ? 1ull << 36 : cause == TASK_JMP ? 1ull << 38 : 0;
}

static void task_switch_with_error(struct cpu *cpu, uint16_t selector, enum task_cause cause, uint64_t next_rip,
	uint64_t error)
{
	bool is_nested = cause == TASK_CALL || cause == TASK_EVENT;
	uint64_t rflags = cause == TASK_IRET ? cpu->rflags & ~X86_EFLAGS_NT : cpu->rflags;
	uint16_t old_selector = cpu->segs[SEG_TR].selector;
	struct descriptor descriptor;
	struct segment tss = check_tss(cpu, selector, cause, &descriptor);
	struct task task;

	svm_check_task_switch(cpu, selector, exit_info_of_cause(cause), error);
	task = task_read(cpu, &tss);
	task_write(cpu, next_rip, rflags);
	leave_task(cpu, cause);
	if (is_nested) {
		linear_write(cpu, tss.base, 2, old_selector, true);
		task.rflags |= X86_EFLAGS_NT;
	}
	if (cause != TASK_IRET)
		set_busy(cpu, &descriptor, true);
	tss.attrib |= BUSY;
	cpu->segs[SEG_TR] = tss;
	cpu_keep(cpu);
	enter_task(cpu, &task, tss.attrib & 8);
	load_segments(cpu, &task);
	cpu_mode_changed(cpu);
	if (task.rip > cpu->segs[SEG_CS].limit)
		cpu_raise_error(cpu, VECTOR_GP, 0);
	if (task.is_trapped) {
		cpu->dr[6] |= DR6_BT;
		cpu_raise(cpu, VECTOR_DB);
	}
}

void task_switch(struct cpu *cpu, uint16_t selector, enum task_cause cause, uint64_t next_rip)
{
	task_switch_with_error(cpu, selector, cause, next_rip, ~0ull);
}

void task_switch_event(struct cpu *cpu, uint16_t selector, uint64_t rip, bool has_error, uint32_t error)
{
	struct stack stack;

	task_switch_with_error(cpu, selector, TASK_EVENT, rip, has_error ? error : ~0ull);
	if (!has_error)
		return;
	stack = stack_open(cpu);
	stack_push(&stack, cpu->segs[SEG_TR].attrib & 8 ? 4 : 2, error);
	stack_commit(&stack);
}

/* SPDX-License-Identifier: MIT */
/*
 * The stack of SS:RSP. RSP is SP, ESP or RSP by cpu->stack_mask. Several pushes that must all succeed or none are
 * made through a struct stack, whose RSP reaches the CPU by stack_commit().
 */
#ifndef VMASSAY_MACHINE_STACK_H
#define VMASSAY_MACHINE_STACK_H

#include "machine/cpu.h"
#include "machine/memory.h"

struct stack {
	struct cpu *cpu;
	uint64_t rsp;
};

static inline struct stack stack_open(struct cpu *cpu)
{
	return (struct stack) { cpu, cpu->regs[REG_RSP] };
}

/* A 16-bit stack pointer leaves the rest of the register alone. */
static inline uint64_t stack_pointer(const struct cpu *cpu, uint64_t old, uint64_t new)
{
	return cpu->stack_mask == 0xffff ? (old & ~0xffffull) | (new & 0xffff) : new & cpu->stack_mask;
}

static inline void stack_push(struct stack *stack, unsigned int size, uint64_t value)
{
	uint64_t rsp = stack_pointer(stack->cpu, stack->rsp, stack->rsp - size);

	memory_write(stack->cpu, SEG_SS, rsp & stack->cpu->stack_mask, size, value);
	stack->rsp = rsp;
}

/* Raises what a push would. */
static inline void stack_check_push(const struct stack *stack, unsigned int size)
{
	memory_read_to_write(stack->cpu, SEG_SS, (stack->rsp - size) & stack->cpu->stack_mask, size);
}

static inline uint64_t stack_pop(struct stack *stack, unsigned int size)
{
	uint64_t value = memory_read(stack->cpu, SEG_SS, stack->rsp & stack->cpu->stack_mask, size);

	stack->rsp = stack_pointer(stack->cpu, stack->rsp, stack->rsp + size);
	return value;
}

/* The number that @nr further pops of the size would give last, from 0; and what takes them all. */
static inline uint64_t stack_peek(const struct stack *stack, unsigned int size, unsigned int nr)
{
	return memory_read(stack->cpu, SEG_SS, (stack->rsp + nr * size) & stack->cpu->stack_mask, size);
}

static inline void stack_drop(struct stack *stack, uint64_t len_bytes)
{
	stack->rsp = stack_pointer(stack->cpu, stack->rsp, stack->rsp + len_bytes);
}

static inline void stack_commit(const struct stack *stack)
{
	stack->cpu->regs[REG_RSP] = stack->rsp;
}

#endif

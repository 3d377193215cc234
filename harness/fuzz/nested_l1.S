/* SPDX-License-Identifier: MIT */
/* L1 of the nested executor: 64-bit code that runs wherever it is put. */
#include "fuzz/nested_l1.h"

#define EXCHANGE(offset)	(nested_l1_begin + NESTED_EXCHANGE + offset)(%rip)
#define REG(n)			EXCHANGE(NESTED_REGS + 8 * n)

	.section .rodata
	.balign	16
	.globl	nested_l1_begin, nested_l1_faults, nested_l1_ignore, nested_l1_end
nested_l1_begin:
	.code64
report:
	outb	%al, $NESTED_PORT_DONE
	leaq	EXCHANGE(NESTED_SCRIPT), %rbx
next:
	movq	(%rbx), %rsi
	movq	8(%rbx), %rax
	movq	16(%rbx), %rcx
	addq	$NESTED_STEP_BYTES, %rbx
	cmpl	$NESTED_STEP_VMRUN, %esi
	je	run
	cmpl	$NESTED_STEP_STGI, %esi
	je	step_stgi
	cmpl	$NESTED_STEP_CLGI, %esi
	je	step_clgi
	cmpl	$NESTED_STEP_VMLOAD, %esi
	je	step_vmload
	cmpl	$NESTED_STEP_VMSAVE, %esi
	je	step_vmsave
	cmpl	$NESTED_STEP_INVLPGA, %esi
	je	step_invlpga
	cmpl	$NESTED_STEP_FLUSH, %esi
	je	step_flush
	cmpl	$NESTED_STEP_DRAIN, %esi
	je	step_drain
	cmpl	$NESTED_STEP_WRITE, %esi
	je	step_write
	jmp	report

step_stgi:
	stgi
	jmp	next
step_clgi:
	clgi
	jmp	next
step_vmload:
	vmload
	jmp	next
step_vmsave:
	vmsave
	jmp	next
step_invlpga:
	invlpga
	jmp	next
step_flush:
	movq	%cr3, %rax
	movq	%rax, %cr3
	jmp	next
step_drain:
	stgi
	nop
	nop
	clgi
	jmp	next

step_write:
	leaq	(nested_l1_begin + NESTED_WORLD)(%rip), %rdx
	movq	%rcx, (%rdx, %rax)
	jmp	next

run:
	movq	%rbx, EXCHANGE(NESTED_SAVED)
	vmload
	movq	REG(1), %rcx
	movq	REG(2), %rdx
	movq	REG(3), %rbx
	movq	REG(5), %rbp
	movq	REG(6), %rsi
	movq	REG(7), %rdi
	movq	REG(8), %r8
	movq	REG(9), %r9
	movq	REG(10), %r10
	movq	REG(11), %r11
	movq	REG(12), %r12
	movq	REG(13), %r13
	movq	REG(14), %r14
	movq	REG(15), %r15
	vmrun
	movq	%rcx, REG(1)
	movq	%rdx, REG(2)
	movq	%rbx, REG(3)
	movq	%rbp, REG(5)
	movq	%rsi, REG(6)
	movq	%rdi, REG(7)
	movq	%r8, REG(8)
	movq	%r9, REG(9)
	movq	%r10, REG(10)
	movq	%r11, REG(11)
	movq	%r12, REG(12)
	movq	%r13, REG(13)
	movq	%r14, REG(14)
	movq	%r15, REG(15)
	movq	EXCHANGE(NESTED_SAVED), %rbx
	jmp	next

/* 32 entries of 16 bytes, by vector. */
	.balign	16
nested_l1_faults:
	.set	vector, 0
	.rept	32
	.balign	16
	pushq	$(vector + 1)
	jmp	fault
	.set	vector, vector + 1
	.endr
fault:
	popq	%rax
	movq	%rax, EXCHANGE(NESTED_FAULT)
	outb	%al, $NESTED_PORT_FAULT
1:	hlt
	jmp	1b

/* NMI and interrupt: they were meant for L2. */
nested_l1_ignore:
	iretq
nested_l1_end:

	.section .note.GNU-stack, "", @progbits

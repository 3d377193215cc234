/* SPDX-License-Identifier: MIT */
/*
 * Real mode: as entry64.S. C code is compiled for 32-bit operands and addresses (-m16), all of it below 64 KiB, so
 * every call and return moves 32 bits and the upper half of ESP is zero.
 */
#include "stack.h"

	.code16gcc
	.section .text.entry, "ax"
	.globl guest_entry
guest_entry:
	movl	%gs:ABI_VCPU_OFFSET, %eax
	incl	%eax
	imull	$STACK_BYTES, %eax
	leal	stacks(%eax), %esp
	calll	guest_start
0:	hlt
	jmp	0b

	.text
	.globl exception_stubs
	.balign	16
exception_stubs:
	vector = 0
	.rept	256
	.balign	16
	pushl	$0
	pushl	$vector
	jmp	exception_common
	vector = vector + 1
	.endr

exception_common:
	pushal
	cld
	movl	%esp, %ebp
	pushl	%ebp
	calll	exception_entry
	movl	%ebp, %esp
	popal
	addl	$8, %esp
	iretw

	.globl guarded_call
guarded_call:
	movl	4(%esp), %eax
	movl	8(%esp), %ecx
	movl	12(%esp), %edx
	pushl	%ebp
	pushl	%ebx
	pushl	%esi
	pushl	%edi
	movl	%esp, (%edx)
	pushl	%ecx
	calll	*%eax
	addl	$4, %esp
	xorl	%eax, %eax
guarded_return:
	popl	%edi
	popl	%esi
	popl	%ebx
	popl	%ebp
	retl

	.globl guarded_abort
guarded_abort:
	movl	4(%esp), %esp
	movl	$1, %eax
	cld
	jmp	guarded_return

	.section .note.GNU-stack, "", @progbits

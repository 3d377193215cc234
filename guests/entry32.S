/* SPDX-License-Identifier: MIT */
/* 32-bit protected mode: as entry64.S. */
#include "stack.h"

	.code32
	.section .text.entry, "ax"
	.globl guest_entry
guest_entry:
	mov	%gs:ABI_VCPU_OFFSET, %eax
	inc	%eax
	imul	$STACK_BYTES, %eax
	lea	stacks(%eax), %esp
	call	guest_start
0:	hlt
	jmp	0b

	.text
	.globl exception_stubs
	.balign	16
exception_stubs:
	vector = 0
	.rept	256
	.balign	16
	.if	(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
	.else
	push	$0
	.endif
	push	$vector
	jmp	exception_common
	vector = vector + 1
	.endr

exception_common:
	pusha
	cld
	mov	%esp, %ebp
	push	%ebp
	call	exception_entry
	mov	%ebp, %esp
	popa
	add	$8, %esp
	iret

	.globl guarded_call
guarded_call:
	mov	4(%esp), %eax
	mov	8(%esp), %ecx
	mov	12(%esp), %edx
	push	%ebp
	push	%ebx
	push	%esi
	push	%edi
	mov	%esp, (%edx)
	push	%ecx
	call	*%eax
	add	$4, %esp
	xor	%eax, %eax
guarded_return:
	pop	%edi
	pop	%esi
	pop	%ebx
	pop	%ebp
	ret

	.globl guarded_abort
guarded_abort:
	mov	4(%esp), %esp
	mov	$1, %eax
	cld
	jmp	guarded_return

	.globl guarded_user_call
guarded_user_call:
	push	%ebp
	push	%ebx
	push	%esi
	push	%edi
	mov	20(%esp), %eax
	mov	24(%esp), %ecx
	mov	28(%esp), %edx
	mov	32(%esp), %ebx
	mov	%esp, (%edx)
	sub	$8, %ebx
	movl	$user_return, (%ebx)
	mov	%ecx, 4(%ebx)
	mov	$SEL_USER_DATA, %ecx
	mov	%ecx, %ds
	mov	%ecx, %es
	push	$SEL_USER_DATA
	push	%ebx
	pushf
	push	$SEL_USER_CODE32
	push	%eax
	iret

	.globl user_return
user_return:
	int	$USER_RETURN_VECTOR
	ud2

	.section .note.GNU-stack, "", @progbits

/* SPDX-License-Identifier: MIT */
/*
 * 64-bit entry, exception stubs, and the way into and out of guarded calls. The host has loaded CR0, CR3, CR4, EFER,
 * the segments, GDTR and TR; GS:0 is this vCPU's report page.
 */
#include "stack.h"

	.code64
	.section .text.entry, "ax"
	.globl guest_entry
guest_entry:
	mov	%gs:ABI_VCPU_OFFSET, %eax
	inc	%eax
	imul	$STACK_BYTES, %eax
	lea	stacks(%rax), %rsp
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
	push	%rax
	push	%rcx
	push	%rdx
	push	%rbx
	push	%rsp
	push	%rbp
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	cld
	mov	%rsp, %rdi
	mov	%rsp, %rbp
	and	$-16, %rsp
	call	exception_entry
	mov	%rbp, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rbp
	add	$8, %rsp
	pop	%rbx
	pop	%rdx
	pop	%rcx
	pop	%rax
	add	$16, %rsp
	iretq

/* int guarded_call(function, argument, &saved_sp): 0 when it returned, 1 after guarded_abort(). */
	.globl guarded_call
guarded_call:
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, (%rdx)
	mov	%rdi, %rax
	mov	%rsi, %rdi
	sub	$8, %rsp
	call	*%rax
	add	$8, %rsp
	xor	%eax, %eax
guarded_return:
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret

/* noreturn guarded_abort(saved_sp) */
	.globl guarded_abort
guarded_abort:
	mov	%rdi, %rsp
	mov	$1, %eax
	cld
	jmp	guarded_return

/* int guarded_user_call(function, argument, &saved_sp, user_sp): as guarded_call(), at CPL 3. */
	.globl guarded_user_call
guarded_user_call:
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, (%rdx)
	mov	%rdi, %rax
	mov	%rsi, %rdi
	lea	user_return(%rip), %rdx
	mov	%rdx, -8(%rcx)
	sub	$8, %rcx
	pushq	$SEL_USER_DATA
	push	%rcx
	pushfq
	pushq	$SEL_USER_CODE64
	push	%rax
	iretq

	.globl user_return
user_return:
	int	$USER_RETURN_VECTOR
	ud2

	.section .note.GNU-stack, "", @progbits

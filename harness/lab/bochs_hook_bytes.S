/* SPDX-License-Identifier: MIT */
/* The library that is loaded into Bochs, as bytes of this program. */
	.section .rodata
	.globl bochs_hook_start, bochs_hook_end
	.balign 16
bochs_hook_start:
	.incbin "bochs_hook.so"
bochs_hook_end:
	.byte 0
	.section .note.GNU-stack, "", %progbits

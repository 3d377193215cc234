/* SPDX-License-Identifier: MIT */
/*
 * The boot sector of boot_disk.h. The BIOS loads it to 0x7c00 and enters it in real mode; it runs
 * once: the second time, after a reset, it ends the emulator, for a kernel that died is not to be
 * started over.
 */
#define LOADED_AT(label)	(0x7c00 + (label) - boot_sector)
#define TABLE			0x7e00

/* A byte of battery-backed memory that neither BIOS nor kernel uses. */
#define CMOS_MARK		0x7e
#define MARK			0x5a

/* Bochs ends when these letters are written to this port. */
#define SHUTDOWN_PORT		0x8900

#define ATA_DATA		0x1f0
#define ATA_NR_SECTORS		0x1f2
#define ATA_STATUS		0x1f7
#define ATA_CONTROL		0x3f6
#define ATA_READ_SECTORS	0x20

	.section .rodata
	.balign	4
	.globl	boot_sector
boot_sector:
	.code16
	cli
	cld
	xorw	%ax, %ax
	movw	%ax, %ds

	movb	$CMOS_MARK, %al
	outb	%al, $0x70
	inb	$0x71, %al
	cmpb	$MARK, %al
	je	end_emulator
	movb	$MARK, %al
	outb	%al, $0x71

	inb	$0x92, %al		/* A20 */
	orb	$2, %al
	andb	$~1, %al
	outb	%al, $0x92

	lgdtl	LOADED_AT(gdt_pointer)
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmpl	$0x10, $LOADED_AT(protected_mode)

end_emulator:
	movw	$LOADED_AT(shutdown), %si
	movw	$SHUTDOWN_PORT, %dx
	movw	$(shutdown_end - shutdown), %cx
	rep outsb
1:	hlt
	jmp	1b

	.code32
protected_mode:
	movl	$0x18, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	movl	%eax, %ss
	movl	$0x7c00, %esp

	movb	$2, %al			/* no interrupts from the disk */
	movw	$ATA_CONTROL, %dx
	outb	%al, %dx

	movl	$1, %ebx
	movl	$1, %ecx
	movl	$TABLE, %edi
	call	read_sectors

	movl	$(TABLE + 12), %esi
1:	movl	0(%esi), %ebx
	movl	4(%esi), %ecx
	movl	8(%esi), %edi
	jecxz	2f
	call	read_sectors
	addl	$12, %esi
	jmp	1b
2:
	movl	TABLE + 8, %esi
	movl	TABLE + 4, %eax
	testl	%eax, %eax
	jnz	enter_long_mode
	movl	TABLE, %eax
	xorl	%ebx, %ebx
	xorl	%ebp, %ebp
	xorl	%edi, %edi
	jmp	*%eax

enter_long_mode:
	movl	%eax, %cr3
	movl	%cr4, %eax
	orl	$0x20, %eax		/* PAE */
	movl	%eax, %cr4
	movl	$0xc0000080, %ecx	/* EFER */
	rdmsr
	orl	$0x100, %eax		/* LME */
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000000, %eax	/* PG */
	movl	%eax, %cr0
	ljmp	$0x20, $LOADED_AT(long_mode)

	.code64
long_mode:
	movl	TABLE, %eax
	jmp	*%rax

	.code32
/*
 * ECX sectors from EBX on go to EDI. A disk that reports an error is waited for without end: it
 * has none, being a file.
 */
read_sectors:
	movl	$255, %ebp
	cmpl	%ebp, %ecx
	ja	1f
	movl	%ecx, %ebp
1:
	movw	$ATA_NR_SECTORS, %dx
	movl	%ebp, %eax
	outb	%al, %dx
	movl	%ebx, %eax
	orl	$0xe0000000, %eax	/* first drive, LBA */
	.rept	4
	incl	%edx
	outb	%al, %dx
	shrl	$8, %eax
	.endr
	incl	%edx
	movb	$ATA_READ_SECTORS, %al
	outb	%al, %dx
	addl	%ebp, %ebx
	subl	%ebp, %ecx
	pushl	%ecx
2:	movw	$ATA_STATUS, %dx
	inb	%dx, %al
	testb	$0x80, %al		/* busy */
	jnz	2b
	testb	$0x08, %al		/* has data */
	jz	2b
	movw	$ATA_DATA, %dx
	movl	$256, %ecx
	rep insw
	decl	%ebp
	jnz	2b
	popl	%ecx
	testl	%ecx, %ecx
	jnz	read_sectors
	ret

	.balign	8
gdt:
	.quad	0
	.quad	0
	.quad	0x00cf9b000000ffff	/* 0x10: 32-bit code */
	.quad	0x00cf93000000ffff	/* 0x18: data */
	.quad	0x00af9b000000ffff	/* 0x20: 64-bit code */
gdt_pointer:
	.word	gdt_pointer - gdt - 1
	.long	LOADED_AT(gdt)
shutdown:
	.ascii	"Shutdown"
shutdown_end:
	.org	boot_sector + 446
	.fill	64, 1, 0		/* no partitions */
	.word	0xaa55

	.section .note.GNU-stack, "", @progbits

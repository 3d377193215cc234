/* SPDX-License-Identifier: MIT */
/*
 * Values of L2's segments, descriptor tables and system-call registers, no two alike: what an entry may load, and what a
 * code of L2 makes of them.
 */
#ifndef VMASSAY_CASES_VMX_SEGMENTS_H
#define VMASSAY_CASES_VMX_SEGMENTS_H

#include "case.h"
#include "guests/l1_vmx.h"

struct segment_field {
	uint16_t field;
	uint64_t value;
};

#define SEGMENT(name_, selector_, base_, limit_, rights_)				\
	{ GUEST_##name_##_SELECTOR, selector_ }, { GUEST_##name_##_BASE, base_ },	\
	{ GUEST_##name_##_LIMIT, limit_ }, { GUEST_##name_##_AR, rights_ }

/* Legal together for a 64-bit L2 that uses none of them; no two are alike. */
static const struct segment_field segments_entered[] = {
	SEGMENT(ES, 0x1230, 0x11110000, 0x12345, 0x4093), SEGMENT(CS, 0x1240, 0, 0x23456, 0x209b),
	SEGMENT(SS, 0x1250, 0x22220000, 0x34567, 0x4097), SEGMENT(DS, 0x1263, 0x33330000, 0x45678, 0x40f3),
	SEGMENT(FS, 0x1270, 0xffff800044440000, 0x56789fff, 0xc093), SEGMENT(GS, 0x1283, 0x7fff55550000, 0x6789a, 0x40f7),
	SEGMENT(LDTR, 0x1290, 0xffff800066660000, 0x789, 0x82), SEGMENT(TR, 0x12a0, 0x7fff77770000, 0x189a, 0x8b),
	{ GUEST_GDTR_BASE, 0xffff800088880000 }, { GUEST_GDTR_LIMIT, 0x29ab },
	{ GUEST_IDTR_BASE, 0x7fff99990000 }, { GUEST_IDTR_LIMIT, 0x3abc },
	{ GUEST_SYSENTER_CS, 0x4bcd }, { GUEST_SYSENTER_ESP, 0xffff8000aaaa0000 },
	{ GUEST_SYSENTER_EIP, 0x7fffbbbb0000 },
};

/* Descriptors, for L2 to load. */
#define DESCRIPTOR(base_, limit_, rights_)						\
	((uint64_t)((limit_) & 0xffff) | (uint64_t)((base_) & 0xffffff) << 16 | (uint64_t)((rights_) & 0xf0ff) << 40 | \
	 (uint64_t)((limit_) >> 16 & 0xf) << 48 | (uint64_t)((base_) >> 24 & 0xff) << 56)

static uint64_t segments_gdt[] __attribute__((aligned(16))) = {
	0,
	DESCRIPTOR(0, 0xabcde, 0x209b),				/* 0x08: CS */
	DESCRIPTOR(0x00110000, 0xbcdef, 0x4093),		/* 0x10: SS */
	DESCRIPTOR(0x00220000, 0xcdef0, 0x4091),		/* 0x18: DS, read-only */
	DESCRIPTOR(0x00330000, 0xdef01, 0x4093),		/* 0x20: ES */
	DESCRIPTOR(0x00440000, 0x0ef01, 0xc093),		/* 0x28: FS, by pages */
	DESCRIPTOR(0x00550000, 0xf0123, 0x40f3),		/* 0x30: GS, DPL 3 */
	DESCRIPTOR(0x00660000, 0x00abc, 0x0082), 0xffff8000,	/* 0x38: LDTR */
	DESCRIPTOR(0x00770000, 0x01bcd, 0x0089), 0xffff8000,	/* 0x48: TR */
};

static struct {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed)) segments_gdtr = { 0x57, (ulong_t)segments_gdt }, segments_idtr = { 0x2cde, 0xffff8000dddd0000 };

/* The limit of FS is of 0xef01 pages. */
#define CHANGED_BUT_ES									\
	SEGMENT(CS, 0x08, 0, 0xabcde, 0x209b), SEGMENT(SS, 0x10, 0x00110000, 0xbcdef, 0x4093),	\
	SEGMENT(DS, 0x18, 0x00220000, 0xcdef0, 0x4091),					\
	SEGMENT(FS, 0x28, 0x00440000, 0xef01fff, 0xc093), SEGMENT(GS, 0x30, 0x00550000, 0xf0123, 0x40f3), \
	SEGMENT(LDTR, 0x38, 0xffff800000660000, 0xabc, 0x82), SEGMENT(TR, 0x48, 0xffff800000770000, 0x1bcd, 0x8b), \
	{ GUEST_GDTR_LIMIT, 0x57 }, { GUEST_IDTR_BASE, 0xffff8000dddd0000 }, { GUEST_IDTR_LIMIT, 0x2cde }, \
	{ GUEST_SYSENTER_CS, 0x5678 }, { GUEST_SYSENTER_ESP, 0xffff8000eeee0000 },	\
	{ GUEST_SYSENTER_EIP, 0x7fffcccc0000 }
static const struct segment_field segments_changed[] = { CHANGED_BUT_ES, SEGMENT(ES, 0x20, 0x00330000, 0xdef01, 0x4093) };
/* L1 has written ES. */
static const struct segment_field segments_changed_but_es[] = { CHANGED_BUT_ES, SEGMENT(ES, 0x20, 0x00330000, 0x7777, 0x4093) };

/* R8: GDTR's operand, R9: IDTR's. The way back is none, for the stack's segment is another. */
INSN(segments_load,
     "lgdt (%r8)\n\tlidt (%r9)\n\t"
     "mov $0x174, %ecx\n\tmov $0x5678, %eax\n\txor %edx, %edx\n\twrmsr\n\t"
     "inc %ecx\n\tmov $0xeeee0000, %eax\n\tmov $0xffff8000, %edx\n\twrmsr\n\t"
     "inc %ecx\n\tmov $0xcccc0000, %eax\n\tmov $0x7fff, %edx\n\twrmsr\n\t"
     "mov $0x10, %eax\n\tmov %eax, %ss\n\tmov $0x18, %eax\n\tmov %eax, %ds\n\t"
     "mov $0x20, %eax\n\tmov %eax, %es\n\tmov $0x28, %eax\n\tmov %eax, %fs\n\tmov $0x30, %eax\n\tmov %eax, %gs\n\t"
     "mov $0x38, %eax\n\tlldt %ax\n\tmov $0x48, %eax\n\tltr %ax\n\t"
     "pushq $0x8\n\tlea 1f(%rip), %rax\n\tpush %rax\n\tlretq\n"
     "1:\n.globl segments_exit\nsegments_exit:\n\tvmcall\n\tvmcall")
extern const char segments_exit[] GUEST_API;

#endif

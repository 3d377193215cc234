/* SPDX-License-Identifier: MIT */
/*
 * The task that the tests of task switches switch to: where its TSS, code and stack lie, and what its TSS holds. Nothing
 * but HLT is at NEW_CODE.
 */
#ifndef VMASSAY_CASES_IOCTL_TASK_H
#define VMASSAY_CASES_IOCTL_TASK_H

#include "cases/ioctl/emulate.h"

#define NEW_TSS 0x8000u
#define NEW_CODE 0x900u
#define NEW_STACK 0x4a00u
#define NEW_FLAGS (X86_EFLAGS_FIXED | CF | SF)
#define SEL_OLD SEL_TSS
#define SEL_NEW SEL_FREE

static inline uint64_t tss_descriptor(uint32_t base, uint32_t limit, uint64_t type)
{
	return limit | (uint64_t)base << 16 | (0x80 | type) << 40;
}

static const uint32_t new_regs[8] = {
	0x11223344, 0x22334455, 0x33445566, 0x44556677, EMU_GPA + NEW_STACK, 0x66778899, 0x778899aa, 0x8899aabb,
};

/* 32-bit: CR3 at 28, EIP 32, EFLAGS 36, EAX 40..., ES 72, CS, SS, DS, FS, GS, LDT 96. */
static inline void tss_write_32(const struct kvm_sregs *sregs, uint8_t *tss)
{
	unsigned int i;

	emu_put(tss, 28, sregs->cr3, 4);
	emu_put(tss, 32, EMU_GPA + NEW_CODE, 4);
	emu_put(tss, 36, NEW_FLAGS, 4);
	memcpy(tss + 40, new_regs, sizeof(new_regs));
	for (i = 0; i < 6; i++)
		emu_put(tss, 72 + i * 4, i == 1 ? SEL_CODE32 : SEL_DATA, 4);
	emu_put(tss, 96, 0, 4);
	emu_put(tss, 100, 0x680000, 4);
}

/* What a 16-bit TSS has as CS and as SS, DS and ES. */
static inline void task_segments_put(uint8_t *gdt)
{
	emu_put(gdt, SEL_FREE + 16, 0x00009b000000ffff | (uint64_t)EMU_GPA << 16, 8);
	emu_put(gdt, SEL_FREE + 24, 0x000093000000ffff | (uint64_t)EMU_GPA << 16, 8);
}

/* 16-bit: IP at 14, FLAGS 16, AX 18..., ES 34, CS, SS, DS, LDT 42. The code runs with a base of EMU_GPA. */
static inline void tss_write_16(uint8_t *tss)
{
	unsigned int i;

	emu_put(tss, 14, NEW_CODE, 2);
	emu_put(tss, 16, NEW_FLAGS, 2);
	for (i = 0; i < 8; i++)
		emu_put(tss, 18 + i * 2, i == 4 ? NEW_STACK : new_regs[i], 2);
	for (i = 0; i < 4; i++)
		emu_put(tss, 34 + i * 2, i == 1 ? SEL_FREE + 16 : SEL_FREE + 24, 2);
	emu_put(tss, 42, 0, 2);
}

#endif

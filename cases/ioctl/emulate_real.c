/* SPDX-License-Identifier: MIT */
/*
 * Software interrupts, IRET and segment loads of real mode by KVM's emulator, and what virtual-8086 mode refuses or
 * does at each IOPL.
 *
 * Can break: the pushed IP of INT that of the instruction; IF and TF not cleared; INTO without OF; IRET with an upper
 * half in EIP; flags that real mode's IRET must not take; a vector beyond the IVT's limit; POPF in virtual-8086 mode.
 * Source: APM vol. 3, INT, INTO, IRET, PUSHF, POPF; vol. 2, 8.6, 8.9 (virtual-8086).
 */
#include "cases/ioctl/emulate.h"

EMU(interrupt, WIDTH_(16) INSN_("int $0x21") INSN_("int3") INSN_(".byte 0xcd, 0x03"))
EMU(interrupt_high, WIDTH_(16) INSN_("int $0xff") INSN_("int $0x80"))
EMU(into, WIDTH_(16) INSN_("into"))
EMU(iretw, WIDTH_(16) INSN_("iretw"))
EMU(iretl, WIDTH_(16) INSN_("iretl"))
EMU(popf_vm86, WIDTH_(16) INSN_("popfw") INSN_("popfl"))
EMU(pushf_vm86, WIDTH_(16) INSN_("pushfw") INSN_("pushfl"))
EMU(sregs, WIDTH_(16) INSN_("movw %ax, %ds") INSN_("movw %ax, %es") INSN_("movw %ax, %fs") INSN_("popw %es") INSN_("pushw %ds")
    INSN_("lesw (%di), %ax") INSN_("ldsw (%di), %ax") INSN_("lssw 4(%di), %cx") INSN_("lfsl (%di), %edx") INSN_("movw %ds, (%di)"))
EMU(moves, WIDTH_(16) INSN_("movw (%di), %ax") INSN_("movl %eax, (%di)") INSN_("rep movsb") INSN_("pushal") INSN_("callw *%ax")
    INSN_("xlat") INSN_("lcallw $0x2010, $0x810") INSN_("loop .+0x12") INSN_("movl %ss:2(%bp), %eax"))

#define FRAME_16(flags_) .memory_in = { BYTES(EMU_STACK, 2, 0x900), BYTES(EMU_STACK + 2, 2, EMU_GPA >> 4), BYTES(EMU_STACK + 4, 2, flags_) }
#define FRAME_32(ip_, flags_) .memory_in = { BYTES(EMU_STACK, 4, ip_), BYTES(EMU_STACK + 4, 4, 0x55550000 | EMU_GPA >> 4), \
	BYTES(EMU_STACK + 8, 4, flags_) }
#define VM86 .modes = PROT32, .env = ENV_VM86
#define SELECTORS .in = { REG(RAX, 0x1234), REG(RCX, 3), REG(RBP, 0x4800) }, \
	.memory_in = { BYTES(EMU_DATA, 8, 0x2000432100018765), BYTES(EMU_STACK, 2, 0x4321) }

#define SOFTWARE_KNOWN .known = { .finding = "0712-bochs-exitintinfo-software-interrupt", .targets = "lab-svm-bochs" }

static const struct emu_row rows[] = {
	{ .label = "int", .modes = REAL16, EMU_OF(interrupt), SOFTWARE_KNOWN },
	{ .label = "int_flags", .modes = REAL16, EMU_OF(interrupt), SOFTWARE_KNOWN,
	  .flags_in = X86_EFLAGS_IF | X86_EFLAGS_AC | EMU_IOPL(3) | DF },
	/* Where a vector with a sign would lead to, there are HLTs. */
	{ .label = "int_high", .modes = REAL16, EMU_OF(interrupt_high), .known = { .finding = "0707-emulated-int-vector-sign" },
	  .memory_in = { BYTES(EMU_IDT - 4, 4, EMU_GPA << 12 | 0x100), BYTES(EMU_IDT - 512, 4, EMU_GPA << 12 | 0x200) } },
	{ .label = "into", .modes = REAL16, EMU_OF(into), SOFTWARE_KNOWN },
	{ .label = "iret", .modes = REAL16, EMU_OF(iretw), FRAME_16(0x7ed5) },
	{ .label = "iret_clears", .modes = REAL16, EMU_OF(iretw), FRAME_16(0), .flags_in = X86_EFLAGS_IF | EMU_IOPL(3) },
	{ .label = "iret_32", .modes = REAL16, EMU_OF(iretl), FRAME_32(0x900, 0x00247cd7) },
	{ .label = "iret_32_high", .modes = REAL16, EMU_OF(iretl), FRAME_32(0x10900, 2), .no_native = true, WANT_FAULT(GP_VECTOR, 0) },
	{ .label = "sregs", .modes = REAL16, EMU_OF(sregs), SELECTORS },

	{ .label = "vm86_sregs", VM86, EMU_OF(sregs), SELECTORS },
	{ .label = "vm86_moves", VM86, EMU_OF(moves), SELECTORS },
	{ .label = "vm86_pushf", VM86, EMU_OF(pushf_vm86), .flags_in = EMU_IOPL(3) },
	{ .label = "vm86_popf", VM86, EMU_OF(popf_vm86), .flags_in = EMU_IOPL(3), .memory_in = { BYTES(EMU_STACK, 4, 0x00067ed7) } },
	{ .label = "vm86_pushf_iopl", VM86, EMU_OF(pushf_vm86), .known = { .finding = "0706-emulated-pushf-vm86" }, WANT_FAULT(GP_VECTOR, 0) },
	{ .label = "vm86_popf_iopl", VM86, EMU_OF(popf_vm86), WANT_FAULT(GP_VECTOR, 0) },
};

CASE(emulate_real, .says = "interrupts, returns and segments of real and virtual-8086 mode by KVM's emulator are the CPU's",
     .modes = REAL16 | PROT32, .needs = EMU_NEEDS, .rows = ROWS(rows))

GUEST(emulate_real)
{
}

HOST(emulate_real)
{
	emu_row_run(t, ROW(t, rows));
}

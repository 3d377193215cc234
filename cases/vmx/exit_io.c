/* SPDX-License-Identifier: MIT */
/*
 * Ports in L2: every access exits, or those of the bitmaps, with size, direction, form and port in the qualification.
 * What L1 does not want reaches user space as if there were no L1.
 *
 * Can break: the second bitmap, a bit of a wide access beyond the first, the access that wraps around at 64 Ki, string
 * forms.
 * Source: SDM vol. 3C, 25.6.4, 26.1.3, tables 28-5 and 28-12.
 */
#include "cases/vmx/l2.h"

L2(in_imm, "in $0x80, %al")
L2(in_imm32, "in $0x7f, %eax")
L2(in8, "in %dx, %al")
L2(in16, "in %dx, %ax")
L2(in32, "in %dx, %eax")
L2(out_imm, "out %al, $0x80")
L2(out_imm16, "out %ax, $0x81")
L2(out8, "out %al, %dx")
L2(out16, "out %ax, %dx")
L2(out32, "out %eax, %dx")
L2(insb, "insb")
L2(insl, "insl")
L2(rep_insw, "rep insw")
L2(outsb, "outsb")
L2(outsl_gs, "outsl %gs:(%rsi), %dx")
L2(rep_outsw, "rep outsw")
L2(rep_outsb_32, "addr32 rep outsb")

#define IN (1u << 3)
#define STRING (1u << 4)
#define REP (1u << 5)
#define IMMEDIATE (1u << 6)
#define PORT(port_) ((uint32_t)(port_) << 16)
#define BYTES(size_) ((size_) - 1)

/* Port numbers are bits; those from 0x8000 on lie in the second page, right behind the first. */
#define CATCH(name_, port_)								\
	static void name_(void) { vmx_use_io_bitmaps(); vmx.io_bitmaps[(port_) / 8] |= 1u << (port_) % 8; }
CATCH(catch_80, 0x80)
CATCH(catch_0, 0)
CATCH(catch_7fff, 0x7fff)
CATCH(catch_8000, 0x8000)
CATCH(catch_ffff, 0xffff)

static void catch_all_but_80(void)
{
	vmx_use_io_bitmaps();
	memset(vmx.io_bitmaps, 0xff, 2 * 4096);
	vmx.io_bitmaps[0x80 / 8] = 0xfe;
}

#define ALL .edits = { VMCS_SET(PROC_CONTROLS, PROC_UNCONDITIONAL_IO_EXITING) }
#define EXITS(label_, name_, qualification_, ...)					\
	{ L2_NAMED(label_, name_), .exit.reason = EXIT_REASON_IO_INSTRUCTION, .exit.qualification = qualification_, \
	  ##__VA_ARGS__ }
#define DX(port_) .regs.rdx = 0x77770000 | (port_)
#define STRINGS(label_, name_, qualification_, info_, linear_, ...)			\
	EXITS(label_, name_, STRING | (qualification_) | PORT(0x80), ALL, DX(0x80), .needs = "vmx:ins_outs_info", \
	      .exit.insn_info = info_, .exit.guest_linear = linear_, ##__VA_ARGS__)
/* User space sees it. */
#define LEAVES_IN(label_, name_, port_, size_, ...)					\
	{ L2_NAMED(label_, name_), .has_no_exit = true, DX(port_), KVM_SEES(EXIT_REASON_IO_INSTRUCTION), \
	  .pio = { .direction = KVM_EXIT_IO_IN, .port = port_, .size = size_, .count = 1 }, ##__VA_ARGS__ }
#define LEAVES_OUT(label_, name_, port_, size_, data_, ...)				\
	{ L2_NAMED(label_, name_), .has_no_exit = true, DX(port_), KVM_SEES(EXIT_REASON_IO_INSTRUCTION), \
	  .regs.rax = data_,								\
	  .pio = { .direction = KVM_EXIT_IO_OUT, .port = port_, .size = size_, .count = 1, .data = data_ }, \
	  ##__VA_ARGS__ }

static const struct l2_row rows[] = {
	EXITS("in_imm", in_imm, BYTES(1) | IN | IMMEDIATE | PORT(0x80), ALL),
	EXITS("in_imm32", in_imm32, BYTES(4) | IN | IMMEDIATE | PORT(0x7f), ALL),
	EXITS("in8", in8, BYTES(1) | IN | PORT(0xffff), ALL, DX(0xffff)),
	EXITS("in16", in16, BYTES(2) | IN | PORT(0x8001), ALL, DX(0x8001)),
	EXITS("in32", in32, BYTES(4) | IN | PORT(0xcf8), ALL, DX(0xcf8)),
	EXITS("out_imm", out_imm, BYTES(1) | IMMEDIATE | PORT(0x80), ALL),
	EXITS("out_imm16", out_imm16, BYTES(2) | IMMEDIATE | PORT(0x81), ALL),
	EXITS("out8", out8, BYTES(1) | PORT(0), ALL, DX(0)),
	EXITS("out16", out16, BYTES(2) | PORT(0x3d4), ALL, DX(0x3d4)),
	EXITS("out32", out32, BYTES(4) | PORT(0xfffc), ALL, DX(0xfffc)),
	STRINGS("insb", insb, BYTES(1) | IN, ADDRESS_64, 0x300010, .regs.rdi = 0x300010),
	STRINGS("insl", insl, BYTES(4) | IN, ADDRESS_64, 0x300010, .regs.rdi = 0x300010),
	STRINGS("rep_insw", rep_insw, BYTES(2) | IN | REP, ADDRESS_64, 0x300010, .regs.rdi = 0x300010, .regs.rcx = 3),
	STRINGS("outsb", outsb, BYTES(1), ADDRESS_64 | SEGMENT(DS), 0x300020, .regs.rsi = 0x300020),
	STRINGS("outsl_gs", outsl_gs, BYTES(4), ADDRESS_64 | SEGMENT(GS), ABI_GPA + 0x20, .regs.rsi = 0x20),
	STRINGS("rep_outsw", rep_outsw, BYTES(2) | REP, ADDRESS_64 | SEGMENT(DS), 0x300020, .regs.rsi = 0x300020,
		.regs.rcx = 3),
	STRINGS("rep_outsb_32", rep_outsb_32, BYTES(1) | REP, ADDRESS_32 | SEGMENT(DS), 0x300020,
		.regs.rsi = 0x7700300020, .regs.rcx = 3),

	LEAVES_IN("in_off", in16, 0x80, 2),
	LEAVES_OUT("out_off", out32, 0x80, 4, 0x11223344),
	EXITS("bitmap", in8, BYTES(1) | IN | PORT(0x80), .prepare = catch_80, DX(0x80)),
	LEAVES_IN("bitmap_below", in8, 0x7f, 1, .prepare = catch_80),
	LEAVES_IN("bitmap_above", in8, 0x81, 1, .prepare = catch_80),
	LEAVES_OUT("bitmap_all_but", out8, 0x80, 1, 0x5a, .prepare = catch_all_but_80),
	EXITS("bitmap_second_byte", out16, BYTES(2) | PORT(0x7f), .prepare = catch_80, DX(0x7f)),
	EXITS("bitmap_fourth_byte", out32, BYTES(4) | PORT(0x7d), .prepare = catch_80, DX(0x7d)),
	LEAVES_OUT("bitmap_before", out32, 0x7c, 4, 0x11223344, .prepare = catch_80),
	EXITS("bitmap_first", out8, BYTES(1) | PORT(0), .prepare = catch_0, DX(0)),
	EXITS("bitmap_a_last", in8, BYTES(1) | IN | PORT(0x7fff), .prepare = catch_7fff, DX(0x7fff)),
	EXITS("bitmap_b_first", in8, BYTES(1) | IN | PORT(0x8000), .prepare = catch_8000, DX(0x8000)),
	EXITS("bitmap_a_to_b", in16, BYTES(2) | IN | PORT(0x7fff), .prepare = catch_8000, DX(0x7fff)),
	EXITS("bitmap_b_last", out8, BYTES(1) | PORT(0xffff), .prepare = catch_ffff, DX(0xffff)),
	/* Around the end of the ports: exits whatever the bits are. */
	EXITS("bitmap_wraps", in16, BYTES(2) | IN | PORT(0xffff), .prepare = vmx_use_io_bitmaps, DX(0xffff)),
	EXITS("bitmap_wraps_32", out32, BYTES(4) | PORT(0xfffd), .prepare = vmx_use_io_bitmaps, DX(0xfffd)),
	/* Reads of what is no memory are all ones. */
	EXITS("bitmap_a_no_memory", in8, BYTES(1) | IN | PORT(0x80), .prepare = vmx_use_io_bitmaps, DX(0x80),
	      .edits = { VMCS_VALUE(IO_BITMAP_A, MMIO_GPA) }),
	EXITS("bitmap_b_no_memory", out8, BYTES(1) | PORT(0x9000), .prepare = vmx_use_io_bitmaps, DX(0x9000),
	      .edits = { VMCS_VALUE(IO_BITMAP_B, MMIO_GPA) }),
	/* The bitmaps make "unconditional" void. */
	LEAVES_IN("bitmap_beats_all", in8, 0x80, 1, .prepare = vmx_use_io_bitmaps, ALL),
};

CASE(exit_io, .says = "a port access of L2 exits to L1 by control and bitmap, or to user space", .modes = LONG64,
     .needs = "vendor:intel nested", .rows = ROWS(rows))

GUEST(exit_io)
{
	l2_row_run(GUEST_ROW(rows));
}

HOST(exit_io)
{
	l2_row_host(t, ROW(t, rows));
}

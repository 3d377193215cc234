/* SPDX-License-Identifier: MIT */
/*
 * IN and OUT leave KVM_RUN once each, naming the port, the operand's size and the data; afterwards RIP is behind the
 * instruction, RAX has what the port answered and nothing else has changed.
 *
 * The port of the DX forms is DX, not EDX or RDX. An 8- or 16-bit IN keeps the rest of RAX; a 32-bit IN clears bits
 * 63:32, as every write of a 32-bit register does.
 *
 * Can break: size taken from the wrong bits of EXITINFO1; the port sign- or zero-extended from the immediate; RAX
 * replaced instead of merged; the instruction's length wrong for a form with prefixes, or its completion run twice.
 * Source: APM vol. 2, 15.10.2; APM vol. 3, IN, OUT; APM vol. 1, 3.1.2; KVM API, KVM_EXIT_IO.
 */
#include "cases/ioctl/blob.h"

BLOB(out8_imm, "out %al, $0x80")
BLOB(out16_imm, "out %ax, $0x80")
BLOB(out32_imm, "out %eax, $0x80")
BLOB(out8_imm_0, "out %al, $0")
BLOB(out32_imm_ff, "out %eax, $0xff")
BLOB(out8_dx, "out %al, %dx")
BLOB(out16_dx, "out %ax, %dx")
BLOB(out32_dx, "out %eax, %dx")
BLOB(in8_imm, "in $0x80, %al")
BLOB(in16_imm, "in $0x80, %ax")
BLOB(in32_imm, "in $0x80, %eax")
BLOB(in8_imm_ff, "in $0xff, %al")
BLOB(in8_dx, "in %dx, %al")
BLOB(in16_dx, "in %dx, %ax")
BLOB(in32_dx, "in %dx, %eax")
BLOB(out_segment_prefix, ".byte 0x2e, 0x3e\n\tout %al, %dx")
BLOB(in_rep_prefix, ".byte 0xf3\n\tin %dx, %al")
BLOB(out_address_prefix, ".byte 0x67\n\tout %eax, %dx")
BLOB(in_prefix_twice, ".byte 0x66, 0x66, 0xed")
BLOB(out_back_to_back, "out %al, $0x10\n\tout %ax, $0x11\n\tout %eax, $0x12\n\tout %al, %dx\n\tout %ax, %dx\n\t"
     "out %eax, %dx\n\tout %al, $0x10\n\tout %al, $0x10")
BLOB(in_then_out, "in $0x10, %al\n\tout %al, $0x11\n\tin %dx, %ax\n\tout %ax, %dx\n\tin $0x12, %eax\n\t"
     "out %eax, $0x13")
BLOB(round_trip, "in $0x20, %eax\n\tnot %eax\n\tout %eax, $0x21")

/* 66 66 ED: 16 bits where the default is 32 (a prefix counts once), 32 where it is 16. */
static const struct blob_row rows[] = {
	{ .label = "out8_imm", BLOB_OF(out8_imm), .steps = { OUT(0x80, 1, 0xa8) } },
	{ .label = "out16_imm", BLOB_OF(out16_imm), .steps = { OUT(0x80, 2, 0xa7a8) } },
	{ .label = "out32_imm", BLOB_OF(out32_imm), .steps = { OUT(0x80, 4, 0xa5a6a7a8) } },
	{ .label = "out8_port_0", BLOB_OF(out8_imm_0), .steps = { OUT(0, 1, 0xa8) } },
	{ .label = "out32_port_ff", BLOB_OF(out32_imm_ff), .steps = { OUT(0xff, 4, 0xa5a6a7a8) } },
	{ .label = "out8_dx", BLOB_OF(out8_dx), .steps = { OUT(0xd7d8, 1, 0xa8) } },
	{ .label = "out16_dx", BLOB_OF(out16_dx), .steps = { OUT(0xd7d8, 2, 0xa7a8) } },
	{ .label = "out32_dx", BLOB_OF(out32_dx), .steps = { OUT(0xd7d8, 4, 0xa5a6a7a8) } },
	{ .label = "out8_dx_0", BLOB_OF(out8_dx), .in = { REG(RDX, 0xffffffffffff0000) }, .steps = { OUT(0, 1, 0xa8) } },
	{ .label = "out8_dx_100", BLOB_OF(out8_dx), .in = { REG(RDX, 0x100) }, .steps = { OUT(0x100, 1, 0xa8) } },
	{ .label = "out8_dx_7fff", BLOB_OF(out8_dx), .in = { REG(RDX, 0x7fff) }, .steps = { OUT(0x7fff, 1, 0xa8) } },
	{ .label = "out8_dx_8000", BLOB_OF(out8_dx), .in = { REG(RDX, 0x18000) }, .steps = { OUT(0x8000, 1, 0xa8) } },
	{ .label = "out8_dx_ffff", BLOB_OF(out8_dx), .in = { REG(RDX, 0x1ffff) }, .steps = { OUT(0xffff, 1, 0xa8) } },
	{ .label = "out16_dx_fffe", BLOB_OF(out16_dx), .in = { REG(RDX, 0xfffe) },
	  .steps = { OUT(0xfffe, 2, 0xa7a8) } },
	{ .label = "out32_dx_fffc", BLOB_OF(out32_dx), .in = { REG(RDX, 0xfffc) },
	  .steps = { OUT(0xfffc, 4, 0xa5a6a7a8) } },
	{ .label = "out16_odd_port", BLOB_OF(out16_dx), .in = { REG(RDX, 0x3f9) }, .steps = { OUT(0x3f9, 2, 0xa7a8) } },
	{ .label = "in8_imm", BLOB_OF(in8_imm), .steps = { IN(0x80, 1, 0x5c) },
	  .out = { REG(RAX, 0xa1a2a3a4a5a6a75c) } },
	{ .label = "in16_imm", BLOB_OF(in16_imm), .steps = { IN(0x80, 2, 0x5c5d) },
	  .out = { REG(RAX, 0xa1a2a3a4a5a65c5d) } },
	{ .label = "in32_imm", BLOB_OF(in32_imm), .steps = { IN(0x80, 4, 0x8c5d5e5f) }, .out = { REG(RAX, 0x8c5d5e5f) } },
	{ .label = "in8_port_ff", BLOB_OF(in8_imm_ff), .steps = { IN(0xff, 1, 0) }, .out = { REG(RAX, 0xa1a2a3a4a5a6a700) } },
	{ .label = "in8_dx", BLOB_OF(in8_dx), .steps = { IN(0xd7d8, 1, 0xff) }, .out = { REG(RAX, 0xa1a2a3a4a5a6a7ff) } },
	{ .label = "in16_dx", BLOB_OF(in16_dx), .steps = { IN(0xd7d8, 2, 0x8000) },
	  .out = { REG(RAX, 0xa1a2a3a4a5a68000) } },
	{ .label = "in32_dx", BLOB_OF(in32_dx), .steps = { IN(0xd7d8, 4, 0) }, .out = { REG(RAX, 0) } },
	{ .label = "in32_dx_all_ones", BLOB_OF(in32_dx), .steps = { IN(0xd7d8, 4, 0xffffffff) },
	  .out = { REG(RAX, 0xffffffff) } },
	{ .label = "in8_dx_ffff", BLOB_OF(in8_dx), .in = { REG(RDX, 0xffffffff) }, .steps = { IN(0xffff, 1, 0x11) },
	  .out = { REG(RAX, 0xa1a2a3a4a5a6a711) } },
	{ .label = "in16_dx_fffe", BLOB_OF(in16_dx), .in = { REG(RDX, 0xfffe) }, .steps = { IN(0xfffe, 2, 0x1122) },
	  .out = { REG(RAX, 0xa1a2a3a4a5a61122) } },
	{ .label = "in32_dx_fffc", BLOB_OF(in32_dx), .in = { REG(RDX, 0xfffc) }, .steps = { IN(0xfffc, 4, 0x11223344) },
	  .out = { REG(RAX, 0x11223344) } },
	{ .label = "out_segment_prefix", BLOB_OF(out_segment_prefix), .steps = { OUT(0xd7d8, 1, 0xa8) } },
	{ .label = "in_rep_prefix", BLOB_OF(in_rep_prefix), .steps = { IN(0xd7d8, 1, 0x77) },
	  .out = { REG(RAX, 0xa1a2a3a4a5a6a777) } },
	{ .label = "out_address_prefix", BLOB_OF(out_address_prefix), .steps = { OUT(0xd7d8, 4, 0xa5a6a7a8) } },
	{ .label = "in_prefix_twice", .modes = PROT32 | LONG64, BLOB_OF(in_prefix_twice),
	  .steps = { IN(0xd7d8, 2, 0x1234) }, .out = { REG(RAX, 0xa1a2a3a4a5a61234) } },
	{ .label = "in_prefix_twice_16", .modes = REAL16, BLOB_OF(in_prefix_twice),
	  .steps = { IN(0xd7d8, 4, 0x12345678) }, .out = { REG(RAX, 0x12345678) } },
	{ .label = "out_back_to_back", BLOB_OF(out_back_to_back),
	  .steps = { OUT(0x10, 1, 0xa8), OUT(0x11, 2, 0xa7a8), OUT(0x12, 4, 0xa5a6a7a8), OUT(0xd7d8, 1, 0xa8),
		     OUT(0xd7d8, 2, 0xa7a8), OUT(0xd7d8, 4, 0xa5a6a7a8), OUT(0x10, 1, 0xa8), OUT(0x10, 1, 0xa8) } },
	{ .label = "in_then_out", BLOB_OF(in_then_out),
	  .steps = { IN(0x10, 1, 0x81), OUT(0x11, 1, 0x81), IN(0xd7d8, 2, 0x8283), OUT(0xd7d8, 2, 0x8283),
		     IN(0x12, 4, 0x84858687), OUT(0x13, 4, 0x84858687) },
	  .out = { REG(RAX, 0x84858687) } },
	{ .label = "round_trip", BLOB_OF(round_trip), .steps = { IN(0x20, 4, 0x01020304), OUT(0x21, 4, 0xfefdfcfb) },
	  .out = { REG(RAX, 0xfefdfcfb) } },
};

CASE(pio, .says = "IN and OUT exit once, with port, size and data, and complete on re-entry",
     .modes = REAL16 | PROT32 | LONG64, .rows = ROWS(rows))

GUEST(pio)
{
}

HOST(pio)
{
	blob_run(t, ROW(t, rows));
}

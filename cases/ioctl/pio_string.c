/* SPDX-License-Identifier: MIT */
/*
 * INS and OUTS: one exit for each element that is not read ahead, the data at ES:rDI and seg:rSI, both directions, and
 * the counts and pointers as wide as the address size.
 *
 * KVM emulates them. The element moves between memory and the port only once, also when it crosses a page or when its
 * memory is itself MMIO; no byte beside it changes. REP with a count of zero does nothing at all. A pointer or count is
 * written in the address size: 16 bits keep the rest of the register, 32 bits clear bits 63:32. IN data is in memory
 * only when the run after the exit is over.
 *
 * Can break: DF forgotten or taken with the wrong step; the segment override ignored for OUTS, or obeyed for INS; rCX
 * decremented once too often at the end of REP; pointers written in the operand's instead of the address's size.
 * Source: APM vol. 3, INS, OUTS and 1.2.6 (REP); APM vol. 1, 3.1.2 and 4.7; KVM API, KVM_EXIT_IO.
 */
#include "cases/ioctl/blob.h"

BLOB(outsb, "outsb")
BLOB(outsw, "outsw")
BLOB(outsl, "outsl")
BLOB(insb, "insb")
BLOB(insw, "insw")
BLOB(insl, "insl")
BLOB(rep_outsb, "rep outsb")
BLOB(rep_outsw, "rep outsw")
BLOB(rep_outsl, "rep outsl")
BLOB(rep_insb, "rep insb")
BLOB(rep_insl, "rep insl")
BLOB(repne_outsb, ".byte 0xf2, 0x6e")
BLOB(fs_outsb, ".byte 0x64, 0x6e")
BLOB(es_outsb, ".byte 0x26, 0x6e")
BLOB(ss_outsw, ".byte 0x36\n\toutsw")
BLOB(fs_insb, ".byte 0x64, 0x6c")
BLOB(addr_fs_rep_outsb, ".byte 0x67, 0x64, 0xf3, 0x6e")
BLOB(addr_fs_outsb, ".byte 0x67, 0x64, 0x6e")
BLOB(addr_rep_outsb, ".byte 0x67, 0xf3, 0x6e")
BLOB(addr_insb, ".byte 0x67, 0x6c")
BLOB(addr_rep_insb, ".byte 0x67, 0xf3, 0x6c")

#define PORT 0xd7d8
/* An element that INS writes, at ES:rDI. */
#define TO_RAM .es_ram = true
#define FROM_RAM .ds_ram = true
#define DOWN .flags_in = DF | CF

static const struct blob_row rows[] = {
	{ .label = "outsb", BLOB_OF(outsb), FROM_RAM, .ram_in = { BYTES(0x840, 1, 0x91) },
	  .steps = { OUT(PORT, 1, 0x91) }, .out = { PTR(RSI, RAM, 0x841) } },
	{ .label = "outsw", BLOB_OF(outsw), FROM_RAM, .ram_in = { BYTES(0x840, 2, 0x9192) },
	  .steps = { OUT(PORT, 2, 0x9192) }, .out = { PTR(RSI, RAM, 0x842) } },
	{ .label = "outsl", BLOB_OF(outsl), FROM_RAM, .ram_in = { BYTES(0x840, 4, 0x91929394) },
	  .steps = { OUT(PORT, 4, 0x91929394) }, .out = { PTR(RSI, RAM, 0x844) } },
	{ .label = "outsb_down", BLOB_OF(outsb), FROM_RAM, DOWN, .ram_in = { BYTES(0x840, 1, 0x91) },
	  .steps = { OUT(PORT, 1, 0x91) }, .out = { PTR(RSI, RAM, 0x83f) } },
	{ .label = "outsw_down", BLOB_OF(outsw), FROM_RAM, DOWN, .ram_in = { BYTES(0x840, 2, 0x9192) },
	  .steps = { OUT(PORT, 2, 0x9192) }, .out = { PTR(RSI, RAM, 0x83e) } },
	{ .label = "outsl_down", BLOB_OF(outsl), FROM_RAM, DOWN, .ram_in = { BYTES(0x840, 4, 0x91929394) },
	  .steps = { OUT(PORT, 4, 0x91929394) }, .out = { PTR(RSI, RAM, 0x83c) } },
	{ .label = "insb", BLOB_OF(insb), TO_RAM, .in = { PTR(RDI, RAM, 0x900) }, .steps = { IN(PORT, 1, 0x5c) },
	  .out = { PTR(RDI, RAM, 0x901) }, .ram_out = { BYTES(0x900, 1, 0x5c) } },
	{ .label = "insw", BLOB_OF(insw), TO_RAM, .in = { PTR(RDI, RAM, 0x900) }, .steps = { IN(PORT, 2, 0x5c5d) },
	  .out = { PTR(RDI, RAM, 0x902) }, .ram_out = { BYTES(0x900, 2, 0x5c5d) } },
	{ .label = "insl", BLOB_OF(insl), TO_RAM, .in = { PTR(RDI, RAM, 0x900) },
	  .steps = { IN(PORT, 4, 0x5c5d5e5f) }, .out = { PTR(RDI, RAM, 0x904) },
	  .ram_out = { BYTES(0x900, 4, 0x5c5d5e5f) } },
	{ .label = "insb_down", BLOB_OF(insb), TO_RAM, DOWN, .in = { PTR(RDI, RAM, 0x900) },
	  .steps = { IN(PORT, 1, 0x5c) }, .out = { PTR(RDI, RAM, 0x8ff) }, .ram_out = { BYTES(0x900, 1, 0x5c) } },
	{ .label = "insw_down", BLOB_OF(insw), TO_RAM, DOWN, .in = { PTR(RDI, RAM, 0x900) },
	  .steps = { IN(PORT, 2, 0x5c5d) }, .out = { PTR(RDI, RAM, 0x8fe) }, .ram_out = { BYTES(0x900, 2, 0x5c5d) } },
	{ .label = "insl_down", BLOB_OF(insl), TO_RAM, DOWN, .in = { PTR(RDI, RAM, 0x900) },
	  .steps = { IN(PORT, 4, 0x5c5d5e5f) }, .out = { PTR(RDI, RAM, 0x8fc) },
	  .ram_out = { BYTES(0x900, 4, 0x5c5d5e5f) } },

	/* Elements across a page, whose first byte is the last of one. */
	{ .label = "outsw_page", BLOB_OF(outsw), FROM_RAM, .in = { PTR(RSI, RAM, 0xfff) },
	  .ram_in = { BYTES(0xfff, 2, 0x9192) }, .steps = { OUT(PORT, 2, 0x9192) }, .out = { PTR(RSI, RAM, 0x1001) } },
	{ .label = "outsl_page", BLOB_OF(outsl), FROM_RAM, .in = { PTR(RSI, RAM, 0x1ffd) },
	  .ram_in = { BYTES(0x1ffd, 4, 0x91929394) }, .steps = { OUT(PORT, 4, 0x91929394) },
	  .out = { PTR(RSI, RAM, 0x2001) } },
	{ .label = "insw_page", BLOB_OF(insw), TO_RAM, .in = { PTR(RDI, RAM, 0xfff) }, .steps = { IN(PORT, 2, 0x5c5d) },
	  .out = { PTR(RDI, RAM, 0x1001) }, .ram_out = { BYTES(0xfff, 2, 0x5c5d) } },
	{ .label = "insl_page", BLOB_OF(insl), TO_RAM, .in = { PTR(RDI, RAM, 0x1ffe) },
	  .steps = { IN(PORT, 4, 0x5c5d5e5f) }, .out = { PTR(RDI, RAM, 0x2002) },
	  .ram_out = { BYTES(0x1ffe, 4, 0x5c5d5e5f) } },

	/* REP: an exit for each element that leaves; the count's last element is the last. */
	{ .label = "rep_outsb", BLOB_OF(rep_outsb), FROM_RAM, .in = { REG(RCX, 3) },
	  .ram_in = { BYTES(0x840, 4, 0x94939291) },
	  .steps = { OUT(PORT, 1, 0x91), OUT(PORT, 1, 0x92), OUT(PORT, 1, 0x93) },
	  .out = { REG(RCX, 0), PTR(RSI, RAM, 0x843) } },
	{ .label = "rep_outsw_down", BLOB_OF(rep_outsw), FROM_RAM, DOWN, .in = { REG(RCX, 2) },
	  .ram_in = { BYTES(0x83e, 4, 0x91929394) }, .steps = { OUT(PORT, 2, 0x9192), OUT(PORT, 2, 0x9394) },
	  .out = { REG(RCX, 0), PTR(RSI, RAM, 0x83c) } },
	{ .label = "rep_outsl", BLOB_OF(rep_outsl), FROM_RAM, .in = { REG(RCX, 2) },
	  .ram_in = { BYTES(0x840, 8, 0x9192939495969798) },
	  .steps = { OUT(PORT, 4, 0x95969798), OUT(PORT, 4, 0x91929394) },
	  .out = { REG(RCX, 0), PTR(RSI, RAM, 0x848) } },
	{ .label = "rep_outsl_page", BLOB_OF(rep_outsl), FROM_RAM, .in = { REG(RCX, 2), PTR(RSI, RAM, 0xffa) },
	  .ram_in = { BYTES(0xffa, 8, 0x9192939495969798) },
	  .steps = { OUT(PORT, 4, 0x95969798), OUT(PORT, 4, 0x91929394) },
	  .out = { REG(RCX, 0), PTR(RSI, RAM, 0x1002) } },
	{ .label = "repne_outsb", BLOB_OF(repne_outsb), FROM_RAM, .in = { REG(RCX, 2) }, .flags_in = ZF,
	  .ram_in = { BYTES(0x840, 2, 0x9291) }, .steps = { OUT(PORT, 1, 0x91), OUT(PORT, 1, 0x92) },
	  .out = { REG(RCX, 0), PTR(RSI, RAM, 0x842) } },
	{ .label = "rep_insb_down", BLOB_OF(rep_insb), TO_RAM, DOWN, .in = { REG(RCX, 1), PTR(RDI, RAM, 0x900) },
	  .steps = { IN(PORT, 1, 0x5c) }, .out = { REG(RCX, 0), PTR(RDI, RAM, 0x8ff) },
	  .ram_out = { BYTES(0x900, 1, 0x5c) } },
	{ .label = "rep_insl_once", BLOB_OF(rep_insl), TO_RAM, .in = { REG(RCX, 1), PTR(RDI, RAM, 0x900) },
	  .steps = { IN(PORT, 4, 0x5c5d5e5f) }, .out = { REG(RCX, 0), PTR(RDI, RAM, 0x904) },
	  .ram_out = { BYTES(0x900, 4, 0x5c5d5e5f) } },
	{ .label = "rep_outsb_none", BLOB_OF(rep_outsb), FROM_RAM, .in = { REG(RCX, 0) } },
	{ .label = "rep_insl_none", BLOB_OF(rep_insl), TO_RAM, .in = { REG(RCX, 0), PTR(RDI, RAM, 0x900) } },
	{ .label = "rep_outsb_none_16", .modes = REAL16, BLOB_OF(rep_outsb), FROM_RAM, .in = { REG(RCX, 0xc5c60000) } },
	{ .label = "rep_outsb_count_16", .modes = REAL16, BLOB_OF(rep_outsb), FROM_RAM, .in = { REG(RCX, 0xc5c60001) },
	  .ram_in = { BYTES(0x840, 1, 0x91) }, .steps = { OUT(PORT, 1, 0x91) },
	  .out = { REG(RCX, 0xc5c60000), REG(RSI, 0x841) } },
	{ .label = "outsb_wraps_16", .modes = REAL16, BLOB_OF(outsb), FROM_RAM, DOWN, .in = { REG(RSI, 0xabcd0000) },
	  .ram_in = { BYTES(0, 1, 0x91) }, .steps = { OUT(PORT, 1, 0x91) }, .out = { REG(RSI, 0xabcdffff) } },
	{ .label = "insb_wraps_16", .modes = REAL16, BLOB_OF(insb), TO_RAM, DOWN, .in = { REG(RDI, 0xabcd0000) },
	  .steps = { IN(PORT, 1, 0x5c) }, .out = { REG(RDI, 0xabcdffff) }, .ram_out = { BYTES(0, 1, 0x5c) } },

	/* Segments. */
	{ .label = "fs_outsb", BLOB_OF(fs_outsb), .in = { REG(RSI, 0x20) }, .ram_in = { BYTES(0x1020, 1, 0x91) },
	  .steps = { OUT(PORT, 1, 0x91) }, .out = { REG(RSI, 0x21) } },
	{ .label = "es_outsb", BLOB_OF(es_outsb), TO_RAM, .ram_in = { BYTES(0x840, 1, 0x91) },
	  .steps = { OUT(PORT, 1, 0x91) }, .out = { PTR(RSI, RAM, 0x841) } },
	{ .label = "ss_outsw", BLOB_OF(ss_outsw), .ram_in = { BYTES(0x840, 2, 0x9192) },
	  .steps = { OUT(PORT, 2, 0x9192) }, .out = { PTR(RSI, RAM, 0x842) } },
	{ .label = "fs_insb_is_es", BLOB_OF(fs_insb), TO_RAM, .in = { PTR(RDI, RAM, 0x20) },
	  .steps = { IN(PORT, 1, 0x5c) }, .out = { PTR(RDI, RAM, 0x21) }, .ram_out = { BYTES(0x20, 1, 0x5c) } },

	/* Memory that is MMIO: both kinds of exit for one element, in the order of the data's way. */
	{ .label = "insb_to_mmio", BLOB_OF(insb), .steps = { IN(PORT, 1, 0x5c), WR(0x40, 1, 0x5c) },
	  .out = { PTR(RDI, MMIO, 0x41) } },
	{ .label = "insl_to_mmio", BLOB_OF(insl), .steps = { IN(PORT, 4, 0x5c5d5e5f), WR(0x40, 4, 0x5c5d5e5f) },
	  .out = { PTR(RDI, MMIO, 0x44) } },
	{ .label = "outsw_from_mmio", BLOB_OF(outsw), .in = { PTR(RSI, MMIO, 0x50) },
	  .steps = { RD(0x50, 2, 0x6162), OUT(PORT, 2, 0x6162) }, .out = { PTR(RSI, MMIO, 0x52) } },
	{ .label = "rep_outsb_from_mmio", BLOB_OF(rep_outsb), .in = { REG(RCX, 2), PTR(RSI, MMIO, 0x50) },
	  .steps = { RD(0x50, 1, 0x61), OUT(PORT, 1, 0x61), RD(0x51, 1, 0x62), OUT(PORT, 1, 0x62) },
	  .out = { REG(RCX, 0), PTR(RSI, MMIO, 0x52) } },

	/* The other address size: 16 bits in 32-bit code, 32 bits in real mode and in 64-bit code. */
	{ .label = "a16_fs_rep_outsb", .modes = PROT32, BLOB_OF(addr_fs_rep_outsb),
	  .in = { REG(RCX, 0xabcd0002), REG(RSI, 0xabcd0020) }, .ram_in = { BYTES(0x1020, 2, 0x9291) },
	  .steps = { OUT(PORT, 1, 0x91), OUT(PORT, 1, 0x92) }, .out = { REG(RCX, 0xabcd0000), REG(RSI, 0xabcd0022) } },
	{ .label = "a16_fs_outsb_wraps", .modes = PROT32, BLOB_OF(addr_fs_outsb), DOWN, .in = { REG(RSI, 0xabcd0000) },
	  .ram_in = { BYTES(0x1000, 1, 0x91) }, .steps = { OUT(PORT, 1, 0x91) }, .out = { REG(RSI, 0xabcdffff) } },
	{ .label = "a16_rep_outsb_none", .modes = PROT32, BLOB_OF(addr_fs_rep_outsb), .in = { REG(RCX, 0xabcd0000) } },
	{ .label = "a32_rep_outsb_16", .modes = REAL16, BLOB_OF(addr_rep_outsb), FROM_RAM, .in = { REG(RCX, 2) },
	  .ram_in = { BYTES(0x840, 2, 0x9291) }, .steps = { OUT(PORT, 1, 0x91), OUT(PORT, 1, 0x92) },
	  .out = { REG(RCX, 0), REG(RSI, 0x842) } },
	{ .label = "a32_rep_outsb_64", .modes = LONG64, BLOB_OF(addr_rep_outsb),
	  .in = { REG(RCX, 0xffffffff00000002), REG(RSI, 0x1234567800000000 + SCRATCH_GPA) },
	  .ram_in = { BYTES(0, 2, 0x9291) }, .steps = { OUT(PORT, 1, 0x91), OUT(PORT, 1, 0x92) },
	  .out = { REG(RCX, 0), REG(RSI, SCRATCH_GPA + 2) } },
	{ .label = "a32_insb_64", .modes = LONG64, BLOB_OF(addr_insb),
	  .in = { REG(RDI, 0x1234567800000000 + SCRATCH_GPA) }, .steps = { IN(PORT, 1, 0x5c) },
	  .out = { REG(RDI, SCRATCH_GPA + 1) }, .ram_out = { BYTES(0, 1, 0x5c) } },
	{ .label = "a32_rep_insb_64", .modes = LONG64, BLOB_OF(addr_rep_insb),
	  .in = { REG(RCX, 0x8000000000000001), REG(RDI, 0x1234567800000010 + SCRATCH_GPA) },
	  .steps = { IN(PORT, 1, 0x5c) }, .out = { REG(RCX, 0), REG(RDI, SCRATCH_GPA + 0x11) },
	  .ram_out = { BYTES(0x10, 1, 0x5c) } },
};

CASE(pio_string, .says = "INS and OUTS exit for each element and leave memory, pointers and counts right",
     .modes = REAL16 | PROT32 | LONG64, .rows = ROWS(rows))

GUEST(pio_string)
{
}

HOST(pio_string)
{
	blob_run(t, ROW(t, rows));
}

/* SPDX-License-Identifier: MIT */
/*
 * As mmio_form, for the forms that it leaves out: every access of an instruction to memory without a slot is an exit of
 * its own, in the instruction's order, also when both operands lie there, and registers, flags and RAM end right.
 *
 * Can break: the second operand's answer taken for the first one's; a repeated comparison that asks twice for what it
 * has; a stack there; a MMX or SSE move's halves exchanged; an immediate beside a bit offset beyond the operand.
 * Source: APM vol. 3, each instruction's page; KVM API, KVM_EXIT_MMIO.
 */
#include "cases/ioctl/blob.h"

BLOB(movsw, "movsw")
BLOB(movs_back, "movsb\n\tmovsb")
BLOB(cmpsw, "cmpsw")
BLOB(rep_movsw, "rep movsw")
BLOB(rep_stosw, "rep stosw")
BLOB(rep_lodsw, "rep lodsw")
BLOB(repne_cmpsb, "repne cmpsb")
BLOB(repe_scasw, "repe scasw")
BLOB(scasl, "scasl")
BLOB(lock_add, "lock addl %ecx, (%edi)")
BLOB(lock_neg, "lock negb (%edi)")
BLOB(lock_btr, "lock btrl %ecx, (%edi)")
BLOB(lock_btc, "lock btcw $3, (%edi)")
BLOB(lock_xchg, "xchg %cx, (%edi)")
BLOB(xadd8, "xadd %cl, (%edi)")
BLOB(cmpxchg16, "cmpxchg %cx, (%edi)")
BLOB(push16, "pushw (%edi)")
BLOB(cmov16, "cmovnc (%edi), %cx\n\tcmovc (%edi), %dx")
BLOB(setcc, "seta (%edi)\n\tsetbe 1(%edi)")
BLOB(test8, "testb $0x81, (%edi)")
BLOB(movzx16, "movzwl 2(%edi), %ecx")
BLOB(bsr16, "bsr (%edi), %cx")
BLOB(imul3_16, "imul $0x7f, (%edi), %cx")
BLOB(adc16_imm, "adcw $0x1234, (%edi)")
BLOB(sbb8_imm, "sbbb $1, (%edi)")
BLOB(shl16_cl, "shlw %cl, (%edi)")
BLOB(not8, "notb (%edi)")
BLOB(dec32, "decl (%edi)")
BLOB(fnstcw, "fninit\n\tfnstcw (%edi)\n\tfnstsw 2(%edi)")

#define BIT_FLAGS (PF | AF | SF | OF)

static const struct blob_row rows[] = {
	{ .label = "movs_to_mmio", BLOB_OF(movsw), .ds_ram = true, .ram_in = { BYTES(0x840, 2, 0x9192) },
	  .steps = { WR(0x40, 2, 0x9192) }, .out = { PTR(RSI, RAM, 0x842), PTR(RDI, MMIO, 0x42) } },
	{ .label = "movs_to_ram", BLOB_OF(movsw), .es_ram = true, .in = { PTR(RSI, MMIO, 0x40), PTR(RDI, RAM, 0x900) },
	  .steps = { RD(0x40, 2, 0x9394) }, .out = { PTR(RSI, MMIO, 0x42), PTR(RDI, RAM, 0x902) },
	  .ram_out = { BYTES(0x900, 2, 0x9394) } },
	{ .label = "movs_mmio_mmio", BLOB_OF(movsw), .in = { PTR(RSI, MMIO, 0x80) },
	  .steps = { RD(0x80, 2, 0x9394), WR(0x40, 2, 0x9394) }, .out = { PTR(RSI, MMIO, 0x82), PTR(RDI, MMIO, 0x42) } },
	{ .label = "movs_down", BLOB_OF(movs_back), .in = { PTR(RSI, MMIO, 0x80) }, .flags_in = DF,
	  .steps = { RD(0x80, 1, 0x11), WR(0x40, 1, 0x11), RD(0x7f, 1, 0x12), WR(0x3f, 1, 0x12) },
	  .out = { PTR(RSI, MMIO, 0x7e), PTR(RDI, MMIO, 0x3e) } },
	{ .label = "rep_movs_mmio_mmio", BLOB_OF(rep_movsw), .in = { PTR(RSI, MMIO, 0x80), REG(RCX, 2) },
	  .steps = { RD(0x80, 2, 0x1112), WR(0x40, 2, 0x1112), RD(0x82, 2, 0x1314), WR(0x42, 2, 0x1314) },
	  .out = { PTR(RSI, MMIO, 0x84), PTR(RDI, MMIO, 0x44), REG(RCX, 0) } },
	{ .label = "rep_stosw", BLOB_OF(rep_stosw), .in = { REG(RCX, 3) },
	  .steps = { WR(0x40, 2, 0xa7a8), WR(0x42, 2, 0xa7a8), WR(0x44, 2, 0xa7a8) },
	  .out = { PTR(RDI, MMIO, 0x46), REG(RCX, 0) } },
	{ .label = "rep_lodsw", BLOB_OF(rep_lodsw), .in = { PTR(RSI, MMIO, 0x80), REG(RCX, 2) },
	  .steps = { RD(0x80, 2, 0x1112), RD(0x82, 2, 0x1314) },
	  .out = { PTR(RSI, MMIO, 0x84), REG(RCX, 0), REG(RAX, 0xa1a2a3a4a5a61314) } },
	{ .label = "cmps_mmio_mmio", BLOB_OF(cmpsw), .in = { PTR(RSI, MMIO, 0x80) },
	  .steps = { RD(0x80, 2, 0x1112), RD(0x40, 2, 0x1112) }, .out = { PTR(RSI, MMIO, 0x82), PTR(RDI, MMIO, 0x42) },
	  FLAGS(PF | ZF) },
	{ .label = "repne_cmpsb", BLOB_OF(repne_cmpsb), .in = { PTR(RSI, MMIO, 0x80), REG(RCX, 5) },
	  .steps = { RD(0x80, 1, 1), RD(0x40, 1, 2), RD(0x81, 1, 3), RD(0x41, 1, 3) },
	  .out = { PTR(RSI, MMIO, 0x82), PTR(RDI, MMIO, 0x42), REG(RCX, 3) }, FLAGS(PF | ZF) },
	{ .label = "repe_scasw", BLOB_OF(repe_scasw), .in = { REG(RCX, 5) },
	  .steps = { RD(0x40, 2, 0xa7a8), RD(0x42, 2, 0xa7a7) }, .out = { PTR(RDI, MMIO, 0x44), REG(RCX, 3) }, FLAGS(0) },
	{ .label = "scasl", BLOB_OF(scasl), .steps = { RD(0x40, 4, 0xa5a6a7a8) }, .out = { PTR(RDI, MMIO, 0x44) },
	  FLAGS(PF | ZF) },
	{ .label = "lock_add", BLOB_OF(lock_add), .in = { REG(RCX, 1) }, .steps = { RD(0x40, 4, 0x7fffffff), WR(0x40, 4, 0x80000000) },
	  FLAGS(PF | AF | SF | OF) },
	{ .label = "lock_neg", BLOB_OF(lock_neg), .steps = { RD(0x40, 1, 1), WR(0x40, 1, 0xff) }, FLAGS(CF | PF | AF | SF) },
	{ .label = "lock_btr", BLOB_OF(lock_btr), .in = { REG(RCX, 32 + 4) }, .steps = { RD(0x44, 4, 0x10), WR(0x44, 4, 0) },
	  FLAGS(CF), .undefined = BIT_FLAGS },
	{ .label = "lock_btc", BLOB_OF(lock_btc), .steps = { RD(0x40, 2, 0), WR(0x40, 2, 8) }, FLAGS(0), .undefined = BIT_FLAGS },
	{ .label = "xchg16", BLOB_OF(lock_xchg), .steps = { RD(0x40, 2, 0x1122), WR(0x40, 2, 0xc7c8) },
	  .out = { REG(RCX, 0xc1c2c3c4c5c61122) } },
	{ .label = "xadd8", BLOB_OF(xadd8), .in = { REG(RCX, 0x81) }, .steps = { RD(0x40, 1, 0x7f), WR(0x40, 1, 0) },
	  .out = { REG(RCX, 0x7f) }, FLAGS(CF | PF | AF | ZF) },
	{ .label = "cmpxchg16", BLOB_OF(cmpxchg16), .steps = { RD(0x40, 2, 0xa7a8), WR(0x40, 2, 0xc7c8) }, FLAGS(PF | ZF) },
	{ .label = "cmpxchg16_not", BLOB_OF(cmpxchg16), .steps = { RD(0x40, 2, 0xa7a7), WR(0x40, 2, 0xa7a7) },
	  .out = { REG(RAX, 0xa1a2a3a4a5a6a7a7) }, FLAGS(0) },
	{ .label = "push16", BLOB_OF(push16), .steps = { RD(0x40, 2, 0x1122) }, .out = { PTR(RSP, RAM, 0x17fe) },
	  .ram_out = { BYTES(0x17fe, 2, 0x1122) } },
	{ .label = "cmov16", BLOB_OF(cmov16), .steps = { RD(0x40, 2, 0x1122), RD(0x40, 2, 0x3344) },
	  .out = { REG(RDX, 0xd1d2d3d4d5d63344) } },
	{ .label = "setcc", BLOB_OF(setcc), .steps = { WR(0x40, 1, 0), WR(0x41, 1, 1) } },
	{ .label = "test8", BLOB_OF(test8), .steps = { RD(0x40, 1, 0x80) }, FLAGS(SF), .undefined = AF },
	{ .label = "movzx16", BLOB_OF(movzx16), .steps = { RD(0x42, 2, 0x8001) }, .out = { REG(RCX, 0x8001) } },
	{ .label = "bsr16", BLOB_OF(bsr16), .steps = { RD(0x40, 2, 0x0810) }, .out = { REG(RCX, 0xc1c2c3c4c5c6000b) }, FLAGS(0),
	  .undefined = BIT_FLAGS | CF },
	{ .label = "imul3_16", BLOB_OF(imul3_16), .steps = { RD(0x40, 2, 2) }, .out = { REG(RCX, 0xc1c2c3c4c5c600fe) }, FLAGS(0),
	  .undefined = SF | ZF | AF | PF },
	{ .label = "adc16_imm", BLOB_OF(adc16_imm), .steps = { RD(0x40, 2, 0xedcb), WR(0x40, 2, 0) }, FLAGS(CF | PF | AF | ZF) },
	{ .label = "sbb8_imm", BLOB_OF(sbb8_imm), .steps = { RD(0x40, 1, 1), WR(0x40, 1, 0xff) }, FLAGS(CF | PF | AF | SF) },
	{ .label = "shl16_cl", BLOB_OF(shl16_cl), .in = { REG(RCX, 4) }, .steps = { RD(0x40, 2, 0x1801), WR(0x40, 2, 0x8010) },
	  FLAGS(CF | SF), .undefined = AF | OF },
	{ .label = "not8", BLOB_OF(not8), .steps = { RD(0x40, 1, 0x5a), WR(0x40, 1, 0xa5) } },
	{ .label = "dec32", BLOB_OF(dec32), .steps = { RD(0x40, 4, 0x80000000), WR(0x40, 4, 0x7fffffff) },
	  FLAGS(CF | PF | AF | OF) },
	{ .label = "fnstcw", BLOB_OF(fnstcw), .steps = { WR(0x40, 2, 0x37f), WR(0x42, 2, 0) } },
};

CASE(emulate_mmio, .says = "forms that touch memory without a slot exit access by access", .modes = PROT32,
     .rows = ROWS(rows))

GUEST(emulate_mmio)
{
}

HOST(emulate_mmio)
{
	blob_run(t, ROW(t, rows));
}

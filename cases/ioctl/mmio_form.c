/* SPDX-License-Identifier: MIT */
/*
 * Every instruction that KVM emulates for a guest that touches memory without a slot: the accesses leave one by one in
 * the instruction's order, and registers, flags and RAM end as the manual says for ordinary memory.
 *
 * A read is answered by user space and then computed with; a read-modify-write is a read and a write of the same bytes.
 * A comparison writes nothing, a CMPXCHG that fails writes the old value back. Flags the manual leaves undefined are
 * masked, all others are compared, also those that the instruction must not touch.
 *
 * Can break: operand size from the wrong prefix; a high-byte register taken for a low one; the answer not extended, or
 * extended with the wrong sign; flags of the wrong width; the bit string forms of BT not moving the address; a second
 * execution of the instruction when it is completed; source and destination exchanged.
 * Source: APM vol. 3, chapter 3, each instruction's page; KVM API, KVM_EXIT_MMIO.
 */
#include "cases/ioctl/blob.h"

BLOB(st8, "mov %al, (%edi)")
BLOB(st8_high, "mov %ah, (%edi)")
BLOB(st16, "mov %ax, (%edi)")
BLOB(st32, "mov %eax, (%edi)")
BLOB(st8_imm, "movb $0x5a, (%edi)")
BLOB(st16_imm, "movw $0x8001, (%edi)")
BLOB(st32_imm, "movl $0x87654321, (%edi)")
BLOB(st_disp8, "mov %ecx, -0x10(%edi)")
BLOB(st_sib, "mov %ecx, 0x20(%edi,%edx,4)")
BLOB(ld8, "mov (%edi), %al")
BLOB(ld8_high, "mov (%edi), %ch")
BLOB(ld16, "mov (%edi), %dx")
BLOB(ld32, "mov (%edi), %ebx")
BLOB(ld32_self, "mov (%edi), %edi")
BLOB(movzx8_16, "movzbw (%edi), %ax")
BLOB(movzx8_32, "movzbl (%edi), %eax")
BLOB(movzx16_32, "movzwl (%edi), %eax")
BLOB(movsx8_16, "movsbw (%edi), %ax")
BLOB(movsx8_32, "movsbl (%edi), %eax")
BLOB(movsx16_32, "movswl (%edi), %eax")
BLOB(moffs_16, ".byte 0xa0, 0x48, 0, 0x66, 0xa1, 0x4c, 0, 0xa2, 0x50, 0, 0x66, 0xa3, 0x54, 0")
BLOB(moffs_32, ".byte 0xa0\n\t.long 0x10000048\n\t.byte 0xa1\n\t.long 0x1000004c\n\t.byte 0xa2\n\t.long 0x10000050\n\t"
     ".byte 0xa3\n\t.long 0x10000054")
BLOB(add_m, "add %eax, (%edi)")
BLOB(adc_m, "adc %eax, (%edi)")
BLOB(sub_m, "sub %eax, (%edi)")
BLOB(sbb_m, "sbb %eax, (%edi)")
BLOB(or_m, "or %eax, (%edi)")
BLOB(and_m, "and %eax, (%edi)")
BLOB(xor_m, "xor %eax, (%edi)")
BLOB(cmp_m, "cmp %eax, (%edi)")
BLOB(add_r, "add (%edi), %eax")
BLOB(sub_r16, "sub (%edi), %cx")
BLOB(cmp_r8, "cmp (%edi), %al")
BLOB(add8_imm, "addb $0x7f, (%edi)")
BLOB(sub_imm8, ".byte 0x67, 0x83, 0x2f, 0xff")
BLOB(sub_imm8_16, ".byte 0x67, 0x66, 0x83, 0x2f, 0xff")
BLOB(sub_imm8_32, ".byte 0x83, 0x2f, 0xff")
BLOB(or16_imm, "orw $0x8000, (%edi)")
BLOB(and32_imm, "andl $0xff00ff00, (%edi)")
BLOB(cmp8_imm, "cmpb $0x10, (%edi)")
BLOB(test_m, "test %eax, (%edi)")
BLOB(test8_m, "test %al, (%edi)")
BLOB(test_imm, "testl $0x80000000, (%edi)")
BLOB(not_m, "notl (%edi)")
BLOB(neg8_m, "negb (%edi)")
BLOB(inc32, "incl (%edi)")
BLOB(inc8, "incb (%edi)")
BLOB(dec16, "decw (%edi)")
BLOB(shl_imm, "shll $4, (%edi)")
BLOB(sar_1, "sarl (%edi)")
BLOB(shr_cl, "shrb %cl, (%edi)")
BLOB(rol_1, "rolw (%edi)")
BLOB(ror_imm, "rorl $8, (%edi)")
BLOB(rcl_1, "rcll (%edi)")
BLOB(rcr_1, "rcrl (%edi)")
BLOB(shld, "shldl $8, %eax, (%edi)")
BLOB(shrd, "shrdl %cl, %eax, (%edi)")
BLOB(mul32, "mull (%edi)")
BLOB(imul16, "imulw (%edi)")
BLOB(imul_r, "imul (%edi), %eax")
BLOB(imul_3, "imul $-2, (%edi), %eax")
BLOB(div32, "divl (%edi)")
BLOB(div8, "divb (%edi)")
BLOB(idiv16, "idivw (%edi)")
BLOB(bt_r, "bt %eax, (%edi)")
BLOB(bts_r, "bts %eax, (%edi)")
BLOB(btr_r, "btr %eax, (%edi)")
BLOB(bt_imm, "btl $33, (%edi)")
BLOB(bts_imm, "btsl $33, (%edi)")
BLOB(btc_imm, "btcw $15, (%edi)")
BLOB(bsf, "bsf (%edi), %eax")
BLOB(bsr, "bsr (%edi), %eax")
BLOB(xchg32, "xchg %eax, (%edi)")
BLOB(xchg8, "xchg %ah, (%edi)")
BLOB(cmpxchg, "cmpxchg %ecx, (%edi)")
BLOB(lock_cmpxchg8, "lock cmpxchg %cl, (%edi)")
BLOB(cmpxchg8b, "cmpxchg8b (%edi)")
BLOB(lock_cmpxchg8b, "lock cmpxchg8b (%edi)")
BLOB(xadd, "xadd %eax, (%edi)")
BLOB(lock_xadd16, "lock xadd %cx, (%edi)")
BLOB(lock_or, "lock orl $1, (%edi)")
BLOB(lock_inc, "lock incl (%edi)")
BLOB(lock_bts, "lock btsl $4, (%edi)")
BLOB(setz, "setz (%edi)")
BLOB(setc, "setc (%edi)")
BLOB(cmovc, "cmovc (%edi), %eax")
BLOB(cmovz, "cmovz (%edi), %eax")
BLOB(movnti, "movnti %eax, (%edi)")
BLOB(movbe_ld, "movbe (%edi), %eax")
BLOB(movbe_st, "movbe %ax, (%edi)")
BLOB(mov_sreg, "movw %ds, (%edi)")
BLOB(push_m, "push (%edi)")
BLOB(pop_m, "pop (%edi)")
BLOB(xlat, "xlat")
BLOB(stosb, "stosb")
BLOB(stosw, "stosw")
BLOB(stosl, "stosl")
BLOB(lodsb, "lodsb")
BLOB(lodsw, "lodsw")
BLOB(lodsl, "lodsl")
BLOB(movsb, "movsb")
BLOB(movsl, "movsl")
BLOB(cmpsb, "cmpsb")
BLOB(cmpsl, "cmpsl")
BLOB(scasb, "scasb")
BLOB(scasw, "scasw")
BLOB(rep_stosb, "rep stosb")
BLOB(rep_stosl, "rep stosl")
BLOB(rep_movsb, "rep movsb")
BLOB(rep_movsl, "rep movsl")
BLOB(rep_lodsb, "rep lodsb")
BLOB(repe_cmpsb, "repe cmpsb")
BLOB(repne_scasb, "repne scasb")
BLOB(repe_scasb, "repe scasb")

#define MOVBE_PREFIX .known = { .finding = "0101-emulated-movbe-prefix", .kernels = "..6.7" }
#define ALL_FLAGS (CF | PF | AF | ZF | SF | OF)

static const struct blob_row rows[] = {
	{ .label = "st8", BLOB_OF(st8), .steps = { WR(0x40, 1, 0xa8) } },
	{ .label = "st8_high", BLOB_OF(st8_high), .steps = { WR(0x40, 1, 0xa7) } },
	{ .label = "st16", BLOB_OF(st16), .steps = { WR(0x40, 2, 0xa7a8) } },
	{ .label = "st32", BLOB_OF(st32), .steps = { WR(0x40, 4, 0xa5a6a7a8) } },
	{ .label = "st8_imm", BLOB_OF(st8_imm), .steps = { WR(0x40, 1, 0x5a) } },
	{ .label = "st16_imm", BLOB_OF(st16_imm), .steps = { WR(0x40, 2, 0x8001) } },
	{ .label = "st32_imm", BLOB_OF(st32_imm), .steps = { WR(0x40, 4, 0x87654321) } },
	{ .label = "st_unaligned", BLOB_OF(st32), .in = { PTR(RDI, MMIO, 0x43) }, .steps = { WR(0x43, 4, 0xa5a6a7a8) } },
	{ .label = "st_disp8", BLOB_OF(st_disp8), .steps = { WR(0x30, 4, 0xc5c6c7c8) } },
	{ .label = "st_sib", BLOB_OF(st_sib), .in = { REG(RDX, 3) }, .steps = { WR(0x6c, 4, 0xc5c6c7c8) } },
	{ .label = "ld8", BLOB_OF(ld8), .steps = { RD(0x40, 1, 0x5c) }, .out = { REG(RAX, 0xa1a2a3a4a5a6a75c) } },
	{ .label = "ld8_high", BLOB_OF(ld8_high), .steps = { RD(0x40, 1, 0x5c) },
	  .out = { REG(RCX, 0xc1c2c3c4c5c65cc8) } },
	{ .label = "ld16", BLOB_OF(ld16), .steps = { RD(0x40, 2, 0x5c5d) }, .out = { REG(RDX, 0xd1d2d3d4d5d65c5d) } },
	{ .label = "ld32", BLOB_OF(ld32), .steps = { RD(0x40, 4, 0x8c5d5e5f) }, .out = { REG(RBX, 0x8c5d5e5f) } },
	{ .label = "ld32_self", BLOB_OF(ld32_self), .steps = { RD(0x40, 4, 0x11223344) },
	  .out = { REG(RDI, 0x11223344) } },
	{ .label = "ld_unaligned", BLOB_OF(ld32), .in = { PTR(RDI, MMIO, 0x45) }, .steps = { RD(0x45, 4, 0x8c5d5e5f) },
	  .out = { REG(RBX, 0x8c5d5e5f) } },
	{ .label = "movzx8_16", BLOB_OF(movzx8_16), .steps = { RD(0x40, 1, 0x80) },
	  .out = { REG(RAX, 0xa1a2a3a4a5a60080) } },
	{ .label = "movzx8_32", BLOB_OF(movzx8_32), .steps = { RD(0x40, 1, 0x80) }, .out = { REG(RAX, 0x80) } },
	{ .label = "movzx16_32", BLOB_OF(movzx16_32), .steps = { RD(0x40, 2, 0x8081) }, .out = { REG(RAX, 0x8081) } },
	{ .label = "movsx8_16", BLOB_OF(movsx8_16), .steps = { RD(0x40, 1, 0x80) },
	  .out = { REG(RAX, 0xa1a2a3a4a5a6ff80) } },
	{ .label = "movsx8_32", BLOB_OF(movsx8_32), .steps = { RD(0x40, 1, 0x80) }, .out = { REG(RAX, 0xffffff80) } },
	{ .label = "movsx8_32_positive", BLOB_OF(movsx8_32), .steps = { RD(0x40, 1, 0x7f) }, .out = { REG(RAX, 0x7f) } },
	{ .label = "movsx16_32", BLOB_OF(movsx16_32), .steps = { RD(0x40, 2, 0x8001) },
	  .out = { REG(RAX, 0xffff8001) } },
	{ .label = "moffs_16", .modes = REAL16, BLOB_OF(moffs_16),
	  .steps = { RD(0x48, 1, 0x11), RD(0x4c, 4, 0x21222324), WR(0x50, 1, 0x24), WR(0x54, 4, 0x21222324) },
	  .out = { REG(RAX, 0x21222324) } },
	{ .label = "moffs_32", .modes = PROT32, BLOB_OF(moffs_32),
	  .steps = { RD(0x48, 1, 0x11), RD(0x4c, 4, 0x21222324), WR(0x50, 1, 0x24), WR(0x54, 4, 0x21222324) },
	  .out = { REG(RAX, 0x21222324) } },

	/* Arithmetic: EAX is 0xa5a6a7a8. */
	{ .label = "add_m", BLOB_OF(add_m), .steps = { RD(0x40, 4, 0x5a595858), WR(0x40, 4, 0) },
	  FLAGS(CF | PF | AF | ZF) },
	{ .label = "add_m_overflow", BLOB_OF(add_m), .steps = { RD(0x40, 4, 0x80000000), WR(0x40, 4, 0x25a6a7a8) },
	  FLAGS(CF | OF) },
	{ .label = "adc_m", BLOB_OF(adc_m), .steps = { RD(0x40, 4, 0x01010101), WR(0x40, 4, 0xa6a7a8aa) },
	  FLAGS(PF | SF) },
	{ .label = "sub_m", BLOB_OF(sub_m), .steps = { RD(0x40, 4, 0xa5a6a7a8), WR(0x40, 4, 0) }, FLAGS(PF | ZF) },
	{ .label = "sbb_m", BLOB_OF(sbb_m), .steps = { RD(0x40, 4, 0x10), WR(0x40, 4, 0x5a595867) }, FLAGS(CF | AF) },
	{ .label = "or_m", BLOB_OF(or_m), .steps = { RD(0x40, 4, 1), WR(0x40, 4, 0xa5a6a7a9) }, FLAGS(PF | SF),
	  .undefined = AF },
	{ .label = "and_m", BLOB_OF(and_m), .steps = { RD(0x40, 4, 0x0f0f0f0f), WR(0x40, 4, 0x05060708) }, FLAGS(0),
	  .undefined = AF },
	{ .label = "xor_m", BLOB_OF(xor_m), .steps = { RD(0x40, 4, 0xffffffff), WR(0x40, 4, 0x5a595857) }, FLAGS(0),
	  .undefined = AF },
	{ .label = "cmp_m", BLOB_OF(cmp_m), .steps = { RD(0x40, 4, 0x25a6a7a8) }, FLAGS(CF | PF | SF | OF) },
	{ .label = "add_r", BLOB_OF(add_r), .steps = { RD(0x40, 4, 1) }, .out = { REG(RAX, 0xa5a6a7a9) },
	  FLAGS(PF | SF) },
	{ .label = "sub_r16", BLOB_OF(sub_r16), .steps = { RD(0x40, 2, 0xc7c8) },
	  .out = { REG(RCX, 0xc1c2c3c4c5c60000) }, FLAGS(PF | ZF) },
	{ .label = "cmp_r8", BLOB_OF(cmp_r8), .steps = { RD(0x40, 1, 0xa9) }, FLAGS(CF | PF | AF | SF) },
	{ .label = "add8_imm", BLOB_OF(add8_imm), .steps = { RD(0x40, 1, 1), WR(0x40, 1, 0x80) }, FLAGS(AF | SF | OF) },
	{ .label = "sub_imm8_16", .modes = REAL16, BLOB_OF(sub_imm8_16),
	  .steps = { RD(0x40, 4, 0xffffffff), WR(0x40, 4, 0) }, FLAGS(PF | ZF) },
	{ .label = "sub_imm8_32", .modes = PROT32, BLOB_OF(sub_imm8_32),
	  .steps = { RD(0x40, 4, 0xffffffff), WR(0x40, 4, 0) }, FLAGS(PF | ZF) },
	{ .label = "sub_imm8_64", .modes = LONG64, BLOB_OF(sub_imm8),
	  .steps = { RD(0x40, 4, 0xffffffff), WR(0x40, 4, 0) }, FLAGS(PF | ZF) },
	{ .label = "or16_imm", BLOB_OF(or16_imm), .steps = { RD(0x40, 2, 1), WR(0x40, 2, 0x8001) }, FLAGS(SF),
	  .undefined = AF },
	{ .label = "and32_imm", BLOB_OF(and32_imm), .steps = { RD(0x40, 4, 0x12345678), WR(0x40, 4, 0x12005600) },
	  FLAGS(PF), .undefined = AF },
	{ .label = "cmp8_imm", BLOB_OF(cmp8_imm), .steps = { RD(0x40, 1, 0x10) }, FLAGS(PF | ZF) },
	{ .label = "test_m", BLOB_OF(test_m), .steps = { RD(0x40, 4, 0x5a595857) }, FLAGS(PF | ZF), .undefined = AF },
	{ .label = "test8_m", BLOB_OF(test8_m), .steps = { RD(0x40, 1, 0x88) }, FLAGS(PF | SF), .undefined = AF },
	{ .label = "test_imm", BLOB_OF(test_imm), .steps = { RD(0x40, 4, 0x80000001) }, FLAGS(PF | SF),
	  .undefined = AF },
	{ .label = "not_m", BLOB_OF(not_m), .steps = { RD(0x40, 4, 0x0f0f0f0f), WR(0x40, 4, 0xf0f0f0f0) } },
	{ .label = "neg8_m", BLOB_OF(neg8_m), .steps = { RD(0x40, 1, 0x80), WR(0x40, 1, 0x80) }, FLAGS(CF | SF | OF) },
	{ .label = "inc32", BLOB_OF(inc32), .steps = { RD(0x40, 4, 0x7fffffff), WR(0x40, 4, 0x80000000) },
	  FLAGS(CF | PF | AF | SF | OF) },
	{ .label = "inc8", BLOB_OF(inc8), .steps = { RD(0x40, 1, 0xff), WR(0x40, 1, 0) }, FLAGS(CF | PF | AF | ZF) },
	{ .label = "dec16", BLOB_OF(dec16), .steps = { RD(0x40, 2, 0), WR(0x40, 2, 0xffff) },
	  FLAGS(CF | PF | AF | SF) },

	/* Shifts. */
	{ .label = "shl_imm", BLOB_OF(shl_imm), .steps = { RD(0x40, 4, 0x18000001), WR(0x40, 4, 0x80000010) },
	  FLAGS(CF | SF), .undefined = AF | OF },
	{ .label = "sar_1", BLOB_OF(sar_1), .steps = { RD(0x40, 4, 0x80000001), WR(0x40, 4, 0xc0000000) },
	  FLAGS(CF | PF | SF), .undefined = AF },
	{ .label = "shr_cl", BLOB_OF(shr_cl), .in = { REG(RCX, 3) }, .steps = { RD(0x40, 1, 0x84), WR(0x40, 1, 0x10) },
	  FLAGS(CF), .undefined = AF | OF },
	{ .label = "rol_1", BLOB_OF(rol_1), .steps = { RD(0x40, 2, 0x8001), WR(0x40, 2, 3) }, FLAGS(CF | AF | OF) },
	{ .label = "ror_imm", BLOB_OF(ror_imm), .steps = { RD(0x40, 4, 0x12345678), WR(0x40, 4, 0x78123456) },
	  FLAGS(AF), .undefined = OF },
	{ .label = "rcl_1", BLOB_OF(rcl_1), .steps = { RD(0x40, 4, 0x80000000), WR(0x40, 4, 1) }, FLAGS(CF | AF | OF) },
	{ .label = "rcr_1", BLOB_OF(rcr_1), .steps = { RD(0x40, 4, 1), WR(0x40, 4, 0x80000000) }, FLAGS(CF | AF | OF) },
	{ .label = "shld", BLOB_OF(shld), .steps = { RD(0x40, 4, 0x12345678), WR(0x40, 4, 0x345678a5) }, FLAGS(PF),
	  .undefined = AF | OF },
	{ .label = "shrd", BLOB_OF(shrd), .in = { REG(RCX, 4) },
	  .steps = { RD(0x40, 4, 0x12345678), WR(0x40, 4, 0x81234567) }, FLAGS(CF | SF), .undefined = AF | OF },

	/* Multiplication and division. */
	{ .label = "mul32", BLOB_OF(mul32), .steps = { RD(0x40, 4, 2) }, .out = { REG(RAX, 0x4b4d4f50), REG(RDX, 1) },
	  FLAGS(CF | OF), .undefined = PF | AF | ZF | SF },
	{ .label = "imul16", BLOB_OF(imul16), .steps = { RD(0x40, 2, 0xffff) },
	  .out = { REG(RAX, 0xa1a2a3a4a5a65858), REG(RDX, 0xd1d2d3d4d5d60000) }, FLAGS(0),
	  .undefined = PF | AF | ZF | SF },
	{ .label = "imul_r", BLOB_OF(imul_r), .steps = { RD(0x40, 4, 3) }, .out = { REG(RAX, 0xf0f3f6f8) },
	  FLAGS(CF | OF), .undefined = PF | AF | ZF | SF },
	{ .label = "imul_3", BLOB_OF(imul_3), .steps = { RD(0x40, 4, 5) }, .out = { REG(RAX, 0xfffffff6) }, FLAGS(0),
	  .undefined = PF | AF | ZF | SF },
	{ .label = "div32", BLOB_OF(div32), .in = { REG(RDX, 1), REG(RAX, 5) }, .steps = { RD(0x40, 4, 2) },
	  .out = { REG(RAX, 0x80000002), REG(RDX, 1) }, .undefined = ALL_FLAGS },
	{ .label = "div8", BLOB_OF(div8), .in = { REG(RAX, 0xa1a2a3a4a5a60107) }, .steps = { RD(0x40, 1, 0x10) },
	  .out = { REG(RAX, 0xa1a2a3a4a5a60710) }, .undefined = ALL_FLAGS },
	{ .label = "idiv16", BLOB_OF(idiv16), .in = { REG(RAX, 0xa1a2a3a4a5a6fff9), REG(RDX, 0xd1d2d3d4d5d6ffff) },
	  .steps = { RD(0x40, 2, 2) }, .out = { REG(RAX, 0xa1a2a3a4a5a6fffd), REG(RDX, 0xd1d2d3d4d5d6ffff) },
	  .undefined = ALL_FLAGS },

	/* Bits: a register's bit offset is signed and reaches beyond the operand, an immediate's is cut to its size. */
	{ .label = "bt_beyond", BLOB_OF(bt_r), .in = { REG(RAX, 33) }, .steps = { RD(0x44, 4, 2) }, FLAGS(CF),
	  .undefined = ALL_FLAGS & ~(CF | ZF) },
	{ .label = "bt_clear", BLOB_OF(bt_r), .in = { REG(RAX, 33) }, .flags_in = CF | ZF,
	  .steps = { RD(0x44, 4, 0xfffffffd) }, FLAGS(ZF), .undefined = ALL_FLAGS & ~(CF | ZF) },
	{ .label = "bts_before", BLOB_OF(bts_r), .in = { REG(RAX, 0xffffffff) },
	  .steps = { RD(0x3c, 4, 0), WR(0x3c, 4, 0x80000000) }, FLAGS(0), .undefined = ALL_FLAGS & ~(CF | ZF) },
	{ .label = "btr_before", BLOB_OF(btr_r), .in = { REG(RAX, 0xffffffdf) },
	  .steps = { RD(0x38, 4, 0xffffffff), WR(0x38, 4, 0x7fffffff) }, FLAGS(CF),
	  .undefined = ALL_FLAGS & ~(CF | ZF) },
	{ .label = "bt_imm", BLOB_OF(bt_imm), .steps = { RD(0x40, 4, 2) }, FLAGS(CF), .undefined = ALL_FLAGS & ~(CF | ZF) },
	{ .label = "bts_imm", BLOB_OF(bts_imm), .steps = { RD(0x40, 4, 0), WR(0x40, 4, 2) }, FLAGS(0),
	  .undefined = ALL_FLAGS & ~(CF | ZF) },
	{ .label = "btc_imm", BLOB_OF(btc_imm), .steps = { RD(0x40, 2, 0x8000), WR(0x40, 2, 0) }, FLAGS(CF),
	  .undefined = ALL_FLAGS & ~(CF | ZF) },
	{ .label = "bsf", BLOB_OF(bsf), .steps = { RD(0x40, 4, 0x80000080) }, .out = { REG(RAX, 7) }, FLAGS(0),
	  .undefined = ALL_FLAGS & ~ZF },
	{ .label = "bsr", BLOB_OF(bsr), .steps = { RD(0x40, 4, 0x00000181) }, .out = { REG(RAX, 8) }, FLAGS(0),
	  .undefined = ALL_FLAGS & ~ZF },

	/* Exchanges. */
	{ .label = "xchg32", BLOB_OF(xchg32), .steps = { RD(0x40, 4, 0x11223344), WR(0x40, 4, 0xa5a6a7a8) },
	  .out = { REG(RAX, 0x11223344) } },
	{ .label = "xchg8", BLOB_OF(xchg8), .steps = { RD(0x40, 1, 0x11), WR(0x40, 1, 0xa7) },
	  .out = { REG(RAX, 0xa1a2a3a4a5a611a8) } },
	{ .label = "cmpxchg_equal", BLOB_OF(cmpxchg), .steps = { RD(0x40, 4, 0xa5a6a7a8), WR(0x40, 4, 0xc5c6c7c8) },
	  FLAGS(PF | ZF) },
	{ .label = "cmpxchg_other", BLOB_OF(cmpxchg), .steps = { RD(0x40, 4, 0x11223344), WR(0x40, 4, 0x11223344) },
	  .out = { REG(RAX, 0x11223344) }, FLAGS(SF) },
	{ .label = "lock_cmpxchg8", BLOB_OF(lock_cmpxchg8), .steps = { RD(0x40, 1, 0xa8), WR(0x40, 1, 0xc8) },
	  FLAGS(PF | ZF) },
	{ .label = "cmpxchg8b_equal", BLOB_OF(cmpxchg8b),
	  .steps = { RD(0x40, 8, 0xd5d6d7d8a5a6a7a8), WR(0x40, 8, 0xc5c6c7c8b5b6b7b8) }, FLAGS(FLAGS_BEFORE | ZF) },
	{ .label = "cmpxchg8b_other", BLOB_OF(cmpxchg8b), .flags_in = CF | SF | ZF,
	  .steps = { RD(0x40, 8, 0x01020304a5a6a7a8), WR(0x40, 8, 0x01020304a5a6a7a8) },
	  .out = { REG(RAX, 0xa5a6a7a8), REG(RDX, 0x01020304) }, FLAGS(CF | SF) },
	{ .label = "lock_cmpxchg8b", BLOB_OF(lock_cmpxchg8b),
	  .steps = { RD(0x40, 8, 0xd5d6d7d8a5a6a7a8), WR(0x40, 8, 0xc5c6c7c8b5b6b7b8) }, FLAGS(FLAGS_BEFORE | ZF) },
	{ .label = "xadd", BLOB_OF(xadd), .steps = { RD(0x40, 4, 1), WR(0x40, 4, 0xa5a6a7a9) }, .out = { REG(RAX, 1) },
	  FLAGS(PF | SF) },
	{ .label = "lock_xadd16", BLOB_OF(lock_xadd16), .steps = { RD(0x40, 2, 0x3838), WR(0x40, 2, 0) },
	  .out = { REG(RCX, 0xc1c2c3c4c5c63838) }, FLAGS(CF | PF | AF | ZF) },
	{ .label = "lock_or", BLOB_OF(lock_or), .steps = { RD(0x40, 4, 0x80000000), WR(0x40, 4, 0x80000001) }, FLAGS(SF),
	  .undefined = AF },
	{ .label = "lock_inc", BLOB_OF(lock_inc), .steps = { RD(0x40, 4, 1), WR(0x40, 4, 2) }, FLAGS(CF) },
	{ .label = "lock_bts", BLOB_OF(lock_bts), .steps = { RD(0x40, 4, 0x10), WR(0x40, 4, 0x10) }, FLAGS(CF),
	  .undefined = ALL_FLAGS & ~(CF | ZF) },

	/* Conditions. A CMOVcc whose condition does not hold reads all the same, and clears bits 63:32. */
	{ .label = "setz", BLOB_OF(setz), .steps = { WR(0x40, 1, 0) } },
	{ .label = "setc", BLOB_OF(setc), .steps = { WR(0x40, 1, 1) } },
	{ .label = "cmovc", BLOB_OF(cmovc), .steps = { RD(0x40, 4, 0x11223344) }, .out = { REG(RAX, 0x11223344) } },
	{ .label = "cmovz", BLOB_OF(cmovz), .steps = { RD(0x40, 4, 0x11223344) }, .out = { REG(RAX, 0xa5a6a7a8) } },
	{ .label = "movnti", BLOB_OF(movnti), .steps = { WR(0x40, 4, 0xa5a6a7a8) } },
	{ .label = "movbe_ld", .modes = PROT32 | LONG64, .needs = "cpuid:movbe", BLOB_OF(movbe_ld),
	  .steps = { RD(0x40, 4, 0x11223344) }, .out = { REG(RAX, 0x44332211) } },
	{ .label = "movbe_ld_16", .modes = REAL16, .needs = "cpuid:movbe", MOVBE_PREFIX, BLOB_OF(movbe_ld),
	  .steps = { RD(0x40, 4, 0x11223344) }, .out = { REG(RAX, 0x44332211) } },
	{ .label = "movbe_st", .modes = REAL16, .needs = "cpuid:movbe", BLOB_OF(movbe_st),
	  .steps = { WR(0x40, 2, 0xa8a7) } },
	{ .label = "movbe_st_prefix", .modes = PROT32 | LONG64, .needs = "cpuid:movbe", MOVBE_PREFIX,
	  BLOB_OF(movbe_st), .steps = { WR(0x40, 2, 0xa8a7) } },
	{ .label = "mov_sreg", .modes = PROT32 | LONG64, BLOB_OF(mov_sreg), .steps = { WR(0x40, 2, SEL_DATA) } },
	{ .label = "mov_sreg_16", .modes = REAL16, BLOB_OF(mov_sreg), .steps = { WR(0x40, 2, MMIO16_GPA >> 4) } },
	{ .label = "push_m", .modes = REAL16 | PROT32, BLOB_OF(push_m), .steps = { RD(0x40, 4, 0x11223344) },
	  .out = { PTR(RSP, RAM, 0x17fc) }, .ram_out = { BYTES(0x17fc, 4, 0x11223344) } },
	{ .label = "push_m_64", .modes = LONG64, BLOB_OF(push_m), .steps = { RD(0x40, 8, 0x1122334455667788) },
	  .out = { PTR(RSP, RAM, 0x17f8) }, .ram_out = { BYTES(0x17f8, 8, 0x1122334455667788) } },
	{ .label = "pop_m", .modes = REAL16 | PROT32, BLOB_OF(pop_m), .ram_in = { BYTES(0x1800, 4, 0x11223344) },
	  .steps = { WR(0x40, 4, 0x11223344) }, .out = { PTR(RSP, RAM, 0x1804) } },
	{ .label = "pop_m_64", .modes = LONG64, BLOB_OF(pop_m), .ram_in = { BYTES(0x1800, 8, 0x1122334455667788) },
	  .steps = { WR(0x40, 8, 0x1122334455667788) }, .out = { PTR(RSP, RAM, 0x1808) } },
	{ .label = "xlat", BLOB_OF(xlat), .in = { PTR(RBX, MMIO, 0x40) }, .steps = { RD(0xe8, 1, 0x5c) },
	  .out = { REG(RAX, 0xa1a2a3a4a5a6a75c) } },

	/* Strings. */
	{ .label = "stosb", BLOB_OF(stosb), .steps = { WR(0x40, 1, 0xa8) }, .out = { PTR(RDI, MMIO, 0x41) } },
	{ .label = "stosw_down", BLOB_OF(stosw), .flags_in = DF, .steps = { WR(0x40, 2, 0xa7a8) },
	  .out = { PTR(RDI, MMIO, 0x3e) } },
	{ .label = "stosl", BLOB_OF(stosl), .steps = { WR(0x40, 4, 0xa5a6a7a8) }, .out = { PTR(RDI, MMIO, 0x44) } },
	{ .label = "lodsb", BLOB_OF(lodsb), .in = { PTR(RSI, MMIO, 0x50) }, .steps = { RD(0x50, 1, 0x5c) },
	  .out = { PTR(RSI, MMIO, 0x51), REG(RAX, 0xa1a2a3a4a5a6a75c) } },
	{ .label = "lodsw", BLOB_OF(lodsw), .in = { PTR(RSI, MMIO, 0x50) }, .steps = { RD(0x50, 2, 0x5c5d) },
	  .out = { PTR(RSI, MMIO, 0x52), REG(RAX, 0xa1a2a3a4a5a65c5d) } },
	{ .label = "lodsl_down", BLOB_OF(lodsl), .in = { PTR(RSI, MMIO, 0x50) }, .flags_in = DF,
	  .steps = { RD(0x50, 4, 0x8c5d5e5f) }, .out = { PTR(RSI, MMIO, 0x4c), REG(RAX, 0x8c5d5e5f) } },
	{ .label = "movsb_to_mmio", BLOB_OF(movsb), .ds_ram = true, .ram_in = { BYTES(0x840, 1, 0x91) },
	  .steps = { WR(0x40, 1, 0x91) }, .out = { PTR(RSI, RAM, 0x841), PTR(RDI, MMIO, 0x41) } },
	{ .label = "movsl_from_mmio", BLOB_OF(movsl), .es_ram = true, .in = { PTR(RSI, MMIO, 0x50), PTR(RDI, RAM, 0x900) },
	  .steps = { RD(0x50, 4, 0x61626364) }, .out = { PTR(RSI, MMIO, 0x54), PTR(RDI, RAM, 0x904) },
	  .ram_out = { BYTES(0x900, 4, 0x61626364) } },
	{ .label = "movsl_mmio_mmio_down", BLOB_OF(movsl), .flags_in = DF, .in = { PTR(RSI, MMIO, 0x50) },
	  .steps = { RD(0x50, 4, 0x61626364), WR(0x40, 4, 0x61626364) },
	  .out = { PTR(RSI, MMIO, 0x4c), PTR(RDI, MMIO, 0x3c) } },
	{ .label = "cmpsb", BLOB_OF(cmpsb), .ds_ram = true, .ram_in = { BYTES(0x840, 1, 0x10) },
	  .steps = { RD(0x40, 1, 0x21) }, .out = { PTR(RSI, RAM, 0x841), PTR(RDI, MMIO, 0x41) },
	  FLAGS(CF | AF | SF) },
	{ .label = "cmpsl_mmio_mmio", BLOB_OF(cmpsl), .in = { PTR(RSI, MMIO, 0x50) },
	  .steps = { RD(0x50, 4, 0x80000000), RD(0x40, 4, 1) }, .out = { PTR(RSI, MMIO, 0x54), PTR(RDI, MMIO, 0x44) },
	  FLAGS(PF | AF | OF) },
	{ .label = "scasb", BLOB_OF(scasb), .steps = { RD(0x40, 1, 0xa8) }, .out = { PTR(RDI, MMIO, 0x41) },
	  FLAGS(PF | ZF) },
	{ .label = "scasw_down", BLOB_OF(scasw), .flags_in = DF, .steps = { RD(0x40, 2, 0x27a8) },
	  .out = { PTR(RDI, MMIO, 0x3e) }, FLAGS(DF | PF | SF) },
	{ .label = "rep_stosb", BLOB_OF(rep_stosb), .in = { REG(RCX, 3) },
	  .steps = { WR(0x40, 1, 0xa8), WR(0x41, 1, 0xa8), WR(0x42, 1, 0xa8) },
	  .out = { REG(RCX, 0), PTR(RDI, MMIO, 0x43) } },
	{ .label = "rep_stosl_none", BLOB_OF(rep_stosl), .in = { REG(RCX, 0) } },
	{ .label = "rep_movsl_to_mmio", BLOB_OF(rep_movsl), .ds_ram = true, .in = { REG(RCX, 2) },
	  .ram_in = { BYTES(0x840, 8, 0x9192939495969798) }, .steps = { WR(0x40, 4, 0x95969798), WR(0x44, 4, 0x91929394) },
	  .out = { REG(RCX, 0), PTR(RSI, RAM, 0x848), PTR(RDI, MMIO, 0x48) } },
	{ .label = "rep_movsl_from_mmio_down", BLOB_OF(rep_movsl), .es_ram = true, .flags_in = DF | ZF,
	  .in = { REG(RCX, 2), PTR(RSI, MMIO, 0x50), PTR(RDI, RAM, 0x900) },
	  .steps = { RD(0x50, 4, 0x61626364), RD(0x4c, 4, 0x71727374) },
	  .out = { REG(RCX, 0), PTR(RSI, MMIO, 0x48), PTR(RDI, RAM, 0x8f8) },
	  .ram_out = { BYTES(0x8fc, 8, 0x6162636471727374) } },
	{ .label = "rep_movsb_from_mmio", BLOB_OF(rep_movsb), .es_ram = true,
	  .in = { REG(RCX, 4), PTR(RSI, MMIO, 0x50), PTR(RDI, RAM, 0xffe) },
	  .steps = { RD(0x50, 1, 0x61), RD(0x51, 1, 0x62), RD(0x52, 1, 0x63), RD(0x53, 1, 0x64) },
	  .out = { REG(RCX, 0), PTR(RSI, MMIO, 0x54), PTR(RDI, RAM, 0x1002) },
	  .ram_out = { BYTES(0xffe, 4, 0x64636261) } },
	{ .label = "rep_lodsb", BLOB_OF(rep_lodsb), .in = { REG(RCX, 2), PTR(RSI, MMIO, 0x50) },
	  .steps = { RD(0x50, 1, 0x61), RD(0x51, 1, 0x62) },
	  .out = { REG(RCX, 0), PTR(RSI, MMIO, 0x52), REG(RAX, 0xa1a2a3a4a5a6a762) } },
	{ .label = "repe_cmpsb_stops", BLOB_OF(repe_cmpsb), .ds_ram = true, .in = { REG(RCX, 4) },
	  .ram_in = { BYTES(0x840, 4, 0x04030201) }, .steps = { RD(0x40, 1, 1), RD(0x41, 1, 3) },
	  .out = { REG(RCX, 2), PTR(RSI, RAM, 0x842), PTR(RDI, MMIO, 0x42) }, FLAGS(CF | PF | AF | SF) },
	{ .label = "repne_scasb_finds", BLOB_OF(repne_scasb), .in = { REG(RCX, 5) },
	  .steps = { RD(0x40, 1, 0), RD(0x41, 1, 0xa8) }, .out = { REG(RCX, 3), PTR(RDI, MMIO, 0x42) }, FLAGS(PF | ZF) },
	{ .label = "repe_scasb_all", BLOB_OF(repe_scasb), .in = { REG(RCX, 2) },
	  .steps = { RD(0x40, 1, 0xa8), RD(0x41, 1, 0xa8) }, .out = { REG(RCX, 0), PTR(RDI, MMIO, 0x42) },
	  FLAGS(PF | ZF) },
};

CASE(mmio_form, .says = "every emulated instruction makes its MMIO accesses, and no others, and computes right",
     .modes = REAL16 | PROT32 | LONG64, .rows = ROWS(rows))

GUEST(mmio_form)
{
}

HOST(mmio_form)
{
	blob_run(t, ROW(t, rows));
}

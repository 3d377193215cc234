/* SPDX-License-Identifier: MIT */
/*
 * As mmio_form, for what only 64-bit code can say: 64-bit operands, the eight new registers, RIP-relative and 64-bit
 * absolute addresses, sign-extended immediates, SSE moves of 16 bytes, an address size of 32 bits.
 *
 * Nothing wider than 8 bytes leaves in one exit: 16 bytes are two, the lower address first.
 *
 * Can break: REX.B, X or R lost; SPL..DIL taken for AH..BH; an immediate zero-extended; the second half of 16 bytes
 * never asked for, or taken from the first answer; RIP-relative addresses from the instruction's start.
 * Source: APM vol. 3, 1.2.7 (REX), 1.7 (RIP-relative), chapter 3; APM vol. 4, MOVUPS, MOVDQU; KVM API, KVM_EXIT_MMIO.
 */
#include "cases/ioctl/blob.h"

#define SSE_ON "mov %cr4, %r15\n\tor $0x200, %r15\n\tmov %r15, %cr4\n\t"
#define SSE_OFF "\n\tmov %cr4, %r15\n\tand $~0x200, %r15\n\tmov %r15, %cr4\n\tmov $0x0f1f2f3f, %r15"

BLOB(st64, "mov %rax, (%rdi)")
BLOB(ld64, "mov (%rdi), %rax")
BLOB(st64_imm, "movq $-2, (%rdi)")
BLOB(ld_r9, "mov 0x18(%rdi), %r9")
BLOB(st_r10, "mov %r10d, (%r11)")
BLOB(st_r8b, "mov %r8b, (%rdi)")
BLOB(st_sil, "mov %sil, (%rdi)")
BLOB(ld_dil, "mov (%rdi), %dil")
BLOB(sib, "mov %r12, -8(%r13,%r14,8)")
BLOB(rip_relative, "mov %rax, 0x10000048(%rip)")
BLOB(rip_relative_imm, "movl $0x11223344, 0x10000048(%rip)")
BLOB(moffs, ".byte 0xa0\n\t.quad 0x10000048\n\t.byte 0x48, 0xa1\n\t.quad 0x10000050\n\t.byte 0xa2\n\t"
     ".quad 0x10000058\n\t.byte 0x48, 0xa3\n\t.quad 0x10000060")
BLOB(addr32, ".byte 0x67, 0x48, 0x89, 0x07")
BLOB(fs_st, ".byte 0x64\n\tmov %eax, (%rdi)")
BLOB(movsxd, ".byte 0x48, 0x63, 0x07")
BLOB(movzx8_64, "movzbq (%rdi), %rax")
BLOB(movsx8_64, "movsbq (%rdi), %rax")
BLOB(movsx16_64, "movswq (%rdi), %rax")
BLOB(add64, "add %rax, (%rdi)")
BLOB(or64_imm, "orq $-0x80, (%rdi)")
BLOB(cmp64, "cmp (%rdi), %rax")
BLOB(inc64, "incq (%rdi)")
BLOB(neg64, "negq (%rdi)")
BLOB(shl64, "shlq $33, (%rdi)")
BLOB(mul64, "mulq (%rdi)")
BLOB(imul64, "imul (%rdi), %rax")
BLOB(bts64, "bts %rax, (%rdi)")
BLOB(xchg64, "xchg %rax, (%rdi)")
BLOB(lock_xadd64, "lock xadd %rcx, (%rdi)")
BLOB(cmpxchg64, "lock cmpxchg %rcx, (%rdi)")
BLOB(cmov64, "cmovz (%rdi), %rax")
BLOB(movnti64, "movnti %rax, (%rdi)")
BLOB(movbe64, "movbe (%rdi), %rax")
BLOB(stosq, "stosq")
BLOB(lodsq, "lodsq")
BLOB(movsq, "movsq")
BLOB(rep_movsq, "rep movsq")
BLOB(addr32_stosl, ".byte 0x67\n\tstosl")
BLOB(push, "pushq (%rdi)")
BLOB(push_from_stack, "pushq %rax")
BLOB(pop_to_reg, "popq %rax")
BLOB(movups, SSE_ON "movups (%rsi), %xmm1\n\tmovups %xmm1, (%rdi)\n\tmovups 0x20(%rdi), %xmm9\n\t"
     "movups %xmm9, 0x100(%rsi)" SSE_OFF)
BLOB(movdqu, SSE_ON "movdqu (%rsi), %xmm1\n\tmovdqu %xmm1, (%rdi)\n\tmovdqu 0x23(%rdi), %xmm9\n\t"
     "movdqu %xmm9, 0x100(%rsi)" SSE_OFF)
BLOB(movaps, SSE_ON "movaps (%rsi), %xmm1\n\tmovaps %xmm1, (%rdi)\n\tmovaps 0x20(%rdi), %xmm9\n\t"
     "movaps %xmm9, 0x100(%rsi)" SSE_OFF)
BLOB(movdqa, SSE_ON "movdqa (%rsi), %xmm1\n\tmovdqa %xmm1, (%rdi)\n\tmovdqa 0x20(%rdi), %xmm9\n\t"
     "movdqa %xmm9, 0x100(%rsi)" SSE_OFF)

/* 16 bytes of RAM go to MMIO, 16 bytes of MMIO to RAM; the blob's CR4 arithmetic leaves R15 and flags changed. */
#define SSE_ROW(at_)									\
	.in = { PTR(RSI, RAM, 0x840) },							\
	.ram_in = { BYTES(0x840, 8, 0x9192939495969798), BYTES(0x848, 8, 0x8182838485868788) },	\
	.steps = { WR(0x40, 8, 0x9192939495969798), WR(0x48, 8, 0x8182838485868788),	\
		   RD(at_, 8, 0x6162636465666768), RD((at_) + 8, 8, 0x7172737475767778) },	\
	.out = { REG(R15, 0x0f1f2f3f) }, .undefined = CF | PF | AF | ZF | SF | OF,	\
	.ram_out = { BYTES(0x940, 8, 0x6162636465666768), BYTES(0x948, 8, 0x7172737475767778) }

static const struct blob_row rows[] = {
	{ .label = "st64", BLOB_OF(st64), .steps = { WR(0x40, 8, 0xa1a2a3a4a5a6a7a8) } },
	{ .label = "st64_unaligned", BLOB_OF(st64), .in = { PTR(RDI, MMIO, 0x45) },
	  .steps = { WR(0x45, 8, 0xa1a2a3a4a5a6a7a8) } },
	{ .label = "ld64", BLOB_OF(ld64), .steps = { RD(0x40, 8, 0x8122334455667788) },
	  .out = { REG(RAX, 0x8122334455667788) } },
	{ .label = "st64_imm", BLOB_OF(st64_imm), .steps = { WR(0x40, 8, 0xfffffffffffffffe) } },
	{ .label = "ld_r9", BLOB_OF(ld_r9), .steps = { RD(0x58, 8, 0x8122334455667788) },
	  .out = { REG(R9, 0x8122334455667788) } },
	{ .label = "st_r10", BLOB_OF(st_r10), .in = { PTR(R11, MMIO, 0x60) }, .steps = { WR(0x60, 4, 0x4a5a6a7a) } },
	{ .label = "st_r8b", BLOB_OF(st_r8b), .steps = { WR(0x40, 1, 0x78) } },
	{ .label = "st_sil", BLOB_OF(st_sil), .in = { REG(RSI, 0x1234567890abcdef) }, .steps = { WR(0x40, 1, 0xef) } },
	{ .label = "ld_dil", BLOB_OF(ld_dil), .steps = { RD(0x40, 1, 0x5c) }, .out = { PTR(RDI, MMIO, 0x5c) } },
	{ .label = "sib", BLOB_OF(sib), .in = { PTR(R13, MMIO, 0x40), REG(R14, -2ull) },
	  .steps = { WR(0x28, 8, 0x0c1c2c3c4c5c6c7c) } },
	{ .label = "rip_relative", BLOB_OF(rip_relative), .rip_relative = true, .steps = { WR(0x48, 8, 0xa1a2a3a4a5a6a7a8) } },
	{ .label = "rip_relative_imm", BLOB_OF(rip_relative_imm), .rip_relative = true,
	  .steps = { WR(0x48, 4, 0x11223344) } },
	{ .label = "moffs", BLOB_OF(moffs),
	  .steps = { RD(0x48, 1, 0x11), RD(0x50, 8, 0x2122232425262728), WR(0x58, 1, 0x28),
		     WR(0x60, 8, 0x2122232425262728) },
	  .out = { REG(RAX, 0x2122232425262728) } },
	{ .label = "addr32", BLOB_OF(addr32), .in = { REG(RDI, 0xdeadbeef00000040 + MMIO_GPA) },
	  .steps = { WR(0x40, 8, 0xa1a2a3a4a5a6a7a8) } },
	{ .label = "fs_st", BLOB_OF(fs_st), .in = { REG(RDI, MMIO_GPA - SCRATCH_GPA - 0x1000 + 0x70) },
	  .steps = { WR(0x70, 4, 0xa5a6a7a8) } },
	{ .label = "movsxd", BLOB_OF(movsxd), .steps = { RD(0x40, 4, 0x80000001) },
	  .out = { REG(RAX, 0xffffffff80000001) } },
	{ .label = "movzx8_64", BLOB_OF(movzx8_64), .steps = { RD(0x40, 1, 0x80) }, .out = { REG(RAX, 0x80) } },
	{ .label = "movsx8_64", BLOB_OF(movsx8_64), .steps = { RD(0x40, 1, 0x80) },
	  .out = { REG(RAX, 0xffffffffffffff80) } },
	{ .label = "movsx16_64", BLOB_OF(movsx16_64), .steps = { RD(0x40, 2, 0x8000) },
	  .out = { REG(RAX, 0xffffffffffff8000) } },
	{ .label = "add64", BLOB_OF(add64), .steps = { RD(0x40, 8, 0x5e5d5c5b5a595858), WR(0x40, 8, 0) },
	  FLAGS(CF | PF | AF | ZF) },
	{ .label = "or64_imm", BLOB_OF(or64_imm), .steps = { RD(0x40, 8, 1), WR(0x40, 8, 0xffffffffffffff81) },
	  FLAGS(PF | SF), .undefined = AF },
	{ .label = "cmp64", BLOB_OF(cmp64), .steps = { RD(0x40, 8, 0xa1a2a3a5a5a6a7a8) }, FLAGS(CF | PF | SF) },
	{ .label = "inc64", BLOB_OF(inc64), .steps = { RD(0x40, 8, 0xffffffff), WR(0x40, 8, 0x100000000) },
	  FLAGS(CF | PF | AF) },
	{ .label = "neg64", BLOB_OF(neg64), .steps = { RD(0x40, 8, 1), WR(0x40, 8, 0xffffffffffffffff) },
	  FLAGS(CF | PF | AF | SF) },
	{ .label = "shl64", BLOB_OF(shl64), .steps = { RD(0x40, 8, 0x80000001), WR(0x40, 8, 0x200000000) },
	  FLAGS(CF | PF), .undefined = CF | AF | OF },
	{ .label = "mul64", BLOB_OF(mul64), .steps = { RD(0x40, 8, 0x10) },
	  .out = { REG(RAX, 0x1a2a3a4a5a6a7a80), REG(RDX, 0xa) }, FLAGS(CF | OF), .undefined = PF | AF | ZF | SF },
	{ .label = "imul64", BLOB_OF(imul64), .in = { REG(RAX, 0x80000000) }, .steps = { RD(0x40, 8, -4ull) },
	  .out = { REG(RAX, 0xfffffffe00000000) }, FLAGS(0), .undefined = PF | AF | ZF | SF },
	{ .label = "bts64", BLOB_OF(bts64), .in = { REG(RAX, 64 + 40) },
	  .steps = { RD(0x48, 8, 1), WR(0x48, 8, 0x10000000001) }, FLAGS(0), .undefined = PF | AF | SF | OF },
	{ .label = "xchg64", BLOB_OF(xchg64), .steps = { RD(0x40, 8, 0x1122334455667788), WR(0x40, 8, 0xa1a2a3a4a5a6a7a8) },
	  .out = { REG(RAX, 0x1122334455667788) } },
	{ .label = "lock_xadd64", BLOB_OF(lock_xadd64), .in = { REG(RCX, 1) },
	  .steps = { RD(0x40, 8, 0xffffffff), WR(0x40, 8, 0x100000000) }, .out = { REG(RCX, 0xffffffff) },
	  FLAGS(PF | AF) },
	{ .label = "cmpxchg64_equal", BLOB_OF(cmpxchg64),
	  .steps = { RD(0x40, 8, 0xa1a2a3a4a5a6a7a8), WR(0x40, 8, 0xc1c2c3c4c5c6c7c8) }, FLAGS(PF | ZF) },
	{ .label = "cmpxchg64_upper", BLOB_OF(cmpxchg64),
	  .steps = { RD(0x40, 8, 0x21a2a3a4a5a6a7a8), WR(0x40, 8, 0x21a2a3a4a5a6a7a8) },
	  .out = { REG(RAX, 0x21a2a3a4a5a6a7a8) }, FLAGS(PF | SF) },
	{ .label = "cmov64_not", BLOB_OF(cmov64), .steps = { RD(0x40, 8, 1) } },
	{ .label = "movnti64", BLOB_OF(movnti64), .steps = { WR(0x40, 8, 0xa1a2a3a4a5a6a7a8) } },
	{ .label = "movbe64", .needs = "cpuid:movbe", BLOB_OF(movbe64), .steps = { RD(0x40, 8, 0x1122334455667788) },
	  .out = { REG(RAX, 0x8877665544332211) } },
	{ .label = "stosq_down", BLOB_OF(stosq), .flags_in = DF, .steps = { WR(0x40, 8, 0xa1a2a3a4a5a6a7a8) },
	  .out = { PTR(RDI, MMIO, 0x38) } },
	{ .label = "lodsq", BLOB_OF(lodsq), .in = { PTR(RSI, MMIO, 0x50) }, .steps = { RD(0x50, 8, 0x8122334455667788) },
	  .out = { PTR(RSI, MMIO, 0x58), REG(RAX, 0x8122334455667788) } },
	{ .label = "movsq", BLOB_OF(movsq), .ram_in = { BYTES(0x840, 8, 0x9192939495969798) },
	  .steps = { WR(0x40, 8, 0x9192939495969798) }, .out = { PTR(RSI, RAM, 0x848), PTR(RDI, MMIO, 0x48) } },
	{ .label = "rep_movsq_from_mmio", BLOB_OF(rep_movsq),
	  .in = { REG(RCX, 2), PTR(RSI, MMIO, 0x50), PTR(RDI, RAM, 0xffc) },
	  .steps = { RD(0x50, 8, 0x6162636465666768), RD(0x58, 8, 0x7172737475767778) },
	  .out = { REG(RCX, 0), PTR(RSI, MMIO, 0x60), PTR(RDI, RAM, 0x100c) },
	  .ram_out = { BYTES(0xffc, 8, 0x6162636465666768), BYTES(0x1004, 8, 0x7172737475767778) } },
	{ .label = "addr32_stosl", BLOB_OF(addr32_stosl), .in = { REG(RDI, 0xdeadbeef00000040 + MMIO_GPA) },
	  .steps = { WR(0x40, 4, 0xa5a6a7a8) }, .out = { PTR(RDI, MMIO, 0x44) } },
	{ .label = "push", BLOB_OF(push), .steps = { RD(0x40, 8, 0x8122334455667788) }, .out = { PTR(RSP, RAM, 0x17f8) },
	  .ram_out = { BYTES(0x17f8, 8, 0x8122334455667788) } },
	{ .label = "push_on_mmio", BLOB_OF(push_from_stack), .in = { PTR(RSP, MMIO, 0x80) },
	  .steps = { WR(0x78, 8, 0xa1a2a3a4a5a6a7a8) }, .out = { PTR(RSP, MMIO, 0x78) } },
	{ .label = "pop_from_mmio", BLOB_OF(pop_to_reg), .in = { PTR(RSP, MMIO, 0x80) },
	  .steps = { RD(0x80, 8, 0x8122334455667788) },
	  .out = { PTR(RSP, MMIO, 0x88), REG(RAX, 0x8122334455667788) } },
	{ .label = "movups", BLOB_OF(movups), SSE_ROW(0x60) },
	{ .label = "movdqu", BLOB_OF(movdqu), SSE_ROW(0x63) },
	{ .label = "movaps", BLOB_OF(movaps), SSE_ROW(0x60) },
	{ .label = "movdqa", BLOB_OF(movdqa), SSE_ROW(0x60) },
};

CASE(mmio_form64, .says = "64-bit forms make their MMIO accesses, and no others, and compute right",
     .modes = LONG64, .rows = ROWS(rows))

GUEST(mmio_form64)
{
}

HOST(mmio_form64)
{
	blob_run(t, ROW(t, rows));
}

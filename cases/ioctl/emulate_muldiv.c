/* SPDX-License-Identifier: MIT */
/*
 * Multiplication and division by KVM's emulator, with operands at which the product just fits or the quotient just does
 * not: #DE leaves registers and flags alone.
 *
 * Can break: the upper half of a product lost; CF and OF of a signed product; #DE missed at the border, or after RDX was
 * written; the dividend of a byte division taken from DL.
 * Source: APM vol. 3, DIV, IDIV, IMUL, MUL, AAM.
 */
#include "cases/ioctl/emulate.h"

EMU(mul, INSN_("mul %cl") INSN_("mul %ch") INSN_("mulb " M) INSN_("mul %cx") INSN_("mulw " M) INSN_("mul %ecx")
    INSN_("mull " M))
EMU(imul, INSN_("imul %cl") INSN_("imulb " M) INSN_("imul %cx") INSN_("imulw " M) INSN_("imul %ecx") INSN_("imull " M)
    INSN_("imul %cx, %ax") INSN_("imul " M ", %ax") INSN_("imul %ecx, %edx") INSN_("imul " M ", %eax")
    INSN_("imul $-3, %cx, %ax") INSN_("imul $0x7fff, " M ", %ax") INSN_("imul $-3, %ecx, %eax")
    INSN_("imul $0x10001, " M ", %eax"))
EMU(div, INSN_("div %cl") INSN_("divb " M) INSN_("div %cx") INSN_("divw " M) INSN_("div %ecx") INSN_("divl " M)
    INSN_("div %ah"))
EMU(idiv, INSN_("idiv %cl") INSN_("idivb " M) INSN_("idiv %cx") INSN_("idivw " M) INSN_("idiv %ecx") INSN_("idivl " M))
EMU(muldiv_64, WIDTH_(64) INSN_("mul %rcx") INSN_("mulq (%rdi)") INSN_("imul %r9") INSN_("imulq (%rdi)")
    INSN_("imul %rcx, %r8") INSN_("imul (%rdi), %rax") INSN_("imul $-3, (%rdi), %r10") INSN_("imul $0x7fffffff, %rcx, %rdx")
    INSN_("mul %r9d") INSN_("mul %sil") INSN_("div %rcx") INSN_("divq (%rdi)") INSN_("idiv %r9") INSN_("idivq (%rdi)"))

static const struct emu_values factors[] = {
	{ 0, 0x1234, 5, 0x4321 },
	{ 0xffffffffffffffff, 0xffffffffffffffff, 5, 2 },
	{ 0x8000000080008080, 0xffffffffffffffff, 5, 0xffffffffffffffff },
	{ 0x0000000100000010, 0x000000010000000f, 5, 0x10 },
	{ 0x7fffffff7fff007f, 2, 5, 0x0000000000000002 },
	{ 0x123456789abcdef0, 0x0fedcba987654321, 5, 0x8000000080008080 },
};

/* Fits just, just not, divisor 0, sign changes; the least dividend by -1. */
static const struct emu_values dividends[] = {
	{ 0x0000000000000007, 3, 0, 2 },
	{ 0xffffffffffffffff, 0xffffffffffffffff, 0xfffffffffffffffe, 0xffffffffffffffff },
	{ 0x00000000000000ff, 0, 0, 0 },
	{ 0x8000000080008000, 0xffffffffffffffff, 0xffffffffffffffff, 0xffffffffffffffff },
	{ 0x8000000180018001, 0xffffffffffffffff, 0xffffffffffffffff, 0x00000001 },
	{ 0x0000000000000000, 0x0000000100010001, 1, 0x0000000200020002 },
	{ 0xfffffffffffffff9, 2, 0xffffffffffffffff, 0xfffffffffffffffd },
	{ 0x0000000000000fff, 0x10, 0, 0x1010101010101010 },
};

#define ROW_(name_, values_, undefined_, ...) \
	{ .label = #name_, EMU_OF(name_), .values = VALUES(values_), .undefined = undefined_, __VA_ARGS__ }

static const struct emu_row rows[] = {
	ROW_(mul, factors, SF | ZF | AF | PF),
	ROW_(imul, factors, SF | ZF | AF | PF),
	ROW_(div, dividends, EMU_STATUS),
	ROW_(idiv, dividends, EMU_STATUS),
	ROW_(muldiv_64, dividends, EMU_STATUS, .modes = LONG64),
};

CASE(emulate_muldiv, .says = "products, quotients and #DE by KVM's emulator are the CPU's",
     .modes = REAL16 | PROT32 | LONG64, .needs = EMU_NEEDS, .rows = ROWS(rows))

GUEST(emulate_muldiv)
{
}

HOST(emulate_muldiv)
{
	emu_row_run(t, ROW(t, rows));
}

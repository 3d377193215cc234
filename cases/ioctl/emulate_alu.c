/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic and logic of one and two operands in every form that KVM's emulator has, on registers and on RAM: results
 * and all flags are those of the CPU.
 *
 * Can break: operand size from the wrong prefix; a high-byte register taken for a low one; an immediate that is not
 * sign-extended, or cut; the upper half of a register kept by a 32-bit result; CF touched by INC; a comparison that
 * writes.
 * Source: APM vol. 3, chapter 3, each instruction's page.
 */
#include "cases/ioctl/emulate.h"

/* Register and memory forms, both directions, high bytes, the accumulator's and all immediate forms, by size. */
#define BINARY(name_, op_)								\
	EMU(name_, INSN_(#op_ " %cl, %dl") INSN_(#op_ " %ch, %ah") INSN_(#op_ " %cl, " M)	\
	    INSN_(#op_ " " M ", %ch") INSN_(#op_ " $0x7f, %al") INSN_(#op_ "b $0x80, " M)	\
	    INSN_(#op_ " $0x81, %dh")							\
	    INSN_(#op_ " %cx, %dx") INSN_(#op_ " %ax, " M) INSN_(#op_ " " M ", %cx")	\
	    INSN_(#op_ " $0x8001, %ax") INSN_(#op_ "w $0x7fff, " M) INSN_(#op_ "w $-1, " M)	\
	    INSN_(#op_ " %ecx, %edx") INSN_(#op_ " %eax, " M) INSN_(#op_ " " M ", %ecx")	\
	    INSN_(#op_ " $0x80000001, %eax") INSN_(#op_ "l $0x7fffffff, " M) INSN_(#op_ "l $-1, " M))

BINARY(add, add)
BINARY(or, or)
BINARY(adc, adc)
BINARY(sbb, sbb)
BINARY(and, and)
BINARY(sub, sub)
BINARY(xor, xor)
BINARY(cmp, cmp)

EMU(test, INSN_("test %cl, %dl") INSN_("test %ah, " M) INSN_("test $0x80, %al") INSN_("testb $0x7f, " M)
    INSN_("test %cx, %dx") INSN_("test %ax, " M) INSN_("test $0x8000, %ax") INSN_("testw $0x8001, " M)
    INSN_("test %ecx, %edx") INSN_("test %eax, " M) INSN_("test $0x80000000, %eax") INSN_("testl $-1, " M))
/* Encodings with another reg field than the assembler's; QEMU does not know them. */
EMU(test_alias, INSN_(".byte 0xf6, 0xca, 0x88"))
EMU(not, INSN_("not %cl") INSN_("not %ah") INSN_("notb " M) INSN_("not %cx") INSN_("notw " M) INSN_("not %ecx")
    INSN_("notl " M))
EMU(neg, INSN_("neg %cl") INSN_("neg %ah") INSN_("negb " M) INSN_("neg %cx") INSN_("negw " M) INSN_("neg %ecx")
    INSN_("negl " M))
EMU(inc, INSN_("inc %cl") INSN_("inc %ah") INSN_("incb " M) INSN_("inc %cx") INSN_("incw " M) INSN_("inc %ecx")
    INSN_("incl " M))
EMU(dec, INSN_("dec %cl") INSN_("dec %ah") INSN_("decb " M) INSN_("dec %cx") INSN_("decw " M) INSN_("dec %ecx")
    INSN_("decl " M))
EMU(lock, INSN_("lock addb %cl, " M) INSN_("lock orw %cx, " M) INSN_("lock adcl %ecx, " M) INSN_("lock sbbl $5, " M)
    INSN_("lock andb $0x5a, " M) INSN_("lock subw $-7, " M) INSN_("lock xorl %eax, " M) INSN_("lock notl " M)
    INSN_("lock negw " M) INSN_("lock incb " M) INSN_("lock decl " M))
EMU(alu_64, WIDTH_(64) INSN_("add %rcx, %rdx") INSN_("or %rax, (%rdi)") INSN_("adc (%rdi), %rcx")
    INSN_("sbb $0x80000001, %eax") INSN_("and $-0x7fffffff, %rax") INSN_("subq $0x7fffffff, (%rdi)")
    INSN_("xorq $-128, (%rdi)") INSN_("cmp %r9, %r8") INSN_("add %r9b, (%rdi)") INSN_("sub %sil, %r10b")
    INSN_("adc %r9w, %r8w") INSN_("sbb %r9d, %r8d") INSN_("add %r9, %r15") INSN_("test %rcx, %rdx")
    INSN_("test $-0x70000000, %rax") INSN_("testq $-1, (%rdi)") INSN_("notq (%rdi)") INSN_("not %r8") INSN_("negq (%rdi)")
    INSN_("neg %r9") INSN_("incq (%rdi)") INSN_("inc %r8b") INSN_("decq (%rdi)") INSN_("dec %r9d") INSN_("dec %bpl")
    INSN_("lock xorq %rcx, (%rdi)") INSN_("lock decq (%rdi)") INSN_("cmp (%rdi), %rax") INSN_("cmpq $-1, (%rdi)"))

#define ROW_(name_, ...) { .label = #name_, EMU_OF(name_), VALUES_, __VA_ARGS__ }
#define VALUES_ .values = VALUES(emu_pairs)

static const struct emu_row rows[] = {
	ROW_(add),
	ROW_(or, .undefined = AF),
	ROW_(adc),
	ROW_(sbb),
	ROW_(and, .undefined = AF),
	ROW_(sub),
	ROW_(xor, .undefined = AF),
	ROW_(cmp),
	ROW_(test, .undefined = AF),
	{ .label = "test_alias", EMU_OF(test_alias), .modes = PROT32, .no_native = true, WANT, .undefined = AF,
	  .want = { REG(RFLAGS, X86_EFLAGS_FIXED | PF | SF) }, .in = { REG(RDX, 0xffff8888) } },
	ROW_(not),
	ROW_(neg),
	ROW_(inc),
	ROW_(dec),
	ROW_(lock, .undefined = AF),
	ROW_(alu_64, .modes = LONG64, .undefined = AF),
};

CASE(emulate_alu, .says = "arithmetic and logic by KVM's emulator are the CPU's", .modes = REAL16 | PROT32 | LONG64,
     .needs = EMU_NEEDS, .rows = ROWS(rows))

GUEST(emulate_alu)
{
}

HOST(emulate_alu)
{
	emu_row_run(t, ROW(t, rows));
}

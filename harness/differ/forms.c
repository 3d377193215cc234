/* SPDX-License-Identifier: MIT */
/*
 * Every user-mode instruction that the machine has, by opcode (APM vol. 3, appendix A), with the flags it leaves
 * undefined.
 */
#include "differ/instance.h"

#include "vm/x86/bits.h"

#define CF X86_EFLAGS_CF
#define PF X86_EFLAGS_PF
#define AF X86_EFLAGS_AF
#define ZF X86_EFLAGS_ZF
#define SF X86_EFLAGS_SF
#define OF X86_EFLAGS_OF

#define MODRM FORM_MODRM
#define EXT (FORM_MODRM | FORM_EXTENSION)
#define IB FORM_IB
#define IZ FORM_IZ
#define LOCK FORM_LOCK
#define ONE 0
#define TWO 1
#define M38 2
#define M3A 3

/* ADD, OR, ADC, SBB, AND, SUB, XOR, CMP: all of an operation's eight forms. */
#define ARITHMETIC(name, number, lock, undefined)						\
	{ name, MODRM | (lock), ONE, (number) * 8, (number) * 8 + 1, 0, undefined },		\
	{ name, MODRM, ONE, (number) * 8 + 2, (number) * 8 + 3, 0, undefined },			\
	{ name, IB, ONE, (number) * 8 + 4, 0, 0, undefined },					\
	{ name, IZ, ONE, (number) * 8 + 5, 0, 0, undefined },					\
	{ name, EXT | IB | (lock), ONE, 0x80, 0, number, undefined },				\
	{ name, EXT | IZ | (lock), ONE, 0x81, 0, number, undefined },				\
	{ name, EXT | IB | (lock), ONE, 0x83, 0, number, undefined },				\
	{ name, EXT | IB | (lock) | FORM_NOT64, ONE, 0x82, 0, number, undefined }

/* By an immediate, by one and by CL. OF is defined for a count of one only. */
#define SHIFT(name, number, undefined)								\
	{ name, EXT | IB, ONE, 0xc0, 0xc1, number, (undefined) | OF },				\
	{ name, EXT, ONE, 0xd0, 0xd1, number, (undefined) },					\
	{ name, EXT, ONE, 0xd2, 0xd3, number, (undefined) | OF }

#define BIT_TEST(name, number, opcode, lock)							\
	{ name, MODRM | FORM_BIT | (lock), TWO, opcode, 0, 0, PF | AF | SF | OF },		\
	{ name, EXT | IB | (lock), TWO, 0xba, 0, number, PF | AF | SF | OF }

const struct form forms[] = {
	ARITHMETIC("ADD", 0, LOCK, 0),
	ARITHMETIC("OR", 1, LOCK, AF),
	ARITHMETIC("ADC", 2, LOCK, 0),
	ARITHMETIC("SBB", 3, LOCK, 0),
	ARITHMETIC("AND", 4, LOCK, AF),
	ARITHMETIC("SUB", 5, LOCK, 0),
	ARITHMETIC("XOR", 6, LOCK, AF),
	ARITHMETIC("CMP", 7, 0, 0),
	{ "DAA", FORM_NOT64, ONE, 0x27, 0, 0, OF },
	{ "DAS", FORM_NOT64, ONE, 0x2f, 0, 0, OF },
	{ "AAA", FORM_NOT64, ONE, 0x37, 0, 0, OF | SF | ZF | PF },
	{ "AAS", FORM_NOT64, ONE, 0x3f, 0, 0, OF | SF | ZF | PF },
	{ "AAM", FORM_NOT64 | IB, ONE, 0xd4, 0, 0, OF | AF | CF },
	{ "AAD", FORM_NOT64 | IB, ONE, 0xd5, 0, 0, OF | AF | CF },
	{ "INC", FORM_NOT64, ONE, 0x40, 0x47 },
	{ "DEC", FORM_NOT64, ONE, 0x48, 0x4f },
	{ "INC", EXT | LOCK, ONE, 0xfe, 0xff, 0 },
	{ "DEC", EXT | LOCK, ONE, 0xfe, 0xff, 1 },
	{ "PUSH", FORM_STACK, ONE, 0x50, 0x57 },
	{ "POP", FORM_STACK, ONE, 0x58, 0x5f },
	{ "PUSH", FORM_STACK | EXT, ONE, 0xff, 0, 6 },
	{ "POP", FORM_STACK | EXT, ONE, 0x8f, 0, 0 },
	{ "PUSH", FORM_STACK | IZ, ONE, 0x68 },
	{ "PUSH", FORM_STACK | IB, ONE, 0x6a },
	{ "PUSHA", FORM_STACK | FORM_NOT64, ONE, 0x60 },
	{ "POPA", FORM_STACK | FORM_NOT64, ONE, 0x61 },
	{ "PUSHF", FORM_STACK, ONE, 0x9c },
	{ "ENTER", FORM_STACK | FORM_FRAME | FORM_IW | IB, ONE, 0xc8 },
	{ "LEAVE", FORM_STACK | FORM_FRAME, ONE, 0xc9 },
	{ "MOVSXD", MODRM | FORM_ONLY64, ONE, 0x63 },
	{ "IMUL", MODRM | IZ, ONE, 0x69, 0, 0, SF | ZF | AF | PF },
	{ "IMUL", MODRM | IB, ONE, 0x6b, 0, 0, SF | ZF | AF | PF },
	{ "IMUL", MODRM, TWO, 0xaf, 0, 0, SF | ZF | AF | PF },
	{ "Jcc", IB | FORM_BRANCH, ONE, 0x70, 0x7f },
	{ "Jcc", IZ | FORM_BRANCH, TWO, 0x80, 0x8f },
	{ "LOOP", IB | FORM_BRANCH, ONE, 0xe0, 0xe3 },
	{ "JMP", IZ | FORM_BRANCH, ONE, 0xe9 },
	{ "JMP", IB | FORM_BRANCH, ONE, 0xeb },
	{ "JMP", EXT | FORM_BRANCH, ONE, 0xff, 0, 4 },
	{ "CALL", IZ | FORM_STACK | FORM_BRANCH, ONE, 0xe8 },
	{ "CALL", EXT | FORM_STACK | FORM_BRANCH, ONE, 0xff, 0, 2 },
	{ "RET", FORM_STACK | FORM_BRANCH, ONE, 0xc3 },
	{ "RET", FORM_STACK | FORM_BRANCH | FORM_IW, ONE, 0xc2 },
	{ "TEST", MODRM, ONE, 0x84, 0x85, 0, AF },
	{ "TEST", IB, ONE, 0xa8, 0, 0, AF },
	{ "TEST", IZ, ONE, 0xa9, 0, 0, AF },
	{ "TEST", EXT | IB, ONE, 0xf6, 0, 0, AF },
	{ "TEST", EXT | IZ, ONE, 0xf7, 0, 0, AF },
	{ "NOT", EXT | LOCK, ONE, 0xf6, 0xf7, 2 },
	{ "NEG", EXT | LOCK, ONE, 0xf6, 0xf7, 3 },
	{ "MUL", EXT, ONE, 0xf6, 0xf7, 4, SF | ZF | AF | PF },
	{ "IMUL", EXT, ONE, 0xf6, 0xf7, 5, SF | ZF | AF | PF },
	{ "DIV", EXT | FORM_DIVIDE, ONE, 0xf6, 0xf7, 6, CF | PF | AF | ZF | SF | OF },
	{ "IDIV", EXT | FORM_DIVIDE, ONE, 0xf6, 0xf7, 7, CF | PF | AF | ZF | SF | OF },
	{ "XCHG", MODRM | LOCK, ONE, 0x86, 0x87 },
	{ "XCHG", 0, ONE, 0x90, 0x97 },
	{ "MOV", MODRM, ONE, 0x88, 0x8b },
	{ "MOV from segment", MODRM, ONE, 0x8c },
	{ "MOV ES", EXT | FORM_SELECTOR, ONE, 0x8e, 0, 0 },
	{ "MOV CS", EXT | FORM_SELECTOR, ONE, 0x8e, 0, 1 },
	{ "MOV SS", EXT | FORM_SELECTOR, ONE, 0x8e, 0, 2 },
	{ "MOV DS", EXT | FORM_SELECTOR, ONE, 0x8e, 0, 3 },
	{ "PUSH ES", FORM_STACK | FORM_NOT64, ONE, 0x06 },
	{ "PUSH CS", FORM_STACK | FORM_NOT64, ONE, 0x0e },
	{ "PUSH SS", FORM_STACK | FORM_NOT64, ONE, 0x16 },
	{ "PUSH DS", FORM_STACK | FORM_NOT64, ONE, 0x1e },
	{ "POP ES", FORM_STACK | FORM_NOT64 | FORM_POP_SEGMENT, ONE, 0x07 },
	{ "POP SS", FORM_STACK | FORM_NOT64 | FORM_POP_SEGMENT, ONE, 0x17 },
	{ "POP DS", FORM_STACK | FORM_NOT64 | FORM_POP_SEGMENT, ONE, 0x1f },
	{ "LES", MODRM | FORM_MEMORY | FORM_FAR | FORM_NOT64, ONE, 0xc4 },
	{ "LDS", MODRM | FORM_MEMORY | FORM_FAR | FORM_NOT64, ONE, 0xc5 },
	{ "LSS", MODRM | FORM_MEMORY | FORM_FAR, TWO, 0xb2 },
	{ "LAR", MODRM | FORM_SELECTOR, TWO, 0x02 },
	{ "LSL", MODRM | FORM_SELECTOR, TWO, 0x03 },
	{ "VERR", EXT | FORM_SELECTOR, TWO, 0x00, 0, 4 },
	{ "VERW", EXT | FORM_SELECTOR, TWO, 0x00, 0, 5 },
	{ "ARPL", MODRM | FORM_SELECTOR | FORM_NOT64, ONE, 0x63 },
	{ "BOUND", MODRM | FORM_MEMORY | FORM_BOUND | FORM_NOT64, ONE, 0x62 },
	{ "INTO", FORM_NOT64, ONE, 0xce },
	{ "JMP far", FORM_FAR | FORM_NOT64 | FORM_IZ | FORM_IW, ONE, 0xea },
	{ "CALL far", FORM_FAR | FORM_STACK | FORM_NOT64 | FORM_IZ | FORM_IW, ONE, 0x9a },
	{ "JMP far", EXT | FORM_MEMORY | FORM_FAR, ONE, 0xff, 0, 5 },
	{ "CALL far", EXT | FORM_MEMORY | FORM_FAR | FORM_STACK, ONE, 0xff, 0, 3 },
	{ "RET far", FORM_STACK | FORM_RETURN, ONE, 0xcb },
	{ "RET far", FORM_STACK | FORM_RETURN | FORM_IW, ONE, 0xca },
	{ "IRET", FORM_STACK | FORM_RETURN | FORM_FLAGS, ONE, 0xcf },
	{ "POPF", FORM_STACK | FORM_FLAGS, ONE, 0x9d },
	{ "IN", IB, ONE, 0xe4, 0xe5 },
	{ "OUT", IB, ONE, 0xe6, 0xe7 },
	{ "IN", 0, ONE, 0xec, 0xed },
	{ "OUT", 0, ONE, 0xee, 0xef },
	{ "INS", FORM_STRING | FORM_REP, ONE, 0x6c, 0x6d },
	{ "OUTS", FORM_STRING | FORM_REP, ONE, 0x6e, 0x6f },
	{ "MOV CR or DR", MODRM, TWO, 0x20, 0x23 },
	{ "LLDT", EXT, TWO, 0x00, 0, 2 },
	{ "LTR", EXT, TWO, 0x00, 0, 3 },
	{ "LGDT", EXT | FORM_MEMORY, TWO, 0x01, 0, 2 },
	{ "LIDT", EXT | FORM_MEMORY, TWO, 0x01, 0, 3 },
	{ "LMSW", EXT, TWO, 0x01, 0, 6 },
	{ "INVLPG", EXT | FORM_MEMORY, TWO, 0x01, 0, 7 },
	{ "WBINVD", 0, TWO, 0x08, 0x09 },
	{ "WRMSR", 0, TWO, 0x30 },
	{ "RDMSR", 0, TWO, 0x32 },
	{ "SYSRET", 0, TWO, 0x07 },
	{ "SYSEXIT", 0, TWO, 0x35 },
	{ "MOV", FORM_MOFFS, ONE, 0xa0, 0xa3 },
	{ "MOV", IB, ONE, 0xb0, 0xb7 },
	{ "MOV", FORM_IV, ONE, 0xb8, 0xbf },
	{ "MOV", EXT | IB, ONE, 0xc6, 0, 0 },
	{ "MOV", EXT | IZ, ONE, 0xc7, 0, 0 },
	{ "LEA", MODRM | FORM_MEMORY, ONE, 0x8d },
	{ "CBW", 0, ONE, 0x98 },
	{ "CWD", 0, ONE, 0x99 },
	{ "SAHF", 0, ONE, 0x9e },
	{ "LAHF", 0, ONE, 0x9f },
	{ "MOVS", FORM_STRING | FORM_REP, ONE, 0xa4, 0xa5 },
	{ "CMPS", FORM_STRING | FORM_REP, ONE, 0xa6, 0xa7 },
	{ "STOS", FORM_STRING | FORM_REP, ONE, 0xaa, 0xab },
	{ "LODS", FORM_STRING | FORM_REP, ONE, 0xac, 0xad },
	{ "SCAS", FORM_STRING | FORM_REP, ONE, 0xae, 0xaf },
	SHIFT("ROL", 0, 0),
	SHIFT("ROR", 1, 0),
	SHIFT("RCL", 2, 0),
	SHIFT("RCR", 3, 0),
	SHIFT("SHL", 4, AF),
	SHIFT("SHR", 5, AF),
	SHIFT("SAL", 6, AF),
	SHIFT("SAR", 7, AF),
	{ "SALC", FORM_NOT64, ONE, 0xd6 },
	{ "XLAT", FORM_XLAT, ONE, 0xd7 },
	{ "CMC", 0, ONE, 0xf5 },
	{ "CLC", 0, ONE, 0xf8, 0xf9 },
	{ "CLD", 0, ONE, 0xfc, 0xfd },
	{ "CLI", 0, ONE, 0xfa, 0xfb },
	{ "HLT", 0, ONE, 0xf4 },
	{ "INT3", 0, ONE, 0xcc },
	{ "UD2", 0, TWO, 0x0b },
	{ "CLTS", 0, TWO, 0x06 },
	{ "CMOVcc", MODRM, TWO, 0x40, 0x4f },
	{ "SETcc", MODRM, TWO, 0x90, 0x9f },
	BIT_TEST("BT", 4, 0xa3, 0),
	BIT_TEST("BTS", 5, 0xab, LOCK),
	BIT_TEST("BTR", 6, 0xb3, LOCK),
	BIT_TEST("BTC", 7, 0xbb, LOCK),
	{ "SHLD", MODRM | IB, TWO, 0xa4, 0, 0, AF | OF },
	{ "SHLD", MODRM, TWO, 0xa5, 0, 0, AF | OF },
	{ "SHRD", MODRM | IB, TWO, 0xac, 0, 0, AF | OF },
	{ "SHRD", MODRM, TWO, 0xad, 0, 0, AF | OF },
	{ "CMPXCHG", MODRM | LOCK, TWO, 0xb0, 0xb1 },
	{ "CMPXCHG8B", EXT | LOCK, TWO, 0xc7, 0, 1 },
	{ "MOVZX", MODRM, TWO, 0xb6, 0xb7 },
	{ "MOVSX", MODRM, TWO, 0xbe, 0xbf },
	{ "BSF", MODRM, TWO, 0xbc, 0, 0, CF | PF | AF | SF | OF },
	{ "BSR", MODRM, TWO, 0xbd, 0, 0, CF | PF | AF | SF | OF },
	{ "TZCNT", MODRM | FORM_F3, TWO, 0xbc, 0, 0, PF | AF | SF | OF },
	{ "LZCNT", MODRM | FORM_F3, TWO, 0xbd, 0, 0, PF | AF | SF | OF },
	{ "POPCNT", MODRM | FORM_F3, TWO, 0xb8 },
	{ "XADD", MODRM | LOCK, TWO, 0xc0, 0xc1 },
	{ "MOVNTI", MODRM | FORM_MEMORY, TWO, 0xc3 },
	{ "BSWAP", 0, TWO, 0xc8, 0xcf },
	{ "NOP", MODRM, TWO, 0x1f },
	{ "PREFETCH", EXT | FORM_MEMORY, TWO, 0x18, 0, 1 },
	{ "MOVBE", MODRM | FORM_MEMORY, M38, 0xf0, 0xf1 },
	{ "CRC32", MODRM | FORM_F2, M38, 0xf0, 0xf1 },
	{ "ADCX", MODRM | FORM_66, M38, 0xf6 },
	{ "ADOX", MODRM | FORM_F3, M38, 0xf6 },
	{ "ANDN", MODRM | FORM_VEX, M38, 0xf2, 0, 0, AF | PF },
	{ "BLSR", EXT | FORM_VEX, M38, 0xf3, 0, 1, AF | PF },
	{ "BLSMSK", EXT | FORM_VEX, M38, 0xf3, 0, 2, AF | PF },
	{ "BLSI", EXT | FORM_VEX, M38, 0xf3, 0, 3, AF | PF },
	{ "BZHI", MODRM | FORM_VEX, M38, 0xf5, 0, 0, AF | PF },
	{ "PEXT", MODRM | FORM_VEX | FORM_F3, M38, 0xf5 },
	{ "PDEP", MODRM | FORM_VEX | FORM_F2, M38, 0xf5 },
	{ "MULX", MODRM | FORM_VEX | FORM_F2, M38, 0xf6 },
	{ "BEXTR", MODRM | FORM_VEX, M38, 0xf7, 0, 0, AF | SF | PF },
	{ "SHLX", MODRM | FORM_VEX | FORM_66, M38, 0xf7 },
	{ "SARX", MODRM | FORM_VEX | FORM_F3, M38, 0xf7 },
	{ "SHRX", MODRM | FORM_VEX | FORM_F2, M38, 0xf7 },
	{ "RORX", MODRM | FORM_VEX | FORM_F2 | IB, M3A, 0xf0 },
};

const size_t nr_forms = sizeof(forms) / sizeof(forms[0]);

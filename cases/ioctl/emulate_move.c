/* SPDX-License-Identifier: MIT */
/*
 * Instructions of KVM's emulator that move, extend, exchange, compare and exchange, test and search bits, or turn flags
 * into values, on registers and RAM.
 *
 * Can break: a 32-bit CMOV that does not clear the upper half when its condition is false; BSF of zero that writes; a
 * bit offset that is not signed, or not scaled by the operand's size; CMPXCHG that writes the accumulator when equal;
 * BSWAP of the wrong width; an XCHG with the accumulator that is taken for NOP; XLAT's index.
 * Source: APM vol. 3, chapter 3, each instruction's page.
 */
#include "cases/ioctl/emulate.h"

#define FOR_CC(what_) what_(o) what_(no) what_(c) what_(nc) what_(z) what_(nz) what_(be) what_(a) what_(s) what_(ns)	\
	what_(p) what_(np) what_(l) what_(ge) what_(le) what_(g)
#define SET_(cc_) INSN_("set" #cc_ " %dl") INSN_("set" #cc_ " " M)
#define CMOV_(cc_) INSN_("cmov" #cc_ " %ecx, %edx") INSN_("cmov" #cc_ " " M ", %dx")
#define CMOV64_(cc_) INSN_("cmov" #cc_ " %ecx, %r8d") INSN_("cmov" #cc_ " (%rdi), %r10")

EMU(mov, INSN_("mov %cl, %dl") INSN_("mov %ch, " M) INSN_("mov " M ", %ah") INSN_("mov %cx, %dx") INSN_("mov %ax, " M)
    INSN_("mov " M ", %cx") INSN_("mov %ecx, %edx") INSN_("mov %eax, " M) INSN_("mov " M ", %ecx") INSN_("mov $0x80, %ch")
    INSN_("mov $0x8001, %dx") INSN_("mov $0x80000001, %ecx") INSN_("movb $0x80, " M) INSN_("movw $0x8001, " M)
    INSN_("movl $0x80000001, " M) INSN_(".byte 0xc6, 0xc2, 0x5a") INSN_(".byte 0x88, 0xca") INSN_(".byte 0x8a, 0xd5"))
EMU(movzx, INSN_("movzbw %ch, %dx") INSN_("movzbl %cl, %edx") INSN_("movzwl %ax, %edx") INSN_("movzbw " M ", %dx")
    INSN_("movzbl " M ", %edx") INSN_("movzwl " M ", %edx") INSN_("movsbw %ch, %dx") INSN_("movsbl %cl, %edx")
    INSN_("movswl %ax, %edx") INSN_("movsbw " M ", %dx") INSN_("movsbl " M ", %edx") INSN_("movswl " M ", %edx"))
EMU(extend, INSN_("cbw") INSN_("cwde") INSN_("cwd") INSN_("cdq"))
EMU(bswap, INSN_("bswap %eax") INSN_("bswap %ecx") INSN_("bswap %edx"))
EMU(xchg, INSN_("xchg %cl, %dl") INSN_("xchg %ah, " M) INSN_("xchg %cx, " M) INSN_("xchg %eax, " M) INSN_("xchg %ax, %cx")
    INSN_("xchg %eax, %edx") INSN_("xchg %ecx, %edx") INSN_("lock xchg %ecx, " M) INSN_("nop") INSN_("pause")
    INSN_("xchg %dl, %dh"))
EMU(xadd, INSN_("xadd %cl, %dl") INSN_("xadd %ch, " M) INSN_("xadd %cx, " M) INSN_("xadd %eax, %edx") INSN_("xadd %eax, " M)
    INSN_("lock xadd %ecx, " M) INSN_("lock xadd %dl, " M))
EMU(cmpxchg, INSN_("cmpxchg %cl, " M) INSN_("cmpxchg %cx, " M) INSN_("cmpxchg %ecx, " M) INSN_("lock cmpxchg %ecx, " M)
    INSN_("lock cmpxchg %ch, " M) INSN_("cmpxchg %cl, %dl") INSN_("cmpxchg %cx, %dx") INSN_("cmpxchg %ecx, %eax"))
EMU(cmpxchg_equal, INSN_("cmpxchg %cl, " M) INSN_("lock cmpxchg %cx, " M) INSN_("cmpxchg %ecx, " M))
EMU(cmpxchg8b, INSN_("cmpxchg8b " M) INSN_("lock cmpxchg8b " M))
EMU(bt, INSN_("bt %ecx, %edx") INSN_("bt %cx, %dx") INSN_("bt $33, %edx") INSN_("btw $17, " M) INSN_("bts %ecx, %edx")
    INSN_("bts $15, %dx") INSN_("btsl $31, " M) INSN_("btr %ecx, %edx") INSN_("btrw $7, " M) INSN_("btc %cx, %dx")
    INSN_("btcl $0xff, " M) INSN_("lock btsl $3, " M) INSN_("lock btrl $4, " M) INSN_("lock btcw $5, " M))
/* The register's offset is signed and reaches to either side of the operand. */
EMU(bt_string, INSN_("bt %ecx, " M) INSN_("bts %ecx, " M) INSN_("btr %ecx, " M) INSN_("btc %ecx, " M) INSN_("bt %cx, " M)
    INSN_("bts %cx, " M) INSN_("btr %cx, " M) INSN_("btc %cx, " M) INSN_("lock bts %ecx, " M) INSN_("lock btr %cx, " M)
    INSN_("lock btc %ecx, " M))
EMU(bsf, INSN_("bsf %cx, %dx") INSN_("bsf %ecx, %edx") INSN_("bsf " M ", %edx") INSN_("bsr %cx, %dx") INSN_("bsr %ecx, %edx")
    INSN_("bsr " M ", %dx"))
/* QEMU clears the upper half of the destination, which the manual says stays. */
EMU(bsf_zero, INSN_("bsf %cx, %dx") INSN_("bsf %ecx, %edx") INSN_("bsf " M ", %edx") INSN_("bsr %ecx, %edx") INSN_("bsr " M ", %dx"))
EMU(setcc, FOR_CC(SET_))
EMU(cmov, FOR_CC(CMOV_))
EMU(movbe, INSN_("movbe " M ", %ecx") INSN_("movbe %edx, " M))
EMU(movbe_16, INSN_("movbe " M ", %cx") INSN_("movbe %dx, " M))
EMU(movbe_ld, INSN_("movbe " M ", %cx"))
EMU(movnti, INSN_("movnti %edx, " M))
EMU(lea, INSN_("lea 5(" DI_ "), %dx") INSN_("lea -3(" SI_ "," DI_ ",8), %edx") INSN_("lea 0x12345678(,%eax,4), %ecx"))
EMU(flags, INSN_("clc") INSN_("stc") INSN_("cmc") INSN_("cld") INSN_("std"))
EMU(ahf, INSN_("sahf") INSN_("lahf"))
EMU(xlat, INSN_("xlat"))
EMU(das, WIDTH_(32) INSN_("das"))
EMU(aam, WIDTH_(32) INSN_("aam") INSN_("aad") INSN_("aam $7") INSN_("aad $7"))
EMU(aam_0, WIDTH_(32) INSN_("aam $0"))
EMU(salc, INSN_(".byte 0xd6"))
EMU(move_64, WIDTH_(64) INSN_("mov %rcx, %r8") INSN_("mov %r9, (%rdi)") INSN_("mov (%rdi), %r10") INSN_("mov %sil, (%rdi)")
    INSN_("mov (%rdi), %r12b") INSN_("movabs $0x8123456789abcdef, %r11") INSN_("mov $-2, %rdx") INSN_("movq $-3, (%rdi)")
    INSN_("mov $0x80000001, %r9d") INSN_("mov $0x81, %r9b") INSN_("movzbq %cl, %rdx") INSN_("movzwq (%rdi), %r8")
    INSN_("movsbq (%rdi), %rdx") INSN_("movswq %cx, %r9") INSN_("movslq %ecx, %rdx") INSN_("movslq (%rdi), %r8")
    INSN_(".byte 0x63, 0xd1") INSN_("movzbl %sil, %r8d") INSN_("cdqe") INSN_("cqo") INSN_("bswap %rcx") INSN_("bswap %r8")
    INSN_("bswap %r9d") INSN_("xchg %rcx, (%rdi)") INSN_("xchg %rax, %r8") INSN_("xchg %r8d, %eax") INSN_("xchg %rcx, %r9")
    INSN_(".byte 0x41, 0x90") INSN_(".byte 0x49, 0x90") INSN_("xadd %rcx, (%rdi)") INSN_("lock xadd %r9, (%rdi)")
    INSN_("lock cmpxchg %rcx, (%rdi)") INSN_("cmpxchg %rcx, %r8") INSN_("bt %rcx, %rdx") INSN_("btsq $63, (%rdi)")
    INSN_("btr $64, %r8") INSN_("btcq $33, (%rdi)") INSN_("movnti %r9, (%rdi)") INSN_("lea (%rdi,%rsi,2), %r8")
    INSN_("lea 0x7fffffff(%rip), %rdx") INSN_("lea -3(%rdi), %r9d") INSN_("movbe (%rdi), %r8") INSN_("movbe %rcx, (%rdi)"))
EMU(bsf_64, WIDTH_(64) INSN_("bsf %rcx, %rdx") INSN_("bsr (%rdi), %r8"))
EMU(bt_string_64, WIDTH_(64) INSN_("bt %rcx, (%rdi)") INSN_("bts %rcx, (%rdi)") INSN_("lock btr %r9, (%rdi)")
    INSN_("btc %rcx, (%rdi)"))
EMU(cmov_64, WIDTH_(64) FOR_CC(CMOV64_))

static const struct emu_values offsets[] = {
	{ 0, 0x5a5a000000000021, 3, 0x8000000000000001 },
	{ 0, 0xffffffffffffffff, 3, 0x7fffffffffffffff },
	{ 0, 0x00000000000000ff, 3, 0xaaaaaaaaaaaaaaaa },
	{ 0, 0xffffffffffffff81, 3, 0x5555555555555555 },
};
static const struct emu_values searched[] = {
	{ 1, 1, 0x1122334455667788, 0x8000000080008000 },
	{ 1, 0x1234000000008000, 0x1122334455667788, 0x0000001000000100 },
	{ 1, 0x0000000080000000, 0x1122334455667788, 0x0800000000000400 },
};
static const struct emu_values equals[] = {
	{ 0x0102030405060708, 0x1122334455667788, 0x0f0e0d0c01020304, 0x0102030405060708 },
	{ 0x0102030405060708, 0x1122334455667788, 0x0f0e0d0c01020304, 0x0102030405060709 },
	{ 0xffffffffffffffff, 0x1122334455667788, 0xffffffffffffffff, 0xffffffffffffffff },
	{ 0x0000000005060708, 0x1122334455667788, 0xffffffff01020304, 0x0102030405060708 },
};
static const struct emu_values condition[] = {
	{ 0x0102030405060708, 0x1122334455667788, 0x0f0e0d0c01020304, 0x8081828384858687 },
};
static const struct emu_values table_indexes[] = { { 0, 0, 0, 0 }, { 0xa5a5a57f, 0, 0, 0 }, { 0x30, 0, 0, 0 } };
static const struct emu_values decimals[] = {
	{ 0x0000, 0, 0, 0 }, { 0x1234, 0, 0, 0 }, { 0x019a, 0, 0, 0 }, { 0x05ff, 0, 0, 0 }, { 0xff06, 0, 0, 0 },
	{ 0x0009, 0, 0, 0 }, { 0x0070, 0, 0, 0 }, { 0xa5a50065, 0, 0, 0 },
};
/* Which flags there are, for the conditions, in AH. */
static const struct emu_values ah_values[] = {
	{ 0x0000, 0, 0, 0 }, { 0x0100, 0, 0, 0 }, { 0x0400, 0, 0, 0 }, { 0x4000, 0, 0, 0 }, { 0x8000, 0, 0, 0 }, { 0xff00, 0, 0, 0 },
};

#define ROW_(name_, values_, ...) { .label = #name_, EMU_OF(name_), .values = VALUES(values_), __VA_ARGS__ }
/* Whatever conditions ask for, on one pair of values. */
#define CC_ROW(name_, ...) { .label = #name_, EMU_OF(name_), .values = VALUES(condition), .has_all_flags = true, __VA_ARGS__ }

static const struct emu_row rows[] = {
	ROW_(mov, emu_pairs),
	ROW_(movzx, emu_pairs),
	ROW_(extend, emu_pairs),
	ROW_(bswap, emu_pairs),
	ROW_(xchg, emu_pairs),
	ROW_(xadd, emu_pairs),
	ROW_(cmpxchg, emu_pairs),
	ROW_(cmpxchg_equal, equals),
	ROW_(cmpxchg8b, equals),
	ROW_(bt, emu_pairs, .undefined = OF | SF | AF | PF),
	ROW_(bt_string, offsets, .undefined = OF | SF | AF | PF),
	ROW_(bsf, searched, .undefined = OF | SF | AF | PF | CF),
	{ .label = "bsf_zero", EMU_OF(bsf_zero), .no_native = true, .undefined = OF | SF | AF | PF | CF, WANT,
	  .in = { REG(RCX, 0), REG(RDX, 0x1122334455667788) }, .memory_in = { BYTES(EMU_DATA, 8, 0) },
	  .want = { REG(RFLAGS, X86_EFLAGS_FIXED | ZF) } },
	CC_ROW(setcc),
	CC_ROW(cmov, .modes = PROT32),
	ROW_(movbe, emu_pairs, .modes = PROT32 | LONG64, .needs = "cpuid:movbe"),
	/* QEMU takes the operand size of 16-bit code without a prefix for 32. */
	{ .label = "movbe_16_real", EMU_OF(movbe_ld), .modes = REAL16, .needs = "cpuid:movbe", .no_native = true, WANT,
	  .memory_in = { BYTES(EMU_DATA, 4, 0x44332211) }, .want = { REG(RCX, 0xc5c61122) } },
	ROW_(movbe_16, emu_pairs, .modes = PROT32 | LONG64, .needs = "cpuid:movbe",
	     .known = { .finding = "0101-emulated-movbe-prefix", .kernels = "..6.7" }),
	ROW_(movnti, emu_pairs),
	ROW_(lea, emu_pairs),
	ROW_(flags, table_indexes),
	{ .label = "flags_down", EMU_OF(flags), .flags_in = DF },
	ROW_(ahf, ah_values),
	ROW_(xlat, table_indexes, .in = { AT(RBX, EMU_DATA) }),
	ROW_(das, decimals, .modes = REAL16 | PROT32, .undefined = OF),
	ROW_(aam, decimals, .modes = REAL16 | PROT32, .undefined = OF | SF | ZF | AF | CF),
	{ .label = "aam_flags", EMU_OF(aam), .values = VALUES(decimals), .modes = REAL16 | PROT32,
	  .undefined = OF | AF | CF, .known = { .finding = "0701-emulated-aam-aad-flags" } },
	{ .label = "aam_0", .modes = REAL16 | PROT32, EMU_OF(aam_0), WANT_FAULT(DE_VECTOR, 0) },
	ROW_(salc, emu_pairs, .modes = REAL16 | PROT32),
	ROW_(move_64, emu_pairs, .modes = LONG64, .undefined = OF | SF | AF | PF),
	ROW_(bsf_64, searched, .modes = LONG64, .undefined = OF | SF | AF | PF | CF),
	ROW_(bt_string_64, offsets, .modes = LONG64, .undefined = OF | SF | AF | PF),
	CC_ROW(cmov_64, .modes = LONG64),
};

CASE(emulate_move, .says = "moves, exchanges, bit and flag instructions by KVM's emulator are the CPU's",
     .modes = REAL16 | PROT32 | LONG64, .needs = EMU_NEEDS, .rows = ROWS(rows))

GUEST(emulate_move)
{
}

HOST(emulate_move)
{
	emu_row_run(t, ROW(t, rows));
}

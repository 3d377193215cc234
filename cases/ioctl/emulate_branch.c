/* SPDX-License-Identifier: MIT */
/*
 * Branches by KVM's emulator: conditional ones, loops, near and far jumps, calls and returns, with targets that wrap at
 * the operand's size, in code of every width and through every kind of code segment that the rules know.
 *
 * Can break: a condition inverted; LOOP that counts with the operand's size for the address's; a target not cut to 16
 * bits; RIP advanced when the target is refused; CS changed when the target is beyond its limit; a far return that pops
 * too little; the RPL in CS.
 * Source: APM vol. 3, CALL (Far), Jcc, JCXZ, JMP (Far), LOOPcc, RET (Far); vol. 2, 4.10 and 4.11.
 */
#include "cases/ioctl/emulate.h"

#define FOR_CC(what_) what_(0) what_(1) what_(2) what_(3) what_(4) what_(5) what_(6) what_(7) what_(8) what_(9) what_(a)	\
	what_(b) what_(c) what_(d) what_(e) what_(f)
#define SHORT_(cc_) INSN_(".byte 0x7" #cc_ ", 0x20")
#define NEAR_(cc_) INSN_(".byte 0x0f, 0x8" #cc_ "; .long -0x41")
#define NEAR16_(cc_) INSN_(".byte 0x0f, 0x8" #cc_ "; .short -0x41")

EMU(jcc, FOR_CC(SHORT_))
EMU(jcc_near, WIDTH_(32) FOR_CC(NEAR_))
EMU(jcc_near_16, WIDTH_(16) FOR_CC(NEAR16_))
EMU(loop, INSN_(".byte 0xe0, 0x20") INSN_(".byte 0xe1, 0x20") INSN_(".byte 0xe2, 0x20") INSN_(".byte 0xe3, 0x20")
    INSN_(".byte 0x67, 0xe0, 0xe0") INSN_(".byte 0x67, 0xe1, 0xe0") INSN_(".byte 0x67, 0xe2, 0xe0")
    INSN_(".byte 0x67, 0xe3, 0xe0"))
EMU(jmp, INSN_(".byte 0xeb, 0x7f") INSN_(".byte 0xeb, 0xff") INSN_(".byte 0xeb, 0x80"))
EMU(jmp_32, WIDTH_(32) INSN_(".byte 0xe9, 0xf0, 0, 0, 0") INSN_(".byte 0xe8, 0xf0, 0, 0, 0") INSN_(".byte 0xe8, 0x00, 0xff, 0xff, 0xff"))
EMU(jmp_16, WIDTH_(16) INSN_(".byte 0xe9, 0xf0, 0") INSN_(".byte 0xe8, 0xf0, 0") INSN_(".byte 0xe8, 0x00, 0xff")
    INSN_(".byte 0x66, 0xe9, 0xf0, 0, 0, 0") INSN_(".byte 0x66, 0xe8, 0xf0, 0, 0, 0"))
EMU(wrap_16, WIDTH_(16) INSN_(".byte 0xe9, 0x00, 0xf9") INSN_(".byte 0xe9, 0x80, 0xf8") INSN_(".byte 0xe8, 0x00, 0xfa"))
EMU(beyond, WIDTH_(16) INSN_(".byte 0x66, 0xe9; .long 0x10000") INSN_(".byte 0x66, 0xe8; .long 0x10000"))

EMU(far_real, WIDTH_(16) INSN_("ljmpw $0x2010, $0x810") INSN_("lcallw $0x2010, $0x810") INSN_("ljmpl $0x2010, $0x820")
    INSN_("lcalll $0x2010, $0x820") INSN_("ljmpw *(%di)") INSN_("lcallw *(%di)") INSN_("ljmpl *8(%di)") INSN_("lcalll *8(%di)"))
EMU(retf_real, WIDTH_(16) INSN_("lretw") INSN_("lretw $6"))
EMU(retf_real_32, WIDTH_(16) INSN_("lretl") INSN_("lretl $6"))
EMU(far, WIDTH_(32) INSN_("ljmpl *(%edi)") INSN_("lcalll *(%edi)"))
EMU(far_imm, WIDTH_(32) INSN_("ljmpl $0xa8, $0x20900") INSN_("lcalll $0xa8, $0x20900"))
EMU(retf, WIDTH_(32) INSN_("lretl") INSN_("lretl $8"))
EMU(far_reg, WIDTH_(32) INSN_(".byte 0xff, 0xd9") INSN_(".byte 0xff, 0xe9"))
EMU(far_64, WIDTH_(64) INSN_(".byte 0xff, 0x2f") INSN_(".byte 0xff, 0x1f"))
EMU(retf_64, WIDTH_(64) INSN_("lretl") INSN_("lretq") INSN_("lretl $8"))

static const struct emu_values counts[] = {
	{ 0, 0, 0, 0 }, { 0, 1, 0, 0 }, { 0, 2, 0, 0 }, { 0, 0x10000, 0, 0 }, { 0, 0x100000000, 0, 0 }, { 0, 0x10001, 0, 0 },
	{ 0, 0x100000001, 0, 0 },
};

static const struct emu_values condition[] = { { 0, 3, 0, 0 } };

static void segment_make(struct test *t, struct kvm_sregs *sregs, uint8_t *memory);

struct row {
	struct emu_row emu;
	uint8_t access;		/* of the descriptor at SEL_FREE; 0: it is not present */
	bool is_16, is_long;
};

/* All accessed already: QEMU's CS would keep the type that it read before it set the bit. */
#define CODE_X 0x99
#define CODE_RX 0x9b
#define CODE_CONFORMING 0x9f
#define DATA_RW 0x93
#define DPL3 0x60

#define ROW_(...) { .emu = { __VA_ARGS__ } }
#define CC_ROW(label_, list_, ...)							\
	ROW_(.label = label_, EMU_OF(list_), .values = VALUES(condition), .has_all_flags = true, __VA_ARGS__)

/* A far pointer in memory, and on the stack. */
#define FAR32(selector_) .prepare = ON_HOST(segment_make),				\
	.memory_in = { BYTES(EMU_DATA, 4, EMU_GPA + 0x900), BYTES(EMU_DATA + 4, 2, selector_),	\
		       BYTES(EMU_STACK, 4, EMU_GPA + 0x920), BYTES(EMU_STACK + 4, 4, selector_) }
#define FAR64(selector_) .prepare = ON_HOST(segment_make),				\
	.memory_in = { BYTES(EMU_DATA, 4, EMU_GPA + 0x900), BYTES(EMU_DATA + 4, 2, selector_) }
#define JUMP(label_, access_, selector_, ...)						\
	{ .emu = { .label = "far_" label_, .modes = PROT32, EMU_OF(far), FAR32(selector_) }, .access = access_, __VA_ARGS__ }, \
	{ .emu = { .label = "retf_" label_, .modes = PROT32, EMU_OF(retf), FAR32(selector_) }, .access = access_, __VA_ARGS__ }
#define JUMP_LONG(label_, access_, selector_, ...)					\
	{ .emu = { .label = "far_64_" label_, .modes = LONG64, EMU_OF(far_64), FAR64(selector_) }, .access = access_, __VA_ARGS__ }

static const struct row rows[] = {
	CC_ROW("jcc", jcc),
	CC_ROW("jcc_near", jcc_near, .modes = PROT32 | LONG64),
	CC_ROW("jcc_near_16", jcc_near_16, .modes = REAL16),
	ROW_(.label = "loop", EMU_OF(loop), .values = VALUES(counts)),
	ROW_(.label = "loop_z", EMU_OF(loop), .flags_in = ZF, .in = { REG(RCX, 5) }),
	ROW_(.label = "jmp", EMU_OF(jmp)),
	ROW_(.label = "jmp_32", .modes = PROT32 | LONG64, EMU_OF(jmp_32)),
	ROW_(.label = "jmp_16", .modes = REAL16, EMU_OF(jmp_16)),
	ROW_(.label = "wrap_16", .modes = REAL16, EMU_OF(wrap_16)),
	/* QEMU cuts the target. */
	ROW_(.label = "beyond_limit", .modes = REAL16, EMU_OF(beyond), .no_native = true, WANT_FAULT(GP_VECTOR, 0)),
	ROW_(.label = "far_real", .modes = REAL16, EMU_OF(far_real),
	     .memory_in = { BYTES(EMU_DATA, 4, 0x20180820), BYTES(EMU_DATA + 8, 6, 0x201800000830) }),
	ROW_(.label = "retf_real", .modes = REAL16, EMU_OF(retf_real), .memory_in = { BYTES(EMU_STACK, 4, 0x20100840) }),
	ROW_(.label = "retf_real_32", .modes = REAL16, EMU_OF(retf_real_32), .memory_in = { BYTES(EMU_STACK, 8, 0x12342010ull << 32 | 0x840) }),
	ROW_(.label = "far_vm86", .modes = PROT32, .env = ENV_VM86, EMU_OF(far_real), .flags_in = EMU_IOPL(3),
	     .memory_in = { BYTES(EMU_DATA, 4, 0x20180820), BYTES(EMU_DATA + 8, 6, 0x201800000830) }),
	ROW_(.label = "far_register", .modes = PROT32 | LONG64, EMU_OF(far_reg), WANT_FAULT(UD_VECTOR, 0)),
	{ .emu = { .label = "far_imm", .modes = PROT32, EMU_OF(far_imm), .prepare = ON_HOST(segment_make) }, .access = CODE_RX },

	JUMP("code", CODE_RX, SEL_FREE),
	JUMP("execute_only", CODE_X, SEL_FREE),
	JUMP("conforming", CODE_CONFORMING, SEL_FREE),
	JUMP("code_16", CODE_RX, SEL_FREE, .is_16 = true),
	JUMP("data", DATA_RW, SEL_FREE),
	JUMP("absent", CODE_RX & 0x7f, SEL_FREE),
	JUMP("dpl3", CODE_RX | DPL3, SEL_FREE),
	JUMP("conforming_dpl3", CODE_CONFORMING | DPL3, SEL_FREE),
	JUMP("null", CODE_RX, 0),
	JUMP("beyond_gdt", CODE_RX, 0xe8),
	JUMP("no_ldt", CODE_RX, SEL_FREE | 4),
	{ .emu = { .label = "far_rpl3", .modes = PROT32, EMU_OF(far), FAR32(SEL_FREE | 3) }, .access = CODE_RX },

	JUMP_LONG("code", CODE_RX, SEL_FREE, .is_long = true),
	JUMP_LONG("data", DATA_RW, SEL_FREE),
	JUMP_LONG("absent", CODE_RX & 0x7f, SEL_FREE, .is_long = true),
	JUMP_LONG("null", CODE_RX, 0),
	{ .emu = { .label = "retf_64", .modes = LONG64, EMU_OF(retf_64), .prepare = ON_HOST(segment_make),
		   .memory_in = { BYTES(EMU_STACK, 4, EMU_GPA + 0x920), BYTES(EMU_STACK + 4, 4, SEL_FREE),
				  BYTES(EMU_STACK + 8, 4, SEL_FREE) } }, .access = CODE_RX, .is_long = true },
};

CASE(emulate_branch, .says = "branches by KVM's emulator go where the CPU's go", .modes = REAL16 | PROT32 | LONG64,
     .needs = EMU_NEEDS, .rows = ROWS(rows))

static void segment_make(struct test *t, struct kvm_sregs *sregs, uint8_t *memory)
{
	const struct row *row = ROW(t, rows);
	uint64_t flags = row->is_long ? 0xa : row->is_16 ? 0x8 : 0xc;

	sregs->ldt = (struct kvm_segment){ .unusable = 1 };
	emu_put(memory, EMU_GDT + SEL_FREE, 0x000f00000000ffff | flags << 52 | (uint64_t)row->access << 40, 8);
}

GUEST(emulate_branch)
{
}

HOST(emulate_branch)
{
	emu_row_run(t, &ROW(t, rows)->emu);
}

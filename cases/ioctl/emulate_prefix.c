/* SPDX-License-Identifier: MIT */
/*
 * Prefixes by KVM's emulator: LOCK where it is legal and #UD where not, fifteen bytes and sixteen, a REX that is undone
 * by the prefix behind it, repeated prefixes, prefixes without effect; instructions that end on a page
 * which is not there; opcodes that are not any.
 *
 * Can break: LOCK taken with a register, or with a reading instruction; the length counted from the last prefix; REX.W
 * kept across a prefix; anything executed of what could not be fetched whole.
 * Source: APM vol. 3, 1.2 (prefixes, length limit 15), 1.2.5 (LOCK); vol. 2, 8.2.15.
 */
#include "cases/ioctl/emulate.h"

EMU(lock_register, INSN_("lock; addl %ecx, %edx") INSN_("lock; incl %edx") INSN_("lock; xchg %ecx, %edx") INSN_("lock; notl %ecx")
    INSN_("lock; btsl $3, %edx") INSN_("lock; cmpxchg %ecx, %edx") INSN_("lock; xadd %ecx, %edx") INSN_("lock; bts %ecx, %edx"))
EMU(lock_reads, INSN_("lock; addl " M ", %ecx") INSN_("lock; cmpl %ecx, " M) INSN_("lock; testl %ecx, " M)
    INSN_("lock; btl $3, " M) INSN_("lock; bt %ecx, " M) INSN_("lock; cmpl $1, " M) INSN_("lock; movl " M ", %ecx"))
EMU(lock_never, INSN_("lock; movl %ecx, " M) INSN_("lock; nop") INSN_("lock; push %cx") INSN_("lock; shll $1, " M)
    INSN_("lock; mull " M) INSN_("lock; movsb") INSN_("lock; sete " M) INSN_("lock; cli") INSN_("lock; imul $3, %ecx, %edx")
    INSN_("lock; shld $1, %ecx, " M) INSN_("lock; lea " M ", %ecx") INSN_("lock; cmovc " M ", %ecx") INSN_("lock; xlat"))
EMU(length_15, WIDTH_(32) INSN_(".byte 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x81, 0xc1; .long 0x11223344")
    INSN_(".byte 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x90"))
EMU(length_16, WIDTH_(32) INSN_(".byte 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x81, 0xc1; .long 0x11223344")
    INSN_(".byte 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x90"))
/* A prefix behind REX undoes it, which QEMU does not do. */
EMU(rex_undone_16, WIDTH_(64) INSN_(".byte 0x48, 0x66, 0x01, 0xca"))
EMU(rex_undone, WIDTH_(64) INSN_(".byte 0x48, 0x3e, 0x01, 0xca"))
EMU(rex, WIDTH_(64) INSN_(".byte 0x66, 0x48, 0x01, 0xca")
    INSN_(".byte 0x41, 0x48, 0x01, 0xca") INSN_(".byte 0x48, 0x41, 0x01, 0xca") INSN_(".byte 0x40, 0x00, 0xec")
    INSN_(".byte 0x00, 0xec") INSN_(".byte 0x4d, 0x01, 0xf7") INSN_(".byte 0x44, 0x01, 0x07") INSN_(".byte 0x42, 0x8b, 0x0c, 0x27")
    INSN_(".byte 0x67, 0x42, 0x8d, 0x0c, 0x27") INSN_(".byte 0x4f, 0x8d, 0x4c, 0xe5, 0x10"))
EMU(repeated, INSN_(".byte 0x66, 0x66, 0x01, 0xca") INSN_(".byte 0x64, 0x64; movb " M ", %cl") INSN_(".byte 0x3e; movb " M ", %cl")
    INSN_(".byte 0xf3, 0x01, 0xca") INSN_(".byte 0xf3, 0xf3; stosb") INSN_(".byte 0xf3, 0x31, 0xd2") INSN_(".byte 0xf2; movb %cl, " M)
    INSN_(".byte 0x2e, 0x74, 0x10") INSN_(".byte 0x3e, 0x75, 0x10"))
EMU(two_pages, WIDTH_(32) INSN_("movl $0x12345678, %eax") INSN_("addl $0x11111111, %ecx") INSN_("nopl 0x12345678(%eax)"))
EMU(undefined, INSN_(".byte 0x0f, 0xff") INSN_(".byte 0x0f, 0x0b") INSN_(".byte 0xfe, 0xd0") INSN_(".byte 0xff, 0xf8")
    INSN_(".byte 0xc6, 0xc8, 0x00") INSN_(".byte 0xc7, 0xf9, 0, 0, 0, 0") INSN_(".byte 0x0f, 0xba, 0xc0, 0x03")
    INSN_(".byte 0x0f, 0x24, 0xc0") INSN_(".byte 0x0f, 0xc7, 0xc8") INSN_(".byte 0x0f, 0x01, 0xc8 + 0x25") INSN_(".byte 0x0f, 0x00, 0xf0"))
EMU(no_memory, WIDTH_LEGACY INSN_(".byte 0x8d, 0xc0") INSN_(".byte 0x0f, 0xc3, 0xc0"))

/* The forms of an address of 16 bits: by two registers, by one, with 8 and 16 bits of displacement, and by these alone. */
EMU(addr16_two, WIDTH_(16) INSN_("movl %ecx, (%bx,%si)") INSN_("movw %cx, 2(%bx,%di)") INSN_("addb %cl, 0x1ff(%bx,%si)")
    INSN_("xorl %ecx, -0x1ff(%bx,%di)"))
EMU(addr16_one, WIDTH_(16) INSN_("movl %ecx, (%si)") INSN_("movw %cx, (%di)") INSN_("addb %cl, (%bx)") INSN_("subl %ecx, 4(%si)")
    INSN_("orw %cx, -4(%di)") INSN_("xorb %cl, 0x7f(%bx)") INSN_("movl %ecx, 0x60(%si)") INSN_("movw %cx, -0x80(%di)")
    INSN_("movl %ecx, 0x2810") INSN_("addw %cx, 0x27f0") INSN_("leaw 0x1234(%bx,%di), %dx") INSN_("movl %fs:(%bx), %edx"))
EMU(addr16_bp, WIDTH_(16) INSN_("movl %ecx, (%bp)") INSN_("movw %cx, 0x10(%bp)") INSN_("addb %cl, -0x100(%bp,%si)")
    INSN_("xorl %ecx, 0x110(%bp,%di)") INSN_("movl %ecx, %ds:0x8(%bp)") INSN_("leaw 0x7f(%bp), %dx"))
static void second_page_clear(struct test *t, struct kvm_sregs *sregs, uint8_t *memory);
static void fs_move(struct test *t, struct kvm_sregs *sregs, uint8_t *memory);
static void ss_move(struct test *t, struct kvm_sregs *sregs, uint8_t *memory);

#define UD WANT_FAULT(UD_VECTOR, 0)
#define LEGACY64 (REAL16 | PROT32 | LONG64)
#define ACROSS(offset_) .code_at = 0x1000 - (offset_), .prepare = ON_HOST(second_page_clear)

#define SOFT_KNOWN .known = { .finding = "3102-emulated-fetch-fault-is-ud", .targets = "soft-svm" }

static const struct emu_row rows[] = {
	/* QEMU runs some of these, and others abort it. */
	{ .label = "lock_register", EMU_OF(lock_register), .modes = LEGACY64, .no_native = true, UD },
	{ .label = "lock_reads", EMU_OF(lock_reads), .modes = LEGACY64, .no_native = true, UD },
	{ .label = "lock_never", EMU_OF(lock_never), .modes = LEGACY64, .no_native = true, UD },
	{ .label = "length_15", EMU_OF(length_15), .modes = PROT32 | LONG64 },
	/* What cannot be decoded is #UD behind the prefix, also for the length and where a fetch faults. */
	{ .label = "length_16", SOFT_KNOWN, EMU_OF(length_16), .modes = PROT32 | LONG64, .no_native = true, UD },
	{ .label = "rex_undone_16", EMU_OF(rex_undone_16), .modes = LONG64, .no_native = true, WANT, .undefined = EMU_STATUS,
	  .in = { REG(RCX, 0x1111222233334445), REG(RDX, 0x8888999900000001) }, .want = { REG(RDX, 0x8888999900004446) } },
	{ .label = "rex_undone", EMU_OF(rex_undone), .modes = LONG64, .no_native = true, WANT, .undefined = EMU_STATUS,
	  .in = { REG(RCX, 0x1111222233334445), REG(RDX, 0x8888999900000001) }, .want = { REG(RDX, 0x33334446) } },
	{ .label = "rex", EMU_OF(rex), .modes = LONG64 },
	{ .label = "repeated", EMU_OF(repeated), .prepare = ON_HOST(fs_move), .in = { REG(RCX, 2) } },
	{ .label = "two_pages", .modes = PAGE32 | PAE32 | LONG64, EMU_OF(two_pages), .code_at = 0xffd },
	{ .label = "fetch_fault", SOFT_KNOWN, .modes = PAGE32 | PAE32 | LONG64, EMU_OF(two_pages), ACROSS(2), .no_native = true, UD },
	{ .label = "fetch_fault_user", SOFT_KNOWN, .modes = PAGE32 | PAE32 | LONG64, .env = ENV_USER, EMU_OF(two_pages), ACROSS(1),
	  .no_native = true, UD },
	{ .label = "undefined", EMU_OF(undefined), .modes = LEGACY64, .no_native = true, UD },
	{ .label = "addr16_two", .modes = REAL16, EMU_OF(addr16_two),
	  .in = { REG(RBX, 0x2000), REG(RSI, 0x0800), REG(RDI, 0x0810) } },
	{ .label = "addr16_wraps", .modes = REAL16, EMU_OF(addr16_two),
	  .in = { REG(RBX, 0xabcdf000), REG(RSI, 0x12343800), REG(RDI, 0x43213810) } },
	{ .label = "addr16_one", .modes = REAL16, EMU_OF(addr16_one), .prepare = ON_HOST(fs_move),
	  .in = { REG(RBX, EMU_DATA), REG(RSI, EMU_DATA), REG(RDI, EMU_DATA) } },
	/* By BP it is the stack segment: the second window is where SS has what DS has in the first. */
	{ .label = "addr16_bp", .modes = REAL16, EMU_OF(addr16_bp), .prepare = ON_HOST(ss_move),
	  .in = { REG(RBP, EMU_DATA), REG(RSI, 0x100), REG(RDI, 0xfef0) } },
	{ .label = "no_memory", EMU_OF(no_memory), .modes = REAL16 | PROT32, UD },
};

CASE(emulate_prefix, .says = "prefixes, lengths and invalid encodings by KVM's emulator are the CPU's",
     .modes = REAL16 | PROT32 | PAGE32 | PAE32 | LONG64, .needs = EMU_NEEDS, .rows = ROWS(rows))

static void second_page_clear(struct test *t, struct kvm_sregs *sregs, uint8_t *memory)
{
	(void)sregs;
	emu_pte_clear(t, memory, 0x1000, PTE_P);
}

static void fs_move(struct test *t, struct kvm_sregs *sregs, uint8_t *memory)
{
	(void)t;
	(void)memory;
	sregs->fs.base += 0x20;
}

static void ss_move(struct test *t, struct kvm_sregs *sregs, uint8_t *memory)
{
	(void)t;
	(void)memory;
	sregs->ss.base += EMU_DATA2 - EMU_DATA;
	sregs->ss.selector += (EMU_DATA2 - EMU_DATA) >> 4;
}

GUEST(emulate_prefix)
{
}

HOST(emulate_prefix)
{
	emu_row_run(t, ROW(t, rows));
}

/* SPDX-License-Identifier: MIT */
/*
 * Operands of KVM's emulator at the borders of their segments: the last byte that is legal and the first that is not, in
 * expand-up and expand-down, null, read-only and code segments; non-canonical addresses; addresses that wrap at 16 and
 * 32 bits. A fault is #GP(0), or #SS(0) through SS, and changes nothing.
 *
 * Can break: the operand's size left out; the limit of an expand-down segment taken for inclusive; a stack push checked
 * in DS; #GP for #SS; a write through a code segment; canonical check of the first byte only.
 * Source: APM vol. 2, 4.12 (limits, expand-down, null), 4.5.3 (64-bit mode), 8.2.12 and 8.2.13; vol. 1, 2.2.
 */
#include "cases/ioctl/emulate.h"

EMU(load_1, WIDTH_(32) INSN_("movb (%edi), %al"))
EMU(load_4, WIDTH_(32) INSN_("movl (%edi), %eax") INSN_("addl (%edi), %eax"))
EMU(store_4, WIDTH_(32) INSN_("movl %eax, (%edi)") INSN_("incl (%edi)") INSN_("lock addl %eax, (%edi)") INSN_("movsl"))
EMU(load_ss, WIDTH_(32) INSN_("movl %ss:(%edi), %eax") INSN_("movl %eax, %ss:(%edi)"))
EMU(load_fs, WIDTH_(32) INSN_("movl %fs:(%edi), %eax"))
EMU(store_fs, WIDTH_(32) INSN_("movl %eax, %fs:(%edi)"))
EMU(store_cs, WIDTH_(32) INSN_("movl %eax, %cs:(%edi)"))
EMU(load_cs, WIDTH_(32) INSN_("movl %cs:(%edi), %eax"))
EMU(base_ebp, WIDTH_(32) INSN_("movl (%ebp), %eax") INSN_("movl (%ebp,%eax), %eax"))
EMU(push, WIDTH_(32) INSN_("pushl %eax") INSN_("calll *%ecx") INSN_("pushfl"))
EMU(pop, WIDTH_(32) INSN_("popl %eax") INSN_("retl") INSN_("popfl") INSN_("leavel"))
EMU(lea, WIDTH_(32) INSN_("leal (%edi), %eax"))
EMU(canonical, WIDTH_(64) INSN_("movq (%rdi), %rax") INSN_("movq %rax, (%rdi)") INSN_("addq %rax, (%rdi)")
    INSN_("xchg %al, (%rdi)"))
EMU(canonical_far, WIDTH_(64) INSN_("lodsq") INSN_("stosq") INSN_("bts %rcx, (%rdi)"))
EMU(canonical_ss, WIDTH_(64) INSN_("push %rax") INSN_("pop %rax") INSN_("movq (%rbp), %rax") INSN_("movq 8(%rsp), %rax")
    INSN_("ret") INSN_("pushq (%rdi)") INSN_("leave"))
EMU(fs_64, WIDTH_(64) INSN_("movq %fs:(%rdi), %rax"))
EMU(wrap_32, WIDTH_(32) INSN_("movl 0x2800(%eax), %ecx"))
EMU(wrap_67, WIDTH_(64) INSN_("movl 0x22800(%eax), %ecx") INSN_("movl 0x22800(%eax,%ecx,2), %ecx"))
EMU(wrap_16, WIDTH_(16) INSN_("movw 0x2800(%bx,%si), %ax") INSN_("movw (%bx,%di), %ax") INSN_("movw -8(%bp,%si), %ax")
    INSN_("movw 0x12(%bp,%di), %ax") INSN_("movw (%si), %ax") INSN_("movw (%di), %ax") INSN_("movw 0x10(%bp), %ax")
    INSN_("movw (%bx), %ax") INSN_("movw 0x2802, %ax") INSN_("movw %ax, 5(%bx,%si)") INSN_("movw %ds:(%bp), %ax"))
EMU(last_16, WIDTH_(16) INSN_("movw (%di), %ax") INSN_("movw %ax, (%di)") INSN_("movl (%si), %eax") INSN_("pushw 1(%si)"))
EMU(last_16_ss, WIDTH_(16) INSN_("movw (%bp), %ax") INSN_("movw %ax, (%bp)"))
EMU(last_16_stack, WIDTH_(16) INSN_("pushw %ax") INSN_("popw %ax"))
EMU(modes_32, WIDTH_(32) INSN_("movl 4(%eax), %ecx") INSN_("movl (%eax,%edx,4), %ecx") INSN_("movl -4(%ebp,%edx,8), %ecx")
    INSN_("movl 0x22800, %ecx") INSN_("movl 0x22800(,%edx,2), %ecx") INSN_("movl (%esp), %ecx") INSN_("movl 8(%esp,%edx,4), %ecx")
    INSN_(".byte 0x8b, 0x0c, 0x20") INSN_("movl 0x10(%ebp), %ecx") INSN_("movl 0x100(%esi), %ecx"))
EMU(modes_64, WIDTH_(64) INSN_("movl 4(%rax), %ecx") INSN_("movl (%rax,%rdx,4), %ecx") INSN_("movl -4(%r13,%rdx,8), %ecx")
    INSN_("movl 0x22800, %ecx") INSN_("movl 0x22800(,%rdx,2), %ecx") INSN_("movl (%r12), %ecx") INSN_("movl 8(%r12,%rdx,4), %ecx")
    INSN_("movl (%r13), %ecx") INSN_("movl 0x10(%rbp), %ecx") INSN_("movl 0x100(%r14,%r12,1), %ecx")
    INSN_("movl 0x2000(%rip), %ecx") INSN_("addl $0x12345678, 0x2000(%rip)") INSN_("addb $0x12, 0x2000(%rip)")
    INSN_("imul $0x1234, 0x2000(%rip), %ecx") INSN_("movl 0x2000(%eip), %ecx"))
/* QEMU forgets the immediate behind the address. */
EMU(rip_shld, WIDTH_(64) INSN_("shldl $3, %eax, 0x2000(%rip)"))

struct row {
	struct emu_row emu;
	struct {
		uint8_t type;		/* 0: as it is */
		uint32_t limit;
		bool is_null, is_16;
	} ds, ss;
};

static void segments_set(struct test *t, struct kvm_sregs *sregs, uint8_t *memory);

#define UP 0x3
#define UP_READ_ONLY 0x1
#define DOWN 0x7
#define DOWN_READ_ONLY 0x5
#define CODE_RX 0xb
#define CODE_X 0x9
#define ADDRESS (EMU_GPA + EMU_DATA)

/* The segment under test is DS, ES and FS together, or SS, of which CPL 3 has one of its own. */
#define ROW_(...) { .emu = { __VA_ARGS__ } }
#define DATA(label_, list_, type_, limit_, ...)						\
	{ .emu = { .label = label_, .modes = PROT32, EMU_OF(list_), .prepare = ON_HOST(segments_set), __VA_ARGS__ },	\
	  .ds = { type_, limit_ } }
#define STACK(label_, list_, type_, limit_, ...)					\
	{ .emu = { .label = label_, .modes = PROT32, .env = ENV_USER, EMU_OF(list_), .prepare = ON_HOST(segments_set),	\
		   .in = { REG(RBP, EMU_GPA + EMU_STACK), REG(RAX, 0), REG(RCX, EMU_GPA + 0x900) }, __VA_ARGS__ },	\
	  .ss = { type_, limit_ } }
#define GP0 WANT_FAULT(GP_VECTOR, 0)
#define SS0 WANT_FAULT(SS_VECTOR, 0)
/* QEMU's CPU has no limits: the rows state what the manual says. */
#define NO_NATIVE .no_native = true

static const struct row rows[] = {
	DATA("up_last_byte", load_1, UP, ADDRESS),
	DATA("up_past", load_1, UP, ADDRESS - 1, NO_NATIVE, GP0),
	DATA("up_last_dword", load_4, UP, ADDRESS + 3),
	DATA("up_dword_past", load_4, UP, ADDRESS + 2, NO_NATIVE, GP0),
	DATA("up_store_last", store_4, UP, ADDRESS + 0x2000),
	DATA("up_store_past", store_4, UP, ADDRESS + 2, NO_NATIVE, GP0),
	DATA("down_first", load_4, DOWN, ADDRESS - 1),
	DATA("down_past", load_4, DOWN, ADDRESS, NO_NATIVE, GP0),
	DATA("down_store_past", store_4, DOWN, ADDRESS + 0x2000, NO_NATIVE, GP0),
	DATA("read_only_load", load_4, UP_READ_ONLY, 0xffffffff),
	DATA("read_only_store", store_4, UP_READ_ONLY, 0xffffffff, NO_NATIVE, GP0),
	DATA("down_read_only_store", store_4, DOWN_READ_ONLY, 0, NO_NATIVE, GP0),
	DATA("code_load", load_4, CODE_RX, 0xffffffff),
	DATA("code_store", store_4, CODE_RX, 0xffffffff, NO_NATIVE, GP0),
	/* VMX lets no guest start with it. */
	DATA("execute_only_load", load_fs, CODE_X, 0xffffffff, NO_NATIVE, GP0, .needs = "vendor:amd"),
	DATA("lea_past", lea, UP, 0x100),
	{ .emu = { .label = "null_load", .modes = PROT32, EMU_OF(load_4), .prepare = ON_HOST(segments_set), NO_NATIVE, GP0 },
	  .ds = { UP, 0, .is_null = true } },
	{ .emu = { .label = "null_store", .modes = PROT32, EMU_OF(store_4), .prepare = ON_HOST(segments_set), NO_NATIVE, GP0 },
	  .ds = { UP, 0, .is_null = true } },
	ROW_(.label = "cs_store", .modes = PROT32, EMU_OF(store_cs), NO_NATIVE, GP0),
	ROW_(.label = "cs_load", .modes = PROT32, EMU_OF(load_cs)),

	STACK("ss_push_past", push, UP, EMU_GPA + EMU_STACK - 2, NO_NATIVE, SS0),
	STACK("ss_push_last", push, UP, EMU_GPA + EMU_STACK - 1),
	STACK("ss_pop_past", pop, UP, EMU_GPA + EMU_STACK + 2, NO_NATIVE, SS0),
	STACK("ss_base_past", base_ebp, UP, EMU_GPA + EMU_STACK + 2, NO_NATIVE, SS0),
	STACK("ss_override_past", load_ss, UP, EMU_GPA + EMU_DATA + 2, NO_NATIVE, SS0),
	STACK("ss_down_past", base_ebp, DOWN, EMU_GPA + EMU_STACK, NO_NATIVE, SS0),

	ROW_(.label = "canonical_low", .modes = LONG64, EMU_OF(canonical), .in = { REG(RDI, 0x800000000000) }, GP0),
	ROW_(.label = "canonical_high", .modes = LONG64, EMU_OF(canonical), .in = { REG(RDI, 0xffff7fffffffffff) }, GP0),
	ROW_(.label = "canonical_strings", .modes = LONG64, EMU_OF(canonical_far),
	     .in = { REG(RDI, 0x8000000000000000), REG(RSI, 0x8000000000000000), REG(RCX, 0) }, GP0),
	ROW_(.label = "canonical_stack", .modes = LONG64, EMU_OF(canonical_ss), NO_NATIVE, SS0,
	     .in = { REG(RSP, 0x8000000000000010), REG(RBP, 0x8000000000000000) }),
	ROW_(.label = "canonical_fs", .modes = LONG64, EMU_OF(fs_64), .in = { REG(RDI, 0x7fffffffffffffff) }, GP0),

	ROW_(.label = "wrap_32", .modes = PROT32, EMU_OF(wrap_32), .in = { REG(RAX, EMU_GPA) }),
	ROW_(.label = "wrap_32_over", .modes = PROT32, EMU_OF(wrap_32), .in = { REG(RAX, 0xffffffffu) }),
	ROW_(.label = "wrap_67", .modes = LONG64, EMU_OF(wrap_67), .in = { REG(RAX, 0x1234567800000002), REG(RCX, 0xffffffff80000000) }),
	ROW_(.label = "wrap_16", .modes = REAL16 | PROT32, .env = ENV_CODE16, EMU_OF(wrap_16),
	     .in = { REG(RBX, 0x12342810), REG(RSI, 0xfff8), REG(RDI, 0x2802), REG(RBP, 0xfffa) }),
	ROW_(.label = "last_16", .modes = REAL16, EMU_OF(last_16), NO_NATIVE, GP0, .in = { REG(RDI, 0xffff), REG(RSI, 0xfffe) }),
	ROW_(.label = "last_16_ss", .modes = REAL16, EMU_OF(last_16_ss), NO_NATIVE, SS0, .in = { REG(RBP, 0xffff) }),
	ROW_(.label = "modes", .modes = PROT32, EMU_OF(modes_32), .in = { AT(RAX, EMU_DATA), REG(RDX, 0x10), AT(RBP, EMU_DATA2) }),
	ROW_(.label = "modes_64", .modes = LONG64, EMU_OF(modes_64),
	     .in = { AT(RAX, EMU_DATA), REG(RDX, 0x10), AT(RBP, EMU_DATA2), AT(R13, EMU_DATA2), REG(R12, 0x22100), REG(R14, 0x700) }),
	ROW_(.label = "rip_relative_shld", .modes = LONG64, EMU_OF(rip_shld), NO_NATIVE, WANT, .undefined = OF | AF,
	     .in = { REG(RAX, 0xa5a6a7a8) }, .memory_in = { BYTES(EMU_DATA + 8, 4, 0x12345678) },
	     .want = { REG(RFLAGS, X86_EFLAGS_FIXED | SF | PF) }, .memory_want = { BYTES(EMU_DATA + 8, 4, 0x91a2b3c5) }),
};

CASE(emulate_limit, .says = "KVM's emulator keeps within segments and canonical addresses",
     .modes = REAL16 | PROT32 | LONG64, .needs = EMU_NEEDS, .rows = ROWS(rows))

static void segment_set(struct kvm_segment *segment, uint8_t type, uint32_t limit, bool is_null)
{
	if (!type)
		return;
	segment->type = type;
	segment->limit = limit;
	segment->g = (limit & 0xfff) == 0xfff && limit > 0xfffff;
	if (is_null) {
		segment->selector = 0;
		segment->present = 0;
		segment->unusable = 1;
	}
}

static void segments_set(struct test *t, struct kvm_sregs *sregs, uint8_t *memory)
{
	const struct row *row = ROW(t, rows);

	(void)memory;
	segment_set(&sregs->ds, row->ds.type, row->ds.limit, row->ds.is_null);
	segment_set(&sregs->es, row->ds.type, row->ds.limit, row->ds.is_null);
	segment_set(&sregs->fs, row->ds.type, row->ds.limit, row->ds.is_null);
	segment_set(&sregs->ss, row->ss.type, row->ss.limit, row->ss.is_null);
}

GUEST(emulate_limit)
{
}

HOST(emulate_limit)
{
	emu_row_run(t, &ROW(t, rows)->emu);
}

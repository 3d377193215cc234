/* SPDX-License-Identifier: MIT */
/*
 * Stack instructions by KVM's emulator: what is pushed, how far SP moves, and which width of SP, for 16-, 32- and 64-bit
 * stacks and operands; near calls and returns; flags by POPF at every privilege.
 *
 * Can break: PUSH of a segment register writing more than its selector; PUSH ESP pushing the new value; POP to an
 * address computed from the old ESP; SP's upper half changed on a 16-bit stack; ENTER and LEAVE with the operand's size
 * where the stack's is meant; IF and IOPL taken from the stack without the privilege; VM or RF set by POPF.
 * Source: APM vol. 3, CALL (Near), ENTER, LEAVE, POP, POPA, POPF, PUSH, PUSHA, PUSHF, RET (Near).
 */
#include "cases/ioctl/emulate.h"

EMU(push_32, WIDTH_LEGACY INSN_("pushl %eax") INSN_("pushw %ax") INSN_("pushl %esp") INSN_("pushw %sp") INSN_("pushl %edi") INSN_("pushl $-2")
    INSN_("pushw $-2") INSN_("pushl $0x12345678") INSN_("pushw $0x1234") INSN_("pushl (%edi)") INSN_("pushw (%edi)")
    INSN_("pushl 4(%esp)") INSN_("pushw %es") INSN_("pushw %cs") INSN_("pushw %ss") INSN_("pushw %ds") INSN_("pushw %fs"))
/* Whether two bytes are written or four is the CPU's choice (SDM vol. 2B, PUSH). */
EMU(push_sreg, WIDTH_LEGACY INSN_("pushl %es") INSN_("pushl %ss") INSN_("pushl %ds") INSN_("pushl %fs"))
EMU(pop_32, WIDTH_LEGACY INSN_("popl %eax") INSN_("popw %ax") INSN_("popl %esp") INSN_("popw %sp") INSN_("popl %edi") INSN_("popl (%edi)")
    INSN_("popw (%edi)") INSN_("popl 8(%esp)") INSN_("popw -2(%esp)") INSN_(".byte 0x8f, 0xc1"))
EMU(pusha, WIDTH_LEGACY INSN_("pushal") INSN_("pushaw"))
EMU(popa, WIDTH_LEGACY INSN_("popal") INSN_("popaw"))
EMU(enter_32, WIDTH_LEGACY INSN_("enterl $0x10, $0") INSN_("enterl $0, $32") INSN_("enterl $0x60, $0"))
EMU(enter_16, WIDTH_LEGACY INSN_("enterw $0x10, $0") INSN_("enterw $0, $32"))
EMU(leave, WIDTH_LEGACY INSN_("leavel") INSN_("leavew"))
EMU(call, WIDTH_LEGACY INSN_("calll *%eax") INSN_("calll *(%edi)") INSN_("jmpl *%eax") INSN_("jmpl *(%edi)"))
EMU(call_16, WIDTH_LEGACY INSN_("callw *%ax") INSN_("callw *(%edi)") INSN_("jmpw *%ax") INSN_("jmpw *(%edi)"))
EMU(ret, WIDTH_LEGACY INSN_("retl") INSN_("retl $8"))
EMU(ret_16, WIDTH_LEGACY INSN_("retw") INSN_("retw $0x1230"))
EMU(pushf, WIDTH_LEGACY INSN_("pushfl") INSN_("pushfw"))
EMU(popf, WIDTH_LEGACY INSN_("popfl") INSN_("popfw"))
EMU(pop_es, WIDTH_LEGACY INSN_("popl %es") INSN_("popw %es") INSN_("popl %ds") INSN_("popw %fs"))
EMU(pop_ss, WIDTH_LEGACY INSN_("popl %ss"))
EMU(pop_ss_16, WIDTH_LEGACY INSN_("popw %ss"))

EMU(push_on_16, WIDTH_(16) INSN_("pushl %eax") INSN_("pushw %ax") INSN_("pushl %esp") INSN_("pushw $-2") INSN_("pushw (%di)")
    INSN_("pushw %es") INSN_("pushal") INSN_("pushaw") INSN_("pushfw") INSN_("pushfl"))
EMU(push_on_16_wraps, WIDTH_(16) INSN_("pushl %eax") INSN_("pushw %ax"))
EMU(pop_on_16, WIDTH_(16) INSN_("popl %eax") INSN_("popw %ax") INSN_("popl %esp") INSN_("popw %sp") INSN_("popw (%di)")
    INSN_("popal") INSN_("popaw"))
EMU(frame_on_16, WIDTH_(16) INSN_("enterw $0x10, $0") INSN_("leavew") INSN_("leavel"))

EMU(push_64, WIDTH_(64) INSN_("push %rax") INSN_("push %r8") INSN_("pushw %ax") INSN_("push %rsp") INSN_("pushq $-2")
    INSN_("pushw $-2") INSN_("pushq $0x12345678") INSN_("pushq (%rdi)") INSN_("pushw (%rdi)") INSN_("pushq 8(%rsp)")
    INSN_("pushq %fs") INSN_("pushw %fs") INSN_("pushq %gs") INSN_(".byte 0xff, 0xf0") INSN_(".byte 0x41, 0xff, 0xf1"))
EMU(pop_64, WIDTH_(64) INSN_("pop %rax") INSN_("pop %r8") INSN_("popw %ax") INSN_("pop %rsp") INSN_("popq (%rdi)")
    INSN_("popw (%rdi)") INSN_("popq 8(%rsp)") INSN_("popw -2(%rsp)") INSN_(".byte 0x8f, 0xc1"))
EMU(enter_64, WIDTH_(64) INSN_("enterq $0x10, $0"))
EMU(leave_64, WIDTH_(64) INSN_("leaveq"))
/* Bochs pops eight bytes. */
EMU(leave_64_16, WIDTH_(64) INSN_("leavew"))
EMU(call_64, WIDTH_(64) INSN_("call *%rax") INSN_("call *(%rdi)") INSN_("jmp *%rax") INSN_("jmp *(%rdi)") INSN_("call *%r8")
    INSN_(".byte 0xe8, 0x10, 0, 0, 0") INSN_(".byte 0xe9, 0xf0, 0xff, 0xff, 0xff") INSN_(".byte 0xeb, 0x80"))
EMU(call_64_reg, WIDTH_(64) INSN_("call *%rax") INSN_("jmp *%rax"))
EMU(ret_64, WIDTH_(64) INSN_("retq") INSN_("retq $8"))
EMU(pushf_64, WIDTH_(64) INSN_("pushfq") INSN_("pushfw"))
EMU(popf_64, WIDTH_(64) INSN_("popfq") INSN_("popfw"))
EMU(pop_fs_64, WIDTH_(64) INSN_("popq %fs") INSN_("popw %fs"))
EMU(invalid_64, WIDTH_(32) INSN_("pushl %es") INSN_("popl %es") INSN_("pushl %cs") INSN_("pushl %ss") INSN_("popl %ss")
    INSN_("pushl %ds") INSN_("popl %ds") INSN_("pushal") INSN_("popal") INSN_("aam") INSN_("aad") INSN_("das") INSN_(".byte 0xd6")
    INSN_("into") INSN_("les (%edi), %eax") INSN_("lds (%edi), %eax") INSN_(".byte 0x82, 0xc0, 1")
    INSN_("lcall $8, $0") INSN_("ljmp $8, $0"))

static const struct emu_values flags_popped[] = {
	{ 0, 0, 0, 0 }, { 0, 0, 0, X86_EFLAGS_FIXED | EMU_STATUS }, { 0, 0, 0, X86_EFLAGS_IF }, { 0, 0, 0, EMU_IOPL(3) },
	{ 0, 0, 0, X86_EFLAGS_NT | DF }, { 0, 0, 0, X86_EFLAGS_AC | 0x200000 }, { 0, 0, 0, 0xfff70000ffc28028 },
	{ 0, 0, 0, EMU_IOPL(1) | X86_EFLAGS_IF },
};

/* RAX and the memory at RDI and the stack's top point into the code; EBP into the stack. */
#define TARGETS .in = { AT(RAX, 0x900), AT(RBP, EMU_STACK + 0x20) }, \
	.memory_in = { BYTES(EMU_STACK, 8, 0x910), BYTES(EMU_DATA, 8, 0x920) }
#define TARGETS_FLAT .in = { AT(RAX, 0x900), AT(RBP, EMU_STACK + 0x20), AT(R8, 0x930) }, \
	.memory_in = { BYTES(EMU_STACK, 8, EMU_GPA + 0x910), BYTES(EMU_DATA, 8, EMU_GPA + 0x920) }
/* On a 16-bit stack the upper half of ESP stays. */
#define ON_16 .env = ENV_CODE16, .modes = PROT32 | LONG64
#define FLAGS_ROW(label_, list_, ...) { .label = label_, EMU_OF(list_), .values = VALUES(flags_popped), \
	.in = { AT(RSP, EMU_DATA) }, __VA_ARGS__ }

#define ENTER_KNOWN .known = { .finding = "0702-emulated-enter-operand-size" }

static const struct emu_row rows[] = {
	{ .label = "push", .modes = REAL16 | PROT32, EMU_OF(push_32) },
	{ .label = "pop", .modes = REAL16 | PROT32, EMU_OF(pop_32) },
	{ .label = "pusha", .modes = REAL16 | PROT32, EMU_OF(pusha) },
	{ .label = "popa", .modes = REAL16 | PROT32, EMU_OF(popa) },
	{ .label = "push_sreg", .modes = PROT32, EMU_OF(push_sreg), .no_native = true, WANT,
	  .want = { AT(RSP, EMU_STACK - 4) }, .memory_want = { BYTES(EMU_STACK - 4, 2, SEL_DATA), BYTES(EMU_STACK, 4, 0xa6896c4f) } },
	{ .label = "enter_real", .modes = REAL16, EMU_OF(enter_16) },
	{ .label = "enter", .modes = PROT32, EMU_OF(enter_32) },
	{ .label = "enter_other_real", .modes = REAL16, EMU_OF(enter_32), ENTER_KNOWN },
	{ .label = "enter_other", .modes = PROT32, EMU_OF(enter_16), ENTER_KNOWN },
	{ .label = "leave", .modes = REAL16 | PROT32, EMU_OF(leave), TARGETS },
	{ .label = "call_real", .modes = REAL16, EMU_OF(call), TARGETS },
	{ .label = "call", .modes = PROT32, EMU_OF(call), TARGETS_FLAT },
	{ .label = "call_16", .modes = REAL16, EMU_OF(call_16), TARGETS },
	{ .label = "ret_16", .modes = REAL16, EMU_OF(ret_16), TARGETS },
	{ .label = "ret_real", .modes = REAL16, EMU_OF(ret), TARGETS },
	{ .label = "ret", .modes = PROT32, EMU_OF(ret), TARGETS_FLAT },
	{ .label = "pushf", .modes = REAL16 | PROT32, EMU_OF(pushf) },
	FLAGS_ROW("popf", popf, .modes = REAL16 | PROT32),
	FLAGS_ROW("popf_user", popf, .modes = PROT32, .env = ENV_USER),
	FLAGS_ROW("popf_user_iopl", popf, .modes = PROT32, .env = ENV_USER, .flags_in = EMU_IOPL(3)),
	{ .label = "pushf_user", .modes = PROT32, .env = ENV_USER, EMU_OF(pushf), .flags_in = EMU_IOPL(1) | X86_EFLAGS_IF },
	{ .label = "pop_es_real", .modes = REAL16, EMU_OF(pop_es), .memory_in = { BYTES(EMU_STACK, 8, 0x1234) } },
	{ .label = "pop_es", .modes = PROT32, EMU_OF(pop_es), .memory_in = { BYTES(EMU_STACK, 8, 0xabcd0000 | SEL_USER_DATA) } },
	{ .label = "pop_es_null", .modes = PROT32, EMU_OF(pop_es), .memory_in = { BYTES(EMU_STACK, 8, 0) } },
	{ .label = "pop_es_code", .modes = PROT32, EMU_OF(pop_es), .memory_in = { BYTES(EMU_STACK, 8, SEL_CODE32) } },
	{ .label = "pop_es_absent", .modes = PROT32, EMU_OF(pop_es), .memory_in = { BYTES(EMU_STACK, 8, 0x1238) } },
	{ .label = "pop_ss_real", .modes = REAL16, EMU_OF(pop_ss_16), .memory_in = { BYTES(EMU_STACK, 2, EMU_GPA >> 4) } },
	{ .label = "pop_ss", .modes = PROT32, EMU_OF(pop_ss), .memory_in = { BYTES(EMU_STACK, 4, SEL_DATA) } },
	{ .label = "pop_ss_code", .modes = PROT32, EMU_OF(pop_ss), .memory_in = { BYTES(EMU_STACK, 4, SEL_CODE32) } },

	{ .label = "push_16", ON_16, EMU_OF(push_on_16), .in = { REG(RSP, 0x12340000 + EMU_STACK) } },
	{ .label = "pop_16", ON_16, EMU_OF(pop_on_16), .in = { REG(RSP, 0x12340000 + EMU_STACK) } },
	{ .label = "frame_16", ON_16, EMU_OF(frame_on_16), .in = { REG(RSP, 0x12340000 + EMU_STACK), REG(RBP, 0x56784820) } },
	{ .label = "push_16_wraps", ON_16, EMU_OF(push_on_16_wraps), .in = { REG(RSP, 0x12340000) } },

	{ .label = "push_64", .modes = LONG64, EMU_OF(push_64) },
	{ .label = "pop_64", .modes = LONG64, EMU_OF(pop_64) },
	{ .label = "enter_64", .modes = LONG64, EMU_OF(enter_64) },
	{ .label = "leave_64", .modes = LONG64, EMU_OF(leave_64), TARGETS_FLAT },
	{ .label = "leave_64_16", .modes = LONG64, EMU_OF(leave_64_16), .no_native = true, WANT, .in = { AT(RBP, EMU_STACK + 0x20) },
	  .memory_in = { BYTES(EMU_STACK + 0x20, 8, 0x8877665544331234) },
	  .want = { REG(RBP, 0x21234), AT(RSP, EMU_STACK + 0x22) } },
	{ .label = "call_64", .modes = LONG64, EMU_OF(call_64), TARGETS_FLAT },
	{ .label = "ret_64", .modes = LONG64, EMU_OF(ret_64), TARGETS_FLAT },
	{ .label = "pushf_64", .modes = LONG64, EMU_OF(pushf_64) },
	FLAGS_ROW("popf_64", popf_64, .modes = LONG64),
	FLAGS_ROW("popf_64_user", popf_64, .modes = LONG64, .env = ENV_USER),
	FLAGS_ROW("popf_64_user_iopl", popf_64, .modes = LONG64, .env = ENV_USER, .flags_in = EMU_IOPL(3)),
	{ .label = "pop_fs_64", .modes = LONG64, EMU_OF(pop_fs_64), .memory_in = { BYTES(EMU_STACK, 8, SEL_USER_DATA) } },
	{ .label = "pop_fs_64_null", .modes = LONG64, EMU_OF(pop_fs_64), .memory_in = { BYTES(EMU_STACK, 8, 0) } },
	{ .label = "invalid_64", .modes = LONG64, EMU_OF(invalid_64), WANT_FAULT(UD_VECTOR, 0) },
	/* QEMU jumps, and faults there. */
	{ .label = "call_64_noncanonical", .modes = LONG64, EMU_OF(call_64_reg), .in = { REG(RAX, 0x8000000000000000) },
	  .no_native = true, WANT_FAULT(GP_VECTOR, 0) },
	{ .label = "ret_64_noncanonical", .modes = LONG64, EMU_OF(ret_64), .no_native = true, WANT_FAULT(GP_VECTOR, 0),
	  .memory_in = { BYTES(EMU_STACK, 8, 0x8000000000000000) } },
};

CASE(emulate_stack, .says = "stack instructions by KVM's emulator are the CPU's", .modes = REAL16 | PROT32 | LONG64,
     .needs = EMU_NEEDS, .rows = ROWS(rows))

GUEST(emulate_stack)
{
}

HOST(emulate_stack)
{
	emu_row_run(t, ROW(t, rows));
}

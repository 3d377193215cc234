/* SPDX-License-Identifier: MIT */
/*
 * Page faults of instructions that KVM's emulator executes: error code, CR2 and RIP, on either half of an operand that
 * crosses a page, and nothing of the instruction done. What reads and then writes faults as a write.
 *
 * Can break: CR2 of the operand's start where the second page is missing; a read-modify-write reported as a read; U
 * taken from the descriptor's DPL; the first half written before the second one faults; pointers advanced by the string
 * element that faults; a fetch without the I bit; SP moved by a push that faults.
 * Source: APM vol. 2, 8.2.15 (#PF), 8.4.2 (error code), 5.4; SDM vol. 3A, 6.15.
 */
#include "cases/ioctl/emulate.h"

#define SPLIT (0x3000 - 2)	/* two bytes below the end of the data's first page */

EMU(loads, INSN_("mov " M ", %eax") INSN_("add " M ", %eax") INSN_("cmp %eax, " M) INSN_("test %eax, " M) INSN_("movzwl " M ", %eax")
    INSN_("imul " M ", %eax") INSN_("btl $3, " M) INSN_("cmovc " M ", %eax") INSN_("cmovnc " M ", %eax") INSN_("scasb"))
EMU(stores, INSN_("mov %eax, " M) INSN_("movb $1, " M) INSN_("sete " M) INSN_("stosl") INSN_("movnti %eax, " M) INSN_("movw %ds, " M))
EMU(updates, INSN_("add %eax, " M) INSN_("incl " M) INSN_("xchg %eax, " M) INSN_("lock xadd %eax, " M) INSN_("shll $3, " M)
    INSN_("btsl $3, " M) INSN_("cmpxchg %ecx, " M) INSN_("lock orl $1, " M) INSN_("notl " M) INSN_("lock cmpxchg8b " M)
    INSN_("shld $3, %eax, " M))
EMU(loads_4, INSN_("mov " M ", %eax") INSN_("add " M ", %eax") INSN_("cmp %eax, " M))
EMU(stores_4, INSN_("mov %eax, " M) INSN_("stosl") INSN_("movnti %eax, " M))
EMU(updates_4, INSN_("add %eax, " M) INSN_("incl " M) INSN_("xchg %eax, " M) INSN_("lock xadd %eax, " M))
EMU(push_m, INSN_("push " M))
EMU(pop, INSN_("popf") INSN_("ret"))
EMU(pop_m, INSN_("pop " M))
EMU(movs, INSN_("movsl") INSN_("rep movsl"))
EMU(lgdt, INSN_("lgdt " M))
EMU(sgdt, INSN_("sgdt " M))
EMU(fxrstor, INSN_("fxrstor " M))
EMU(fxsave, INSN_("fxsave " M))
EMU(push_64, WIDTH_(64) INSN_("push %rax") INSN_("pushq (%rdi)") INSN_("pushq $-2") INSN_("pushfq") INSN_("pushq %fs")
    INSN_("call *%rax") INSN_("call *(%rdi)") INSN_(".byte 0xe8, 0x10, 0, 0, 0") INSN_("enterq $0x10, $0"))
EMU(pop_64, WIDTH_(64) INSN_("pop %rax") INSN_("popfq") INSN_("retq") INSN_("retq $8") INSN_("popq %fs") INSN_("leaveq")
    INSN_("popq (%rdi)"))
EMU(lret_64, WIDTH_(64) INSN_("lretq") INSN_("lretq $8"))
EMU(push_32, WIDTH_LEGACY INSN_("pushl %eax") INSN_("pushl (%edi)") INSN_("pushl $-2") INSN_("pushfl") INSN_("calll *%eax")
    INSN_("enterl $0x10, $0"))
EMU(pusha_32, WIDTH_LEGACY INSN_("pushal"))
EMU(pop_32, WIDTH_LEGACY INSN_("popl %eax") INSN_("popfl") INSN_("retl") INSN_("retl $8") INSN_("popl %es") INSN_("leavel")
    INSN_("popl (%edi)"))
EMU(popa_32, WIDTH_LEGACY INSN_("popal"))
EMU(lret_32, WIDTH_LEGACY INSN_("lretl") INSN_("lretl $8"))

enum kind { NOT_PRESENT, READ_ONLY, SUPERVISOR };

struct row {
	struct emu_row emu;
	uint32_t page;		/* offset whose entry is changed */
	enum kind kind;
};

static void page_change(struct test *t, struct kvm_sregs *sregs, uint8_t *memory);

#define R 0
#define W PFERR_W
#define U PFERR_U
#define P PFERR_P
#define PAGE_(label_, list_, page_, kind_, error_, cr2_, ...)				\
	{ .emu = { .label = label_, EMU_OF(list_), WANT_PF(error_, cr2_), .prepare = ON_HOST(page_change),	\
		   __VA_ARGS__ }, .page = page_, .kind = kind_ }
#define SPLIT_IN .in = { AT(RDI, SPLIT) }
#define PUSH_IN .in = { AT(RSP, 0x4000), AT(RAX, 0x900) }, .memory_in = { BYTES(EMU_DATA, 8, EMU_GPA + 0x920) }
#define USER .env = ENV_USER
/* QEMU reads before it knows that it may write. */
#define UPDATE .no_native = true
/* The machine does as AMD's CPUs. */
#define SILICON_KNOWN .known = { .finding = "3600-machine-follows-silicon", .targets = "soft-svm" }
#define HALF_KNOWN .known = { .finding = "0703-emulated-store-half-done" }

static const struct row rows[] = {
	PAGE_("load", loads, EMU_DATA, NOT_PRESENT, R, EMU_DATA),
	PAGE_("load_second", loads_4, 0x3000, NOT_PRESENT, R, 0x3000, SPLIT_IN),
	PAGE_("load_first", loads_4, 0x2000, NOT_PRESENT, R, SPLIT, SPLIT_IN),
	PAGE_("store", stores, EMU_DATA, NOT_PRESENT, W, EMU_DATA),
	PAGE_("store_second", stores_4, 0x3000, NOT_PRESENT, W, 0x3000, SPLIT_IN, HALF_KNOWN),
	PAGE_("store_first", stores_4, 0x2000, NOT_PRESENT, W, SPLIT, SPLIT_IN),
	PAGE_("update", updates, EMU_DATA, NOT_PRESENT, W, EMU_DATA, UPDATE),
	PAGE_("update_second", updates_4, 0x3000, NOT_PRESENT, W, 0x3000, SPLIT_IN, UPDATE),
	PAGE_("update_first", updates_4, 0x2000, NOT_PRESENT, W, SPLIT, SPLIT_IN, UPDATE),
	PAGE_("store_read_only", stores, EMU_DATA, READ_ONLY, P | W, EMU_DATA),
	PAGE_("store_second_read_only", stores_4, 0x3000, READ_ONLY, P | W, 0x3000, SPLIT_IN, HALF_KNOWN),
	PAGE_("update_read_only", updates, EMU_DATA, READ_ONLY, P | W, EMU_DATA, UPDATE),
	PAGE_("update_second_read_only", updates_4, 0x3000, READ_ONLY, P | W, 0x3000, SPLIT_IN, UPDATE, HALF_KNOWN),
	PAGE_("user_load", loads, EMU_DATA, SUPERVISOR, P | U, EMU_DATA, USER),
	PAGE_("user_store", stores, EMU_DATA, SUPERVISOR, P | U | W, EMU_DATA, USER),
	PAGE_("user_update", updates, EMU_DATA, SUPERVISOR, P | U | W, EMU_DATA, USER, UPDATE),
	PAGE_("user_load_absent", loads, EMU_DATA, NOT_PRESENT, U, EMU_DATA, USER),
	PAGE_("user_update_read_only", updates, EMU_DATA, READ_ONLY, P | U | W, EMU_DATA, USER, UPDATE),
	PAGE_("push_from_absent", push_m, EMU_DATA, NOT_PRESENT, R, EMU_DATA),
	PAGE_("pop_to_absent", pop_m, EMU_DATA, NOT_PRESENT, W, EMU_DATA),
	PAGE_("pop_to_read_only", pop_m, EMU_DATA, READ_ONLY, P | W, EMU_DATA),
	PAGE_("user_pop_absent", pop, 0x4000, NOT_PRESENT, U, EMU_STACK, USER),
	PAGE_("movs_from_absent", movs, EMU_DATA2, NOT_PRESENT, R, EMU_DATA2, .in = { REG(RCX, 3) }),
	PAGE_("movs_to_absent", movs, EMU_DATA, NOT_PRESENT, W, EMU_DATA, .in = { REG(RCX, 3) }),
	/* Bochs reads the base first. */
	PAGE_("lgdt_absent", lgdt, EMU_DATA, NOT_PRESENT, R, EMU_DATA, .no_native = true),
	PAGE_("sgdt_absent", sgdt, EMU_DATA, NOT_PRESENT, W, EMU_DATA),
	/* KVM has them for 32-bit code alone. */
	PAGE_("fxrstor_absent", fxrstor, EMU_DATA, NOT_PRESENT, R, EMU_DATA, .modes = PAGE32, SILICON_KNOWN),
	PAGE_("fxsave_absent", fxsave, EMU_DATA, NOT_PRESENT, W, EMU_DATA, .modes = PAGE32, SILICON_KNOWN),
	PAGE_("fxsave_user", fxsave, EMU_DATA, SUPERVISOR, P | U | W, EMU_DATA, .modes = PAGE32, USER, SILICON_KNOWN),
	PAGE_("fxrstor_user", fxrstor, EMU_DATA, SUPERVISOR, P | U, EMU_DATA, .modes = PAGE32, USER, SILICON_KNOWN),
	/* Elsewhere than in 64-bit mode, the fault itself would need that stack, but for user code. */
	PAGE_("push_64_absent", push_64, 0x3000, NOT_PRESENT, W, 0x3ff8, .modes = LONG64, PUSH_IN),
	PAGE_("push_64_read_only", push_64, 0x3000, READ_ONLY, P | W, 0x3ff8, .modes = LONG64, PUSH_IN),
	PAGE_("pop_64_absent", pop_64, 0x4000, NOT_PRESENT, R, EMU_STACK, .modes = LONG64, .in = { AT(RBP, EMU_STACK) }),
	/* Bochs may read the selector first. */
	PAGE_("lret_64_absent", lret_64, 0x4000, NOT_PRESENT, R, EMU_STACK, .modes = LONG64, .no_native = true, SILICON_KNOWN),
	PAGE_("lret_64_second", lret_64, 0x4000, NOT_PRESENT, R, 0x4000, .modes = LONG64, .in = { AT(RSP, 0x4000 - 8) }),
	PAGE_("push_32_absent", push_32, 0x3000, NOT_PRESENT, U | W, 0x3ffc, .modes = PAGE32, USER, PUSH_IN),
	PAGE_("pusha_32_absent", pusha_32, 0x3000, NOT_PRESENT, U | W, 0x3ffc, .modes = PAGE32, USER, PUSH_IN,
	      .no_native = true),
	PAGE_("pop_32_absent", pop_32, 0x4000, NOT_PRESENT, U, EMU_STACK, .modes = PAGE32, USER,
	      .in = { AT(RBP, EMU_STACK) }),
	/* QEMU loads the first registers all the same, and returns far as a supervisor. */
	PAGE_("popa_32_absent", popa_32, 0x4000, NOT_PRESENT, U, EMU_STACK, .modes = PAGE32, USER, .no_native = true),
	PAGE_("popa_32_second", popa_32, 0x4000, NOT_PRESENT, U, 0x4000, .modes = PAGE32, USER, .no_native = true,
	      .in = { AT(RSP, 0x4000 - 16) }, SILICON_KNOWN),
	PAGE_("lret_32_absent", lret_32, 0x4000, NOT_PRESENT, U, EMU_STACK, .modes = PAGE32, USER, .no_native = true, SILICON_KNOWN),
	PAGE_("lret_32_second", lret_32, 0x4000, NOT_PRESENT, U, 0x4000, .modes = PAGE32, USER, .no_native = true,
	      .in = { AT(RSP, 0x4000 - 4) }),
};

CASE(emulate_page, .says = "page faults by KVM's emulator are exact and leave nothing half done",
     .modes = PAGE32 | LONG64, .needs = EMU_NEEDS, .rows = ROWS(rows), .shadow_too = true)

static void page_change(struct test *t, struct kvm_sregs *sregs, uint8_t *memory)
{
	static const uint64_t bits[] = {
		[NOT_PRESENT] = PTE_P, [READ_ONLY] = PTE_W, [SUPERVISOR] = PTE_U,
	};
	const struct row *row = ROW(t, rows);

	(void)sregs;
	emu_pte_clear(t, memory, row->page, bits[row->kind]);
}

GUEST(emulate_page)
{
}

HOST(emulate_page)
{
	emu_row_run(t, &ROW(t, rows)->emu);
}

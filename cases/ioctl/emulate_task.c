/* SPDX-License-Identifier: MIT */
/*
 * Task switches, which every CPU leaves to KVM: by far jump and call, IRET with NT, software interrupt and exception
 * through a task gate, to 32-bit and 16-bit TSSs.
 *
 * The old TSS gets registers, selectors, flags and the next EIP, its other fields stay; the new one's are loaded. JMP
 * and IRET free the old TSS, JMP, CALL and gates make the new one busy; CALL and gates link back and set NT. CR0.TS is
 * set, DR7's local breakpoints are cleared, an exception's error code is pushed on the new stack. A new TSS that is
 * refused leaves the old task as it was, #TS, #NP or #GP with the selector.
 *
 * Can break: the EIP of the instruction saved where that of the next one is meant, or the other way; the back link
 * written by a JMP; NT kept in the image that IRET saves; the error code missing, or 16 bits wide on a 32-bit stack; a
 * selector of the new task checked with the old CPL.
 * Source: APM vol. 2, 12.2 (TSS), 12.3 (task switches); SDM vol. 3A, 7.2.1, 7.3, table 7-1.
 */
#include "cases/ioctl/task.h"

EMU(jmp, WIDTH_(32) INSN_("ljmpl $0xa8, $0"))
EMU(call, WIDTH_(32) INSN_("lcalll $0xa8, $0"))
EMU(iret, WIDTH_(32) INSN_("iretl"))
EMU(interrupt, WIDTH_(32) INSN_("int $0x40"))
EMU(gp, WIDTH_(32) INSN_("movl %eax, %fs"))
EMU(ud, WIDTH_(32) INSN_("ud2"))

#define BAD_SELECTOR 0x1230

enum kind { JMP, CALL, IRET, GATE };

struct row {
	struct emu_row emu;
	enum kind kind;
	bool is_16;		/* the new TSS, */
	bool is_old_16;		/* and the old one */
	bool has_error_code;
};

static void tables_set(struct test *t, struct kvm_sregs *sregs, uint8_t *memory);

#define ROW_(label_, list_, kind_, ...) { .emu = { .label = label_, EMU_OF(list_), .prepare = ON_HOST(tables_set),	\
	.in = { REG(RAX, BAD_SELECTOR) }, .flags_in = (kind_) == IRET ? X86_EFLAGS_NT : 0 }, .kind = kind_, __VA_ARGS__ }

#define SOFTWARE_KNOWN { .finding = "0712-bochs-exitintinfo-software-interrupt", .targets = "lab-svm*" }
#define QEMU_KNOWN { .finding = "0708-qemu-task-switch-not-intercepted", .targets = "lab-svm" }
#define SOFT_KNOWN { .finding = "3601-soft-task-switch-error-code", .targets = "soft-svm",		\
		     .next = &(const struct known)QEMU_KNOWN }
#define MIXED_KNOWN .known = { .finding = "0709-task-switch-saves-other-format" }

static const struct row rows[] = {
	ROW_("jmp", jmp, JMP),
	ROW_("call", call, CALL),
	ROW_("iret", iret, IRET),
	ROW_("int", interrupt, GATE, .emu.known = SOFTWARE_KNOWN),
	ROW_("exception", ud, GATE),
	ROW_("exception_error_code", gp, GATE, .has_error_code = true, .emu.known = SOFT_KNOWN),
	ROW_("jmp_16", jmp, JMP, .is_16 = true, .is_old_16 = true),
	ROW_("call_16", call, CALL, .is_16 = true, .is_old_16 = true),
	ROW_("iret_16", iret, IRET, .is_16 = true, .is_old_16 = true),
	ROW_("int_16", interrupt, GATE, .is_16 = true, .is_old_16 = true, .emu.known = SOFTWARE_KNOWN),
	ROW_("error_code_16", gp, GATE, .is_16 = true, .is_old_16 = true, .has_error_code = true, .emu.known = SOFT_KNOWN),
	{ .emu = { .label = "jmp_32_to_16", EMU_OF(jmp), .prepare = ON_HOST(tables_set), MIXED_KNOWN }, .kind = JMP, .is_16 = true },
	{ .emu = { .label = "call_16_to_32", EMU_OF(call), .prepare = ON_HOST(tables_set), MIXED_KNOWN }, .kind = CALL, .is_old_16 = true },
};

CASE(emulate_task, .says = "task switches save, load, link and free as the manual says", .modes = PROT32 | PAE32,
     .needs = EMU_NEEDS, .rows = ROWS(rows),
     .known = QEMU_KNOWN)

static uint64_t new_type(const struct row *row)
{
	return (row->is_16 ? 1 : 9) | (row->kind == IRET ? 2 : 0);
}

static void tables_set(struct test *t, struct kvm_sregs *sregs, uint8_t *memory)
{
	const struct row *row = ROW(t, rows);
	unsigned int vector = row->has_error_code ? GP_VECTOR : row->emu.list[4] == 'u' ? UD_VECTOR : 0x40;
	uint8_t *tss = memory + NEW_TSS;

	memset(tss, 0x77, 0x80);
	if (row->is_16)
		tss_write_16(tss);
	else
		tss_write_32(sregs, tss);
	emu_put(memory, EMU_GDT + SEL_OLD, tss_descriptor(EMU_GPA + EMU_TSS, EMU_TSS_LIMIT, row->is_old_16 ? 3 : 11), 8);
	sregs->tr.type = row->is_old_16 ? 3 : sregs->tr.type;
	emu_put(memory, EMU_GDT + SEL_NEW, tss_descriptor(EMU_GPA + NEW_TSS, row->is_16 ? 0x2b : 0x67, new_type(row)), 8);
	task_segments_put(memory + EMU_GDT);
	emu_put(memory, EMU_TSS, row->kind == IRET ? SEL_NEW : 0x5a5a, 2);
	if (row->kind == GATE)
		emu_put(memory, EMU_IDT + vector * 8, SEL_NEW << 16 | 0xe5ull << 40, 8);
	sregs->ldt = (struct kvm_segment){ .unusable = 1 };
}

/* --- what must be there behind it --- */

static void expect_new_regs(struct emu *emu, const struct row *row, const struct kvm_regs *got)
{
	static const unsigned int order[8] = { 0, 2, 3, 1, 6, 7, 4, 5 };	/* AX, CX, DX, BX, SP, BP, SI, DI in struct kvm_regs */
	uint64_t flags = NEW_FLAGS | (row->kind == CALL || row->kind == GATE ? X86_EFLAGS_NT : 0);
	uint32_t mask = row->is_16 ? 0xffff : 0xffffffff, pushed = row->has_error_code ? row->is_16 ? 2 : 4 : 0;
	struct kvm_regs want = { .rflags = flags, .rip = row->is_16 ? NEW_CODE : EMU_GPA + NEW_CODE };
	unsigned int i;

	for (i = 0; i < 8; i++)
		(&want.rax)[order[i]] = new_regs[i] & mask;
	want.rsp = (row->is_16 ? NEW_STACK : EMU_GPA + NEW_STACK) - pushed;
	emu_check_regs(emu, "the new TSS", &want, got);
}

static void expect_saved(struct emu *emu, const struct row *row, const uint8_t *tss)
{
	static const unsigned int order[8] = { 0, 2, 3, 1, 6, 7, 4, 5 };
	static const uint16_t selectors[4] = { SEL_DATA, SEL_CODE32, SEL_DATA, SEL_DATA };
	bool is_fault = row->emu.list[4] == 'g' || row->emu.list[4] == 'u';
	unsigned int i, size = row->is_old_16 ? 2 : 4, ip = row->is_old_16 ? 14 : 32;
	uint64_t mask = row->is_old_16 ? 0xffff : 0xffffffff;

	emu_check(emu, "EIP saved", (emu->regs.rip + (is_fault ? 0 : emu->insn[0])) & mask, emu_get(tss, ip, size));
	emu_check(emu, "EFLAGS saved", emu->regs.rflags & ~(uint64_t)X86_EFLAGS_NT,
		  emu_get(tss, ip + size, size) & ~X86_EFLAGS_RF);
	for (i = 0; i < 8; i++)
		emu_check(emu, "a register saved", (&emu->regs.rax)[order[i]] & mask, emu_get(tss, ip + (2 + i) * size, size));
	for (i = 0; i < 4; i++)
		emu_check(emu, "a selector saved", selectors[i], emu_get(tss, ip + (10 + i) * size, 2));
	emu_check(emu, "CR3's field", emu_get(emu->start, EMU_TSS + 28, row->is_old_16 ? 0 : 4), emu_get(tss, 28, row->is_old_16 ? 0 : 4));
	emu_check(emu, "the old back link", emu_get(emu->start, EMU_TSS, 2), emu_get(tss, 0, 2));
}

static void expect_links(struct emu *emu, const struct row *row, const uint8_t *memory)
{
	bool is_nested = row->kind == CALL || row->kind == GATE;
	uint64_t old_type = (row->is_old_16 ? 1 : 9) | (is_nested ? 2 : 0);

	emu_check(emu, "the old TSS's type", old_type, emu_get(memory, EMU_GDT + SEL_OLD + 5, 1) & 0xf);
	emu_check(emu, "the new TSS's type", new_type(row) | 2, emu_get(memory, EMU_GDT + SEL_NEW + 5, 1) & 0xf);
	emu_check(emu, "the new back link", is_nested ? SEL_OLD : 0x7777, emu_get(memory, NEW_TSS, 2));
}

static void expect_system(struct emu *emu, const struct row *row, const struct kvm_sregs *sregs)
{
	struct kvm_debugregs debugregs;

	emu_check(emu, "TR", SEL_NEW, sregs->tr.selector);
	emu_check(emu, "TR's base", EMU_GPA + NEW_TSS, sregs->tr.base);
	emu_check(emu, "TR's type", row->is_16 ? 3 : 11, sregs->tr.type);
	emu_check(emu, "CR0", emu->sregs.cr0 | X86_CR0_TS, sregs->cr0);
	emu_check(emu, "CR3", emu->sregs.cr3, sregs->cr3);
	emu_check(emu, "CS", row->is_16 ? SEL_FREE + 16 : SEL_CODE32, sregs->cs.selector);
	emu_check(emu, "CS.base", row->is_16 ? EMU_GPA : 0, sregs->cs.base);
	emu_check(emu, "SS", row->is_16 ? SEL_FREE + 24 : SEL_DATA, sregs->ss.selector);
	emu_check(emu, "ES", row->is_16 ? SEL_FREE + 24 : SEL_DATA, sregs->es.selector);
	emu_check(emu, "ES.base", row->is_16 ? EMU_GPA : 0, sregs->es.base);
	vcpu_ioctl(emu->t->vcpu, KVM_GET_DEBUGREGS, &debugregs);
	emu_check(emu, "DR7", 0x40a, debugregs.dr7);
}

static void task_switch(struct emu *emu)
{
	static const struct emu_values values = { BAD_SELECTOR, 0x99aabbcc, 0xddeeff00, 0 };
	const struct row *row = ROW(emu->t, rows);
	struct kvm_debugregs debugregs = { .dr6 = 0xffff0ff0, .dr7 = 0x50f };
	static struct emu_outcome outcome;

	vcpu_ioctl(emu->t->vcpu, KVM_SET_DEBUGREGS, &debugregs);
	emu_combine(emu, &values, 0);
	emu_run(emu, false, &outcome);
	require_eq(emu->t, KVM_EXIT_HLT, outcome.exit_reason);
	emu_check(emu, "the error code of no fault", 0, outcome.error_code);
	emu_check(emu, "the fault's vector", (uint32_t)NO_VECTOR, (uint32_t)outcome.vector);
	expect_new_regs(emu, row, &outcome.regs);
	expect_saved(emu, row, outcome.memory + EMU_TSS);
	expect_links(emu, row, outcome.memory);
	expect_system(emu, row, &outcome.sregs);
	if (row->has_error_code)
		emu_check(emu, "the error code pushed", BAD_SELECTOR, emu_get(outcome.memory, NEW_STACK - (row->is_16 ? 2 : 4),
			  row->is_16 ? 2 : 4));
}

GUEST(emulate_task)
{
}

HOST(emulate_task)
{
	emu_row_each(t, &ROW(t, rows)->emu, task_switch);
}

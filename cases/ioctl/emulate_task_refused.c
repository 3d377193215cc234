/* SPDX-License-Identifier: MIT */
/*
 * A task whose TSS cannot be used, or one of whose segments cannot be loaded, is not executed: not one instruction of
 * it, in either format of the TSS. What lies just beside is legal and executed: null data segments, conforming code, a
 * task of CPL 3 and of virtual-8086 mode. A TSS that is refused itself leaves the old task as it was.
 *
 * Which fault the refusal is, few rows say: KVM raises none (finding 4650).
 *
 * Can break: one segment's refusal not looked at, so that the task runs with what its TSS forbids; a selector of the new
 * task held against the old CPL, or read by the rules of another mode; the old task freed before the new one is known
 * to be good; a descriptor not marked as accessed.
 * Source: APM vol. 2, 12.2, 12.3, 4.8, 8.2 (#TS, #NP, #SS); SDM vol. 3A, 7.3, table 7-1.
 */
#include "cases/ioctl/task.h"

EMU(task_jmp, WIDTH_(32) INSN_("ljmpl $0xa8, $0"))
EMU(task_call, WIDTH_(32) INSN_("lcalll $0xa8, $0"))

#define SEL_ROW (SEL_FREE + 8)
#define SEL_BEYOND 0xfff8
#define TABLE_LOCAL 4
#define DATA 0x93u		/* the access byte: present, writable, accessed, DPL 0 */
#define DATA_READ_ONLY 0x91u
#define CODE 0x9bu
#define CODE_EXECUTE_ONLY 0x99u
#define CODE_CONFORMING 0x9fu
#define LDT 0x82u
#define ABSENT(access_) ((access_) & ~0x80u)
#define USER(access_) ((access_) | 0x60u)
#define NOT_ACCESSED(access_) ((access_) & ~1u)

/* In the order of the TSS's fields. */
enum segment { ES, CS, SS, DS, FS, GS, LDTR, TSS_ITSELF, NR_SEGMENTS };

struct row {
	struct emu_row emu;
	bool is_16;
	enum segment segment;
	uint16_t selector;
	uint8_t access;		/* of the descriptor at SEL_ROW; 0: there is none */
	uint16_t tss_limit;	/* 0: the format's least */
	bool is_tss_absent;
	bool is_user;		/* all else in the new task is of CPL 3, */
	bool is_vm86;		/* or of virtual-8086 mode */
	bool is_executed;
	bool has_fault;		/* the refusal is this one: */
	int32_t vector;
};

static void tables_set(struct test *t, struct kvm_sregs *sregs, uint8_t *memory);
static void tss_absent(struct test *t, struct kvm_sregs *sregs, uint8_t *memory);
static void tss_read_only(struct test *t, struct kvm_sregs *sregs, uint8_t *memory);
static void old_tss_read_only(struct test *t, struct kvm_sregs *sregs, uint8_t *memory);
static void pdptes_reserved(struct test *t, struct kvm_sregs *sregs, uint8_t *memory);

#define QEMU_KNOWN { .finding = "0708-qemu-task-switch-not-intercepted", .targets = "lab-svm" }
#define NOT_RAISED { .finding = "4650-task-switch-raises-no-fault", .targets = "@(lab-svm-bochs|lab-vmx)" }

#define ROW_(label_, insn_, prepare_, modes_, ...)					\
	{ .emu = { .label = label_, EMU_OF(task_##insn_), .modes = modes_, .prepare = ON_HOST(prepare_) }, __VA_ARGS__ }
#define PLAIN(label_, segment_, selector_, access_, ...)				\
	ROW_(label_, jmp, tables_set, PROT32, .segment = segment_, .selector = selector_, .access = access_, ##__VA_ARGS__)
/* In both formats. */
#define BOTH(label_, ...)								\
	PLAIN(label_, __VA_ARGS__), PLAIN(label_ "_16", __VA_ARGS__, .is_16 = true)
#define DATA_REFUSED(name_, segment_, format_)						\
	format_(name_ "_system", segment_, SEL_ROW, LDT),				\
	format_(name_ "_execute_only", segment_, SEL_ROW, CODE_EXECUTE_ONLY),		\
	format_(name_ "_absent", segment_, SEL_ROW, ABSENT(DATA)),			\
	format_(name_ "_beyond", segment_, SEL_BEYOND, 0),				\
	PLAIN(name_ "_dpl", segment_, SEL_ROW | 3, DATA, .is_user = true)
#define DATA_EXECUTED(name_, segment_, format_)						\
	format_(name_ "_null", segment_, 0, 0, .is_executed = true),			\
	format_(name_ "_not_accessed", segment_, SEL_ROW, NOT_ACCESSED(DATA), .is_executed = true,		\
		.emu.known = QEMU_KNOWN),						\
	PLAIN(name_ "_conforming", segment_, SEL_ROW | 3, CODE_CONFORMING, .is_user = true, .is_executed = true)

static const struct row rows[] = {
	BOTH("ldt_data", LDTR, SEL_ROW, DATA),
	BOTH("ldt_tss", LDTR, SEL_ROW, 0x89),
	BOTH("ldt_absent", LDTR, SEL_ROW, ABSENT(LDT)),
	BOTH("ldt_beyond", LDTR, SEL_BEYOND, 0),
	PLAIN("ldt_local", LDTR, SEL_ROW | TABLE_LOCAL, LDT),
	BOTH("ldt", LDTR, SEL_ROW, LDT, .is_executed = true),
	DATA_REFUSED("es", ES, BOTH), DATA_EXECUTED("es", ES, BOTH),
	DATA_REFUSED("ds", DS, BOTH), DATA_EXECUTED("ds", DS, BOTH),
	DATA_REFUSED("fs", FS, PLAIN), DATA_EXECUTED("fs", FS, PLAIN),
	DATA_REFUSED("gs", GS, PLAIN), DATA_EXECUTED("gs", GS, PLAIN),
	BOTH("cs_null", CS, 0, 0),
	BOTH("cs_data", CS, SEL_ROW, DATA),
	BOTH("cs_system", CS, SEL_ROW, LDT),
	BOTH("cs_absent", CS, SEL_ROW, ABSENT(CODE)),
	BOTH("cs_beyond", CS, SEL_BEYOND, 0),
	BOTH("cs_dpl", CS, SEL_ROW, USER(CODE)),
	BOTH("cs_conforming_dpl", CS, SEL_ROW, USER(CODE_CONFORMING)),
	PLAIN("cs_rpl", CS, SEL_ROW | 3, CODE, .is_user = true),
	PLAIN("cs_conforming", CS, SEL_ROW, CODE_CONFORMING, .is_executed = true),
	PLAIN("cs_not_accessed", CS, SEL_ROW, NOT_ACCESSED(CODE), .is_executed = true, .emu.known = QEMU_KNOWN),
	PLAIN("cs_conforming_user", CS, SEL_ROW | 3, CODE_CONFORMING, .is_user = true, .is_executed = true,
	      .emu.known = QEMU_KNOWN),
	BOTH("ss_null", SS, 0, 0),
	BOTH("ss_read_only", SS, SEL_ROW, DATA_READ_ONLY),
	BOTH("ss_code", SS, SEL_ROW, CODE),
	BOTH("ss_system", SS, SEL_ROW, LDT),
	BOTH("ss_absent", SS, SEL_ROW, ABSENT(DATA)),
	BOTH("ss_beyond", SS, SEL_BEYOND, 0),
	BOTH("ss_rpl", SS, SEL_ROW | 3, DATA),
	BOTH("ss_dpl", SS, SEL_ROW, USER(DATA)),
	PLAIN("ss_not_accessed", SS, SEL_ROW, NOT_ACCESSED(DATA), .is_executed = true, .emu.known = QEMU_KNOWN),
	PLAIN("user", CS, SEL_USER_CODE32, 0, .is_user = true, .is_executed = true),
	PLAIN("vm86", CS, EMU_GPA >> 4, 0, .is_vm86 = true, .is_executed = true),
	BOTH("tss_absent", TSS_ITSELF, 0, 0, .is_tss_absent = true),
	PLAIN("tss_short", TSS_ITSELF, 0, 0, .tss_limit = 0x66),
	PLAIN("tss_short_16", TSS_ITSELF, 0, 0, .tss_limit = 0x2a, .is_16 = true),
	ROW_("tss_no_page", jmp, tss_absent, PAE32, .segment = LDTR),
	ROW_("tss_no_page_16", jmp, tss_absent, PAE32, .segment = LDTR, .is_16 = true),
	ROW_("link_read_only", call, tss_read_only, PAE32, .segment = LDTR),
	ROW_("link_read_only_16", call, tss_read_only, PAE32, .segment = LDTR, .is_16 = true),
	ROW_("old_read_only", jmp, old_tss_read_only, PAE32, .segment = LDTR),
	ROW_("old_read_only_16", jmp, old_tss_read_only, PAE32, .segment = LDTR, .is_16 = true),
	ROW_("cr3_reserved", jmp, pdptes_reserved, PAE32, .segment = LDTR),
	PLAIN("fs_absent_fault", FS, SEL_ROW, ABSENT(DATA), .has_fault = true, .vector = NP_VECTOR, .emu.known = NOT_RAISED),
	PLAIN("gs_system_fault", GS, SEL_ROW, LDT, .has_fault = true, .vector = TS_VECTOR, .emu.known = NOT_RAISED),
};

CASE(emulate_task_refused, .says = "a task whose TSS or segments are refused is not executed", .modes = PROT32 | PAE32,
     .needs = EMU_NEEDS, .rows = ROWS(rows))

/* --- the new task --- */

static void segments_write(const struct row *row, uint8_t *tss)
{
	unsigned int size = row->is_16 ? 2 : 4, first = row->is_16 ? 34 : 72, i;
	unsigned int place = row->is_16 && row->segment == LDTR ? 4 : row->segment;

	for (i = 0; i < 6 && (row->is_user || row->is_vm86); i++)
		emu_put(tss, first + i * size, row->is_vm86 ? EMU_GPA >> 4 : i == CS ? SEL_USER_CODE32 : SEL_USER_DATA, size);
	if (row->segment != TSS_ITSELF)
		emu_put(tss, first + place * size, row->selector, size);
}

/* Where the HLT of CPL 3 finds its handler's stack, and virtual-8086 mode its code. */
static void user_write(const struct row *row, uint8_t *tss)
{
	emu_put(tss, 4, EMU_GPA + EMU_FAULT_STACK, 4);
	emu_put(tss, 8, SEL_DATA, 4);
	if (!row->is_vm86)
		return;
	emu_put(tss, 32, NEW_CODE, 4);
	emu_put(tss, 36, NEW_FLAGS | X86_EFLAGS_VM, 4);
}

static void descriptors_write(const struct row *row, uint8_t *gdt)
{
	uint64_t base = row->is_16 ? EMU_GPA : 0;
	uint32_t limit = row->tss_limit ? row->tss_limit : row->is_16 ? 0x2b : 0x67;
	uint64_t new_tss = tss_descriptor(EMU_GPA + NEW_TSS, limit, row->is_16 ? 1 : 9);

	emu_put(gdt, SEL_OLD, tss_descriptor(EMU_GPA + EMU_TSS, EMU_TSS_LIMIT, row->is_16 ? 3 : 11), 8);
	emu_put(gdt, SEL_NEW, new_tss & ~(row->is_tss_absent ? 1ull << 47 : 0), 8);
	emu_put(gdt, SEL_ROW, row->access ? (row->is_16 ? 0xffff : 0x00cf00000000ffff) | (uint64_t)row->access << 40 | base << 16
		: 0, 8);
	task_segments_put(gdt);
}

static void tables_set(struct test *t, struct kvm_sregs *sregs, uint8_t *memory)
{
	const struct row *row = ROW(t, rows);
	uint8_t *tss = memory + NEW_TSS;

	memset(tss, 0, 0x80);
	if (row->is_16)
		tss_write_16(tss);
	else
		tss_write_32(sregs, tss);
	if (row->is_user || row->is_vm86)
		user_write(row, tss);
	segments_write(row, tss);
	descriptors_write(row, memory + EMU_GDT);
	sregs->tr.type = row->is_16 ? 3 : sregs->tr.type;
	sregs->ldt = (struct kvm_segment){ .unusable = 1 };
}

static void tss_absent(struct test *t, struct kvm_sregs *sregs, uint8_t *memory)
{
	tables_set(t, sregs, memory);
	emu_pte_clear(t, memory, NEW_TSS, PTE_P);
}

static void tss_read_only(struct test *t, struct kvm_sregs *sregs, uint8_t *memory)
{
	tables_set(t, sregs, memory);
	emu_pte_clear(t, memory, NEW_TSS, PTE_W);
	sregs->cr0 |= X86_CR0_WP;
}

static void old_tss_read_only(struct test *t, struct kvm_sregs *sregs, uint8_t *memory)
{
	tables_set(t, sregs, memory);
	emu_pte_clear(t, memory, EMU_TSS, PTE_W);
	sregs->cr0 |= X86_CR0_WP;
}

/* CR3 of the new task names PDPTEs with reserved bits. */
static void pdptes_reserved(struct test *t, struct kvm_sregs *sregs, uint8_t *memory)
{
	tables_set(t, sregs, memory);
	emu_put(memory, EMU_DATA2, ~0ull, 8);
	emu_put(memory, NEW_TSS + 28, EMU_GPA + EMU_DATA2, 4);
}

/* --- what must be there behind it --- */

/* The HLT at the new task's EIP came to its end, or at CPL 3 to its #GP(0). */
static bool is_executed(const struct row *row, const struct emu_outcome *outcome)
{
	bool is_user = row->is_user || row->is_vm86;
	uint64_t rip = row->is_16 || row->is_vm86 ? NEW_CODE : EMU_GPA + NEW_CODE;

	return outcome->exit_reason == KVM_EXIT_HLT && outcome->vector == (is_user ? GP_VECTOR : NO_VECTOR) &&
	       !outcome->error_code && outcome->regs.rip == rip;
}

static void expect_loaded(struct emu *emu, const struct row *row, const struct emu_outcome *outcome)
{
	const struct kvm_sregs *sregs = &outcome->sregs;
	const struct kvm_segment *segments[NR_SEGMENTS] = { &sregs->es, &sregs->cs, &sregs->ss, &sregs->ds, &sregs->fs,
							   &sregs->gs, &sregs->ldt };

	if (row->segment == CS)
		emu_check(emu, "CS of the new task", row->selector, outcome->cs);
	else
		emu_check(emu, "the new task's selector", row->selector, segments[row->segment]->selector);
	emu_check(emu, "the descriptor, accessed", row->access ? row->access | (row->access & 0x10) >> 4 : 0,
		  emu_get(outcome->memory, EMU_GDT + SEL_ROW + 5, 1));
}

static void expect_untouched(struct emu *emu, const struct emu_outcome *outcome)
{
	static const struct emu_window tasks[] = { { EMU_GDT, GDT_BYTES }, { EMU_TSS, 0x68 }, { NEW_TSS, 0x68 }, { 0 } };
	const struct emu_window *task;
	struct kvm_regs want = emu->regs;

	for (task = tasks; task->len_bytes; task++)
		emu_check(emu, "tables and TSSs are as before, from", 0, memcmp(emu->start + task->at, outcome->memory + task->at,
			  task->len_bytes) ? task->at : 0);
	/* Where it goes on is the fault's. */
	want.rip = outcome->regs.rip;
	emu_check_regs(emu, "the old task", &want, &outcome->regs);
	emu_check(emu, "TR", SEL_OLD, outcome->sregs.tr.selector);
	emu_check(emu, "CS", SEL_CODE32, outcome->cs);
	emu_check(emu, "CR0", emu->sregs.cr0, outcome->sregs.cr0);
}

static void task_enter(struct emu *emu)
{
	static const struct emu_values values = { 0x8899aabb, 0x99aabbcc, 0xddeeff00, 0 };
	const struct row *row = ROW(emu->t, rows);
	static struct emu_outcome outcome;

	emu_combine(emu, &values, 0);
	emu_run(emu, false, &outcome);
	emu_check(emu, "the new task is executed", row->is_executed, is_executed(row, &outcome));
	if (row->is_executed)
		expect_loaded(emu, row, &outcome);
	if (row->segment == TSS_ITSELF)
		expect_untouched(emu, &outcome);
	if (!row->has_fault)
		return;
	emu_check(emu, "the fault's vector", row->vector, (uint32_t)outcome.vector);
	emu_check(emu, "the error code", row->selector, outcome.error_code);
}

GUEST(emulate_task_refused)
{
}

HOST(emulate_task_refused)
{
	emu_row_each(t, &ROW(t, rows)->emu, task_enter);
}

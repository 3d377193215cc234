/* SPDX-License-Identifier: MIT */
/*
 * A task switch of L2, by JMP, CALL, IRET, and by an interrupt or exception through a task gate: intercepted, it exits
 * before any of it is done, with the new TSS's selector in EXITINFO1, its cause and the error code in EXITINFO2, the event
 * in EXITINTINFO. When L1 does not ask for it, it is done in L2: KVM, which has every task switch for itself, does it.
 *
 * Can break: KVM's own intercept handed to L1, or L1's kept; the switch made with L1's registers, TR or tables; the event
 * lost or delivered again in the new task.
 * Source: APM vol. 2, 12.2, 12.3, 15.14.1, 15.7.2.
 */
#include "guests/l1_svm.h"
#include "case.h"

#define SEL_NEW SEL_FREE
#define SEL_OLD (SEL_FREE + 8)
#define SEL_BAD 0x1230
#define VECTOR 0x40
#define OLD_TSS (SCRATCH_GPA + 0x1000)
#define NEW_TSS (SCRATCH_GPA + 0x1100)
#define OLD_STACK (SCRATCH_GPA + 0x2800)
#define NEW_STACK (SCRATCH_GPA + 0x3800)
#define NEW_FLAGS (X86_EFLAGS_FIXED | X86_EFLAGS_CF)
#define LINK_BEFORE 0x5a5a

#define BY_IRET (1ull << 36)
#define BY_JMP (1ull << 38)
#define HAS_ERROR (1ull << 44)
#define HAS_RF (1ull << 48)

/* 32-bit code. */
INSN(ts_jmp, ".byte 0xea\n\t.long 0\n\t.word 0xa8")
INSN(ts_call, ".byte 0x9a\n\t.long 0\n\t.word 0xa8")
INSN(ts_iret, ".byte 0xcf")
INSN(ts_int, ".byte 0xcd, 0x40")
INSN(ts_ud, "ud2")
INSN(ts_gp, ".byte 0x8e, 0xe0")	/* mov %eax, %fs */
INSN(ts_new, "vmmcall")

enum kind { JMP, CALL, IRET, GATE };

struct row {
	ROW_FIELDS;
	const char *code, *end;
	enum kind kind;
	uint8_t vector;
	uint64_t info_2;
	uint32_t int_info;
	bool is_fault;		/* its own EIP is saved, not the next one */
	bool has_error;
	bool is_off;		/* not intercepted */
};

#define ON(name_, kind_, ...)								\
	{ .label = #name_ "_exits", .code = ts_##name_, .end = ts_##name_##_end, .kind = kind_, ##__VA_ARGS__ }
#define OFF(name_, kind_, ...)								\
	{ .label = #name_, .code = ts_##name_, .end = ts_##name_##_end, .kind = kind_, .is_off = true, ##__VA_ARGS__ }
/*
 * Under KVM's shadow paging QEMU, which does it by itself, loads CR3 from the TSS for an L2 that has no paging: the vCPU
 * hangs in what is there.
 */
#define QEMU_HANGS .finding = "0708-qemu-task-switch-not-intercepted", .targets = "lab-svm", .is_skipped = true,	\
		   .needs = "param:kvm_amd.npt=0"
#define QEMU .finding = "0708-qemu-task-switch-not-intercepted", .targets = "lab-svm"
#define BOCHS_INT .finding = "0712-bochs-exitintinfo-software-interrupt", .targets = "lab-svm-bochs"
#define SOFT_TWICE .finding = "3601-soft-task-switch-error-code", .targets = "soft-svm"
#define NEXT(...) .next = &(const struct known){ __VA_ARGS__ }
#define BOTH(name_, kind_, ...)								\
	ON(name_, kind_, ##__VA_ARGS__, .known = { QEMU_HANGS, NEXT(QEMU) }),		\
	OFF(name_, kind_, ##__VA_ARGS__, .known = { QEMU_HANGS })
#define EXCEPTION(vector_) .vector = vector_, .int_info = EVENT_VALID | EVENT_EXCEPTION | (vector_), .is_fault = true
#define GP EXCEPTION(GP_VECTOR), .has_error = true, .info_2 = HAS_ERROR | SEL_BAD
#define SOFT .vector = VECTOR, .int_info = EVENT_VALID | EVENT_SOFT | VECTOR

static const struct row rows[] = {
	BOTH(jmp, JMP, .info_2 = BY_JMP), BOTH(call, CALL), BOTH(iret, IRET, .info_2 = BY_IRET),
	ON(int, GATE, SOFT, .known = { QEMU_HANGS, NEXT(QEMU, NEXT(BOCHS_INT)) }),
	OFF(int, GATE, SOFT, .known = { QEMU_HANGS, NEXT(BOCHS_INT) }),
	BOTH(ud, GATE, EXCEPTION(UD_VECTOR)),
	ON(gp, GATE, GP, .known = { QEMU_HANGS, NEXT(QEMU) }),
	OFF(gp, GATE, GP, .known = { QEMU_HANGS, NEXT(QEMU, NEXT(SOFT_TWICE)) }),
};

CASE(task_switch, .says = "a task switch of L2 exits with its cause, or is done in L2", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

/* 32-bit: back link at 0, CR3 28, EIP 32, EFLAGS 36, EAX ECX EDX EBX ESP EBP ESI EDI 40..., ES CS SS DS FS GS 72..., LDT. */
struct tss {
	uint32_t link, stacks[6], cr3, eip, eflags, regs[8], segments[6], ldt, io_map;
};

_Static_assert(sizeof(struct tss) == 0x68, "APM vol. 2, 12.2.5");

static const uint32_t new_regs[8] = { 0x11223344, 0x22334455, 0x33445566, 0x44556677, NEW_STACK, 0x66778899,
				      0x778899aa, 0x8899aabb };
static const uint32_t old_regs[8] = { SEL_BAD, 0xc1c1, 0xd1d1, 0xb1b1, OLD_STACK, 0xb2b2, 0x5151, 0xd2d2 };
static struct tss old_before, new_before;
static uint64_t gdt_before[2];

static struct tss *tss_at(ulong_t address)
{
	return (struct tss *)address;
}

static uint64_t tss_descriptor(uint32_t base, bool is_busy)
{
	return (uint64_t)base << 16 | (is_busy ? 0x8bull : 0x89ull) << 40 | (sizeof(struct tss) - 1);
}

static uint64_t *descriptors(void)
{
	return (uint64_t *)(ulong_t)(GDT_GPA + SEL_FREE);
}

static void tasks_make(const struct row *row)
{
	struct tss *old = tss_at(OLD_TSS), *new = tss_at(NEW_TSS);
	unsigned int i;

	memset(old, 0x77, sizeof(*old));
	memset(new, 0, sizeof(*new));
	old->link = row->kind == IRET ? SEL_NEW : LINK_BEFORE;
	new->link = LINK_BEFORE;
	new->cr3 = read_cr3();
	new->eip = (ulong_t)ts_new;
	new->eflags = NEW_FLAGS;
	memcpy(new->regs, new_regs, sizeof(new_regs));
	for (i = 0; i < 6; i++)
		new->segments[i] = i == 1 ? SEL_CODE32 : SEL_DATA;
	/* GS stays for L1, which finds its report page by it. */
	new->segments[5] = SEL_SELF;
	new->io_map = 0x680000;
	descriptors()[0] = tss_descriptor(NEW_TSS, row->kind == IRET);
	descriptors()[1] = tss_descriptor(OLD_TSS, true);
	old_before = *old;
	new_before = *new;
	memcpy(gdt_before, descriptors(), sizeof(gdt_before));
}

/* 32-bit, without paging; TR and its TSS go by VMLOAD, the gate in an IDT of L2's own. */
static void l2_make(const struct row *row)
{
	static struct vmcb loaded __attribute__((aligned(4096)));
	struct vmcb_save *save = &l1_vmcb.save;
	uint64_t *idt = page_alloc();

	save->efer &= ~(EFER_LME | EFER_LMA);
	save->cr0 &= ~X86_CR0_PG;
	save->cr4 &= ~X86_CR4_PAE;
	save->cs.selector = SEL_CODE32;
	save->cs.attrib = 0xc9b;
	idt[row->vector] = (uint64_t)SEL_NEW << 16 | 0xe5ull << 40;
	save->idtr.base = (ulong_t)idt;
	save->rip = (ulong_t)row->code;
	save->rsp = OLD_STACK;
	save->rax = old_regs[0];
	save->rflags |= row->kind == IRET ? X86_EFLAGS_NT : 0;
	l2_regs = (struct l2_regs){ .rcx = old_regs[1], .rdx = old_regs[2], .rbx = old_regs[3], .rbp = old_regs[5],
				    .rsi = old_regs[6], .rdi = old_regs[7] };
	__asm__ volatile("vmsave" : : "a"(&loaded) : "memory");
	loaded.save.tr = (struct vmcb_seg){ SEL_OLD, 0x8b, sizeof(struct tss) - 1, OLD_TSS };
	__asm__ volatile("vmload" : : "a"(&loaded) : "memory");
}

static void check_exit(const struct row *row, const struct vmcb_save *before, const struct l2_regs *regs)
{
	struct vmcb_save want = *before;

	/* The RF that the old task would get: of a fault through a task gate the manual does not say. */
	if (row->is_fault)
		l1_vmcb.control.exit_info_2 &= ~HAS_RF;
	CHECK_EXIT(.code = SVM_EXIT_TASK_SWITCH, .info_1 = SEL_NEW, .info_2 = row->info_2,
		   .int_info = row->int_info | (row->has_error ? EVENT_HAS_ERROR : 0),
		   .int_info_error = row->has_error ? SEL_BAD : l1_vmcb.control.exit_int_info_error,
		   .rip = (ulong_t)row->code);
	CHECK_L2_REGS(regs);
	/* Finding 0404: Bochs has RF of the frame that it would push. */
	want.rflags |= row->is_fault ? l1_vmcb.save.rflags & X86_EFLAGS_RF : 0;
	CHECK_SAVE_SAME(&want);
	CHECK_EQ(0, memcmp(&old_before, tss_at(OLD_TSS), sizeof(old_before)));
	CHECK_EQ(0, memcmp(&new_before, tss_at(NEW_TSS), sizeof(new_before)));
	CHECK_EQ(0, memcmp(gdt_before, descriptors(), sizeof(gdt_before)));
}

static void check_old_task(const struct row *row)
{
	const struct tss *old = tss_at(OLD_TSS);
	unsigned int i;

	CHECK_EQ((ulong_t)(row->is_fault ? row->code : row->end), old->eip);
	CHECK_EQ(X86_EFLAGS_FIXED, old->eflags & ~(row->is_fault ? X86_EFLAGS_RF : 0u));
	for (i = 0; i < 8; i++)
		CHECK_EQ(old_regs[i], old->regs[i]);
	CHECK_EQ(SEL_CODE32, old->segments[1] & 0xffff);
	CHECK_EQ(SEL_DATA, old->segments[2] & 0xffff);
	CHECK_EQ(old_before.link, old->link);
	CHECK_EQ(old_before.cr3, old->cr3);
	CHECK_EQ(tss_descriptor(OLD_TSS, row->kind == CALL || row->kind == GATE), descriptors()[1]);
}

static void check_new_task(const struct row *row)
{
	const struct vmcb_save *save = &l1_vmcb.save;
	bool is_linked = row->kind == CALL || row->kind == GATE;
	uint64_t got[8] = { save->rax, l2_regs.rcx, l2_regs.rdx, l2_regs.rbx, save->rsp, l2_regs.rbp, l2_regs.rsi,
			    l2_regs.rdi };
	uint64_t pushed = row->has_error ? 4 : 0;
	unsigned int i;

	for (i = 0; i < 8; i++)
		CHECK_EQ(new_regs[i] - (i == 4 ? pushed : 0), got[i]);
	if (row->has_error)
		CHECK_EQ(SEL_BAD, read32(NEW_STACK - 4));
	CHECK_EQ(NEW_FLAGS | (is_linked ? X86_EFLAGS_NT : 0), save->rflags);
	CHECK_EQ(X86_CR0_TS, save->cr0 & (X86_CR0_TS | X86_CR0_PG));
	CHECK_EQ(SEL_CODE32, save->cs.selector);
	CHECK_EQ(SEL_DATA, save->ss.selector);
	CHECK_EQ(is_linked ? SEL_OLD : LINK_BEFORE, tss_at(NEW_TSS)->link & 0xffff);
	CHECK_EQ(tss_descriptor(NEW_TSS, true), descriptors()[0]);
	CHECK_EQ(0, l1_vmcb.control.exit_int_info);
}

GUEST(task_switch)
{
	const struct row *row = GUEST_ROW(rows);
	struct vmcb_save before;
	struct l2_regs regs;
	uint16_t tr;

	l1_svm_init();
	tasks_make(row);
	l2_make(row);
	if (!row->is_off)
		vmcb_intercept(&l1_vmcb, SVM_EXIT_TASK_SWITCH);
	before = l1_vmcb.save;
	regs = l2_regs;
	vmcb_run(&l1_vmcb);
	/* #VMEXIT does not bring L1's TR back. */
	__asm__ volatile("str %0" : "=r"(tr));
	CHECK_EQ(row->is_off ? SEL_NEW : SEL_OLD, tr);
	if (!row->is_off) {
		check_exit(row, &before, &regs);
		return;
	}
	CHECK_EXIT_CODE(SVM_EXIT_VMMCALL);
	CHECK_EQ((ulong_t)ts_new, l1_vmcb.save.rip);
	CHECK_NO_EXIT(SVM_EXIT_TASK_SWITCH);
	check_old_task(row);
	check_new_task(row);
}

HOST(task_switch)
{
	expect_done(t);
}

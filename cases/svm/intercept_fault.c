/* SPDX-License-Identifier: MIT */
/*
 * The exceptions that take more than one instruction to raise, and the intercepts of a task switch and of selected
 * writes of CR0: a double fault and an invalid TSS on the way to a handler, an alignment check at CPL 3.
 *
 * Can break: an exception that KVM raises again for L2 told as the first one, error codes, KVM's own #AC intercept; the
 * cause in EXITINFO2 of a task switch; KVM's own intercept of all writes of CR0 that does not look at the changed bits.
 * Source: APM vol. 2, 8.2, 12.3, 15.9, 15.12, 15.14.1.
 */
#include "guests/l1_svm.h"
#include "case.h"

INSN(f_ud, "ud2\n\tvmmcall")
INSN(f_int, "int $0x80\n\tvmmcall")
INSN(f_unaligned, "mov 1(%rsi), %eax\n\tvmmcall")
/* 32-bit: JMP SEL_FREE:0; 64-bit code would fault. */
INSN(f_task, ".byte 0xea\n\t.long 0\n\t.word 0xa8\n\tvmmcall")
INSN(f_cr0, "mov %rbx, %cr0\n\tvmmcall")
INSN(f_lmsw, "lmsw %bx\n\tvmmcall")
INSN(f_clts, "clts\n\tvmmcall")

#define VECTOR 0x80
#define TASK_BY_JMP (1ull << 38)
#define GATE_PRESENT (1ull << 47)
#define GATE_DPL3 (3ull << 45)

enum scene { PLAIN, BROKEN_GATES, SHORT_TSS, USER_ALIGNED, TASK };

struct row {
	ROW_FIELDS;
	enum scene scene;
	const char *code, *end;
	uint16_t exit;
	uint64_t info_1, info_2;
	uint64_t cr0_xor;	/* RBX: CR0 with these bits changed */
	bool is_not;		/* it is intercepted and does not exit */
};

#define ROW_OF(label_, name_, exit_, ...)						\
	{ .label = #label_, .code = f_##name_, .end = f_##name_##_end, .exit = exit_, ##__VA_ARGS__ }
#define EXCEPTION(vector_) (SVM_EXIT_EXCP_BASE + (vector_))
#define LMSW_KNOWN .known = { "1112-lmsw-selective-intercept", "@(lab-svm|lab-svm-bochs)" }
#define SELECTED(label_, name_, ...) ROW_OF(label_, name_, SVM_EXIT_CR0_SEL_WRITE, ##__VA_ARGS__)

static const struct row rows[] = {
	ROW_OF(df, ud, EXCEPTION(DF_VECTOR), .scene = BROKEN_GATES,
	       .known = { "1111-qemu-double-fault-not-intercepted", "lab-svm" }),
	ROW_OF(ts, int, EXCEPTION(TS_VECTOR), .scene = SHORT_TSS, .info_1 = SEL_TSS,
	       .known = { "1113-bochs-ext-bit-of-int-n", "lab-svm-bochs" }),
	ROW_OF(ac, unaligned, EXCEPTION(AC_VECTOR), .scene = USER_ALIGNED,
	       .known = { "1110-qemu-no-alignment-check", "lab-svm" }),
	ROW_OF(task_switch, task, SVM_EXIT_TASK_SWITCH, .scene = TASK, .info_1 = SEL_FREE, .info_2 = TASK_BY_JMP,
	       .known = { "0708-qemu-task-switch-not-intercepted", "lab-svm" }),
	SELECTED(cr0_am, cr0, .cr0_xor = X86_CR0_AM), SELECTED(cr0_wp, cr0, .cr0_xor = X86_CR0_WP),
	SELECTED(cr0_ne, cr0, .cr0_xor = X86_CR0_NE), SELECTED(cr0_cd, cr0, .cr0_xor = X86_CR0_CD),
	SELECTED(cr0_ts, cr0, .cr0_xor = X86_CR0_TS, .is_not = true),
	SELECTED(cr0_mp, cr0, .cr0_xor = X86_CR0_MP, .is_not = true),
	SELECTED(cr0_same, cr0, .is_not = true),
	SELECTED(lmsw_am, lmsw, .cr0_xor = X86_CR0_AM, LMSW_KNOWN),
	SELECTED(lmsw_ts, lmsw, .cr0_xor = X86_CR0_TS, LMSW_KNOWN), SELECTED(clts, clts, .is_not = true),
};

CASE(intercept_fault, .says = "exceptions on the way to a handler and selected writes of CR0 exit", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

/* L2's IDT: a copy, in which #UD and #NP have gates that are not present, or INT 80h may come from CPL 3. */
static void idt_make(enum scene scene)
{
	uint64_t *idt = page_alloc();

	memcpy(idt, (void *)(ulong_t)l1_vmcb.save.idtr.base, 0x1000);
	if (scene == BROKEN_GATES) {
		idt[2 * UD_VECTOR] &= ~GATE_PRESENT;
		idt[2 * NP_VECTOR] &= ~GATE_PRESENT;
	}
	idt[2 * VECTOR] |= GATE_DPL3;
	l1_vmcb.save.idtr.base = (ulong_t)idt;
}

static void user_make(void)
{
	struct vmcb_save *save = &l1_vmcb.save;

	save->cs.selector = SEL_USER_CODE64;
	save->cs.attrib |= SEG_ATTRIB_DPL(3);
	save->ss.selector = SEL_USER_DATA;
	save->ss.attrib |= SEG_ATTRIB_DPL(3);
	save->cpl = 3;
}

static void flat_32_make(void)
{
	struct vmcb_save *save = &l1_vmcb.save;

	*(uint64_t *)(GDT_GPA + SEL_FREE) = 0x0000890000000067ull | (SCRATCH_GPA & 0xffffffull) << 16;
	save->efer &= ~(EFER_LME | EFER_LMA);
	save->cr0 &= ~X86_CR0_PG;
	save->cr4 &= ~X86_CR4_PAE;
	save->cs.selector = SEL_CODE32;
	save->cs.attrib = 0xc9b;
}

static void scene_make(const struct row *row)
{
	static struct vmcb tss __attribute__((aligned(4096)));

	switch (row->scene) {
	case BROKEN_GATES:
		idt_make(row->scene);
		break;
	case SHORT_TSS:
		/* Too short for RSP0. VMRUN does not load TR. */
		idt_make(row->scene);
		user_make();
		__asm__ volatile("vmsave" : : "a"(&tss) : "memory");
		tss.save.tr.limit = 8;
		__asm__ volatile("vmload" : : "a"(&tss) : "memory");
		break;
	case USER_ALIGNED:
		user_make();
		l1_vmcb.save.cr0 |= X86_CR0_AM;
		l1_vmcb.save.rflags |= X86_EFLAGS_AC;
		break;
	case TASK:
		flat_32_make();
		break;
	default:
		break;
	}
}

GUEST(intercept_fault)
{
	const struct row *row = GUEST_ROW(rows);
	struct l2_regs regs = { .rbx = read_cr0() ^ row->cr0_xor, .rsi = SCRATCH_GPA };
	struct vmcb_save want;

	l1_svm_init();
	scene_make(row);
	vmcb_intercept(&l1_vmcb, row->exit);
	l2_regs = regs;
	want = l1_vmcb.save;
	l2_run(row->code);
	if (row->is_not) {
		CHECK_L2_DONE(row->end - 3);
		CHECK_EQ(row->code == f_cr0 ? regs.rbx : read_cr0(), l1_vmcb.save.cr0);
		return;
	}
	/* Of exceptions only #PF defines EXITINFO2. With decode assists EXITINFO1 is the register of a MOV. */
	CHECK_EXIT(.code = row->exit,
		   .info_1 = row->exit == SVM_EXIT_CR0_SEL_WRITE ? l1_vmcb.control.exit_info_1 : row->info_1,
		   .info_2 = row->scene == TASK ? row->info_2 : l1_vmcb.control.exit_info_2,
		   .int_info = l1_vmcb.control.exit_int_info,
		   .int_info_error = l1_vmcb.control.exit_int_info_error, .rip = (ulong_t)row->code);
	CHECK_L2_REGS(&regs);
	want.rip = l1_vmcb.save.rip;
	want.rsp = l1_vmcb.save.rsp;
	/* Finding 0404: Bochs has RF of the frame that it would push. */
	want.rflags |= l1_vmcb.save.rflags & X86_EFLAGS_RF;
	CHECK_SAVE_SAME(&want);
}

HOST(intercept_fault)
{
	expect_done(t);
}

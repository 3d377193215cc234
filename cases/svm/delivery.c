/* SPDX-License-Identifier: MIT */
/*
 * A nested page fault in the midst of an event's delivery exits with the event in EXITINTINFO; injected again by L1 when
 * the page is there, the event reaches L2's handler once, as if nothing had been.
 *
 * Can break: the event that KVM was about to deliver lost or told twice, its type, its error code; an EXITINTINFO left
 * from an earlier exit; RIP of a software interrupt.
 * Source: APM vol. 2, 15.7.2, 15.20, 15.25.6.
 */
#include "cases/svm/npt.h"
#include "case.h"

INSN(d_ud, "ud2\n\tvmmcall")
INSN(d_gp, "movabs $0x8000000000000000, %rax\n\tmov (%rax), %al\n\tvmmcall")
INSN(d_np, "mov $0xa8, %eax\n\tmov %ax, %ds\n\tvmmcall")
INSN(d_de, "xor %ecx, %ecx\n\tdiv %ecx\n\tvmmcall")
INSN(d_nop, "nop\n\tvmmcall")

#define INJECTED 0x61

enum absent { THE_IDT, THE_STACK };

struct row {
	ROW_FIELDS;
	const char *code;
	enum absent absent;
	uint32_t event;		/* EXITINTINFO */
	uint32_t error_code;
	bool is_injected;	/* by L1 at VMRUN; else L2 makes it */
};

#define EXCEPTION(vector_) (EVENT_VALID | EVENT_EXCEPTION | (vector_))
#define ROWS_OF(name_, ...)								\
	{ .label = #name_ "_idt", .absent = THE_IDT, ##__VA_ARGS__ },			\
	{ .label = #name_ "_stack", .absent = THE_STACK, ##__VA_ARGS__ }

static const struct row rows[] = {
	ROWS_OF(ud, .code = d_ud, .event = EXCEPTION(UD_VECTOR)),
	ROWS_OF(de, .code = d_de, .event = EXCEPTION(DE_VECTOR)),
	ROWS_OF(gp, .code = d_gp, .event = EXCEPTION(GP_VECTOR) | EVENT_HAS_ERROR),
	ROWS_OF(np, .code = d_np, .event = EXCEPTION(NP_VECTOR) | EVENT_HAS_ERROR, .error_code = 0xa8),
	ROWS_OF(injected_intr, .code = d_nop, .event = EVENT_VALID | EVENT_INTR | INJECTED, .is_injected = true),
	ROWS_OF(injected_nmi, .code = d_nop, .event = EVENT_VALID | EVENT_NMI | NMI_VECTOR, .is_injected = true),
	ROWS_OF(injected_gp, .code = d_nop, .event = EXCEPTION(GP_VECTOR) | EVENT_HAS_ERROR, .error_code = 0x1238,
		.is_injected = true),
};

CASE(delivery, .says = "an exit in the midst of a delivery tells the event, which L1 can inject again", .modes = LONG64,
     .needs = "vendor:amd nested cpuid:npt tdp", .rows = ROWS(rows), .shadow_too = true)

static struct guest_regs taken;
static unsigned int nr_taken;

static void on_event(struct guest_regs *regs)
{
	taken = *regs;
	nr_taken++;
	/* Behind what faulted: to the VMMCALL. */
	regs->rip = (ulong_t)GUEST_ROW(rows)->code;
	while (*(const uint8_t *)regs->rip != 0x0f || ((const uint8_t *)regs->rip)[1] != 0x01 ||
	       ((const uint8_t *)regs->rip)[2] != 0xd9)
		regs->rip++;
}

/* L2's stack for the delivery: a page of its own, in the scratch RAM. */
#define STACK_PAGE (SCRATCH_GPA + 0x6000)

static uint64_t absent_gpa(const struct row *row, unsigned int vector)
{
	return row->absent == THE_IDT ? (ulong_t)guest_idt_entry(vector) & ~0xfffull : STACK_PAGE;
}

static void check_exit(const struct row *row, uint64_t gpa)
{
	uint32_t ignored = (row->event & EVENT_TYPE(7)) == EVENT_NMI ? EVENT_VECTOR : 0;

	CHECK_EXIT_CODE(SVM_EXIT_NPF);
	CHECK_EQ(gpa, l1_vmcb.control.exit_info_2 & ~0xfffull);
	CHECK_EQ(NPF_FINAL | PFERR_U | (row->absent == THE_STACK ? PFERR_W : 0), l1_vmcb.control.exit_info_1);
	/* An NMI's vector is not defined. */
	CHECK_EQ(row->event & ~ignored, l1_vmcb.control.exit_int_info & ~ignored);
	CHECK_EQ(row->event & EVENT_HAS_ERROR ? row->error_code : 0, l1_vmcb.control.exit_int_info_error);
	CHECK_EQ(0, l1_vmcb.control.event_inj & EVENT_VALID);
	CHECK_EQ(0, nr_taken);
}

GUEST(delivery)
{
	const struct row *row = GUEST_ROW(rows);
	unsigned int vector = row->event & EVENT_VECTOR;
	uint64_t gpa = absent_gpa(row, vector);
	uint64_t *entry;

	guest_handle(vector, on_event);
	*(uint64_t *)(GDT_GPA + SEL_FREE) = 0x00cf13000000ffffull;
	npt_build();
	entry = npt_entry(gpa, 1, row->absent == THE_IDT ? NPT_FIRST : NPT_SCRATCH);
	l1_svm_init();
	l1_vmcb.control.nested_ctl = NP_ENABLE;
	l1_vmcb.control.nested_cr3 = (ulong_t)npt_root;
	if (row->is_injected) {
		l1_vmcb.control.event_inj = row->event;
		l1_vmcb.control.event_inj_error = row->error_code;
	}
	*entry &= ~PTE_P;
	l1_vmcb.save.rip = (ulong_t)row->code;
	l1_vmcb.save.rsp = STACK_PAGE + 0x800;
	vmcb_run(&l1_vmcb);
	check_exit(row, gpa);

	*entry |= PTE_P;
	l1_vmcb.control.event_inj = l1_vmcb.control.exit_int_info;
	l1_vmcb.control.event_inj_error = l1_vmcb.control.exit_int_info_error;
	l1_vmcb.control.tlb_control = TLB_FLUSH_ALL;
	vmcb_run(&l1_vmcb);
	CHECK_EXIT_CODE(SVM_EXIT_VMMCALL);
	CHECK_EQ(0, l1_vmcb.control.exit_int_info);
	CHECK_EQ(1, nr_taken);
	CHECK_EQ(vector, taken.vector);
	CHECK_EQ(row->event & EVENT_HAS_ERROR ? row->error_code : 0, taken.error_code);
	CHECK_EQ(SEL_CODE64, taken.cs);
}

HOST(delivery)
{
	expect_done(t);
}

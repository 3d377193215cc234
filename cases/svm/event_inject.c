/* SPDX-License-Identifier: MIT */
/*
 * An event that L1 injects is delivered in L2 before its first instruction: the vector's handler, an error code on the
 * stack where the event says so, RIP and RFLAGS pushed, IF cleared; once, and EVENTINJ is spent at the exit.
 *
 * Can break: the type or vector lost, an error code for the wrong type, an event injected again at the next entry,
 * intercepts of exceptions applied to what was injected, an exit during the delivery that loses the event.
 * Source: APM vol. 2, 15.20.
 */
#include "guests/l1_svm.h"
#include "case.h"

INSN(at, "nop\n\tvmmcall")

struct row {
	ROW_FIELDS;
	uint32_t event;		/* without vector and VALID */
	uint8_t vector;
	uint32_t error_code;
	uint8_t cpl;
	bool no_event;		/* VALID is clear */
	bool is_intercepted;	/* by L1, which injected it */
};

#define EXCEPTION(vector_, ...) { .label = "exception_" #vector_, .event = EVENT_EXCEPTION, .vector = vector_, ##__VA_ARGS__ }
#define WITH_ERROR(vector_, code_, ...)							\
	{ .label = "exception_" #vector_ "_error_" #code_, .event = EVENT_EXCEPTION | EVENT_HAS_ERROR,	\
	  .vector = vector_, .error_code = code_, ##__VA_ARGS__ }
#define INTERRUPT(vector_, ...) { .label = "intr_" #vector_, .event = EVENT_INTR, .vector = vector_, ##__VA_ARGS__ }

static const struct row rows[] = {
	EXCEPTION(0), EXCEPTION(1), EXCEPTION(5), EXCEPTION(6), EXCEPTION(7), EXCEPTION(16), EXCEPTION(18),
	EXCEPTION(19),
	WITH_ERROR(8, 0), WITH_ERROR(10, 0x28), WITH_ERROR(11, 0x30), WITH_ERROR(12, 0), WITH_ERROR(13, 0),
	WITH_ERROR(13, 0xfff8), WITH_ERROR(14, 2), WITH_ERROR(17, 0),
	INTERRUPT(32), INTERRUPT(0x80), INTERRUPT(255), INTERRUPT(0x31, .error_code = 5),
	{ .label = "nmi", .event = EVENT_NMI, .vector = 2 },
	{ .label = "nmi_other_vector", .event = EVENT_NMI, .vector = 77 },
	{ .label = "not_valid", .event = EVENT_EXCEPTION, .vector = 6, .no_event = true },
	{ .label = "intercepted_ud", .event = EVENT_EXCEPTION, .vector = 6, .is_intercepted = true },
	{ .label = "intercepted_gp", .event = EVENT_EXCEPTION | EVENT_HAS_ERROR, .vector = 13, .error_code = 0x55a8,
	  .is_intercepted = true },
	{ .label = "intercepted_intr", .event = EVENT_INTR, .vector = 66, .is_intercepted = true },
};

CASE(event_inject, .says = "an injected event is delivered in L2 once, with its error code", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

static struct guest_regs taken;
static unsigned int nr_taken;

static void on_event(struct guest_regs *regs)
{
	taken = *regs;
	nr_taken++;
}

static void check_frame(const struct row *row, unsigned int vector, uint64_t sp)
{
	CHECK_EQ(vector, taken.vector);
	CHECK_EQ(row->event & EVENT_HAS_ERROR ? row->error_code : 0, taken.error_code);
	CHECK_EQ((ulong_t)at, taken.rip);
	CHECK_EQ(SEL_CODE64, taken.cs);
	CHECK_EQ(SEL_DATA, taken.ss);
	CHECK_EQ(X86_EFLAGS_FIXED | X86_EFLAGS_CF | X86_EFLAGS_IF, taken.rflags);
	CHECK_EQ(sp, taken.rsp);
}

GUEST(event_inject)
{
	const struct row *row = GUEST_ROW(rows);
	unsigned int vector = row->event & EVENT_NMI && !(row->event & EVENT_TYPE(1)) ? NMI_VECTOR : row->vector;
	unsigned int i;

	for (i = 0; i < 256; i++)
		guest_handle(i, on_event);
	l1_svm_init();
	for (i = 0; i < 32 && row->is_intercepted; i++)
		vmcb_intercept(&l1_vmcb, SVM_EXIT_EXCP_BASE + i);
	if (row->is_intercepted)
		vmcb_intercept(&l1_vmcb, SVM_EXIT_INTR);
	l1_vmcb.save.rflags = X86_EFLAGS_FIXED | X86_EFLAGS_CF | X86_EFLAGS_IF;
	l1_vmcb.control.event_inj = row->event | row->vector | (row->no_event ? 0 : EVENT_VALID);
	l1_vmcb.control.event_inj_error = row->error_code;
	l2_run(at);
	CHECK_L2_DONE(at_end - 3);
	CHECK_EQ(row->no_event ? 0 : 1, nr_taken);
	if (!row->no_event)
		check_frame(row, vector, l1_vmcb.save.rsp);
	CHECK_EQ(X86_EFLAGS_FIXED | X86_EFLAGS_CF | X86_EFLAGS_IF, l1_vmcb.save.rflags);

	/* Spent: the next entry has nothing to deliver. */
	l1_vmcb.control.event_inj = 0;
	nr_taken = 0;
	l1_vmcb.save.rip = (ulong_t)at;
	vmcb_run(&l1_vmcb);
	CHECK_L2_DONE(at_end - 3);
	CHECK_EQ(0, nr_taken);
}

HOST(event_inject)
{
	expect_done(t);
}

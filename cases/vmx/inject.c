/* SPDX-License-Identifier: MIT */
/*
 * Events that L1 injects at VM entry are delivered through L2's IDT before its first instruction, whatever the controls
 * would make exit; what goes wrong under way names the event in the IDT-vectoring information.
 *
 * Can break: an injected event caught by L1's own bitmap, a return address without the length, a lost error code, an
 * event that is still valid after the exit.
 * Source: SDM vol. 3C, 27.6, 28.2.4.
 */
#include "case.h"
#include "guests/l1_vmx.h"

/* L2 begins at inject_code, and has instructions to be skipped. */
INSN(inject_code, "nop\n\tnop\n\tnop\n\tret")

struct row {
	ROW_FIELDS;
	uint32_t info, error_code, insn_length;
	struct vmcs_edit edits[4];

	/* Delivered: */
	uint32_t vector;
	uint32_t skipped;	/* bytes from inject_code to the return address */

	/* Or the exit that comes instead. */
	bool is_exit;
	struct vmx_exit exit;
};

#define DELIVERED(label_, info_, vector_, ...)						\
	{ .label = label_, .info = INTR_VALID | (info_) | (vector_), .vector = vector_, ##__VA_ARGS__ }
#define IF_SET VMCS_SET(GUEST_RFLAGS, X86_EFLAGS_IF)
#define CATCH_ALL VMCS_VALUE(EXCEPTION_BITMAP, ~0u)
#define CATCH(vector_) VMCS_SET(EXCEPTION_BITMAP, 1u << (vector_))
#define EDITS(...) .edits = { __VA_ARGS__ }
#define HAS_CODE INTR_ERROR_CODE
/* Error codes of a fault in delivering: EXT, IDT, and the vector */
#define IDT_CODE(vector_, is_external_) ((vector_) << 3 | 2 | (is_external_))

static const struct row rows[] = {
	DELIVERED("interrupt", INTR_EXTERNAL, 0x55, EDITS(IF_SET)),
	DELIVERED("interrupt_caught", INTR_EXTERNAL, 0xff, EDITS(IF_SET, CATCH_ALL)),
	DELIVERED("interrupt_of_exception", INTR_EXTERNAL, UD_VECTOR, EDITS(IF_SET, CATCH_ALL)),
	DELIVERED("interrupt_low", INTR_EXTERNAL, 0x20, EDITS(IF_SET, VMCS_SET(PIN_CONTROLS, PIN_EXTERNAL_INTERRUPT_EXITING))),
	DELIVERED("nmi", INTR_NMI, NMI_VECTOR),
	DELIVERED("nmi_caught", INTR_NMI, NMI_VECTOR, EDITS(VMCS_SET(PIN_CONTROLS, PIN_NMI_EXITING))),
	DELIVERED("ud", INTR_HARDWARE_EXCEPTION, UD_VECTOR),
	DELIVERED("ud_caught", INTR_HARDWARE_EXCEPTION, UD_VECTOR, EDITS(CATCH_ALL)),
	DELIVERED("gp", INTR_HARDWARE_EXCEPTION | HAS_CODE, GP_VECTOR, .error_code = 0x1234),
	DELIVERED("gp_caught", INTR_HARDWARE_EXCEPTION | HAS_CODE, GP_VECTOR, .error_code = 0xfff8, EDITS(CATCH_ALL)),
	DELIVERED("pf", INTR_HARDWARE_EXCEPTION | HAS_CODE, PF_VECTOR, .error_code = 7),
	DELIVERED("ss", INTR_HARDWARE_EXCEPTION | HAS_CODE, SS_VECTOR, .error_code = 0x18),
	DELIVERED("db", INTR_HARDWARE_EXCEPTION, DB_VECTOR),
	DELIVERED("soft_interrupt", INTR_SOFTWARE_INTERRUPT, 0x81, .insn_length = 2, .skipped = 2),
	DELIVERED("soft_interrupt_length_3", INTR_SOFTWARE_INTERRUPT, 0x81, .insn_length = 3, .skipped = 3),
	DELIVERED("bp", INTR_SOFTWARE_EXCEPTION, BP_VECTOR, .insn_length = 1, .skipped = 1),
	DELIVERED("bp_caught", INTR_SOFTWARE_EXCEPTION, BP_VECTOR, .insn_length = 1, .skipped = 1, EDITS(CATCH_ALL)),
	/* The length is for events of instructions only. */
	DELIVERED("interrupt_length", INTR_EXTERNAL, 0x55, EDITS(IF_SET), .insn_length = 15),
	/* It wakes L2 from HLT. */
	DELIVERED("interrupt_in_hlt", INTR_EXTERNAL, 0x55, EDITS(IF_SET, VMCS_VALUE(GUEST_ACTIVITY, ACTIVITY_HLT))),
	DELIVERED("nmi_in_hlt", INTR_NMI, NMI_VECTOR, EDITS(VMCS_VALUE(GUEST_ACTIVITY, ACTIVITY_HLT))),

	/* The IDT ends before the vector: #GP, which L1 asked for. */
	{ .label = "interrupt_beyond_idt", .info = INTR_VALID | INTR_EXTERNAL | 0x55,
	  EDITS(IF_SET, VMCS_VALUE(GUEST_IDTR_LIMIT, 0x1ff), CATCH(GP_VECTOR)), .is_exit = true,
	  .exit = { .reason = EXIT_REASON_EXCEPTION_NMI,
		    .intr_info = INTR_VALID | INTR_HARDWARE_EXCEPTION | HAS_CODE | GP_VECTOR,
		    .intr_error_code = IDT_CODE(0x55, 1), .vectoring_info = INTR_VALID | INTR_EXTERNAL | 0x55 } },
	{ .label = "soft_interrupt_beyond_idt", .info = INTR_VALID | INTR_SOFTWARE_INTERRUPT | 0x81, .insn_length = 2,
	  EDITS(VMCS_VALUE(GUEST_IDTR_LIMIT, 0x1ff), CATCH(GP_VECTOR)), .is_exit = true,
	  .exit = { .reason = EXIT_REASON_EXCEPTION_NMI,
		    .intr_info = INTR_VALID | INTR_HARDWARE_EXCEPTION | HAS_CODE | GP_VECTOR,
		    .intr_error_code = IDT_CODE(0x81, 0), .vectoring_info = INTR_VALID | INTR_SOFTWARE_INTERRUPT | 0x81,
		    .insn_length = 2 } },
	/* #GP while #PF is delivered makes #DF; no IDT at all, a triple fault. */
	{ .label = "double_fault", .info = INTR_VALID | INTR_HARDWARE_EXCEPTION | HAS_CODE | PF_VECTOR,
	  EDITS(VMCS_VALUE(GUEST_IDTR_LIMIT, 0xcf), CATCH(DF_VECTOR)), .is_exit = true,
	  .exit = { .reason = EXIT_REASON_EXCEPTION_NMI,
		    .intr_info = INTR_VALID | INTR_HARDWARE_EXCEPTION | HAS_CODE | DF_VECTOR } },
};

CASE(inject, .says = "an injected event is delivered to L2, or the exit names it", .modes = LONG64,
     .needs = "vendor:intel nested", .rows = ROWS(rows))

static unsigned int nr_taken;
static struct guest_regs taken;

static void handler(struct guest_regs *regs)
{
	nr_taken++;
	taken = *regs;
}

static void check_delivered(const struct row *row, uint64_t rflags)
{
	CHECK_EQ(VMX_OK, vmx.exit.outcome);
	CHECK_L2_DONE();
	CHECK_EQ(1, nr_taken);
	CHECK_EQ(row->vector, taken.vector);
	CHECK_EQ(row->error_code, taken.error_code);
	CHECK_EQ((ulong_t)inject_code + row->skipped, taken.rip);
	CHECK_EQ(rflags, taken.rflags & ~X86_EFLAGS_RF);
	CHECK_EQ(SEL_CODE64, taken.cs);
	CHECK_EQ(row->info & ~INTR_VALID, vmx.exit.entry_intr_info);
	CHECK_EQ(0, vmx.exit.vectoring_info);
}

static void check_exit(const struct row *row)
{
	CHECK_EQ(0, nr_taken);
	CHECK_REASON(row->exit.reason);
	CHECK_EQ(row->exit.qualification, vmx.exit.qualification);
	CHECK_EQ(row->exit.intr_info, vmx.exit.intr_info);
	CHECK_EQ(row->exit.intr_error_code, vmx.exit.intr_error_code);
	CHECK_EQ(row->exit.vectoring_info, vmx.exit.vectoring_info);
	CHECK_EQ(row->exit.insn_length, vmx.exit.insn_length);
	CHECK_EQ((ulong_t)inject_code, vmx.exit.rip);
	CHECK_EQ(row->info & ~INTR_VALID, vmx.exit.entry_intr_info);
}

GUEST(inject)
{
	const struct row *row = GUEST_ROW(rows);
	uint64_t rflags;

	vmx_start();
	if (!row->is_exit)
		guest_handle(row->vector, handler);
	vmcs_edit(row->edits, 4);
	vmcs_write(ENTRY_INTR_INFO, row->info);
	vmcs_write(ENTRY_ERROR_CODE, row->error_code);
	vmcs_write(ENTRY_INSN_LENGTH, row->insn_length);
	rflags = vmcs_read(GUEST_RFLAGS);
	vmx_aim(inject_code);
	vmx_run();
	if (row->is_exit)
		check_exit(row);
	else
		check_delivered(row, rflags);
}

HOST(inject)
{
	expect_done(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * An event that L1 injects, and whose delivery meets a hole in L1's EPT: the exit names the event in the IDT-vectoring
 * information, as L1 gave it; injected once more, it is delivered.
 *
 * Can break: the type of the event, its error code, the length of the instruction; an event that is delivered twice, or
 * not again.
 * Source: SDM vol. 3C, 27.6, 28.2.4, 28.2.5, 29.3.3.
 */
#include "case.h"
#include "guests/l1_vmx.h"

INSN(inject_ept_code, "nop\n\tnop\n\tnop\n\tret")

struct row {
	ROW_FIELDS;
	uint32_t info, error_code, insn_length;
};

#define EVENT(label_, info_, ...) { .label = label_, .info = INTR_VALID | (info_), ##__VA_ARGS__ }
#define WITH_CODE (INTR_HARDWARE_EXCEPTION | INTR_ERROR_CODE)

static const struct row rows[] = {
	EVENT("interrupt", INTR_EXTERNAL | 0x55), EVENT("interrupt_of_exception", INTR_EXTERNAL | UD_VECTOR),
	EVENT("nmi", INTR_NMI | NMI_VECTOR), EVENT("ud", INTR_HARDWARE_EXCEPTION | UD_VECTOR),
	EVENT("db", INTR_HARDWARE_EXCEPTION | DB_VECTOR),
	EVENT("gp", WITH_CODE | GP_VECTOR, .error_code = 0x1234), EVENT("pf", WITH_CODE | PF_VECTOR, .error_code = 7),
	EVENT("gp_code_0", WITH_CODE | GP_VECTOR),
	EVENT("soft_interrupt", INTR_SOFTWARE_INTERRUPT | 0x81, .insn_length = 2),
	EVENT("bp", INTR_SOFTWARE_EXCEPTION | BP_VECTOR, .insn_length = 1),
};

CASE(inject_ept, .says = "an injected event that meets a hole in the EPT is named by the exit", .modes = LONG64,
     .needs = "vendor:intel nested vmx:ept vmx:invept tdp", .rows = ROWS(rows))

#define STACK (SCRATCH_GPA + 0x5000)

static unsigned int nr_taken;
static struct guest_regs taken;

static void handler(struct guest_regs *regs)
{
	nr_taken++;
	taken = *regs;
}

static void inject(uint32_t info, uint32_t error_code, uint32_t insn_length)
{
	vmcs_write(ENTRY_INTR_INFO, info);
	vmcs_write(ENTRY_ERROR_CODE, error_code);
	vmcs_write(ENTRY_INSN_LENGTH, insn_length);
	vmx_run();
}

static void check_exit(const struct row *row)
{
	CHECK_EQ(VMX_OK, vmx.exit.outcome);
	CHECK_REASON(EXIT_REASON_EPT_VIOLATION);
	CHECK_EQ(STACK, vmx.exit.guest_physical & ~0xfffull);
	CHECK_EQ(row->info, vmx.exit.vectoring_info);
	CHECK_EQ(row->error_code, vmx.exit.vectoring_error_code);
	CHECK_EQ(row->insn_length, vmx.exit.insn_length);
	CHECK_EQ((ulong_t)inject_ept_code, vmx.exit.rip);
	CHECK_EQ(row->info & ~INTR_VALID, vmx.exit.entry_intr_info);
	CHECK_EQ(0, nr_taken);
}

GUEST(inject_ept)
{
	const struct row *row = GUEST_ROW(rows);
	struct { uint64_t eptp, zero; } descriptor = { 0, 0 };
	uint64_t *top = (uint64_t *)(STACK + 0x800), old, *entry;

	vmx_start();
	vmx_use_ept();
	guest_handle(row->info & 0xff, handler);
	*top = (ulong_t)vmx_l2_end;
	entry = ept_find(STACK, 1);
	old = *entry;
	*entry = 0;
	vmx_aim(inject_ept_code);
	vmcs_write(GUEST_RSP, (ulong_t)top);
	vmcs_set(GUEST_RFLAGS, X86_EFLAGS_IF);
	inject(row->info, row->error_code, row->insn_length);
	check_exit(row);
	*entry = old;
	descriptor.eptp = vmcs_read(EPT_POINTER);
	CHECK_EQ(VMX_OK, invept_try(INVEPT_SINGLE, &descriptor));
	inject(vmx.exit.vectoring_info, vmx.exit.vectoring_error_code, vmx.exit.insn_length);
	CHECK_L2_DONE();
	CHECK_EQ(1, nr_taken);
	CHECK_EQ(row->info & 0xff, taken.vector);
	CHECK_EQ(row->error_code, taken.error_code);
	CHECK_EQ((ulong_t)inject_ept_code + row->insn_length, taken.rip);
}

HOST(inject_ept)
{
	expect_done(t);
}

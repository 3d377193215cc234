/* SPDX-License-Identifier: MIT */
/*
 * Events of L2: exceptions by the bitmap, #PF by mask and match, the windows, the timer, triple fault;
 * and exceptions that are L2's own, which it takes through its IDT.
 *
 * Can break: the sense of mask and match, an error code that is not copied, CR2 in place of the qualification, the saved
 * RF, an event that comes an instruction late.
 * Source: SDM vol. 3C, 26.2, 26.3, 26.5.1, 28.2.1, 28.2.2, 28.3.3.
 */
#include "cases/vmx/l2.h"

#define HOLE 0x200000001234	/* nothing is mapped there */
#define NONCANONICAL 0x800000000000
#define NO_MSR 0x1ffe

L2(ud2, "ud2")
L2(int3, "int3")
L2(div, "div %ecx")
L2(load, "mov (%rax), %cl")
L2(load_stack, "mov (%rbp), %cl")
L2(store, "movb $1, 0x10(%rsi)")
L2(load_es, "mov %cx, %es")
L2(fnop, "fnop")
L2(nop, "nop")
L2(rdmsr, "rdmsr")
L2(wrmsr, "wrmsr")
L2(to_cr0, "mov %rdi, %cr0")
L2(to_cr4, "mov %rdi, %cr4")
L2(outsb, "outsb")

#define EXCEPTION(vector_) (INTR_VALID | INTR_HARDWARE_EXCEPTION | (vector_))
#define WITH_CODE(vector_) (EXCEPTION(vector_) | INTR_ERROR_CODE)
#define CATCH(vector_) VMCS_SET(EXCEPTION_BITMAP, 1u << (vector_))
#define EDITS(...) .edits = { __VA_ARGS__ }

#define FAULTS(label_, name_, info_, ...)						\
	{ L2_NAMED(label_, name_), .exit.reason = EXIT_REASON_EXCEPTION_NMI, .exit.intr_info = info_, \
	  .has_no_length = true, .is_rf_void = true, ##__VA_ARGS__ }
#define PF_EXITS(label_, ...)								\
	FAULTS(label_, store, WITH_CODE(PF_VECTOR), .exit.intr_error_code = PFERR_W, .regs.rsi = HOLE, \
	       .exit.qualification = HOLE + 0x10, .needs = "tdp", ##__VA_ARGS__)
#define PF_MASK(mask_, match_) VMCS_VALUE(PAGE_FAULT_MASK, mask_), VMCS_VALUE(PAGE_FAULT_MATCH, match_)
/* L2's own function, which takes its fault. */
#define OWN(label_, function_, ...) { .label = label_, .code = (const char *)(function_), .has_no_exit = true, ##__VA_ARGS__ }
#define EVENT(label_, name_, reason_, ...)						\
	{ L2_NAMED(label_, name_), .exit.reason = EXIT_REASON_##reason_, .has_no_length = true, .is_final = true, \
	  ##__VA_ARGS__ }

static void take_ud(void)
{
	struct fault f = TRY("ud2", );

	CHECK_FAULT(UD_VECTOR, 0, f);
}

static void take_gp(void)
{
	struct fault f = TRY("mov (%0), %%al", : : "r"(NONCANONICAL) : "rax");

	CHECK_FAULT(GP_VECTOR, 0, f);
}

static void take_pf(void)
{
	struct fault f = TRY("movb $1, (%0)", : : "r"(HOLE));

	CHECK_FAULT(PF_VECTOR, PFERR_W, f);
	CHECK_EQ(HOLE, f.cr2);
}

/* KVM sees the OUTS, and finds the fault when it reads for it. */
static void take_pf_of_outs(void)
{
	struct fault f = TRY("outsb", : : "S"(HOLE), "d"(0x80));

	CHECK_FAULT(PF_VECTOR, 0, f);
	CHECK_EQ(HOLE, f.cr2);
}

static void take_gp_of_msr(void)
{
	uint64_t value;
	struct fault f = rdmsr_safe(NO_MSR, &value);

	CHECK_FAULT(GP_VECTOR, 0, f);
}

static void take_bp(void)
{
	struct fault f = guest_catch((void (*)(void *))l2_int3, NULL);

	CHECK_FAULT(BP_VECTOR, 0, f);
	CHECK_EQ((ulong_t)l2_int3_next, f.rip);
}

static void make_not_present(void)
{
	*(uint64_t *)(GDT_GPA + SEL_FREE) = *(uint64_t *)(GDT_GPA + SEL_DATA) & ~(1ull << 47);
}

static const struct l2_row rows[] = {
	FAULTS("ud", ud2, EXCEPTION(UD_VECTOR), EDITS(CATCH(UD_VECTOR))),
	/* The RFLAGS image of a fault has RF. */
	{ L2_NAMED("ud_rf", ud2), EDITS(CATCH(UD_VECTOR)), .exit.reason = EXIT_REASON_EXCEPTION_NMI,
	  .exit.intr_info = EXCEPTION(UD_VECTOR), .has_no_length = true, .set_rflags = X86_EFLAGS_RF,
	  .known = { "0404-bochs-rf-of-exception-exits", "lab-vmx" } },
	FAULTS("de", div, EXCEPTION(DE_VECTOR), EDITS(CATCH(DE_VECTOR)), .regs.rcx = 1ull << 32),
	FAULTS("gp", load, WITH_CODE(GP_VECTOR), EDITS(CATCH(GP_VECTOR)), .regs.rax = NONCANONICAL),
	FAULTS("gp_selector", load_es, WITH_CODE(GP_VECTOR), EDITS(CATCH(GP_VECTOR)), .regs.rcx = SEL_FREE,
	       .exit.intr_error_code = SEL_FREE),
	FAULTS("np", load_es, WITH_CODE(NP_VECTOR), EDITS(CATCH(NP_VECTOR)), .regs.rcx = SEL_FREE,
	       .exit.intr_error_code = SEL_FREE, .prepare = make_not_present),
	FAULTS("ss", load_stack, WITH_CODE(SS_VECTOR), EDITS(CATCH(SS_VECTOR)), .regs.rbp = NONCANONICAL),
	FAULTS("nm", fnop, EXCEPTION(NM_VECTOR), EDITS(CATCH(NM_VECTOR), VMCS_SET(GUEST_CR0, X86_CR0_TS))),
	{ L2_NAMED("bp", int3), EDITS(CATCH(BP_VECTOR)), .exit.reason = EXIT_REASON_EXCEPTION_NMI,
	  .exit.intr_info = INTR_VALID | INTR_SOFTWARE_EXCEPTION | BP_VECTOR },

	PF_EXITS("pf", EDITS(CATCH(PF_VECTOR))),
	FAULTS("pf_read", load, WITH_CODE(PF_VECTOR), EDITS(CATCH(PF_VECTOR)), .regs.rax = HOLE,
	       .exit.qualification = HOLE, .needs = "tdp"),
	PF_EXITS("pf_matches", EDITS(CATCH(PF_VECTOR), PF_MASK(PFERR_W, PFERR_W))),
	OWN("pf_differs", take_pf, EDITS(CATCH(PF_VECTOR), PF_MASK(PFERR_W, 0)), .needs = "tdp"),
	PF_EXITS("pf_differs_without_bit", EDITS(PF_MASK(PFERR_W, 0))),
	OWN("pf_matches_without_bit", take_pf, EDITS(PF_MASK(PFERR_W, PFERR_W)), .needs = "tdp"),
	OWN("pf_without_bit", take_pf, .needs = "tdp"),
	/* The error code has no such bits: never alike. */
	PF_EXITS("pf_match_of_no_mask", EDITS(PF_MASK(0, PFERR_W))),
	OWN("gp_without_bit", take_gp, EDITS(VMCS_VALUE(EXCEPTION_BITMAP, ~(1u << GP_VECTOR)))),
	OWN("bp_without_bit", take_bp, EDITS(VMCS_VALUE(EXCEPTION_BITMAP, ~(1u << BP_VECTOR)))),
	/* KVM sees each #UD of a guest. */
	OWN("ud_without_bit", take_ud, EDITS(VMCS_VALUE(EXCEPTION_BITMAP, ~(1u << UD_VECTOR))),
	    KVM_SEES(EXIT_REASON_EXCEPTION_NMI)),

	/* What KVM finds when it does an instruction of L2's, L1 gets as if the CPU had found it. */
	FAULTS("gp_of_rdmsr", rdmsr, WITH_CODE(GP_VECTOR), EDITS(CATCH(GP_VECTOR)), .regs.rcx = NO_MSR,
	       KVM_SEES(EXIT_REASON_MSR_READ)),
	FAULTS("gp_of_wrmsr", wrmsr, WITH_CODE(GP_VECTOR), EDITS(CATCH(GP_VECTOR)), .regs.rcx = NO_MSR,
	       KVM_SEES(EXIT_REASON_MSR_WRITE)),
	OWN("gp_of_rdmsr_without_bit", take_gp_of_msr, EDITS(VMCS_VALUE(EXCEPTION_BITMAP, ~(1u << GP_VECTOR))),
	    KVM_SEES(EXIT_REASON_MSR_READ)),
	FAULTS("gp_of_cr4", to_cr4, WITH_CODE(GP_VECTOR), EDITS(CATCH(GP_VECTOR)), .rdi_flips = L2_CR4,
	       .regs.rdi = 1u << 15, KVM_SEES(EXIT_REASON_CR_ACCESS)),
	FAULTS("gp_of_cr0", to_cr0, WITH_CODE(GP_VECTOR), EDITS(CATCH(GP_VECTOR)), .rdi_flips = L2_CR0,
	       .regs.rdi = X86_CR0_PE, KVM_SEES(EXIT_REASON_CR_ACCESS)),
	FAULTS("pf_of_outs", outsb, WITH_CODE(PF_VECTOR), EDITS(CATCH(PF_VECTOR)), .regs.rsi = HOLE,
	       .regs.rdx = 0x80, .exit.qualification = HOLE, KVM_SEES(EXIT_REASON_IO_INSTRUCTION), .needs = "tdp"),
	FAULTS("pf_of_outs_differs_without_bit", outsb, WITH_CODE(PF_VECTOR), EDITS(PF_MASK(PFERR_W, PFERR_W)),
	       .regs.rsi = HOLE, .regs.rdx = 0x80, .exit.qualification = HOLE, KVM_SEES(EXIT_REASON_IO_INSTRUCTION),
	       .needs = "tdp"),
	OWN("pf_of_outs_differs", take_pf_of_outs, EDITS(CATCH(PF_VECTOR), PF_MASK(PFERR_W, PFERR_W)),
	    KVM_SEES(EXIT_REASON_IO_INSTRUCTION), .needs = "tdp"),
	OWN("pf_of_outs_without_bit", take_pf_of_outs, KVM_SEES(EXIT_REASON_IO_INSTRUCTION), .needs = "tdp"),

	EVENT("interrupt_window", nop, INTERRUPT_WINDOW,
	      EDITS(VMCS_SET(PROC_CONTROLS, PROC_INTERRUPT_WINDOW_EXITING), VMCS_SET(GUEST_RFLAGS, X86_EFLAGS_IF))),
	{ L2_NAMED("interrupt_window_shut", nop), .has_no_exit = true,
	  EDITS(VMCS_SET(PROC_CONTROLS, PROC_INTERRUPT_WINDOW_EXITING)) },
	EVENT("nmi_window", nop, NMI_WINDOW, .needs = "vmx:virtual_nmis",
	      EDITS(VMCS_SET(PIN_CONTROLS, PIN_NMI_EXITING | PIN_VIRTUAL_NMIS),
		    VMCS_SET(PROC_CONTROLS, PROC_NMI_WINDOW_EXITING))),
	EVENT("preemption_timer", nop, PREEMPTION_TIMER, .needs = "vmx:preemption_timer",
	      EDITS(VMCS_SET(PIN_CONTROLS, PIN_PREEMPTION_TIMER), VMCS_VALUE(PREEMPTION_TIMER_VALUE, 0)),
	      .has_no_hw_exit = true),
	{ L2_NAMED("preemption_timer_far", nop), .needs = "vmx:preemption_timer", .has_no_exit = true,
	  EDITS(VMCS_SET(PIN_CONTROLS, PIN_PREEMPTION_TIMER), VMCS_VALUE(PREEMPTION_TIMER_VALUE, ~0u)) },
	{ L2_NAMED("triple_fault", ud2), EDITS(VMCS_VALUE(GUEST_IDTR_LIMIT, 0)), .exit.reason = EXIT_REASON_TRIPLE_FAULT,
	  .has_no_length = true, .is_rf_void = true, .is_final = true,
	  KVM_SEES(EXIT_REASON_EXCEPTION_NMI, EXIT_REASON_TRIPLE_FAULT) },
};

CASE(exit_event, .says = "an event of L2 exits to L1, or is L2's own", .modes = LONG64, .needs = "vendor:intel nested",
     .rows = ROWS(rows))

GUEST(exit_event)
{
	l2_row_run(GUEST_ROW(rows));
}

HOST(exit_event)
{
	l2_row_host(t, ROW(t, rows));
}

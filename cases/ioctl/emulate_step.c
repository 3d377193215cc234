/* SPDX-License-Identifier: MIT */
/*
 * What an instruction leaves for the one behind it: a single step's #DB after one that KVM's emulator executed, as after
 * one of the CPU's; the interrupt shadow of STI, MOV SS and POP SS; RF in the image of a fault, and cleared by an
 * instruction that ends.
 *
 * Can break: the step's #DB missed, or taken before the instruction; BS missing in DR6; a step taken for a POPF that
 * sets TF only now; a shadow for a STI with IF set already; RF lost.
 * Source: APM vol. 2, 13.1.4 (single stepping), 8.2.2, 8.3, 3.1.6 (RF); vol. 3, STI, MOV, POP; SDM vol. 3A, 6.8.
 */
#include "cases/ioctl/emulate.h"
#include "cases/ioctl/vm86.h"

EMU(plain, INSN_("nop") INSN_("inc %ecx") INSN_("add %eax, " M) INSN_("push %ax") INSN_("cpuid") INSN_("movsb") INSN_("cli")
    INSN_(".byte 0xeb, 0x20"))
EMU(popf_sets, WIDTH_LEGACY INSN_("popfl; nop"))
EMU(popf_sets_64, WIDTH_(64) INSN_("popfq; nop"))
EMU(fault_gp, WIDTH_LEGACY INSN_("movl %eax, %fs"))
EMU(fault_pf, INSN_("mov %eax, " M))
EMU(rf_ends, INSN_("nop") INSN_("add %eax, " M) INSN_("cmp %eax, " M) INSN_("push %ax") INSN_("movsb") INSN_("cli") INSN_(".byte 0xeb, 0x20"))
EMU(rf_rep, INSN_("rep movsb") INSN_("rep stosb") INSN_("repne scasb"))
EMU(rf_skipped, INSN_("cpuid") INSN_("rdmsr") INSN_("wbinvd"))
EMU(sti, INSN_("sti"))
EMU(mov_ss, INSN_("mov %ecx, %ss"))
EMU(pop_ss, WIDTH_LEGACY INSN_("popl %ss"))

static void absent(struct test *t, struct kvm_sregs *sregs, uint8_t *memory);
static void step(struct emu *emu);
static void step_later(struct emu *emu);
static void fault_rf(struct emu *emu);
static void end_forced(struct emu *emu);
static void end_native(struct emu *emu);
static void shadow_sti(struct emu *emu);
static void shadow_ss(struct emu *emu);
static void shadow_none(struct emu *emu);

static const struct known vm86_without_dr6 = { VM86_KNOWN("4851-real-mode-debug-exception-without-dr6") };

#define STEP_SKIPPED .finding = "0506-bochs-svm-single-step", .targets = "lab-svm-bochs", .is_skipped = true
#define DR6_KNOWN .known = { .finding = "0515-bochs-svm-db-intercept-dr6", .targets = "lab-svm-bochs" }

static const struct row {
	struct emu_row emu;
	void (*each)(struct emu *emu);
} rows[] = {
#define ROW_(each_, ...) { .emu = { __VA_ARGS__ }, .each = ON_HOST(each_) }
	ROW_(step, .label = "step", .modes = PROT32 | PAE32 | LONG64, EMU_OF(plain), .flags_in = X86_EFLAGS_TF,
	     .known = { STEP_SKIPPED }),
	ROW_(step, .label = "step", .modes = REAL16, EMU_OF(plain), .flags_in = X86_EFLAGS_TF,
	     .known = { STEP_SKIPPED, .next = &vm86_without_dr6 }),
	ROW_(step_later, .label = "popf_sets_tf", .modes = PROT32, EMU_OF(popf_sets), DR6_KNOWN,
	     .memory_in = { BYTES(EMU_STACK, 8, X86_EFLAGS_TF) }),
	ROW_(step_later, .label = "popf_sets_tf_64", .modes = LONG64, EMU_OF(popf_sets_64), DR6_KNOWN,
	     .memory_in = { BYTES(EMU_STACK, 8, X86_EFLAGS_TF) }),
	ROW_(fault_rf, .label = "fault_gp", .modes = PROT32, EMU_OF(fault_gp), .in = { REG(RAX, 0x1230) }),
	ROW_(fault_rf, .label = "fault_pf", .modes = PAE32 | LONG64, EMU_OF(fault_pf), .prepare = ON_HOST(absent)),
	ROW_(end_forced, .label = "end_clears_rf", EMU_OF(rf_ends)),
	ROW_(end_forced, .label = "rep_clears_rf", EMU_OF(rf_rep), .in = { REG(RCX, 3) }),
	ROW_(end_forced, .label = "rep_none_clears_rf", EMU_OF(rf_rep), .in = { REG(RCX, 0) }),
	ROW_(end_native, .label = "skip_clears_rf", EMU_OF(rf_skipped), .in = { REG(RCX, 0x1b) },
	     .known = { .finding = "4651-soft-skipped-instruction-keeps-rf", .targets = "soft-svm" }),
	ROW_(shadow_sti, .label = "sti", EMU_OF(sti)),
	ROW_(shadow_none, .label = "sti_again", EMU_OF(sti), .flags_in = X86_EFLAGS_IF,
	     .known = { .finding = "0710-emulated-sti-shadow-again" }),
	ROW_(shadow_ss, .label = "mov_ss", .modes = PROT32 | LONG64, EMU_OF(mov_ss), .in = { REG(RCX, SEL_DATA) }),
	ROW_(shadow_ss, .label = "mov_ss_real", .modes = REAL16, EMU_OF(mov_ss), .in = { REG(RCX, EMU_GPA >> 4) }),
	ROW_(shadow_ss, .label = "pop_ss", .modes = PROT32, EMU_OF(pop_ss), .memory_in = { BYTES(EMU_STACK, 4, SEL_DATA) }),
};

CASE(emulate_step, .says = "single steps, interrupt shadows and RF around an emulated instruction are the CPU's",
     .modes = REAL16 | PROT32 | PAE32 | LONG64, .needs = EMU_NEEDS, .shadow_too = true, .rows = ROWS(rows))

static const struct emu_values values = { 0x1122334455667788, 0x99aabbccddeeff00, 3, 0 };

static void absent(struct test *t, struct kvm_sregs *sregs, uint8_t *memory)
{
	(void)sregs;
	emu_pte_clear(t, memory, EMU_DATA, PTE_P);
}

/* A run that starts with a clean DR6, and what it is behind. */
static uint64_t run_with_dr6(struct emu *emu, bool is_forced, struct emu_outcome *outcome)
{
	struct kvm_debugregs debugregs = { .dr6 = 0xffff0ff0, .dr7 = 0x400 };

	vcpu_ioctl(emu->t->vcpu, KVM_SET_DEBUGREGS, &debugregs);
	emu_run(emu, is_forced, outcome);
	vcpu_ioctl(emu->t->vcpu, KVM_GET_DEBUGREGS, &debugregs);
	return debugregs.dr6;
}

/* Once without TF before, so that everything is mapped: Bochs takes a step for one whose first access exits (0502). */
static void step(struct emu *emu)
{
	static struct emu_outcome native, forced;
	uint64_t dr6_native, dr6_forced;

	emu_combine(emu, &values, 0);
	emu->regs.rflags &= ~X86_EFLAGS_TF;
	emu_run(emu, false, &native);
	emu->regs.rflags |= X86_EFLAGS_TF;
	dr6_native = run_with_dr6(emu, false, &native);
	dr6_forced = run_with_dr6(emu, true, &forced);
	emu_check(emu, "the vector against the manual", DB_VECTOR, forced.vector);
	emu_check(emu, "DR6 against the CPU", dr6_native, dr6_forced);
	emu_check(emu, "DR6 against the manual", 0xffff4ff0, dr6_forced);
	emu_compare(emu, &native, &forced);
}

/* The instruction sets TF: the step is that of the NOP behind it. */
static void step_later(struct emu *emu)
{
	static struct emu_outcome forced;

	emu_combine(emu, &values, 0);
	emu_check(emu, "DR6 against the manual", 0xffff4ff0, run_with_dr6(emu, true, &forced));
	emu_check(emu, "the vector against the manual", DB_VECTOR, forced.vector);
	emu_check(emu, "RIP against the manual", emu->regs.rip + emu->insn[0], forced.regs.rip);
}

static void fault_rf(struct emu *emu)
{
	static struct emu_outcome forced;

	emu_combine(emu, &values, 0);
	emu_run(emu, true, &forced);
	emu_check(emu, "the vector is a fault's", true, forced.vector == GP_VECTOR || forced.vector == PF_VECTOR);
	emu_check(emu, "RF in the frame against the manual", true, forced.has_rf);
}

/* The HLT behind it, which is intercepted, does not end: the flag there is what the instruction left. */
static void expect_rf_cleared(struct emu *emu, bool is_forced)
{
	static struct emu_outcome outcome;

	emu_combine(emu, &values, X86_EFLAGS_RF);
	emu_run(emu, is_forced, &outcome);
	emu_check(emu, "the exit", KVM_EXIT_HLT, outcome.exit_reason);
	emu_check(emu, "the fault's vector", (uint32_t)NO_VECTOR, (uint32_t)outcome.vector);
	emu_check(emu, "RF behind it against the manual", 0, outcome.regs.rflags & X86_EFLAGS_RF);
}

static void end_forced(struct emu *emu)
{
	expect_rf_cleared(emu, true);
}

/* Executed by KVM without its emulator's help, which only steps over it. */
static void end_native(struct emu *emu)
{
	expect_rf_cleared(emu, false);
}

/* The shadow right behind the instruction, where user space's own single step stops it; then none behind the next. */
static void expect_shadow(struct emu *emu, uint8_t flags)
{
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP };
	static struct emu_outcome forced;
	struct kvm_vcpu_events events;

	emu_combine(emu, &values, 0);
	vcpu_ioctl(emu->t->vcpu, KVM_SET_GUEST_DEBUG, &debug);
	emu_run(emu, true, &forced);
	emu_check(emu, "the exit", KVM_EXIT_DEBUG, forced.exit_reason);
	emu_check(emu, "RIP", emu->regs.rip + emu->insn[0], forced.regs.rip);
	vcpu_ioctl(emu->t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	emu_check(emu, "the interrupt shadow against the manual", !!flags, !!events.interrupt.shadow);
	if (flags)
		emu_check(emu, "the kind of shadow", flags, events.interrupt.shadow & flags);
	debug.control = 0;
	vcpu_ioctl(emu->t->vcpu, KVM_SET_GUEST_DEBUG, &debug);
	emu->t->vcpu->run->kvm_dirty_regs = 0;
	require_result(emu->t, 0, vcpu_run_try(emu->t->vcpu));
	emu_check(emu, "the exit behind the next instruction", KVM_EXIT_HLT, emu->t->vcpu->run->exit_reason);
	vcpu_ioctl(emu->t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	emu_check(emu, "the shadow behind the next instruction", 0, events.interrupt.shadow);
}

static void shadow_sti(struct emu *emu)
{
	expect_shadow(emu, KVM_X86_SHADOW_INT_STI);
}

static void shadow_ss(struct emu *emu)
{
	expect_shadow(emu, KVM_X86_SHADOW_INT_MOV_SS);
}

static void shadow_none(struct emu *emu)
{
	expect_shadow(emu, 0);
}

GUEST(emulate_step)
{
}

HOST(emulate_step)
{
	emu_row_each(t, &ROW(t, rows)->emu, ROW(t, rows)->each);
}

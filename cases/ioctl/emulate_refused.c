/* SPDX-License-Identifier: MIT */
/*
 * Instructions that KVM's emulator decodes and cannot finish: at CPL 0 KVM_EXIT_INTERNAL_ERROR, suberror EMULATION, with
 * the instruction's bytes, RIP at the instruction, #UD pending; at CPL 3 #UD alone. Registers and memory stay.
 *
 * Can break: the record naming the bytes of the prefix, or too few; a register already written when it is given up.
 * Source: KVM API, KVM_EXIT_INTERNAL_ERROR; linux/kvm.h, emulation_failure.
 */
#include "cases/ioctl/emulate.h"

EMU(enter_nested, WIDTH_LEGACY INSN_("enterl $8, $1"))
EMU(int_n, INSN_("int $0x21"))
EMU(int3, INSN_("int3"))
EMU(iret, WIDTH_LEGACY INSN_("iretl"))
EMU(into, WIDTH_LEGACY INSN_("into"))
EMU(call_gate, WIDTH_LEGACY INSN_("lcall $0xa8, $0") INSN_("ljmp $0xa8, $0"))
EMU(iretq, WIDTH_(64) INSN_("iretq"))
EMU(cmpxchg16b, WIDTH_(64) INSN_("cmpxchg16b (%rdi)"))
EMU(fxsave_64, WIDTH_(64) INSN_("fxsave (%rdi)") INSN_("fxrstor (%rdi)"))
EMU(retf_outer, WIDTH_LEGACY INSN_("lretl"))

static void segments_set(struct test *t, struct kvm_sregs *sregs, uint8_t *memory);

#define GATE 0x0000ec0000180000ull
#define ROW_(label_, list_, ...) { .label = label_, EMU_OF(list_), .prepare = ON_HOST(segments_set), __VA_ARGS__ }

static const struct emu_row rows[] = {
	ROW_("enter_nested", enter_nested, .modes = REAL16 | PROT32),
	ROW_("int_n", int_n, .modes = PROT32 | LONG64),
	ROW_("int3", int3, .modes = PROT32 | LONG64),
	ROW_("iret", iret, .modes = PROT32),
	ROW_("into", into, .modes = PROT32, .flags_in = OF),
	ROW_("call_gate", call_gate, .modes = PROT32),
	ROW_("iretq", iretq, .modes = LONG64),
	ROW_("cmpxchg16b", cmpxchg16b, .modes = LONG64),
	ROW_("fxsave_64", fxsave_64, .modes = LONG64),
	ROW_("retf_outer", retf_outer, .modes = PROT32,
	     .memory_in = { BYTES(EMU_STACK, 4, EMU_GPA + 0x900), BYTES(EMU_STACK + 4, 4, SEL_USER_CODE32) }),
	ROW_("user", int_n, .modes = PROT32 | LONG64, .env = ENV_USER),
};

CASE(emulate_refused, .says = "what KVM's emulator cannot finish is an internal error with its bytes, and changes nothing",
     .modes = REAL16 | PROT32 | LONG64, .needs = EMU_NEEDS, .rows = ROWS(rows),
     .known = { .finding = "3101-soft-emulates-what-kvm-refuses", .targets = "soft-svm" })

static void segments_set(struct test *t, struct kvm_sregs *sregs, uint8_t *memory)
{
	(void)t;
	sregs->cr4 |= X86_CR4_OSFXSR;
	emu_put(memory, EMU_GDT + SEL_FREE, GATE, 8);
}

static void expect_record(struct emu *emu)
{
	const struct kvm_run *run = emu->t->vcpu->run;
	unsigned int nr = emu->insn[0];

	require_eq(emu->t, KVM_INTERNAL_ERROR_EMULATION, run->emulation_failure.suberror);
	expect_eq(emu->t, KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES, run->emulation_failure.flags);
	require_true(emu->t, run->emulation_failure.insn_size >= nr && run->emulation_failure.insn_size <= 15);
	expect_bytes(emu->t, emu->memory + emu->code_at, run->emulation_failure.insn_bytes, run->emulation_failure.insn_size);
}

static void expect_ud_pending(struct test *t)
{
	struct kvm_vcpu_events events;

	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, 1, events.exception.injected | events.exception.pending);
	expect_eq(t, UD_VECTOR, events.exception.nr);
}

static void expect_untouched(struct emu *emu, const struct emu_outcome *outcome)
{
	expect_regs(emu->t, &emu->regs, &outcome->regs);
	expect_bytes(emu->t, emu->start + EMU_DATA, outcome->memory + EMU_DATA, EMU_STACK + 0x100 - EMU_DATA);
}

static void refuse(struct emu *emu)
{
	static const struct emu_values values = { 0x1122334455667788, 0x99aabbccddeeff00, 3, 0 };
	static struct emu_outcome outcome;
	struct test *t = emu->t;

	emu_combine(emu, &values, 0);
	emu_run(emu, true, &outcome);
	if (emu->row->env == ENV_USER) {
		expect_eq(t, KVM_EXIT_HLT, outcome.exit_reason);
		expect_eq(t, UD_VECTOR, outcome.vector);
		expect_untouched(emu, &outcome);
		return;
	}
	require_eq(t, KVM_EXIT_INTERNAL_ERROR, outcome.exit_reason);
	expect_record(emu);
	expect_untouched(emu, &outcome);
	expect_ud_pending(t);
	/* The #UD is taken, so that the next instruction starts with none. */
	t->vcpu->run->kvm_dirty_regs = 0;
	require_result(t, 0, vcpu_run_try(t->vcpu));
	emu_outcome_take(emu, &outcome);
	expect_eq(t, UD_VECTOR, outcome.vector);
	expect_eq(t, emu->regs.rip, outcome.regs.rip);
}

GUEST(emulate_refused)
{
}

HOST(emulate_refused)
{
	emu_row_each(t, ROW(t, rows), refuse);
}

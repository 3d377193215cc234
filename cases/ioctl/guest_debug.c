/* SPDX-License-Identifier: MIT */
/*
 * KVM_SET_GUEST_DEBUG: a single step leaves with KVM_EXIT_DEBUG after every instruction, also after those that KVM does
 * itself or that user space completes; INT3 leaves at the INT3 with KVM_GUESTDBG_USE_SW_BP and is the guest's without.
 *
 * The record names the exception, the linear RIP of the next instruction (of the INT3 itself), DR6 with the cause, and
 * DR7 as the CPU has it. The guest sees nothing of it: not TF in its RFLAGS, not DR6. After the control word is
 * cleared it runs freely.
 *
 * Can break: the step after an emulated or skipped instruction missed; TF left in RFLAGS; BS missing in DR6.
 * Source: KVM API, KVM_SET_GUEST_DEBUG, KVM_EXIT_DEBUG; APM vol. 2, 13.1.1.3 (DR6), 13.1.4 (single stepping).
 */
#include "cases/ioctl/blob.h"
#include "cases/ioctl/vm86.h"

#define DR6_STEP 0xffff4ff0u
#define DR7_RESET 0x400

BLOB(plain, "nop\n\tinc %eax\n\tnop")
BLOB(cpuid, "xor %ecx, %ecx\n\tcpuid\n\tnop")
BLOB(out, "nop\n\tout %al, $0x80\n\tnop")
BLOB(mmio, "nop\n\tmov %al, (%edi)\n\tnop")
BLOB(pushf, "pushf\n\tnop")
BLOB(int3, "nop\n\tint3\n\tinc %eax")

static void step_plain(struct test *t);
static void step_cpuid(struct test *t);
static void step_out(struct test *t);
static void step_mmio(struct test *t);
static void step_hides_tf(struct test *t);
static void step_then_free(struct test *t);
static void sw_breakpoint(struct test *t);
static void refused_when_pending(struct test *t);

/* A step's trap comes in the host. */
#define STEP_SKIPPED .finding = "0506-bochs-svm-single-step", .targets = "lab-svm-bochs", .is_skipped = true

static const struct known step_exits = { .finding = "0502-bochs-step-pending-after-exit", .targets = "lab-vmx*" };
/* With shadow paging it faults first, an exit that leaves no step pending. */
static const struct known step_cold_exits = { .finding = "0502-bochs-step-pending-after-exit", .targets = "lab-vmx*",
					      .needs = "param:kvm_intel.ept=1" };
static const struct known step_mmio_lost = { .finding = "0103-single-step-lost-by-mmio" };

static const struct row {
	struct blob_row blob;
	void (*host)(struct test *t);
	bool is_cold;		/* the first step is the first access to everything */
} rows[] = {
	{ .blob = { .label = "step", .known = { STEP_SKIPPED }, BLOB_OF(plain) }, .host = step_plain },
	{ .blob = { .label = "step_cold", .known = { STEP_SKIPPED, .next = &step_cold_exits }, BLOB_OF(plain) },
	  .host = step_plain, .is_cold = true },
	{ .blob = { .label = "step_cpuid", .known = { STEP_SKIPPED, .next = &step_exits }, BLOB_OF(cpuid) },
	  .host = step_cpuid },
	{ .blob = { .label = "step_out", .known = { STEP_SKIPPED, .next = &step_exits }, BLOB_OF(out) },
	  .host = step_out },
	{ .blob = { .label = "step_mmio", .known = { STEP_SKIPPED, .next = &step_mmio_lost }, BLOB_OF(mmio) },
	  .host = step_mmio },
	{ .blob = { .label = "step_pushf", .modes = PROT32 | LONG64, BLOB_OF(pushf) }, .host = step_hides_tf },
	{ .blob = { .label = "step_pushf", .modes = REAL16, .known = { VM86_KNOWN("4850-real-mode-as-virtual-8086") },
		    BLOB_OF(pushf) }, .host = step_hides_tf },
	{ .blob = { .label = "step_then_free", .known = { STEP_SKIPPED }, BLOB_OF(plain) }, .host = step_then_free },
	{ .blob = { .label = "int3", .known = { .finding = "0102-qemu-int3-not-intercepted", .targets = "lab-svm" },
		    BLOB_OF(int3) }, .host = sw_breakpoint },
	{ .blob = { .label = "inject_pending", BLOB_OF(plain) }, .host = refused_when_pending },
};

CASE(guest_debug, .says = "single steps and INT3 leave with a whole debug record, and the guest sees nothing of it",
     .modes = REAL16 | PROT32 | LONG64, .needs = "KVM_CAP_SET_GUEST_DEBUG", .shadow_too = true, .rows = ROWS(rows))

GUEST(guest_debug)
{
}

/* Once without a debugger: all that it touches is mapped then, and no step is cut in two by a nested page fault. */
static void warm_up(struct test *t)
{
	struct kvm_regs start;
	unsigned int nr_exits = 0;

	blob_enter(t, &ROW(t, rows)->blob, &start);
	do
		require_result(t, 0, vcpu_run_try(t->vcpu));
	while (t->vcpu->run->exit_reason != KVM_EXIT_HLT && ++nr_exits < 4);
}

static uint64_t enter(struct test *t, struct kvm_regs *start)
{
	blob_enter(t, &ROW(t, rows)->blob, start);
	return start->rip;
}

static uint64_t enter_to_step(struct test *t, struct kvm_regs *start)
{
	if (!ROW(t, rows)->is_cold)
		warm_up(t);
	return enter(t, start);
}

static void debug_set(struct test *t, uint32_t control)
{
	struct kvm_guest_debug debug = { .control = control };

	vcpu_ioctl(t->vcpu, KVM_SET_GUEST_DEBUG, &debug);
}

static void expect_step(struct test *t, uint64_t pc)
{
	struct kvm_regs got;

	require_exit(t, .reason = KVM_EXIT_DEBUG,
		     .debug = { .exception = DB_VECTOR, .pc = pc, .dr6 = DR6_STEP, .dr7 = DR7_RESET });
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	expect_eq(t, pc, got.rip);
	expect_eq(t, 0, got.rflags & X86_EFLAGS_TF);
}

/* The step that KVM reports itself, after an instruction it has done or completed; it leaves DR7 as it was. */
static void expect_step_by_kvm(struct test *t, uint64_t pc)
{
	const struct kvm_run *run = t->vcpu->run;
	struct kvm_regs got;

	require_result(t, 0, vcpu_run_try(t->vcpu));
	require_eq(t, KVM_EXIT_DEBUG, run->exit_reason);
	expect_eq(t, DB_VECTOR, run->debug.arch.exception);
	expect_eq(t, pc, run->debug.arch.pc);
	expect_eq(t, DR6_STEP, run->debug.arch.dr6);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	expect_eq(t, pc, got.rip);
}

static void expect_end(struct test *t)
{
	struct kvm_debugregs debug;
	struct kvm_regs got;

	require_hlt(t);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	expect_eq(t, guest_symbol(t, ROW(t, rows)->blob.blob.end), got.rip);
	expect_eq(t, X86_EFLAGS_FIXED, got.rflags & (X86_EFLAGS_TF | X86_EFLAGS_FIXED));
	vcpu_ioctl(t->vcpu, KVM_GET_DEBUGREGS, &debug);
	expect_eq(t, 0xffff0ff0, debug.dr6);
	expect_eq(t, DR7_RESET, debug.dr7);
}

static void step_plain(struct test *t)
{
	uint64_t end = guest_symbol(t, ROW(t, rows)->blob.blob.end);
	struct kvm_regs start, got;
	uint64_t rip = enter_to_step(t, &start);

	debug_set(t, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP);
	expect_step(t, rip + 1);
	expect_step(t, end - 2);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	expect_eq(t, (uint32_t)start.rax + 1, got.rax);
	expect_step(t, end - 1);
	debug_set(t, 0);
	expect_end(t);
}

static void step_cpuid(struct test *t)
{
	uint64_t end = guest_symbol(t, ROW(t, rows)->blob.blob.end);
	struct kvm_regs start;

	enter_to_step(t, &start);
	debug_set(t, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP);
	expect_step(t, end - 4);
	expect_step_by_kvm(t, end - 2);
	expect_step(t, end - 1);
	debug_set(t, 0);
	expect_end(t);
}

static void step_out(struct test *t)
{
	uint64_t end = guest_symbol(t, ROW(t, rows)->blob.blob.end);
	struct kvm_regs start;
	uint64_t rip = enter_to_step(t, &start);

	debug_set(t, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP);
	expect_step(t, rip + 1);
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 0xa8);
	expect_step_by_kvm(t, end - 2);
	expect_step(t, end - 1);
	debug_set(t, 0);
	expect_end(t);
}

static void step_mmio(struct test *t)
{
	uint64_t end = guest_symbol(t, ROW(t, rows)->blob.blob.end);
	struct kvm_regs start;
	uint64_t rip = enter_to_step(t, &start);

	debug_set(t, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP);
	expect_step(t, rip + 1);
	expect_mmio_write(t, .phys_addr = test_mmio_gpa(t) + 0x40, .len = 1, .data = 0xa8);
	expect_step_by_kvm(t, end - 2);
	expect_step(t, end - 1);
	debug_set(t, 0);
	expect_end(t);
}

/* The flags that the guest pushes while stepped are its own. */
static void step_hides_tf(struct test *t)
{
	struct kvm_regs start, got;
	const uint8_t *pushed;

	enter(t, &start);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	expect_regs(t, &start, &got);
	debug_set(t, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	expect_regs(t, &start, &got);
	debug_set(t, 0);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	expect_regs(t, &start, &got);
	expect_end(t);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	pushed = vm_hva(t->vm, test_scratch_gpa(t) + 0x1800 - (start.rsp - got.rsp), 2);
	expect_eq(t, start.rflags, pushed[0] | pushed[1] << 8);
}

static void step_then_free(struct test *t)
{
	struct kvm_regs start;
	uint64_t rip = enter_to_step(t, &start);

	debug_set(t, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP);
	expect_step(t, rip + 1);
	debug_set(t, KVM_GUESTDBG_ENABLE);
	expect_end(t);
}

static void sw_breakpoint(struct test *t)
{
	struct kvm_regs start, got;
	uint64_t rip = enter(t, &start);
	unsigned int i;

	debug_set(t, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP);
	for (i = 0; i < 2; i++) {
		require_exit(t, .reason = KVM_EXIT_DEBUG, .debug = { .exception = BP_VECTOR, .pc = rip + 1 });
		vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
		expect_eq(t, rip + 1, got.rip);
		expect_eq(t, start.rax, got.rax);
	}
	got.rip++;
	vcpu_ioctl(t->vcpu, KVM_SET_REGS, &got);
	expect_end(t);
}

/* KVM_GUESTDBG_INJECT_DB and _BP are refused while an exception is pending. */
static void refused_when_pending(struct test *t)
{
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_INJECT_BP };
	struct kvm_vcpu_events events;
	struct kvm_regs start;

	enter(t, &start);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_GUEST_DEBUG, &debug));
	expect_errno(t, EBUSY, vcpu_ioctl_try(t->vcpu, KVM_SET_GUEST_DEBUG, &debug));
	debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_INJECT_DB;
	expect_errno(t, EBUSY, vcpu_ioctl_try(t->vcpu, KVM_SET_GUEST_DEBUG, &debug));
	vcpu_ioctl(t->vcpu, KVM_SET_VCPU_EVENTS, &events);
	debug_set(t, 0);
	expect_end(t);
}

HOST(guest_debug)
{
	ROW(t, rows)->host(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * An instruction in STI's interrupt shadow that KVM executes for the guest ends the shadow like one that the CPU does: the
 * interrupt that waits is taken right behind it, in L1, and in L2, where it exits.
 *
 * Can break: the shadow that is in the VMCB left there when KVM skips the instruction, so that the interrupt is taken one
 * instruction late; or the shadow lost with the exit, so that it is taken one early.
 * Source: APM vol. 2, 15.21.5; vol. 3, STI; KVM API, KVM_SIGNAL_MSI.
 */
#include "cases/ioctl/lapic_regs.h"
#include "cases/svm/nested_state.h"
#include "guests/l1_svm.h"
#include "case.h"

#define VECTOR 0x55
#define WAIT_PORT 0x81
#define NR_TRIES 3	/* of which one has to be exact */

/* Waits for the interrupt, and has one instruction in the shadow. */
#define CODE(name_, insn_)								\
	INSN(w_##name_, "out %al, $0x81\n\tsti\n\t" insn_ "\n\tw_" #name_ "_next: nop\n\tnop\n\tcli\n\tret")	\
	extern const char w_##name_##_next[] GUEST_API;
CODE(nop, "nop")
CODE(cpuid, "cpuid")
CODE(rdmsr, "rdmsr")
CODE(wrmsr, "wrmsr")
CODE(mmio, "movl $0, (%rsi)")
INSN(w_end, "vmmcall")

struct row {
	ROW_FIELDS;
	const char *code, *next;
	bool is_l2;
};

#define ROW_OF(name_, ...) \
	{ .label = #name_, .code = w_##name_, .next = w_##name_##_next, ##__VA_ARGS__ },	\
	{ .label = #name_ "_l2", .code = w_##name_, .next = w_##name_##_next, .is_l2 = true, ##__VA_ARGS__ }
#define ENTERED_WITH_IF .known = { "0508-bochs-virq-unseen", "lab-svm-bochs" }

static const struct row rows[] = {
	ROW_OF(nop), ROW_OF(cpuid, ENTERED_WITH_IF), ROW_OF(rdmsr, ENTERED_WITH_IF), ROW_OF(wrmsr, ENTERED_WITH_IF),
	/* Not in L2: the page fault of its access is an exit in the shadow, where KVM has an intercepted interrupt exit. */
	{ .label = "mmio", .code = w_mmio, .next = w_mmio_next },
};

CASE(shadow_skip, .says = "an instruction that KVM executes ends the interrupt shadow", .modes = LONG64,
     .needs = "vendor:amd nested KVM_CAP_SIGNAL_MSI", .irqchip = true, .rows = ROWS(rows))

static unsigned int nr_taken;
static uint64_t taken_rip;

static void on_interrupt(struct guest_regs *regs)
{
	taken_rip = regs->rip;
	nr_taken++;
	write32(APIC_EOI, 0);
}

/* An MSR that KVM has for itself, with the value that it has. */
static void run_in_l1(const char *code)
{
	uint64_t value = rdmsr(MSR_VM_HSAVE_PA);
	uint32_t a = value, c = MSR_VM_HSAVE_PA, d = value >> 32;

	__asm__ volatile("call *%4" : "+a"(a), "+c"(c), "+d"(d) : "S"(APIC_TPR), "D"(code) : "rbx", "cc", "memory");
}

static void run_in_l2(const char *code)
{
	static uint64_t stack[64];
	uint64_t value = rdmsr(MSR_VM_HSAVE_PA);

	vmcb_intercept(&l1_vmcb, SVM_EXIT_INTR);
	stack[63] = (ulong_t)w_end;
	l2_regs = (struct l2_regs){ .rcx = MSR_VM_HSAVE_PA, .rdx = value >> 32, .rsi = APIC_TPR };
	l1_vmcb.save.rax = (uint32_t)value;
	l1_vmcb.save.rsp = (ulong_t)&stack[63];
	l1_vmcb.save.rip = (ulong_t)code;
	vmcb_run(&l1_vmcb);
}

/* Whether a try came out right; a host's interrupt in the shadow makes QEMU forget it (finding 0111), now and then. */
static bool is_exact;

static void try_in_l1(const struct row *row)
{
	run_in_l1(row->code);
	is_exact |= taken_rip == (ulong_t)row->next;
	CHECK_EQ(1, nr_taken);
}

static void try_in_l2(const struct row *row)
{
	run_in_l2(row->code);
	taken_rip = l1_vmcb.save.rip;
	is_exact |= taken_rip == (ulong_t)row->next && !(l1_vmcb.control.int_state & INT_STATE_SHADOW);
	CHECK_EXIT(.code = SVM_EXIT_INTR, .rip = taken_rip);
	CHECK_EQ(0, nr_taken);
	sti_nop_cli();
	CHECK_EQ(1, nr_taken);
	vmcb_run(&l1_vmcb);
	CHECK_L2_DONE(w_end);
}

GUEST(shadow_skip)
{
	const struct row *row = GUEST_ROW(rows);
	unsigned int i;

	guest_handle(VECTOR, on_interrupt);
	write32(APIC_SVR, SVR_ENABLE | 0xff);
	l1_svm_init();
	for (i = 0; i < NR_TRIES; i++) {
		nr_taken = 0;
		if (row->is_l2)
			try_in_l2(row);
		else
			try_in_l1(row);
	}
	if (!is_exact)
		CHECK_EQ((ulong_t)row->next, taken_rip);
	CHECK(is_exact);
}

HOST(shadow_skip)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = VECTOR };
	unsigned int i;

	/* The host save area is page aligned. */
	for (i = 0; i < NR_TRIES; i++) {
		require_pio_out(t, .port = WAIT_PORT, .size = 1, .count = 1, .data = 0);
		expect_result(t, 1, vm_ioctl_try(t->vm, KVM_SIGNAL_MSI, &msi));
	}
	expect_done(t);
}

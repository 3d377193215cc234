/* SPDX-License-Identifier: MIT */
/*
 * An interrupt controller's test as a list of steps, each of which is taken by the guest (port, MMIO and MSR accesses,
 * windows in which interrupts are taken) or by the host (lines, MSIs). A row is a list; a step that does not hold is
 * reported with the line of the table that it stands in.
 *
 *	{ .label = "once", .ops = OPS { OUT8(0x21, 0xdf), LINE(5, 1), TAKE(0x25), IN8(0x20, 0), TAKE(0), END } },
 *
 * The host walks the list and lets one vCPU take one step at a time, so that all of it is one order, also with more
 * than one vCPU: VCPU(n) says who takes the steps that follow. The others stand still meanwhile, with IF = 0.
 *
 * A guest's interrupts are off but in TAKE() and HALT(); its handlers do nothing but note the vector. What was taken is
 * one number with a byte for each vector, in the order of their arrival: 0x2123 is 0x21 and then 0x23, 0 is nothing.
 */
#ifndef VMASSAY_IRQ_SCRIPT_H
#define VMASSAY_IRQ_SCRIPT_H

#include "case.h"

enum op_kind {
	OP_END,
	/* The guest's. */
	OP_OUT8,
	OP_IN8,
	OP_WRITE32,
	OP_READ32,
	OP_WRMSR,
	OP_RDMSR,
	OP_WRMSR_GP,
	OP_RDMSR_GP,
	OP_WRITE_CR8,
	OP_READ_CR8,
	OP_TAKE,
	OP_HALT,
	OP_GUEST,
	/* The host's. */
	OP_LINE,
	OP_STATUS,
	OP_MSI,
	OP_VCPU,
	OP_HOST,
};

struct op {
	enum op_kind kind;
	unsigned int line;
	const char *file, *text;
	uint64_t at;		/* port, address, MSR, GSI, vCPU */
	uint64_t value;		/* written, level, MSI data */
	uint64_t mask;		/* of what is compared */
	uint64_t want;
	const struct exit_record *exit;		/* comes of the guest's step, before the step is over; NULL: none */
	void (*guest)(void);
	void (*host)(struct test *t);		/* of a guest's step: what user space does at its exit */
};

/* .ops = OPS { LINE(2, 1), TAKE(0x22), END } */
#define OPS (const struct op[])
#define OP(kind_, text_) .kind = kind_, .line = __LINE__, .file = __FILE__, .text = text_
#define END { .kind = OP_END }

#define OUT8(port_, value_) { OP(OP_OUT8, "OUT8 " #port_), .at = port_, .value = value_ }
#define IN8(port_, want_) { OP(OP_IN8, "IN8 " #port_), .at = port_, .mask = 0xff, .want = want_ }
#define IN8_BITS(port_, mask_, want_) { OP(OP_IN8, "IN8 " #port_), .at = port_, .mask = mask_, .want = want_ }
/* 32 bits of a memory-mapped register. The forms with a mask compare some bits. */
#define WRITE32(at_, value_) { OP(OP_WRITE32, "WRITE32 " #at_), .at = at_, .value = value_ }
#define READ32(at_, want_) { OP(OP_READ32, "READ32 " #at_), .at = at_, .mask = 0xffffffff, .want = want_ }
#define READ32_BITS(at_, mask_, want_) { OP(OP_READ32, "READ32 " #at_), .at = at_, .mask = mask_, .want = want_ }
#define WRMSR(msr_, value_) { OP(OP_WRMSR, "WRMSR " #msr_), .at = msr_, .value = value_, .want = 0 }
#define RDMSR(msr_, want_) { OP(OP_RDMSR, "RDMSR " #msr_), .at = msr_, .mask = ~0ull, .want = want_ }
/* The access is refused with #GP(0). */
#define WRMSR_GP(msr_, value_) { OP(OP_WRMSR_GP, "WRMSR " #msr_ ", " #value_), .at = msr_, .value = value_ }
#define RDMSR_GP(msr_) { OP(OP_RDMSR_GP, "RDMSR " #msr_), .at = msr_ }
#define WRITE_CR8(value_) { OP(OP_WRITE_CR8, "WRITE_CR8"), .value = value_ }
#define READ_CR8(want_) { OP(OP_READ_CR8, "READ_CR8"), .mask = ~0ull, .want = want_ }
/* Opens a window of some instructions; then, whatever was taken since the last time. */
#define TAKE(want_) { OP(OP_TAKE, "TAKE"), .mask = ~0ull, .want = want_ }
/* Waits in HLT for the first one. */
#define HALT(want_) { OP(OP_HALT, "HALT"), .mask = ~0ull, .want = want_ }
#define GUEST_DO(function_) { OP(OP_GUEST, #function_), .guest = function_ }
/* The same steps, leaving for user space on the way. */
#define WRITE32_EXIT(at_, value_, ...)							\
	{ OP(OP_WRITE32, "WRITE32 " #at_), .at = at_, .value = value_,			\
	  .exit = &(const struct exit_record){ __VA_ARGS__ } }

#define OUT8_EXIT(port_, value_, ...)							\
	{ OP(OP_OUT8, "OUT8 " #port_), .at = port_, .value = value_, .exit = &(const struct exit_record){ __VA_ARGS__ } }

/* KVM_IRQ_LINE. */
#define LINE(gsi_, level_) { OP(OP_LINE, "KVM_IRQ_LINE " #gsi_), .at = gsi_, .value = level_ }
/* KVM_IRQ_LINE_STATUS: 1 delivered, 0 coalesced, -1 ignored. */
#define STATUS(gsi_, level_, want_)							\
	{ OP(OP_STATUS, "KVM_IRQ_LINE_STATUS " #gsi_), .at = gsi_, .value = level_, .want = (uint64_t)(want_) }
/* KVM_SIGNAL_MSI: returns the number of vCPUs that took it, or a negative errno. */
#define SIGNAL_MSI(address_, data_, want_)						\
	{ OP(OP_MSI, "KVM_SIGNAL_MSI"), .at = address_, .value = data_, .want = (uint64_t)(want_) }
#define VCPU(index_) { OP(OP_VCPU, "VCPU"), .at = index_ }
#define HOST_DO(function_) { OP(OP_HOST, #function_), .host = ON_HOST(function_) }

/* --- the guest's half --- */

static volatile uint64_t script_taken[ABI_MAX_VCPUS];

/*
 * STI, NOP, HLT, CLI. An interrupt in front of the HLT goes on behind it, so that none that comes at any time is waited
 * for in vain: QEMU 7.2 does not keep STI's shadow over VMRUN, and STI, HLT is not one step there.
 */
INSN(script_halt, "sti\n\tnop\n\thlt\n\tcli\n\tret")

#define SCRIPT_HALT_END ((ulong_t)script_halt + 3)

static void __attribute__((unused)) script_on_interrupt(struct guest_regs *regs)
{
	uint32_t index = vcpu_index();

	script_taken[index] = script_taken[index] << 8 | regs->vector;
	if (regs->rip >= (ulong_t)script_halt && regs->rip < SCRIPT_HALT_END)
		regs->rip = SCRIPT_HALT_END;
}

static uint64_t script_take(void)
{
	uint32_t index = vcpu_index();
	uint64_t taken = script_taken[index];

	script_taken[index] = 0;
	return taken;
}

static void op_check(const struct op *op, uint64_t got)
{
	guest_check((got & op->mask) == op->want, op->file, op->line, op->text, op->want, got & op->mask);
}

static void op_check_fault(const struct op *op, int32_t vector, struct fault fault)
{
	guest_check_fault(op->file, op->line, op->text, vector, 0, fault);
}

/* Some more instructions than sti_nop_cli(), for more than one interrupt. */
static inline void window_open(void)
{
	unsigned int nr = abi_self()->misses_windows ? 4 : 1;

	while (nr--)
		__asm__ volatile("sti\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\tcli" : : : "memory");
}

/* An NMI may have come since the last step: it would be the only one. */
static inline void halt_once(void)
{
	if (script_taken[vcpu_index()])
		return;
	((void (*)(void))(ulong_t)script_halt)();
	if (abi_self()->misses_windows && !script_taken[vcpu_index()])
		window_open();
}

static void op_guest(const struct op *op)
{
	struct fault fault;
	uint64_t value = 0;

	switch (op->kind) {
	case OP_OUT8:
		out8(op->at, op->value);
		break;
	case OP_IN8:
		op_check(op, in8(op->at));
		break;
	case OP_WRITE32:
		write32(op->at, op->value);
		break;
	case OP_READ32:
		op_check(op, read32(op->at));
		break;
	case OP_WRMSR:
		op_check_fault(op, NO_VECTOR, wrmsr_safe(op->at, op->value));
		break;
	case OP_RDMSR:
		fault = rdmsr_safe(op->at, &value);
		op_check_fault(op, NO_VECTOR, fault);
		op_check(op, value);
		break;
	case OP_WRMSR_GP:
		op_check_fault(op, GP_VECTOR, wrmsr_safe(op->at, op->value));
		break;
	case OP_RDMSR_GP:
		op_check_fault(op, GP_VECTOR, rdmsr_safe(op->at, &value));
		break;
#ifdef __x86_64__
	case OP_WRITE_CR8:
		write_cr8(op->value);
		break;
	case OP_READ_CR8:
		op_check(op, read_cr8());
		break;
#endif
	case OP_TAKE:
		window_open();
		op_check(op, script_take());
		break;
	case OP_HALT:
		halt_once();
		op_check(op, script_take());
		break;
	case OP_GUEST:
		op->guest();
		break;
	default:
		break;
	}
}

/* GUEST() of every vCPU; the host names the next step in argument 0. */
static void __attribute__((unused)) script_guest(const struct op *ops)
{
	unsigned int vector;
	uint64_t at;

	guest_handle(NMI_VECTOR, script_on_interrupt);
	for (vector = 32; vector < 256; vector++)
		guest_handle(vector, script_on_interrupt);
	guest_sync(0);
	for (;;) {
		at = GUEST_ARG(0);
		if (ops[at].kind == OP_END)
			return;
		op_guest(&ops[at]);
		guest_sync(at + 1);
	}
}

/* --- the host's half --- */

static void op_guest_run(struct test *t, const struct op *op, unsigned int at)
{
	struct check_at where = { op->file, op->line, CHECK_REQUIRE };

	guest_arg(t, 0, at);
	if (op->exit)
		test_check_exit(t, where, op->exit);
	if (op->host)
		op->host(t);
	test_check_sync(t, where, at + 1);
}

static long line_status_try(struct test *t, uint32_t gsi, uint32_t level)
{
	struct kvm_irq_level line = { .irq = gsi, .level = level };
	long r = vm_ioctl_try(t->vm, KVM_IRQ_LINE_STATUS, &line);

	return r ? r : (int32_t)line.status;
}

static void op_host(struct test *t, const struct op *op)
{
	struct check_at where = { op->file, op->line, CHECK_EXPECT };
	struct kvm_irq_level line = { .irq = op->at, .level = op->value };
	struct kvm_msi msi = { .address_lo = op->at, .address_hi = op->at >> 32, .data = op->value };

	switch (op->kind) {
	case OP_LINE:
		test_check_result(t, where, op->text, 0, vm_ioctl_try(t->vm, KVM_IRQ_LINE, &line));
		break;
	case OP_STATUS:
		test_check_u64(t, where, op->text, op->want, line_status_try(t, op->at, op->value));
		break;
	case OP_MSI:
		test_check_result(t, where, op->text, op->want, vm_ioctl_try(t->vm, KVM_SIGNAL_MSI, &msi));
		break;
	case OP_VCPU:
		t->vcpu = t->vm->vcpus[op->at];
		break;
	default:
		op->host(t);
	}
}

/* HOST(): all vCPUs run from here on, none of them waits for an INIT. Ends with vCPU 0 done. */
static void __attribute__((unused)) script_host(struct test *t, const struct op *ops)
{
	struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };
	unsigned int i;

	for (i = 0; i < t->vm->nr_vcpus; i++) {
		t->vcpu = t->vm->vcpus[i];
		vcpu_ioctl(t->vcpu, KVM_SET_MP_STATE, &runnable);
		require_sync(t, 0);
	}
	t->vcpu = t->vm->vcpus[0];
	for (i = 0; ops[i].kind != OP_END; i++) {
		if (ops[i].kind < OP_LINE)
			op_guest_run(t, &ops[i], i);
		else
			op_host(t, &ops[i]);
	}
	t->vcpu = t->vm->vcpus[0];
	guest_arg(t, 0, i);
	expect_done(t);
}

#endif

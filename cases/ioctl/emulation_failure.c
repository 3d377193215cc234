/* SPDX-License-Identifier: MIT */
/*
 * An instruction that KVM must emulate and cannot: FBLD from memory without a slot, and code that lies there itself.
 *
 * At CPL 0 KVM_RUN ends with KVM_EXIT_INTERNAL_ERROR, suberror EMULATION, and #UD is pending, which the guest takes
 * when it runs on; at CPL 3 the guest gets the #UD and user space nothing. With KVM_CAP_EXIT_ON_EMULATION_FAILURE it
 * is always the exit and never the #UD, so that user space may go on behind the instruction. The record names the
 * instruction's bytes; where none could be fetched, its flags say that there are none.
 *
 * Can break: RIP moved at the exit; #UD queued beside the exit, or forgotten; the bytes shifted or of another
 * instruction, their flag or ndata missing.
 * Source: KVM API, KVM_EXIT_INTERNAL_ERROR, KVM_CAP_EXIT_ON_EMULATION_FAILURE; linux/kvm.h, emulation_failure.
 */
#include "case.h"

#define FBLD ".byte 0xdf, 0x27"		/* fbld (%edi), (%rdi) */
#define FBLD_BYTES 2

static void guest_kernel(void);
static void guest_user(void);
static void guest_fetch(void);
static void expect_ud(struct test *t);
static void expect_skipped(struct test *t);
static void expect_nothing(struct test *t);
static void expect_no_bytes(struct test *t);

static const struct row {
	ROW_FIELDS;
	bool exits_always;	/* KVM_CAP_EXIT_ON_EMULATION_FAILURE */
	bool faults;
	void (*guest)(void);
	void (*host)(struct test *t);
} rows[] = {
#define SOFT_KNOWN .known = { .finding = "3101-soft-emulates-what-kvm-refuses", .targets = "soft-svm" }
#define CAP .needs = "KVM_CAP_EXIT_ON_EMULATION_FAILURE", .exits_always = true
	{ .label = "kernel", SOFT_KNOWN, .faults = true, .guest = guest_kernel, .host = ON_HOST(expect_ud) },
	{ .label = "kernel_cap", SOFT_KNOWN, CAP, .guest = guest_kernel, .host = ON_HOST(expect_skipped) },
	{ .label = "user", SOFT_KNOWN, .modes = LONG64, .faults = true, .guest = guest_user, .host = ON_HOST(expect_nothing) },
	{ .label = "user_cap", SOFT_KNOWN, .modes = LONG64, CAP, .guest = guest_user, .host = ON_HOST(expect_skipped) },
	{ .label = "fetch", .modes = PROT32 | LONG64, .faults = true, .guest = guest_fetch, .host = ON_HOST(expect_no_bytes) },
};

CASE(emulation_failure, .says = "what KVM cannot emulate is an internal error with its bytes, or #UD",
     .modes = PROT32 | PAE32 | LONG64, .rows = ROWS(rows))

static void guest_kernel(void)
{
	bool faults = GUEST_ROW(rows)->faults;
	struct fault f;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		f = TRY(FBLD, : : "D"(mmio_base() + 0x40) : "memory");
		CHECK_FAULT(faults ? UD_VECTOR : NO_VECTOR, 0, f);
	}
}

static void fbld(void *address)
{
	__asm__ volatile(FBLD : : "D"(address) : "memory");
}

static void guest_user(void)
{
	bool faults = GUEST_ROW(rows)->faults;
	unsigned int i;

	for (i = 0; i < 2; i++)
		CHECK_FAULT(faults ? UD_VECTOR : NO_VECTOR, 0, guest_catch_user(fbld, (void *)(mmio_base() + 0x40)));
}

static void jump(void *address)
{
	((void (*)(void))address)();
}

static void guest_fetch(void)
{
	struct fault f = guest_catch(jump, (void *)(mmio_base() + 0x40));

	CHECK_FAULT(UD_VECTOR, 0, f);
	CHECK_EQ(mmio_base() + 0x40, f.rip);
}

GUEST(emulation_failure)
{
	GUEST_ROW(rows)->guest();
}

/* Compares what is ABI; the rest of data[] is debugging. */
static uint64_t expect_failure(struct test *t, const uint8_t *code, unsigned int nr)
{
	const struct kvm_run *run = t->vcpu->run;
	struct kvm_regs regs;

	require_result(t, 0, vcpu_run_try(t->vcpu));
	require_eq(t, KVM_EXIT_INTERNAL_ERROR, run->exit_reason);
	require_eq(t, KVM_INTERNAL_ERROR_EMULATION, run->emulation_failure.suberror);
	expect_eq(t, nr ? KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES : 0, run->emulation_failure.flags);
	expect_true(t, run->emulation_failure.ndata >= (nr ? 3 : 1) && run->emulation_failure.ndata <= 16);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &regs);
	if (!nr)
		return regs.rip;
	require_true(t, run->emulation_failure.insn_size >= nr && run->emulation_failure.insn_size <= 15);
	expect_bytes(t, code, run->emulation_failure.insn_bytes, nr);
	expect_bytes(t, vm_hva(t->vm, regs.rip, 15), run->emulation_failure.insn_bytes,
		     run->emulation_failure.insn_size);
	return regs.rip;
}

static const uint8_t fbld_code[FBLD_BYTES] = { 0xdf, 0x27 };

static void expect_pending(struct test *t, bool is_pending)
{
	struct kvm_vcpu_events events;

	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, is_pending, events.exception.injected | events.exception.pending);
	if (is_pending)
		expect_eq(t, UD_VECTOR, events.exception.nr);
}

static void expect_ud(struct test *t)
{
	expect_failure(t, fbld_code, FBLD_BYTES);
	expect_pending(t, true);
	expect_failure(t, fbld_code, FBLD_BYTES);
	expect_done(t);
}

static void expect_skipped(struct test *t)
{
	struct kvm_regs regs;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		expect_failure(t, fbld_code, FBLD_BYTES);
		expect_pending(t, false);
		vcpu_ioctl(t->vcpu, KVM_GET_REGS, &regs);
		regs.rip += FBLD_BYTES;
		vcpu_ioctl(t->vcpu, KVM_SET_REGS, &regs);
	}
	expect_done(t);
}

static void expect_nothing(struct test *t)
{
	expect_done(t);
}

static void expect_no_bytes(struct test *t)
{
	expect_eq(t, test_mmio_gpa(t) + 0x40, expect_failure(t, NULL, 0));
	expect_pending(t, true);
	expect_done(t);
}

HOST(emulation_failure)
{
	const struct row *row = ROW(t, rows);

	if (row->exits_always)
		vm_ioctl(t->vm, KVM_ENABLE_CAP, (&(struct kvm_enable_cap){
			.cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args = { 1 } }));
	row->host(t);
}

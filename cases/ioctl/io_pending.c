/* SPDX-License-Identifier: MIT */
/*
 * Where a vCPU stands between an I/O exit and the KVM_RUN that completes it, and what that KVM_RUN does when it may
 * not run the guest.
 *
 * The access is complete only after user space has entered again; with immediate_exit set, or a signal pending, that
 * entry completes it and returns EINTR without executing another instruction. What was answered before does not
 * complete twice. RIP at the exit is KVM's convention, which user space came to depend on: an OUT, an IN and an MMIO
 * read wait at their instruction, an MMIO write is already behind it, as is an OUT to port 0x7e (a quirk that can be
 * disabled). A user space that moves RIP at an OUT or IN exit finds the access dropped, not RIP moved again.
 *
 * Can break: an EINTR that loses the answer, or runs on; completion twice; RIP advanced at the exit and again.
 * Source: KVM API, KVM_RUN ("complete (and guest state is consistent) only after userspace has re-entered the kernel"),
 * kvm_run.immediate_exit, KVM_CAP_DISABLE_QUIRKS2 (KVM_X86_QUIRK_OUT_7E_INC_RIP).
 */
#include "cases/ioctl/blob.h"

BLOB(out, "out %al, $0x80\n\tmov $0x77, %bl")
BLOB(out_7e, "out %al, $0x7e\n\tmov $0x77, %bl")
BLOB(in, "in $0x80, %al\n\tmov $0x77, %bl")
BLOB(outsb, "outsb\n\tmov $0x77, %bl")
BLOB(insb, "insb\n\tmov $0x77, %bl")
BLOB(read, "mov (%edi), %eax\n\tmov $0x77, %bl")
BLOB(write, "mov %eax, (%edi)\n\tmov $0x77, %bl")
BLOB(rmw, "incl (%edi)\n\tmov $0x77, %bl")

enum rip { RIP_BEFORE, RIP_AFTER };

struct row {
	struct blob_row blob;
	enum rip rip;		/* at the last exit */
	bool disables_7e;
	void (*host)(struct test *t);
};

static void complete_and_hlt(struct test *t);
static void complete_twice(struct test *t);
static void complete_after_kick(struct test *t);
static void rip_moved(struct test *t);

#define HOW(host_, suffix_, rip_, name_, ...)						\
	{ .blob = { .label = #name_ "_" suffix_, BLOB_OF(name_), __VA_ARGS__ }, .rip = rip_, .host = host_ }
#define ALL_WAYS(rip_, name_, ...)							\
	HOW(complete_and_hlt, "rip", rip_, name_, __VA_ARGS__),				\
	HOW(complete_after_kick, "eintr", rip_, name_, __VA_ARGS__),			\
	HOW(complete_twice, "eintr_twice", rip_, name_, __VA_ARGS__)

#define OUT_ROW .steps = { OUT(0x80, 1, 0xa8) }
#define IN_ROW .steps = { IN(0x80, 1, 0x5c) }, .out = { REG(RAX, 0xa1a2a3a4a5a6a75c) }

static const struct row rows[] = {
	ALL_WAYS(RIP_BEFORE, out, OUT_ROW),
	ALL_WAYS(RIP_BEFORE, in, IN_ROW),
	ALL_WAYS(RIP_AFTER, out_7e, .steps = { OUT(0x7e, 1, 0xa8) }),
	ALL_WAYS(RIP_AFTER, outsb, .ds_ram = true, .ram_in = { BYTES(0x840, 1, 0x91) }, .steps = { OUT(0xd7d8, 1, 0x91) },
		 .out = { PTR(RSI, RAM, 0x841) }),
	ALL_WAYS(RIP_BEFORE, insb, .es_ram = true, .in = { PTR(RDI, RAM, 0x900) }, .steps = { IN(0xd7d8, 1, 0x5c) },
		 .out = { PTR(RDI, RAM, 0x901) }, .ram_out = { BYTES(0x900, 1, 0x5c) }),
	ALL_WAYS(RIP_BEFORE, read, .steps = { RD(0x40, 4, 0x11223344) }, .out = { REG(RAX, 0x11223344) }),
	ALL_WAYS(RIP_AFTER, write, .steps = { WR(0x40, 4, 0xa5a6a7a8) }),
	ALL_WAYS(RIP_AFTER, rmw, .steps = { RD(0x40, 4, 1), WR(0x40, 4, 2) }, FLAGS(CF)),
	HOW(rip_moved, "moved", RIP_BEFORE, out, OUT_ROW),
	HOW(rip_moved, "moved", RIP_BEFORE, in, .steps = { IN(0x80, 1, 0x5c) }),
	{ .blob = { .label = "out_7e_no_quirk", .needs = "KVM_CAP_DISABLE_QUIRKS2&8", BLOB_OF(out_7e),
		    .steps = { OUT(0x7e, 1, 0xa8) } },
	  .rip = RIP_BEFORE, .disables_7e = true, .host = complete_and_hlt },
};

CASE(io_pending, .says = "an I/O exit completes on the next KVM_RUN, once, whether or not that runs the guest",
     .modes = REAL16 | PROT32 | LONG64, .rows = ROWS(rows))

GUEST(io_pending)
{
}

/* MOV $imm8, %bl is the two bytes before the blob's HLT: between them and its start is the instruction under test. */
#define TAIL_BYTES 3

static void state_check(struct test *t, const struct kvm_regs *want, uint64_t undefined)
{
	struct kvm_regs got;

	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	got.rflags &= ~undefined;
	expect_regs(t, want, &got);
}

/* The row's exits; *@ret_start is the state before, *@ret_done that when they are complete. */
static void run_exits(struct test *t, struct kvm_regs *ret_start, struct kvm_regs *ret_done)
{
	const struct row *row = ROW(t, rows);
	uint64_t after = guest_symbol(t, row->blob.blob.end) - TAIL_BYTES;
	struct kvm_regs got;
	unsigned int i;

	blob_enter(t, &row->blob, ret_start);
	*ret_done = *ret_start;
	blob_regs_after(t, &row->blob, after, ret_done);
	for (i = 0; i < 9 && row->blob.steps[i].kind; i++)
		blob_step(t, &row->blob, &row->blob.steps[i]);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	expect_eq(t, row->rip == RIP_AFTER ? after : ret_start->rip, got.rip);
}

/* Nothing is left but the MOV and the HLT; memory is as the row says. */
static void run_to_end(struct test *t, struct kvm_regs want)
{
	const struct row *row = ROW(t, rows);
	uint8_t want_ram[BLOB_RAM_BYTES];

	require_hlt(t);
	want.rip += TAIL_BYTES;
	want.rbx = (want.rbx & ~0xffull) | 0x77;
	state_check(t, &want, row->blob.undefined);
	blob_ram_fill(want_ram, &row->blob, true);
	expect_bytes(t, want_ram, vm_hva(t->vm, test_scratch_gpa(t), BLOB_RAM_BYTES), BLOB_RAM_BYTES);
}

static void complete_and_hlt(struct test *t)
{
	struct kvm_regs start, done;

	run_exits(t, &start, &done);
	run_to_end(t, done);
}

static void enter_without_running(struct test *t, const struct kvm_regs *want)
{
	t->vcpu->run->immediate_exit = 1;
	expect_run_error(t, EINTR);
	state_check(t, want, ROW(t, rows)->blob.undefined);
}

static void complete_after_kick(struct test *t)
{
	struct kvm_regs start, done;

	run_exits(t, &start, &done);
	enter_without_running(t, &done);
	t->vcpu->run->immediate_exit = 0;
	run_to_end(t, done);
}

/* What is in the data area after the first completion is nobody's answer any more. */
static void complete_twice(struct test *t)
{
	struct kvm_run *run = t->vcpu->run;
	bool is_pio = ROW(t, rows)->blob.steps[0].kind <= STEP_IN;
	struct kvm_regs start, done;
	uint64_t data_offset;

	run_exits(t, &start, &done);
	data_offset = run->io.data_offset;
	enter_without_running(t, &done);
	memset(is_pio ? (uint8_t *)run + data_offset : run->mmio.data, 0xee, 8);
	enter_without_running(t, &done);
	run->immediate_exit = 0;
	run_to_end(t, done);
}

static void rip_moved(struct test *t)
{
	struct kvm_regs start, done, want;

	run_exits(t, &start, &done);
	want = start;
	want.rip = done.rip;
	vcpu_ioctl(t->vcpu, KVM_SET_REGS, &want);
	run_to_end(t, want);
}

HOST(io_pending)
{
	const struct row *row = ROW(t, rows);

	if (row->disables_7e)
		vm_ioctl(t->vm, KVM_ENABLE_CAP, (&(struct kvm_enable_cap){
			.cap = KVM_CAP_DISABLE_QUIRKS2, .args = { KVM_X86_QUIRK_OUT_7E_INC_RIP } }));
	row->host(t);
}

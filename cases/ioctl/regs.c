/* SPDX-License-Identifier: MIT */
/*
 * KVM_SET_REGS gives every register its own value, the guest runs with them, and KVM_GET_REGS says what it left.
 *
 * The guest swaps all registers in pairs by XCHG, so that a register in the wrong place of either direction shows.
 *
 * Can break: two registers swapped in set or get, the upper half lost, RSP or RIP from a stale cache, RFLAGS bit 1.
 * Source: KVM API, 4.11 and 4.12 (KVM_GET_REGS, KVM_SET_REGS).
 */
#include "case.h"

INSN(swap_all,
     "xchg %rax, %rbx\n xchg %rcx, %rdx\n xchg %rsi, %rdi\n xchg %rsp, %rbp\n xchg %r8, %r9\n"
     "xchg %r10, %r11\n xchg %r12, %r13\n xchg %r14, %r15\n hlt\n"
     "inc %rax\n hlt\n")

static const struct kvm_regs first = {
	.rax = 0x1111111122222201, .rbx = 0x1111111122222202, .rcx = 0x1111111122222203, .rdx = 0x1111111122222204,
	.rsi = 0x9111111122222205, .rdi = 0x9111111122222206, .rsp = 0x9111111122222207, .rbp = 0x9111111122222208,
	.r8 = 0xf111111122222209, .r9 = 0xf11111112222220a, .r10 = 0xf11111112222220b, .r11 = 0xf11111112222220c,
	.r12 = 0x711111112222220d, .r13 = 0x711111112222220e, .r14 = 0x711111112222220f, .r15 = 0x7111111122222210,
	.rflags = X86_EFLAGS_FIXED | X86_EFLAGS_CF | X86_EFLAGS_ZF | X86_EFLAGS_OF | X86_EFLAGS_AC,
};

static const struct kvm_regs swapped = {
	.rbx = 0x1111111122222201, .rax = 0x1111111122222202, .rdx = 0x1111111122222203, .rcx = 0x1111111122222204,
	.rdi = 0x9111111122222205, .rsi = 0x9111111122222206, .rbp = 0x9111111122222207, .rsp = 0x9111111122222208,
	.r9 = 0xf111111122222209, .r8 = 0xf11111112222220a, .r11 = 0xf11111112222220b, .r10 = 0xf11111112222220c,
	.r13 = 0x711111112222220d, .r12 = 0x711111112222220e, .r15 = 0x711111112222220f, .r14 = 0x7111111122222210,
	.rflags = X86_EFLAGS_FIXED | X86_EFLAGS_CF | X86_EFLAGS_ZF | X86_EFLAGS_OF | X86_EFLAGS_AC,
};

static void expect_round_trip(struct test *t, const struct kvm_regs *set)
{
	struct kvm_regs got;
	struct kvm_sregs before, after;

	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &before);
	vcpu_ioctl(t->vcpu, KVM_SET_REGS, set);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	expect_regs(t, set, &got);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &after);
	expect_sregs(t, &before, &after);
}

static void host_round_trip(struct test *t)
{
	struct kvm_regs set = first, inverse = swapped;

	set.rip = 0x00007ffffffffff8;
	expect_round_trip(t, &set);
	inverse.rip = 0xffff800000000000;
	inverse.rflags = X86_EFLAGS_FIXED | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_SF | X86_EFLAGS_DF;
	expect_round_trip(t, &inverse);
	expect_round_trip(t, &set);
}

/* Each flag of RFLAGS alone; bit 1 is always set. */
static void host_flags(struct test *t)
{
	static const uint64_t flags[] = {
		X86_EFLAGS_CF, X86_EFLAGS_PF, X86_EFLAGS_AF, X86_EFLAGS_ZF, X86_EFLAGS_SF, X86_EFLAGS_TF,
		X86_EFLAGS_IF, X86_EFLAGS_DF, X86_EFLAGS_OF, 0x1000, 0x2000, X86_EFLAGS_NT, X86_EFLAGS_RF,
		X86_EFLAGS_AC, 1 << 19, 1 << 20, 1 << 21,
	};
	struct kvm_regs set = first, got;
	unsigned int i;

	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		set.rflags = flags[i] | X86_EFLAGS_FIXED;
		vcpu_ioctl(t->vcpu, KVM_SET_REGS, &set);
		vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
		expect_regs(t, &set, &got);
	}
	set.rflags = 0;
	vcpu_ioctl(t->vcpu, KVM_SET_REGS, &set);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	set.rflags = X86_EFLAGS_FIXED;
	expect_regs(t, &set, &got);
}

static void host_run(struct test *t)
{
	struct kvm_regs set = first, want = swapped, got;
	uint64_t end = guest_symbol(t, "swap_all_end");

	set.rip = guest_symbol(t, "swap_all");
	vcpu_ioctl(t->vcpu, KVM_SET_REGS, &set);
	expect_hlt(t);
	want.rip = end - 4;
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	expect_regs(t, &want, &got);
	want.rax = ~0ull;
	vcpu_ioctl(t->vcpu, KVM_SET_REGS, &want);
	expect_hlt(t);
	want.rip = end;
	want.rax = 0;	/* INC leaves CF */
	want.rflags = X86_EFLAGS_FIXED | X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_ZF | X86_EFLAGS_AF | X86_EFLAGS_AC;
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	expect_regs(t, &want, &got);
}

/* What the other vCPU has is its own. */
static void host_two_vcpus(struct test *t)
{
	struct kvm_regs one = first, two = swapped, got;

	one.rip = 0x1234;
	two.rip = 0x5678;
	vcpu_ioctl(t->vm->vcpus[0], KVM_SET_REGS, &one);
	vcpu_ioctl(t->vm->vcpus[1], KVM_SET_REGS, &two);
	vcpu_ioctl(t->vm->vcpus[0], KVM_GET_REGS, &got);
	expect_regs(t, &one, &got);
	vcpu_ioctl(t->vm->vcpus[1], KVM_GET_REGS, &got);
	expect_regs(t, &two, &got);
}

/* The registers in struct kvm_run: both directions, and only when asked. */
static void host_sync_regs(struct test *t)
{
	struct kvm_sync_regs *sync = &t->vcpu->run->s.regs;
	struct kvm_regs want = swapped, got;
	struct kvm_sregs sregs;

	sync->regs = first;
	sync->regs.rip = guest_symbol(t, "swap_all");
	t->vcpu->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	t->vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
	expect_hlt(t);
	want.rip = guest_symbol(t, "swap_all_end") - 4;
	expect_regs(t, &want, &sync->regs);
	expect_eq(t, 0, t->vcpu->run->kvm_dirty_regs);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	expect_regs(t, &want, &got);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	expect_sregs(t, &sregs, &sync->sregs);
	/* Neither read nor written when no bit asks for it. */
	sync->regs.rax = 0x7777;
	t->vcpu->run->kvm_valid_regs = 0;
	expect_hlt(t);
	expect_eq(t, 0x7777, sync->regs.rax);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	expect_eq(t, want.rax + 1, got.rax);
	t->vcpu->run->kvm_valid_regs = 1ull << 3;
	expect_run_error(t, EINVAL);
	t->vcpu->run->kvm_valid_regs = 0;
	t->vcpu->run->kvm_dirty_regs = 1ull << 3;
	expect_run_error(t, EINVAL);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &want);
	expect_regs(t, &got, &want);
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "round_trip", .host = host_round_trip },
	{ .label = "flags", .host = host_flags },
	{ .label = "run", .host = host_run },
	{ .label = "two_vcpus", .host = host_two_vcpus },
	{ .label = "sync_regs", .host = host_sync_regs, .needs = "KVM_CAP_SYNC_REGS&7" },
};

CASE(regs, .says = "registers set are the registers run with and read back", .modes = LONG64, .nr_vcpus = 2,
     .rows = ROWS(rows))

GUEST(regs)
{
}

HOST(regs)
{
	ROW(t, rows)->host(t);
}

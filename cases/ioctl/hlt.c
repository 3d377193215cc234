/* SPDX-License-Identifier: MIT */
/*
 * HLT without an in-kernel interrupt controller leaves with KVM_EXIT_HLT, RIP behind it, and the next KVM_RUN goes on
 * there, whether RFLAGS.IF is set or not. kvm_run says at the exit whether an interrupt could be injected now.
 *
 * Can break: RIP at the HLT, so that the guest halts for ever; the STI shadow surviving the HLT, so that user space is
 * told that it must not inject; if_flag of the entry instead of the exit.
 * Source: KVM API, KVM_EXIT_HLT and kvm_run.if_flag, .ready_for_interrupt_injection; APM vol. 3, HLT, STI.
 */
#include "cases/ioctl/blob.h"

BLOB(hlt, "hlt\n\tinc %eax\n\thlt\n\tinc %eax")
BLOB(sti_hlt, "sti\n\thlt\n\tinc %eax\n\thlt\n\tcli\n\tinc %eax")

static const struct row {
	struct blob_row blob;
	bool is_if;
} rows[] = {
	{ .blob = { .label = "if_0", BLOB_OF(hlt), .flags_in = CF } },
	{ .blob = { .label = "if_1", BLOB_OF(hlt), .flags_in = CF | X86_EFLAGS_IF }, .is_if = true },
	{ .blob = { .label = "sti", BLOB_OF(sti_hlt), .flags_in = CF }, .is_if = true },
};

CASE(hlt, .says = "HLT exits with RIP behind it, again and again", .modes = REAL16 | PROT32 | LONG64,
     .shadow_too = true, .rows = ROWS(rows))

GUEST(hlt)
{
}

static void expect_halted(struct test *t, uint64_t rip, uint64_t rax, bool is_if)
{
	const struct kvm_run *run = t->vcpu->run;
	struct kvm_vcpu_events events;
	struct kvm_mp_state state;
	struct kvm_regs got;

	require_hlt(t);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	expect_eq(t, rip, got.rip);
	expect_eq(t, rax, got.rax);
	expect_eq(t, is_if, got.rflags >> 9 & 1);
	expect_eq(t, is_if, run->if_flag);
	expect_eq(t, is_if, run->ready_for_interrupt_injection);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, 0, events.interrupt.shadow);
	vcpu_ioctl(t->vcpu, KVM_GET_MP_STATE, &state);
	expect_eq(t, KVM_MP_STATE_RUNNABLE, state.mp_state);
}

HOST(hlt)
{
	const struct row *row = ROW(t, rows);
	const uint8_t *code;
	uint64_t begin = guest_symbol(t, row->blob.blob.begin), end = guest_symbol(t, row->blob.blob.end), at[3];
	unsigned int nr = 0;
	struct kvm_regs start;
	uint64_t rip;

	blob_enter(t, &row->blob, &start);
	code = vm_hva(t->vm, begin, end - begin);
	for (rip = begin; rip < end; rip++)
		if (code[rip - begin] == 0xf4 && nr < 3)
			at[nr++] = rip + 1;
	require_eq(t, 3, nr);
	expect_halted(t, at[0], start.rax, row->is_if);
	expect_halted(t, at[1], (uint32_t)start.rax + 1, row->is_if);
	expect_halted(t, at[2], (uint32_t)start.rax + 2, row->is_if && row->blob.flags_in != CF);
}

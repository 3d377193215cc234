/* SPDX-License-Identifier: MIT */
/*
 * Rows about an instruction of L2: what is set up, the instruction with its registers, and the exit that comes of it.
 */
#ifndef VMASSAY_CASES_VMX_L2_H
#define VMASSAY_CASES_VMX_L2_H

#include "case.h"
#include "guests/l1_vmx.h"

/* An instruction of L2 at l2_NAME, and behind it, at l2_NAME_next, the way back. */
#define L2(name_, text_)								\
	INSN(l2_##name_, text_ "\n.globl l2_" #name_ "_next\nl2_" #name_ "_next:\n\tret") \
	extern const char l2_##name_##_next[] __attribute__((weak));

#define L2_MAX_EDITS 5
#define L2_MAX_EXITS 4

struct l2_row {
	ROW_FIELDS;

	/* Before the entry. */
	struct vmcs_edit edits[L2_MAX_EDITS];
	uint32_t secondary;		/* controls to be used */
	void (*prepare)(void);		/* what no edit can say */
	struct vmx_gprs regs;		/* 0: a number that is no other register's */
	enum { L2_OWN, L2_CR0, L2_CR3, L2_CR4 } rdi_flips;	/* RDI is that register with .regs.rdi flipped */
	const char *code, *next;

	/* What comes of it; .exit has neither RIP, length nor state, which are known. */
	bool has_no_exit;		/* L2 comes to its end */
	bool has_no_length;		/* the exit is due to no instruction */
	bool is_final;			/* it would come again: L2 is left there */
	bool is_qualification_void;	/* Bochs leaves there what it finds: finding 0401 */
	bool is_trap;			/* RIP is behind the instruction */
	struct vmx_exit exit;
	uint64_t set_rflags;		/* that the exit adds to L2's */
	bool is_rf_void;		/* not compared: finding 0404 */

	/* What KVM sees of L2 before its end: KVM_SEES(); otherwise just .exit's reason, or nothing. */
	uint64_t hw_exits[L2_MAX_EXITS];
	uint8_t nr_hw_exits;
	bool has_no_hw_exit;		/* KVM made the exit up */
	/* And user space, of what L1 did not want. */
	struct exit_io pio;		/* IN is answered with .data */
	bool is_hlt;
};

#define KVM_SEES(...)									\
	.hw_exits = { __VA_ARGS__ }, .nr_hw_exits = sizeof((uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t)
#define L2_CODE(name_) .label = #name_, .code = l2_##name_, .next = l2_##name_##_next
#define L2_NAMED(label_, name_) .label = label_, .code = l2_##name_, .next = l2_##name_##_next

/* --- instruction information, SDM vol. 3C, tables 28-8 to 28-14 --- */

enum gpr { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };
enum segment { ES, CS, SS, DS, FS, GS };

#define ADDRESS_32 (1u << 7)
#define ADDRESS_64 (2u << 7)
#define IS_REGISTER (1u << 10)
#define SEGMENT(segment_) ((uint32_t)(segment_) << 15)
#define INDEX(gpr_, scale_) ((uint32_t)(gpr_) << 18 | (scale_))
#define NO_INDEX (1u << 22)
#define BASE(gpr_) ((uint32_t)(gpr_) << 23)
#define NO_BASE (1u << 27)
#define IDENTITY(number_) ((uint32_t)(number_) << 28)
#define REG1(gpr_) ((uint32_t)(gpr_) << 3)
#define REG2(gpr_) ((uint32_t)(gpr_) << 28)
#define SIZE_16 (0u << 11)
#define SIZE_32 (1u << 11)
#define SIZE_64 (2u << 11)

static inline void l2_fill_gprs(struct vmx_gprs *gprs, const struct vmx_gprs *from)
{
	uint64_t *to = (uint64_t *)gprs;
	const uint64_t *value = (const uint64_t *)from;
	unsigned int i;

	for (i = 0; i < sizeof(*gprs) / sizeof(uint64_t); i++)
		to[i] = value[i] ? value[i] : 0x8123456700000000ull + 0x01010101 * (i + 1);
}

static inline void l2_check_gprs(const struct vmx_gprs *want)
{
	CHECK_EQ(want->rax, vmx.gprs.rax);
	CHECK_EQ(want->rcx, vmx.gprs.rcx);
	CHECK_EQ(want->rdx, vmx.gprs.rdx);
	CHECK_EQ(want->rbx, vmx.gprs.rbx);
	CHECK_EQ(want->rbp, vmx.gprs.rbp);
	CHECK_EQ(want->rsi, vmx.gprs.rsi);
	CHECK_EQ(want->rdi, vmx.gprs.rdi);
	CHECK_EQ(want->r8, vmx.gprs.r8);
	CHECK_EQ(want->r9, vmx.gprs.r9);
	CHECK_EQ(want->r10, vmx.gprs.r10);
	CHECK_EQ(want->r11, vmx.gprs.r11);
	CHECK_EQ(want->r12, vmx.gprs.r12);
	CHECK_EQ(want->r13, vmx.gprs.r13);
	CHECK_EQ(want->r14, vmx.gprs.r14);
	CHECK_EQ(want->r15, vmx.gprs.r15);
}

/* The whole record: what the row says, and the state as it was at the entry. */
static inline void l2_check_exit(const struct l2_row *row, const struct vmx_exit *state)
{
	struct vmx_exit want = row->exit;

	want.rip = (ulong_t)(row->is_trap ? row->next : row->code);
	want.rsp = state->rsp;
	want.rflags = state->rflags | row->set_rflags;
	want.cr0 = state->cr0;
	want.cr3 = state->cr3;
	want.cr4 = state->cr4;
	want.interruptibility = state->interruptibility;
	want.activity = state->activity;
	want.pending_debug = state->pending_debug;
	if (row->is_rf_void)
		vmx.exit.rflags &= ~X86_EFLAGS_RF;
	if (row->is_qualification_void)
		vmx.exit.qualification = 0;
	if (!row->has_no_length)
		want.insn_length = row->next - row->code;
	CHECK_EXIT(&want);
}

/* GUEST()'s part: the run, the record, all registers, and that L2 goes on behind the instruction. */
static inline void l2_row_run(const struct l2_row *row)
{
	struct vmx_gprs gprs;
	struct vmx_exit state;

	vmx_start();
	if (row->secondary)
		vmx_use_secondary(row->secondary);
	if (row->prepare)
		row->prepare();
	vmcs_edit(row->edits, L2_MAX_EDITS);
	vmx_aim(row->code);
	vmx_state_read(&state);
	l2_fill_gprs(&gprs, &row->regs);
	if (row->rdi_flips)
		gprs.rdi = row->regs.rdi ^ (row->rdi_flips == L2_CR0 ? state.cr0 : row->rdi_flips == L2_CR3 ?
					    state.cr3 : state.cr4);
	vmx.gprs = gprs;
	vmx_run();
	if (row->has_no_exit) {
		CHECK_EQ(VMX_OK, vmx.exit.outcome);
		CHECK_L2_DONE();
		return;
	}
	l2_check_exit(row, &state);
	l2_check_gprs(&gprs);
	if (row->is_final || vmx.exit.outcome != VMX_OK || vmx.exit.reason != row->exit.reason)
		return;
	vmcs_write(GUEST_RIP, (ulong_t)row->next);
	vmx_run();
	CHECK_L2_DONE();
	l2_check_gprs(&gprs);
}

/* What KVM saw of L2, the VMCALL at its end included. */
static inline void l2_row_check_hw(struct test *t, const struct l2_row *row)
{
	uint64_t want[L2_MAX_EXITS + 1];
	unsigned int nr;

	for (nr = 0; nr < row->nr_hw_exits; nr++)
		want[nr] = row->hw_exits[nr];
	if (!nr && !row->has_no_exit && !row->has_no_hw_exit)
		want[nr++] = row->exit.reason;
	if (!row->is_final)
		want[nr++] = EXIT_REASON_VMCALL;
	test_check_nested_exits(t, AT_EXPECT, KVM_ISA_VMX, want, nr);
}

/* HOST()'s part. */
static inline void l2_row_host(struct test *t, const struct l2_row *row)
{
	if (row->is_hlt)
		expect_hlt(t);
	if (row->pio.size && row->pio.direction == KVM_EXIT_IO_OUT)
		test_check_pio(t, AT_EXPECT, &row->pio);
	else if (row->pio.size)
		test_check_pio_in(t, AT_EXPECT, &row->pio, NULL, 0);
	expect_done(t);
	l2_row_check_hw(t, row);
}

#endif

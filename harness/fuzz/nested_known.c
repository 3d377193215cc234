/* SPDX-License-Identifier: MIT */
/*
 * Differences between the machine and a hypervisor with a nested guest that mean nothing new, each with its reason: what
 * the machine cannot say, what KVM is known for, and what the emulator of a lab is known for (reports/findings).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <asm/svm.h>

#include "fuzz/nested_differ.h"
#include "fuzz/vmcb_ops.h"
#include "fuzz/vmcb_world.h"
#include "vm/x86/bits.h"

/* In the clean word: APM vol. 2, 15.15.3. */
#define CLEAN_DR (1u << 6)
#define CLEAN_DT (1u << 7)
#define CLEAN_SEG (1u << 8)
#define VC_VECTOR 29u
#define PF_OF_FETCH 0x10u	/* EXITINFO1 of an intercepted #PF: APM vol. 2, 8.4.2 */
#define ERROR_EXT 1u		/* of a selector's error code: APM vol. 2, 8.4.1 */
#define ERROR_IDT 2u
#define MAX_INSN_BYTES 15u
#define RESERVED_FLAGS 0xffffffffffc08028ull

static bool is_field(const struct nested_difference *d, const char *field)
{
	return !strcmp(d->field, field);
}

static bool begins(const struct nested_difference *d, const char *prefix)
{
	return !strncmp(d->field, prefix, strlen(prefix));
}

/* One word of a blank-separated list. */
static bool is_one_of(const struct nested_difference *d, const char *fields)
{
	size_t len = strlen(d->field);
	const char *at = fields;

	while ((at = strstr(at, d->field))) {
		if ((at == fields || at[-1] == ' ') && (!at[len] || at[len] == ' '))
			return true;
		at += len;
	}
	return false;
}

static bool has_op(const struct nested_difference *d, unsigned int kind, uint64_t arg)
{
	unsigned int i;

	for (i = 0; i < d->input->nr_ops; i++)
		if (d->input->ops[i].kind == kind && d->input->ops[i].args[0] == arg)
			return true;
	return false;
}

static bool has_kind(const struct nested_difference *d, unsigned int kind)
{
	unsigned int i;

	for (i = 0; i < d->input->nr_ops; i++)
		if (d->input->ops[i].kind == kind)
			return true;
	return false;
}

/* The machine exits with @code, and the target does not. */
static bool is_exit_lost(const struct nested_difference *d, uint64_t code)
{
	return d->want_outcome->end == VMCB_END_EXIT && d->want_outcome->exit_code == code &&
	       !(d->got_outcome->end == VMCB_END_EXIT && d->got_outcome->exit_code == code);
}

/* Long mode as VMRUN enters it: EFER.LMA of the VMCB counts for nothing. */
static bool is_long(const struct vmcb_save *save)
{
	return (save->efer & EFER_LME) && (save->cr0 & X86_CR0_PG);
}

/* In one of the golden handlers. */
static bool is_handler(uint64_t rip)
{
	return rip >= VMCB_HANDLER_GPA && rip < VMCB_HANDLER_GPA + 256 * 16;
}

static bool are_refused(const struct nested_difference *d)
{
	return d->want_outcome->end == VMCB_END_REFUSED && d->got_outcome->end == VMCB_END_REFUSED;
}

/* --- what the machine cannot say --- */

static bool is_time(const struct nested_difference *d)
{
	return has_op(d, VMCB_OP_L2, L2_rdtsc) || has_op(d, VMCB_OP_L2, L2_rdtscp) || has_op(d, VMCB_OP_L2, L2_rdpmc);
}

static bool is_insn_bytes(const struct nested_difference *d)
{
	return is_field(d, "nr_insn_bytes");
}

/* Any bytes as code: what each instruction does is fuzz_insn's, not this search's. */
static bool is_any_code(const struct nested_difference *d)
{
	return has_kind(d, VMCB_OP_L2_BYTES) || has_kind(d, VMCB_OP_POKE);
}

/*
 * The machine's TLB keeps what the manual lets it keep, KVM flushes at each VMRUN: tables that were changed between two
 * runs are old here and new there.
 */
static bool is_stale(const struct nested_difference *d)
{
	return d->run && (has_kind(d, VMCB_OP_NPT) || has_kind(d, VMCB_OP_PT) || has_kind(d, VMCB_OP_SET) ||
	       has_kind(d, VMCB_OP_XOR) || has_kind(d, VMCB_OP_RULE) || has_kind(d, VMCB_OP_BASE) ||
	       has_op(d, VMCB_OP_L2_MEM, MEM_STORE));
}

/* What clean bits say is as it was need not be read again: of segments, descriptor tables and debug registers KVM does not. */
static bool is_not_read(const struct vmcb *before, const struct vmcb *last)
{
	const struct vmcb_save *now = &before->save, *then = &last->save;
	uint32_t clean = before->control.clean;

	if ((clean & CLEAN_SEG) && (memcmp(&now->es, &then->es, 4 * sizeof(now->es)) || now->cpl != then->cpl))
		return true;
	if ((clean & CLEAN_DT) && (memcmp(&now->gdtr, &then->gdtr, sizeof(now->gdtr)) ||
				   memcmp(&now->idtr, &then->idtr, sizeof(now->idtr))))
		return true;
	return (clean & CLEAN_DR) && (now->dr6 != then->dr6 || now->dr7 != then->dr7);
}

static bool is_clean(const struct nested_difference *d)
{
	unsigned int run;

	for (run = 0; run < d->run; run++)
		if (is_not_read(d->before - run, d->got_after - run - 1))
			return true;
	return false;
}

/*
 * L2 executes its own page tables, whose bytes change as they are walked: what a hypervisor resolves in between makes it another
 * instruction.
 */
static bool is_table_code(const struct nested_difference *d)
{
	unsigned int i;

	for (i = 0; i < d->input->nr_ops; i++) {
		const struct input_op *op = &d->input->ops[i];

		if (op->kind == VMCB_OP_L2_MEM && op->args[0] == MEM_EXECUTE && op->args[1] + MAX_INSN_BYTES > VMCB_PML4_GPA &&
		    op->args[1] < VMCB_GDT_GPA)
			return true;
	}
	return false;
}

/* The machine's interrupt pin has no vector: it is an intercept's, and nobody takes what is not intercepted. */
static bool is_pin_taken(const struct nested_difference *d)
{
	return has_op(d, VMCB_OP_PIN, PIN_INTR);
}

/* MSRs that L2 gets at are each target's own. */
static bool is_msr(const struct nested_difference *d)
{
	bool is_all = d->before->control.intercept[SVM_EXIT_MSR / 32] >> SVM_EXIT_MSR % 32 & 1 &&
		(d->before->control.msrpm_base_pa & ~0xfffull) == VMCB_MSRPM_GPA && !has_kind(d, VMCB_OP_MSRPM) &&
		!has_kind(d, VMCB_OP_MSRPM_ALL);

	return has_kind(d, VMCB_OP_L2_MSR) && !is_all;
}

/* --- KVM --- */

/* KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS */
static bool is_mwait_quirk(const struct nested_difference *d)
{
	return has_op(d, VMCB_OP_L2, L2_monitor) || has_op(d, VMCB_OP_L2, L2_mwait);
}

/* What is not the exit code is not said to be anything where VMRUN is refused (APM vol. 2, 15.5.1). */
static bool is_refused_record(const struct nested_difference *d)
{
	return are_refused(d) && is_one_of(d, "exit_info_1 exit_info_2 exit_int_info exit_int_info_error next_rip event_inj");
}

static bool is_late(const struct vmcb_outcome *outcome)
{
	return outcome->end == VMCB_END_REFUSED && outcome->rule >= &svm_rules[SVM_RULE_cr3_legacy];
}

static bool is_refused_late(const struct nested_difference *d)
{
	return are_refused(d) && is_late(d->want_outcome);
}

/* L2 goes on with what the refused VMRUN has stored. */
static bool is_behind_refused_late(const struct nested_difference *d)
{
	unsigned int run;

	for (run = 1; run <= d->run; run++)
		if (is_late(d->want_outcome - run))
			return true;
	return false;
}

static bool is_refused_code(const struct nested_difference *d)
{
	return are_refused(d) && is_field(d, "exit_code") && (uint32_t)d->want == (uint32_t)d->got;
}

/* The map is read when L2 is entered, and not there. */
static bool is_msrpm_unreadable(const struct nested_difference *d)
{
	return is_field(d, "end") && d->got_outcome->end == VMCB_END_REFUSED &&
	       (d->before->control.msrpm_base_pa & ~0xfffull) + MSRPM_BYTES > VMCB_RAM_BYTES;
}

static bool is_g_pat(const struct nested_difference *d)
{
	return d->want_outcome->end == VMCB_END_REFUSED && d->want_outcome->rule &&
	       !strcmp(d->want_outcome->rule->id, "g_pat");
}

/* What has no V bit is nothing (APM vol. 2, 15.20, 15.7.2): KVM stores what it itself had there. */
static bool is_no_event(const struct nested_difference *d)
{
	if (is_one_of(d, "event_inj event_inj_error"))
		return !((d->got_after->control.event_inj | d->want_after->control.event_inj) & EVENT_VALID);
	if (is_one_of(d, "exit_int_info exit_int_info_error"))
		return !((d->got_after->control.exit_int_info | d->want_after->control.exit_int_info) & EVENT_VALID);
	return false;
}

/* And what has no EV bit has no error code. */
static bool is_no_error(const struct nested_difference *d)
{
	if (is_field(d, "event_inj_error"))
		return !((d->got_after->control.event_inj | d->want_after->control.event_inj) & EVENT_HAS_ERROR);
	if (is_field(d, "exit_int_info_error"))
		return !((d->got_after->control.exit_int_info | d->want_after->control.exit_int_info) & EVENT_HAS_ERROR);
	return false;
}

/* KVM sets RF for a fault that it injects, and the exit in its delivery has it. */
static bool is_rf_of_injection(const struct nested_difference *d)
{
	return is_field(d, "rflags") && (d->want ^ d->got) == X86_EFLAGS_RF && (d->got_outcome->exit_int_info & EVENT_VALID);
}

/* An NMI has no vector: what stands there means nothing, either. */
static bool is_event_reserved(const struct nested_difference *d)
{
	uint64_t bits = (d->want & EVENT_TYPE(7)) == EVENT_NMI ? 0x7ffff000 | EVENT_VECTOR : 0x7ffff000;

	return is_one_of(d, "exit_int_info event_inj") && !((d->want ^ d->got) & ~bits);
}

/* Nested tables where there is no memory: the machine reads ones there, KVM nothing. */
static bool is_table_invisible(const struct nested_difference *d)
{
	return (has_kind(d, VMCB_OP_NPT) || d->before->control.nested_cr3 >= VMCB_RAM_BYTES) && is_field(d, "exit_info_1") && d->want_outcome->exit_code == SVM_EXIT_NPF &&
	       (d->want & 8) && !(d->got & 1);
}

/* An entry that leads to where no memory is: the machine reads ones there and loses what is written. */
static bool is_entry_nowhere(const struct nested_difference *d)
{
	const struct vmcb_control *control = &d->before->control;
	bool is_nested = control->nested_ctl & NP_ENABLE;
	/* L2's own tables may be its nested ones. */
	bool may_be_l2s = !is_nested || (control->nested_cr3 & ~0xfffull) < VMCB_NPML4_GPA;
	unsigned int i;

	for (i = 0; i < d->input->nr_ops; i++)
		if (((is_nested && d->input->ops[i].kind == VMCB_OP_NPT) || (may_be_l2s && d->input->ops[i].kind == VMCB_OP_PT)) &&
		    (d->input->ops[i].args[3] & 0xfffffffffffffull) >= VMCB_RAM_BYTES)
			return true;
	return false;
}

/* A root that KVM has no memory for is a triple fault to it. */
static bool is_root_invisible(const struct nested_difference *d)
{
	uint64_t root = d->before->control.nested_cr3;

	return (d->before->control.nested_ctl & NP_ENABLE) && root >= VMCB_RAM_BYTES &&
	       (d->got_outcome->end == VMCB_END_SHUTDOWN || d->got_outcome->exit_code == SVM_EXIT_SHUTDOWN);
}

/* Without V_INTR_MASKING L2's TPR is the host's; and V_TPR has four bits. */
static bool is_v_tpr(const struct nested_difference *d)
{
	uint64_t bits = d->before->control.int_ctl & V_INTR_MASKING ? 0xf0 : V_TPR_BITS;

	return is_field(d, "int_ctl") && !((d->want ^ d->got) & ~bits);
}

static bool is_event_forgotten(const struct nested_difference *d)
{
	const struct svm_rule *rule = d->want_outcome->rule;

	return is_field(d, "end") && d->want_outcome->end == VMCB_END_REFUSED &&
	       (rule == &svm_rules[SVM_RULE_event_type] || rule == &svm_rules[SVM_RULE_event_vector]);
}

/* User space is told of the HLT before the trap behind it is delivered. */
static bool is_halt_stepped(const struct nested_difference *d)
{
	return d->got_outcome->end == VMCB_END_HALTED && d->want_outcome->end == VMCB_END_HALTED &&
	       (d->got_outcome->rflags & X86_EFLAGS_TF);
}

static bool is_dr6_reserved(const struct nested_difference *d)
{
	return is_field(d, "dr6") && (d->want ^ d->got) == 1u << 12;
}

/* A copy of RFLAGS.IF, for guests whose state is encrypted. */
static bool is_guest_if(const struct nested_difference *d)
{
	return is_field(d, "int_state") && !((d->want ^ d->got) & ~(uint64_t)INT_STATE_GUEST_IF);
}

/*
 * Where KVM executes L2's instruction because the walk of L2's tables met what KVM keeps read-only, EXITINFO is still that of
 * the walk's nested page fault.
 */
static bool is_info_of_walk(const struct nested_difference *d)
{
	const struct vmcb_outcome *got = d->got_outcome;
	uint64_t other = d->want ^ d->got;

	if (is_field(d, "exit_info_1") && got->exit_code == SVM_EXIT_NPF)
		return other == (NPF_TABLE | NPF_FINAL) && (d->got & NPF_TABLE);
	if (is_field(d, "exit_info_1"))
		return !(other & d->want) && (d->got & (NPF_TABLE | NPF_FINAL));
	return is_field(d, "exit_info_2") && (got->exit_code == SVM_EXIT_MSR || (got->exit_info_1 & NPF_TABLE));
}

/*
 * What L2's tables lead to when KVM itself walks them, to fetch what it emulates: it does not know what the fault was met
 * by. There is no delivery then, where the CPU that needs no fetch has one.
 */
static bool is_walk_of_emulator(const struct nested_difference *d)
{
	const struct vmcb_outcome *want = d->want_outcome, *got = d->got_outcome;

	if (want->exit_code != SVM_EXIT_NPF || got->exit_code != SVM_EXIT_NPF || (got->exit_int_info & EVENT_VALID) ||
	    (want->exit_info_1 ^ got->exit_info_1) != (NPF_TABLE | NPF_FINAL) || !(want->exit_info_1 & NPF_TABLE) ||
	    want->exit_info_2 != got->exit_info_2)
		return false;
	return is_one_of(d, "exit_info_1 exit_int_info exit_int_info_error");
}

/* #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP, #VC and #SX: APM vol. 2, table 8-1 */
#define WITH_ERROR (1u << 8 | 0x1fu << 10 | 1u << 17 | 1u << 21 | 3u << 29)
/* #DF, #TS, #NP, #SS and #GP */
#define DELIVERY_FAULTS (1u << 8 | 0xfu << 10)

/* An exit that the delivery of an event may have; it fetches nothing. */
static bool is_exit_of_delivery(const struct vmcb_outcome *outcome)
{
	uint64_t code = outcome->exit_code;

	if (code == SVM_EXIT_EXCP_BASE + 14)
		return !(outcome->exit_info_1 & PF_OF_FETCH);
	return code == SVM_EXIT_NPF || code == SVM_EXIT_SHUTDOWN || code == SVM_EXIT_TASK_SWITCH ||
	       (code >= SVM_EXIT_EXCP_BASE && code < SVM_EXIT_EXCP_BASE + 32 &&
		(DELIVERY_FAULTS >> (code - SVM_EXIT_EXCP_BASE) & 1));
}

/*
 * An intercepted exception says its error code, if it has one, and #PF its address (APM vol. 2, 15.12); KVM leaves what was
 * there before.
 */
static bool is_code_of_none(const struct nested_difference *d)
{
	uint64_t vector = d->got_outcome->exit_code - SVM_EXIT_EXCP_BASE;

	if (d->got_outcome->end != VMCB_END_EXIT || vector >= 32)
		return false;
	return (is_field(d, "exit_info_1") && !(WITH_ERROR >> vector & 1)) || (is_field(d, "exit_info_2") && vector != 14);
}

/* And so it does in the midst of an event's delivery, which may lose the event. */
static bool is_emulated_in_delivery(const struct nested_difference *d)
{
	const struct vmcb_outcome *got = d->got_outcome;
	uint64_t event = d->before->control.event_inj;
	bool is_injected = (event & EVENT_VALID) && !((event ^ got->exit_int_info) & EVENT_TYPE(7));

	if (got->end != VMCB_END_EXIT)
		return false;
	/* L1's event comes before all instructions, L2's own behind any of them. */
	if (got->exit_int_info & EVENT_VALID)
		return !is_exit_of_delivery(got) || (is_injected && got->rip != d->before->save.rip);
	if (!(d->before->control.event_inj & EVENT_VALID) || got->exit_code == SVM_EXIT_NPF)
		return false;
	/* What is left of the fault's EXITINFO: an exit of an MSR has an EXITINFO1 of its own. */
	return (got->exit_info_1 & (NPF_TABLE | NPF_FINAL)) || (got->exit_code == SVM_EXIT_MSR && got->exit_info_2);
}

/* "Never re-inject a #VC exception", whoever has injected it. */
static bool is_vc_lost(const struct nested_difference *d)
{
	uint64_t event = d->before->control.event_inj & (EVENT_VALID | EVENT_TYPE(7) | EVENT_VECTOR);

	return event == (EVENT_VALID | EVENT_EXCEPTION | VC_VECTOR) && !(d->got_after->control.exit_int_info & EVENT_VALID);
}

/* What L2 writes over its nested tables KVM sees at once; the machine's TLB has what was there. */
static bool is_own_table(const struct nested_difference *d)
{
	uint64_t root = d->before->control.nested_cr3 & ~0xfffull;
	unsigned int i;

	for (i = 0; i < d->input->nr_ops && (d->before->control.nested_ctl & NP_ENABLE); i++) {
		const struct input_op *op = &d->input->ops[i];

		if (op->kind == VMCB_OP_L2_MEM && op->args[0] == MEM_STORE && (op->args[1] & ~0xfffull) == root)
			return true;
	}
	return false;
}

static bool is_page_table(uint64_t address)
{
	return (address >= VMCB_PML4_GPA && address < VMCB_GDT_GPA) || (address & ~0xfffull) == VMCB_PAE_PDPT_GPA;
}

/* So it is with its own tables, where an exit to KVM flushes what the machine's TLB may keep. */
static bool is_own_page_table(const struct nested_difference *d)
{
	bool is_stored = has_op(d, VMCB_OP_L2, L2_sgdt) || has_op(d, VMCB_OP_L2, L2_sidt);
	unsigned int i;

	for (i = 0; i < d->input->nr_ops; i++) {
		const struct input_op *op = &d->input->ops[i];

		if (op->kind == VMCB_OP_L2_MEM && op->args[0] == MEM_STORE && is_page_table(op->args[1]))
			return true;
		if (op->kind == VMCB_OP_REG && op->args[0] == 6 && is_stored && is_page_table(op->args[1]))
			return true;
	}
	return false;
}

/* And of a MOV to CR8 it writes L1's TPR, not V_TPR. */
static bool is_cr8_of_l1(const struct nested_difference *d)
{
	unsigned int i;

	for (i = 0; i < d->input->nr_ops; i++) {
		const struct input_op *op = &d->input->ops[i];

		if (op->kind == VMCB_OP_L2_CR && op->args[0] && op->args[1] == 8)
			return is_field(d, "int_ctl") && !((d->want ^ d->got) & ~(uint64_t)V_TPR_BITS) &&
			       (d->got_outcome->exit_info_1 & NPF_TABLE) && d->got_outcome->exit_code != SVM_EXIT_NPF;
	}
	return false;
}

/* SVM's instructions where there is no paging */
static bool is_svm_unpaged(const struct nested_difference *d)
{
	static const unsigned int insns[] = { L2_vmload, L2_vmsave, L2_stgi, L2_clgi, L2_vmrun, L2_invlpga };
	unsigned int i;

	for (i = 0; i < sizeof(insns) / sizeof(insns[0]); i++)
		if (has_op(d, VMCB_OP_L2, insns[i]))
			return !(d->before->save.cr0 & X86_CR0_PG);
	return false;
}

static bool is_et_clear(const struct nested_difference *d)
{
	return is_field(d, "cr0") && (d->want ^ d->got) == X86_CR0_ET;
}

/* LMA of the VMCB is not what LME and PG say. */
static bool has_odd_lma(const struct nested_difference *d)
{
	return is_long(&d->before->save) != !!(d->before->save.efer & EFER_LMA);
}

static bool is_lma_kept(const struct nested_difference *d)
{
	return has_odd_lma(d) && is_field(d, "efer") && (d->want ^ d->got) == EFER_LMA;
}

static bool is_emulated_io(const struct nested_difference *d)
{
	return is_field(d, "exit_info_2") && d->got_outcome->exit_code == SVM_EXIT_IOIO && d->got == d->got_outcome->rip;
}

static bool is_emulated_address(const struct nested_difference *d)
{
	return is_field(d, "exit_info_2") && d->got_outcome->exit_code == SVM_EXIT_NPF && d->got == (d->want & ~0xfffull);
}

/* 64-bit code has no CS base, but KVM adds it to find out whether the INT n that it had gone past was delivered. */
static bool is_soft_with_base(const struct nested_difference *d)
{
	return d->before->save.cs.base && (has_kind(d, VMCB_OP_L2_INT) || has_op(d, VMCB_OP_L2, L2_int3));
}

/* Whether a value is legal is looked at before the intercept or behind it. */
static bool is_cr_priority(const struct nested_difference *d)
{
	return is_field(d, "exit_code") && has_kind(d, VMCB_OP_L2_CR) && d->got_outcome->exit_code >= SVM_EXIT_WRITE_CR0 &&
	       d->got_outcome->exit_code < SVM_EXIT_WRITE_CR0 + 16;
}

/* --- QEMU --- */

#define LOST(id_, code_)								\
	static bool is_lost_##id_(const struct nested_difference *d)			\
	{										\
		return is_exit_lost(d, code_);						\
	}
LOST(rdtscp, SVM_EXIT_RDTSCP)
LOST(icebp, SVM_EXIT_ICEBP)
LOST(invd, SVM_EXIT_INVD)
LOST(xsetbv, SVM_EXIT_XSETBV)
LOST(bp, SVM_EXIT_EXCP_BASE + 3)
LOST(df, SVM_EXIT_EXCP_BASE + 8)
LOST(mwait_cond, SVM_EXIT_MWAIT_COND)
LOST(task_switch, SVM_EXIT_TASK_SWITCH)

static bool is_string_address_size(const struct nested_difference *d)
{
	return is_field(d, "exit_info_1") && d->want_outcome->exit_code == SVM_EXIT_IOIO &&
	       !((d->want ^ d->got) & ~(uint64_t)IOIO_ADDRESS(14));
}

static bool is_code64(const struct nested_difference *d)
{
	return (d->before->save.efer & EFER_LMA) && (d->before->save.cs.attrib & SEG_ATTRIB_L);
}

/* Other code than 64-bit code takes a part of a MOV's value for instructions: that has @opcode among its bytes. */
static bool is_misread(const struct nested_difference *d, uint8_t opcode)
{
	unsigned int shift = d->before->save.cs.attrib & SEG_ATTRIB_DB ? 32 : 16, i;
	uint8_t code[VMCB_MAX_CODE_BYTES];

	if (is_code64(d))
		return false;
	for (i = 0; i < d->input->nr_ops; i++) {
		const struct input_op *op = &d->input->ops[i];
		uint64_t value = op->args[op->kind == VMCB_OP_L2_CR || op->kind == VMCB_OP_L2_DR ? 2 : 1] >> shift;

		if (value && vmcb_code(op, code) && memchr(&value, opcode, 8 - shift / 8))
			return true;
	}
	return false;
}

static bool is_icebp(const struct nested_difference *d)
{
	return has_op(d, VMCB_OP_L2, L2_icebp) || is_misread(d, 0xf1);
}

static bool is_breakpoint(const struct nested_difference *d)
{
	return has_kind(d, VMCB_OP_L2_DR) || (d->before->save.dr7 & 0xff);
}

/* But for reserved ones of L1's, which QEMU keeps beside whatever else it does to RFLAGS. */
static uint64_t other_flags(const struct nested_difference *d)
{
	uint64_t other = d->want ^ d->got, reserved = RESERVED_FLAGS & d->before->save.rflags;

	/* A frame of 32-bit code may have RFLAGS in the upper half of a word. */
	if (begins(d, "memory") && !(uint32_t)other)
		reserved |= reserved << 32;
	return other & ~reserved;
}

static bool is_int3_as_int(const struct nested_difference *d)
{
	return has_op(d, VMCB_OP_L2, L2_int3) && d->got_outcome->end == VMCB_END_EXIT &&
	       d->got_outcome->exit_code == SVM_EXIT_SWINT && d->want_outcome->rip != d->got_outcome->rip;
}

static bool is_invd_as_wbinvd(const struct nested_difference *d)
{
	return has_op(d, VMCB_OP_L2, L2_invd) && d->got_outcome->end == VMCB_END_EXIT &&
	       d->got_outcome->exit_code == SVM_EXIT_WBINVD && d->want_outcome->rip != d->got_outcome->rip;
}

/* RFLAGS as a fault's frame has it, which may be the upper half of a word. */
static bool is_rf_lost(const struct nested_difference *d)
{
	uint64_t other = other_flags(d);

	return (begins(d, "memory") || is_field(d, "rflags")) && (d->want & other) &&
	       (other == X86_EFLAGS_RF || other == (uint64_t)X86_EFLAGS_RF << 32);
}

/* Vectors that QEMU knows to push an error code: those of APM vol. 2, table 8-1, but for #CP, #VC and #SX. */
static bool pushes_error(unsigned int vector)
{
	return vector < 32 && (0x00027d00u >> vector & 1);
}

static bool is_injected_error(const struct nested_difference *d)
{
	uint32_t event = d->before->control.event_inj;
	bool pushes = (event & EVENT_TYPE(7)) == EVENT_EXCEPTION && pushes_error(event & EVENT_VECTOR);

	return (event & EVENT_VALID) && pushes != !!(event & EVENT_HAS_ERROR);
}

static bool is_error_signed(const struct nested_difference *d)
{
	return begins(d, "memory") && has_kind(d, VMCB_OP_INJECT_ERROR) && (d->want >> 31) == 1 && d->got >> 32 == 0xffffffff &&
	       (uint32_t)d->want == (uint32_t)d->got;
}

static bool is_pml4_bit_8(const struct nested_difference *d)
{
	unsigned int i;

	for (i = 0; i < d->input->nr_ops; i++) {
		const struct input_op *op = &d->input->ops[i];

		if (op->kind == VMCB_OP_PT && op->args[2] == 4 && (op->args[3] & 0x100))
			return true;
	}
	return false;
}

static bool is_int3_type(const struct nested_difference *d)
{
	return is_field(d, "exit_int_info") && d->want == (EVENT_VALID | EVENT_EXCEPTION | 3) &&
	       d->got == (EVENT_VALID | EVENT_SOFT | 3);
}

/*
 * The error code that a handler has found where its stack ends: of one of @vectors, whose handlers halt at once. Fills
 * @ret_want and @ret_got.
 */
static bool is_pushed_error(const struct nested_difference *d, uint32_t vectors, uint32_t *ret_want, uint32_t *ret_got)
{
	/* The IDT has gates of 64-bit code, and others of half their size are every second vector. */
	unsigned int size = d->before->save.efer & EFER_LMA ? 16 : 8;
	uint64_t rsp = d->want_outcome->regs[4], at = (d->want_outcome->rip - VMCB_HANDLER_GPA) / size;
	unsigned int shift = (rsp & 4) * 8;
	char field[32];

	snprintf(field, sizeof(field), "memory 0x%" PRIx64, rsp & ~(uint64_t)7);
	if (!is_field(d, field) || at >= 32 || !(vectors >> at & 1) || ((d->want ^ d->got) & ~(0xffffffffull << shift)))
		return false;
	*ret_want = (uint32_t)(d->want >> shift);
	*ret_got = (uint32_t)(d->got >> shift);
	return true;
}

/*
 * An instruction that reads and writes: its access is a write. What is called, or is SYSCALL's target, and what is misread,
 * may be zeros, which are such an ADD.
 */
static bool is_write_read(const struct nested_difference *d)
{
	uint32_t want = (uint32_t)d->want, got = (uint32_t)d->got;

	if (!has_op(d, VMCB_OP_L2_MEM, MEM_EXECUTE) && !has_op(d, VMCB_OP_L2, L2_syscall) && !is_misread(d, 0))
		return false;
	return (is_field(d, "exit_info_1") || is_pushed_error(d, 1u << 14, &want, &got)) && (want ^ got) == 2 && (want & 2);
}

/* #TS, #NP, #SS or #GP in an event's delivery: no EXT, and a gate's place in the table of long mode in units of 8 bytes. */
static bool is_gate_error(const struct nested_difference *d)
{
	uint32_t want = (uint32_t)d->want, got = (uint32_t)d->got, vectors = 0x3c00;
	uint64_t exception = d->want_outcome->exit_code - SVM_EXIT_EXCP_BASE;
	bool is_exit = is_field(d, "exit_info_1") && exception < 32 && (vectors >> exception & 1) &&
		(d->want_outcome->exit_int_info & EVENT_VALID);

	if (!is_exit && !is_pushed_error(d, vectors, &want, &got))
		return false;
	if (!(want & (ERROR_EXT | ERROR_IDT)))
		return false;
	if (want & ERROR_IDT)
		return got == ((want >> 3) * (d->before->save.efer & EFER_LMA ? 16 : 8) | ERROR_IDT);
	return got == (want & ~ERROR_EXT);
}

/* In a frame: of an INT n, since a fault's own frame has RF set. */
static bool is_rf_kept(const struct nested_difference *d)
{
	bool is_frame = begins(d, "memory") && (has_kind(d, VMCB_OP_L2_INT) || has_op(d, VMCB_OP_L2, L2_int3));

	return (is_frame || is_field(d, "rflags")) && other_flags(d) == X86_EFLAGS_RF && (d->got & d->before->save.rflags & X86_EFLAGS_RF);
}

static bool is_virq_as_low(const struct nested_difference *d)
{
	uint32_t int_ctl = d->before->control.int_ctl;

	return (int_ctl & (V_IRQ | V_IGN_TPR)) == V_IRQ && (int_ctl & V_TPR_BITS & 0xf) == (int_ctl >> 16 & 0xf);
}

/* KVM injects it again as what it was said to be, which is refused for most vectors. */
static bool is_virq_an_exception(const struct nested_difference *d)
{
	uint32_t info = EVENT_VALID | d->before->control.int_vector;

	if (!(d->before->control.int_ctl & V_IRQ))
		return false;
	if (is_field(d, "end"))
		return d->got_outcome->end == VMCB_END_REFUSED;
	/* With an error code, if that exception has one. */
	if (is_field(d, "exit_int_info"))
		return d->want == (EVENT_INTR | info) &&
		       (d->got & ~(uint64_t)EVENT_HAS_ERROR) == (EVENT_EXCEPTION | info);
	/* Where it is an exception to all, the interrupt still waits, and some vectors have an error code. */
	if (d->want_outcome->end != VMCB_END_EXIT || d->got_outcome->end != VMCB_END_EXIT || (info & EVENT_VECTOR) >= 31)
		return false;
	return (d->got_after->control.int_ctl & ~d->want_after->control.int_ctl & V_IRQ) && (is_field(d, "int_ctl") ||
	       (pushes_error(info & EVENT_VECTOR) && is_field(d, "rsp")));
}

/* The one instruction that a shadow is about is over, but the shadow is not. */
static bool is_shadow_kept(const struct nested_difference *d)
{
	return is_field(d, "int_state") && has_op(d, VMCB_OP_L2, L2_pause) && !(d->want & INT_STATE_SHADOW) &&
	       (d->want ^ d->got) == INT_STATE_SHADOW;
}

static bool is_sti_again(const struct nested_difference *d)
{
	return is_field(d, "int_state") && has_op(d, VMCB_OP_L2, L2_sti) && !(d->want & INT_STATE_SHADOW) &&
	       (d->got & INT_STATE_SHADOW);
}

static bool is_shadow_over_event(const struct nested_difference *d)
{
	bool has_shadow = has_op(d, VMCB_OP_L2, L2_mov_ss) || has_op(d, VMCB_OP_L2, L2_sti);

	return is_field(d, "int_state") && (d->want ^ d->got) == INT_STATE_SHADOW && (d->got & INT_STATE_SHADOW) &&
	       has_shadow && is_handler(d->got_outcome->rip);
}

/* L2 goes to the middle of its own code. */
static bool executes_itself(const struct nested_difference *d)
{
	unsigned int i;

	for (i = 0; i < d->input->nr_ops; i++) {
		const struct input_op *op = &d->input->ops[i];

		if (op->kind == VMCB_OP_L2_MEM && op->args[0] == MEM_EXECUTE && op->args[1] >= VMCB_CODE_GPA &&
		    op->args[1] < VMCB_HANDLER_GPA)
			return true;
	}
	return false;
}

/* 16-bit code, or its middle, is our bytes read as other instructions, among them shifts, whose AF is nobody's to say. */
static bool is_af_of_shift(const struct nested_difference *d)
{
	const struct vmcb_save *save = &d->before->save;
	bool is_64 = is_long(save) && (save->cs.attrib & SEG_ATTRIB_L);

	return is_field(d, "rflags") && (d->want ^ d->got) == X86_EFLAGS_AF && (d->want & X86_EFLAGS_AF) &&
	       (executes_itself(d) || (!is_64 && !(save->cs.attrib & SEG_ATTRIB_DB) && has_op(d, VMCB_OP_L2_MEM, MEM_EXECUTE)));
}

/* The exit comes in the delivery of a fault that another event's delivery has raised. */
static bool is_first_event(const struct nested_difference *d)
{
	uint32_t want = d->want_after->control.exit_int_info, got = d->got_after->control.exit_int_info;

	return is_one_of(d, "exit_int_info exit_int_info_error") && (want & got & EVENT_VALID) && want != got &&
	       (want & EVENT_TYPE(7)) == EVENT_EXCEPTION && (want & EVENT_HAS_ERROR);
}

/* And such a fault's RIP is behind the INT n, whose two bytes KVM had to skip: a word of the frame, or its upper half. */
static bool is_int_skipped(const struct nested_difference *d)
{
	uint64_t ahead = d->got - d->want;

	return begins(d, "memory") && has_kind(d, VMCB_OP_L2_INT) && (ahead == 2 || ahead == 2ull << 32);
}

/* And an interrupt comes at once. */
static bool is_shadow_missed(const struct nested_difference *d)
{
	return (d->before->control.int_state & INT_STATE_SHADOW) && (d->before->control.int_ctl & V_IRQ);
}

/* And what would have none behind it has one of its own. */
static bool is_shadow_dropped(const struct nested_difference *d)
{
	if (!is_field(d, "int_state"))
		return false;
	return ((d->want & INT_STATE_SHADOW) && !(d->got & INT_STATE_SHADOW)) ||
	       (d->before->control.int_state & INT_STATE_SHADOW);
}

/* And those of INT3 and INTO. What KVM resolves in its delivery is gone with it. */
static bool is_soft_event(const struct nested_difference *d)
{
	uint32_t event = d->before->control.event_inj, type = event & EVENT_TYPE(7), vector = event & EVENT_VECTOR;

	return (event & EVENT_VALID) && (type == EVENT_SOFT || (type == EVENT_EXCEPTION && (vector == 3 || vector == 4)));
}

/* Bits 8:5 of a PAE pointer are reserved, and KVM looks at them at the next VMRUN. */
static bool is_pae_accessed(const struct nested_difference *d)
{
	return d->run && is_field(d, "end") && d->got_outcome->end == VMCB_END_REFUSED && d->got_outcome->rule &&
	       d->got_outcome->rule == &svm_rules[SVM_RULE_pdpte_reserved];
}

static bool is_dr7_reserved(const struct nested_difference *d)
{
	return is_field(d, "dr7") && !((d->want ^ d->got) & ~0xdc00ull);
}

static bool is_canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

static bool is_base_odd(const struct nested_difference *d)
{
	const struct vmcb_seg *segs = &d->before->save.es;
	unsigned int i;

	for (i = 0; i < 10; i++)
		if (!is_canonical(segs[i].base))
			return true;
	return false;
}

static bool moves_to_cr(const struct nested_difference *d, unsigned int cr, uint64_t reserved)
{
	unsigned int i;

	for (i = 0; i < d->input->nr_ops; i++) {
		const struct input_op *op = &d->input->ops[i];

		if (op->kind == VMCB_OP_L2_CR && op->args[0] == MOVE_WRITE && op->args[1] == cr && (op->args[2] & reserved))
			return true;
	}
	return false;
}

static bool is_cr0_reserved(const struct nested_difference *d)
{
	return moves_to_cr(d, 0, ~0ull << 32);
}

/* They have ended in different places. */
static bool has_own_end(const struct nested_difference *d)
{
	const struct vmcb_outcome *want = d->want_outcome, *got = d->got_outcome;

	return want->end != got->end || want->exit_code != got->exit_code || want->rip != got->rip;
}

/* KVM intercepts it, and QEMU has no decode assists: the emulator, which takes 32 bits of the value, goes on. */
static bool is_cr4_upper(const struct nested_difference *d)
{
	return moves_to_cr(d, 4, ~0ull << 32) && has_own_end(d);
}

static bool is_cr3_reserved(const struct nested_difference *d)
{
	return moves_to_cr(d, 3, ~0ull << 40);
}

static bool is_cr8_reserved(const struct nested_difference *d)
{
	return moves_to_cr(d, 8, ~0xfull);
}

static bool is_vector_31(const struct nested_difference *d)
{
	uint32_t event = d->before->control.event_inj;

	return is_field(d, "end") && d->got_outcome->end == VMCB_END_REFUSED && (event & EVENT_VECTOR) == 31 &&
	       (event & EVENT_TYPE(7)) == EVENT_EXCEPTION;
}

/* APM vol. 2, 15.5.1: real mode has 0, virtual-8086 mode has 3. */
static unsigned int cpl_of(const struct vmcb_save *save)
{
	if (!(save->cr0 & X86_CR0_PE))
		return 0;
	return (save->rflags & X86_EFLAGS_VM) && !is_long(save) ? 3 : save->cpl & 3;
}

static bool is_cpl_of_ss(const struct nested_difference *d)
{
	return (d->before->save.ss.attrib >> 5 & 3u) != cpl_of(&d->before->save);
}

/* What a segment in the VMCB does not allow was to be a fault on the machine. */
static bool has_met_fault(const struct vmcb_outcome *outcome)
{
	if (outcome->end != VMCB_END_EXIT)
		return outcome->end == VMCB_END_SHUTDOWN;
	return outcome->exit_code == SVM_EXIT_SHUTDOWN || outcome->exit_code == SVM_EXIT_EXCP_BASE + 12 ||
	       outcome->exit_code == SVM_EXIT_EXCP_BASE + 13 || (outcome->exit_int_info & EVENT_VALID) ||
	       is_handler(outcome->rip);
}

/* Present and writable data whose limit is not below @last. */
static bool is_data(const struct vmcb_seg *seg, uint64_t last)
{
	uint16_t type = seg->attrib & (SEG_ATTRIB_P | SEG_ATTRIB_S | 0xe);

	return type == (SEG_ATTRIB_P | SEG_ATTRIB_S | 2) && seg->limit >= last;
}

static bool has_any_of(const struct nested_difference *d, const unsigned int *insns, unsigned int nr)
{
	while (nr--)
		if (has_op(d, VMCB_OP_L2, insns[nr]))
			return true;
	return false;
}

static bool uses_stack(const struct nested_difference *d)
{
	static const unsigned int insns[] = { L2_push, L2_pop, L2_pushf, L2_popf };

	return has_any_of(d, insns, 4) || has_op(d, VMCB_OP_L2_MEM, MEM_EXECUTE);
}

static bool uses_data(const struct nested_difference *d)
{
	static const unsigned int insns[] = { L2_sgdt, L2_sidt, L2_lgdt, L2_lidt };

	return has_any_of(d, insns, 4) || has_kind(d, VMCB_OP_L2_MEM);
}

/* It is no instruction of long mode for AMD's CPUs (APM vol. 3, SYSENTER). */
static bool is_compat_sysenter(const struct nested_difference *d)
{
	return has_op(d, VMCB_OP_L2, L2_sysenter) && is_long(&d->before->save) && !(d->before->save.cs.attrib & SEG_ATTRIB_L);
}

/* In long mode an event's frame is written as 64-bit code would. */
static bool is_segment_unchecked(const struct nested_difference *d)
{
	const struct vmcb_save *save = &d->before->save;

	if ((is_long(save) && (save->cs.attrib & SEG_ATTRIB_L)) || !has_met_fault(d->want_outcome))
		return false;
	return save->cs.limit < VMCB_CODE_GPA + 0xfff ||
	       (!is_data(&save->ss, VMCB_STACK_GPA - 1) && (!is_long(save) || uses_stack(d))) ||
	       (!is_data(&save->ds, ~0u) && uses_data(d));
}

static bool is_virtual_8086(const struct nested_difference *d)
{
	return (d->before->save.rflags & X86_EFLAGS_VM) && (d->before->save.efer & EFER_LMA);
}

static bool is_table_limit(const struct nested_difference *d)
{
	return is_one_of(d, "gdtr.limit idtr.limit") && d->want == (d->got & 0xffff);
}

static bool is_beyond_limit(const struct nested_difference *d)
{
	return d->before->save.gdtr.limit > 0xffff || d->before->save.idtr.limit > 0xffff;
}

/* And are pushed, then. */
static bool is_reserved_flag(const struct nested_difference *d)
{
	if (is_field(d, "rflags"))
		return !((d->want ^ d->got) & ~RESERVED_FLAGS);
	return begins(d, "memory") && !other_flags(d);
}

static bool is_reserved_error(const struct nested_difference *d)
{
	return (d->want ^ d->got) == 1 && (d->want & 8) && (begins(d, "memory") ||
	       is_one_of(d, "exit_info_1 event_inj_error exit_int_info_error"));
}

static bool is_null_segment(const struct nested_difference *d)
{
	static const char *const names[] = { "es.", "ss.", "ds.", "fs.", "gs." };
	const struct vmcb_save *save = &d->want_after->save;
	const struct vmcb_seg *segs[] = { &save->es, &save->ss, &save->ds, &save->fs, &save->gs };
	unsigned int i;

	for (i = 0; i < 5; i++)
		if (begins(d, names[i]))
			return segs[i]->selector < 4;
	return false;
}

static bool is_ltr(const struct nested_difference *d)
{
	return has_op(d, VMCB_OP_L2, L2_ltr);
}

static bool is_far_call(const struct nested_difference *d)
{
	unsigned int i;

	for (i = 0; i < d->input->nr_ops; i++) {
		const struct input_op *op = &d->input->ops[i];

		if (op->kind == VMCB_OP_L2_MEM && op->args[0] == MEM_EXECUTE && op->args[1] >= VMCB_RAM_BYTES)
			return true;
	}
	return false;
}

const struct nested_known nested_known[] = {
	{ "time", "L2 read a counter", is_time, false },
	{ "insn_bytes", "how many bytes of an instruction a CPU has at hand", is_insn_bytes, true },
	{ "any_code", "any bytes as code: instructions are compared elsewhere", is_any_code, false },
	{ "table_code", "L2's own page tables as code: a walk's marks are in them", is_table_code, false },
	{ "pin_taken", "an interrupt that is not intercepted: the machine's pin has no vector", is_pin_taken, false },
	{ "mwait_quirk", "KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS", is_mwait_quirk, false },
	{ "msr", "MSRs that L2 gets at are each target's own", is_msr, false },
	{ "rf_of_injection", "KVM sets RF for a fault that it injects", is_rf_of_injection, true },
	{ "event_reserved", "reserved bits of an event's word, and an NMI's vector", is_event_reserved, true },
	{ "nowhere", "an entry that leads to where no memory is", is_entry_nowhere, false },
	{ "npt_invisible", "a nested table where there is no memory", is_table_invisible, false },
	{ "refused_record", "a refused VMRUN says nothing but its code", is_refused_record, true },
	{ "refused_code", "findings 1002 and KVM's own: 32 bits of the code", is_refused_code, true },
	{ "1001", "a VMRUN that is refused late stores L1's CR3; 1002, 1204: and a RIP", is_refused_late, true },
	{ "1001", "L2 goes on with what a VMRUN that was refused late has stored", is_behind_refused_late, false },
	{ "no_event", "an event's word whose V bit is clear", is_no_event, true },
	{ "no_error", "an event's error code whose EV bit is clear", is_no_error, true },
	{ "ncr3_invisible", "KVM shuts L2 down where nested CR3 is no memory", is_root_invisible, false },
	{ "v_tpr", "V_TPR of an L2 that shares the host's TPR", is_v_tpr, true },
	{ "guest_if", "the copy of RFLAGS.IF in the interrupt shadow's word", is_guest_if, true },
	{ "cr_priority", "an illegal value for an intercepted control register", is_cr_priority, false },
	{ "msrpm_unreadable", "KVM refuses where it cannot read the MSR map", is_msrpm_unreadable, false },
	{ "4820", "KVM executes an instruction for a walk's fault, and leaves EXITINFO as it was", is_info_of_walk, true },
	{ "4920", "KVM: a fault of its own walk of L2's tables says that it was met behind it", is_walk_of_emulator, true },
	{ "no_code", "EXITINFO of an exception without an error code or address", is_code_of_none, true },
	{ "4821", "KVM executes an instruction in the midst of an event's delivery", is_emulated_in_delivery, false },
	{ "4900", "KVM injects no #VC again", is_vc_lost, false },
	{ "own_table", "L2 writes its nested tables, and the TLB may know", is_own_table, false },
	{ "own_table", "L2 writes its page tables, and the TLB may know", is_own_page_table, false },
	{ "4901", "KVM executes a MOV to CR8 as L1's", is_cr8_of_l1, true },
	{ "4822", "KVM adds CS's base where 64-bit code has none", is_soft_with_base, false },
	{ "4400", "KVM forgets an illegal event when it calls an entry off", is_event_forgotten, false },
	{ "4825", "KVM keeps bit 12 of DR6", is_dr6_reserved, true },
	{ "1107", "KVM: without paging SVM's instructions are undefined", is_svm_unpaged, false },
	{ "halt_stepped", "a trap behind a HLT that user space is told of", is_halt_stepped, false },
	{ "4828", "KVM keeps ET clear in CR0", is_et_clear, true },
	{ "4910", "KVM keeps LMA as it is in the VMCB", is_lma_kept, true },
	{ "4910", "KVM and QEMU enter L2 in the mode that LMA says, not LME and PG", has_odd_lma, false },
	{ "0302", "KVM's emulator ignores the upper half of a MOV to CR4", is_cr4_upper, false },
	{ "1101", "KVM: EXITINFO2 of an I/O that is emulated", is_emulated_io, true },
	{ "1008", "KVM: the address of a nested page fault that is emulated", is_emulated_address, true },
	{ "1003", "KVM does not look at G_PAT", is_g_pat, false },
	{ "0107", "QEMU: RDTSCP does not take its intercept", is_lost_rdtscp, false },
	{ "0108", "QEMU: ICEBP is undefined", is_lost_icebp, false },
	{ "0108", "QEMU: ICEBP is undefined", is_icebp, false },
	{ "0105", "QEMU: INVD exits as WBINVD", is_lost_invd, false },
	{ "0105", "QEMU: INVD exits as WBINVD", is_invd_as_wbinvd, false },
	{ "0106", "QEMU: XSETBV does not take its intercept", is_lost_xsetbv, false },
	{ "0102", "QEMU: INT3 does not take the #BP intercept", is_lost_bp, false },
	{ "1111", "QEMU: #DF is not intercepted", is_lost_df, false },
	{ "2903", "QEMU: no conditional intercept of MWAIT", is_lost_mwait_cond, false },
	{ "0708", "QEMU: no intercept of task switches", is_lost_task_switch, false },
	{ "0110", "QEMU: no address size in EXITINFO1 of a string I/O", is_string_address_size, true },
	{ "0901", "QEMU: VMRUN arms no breakpoints", is_breakpoint, false },
	{ "3901", "QEMU: a fault's frame has no RF", is_rf_lost, true },
	{ "3902", "QEMU: whether an injected exception has an error code goes by its vector", is_injected_error, false },
	{ "4823", "QEMU extends an error code by its sign", is_error_signed, true },
	{ "4824", "QEMU: bit 8 of a PML4 entry is not reserved", is_pml4_bit_8, false },
	{ "4826", "QEMU: INT3 is an INT n in EXITINTINFO", is_int3_type, true },
	{ "4826", "QEMU: INT3 is an INT n and takes its intercept", is_int3_as_int, false },
	{ "4835", "QEMU: a virtual interrupt is an exception in EXITINTINFO", is_virq_an_exception, false },
	{ "4902", "QEMU: PAUSE keeps the interrupt shadow", is_shadow_kept, true },
	{ "4922", "QEMU: an interrupt shadow outlives the event behind it", is_shadow_over_event, true },
	{ "4827", "QEMU: STI has a shadow where IF is set already", is_sti_again, true },
	{ "4829", "QEMU: EXITINTINFO has the event that came first", is_first_event, true },
	{ "4833", "KVM without nRIP: a fault in an INT n's delivery returns behind it", is_int_skipped, true },
	{ "4831", "QEMU: what an instruction reads and writes is read first", is_write_read, true },
	{ "4911", "QEMU: the error code of a fault in an event's delivery", is_gate_error, true },
	{ "4923", "a shift's AF is undefined", is_af_of_shift, true },
	{ "4832", "QEMU keeps RF over instructions", is_rf_kept, true },
	{ "0112", "QEMU: a virtual interrupt of the TPR's own priority", is_virq_as_low, false },
	{ "0111", "QEMU: VMRUN drops the interrupt shadow", is_shadow_dropped, true },
	{ "0111", "QEMU: VMRUN drops the interrupt shadow", is_shadow_missed, false },
	{ "1009", "QEMU loses a soft event at an exit in its delivery", is_soft_event, false },
	{ "0903", "QEMU sets the accessed bit in PAE pointers", is_pae_accessed, false },
	{ "3903", "QEMU: exception 31 is refused", is_vector_31, false },
	{ "3904", "QEMU: CPL is SS.DPL", is_cpl_of_ss, false },
	{ "3701", "QEMU: SYSENTER is executed in compatibility mode", is_compat_sysenter, false },
	{ "3701", "QEMU: segments' limits and rights are not checked", is_segment_unchecked, false },
	{ "3905", "QEMU: RFLAGS.VM in long mode", is_virtual_8086, false },
	{ "3906", "QEMU: descriptor tables' limits have 32 bits", is_table_limit, true },
	{ "3906", "QEMU: descriptor tables' limits have 32 bits", is_beyond_limit, false },
	{ "3913", "QEMU: VMRUN makes no address canonical", is_base_odd, false },
	{ "3914", "QEMU: VMRUN keeps reserved bits of DR7", is_dr7_reserved, true },
	{ "3915", "QEMU: MOV to CR3 takes reserved bits", is_cr3_reserved, false },
	{ "4834", "QEMU: MOV to CR0 takes reserved bits", is_cr0_reserved, false },
	{ "3907", "QEMU: reserved bits of RFLAGS are kept", is_reserved_flag, true },
	{ "3908", "QEMU: a reserved bit's fault has no P", is_reserved_error, true },
	{ "3909", "QEMU: a null selector clears base and limit", is_null_segment, true },
	{ "3910", "QEMU: LTR takes a null selector", is_ltr, false },
	{ "3911", "QEMU: CALL pushes before it finds its target not canonical", is_far_call, false },
	{ "3912", "QEMU: MOV to CR8 takes reserved bits", is_cr8_reserved, false },
	{ "clean", "fields that were changed, and that clean bits say were not", is_clean, false },
	{ "stale", "tables or the VMCB were changed between runs, and the TLB may know", is_stale, false },
	{ NULL, NULL, NULL, false },
};

/* --- reports of the kernel --- */

/* By where they are, but for the line. */
static const struct { const char *id, *file, *function; } reports[] = {
	{ "3900", "at arch/x86/kvm/svm/nested.c:", " nested_svm_vmexit+" },
	{ "4550", "at arch/x86/kvm/x86.c:", " kvm_multiple_exception+" },
	{ "4840", "at arch/x86/kvm/x86.c:", " kvm_arch_vcpu_ioctl_run+" },
	{ "4840", "at arch/x86/kvm/x86.c:", " kvm_check_and_inject_events+" },
};

const char *nested_known_report(const char *headline)
{
	size_t i;

	for (i = 0; i < sizeof(reports) / sizeof(reports[0]); i++)
		if (strstr(headline, "WARNING: ") && strstr(headline, reports[i].file) && strstr(headline, reports[i].function))
			return reports[i].id;
	return NULL;
}

/* SPDX-License-Identifier: MIT */
/* What the machine cannot say, and what KVM is known for (reports/findings). */
#include "fuzz/nested_known.h"

/* In the clean word: APM vol. 2, 15.15.3. */
#define CLEAN_DR (1u << 6)
#define CLEAN_DT (1u << 7)
#define CLEAN_SEG (1u << 8)
#define VC_VECTOR 29u
#define PF_OF_FETCH 0x10u	/* EXITINFO1 of an intercepted #PF: APM vol. 2, 8.4.2 */

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
	return has_access(d, MEM_EXECUTE, VMCB_PML4_GPA - MAX_INSN_BYTES + 1, VMCB_GDT_GPA - 1);
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
	const struct vmcb_control *control = &d->before->control;
	uint64_t root = control->nested_cr3 & ~0xfffull;

	return (control->nested_ctl & NP_ENABLE) && has_access(d, MEM_STORE, root, root + 0xfff);
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

/* KVM intercepts it, and QEMU has no decode assists: the emulator, which takes 32 bits of the value, goes on. */
static bool is_cr4_upper(const struct nested_difference *d)
{
	return moves_to_cr(d, 4, ~0ull << 32) && has_own_end(d);
}

/* And such a fault's RIP is behind the INT n, whose two bytes KVM had to skip: a word of the frame, or its upper half. */
static bool is_int_skipped(const struct nested_difference *d)
{
	uint64_t ahead = d->got - d->want;

	return begins(d, "memory") && has_kind(d, VMCB_OP_L2_INT) && (ahead == 2 || ahead == 2ull << 32);
}

/* L2 goes to the middle of its own code. */
static bool executes_itself(const struct nested_difference *d)
{
	return has_access(d, MEM_EXECUTE, VMCB_CODE_GPA, VMCB_HANDLER_GPA - 1);
}

/* 16-bit code, or its middle, is our bytes read as other instructions, among them shifts, whose AF is nobody's to say. */
static bool is_af_of_shift(const struct nested_difference *d)
{
	const struct vmcb_save *save = &d->before->save;
	bool is_64 = is_long(save) && (save->cs.attrib & SEG_ATTRIB_L);

	return is_field(d, "rflags") && (d->want ^ d->got) == X86_EFLAGS_AF && (d->want & X86_EFLAGS_AF) &&
	       (executes_itself(d) || (!is_64 && !(save->cs.attrib & SEG_ATTRIB_DB) && has_op(d, VMCB_OP_L2_MEM, MEM_EXECUTE)));
}

const struct nested_known nested_known_kvm[] = {
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
	{ "4833", "KVM without nRIP: a fault in an INT n's delivery returns behind it", is_int_skipped, true },
	{ "4923", "a shift's AF is undefined", is_af_of_shift, true },
	{ NULL, NULL, NULL, false },
};

const struct nested_known nested_known_last[] = {
	{ "clean", "fields that were changed, and that clean bits say were not", is_clean, false },
	{ "stale", "tables or the VMCB were changed between runs, and the TLB may know", is_stale, false },
	{ NULL, NULL, NULL, false },
};

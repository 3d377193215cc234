/* SPDX-License-Identifier: MIT */
/* What QEMU's TCG is known for, which is the CPU of lab-svm (reports/findings). */
#include "fuzz/nested_known.h"

#include <inttypes.h>
#include <stdio.h>

#define ERROR_EXT 1u		/* of a selector's error code: APM vol. 2, 8.4.1 */
#define ERROR_IDT 2u
#define RESERVED_FLAGS 0xffffffffffc08028ull

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

/* The exit comes in the delivery of a fault that another event's delivery has raised. */
static bool is_first_event(const struct nested_difference *d)
{
	uint32_t want = d->want_after->control.exit_int_info, got = d->got_after->control.exit_int_info;

	return is_one_of(d, "exit_int_info exit_int_info_error") && (want & got & EVENT_VALID) && want != got &&
	       (want & EVENT_TYPE(7)) == EVENT_EXCEPTION && (want & EVENT_HAS_ERROR);
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

/* In which KVM, when it loads them for L2's MOV to a control register, finds a reserved bit. */
static bool is_pae_refused(const struct nested_difference *d)
{
	const struct vmcb_save *save = &d->before->save;
	bool is_pae = (save->cr0 & X86_CR0_PG) && (save->cr4 & X86_CR4_PAE) && !(save->efer & EFER_LME);

	return is_pae && is_field(d, "rip") && is_handler(d->got) && !is_handler(d->want) &&
	       (moves_to_cr(d, 0, ~0ull) || moves_to_cr(d, 4, ~0ull));
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

static bool is_cr0_reserved(const struct nested_difference *d)
{
	return moves_to_cr(d, 0, ~0ull << 32);
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
	return has_access(d, MEM_EXECUTE, VMCB_RAM_BYTES, UINT64_MAX);
}

const struct nested_known nested_known_qemu[] = {
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
	{ "4831", "QEMU: what an instruction reads and writes is read first", is_write_read, true },
	{ "4911", "QEMU: the error code of a fault in an event's delivery", is_gate_error, true },
	{ "4832", "QEMU keeps RF over instructions", is_rf_kept, true },
	{ "0112", "QEMU: a virtual interrupt of the TPR's own priority", is_virq_as_low, false },
	{ "0111", "QEMU: VMRUN drops the interrupt shadow", is_shadow_dropped, true },
	{ "0111", "QEMU: VMRUN drops the interrupt shadow", is_shadow_missed, false },
	{ "1009", "QEMU loses a soft event at an exit in its delivery", is_soft_event, false },
	{ "0903", "QEMU sets the accessed bit in PAE pointers", is_pae_accessed, false },
	{ "0903", "QEMU sets the accessed bit in PAE pointers, and KVM finds it", is_pae_refused, false },
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
	{ NULL, NULL, NULL, false },
};

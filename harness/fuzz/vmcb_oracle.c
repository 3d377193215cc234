/* SPDX-License-Identifier: MIT */
/*
 * What must hold of any VMRUN, whatever the VMCB says: without a second opinion about what L2 does. Source: APM vol. 2,
 * 15.5 to 15.12, 15.20, 15.25.6, appendix B.
 */
#include "fuzz/vmcb_outcome.h"

#include <asm/svm.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fuzz/vmcb_ops.h"
#include "fuzz/vmcb_world.h"
#include "vm/x86/bits.h"

#define PAGE_BYTES 0x1000u
#define MAX_INSN_BYTES 15
#define RFLAGS_ZERO 0xffffffffffc08028ull
#define NR_WORDS (VMCB_BYTES / 8)

struct verdict {
	char *buf;
	size_t len_bytes;
};

/* Returns true, so that a check reads "return wrong(...)". */
static bool wrong(const struct verdict *verdict, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool wrong(const struct verdict *verdict, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(verdict->buf, verdict->len_bytes, format, args);
	va_end(args);
	return true;
}

static bool number_is_wrong(const struct verdict *v, const char *name, uint64_t want, uint64_t got)
{
	return want != got && wrong(v, "%s: want 0x%" PRIx64 ", got 0x%" PRIx64, name, want, got);
}

/* --- the VMCB --- */

/* What #VMEXIT may write (appendix B, and 15.6); everything else stays as it was, reserved or not. */
#define PART(part_, field_) { offsetof(struct vmcb, part_.field_), sizeof(((struct vmcb *)0)->part_.field_) }
#define CONTROL(field_) PART(control, field_)
#define SAVE(field_) PART(save, field_)

static const struct written {
	uint16_t offset, len_bytes;
} written_by_exit[] = {
	CONTROL(int_ctl), CONTROL(int_state), CONTROL(exit_code), CONTROL(exit_info_1), CONTROL(exit_info_2),
	CONTROL(exit_int_info), CONTROL(exit_int_info_error), CONTROL(event_inj), CONTROL(next_rip), CONTROL(nr_insn_bytes),
	CONTROL(insn_bytes), SAVE(es), SAVE(cs), SAVE(ss), SAVE(ds), SAVE(gdtr), SAVE(idtr), SAVE(cpl), SAVE(efer), SAVE(cr4),
	SAVE(cr3), SAVE(cr0), SAVE(dr7), SAVE(dr6), SAVE(rflags), SAVE(rip), SAVE(rsp), SAVE(rax), SAVE(cr2), SAVE(g_pat),
	SAVE(dbgctl), SAVE(br_from), SAVE(br_to), SAVE(last_excp_from), SAVE(last_excp_to),
}, written_by_refusal[] = {
	CONTROL(exit_code), CONTROL(event_inj),
};

#define NR(array_) (sizeof(array_) / sizeof((array_)[0]))

/* Bits that must be the same before and after: all but those of the list. */
static void kept_bits(const struct written *written, unsigned int nr, uint64_t *kept)
{
	unsigned int i;

	memset(kept, 0xff, VMCB_BYTES);
	for (i = 0; i < nr; i++)
		memset((uint8_t *)kept + written[i].offset, 0, written[i].len_bytes);
}

static const uint64_t *kept_by(bool is_refusal)
{
	static uint64_t kept[2][NR_WORDS];
	static bool is_made;

	if (!is_made) {
		kept_bits(written_by_exit, NR(written_by_exit), kept[0]);
		kept_bits(written_by_refusal, NR(written_by_refusal), kept[1]);
		is_made = true;
	}
	return kept[is_refusal];
}

static const char *field_at(unsigned int offset)
{
	unsigned int i;

	for (i = 0; i < nr_vmcb_fields; i++)
		if (offset - vmcb_fields[i].offset < vmcb_fields[i].len_bytes)
			return vmcb_fields[i].name;
	return "reserved";
}

/* @offset: of a word of which some byte differs where it is kept. */
static bool word_is_wrong(const struct verdict *v, const struct vmcb_run *run, const uint64_t *kept, unsigned int offset)
{
	const uint8_t *before = (const uint8_t *)run->before, *after = (const uint8_t *)run->after;

	while (!((before[offset] ^ after[offset]) & ((const uint8_t *)kept)[offset]))
		offset++;
	return wrong(v, "VMCB offset 0x%x (%s) was 0x%02x and became 0x%02x", offset, field_at(offset), before[offset],
		     after[offset]);
}

static bool vmcb_is_wrong(const struct verdict *v, const struct vmcb_run *run)
{
	const uint64_t *before = (const void *)run->before, *after = (const void *)run->after;
	const uint64_t *kept = kept_by(run->outcome->end == VMCB_END_REFUSED);
	unsigned int i;

	for (i = 0; i < NR_WORDS; i++)
		if ((before[i] ^ after[i]) & kept[i])
			return word_is_wrong(v, run, kept, i * 8);
	return number_is_wrong(v, "EVENTINJ", run->before->control.event_inj & ~EVENT_VALID,
			       run->after->control.event_inj);
}

/* --- memory --- */

static bool is_table(uint64_t gpa)
{
	return gpa >= VMCB_NPML4_GPA && gpa <= VMCB_NPT_GPA;
}

/* Nested tables get A and D, and nothing else of L1's changes. */
static bool page_is_wrong(const struct verdict *v, const struct vmcb_run *run, uint64_t gpa)
{
	const uint64_t *now = (const void *)(run->ram + gpa), *was = (const void *)(run->golden + gpa);
	unsigned int i;

	if (gpa == VMCB_VMCB_GPA)
		return false;
	if (!is_table(gpa))
		return wrong(v, "L1's page 0x%" PRIx64 " was written", gpa);
	for (i = 0; i < PAGE_BYTES / 8; i++)
		if ((now[i] ^ was[i]) & ~(PTE_A | PTE_D))
			return wrong(v, "nested entry 0x%" PRIx64 " became 0x%" PRIx64, gpa + i * 8, now[i]);
	return false;
}

static bool memory_is_wrong(const struct verdict *v, const struct vmcb_run *run)
{
	unsigned int page;

	for (page = VMCB_L2_BYTES / PAGE_BYTES; page < VMCB_NR_PAGES; page++)
		if ((run->dirty[page / 64] >> page % 64 & 1) && page_is_wrong(v, run, (uint64_t)page * PAGE_BYTES))
			return true;
	return false;
}

static bool refusal_writes(const struct verdict *v, const struct vmcb_run *run)
{
	unsigned int page;

	for (page = 0; page < VMCB_NR_PAGES; page++)
		if ((run->dirty[page / 64] >> page % 64 & 1) && page != VMCB_VMCB_GPA / PAGE_BYTES)
			return wrong(v, "a refused VMRUN wrote page 0x%x", page * PAGE_BYTES);
	return false;
}

/* --- the host --- */

#define HOST_FIELDS(X)									\
	X(rax) X(rsp) X(rip) X(rflags) X(cr0) X(cr3) X(cr4) X(efer) X(cpl)

/* TPR and PAT are one for both, unless the guest is given its own. */
static bool shared_is_wrong(const struct verdict *v, const struct vmcb_run *run)
{
	const struct vmcb_host *want = run->host_before, *got = run->host_after;
	const struct vmcb_control *control = &run->before->control;

	if ((control->int_ctl & V_INTR_MASKING) && number_is_wrong(v, "host cr8", want->cr8, got->cr8))
		return true;
	return (control->nested_ctl & NP_ENABLE) && number_is_wrong(v, "host pat", want->pat, got->pat);
}

static bool host_is_wrong(const struct verdict *v, const struct vmcb_run *run)
{
	const struct vmcb_host *want = run->host_before, *got = run->host_after;

#define HOST_CHECK(field_)								\
	if (number_is_wrong(v, "host " #field_, want->field_, got->field_))		\
		return true;
	HOST_FIELDS(HOST_CHECK)
	if (memcmp(want->segs, got->segs, sizeof(want->segs)))
		return wrong(v, "host segments differ");
	if (memcmp(want->gdtr, got->gdtr, sizeof(want->gdtr)) || memcmp(want->idtr, got->idtr, sizeof(want->idtr)))
		return wrong(v, "host GDTR or IDTR differs");
	return number_is_wrong(v, "host dr7", 0x400, got->dr7) || number_is_wrong(v, "GIF", 0, got->has_gif);
}

/* --- the exit --- */

static bool ioio_is_wrong(const struct verdict *v, const struct vmcb_run *run)
{
	const struct vmcb_outcome *outcome = run->outcome;
	uint64_t info = outcome->exit_info_1, port = info >> 16 & 0xffff, size = info >> 4 & 7, bits;
	const struct vmcb_control *control = &run->before->control;

	if (__builtin_popcountll(size) != 1 || __builtin_popcountll(info >> 7 & 7) != 1)
		return wrong(v, "IOIO: EXITINFO1 0x%" PRIx64 " has not one size of operand and address", info);
	if (!run->is_isolated || (control->iopm_base_pa & ~0xfffull) != VMCB_IOPM_GPA)
		return false;
	bits = (uint64_t)run->ram[VMCB_IOPM_GPA + port / 8] | (uint64_t)run->ram[VMCB_IOPM_GPA + port / 8 + 1] << 8;
	if (!(bits >> port % 8 & ((1u << size) - 1)))
		return wrong(v, "IOIO: port 0x%" PRIx64 " is not in the permission map", port);
	return false;
}

static bool msr_is_wrong(const struct verdict *v, const struct vmcb_run *run)
{
	static const uint32_t firsts[] = { 0, 0xc0000000, 0xc0010000 };
	uint32_t msr = (uint32_t)run->outcome->regs[1];
	unsigned int i;

	if (run->outcome->exit_info_1 > 1)
		return wrong(v, "MSR: EXITINFO1 is 0x%" PRIx64, run->outcome->exit_info_1);
	if (!run->is_isolated || (run->before->control.msrpm_base_pa & ~0xfffull) != VMCB_MSRPM_GPA)
		return false;
	for (i = 0; i < 3; i++) {
		uint64_t bit = (msr - firsts[i]) * 2ull + run->outcome->exit_info_1;

		if (msr - firsts[i] < 0x2000 && !(run->ram[VMCB_MSRPM_GPA + i * 0x800 + bit / 8] >> bit % 8 & 1))
			return wrong(v, "MSR: 0x%x is not in the permission map", msr);
	}
	return false;
}

/* Vectors that push an error code (APM vol. 2, table 8-1). */
static bool has_error_code(unsigned int vector)
{
	return 0x60227d00u >> vector & 1;
}

static bool exception_is_wrong(const struct verdict *v, const struct vmcb_outcome *outcome)
{
	unsigned int vector = (unsigned int)outcome->exit_code - SVM_EXIT_EXCP_BASE;

	if (vector != 14 && outcome->exit_info_2)
		return wrong(v, "exception %u: EXITINFO2 is 0x%" PRIx64, vector, outcome->exit_info_2);
	if (!has_error_code(vector) && outcome->exit_info_1)
		return wrong(v, "exception %u: EXITINFO1 is 0x%" PRIx64, vector, outcome->exit_info_1);
	return false;
}

static bool npf_is_wrong(const struct verdict *v, const struct vmcb_run *run)
{
	uint64_t info = run->outcome->exit_info_1;

	if (!(run->before->control.nested_ctl & NP_ENABLE))
		return wrong(v, "NPF without nested paging");
	if (!(info & NPF_FINAL) == !(info & NPF_TABLE))
		return wrong(v, "NPF: EXITINFO1 0x%" PRIx64 " is of neither or both of table and final page", info);
	return false;
}

static bool pin_is_wrong(const struct verdict *v, const struct vmcb_run *run, unsigned int pin)
{
	return !(run->pins >> pin & 1) && wrong(v, "%s without its pin", vmcb_exit_name(run->outcome->exit_code));
}

static bool is_intercepted(const struct vmcb_run *run, uint64_t code)
{
	return code < NR_INTERCEPTS && (run->before->control.intercept[code / 32] >> code % 32 & 1);
}

static bool code_is_wrong(const struct verdict *v, const struct vmcb_run *run)
{
	uint64_t code = run->outcome->exit_code;

	if (code == SVM_EXIT_NPF)
		return npf_is_wrong(v, run);
	if (!is_intercepted(run, code))
		return wrong(v, "exit 0x%" PRIx64 " that is not intercepted", code);
	if (code >= SVM_EXIT_EXCP_BASE && code < SVM_EXIT_EXCP_BASE + 32)
		return exception_is_wrong(v, run->outcome);
	switch (code) {
	case SVM_EXIT_IOIO:
		return ioio_is_wrong(v, run);
	case SVM_EXIT_MSR:
		return msr_is_wrong(v, run);
	case SVM_EXIT_INTR:
		return pin_is_wrong(v, run, PIN_INTR);
	case SVM_EXIT_NMI:
		return pin_is_wrong(v, run, PIN_NMI);
	case SVM_EXIT_SMI:
		return pin_is_wrong(v, run, PIN_SMI);
	case SVM_EXIT_INIT:
		return pin_is_wrong(v, run, PIN_INIT);
	default:
		return false;
	}
}

static bool event_is_wrong(const struct verdict *v, const struct vmcb_outcome *outcome)
{
	uint32_t event = outcome->exit_int_info, type = event & EVENT_TYPE(7), vector = event & EVENT_VECTOR;

	if (!(event & EVENT_VALID))
		return false;
	if (type != EVENT_INTR && type != EVENT_NMI && type != EVENT_EXCEPTION && type != EVENT_SOFT)
		return wrong(v, "EXITINTINFO 0x%x has a reserved type", event);
	return type == EVENT_EXCEPTION && (vector > 31 || vector == 2) && wrong(v, "EXITINTINFO 0x%x is no exception", event);
}

/* Entries of tables get A and D by whatever looks them up. */
static bool is_any_table(uint64_t gpa)
{
	return is_table(gpa) || (gpa >= VMCB_PML4_GPA && gpa <= VMCB_PT_GPA) || gpa == VMCB_PAE_PDPT_GPA;
}

static bool has_written(const struct vmcb_run *run)
{
	uint64_t page;

	for (page = 0; page < VMCB_NR_PAGES; page++)
		if ((run->dirty[page / 64] >> page % 64 & 1) && page * PAGE_BYTES != VMCB_VMCB_GPA &&
		    !is_any_table(page * PAGE_BYTES))
			return true;
	return false;
}

/*
 * EVENTINJ is delivered before all else, or EXITINTINFO has it (APM vol. 2, 15.20): L2 that stands where it was, and has
 * neither done anything since nor pushed a frame, got no event. What a delivery comes to when L2 shuts down is not said.
 */
static bool injection_is_wrong(const struct verdict *v, const struct vmcb_run *run)
{
	const struct vmcb_save *before = &run->before->save, *after = &run->after->save;
	uint32_t event = run->before->control.event_inj;

	return (event & EVENT_VALID) && !(run->outcome->exit_int_info & EVENT_VALID) && !run->nr_insns &&
	       run->outcome->exit_code != SVM_EXIT_SHUTDOWN && before->rip == after->rip && before->rsp == after->rsp &&
	       before->cs.selector == after->cs.selector && !has_written(run) && wrong(v, "EVENTINJ 0x%x was lost", event);
}

/* What an instruction's exit says of where it ends. */
static bool next_rip_is_wrong(const struct verdict *v, const struct vmcb_outcome *outcome)
{
	uint64_t code = outcome->exit_code, len = (outcome->next_rip - outcome->rip) & 0xffffffff;
	bool is_insn = code < SVM_EXIT_EXCP_BASE || (code >= SVM_EXIT_CR0_SEL_WRITE && code < SVM_EXIT_TASK_SWITCH) ||
		(code >= SVM_EXIT_VMRUN && code <= SVM_EXIT_XSETBV);

	return is_insn && outcome->next_rip && (!len || len > MAX_INSN_BYTES) &&
	       wrong(v, "RIP 0x%" PRIx64 " and nRIP 0x%" PRIx64 " are no instruction apart", outcome->rip, outcome->next_rip);
}

static bool state_is_wrong(const struct verdict *v, const struct vmcb_run *run)
{
	const struct vmcb_save *save = &run->after->save;
	bool is_long = (save->efer & EFER_LME) && (save->cr0 & X86_CR0_PG);

	if ((save->rflags & RFLAGS_ZERO) || !(save->rflags & X86_EFLAGS_FIXED))
		return wrong(v, "RFLAGS is 0x%" PRIx64, save->rflags);
	if (save->cpl > 3)
		return wrong(v, "CPL is %u", save->cpl);
	if (!(save->efer & EFER_LMA) == is_long)
		return wrong(v, "EFER is 0x%" PRIx64 " with CR0 0x%" PRIx64, save->efer, save->cr0);
	return run->after->control.int_state & ~3u &&
	       wrong(v, "the interrupt shadow's word is 0x%x", run->after->control.int_state);
}

static bool exit_is_wrong(const struct verdict *v, const struct vmcb_run *run)
{
	return code_is_wrong(v, run) || event_is_wrong(v, run->outcome) || injection_is_wrong(v, run) ||
	       next_rip_is_wrong(v, run->outcome) || state_is_wrong(v, run);
}

/* --- all --- */

static bool prediction_is_wrong(const struct verdict *v, const struct vmcb_run *run)
{
	bool is_refused = run->outcome->end == VMCB_END_REFUSED;

	if (is_refused == (run->predicted != NULL))
		return false;
	if (is_refused)
		return wrong(v, "refused, and no rule is broken");
	return wrong(v, "entered, though rule %s is broken", run->predicted->id);
}

bool vmcb_run_is_wrong(const struct vmcb_run *run, char *buf, size_t len_bytes)
{
	struct verdict verdict = { buf, len_bytes }, *v = &verdict;
	enum vmcb_end end = run->outcome->end;

	if (prediction_is_wrong(v, run) || host_is_wrong(v, run) || shared_is_wrong(v, run))
		return true;
	if (end == VMCB_END_REFUSED)
		return vmcb_is_wrong(v, run) || refusal_writes(v, run);
	if (run->is_isolated && (memory_is_wrong(v, run) || vmcb_is_wrong(v, run)))
		return true;
	return end == VMCB_END_EXIT && exit_is_wrong(v, run);
}

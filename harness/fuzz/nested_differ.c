/* SPDX-License-Identifier: MIT */
#include "fuzz/nested_differ.h"

#include <asm/svm.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fuzz/vmcb_ops.h"
#include "vm/x86/bits.h"

#define PAGE_BYTES 0x1000u

struct differ {
	const struct nested_side *want, *got;
	struct nested_judgement *judgement;
	struct nested_difference at;
	bool is_over;
};

/* What is in memory may be of any of the runs. */
static const struct nested_known *known_find_in_runs(struct nested_difference d)
{
	const struct nested_known *known = nested_known_find(&d);

	while (!known && d.run) {
		d.run--;
		d.before--;
		d.want_after--;
		d.got_after--;
		d.want_outcome--;
		d.got_outcome--;
		known = nested_known_find(&d);
	}
	return known;
}

static const char *end_print(const struct vmcb_outcome *outcome, char *buf, size_t len_bytes)
{
	const char *name = vmcb_exit_name(outcome->exit_code);

	if (outcome->end != VMCB_END_EXIT)
		return vmcb_end_name(outcome->end);
	if (name)
		return name;
	snprintf(buf, len_bytes, "0x%" PRIx64, outcome->exit_code);
	return buf;
}

/* With how the run ended: by the machine, and when that differs, by the target. */
static void judgement_print(const struct nested_difference *d, char *text, size_t len_bytes)
{
	char want[24], got[24];

	if (!strcmp(d->field, "end") || !strcmp(d->field, "exit_code"))
		snprintf(text, len_bytes, "run %u: want %s, got %s", d->run, end_print(d->want_outcome, want, sizeof(want)),
			 end_print(d->got_outcome, got, sizeof(got)));
	else
		snprintf(text, len_bytes, "run %u (%s): %s: want 0x%" PRIx64 ", got 0x%" PRIx64, d->run,
			 end_print(d->want_outcome, want, sizeof(want)), d->field, d->want, d->got);
}

/* The comparison is over unless the difference is known to mean nothing for what is behind it. */
static void judge(struct differ *differ, const struct nested_known *known)
{
	struct nested_judgement *judgement = differ->judgement;

	if (known && judgement->verdict == NESTED_SAME) {
		judgement->verdict = NESTED_KNOWN;
		judgement->known = known;
	}
	differ->is_over = !known || !known->goes_on;
	if (known)
		return;
	judgement->verdict = NESTED_DIFFERS;
	judgement_print(&differ->at, judgement->text, sizeof(judgement->text));
}

/* True: two numbers of @field differ. */
static bool differs(struct differ *differ, const char *field, uint64_t want, uint64_t got)
{
	differ->at.field = field;
	differ->at.want = want;
	differ->at.got = got;
	return want != got && !differ->is_over;
}

static void compare(struct differ *differ, const char *field, uint64_t want, uint64_t got)
{
	if (differs(differ, field, want, got))
		judge(differ, nested_known_find(&differ->at));
}

static uint64_t field_read(const struct vmcb *vmcb, const struct vmcb_field *field)
{
	uint64_t value = 0;

	memcpy(&value, (const uint8_t *)vmcb + field->offset, field->len_bytes);
	return value;
}

/* Those that say why come first: what a person looks at. */
static void compare_exit(struct differ *differ, const struct vmcb_outcome *want, const struct vmcb_outcome *got)
{
	compare(differ, "exit_code", want->exit_code, got->exit_code);
	compare(differ, "exit_info_1", want->exit_info_1, got->exit_info_1);
	compare(differ, "exit_info_2", want->exit_info_2, got->exit_info_2);
	compare(differ, "exit_int_info", want->exit_int_info, got->exit_int_info);
	compare(differ, "rip", want->rip, got->rip);
	compare(differ, "rflags", want->rflags, got->rflags);
}

static void compare_regs(struct differ *differ, const uint64_t *want, const uint64_t *got)
{
	static const char *const names[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10",
		"r11", "r12", "r13", "r14", "r15" };
	unsigned int i;

	for (i = 0; i < 16; i++)
		compare(differ, names[i], want[i], got[i]);
}

static void compare_vmcb(struct differ *differ, const struct vmcb *want, const struct vmcb *got)
{
	unsigned int i;

	if (!memcmp(want, got, sizeof(*want)))
		return;
	for (i = 0; i < nr_vmcb_fields && !differ->is_over; i++)
		compare(differ, vmcb_fields[i].name, field_read(want, &vmcb_fields[i]), field_read(got, &vmcb_fields[i]));
}

/* What must never be compared: it is about the search itself. */
static bool is_comparable(const struct vmcb_outcome *outcome)
{
	return outcome->end != VMCB_END_BUDGET && outcome->end != VMCB_END_UNIMPLEMENTED;
}

static bool is_shutdown(const struct vmcb_outcome *outcome)
{
	return outcome->end == VMCB_END_EXIT && outcome->exit_code == SVM_EXIT_SHUTDOWN;
}

static void compare_run(struct differ *differ, unsigned int run)
{
	const struct vmcb_outcome *want = &differ->want->result->runs[run], *got = &differ->got->result->runs[run];

	if (!is_comparable(want) || !is_comparable(got)) {
		differ->is_over = true;
		return;
	}
	differ->at.want_outcome = want;
	differ->at.got_outcome = got;
	compare(differ, "end", want->end, got->end);
	if (want->end == VMCB_END_EXIT && (!is_shutdown(want) || want->exit_code != got->exit_code))
		compare_exit(differ, want, got);
	if (want->end != VMCB_END_REFUSED && want->end != VMCB_END_SHUTDOWN && !is_shutdown(want))
		compare_regs(differ, want->regs, got->regs);
	/* L2 is still there, and its VMCB is as it was; behind a SHUTDOWN exit it is nothing to go by. */
	if (want->end == VMCB_END_HALTED || want->end == VMCB_END_SHUTDOWN || is_shutdown(want))
		differ->is_over = true;
	if (!differ->is_over)
		compare_vmcb(differ, differ->at.want_after, differ->at.got_after);
}

/* Entries of page tables, and descriptors: a walk that was given up, or made ahead, may have left its marks. */
static uint64_t marks_of(uint64_t gpa)
{
	if ((gpa >= VMCB_PML4_GPA && gpa < VMCB_GDT_GPA) || (gpa & ~0xfffull) == VMCB_PAE_PDPT_GPA ||
	    (gpa >= VMCB_NPML4_GPA && gpa < VMCB_NPT_GPA + PAGE_BYTES))
		return PTE_A | PTE_D;
	return gpa >= VMCB_GDT_GPA && gpa < VMCB_IDT_GPA ? 1ull << 40 : 0;
}

static void compare_page(struct differ *differ, uint64_t gpa)
{
	const uint8_t *want = differ->want->ram + gpa, *got = differ->got->ram + gpa;
	char field[32];
	unsigned int i;

	if (gpa == VMCB_VMCB_GPA || !memcmp(want, got, PAGE_BYTES))
		return;
	for (i = 0; i < PAGE_BYTES && !differ->is_over; i += 8) {
		uint64_t one, other;

		memcpy(&one, want + i, 8);
		memcpy(&other, got + i, 8);
		if (!((one ^ other) & ~marks_of(gpa + i)))
			continue;
		snprintf(field, sizeof(field), "memory 0x%" PRIx64, gpa + i);
		if (differs(differ, field, one, other))
			judge(differ, known_find_in_runs(differ->at));
	}
}

static void compare_memory(struct differ *differ, const uint64_t *touched)
{
	unsigned int page;

	for (page = 0; page < VMCB_NR_PAGES && !differ->is_over; page++)
		if (touched[page / 64] >> page % 64 & 1)
			compare_page(differ, (uint64_t)page * PAGE_BYTES);
}

void nested_differ(const struct input *input, const struct nested_side *want, const struct nested_side *got,
		   const struct vmcb *before, const uint64_t *touched, struct nested_judgement *ret)
{
	struct differ differ = { .want = want, .got = got, .judgement = ret, .at.input = input };
	unsigned int run;

	*ret = (struct nested_judgement){ NESTED_SAME };
	for (run = 0; run < want->result->nr_runs && run < got->result->nr_runs && !differ.is_over; run++) {
		differ.at.run = run;
		differ.at.before = &before[run];
		differ.at.want_after = &want->after[run];
		differ.at.got_after = &got->after[run];
		compare_run(&differ, run);
	}
	if (!differ.is_over && run)
		compare_memory(&differ, touched);
	ret->is_whole = !differ.is_over;
}

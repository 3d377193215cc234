/* SPDX-License-Identifier: MIT */
#include "fuzz/vmcb_outcome.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fuzz/expect.h"
#include "fuzz/out.h"
#include "fuzz/vmcb_ops.h"

enum { REG_RAX = 0, REG_RSP = 4 };

static const char *const end_names[NR_VMCB_ENDS] = { "exit", "refused", "budget", "halted", "shutdown", "unimplemented" };

static const char *const reg_names[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11",
	"r12", "r13", "r14", "r15" };

const char *vmcb_end_name(enum vmcb_end end)
{
	return end_names[end];
}

void vmcb_outcome_fill(struct vmcb_outcome *outcome, const struct vmcb *vmcb, const uint64_t *regs)
{
	const struct vmcb_control *control = &vmcb->control;

	outcome->exit_code = control->exit_code;
	outcome->exit_info_1 = control->exit_info_1;
	outcome->exit_info_2 = control->exit_info_2;
	outcome->exit_int_info = control->exit_int_info;
	outcome->exit_int_info_error = control->exit_int_info_error;
	outcome->rip = vmcb->save.rip;
	outcome->next_rip = control->next_rip;
	outcome->rflags = vmcb->save.rflags;
	outcome->cr2 = vmcb->save.cr2;
	memcpy(outcome->regs, regs, sizeof(outcome->regs));
	outcome->regs[REG_RAX] = vmcb->save.rax;
	outcome->regs[REG_RSP] = vmcb->save.rsp;
}

/* --- as text --- */

static void out_exit(struct out *out, const struct vmcb_outcome *outcome)
{
	const char *name = vmcb_exit_name(outcome->exit_code);

	if (name)
		out_add(out, "exit=%s", name);
	else
		out_add(out, "exit=0x%" PRIx64, outcome->exit_code);
	out_add(out, " info1=0x%" PRIx64 " info2=0x%" PRIx64 " intinfo=0x%x interror=0x%x nrip=0x%" PRIx64,
		outcome->exit_info_1, outcome->exit_info_2, outcome->exit_int_info, outcome->exit_int_info_error,
		outcome->next_rip);
}

size_t vmcb_outcome_print(const struct vmcb_outcome *outcome, char *buf, size_t len_bytes)
{
	struct out out = { buf, len_bytes, 0 };
	unsigned int i;

	switch (outcome->end) {
	case VMCB_END_EXIT:
		out_exit(&out, outcome);
		break;
	case VMCB_END_REFUSED:
		out_add(&out, "refused rule=%s", outcome->rule ? outcome->rule->id : "none");
		return out.at;
	case VMCB_END_UNIMPLEMENTED:
		out_add(&out, "unimplemented: %s", outcome->unimplemented);
		return out.at;
	default:
		out_add(&out, "%s", end_names[outcome->end]);
		break;
	}
	out_add(&out, " rip=0x%" PRIx64 " rflags=0x%" PRIx64 " cr2=0x%" PRIx64, outcome->rip, outcome->rflags, outcome->cr2);
	for (i = 0; i < 16; i++)
		if (outcome->regs[i])
			out_add(&out, " %s=0x%" PRIx64, reg_names[i], outcome->regs[i]);
	return out.at;
}

/* --- expectations --- */

static size_t expected_line(const void *context, unsigned int n, char *buf, size_t len_bytes)
{
	const struct vmcb_result *result = context;

	return vmcb_outcome_print(&result->runs[n], buf, len_bytes);
}

bool vmcb_result_expect(const struct vmcb_result *result, const char *expect, char *buf, size_t len_bytes)
{
	return expect_holds(expect, result->nr_runs, expected_line, NULL, result, buf, len_bytes);
}

/* --- comparison --- */

static bool is_comparable(const struct vmcb_outcome *outcome)
{
	return outcome->end != VMCB_END_BUDGET && outcome->end != VMCB_END_UNIMPLEMENTED;
}

struct difference {
	unsigned int run;
	char *buf;
	size_t len_bytes;
};

static bool number_differs(const struct difference *difference, const char *name, uint64_t want, uint64_t got)
{
	if (want == got)
		return false;
	snprintf(difference->buf, difference->len_bytes, "run %u: %s: want 0x%" PRIx64 ", got 0x%" PRIx64, difference->run,
		 name, want, got);
	return true;
}

static bool text_differs(const struct difference *difference, const char *name, const char *want, const char *got)
{
	if (!strcmp(want, got))
		return false;
	snprintf(difference->buf, difference->len_bytes, "run %u: %s: want %s, got %s", difference->run, name, want, got);
	return true;
}

static bool outcome_differs(const struct difference *d, const struct vmcb_outcome *want, const struct vmcb_outcome *got)
{
	unsigned int i;

	if (text_differs(d, "end", end_names[want->end], end_names[got->end]))
		return true;
	/* Which of several broken rules a target names is its own. */
	if (want->end == VMCB_END_REFUSED)
		return false;
	if (number_differs(d, "exit_code", want->exit_code, got->exit_code) ||
	    number_differs(d, "exit_info_1", want->exit_info_1, got->exit_info_1) ||
	    number_differs(d, "exit_info_2", want->exit_info_2, got->exit_info_2) ||
	    number_differs(d, "exit_int_info", want->exit_int_info, got->exit_int_info) ||
	    number_differs(d, "exit_int_info_error", want->exit_int_info_error, got->exit_int_info_error) ||
	    number_differs(d, "rip", want->rip, got->rip) ||
	    number_differs(d, "next_rip", want->next_rip, got->next_rip) ||
	    number_differs(d, "rflags", want->rflags, got->rflags) || number_differs(d, "cr2", want->cr2, got->cr2))
		return true;
	for (i = 0; i < 16; i++)
		if (number_differs(d, reg_names[i], want->regs[i], got->regs[i]))
			return true;
	return false;
}

bool vmcb_outcome_differs(const struct vmcb_result *want, const struct vmcb_result *got, unsigned int run, char *buf,
			  size_t len_bytes)
{
	struct difference difference = { run, buf, len_bytes };

	return is_comparable(&want->runs[run]) && is_comparable(&got->runs[run]) &&
	       outcome_differs(&difference, &want->runs[run], &got->runs[run]);
}

bool vmcb_result_differs(const struct vmcb_result *want, const struct vmcb_result *got, char *buf, size_t len_bytes)
{
	struct difference difference = { 0, buf, len_bytes };
	unsigned int i;

	for (i = 0; i < want->nr_runs && i < got->nr_runs; i++) {
		difference.run = i;
		if (!is_comparable(&want->runs[i]) || !is_comparable(&got->runs[i]))
			return false;
		if (outcome_differs(&difference, &want->runs[i], &got->runs[i]))
			return true;
	}
	difference.run = i;
	return number_differs(&difference, "nr_runs", want->nr_runs, got->nr_runs) ||
	       number_differs(&difference, "memory", want->memory_hash, got->memory_hash);
}

/* --- features --- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 29;
}

/* What kind of run it was: numbers that have any value (addresses) count by their being there. */
static uint64_t kind_of(const struct vmcb_outcome *outcome)
{
	uint64_t hash = mix(1, outcome->end);

	if (outcome->rule)
		hash = mix(hash, (uint64_t)(outcome->rule - svm_rules) + 1);
	if (outcome->end != VMCB_END_EXIT)
		return hash;
	hash = mix(hash, outcome->exit_code);
	return mix(hash, outcome->exit_int_info & (EVENT_VALID | EVENT_TYPE(7) | EVENT_HAS_ERROR));
}

/* The details: low bits of EXITINFO1 have flags for most exits, and the vector is a class of its own. */
static uint64_t details_of(const struct vmcb_outcome *outcome, uint64_t kind)
{
	uint64_t hash = mix(kind, outcome->exit_info_1 & 0x3000003ff);

	hash = mix(hash, outcome->exit_int_info & EVENT_VECTOR);
	return mix(hash, (outcome->next_rip ? 1 : 0) | (outcome->exit_info_2 ? 2 : 0));
}

/* Pairs are of what is coarse: of all kinds there would be more than a corpus can hold. */
static uint64_t pair_of(const struct vmcb_outcome *before, const struct vmcb_outcome *outcome)
{
	uint64_t hash = mix(2, before->end);

	if (before->end == VMCB_END_EXIT)
		hash = mix(hash, before->exit_code);
	hash = mix(hash, outcome->end);
	return outcome->end == VMCB_END_EXIT ? mix(hash, outcome->exit_code) : hash;
}

unsigned int vmcb_result_features(const struct vmcb_result *result, uint16_t *features)
{
	unsigned int i, nr = 0;

	for (i = 0; i < result->nr_runs; i++) {
		const struct vmcb_outcome *outcome = &result->runs[i];
		uint64_t kind = kind_of(outcome);

		features[nr++] = (uint16_t)(kind >> 7);
		if (outcome->end == VMCB_END_EXIT)
			features[nr++] = (uint16_t)(details_of(outcome, kind) >> 7);
		if (i)
			features[nr++] = (uint16_t)(pair_of(outcome - 1, outcome) >> 7);
	}
	return nr;
}

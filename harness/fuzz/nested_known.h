/* SPDX-License-Identifier: MIT */
/*
 * The rows of known differences, by whose they are, and what their conditions ask of a difference. The first row that is
 * one decides: those of the last list excuse much, and stand behind all others.
 */
#ifndef VMASSAY_FUZZ_NESTED_KNOWN_H
#define VMASSAY_FUZZ_NESTED_KNOWN_H

#include <string.h>

#include <asm/svm.h>

#include "fuzz/nested_differ.h"
#include "fuzz/vmcb_ops.h"
#include "fuzz/vmcb_world.h"
#include "vm/x86/bits.h"

#define MAX_INSN_BYTES 15u

/* Each ended by a row without .id. */
extern const struct nested_known nested_known_kvm[], nested_known_qemu[], nested_known_last[];

static inline bool is_field(const struct nested_difference *d, const char *field)
{
	return !strcmp(d->field, field);
}

static inline bool begins(const struct nested_difference *d, const char *prefix)
{
	return !strncmp(d->field, prefix, strlen(prefix));
}

/* One word of a blank-separated list. */
static inline bool is_one_of(const struct nested_difference *d, const char *fields)
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

static inline bool has_op(const struct nested_difference *d, unsigned int kind, uint64_t arg)
{
	unsigned int i;

	for (i = 0; i < d->input->nr_ops; i++)
		if (d->input->ops[i].kind == kind && d->input->ops[i].args[0] == arg)
			return true;
	return false;
}

static inline bool has_kind(const struct nested_difference *d, unsigned int kind)
{
	unsigned int i;

	for (i = 0; i < d->input->nr_ops; i++)
		if (d->input->ops[i].kind == kind)
			return true;
	return false;
}

/* An access of that kind (MEM_LOAD, ...) to [@first, @last], as far as an operation says where it is. */
static inline bool has_access(const struct nested_difference *d, uint64_t kind, uint64_t first, uint64_t last)
{
	unsigned int i;

	for (i = 0; i < d->input->nr_ops; i++) {
		const struct input_op *op = &d->input->ops[i];

		if (op->kind == VMCB_OP_L2_MEM && op->args[0] == kind && op->args[1] >= first && op->args[1] <= last)
			return true;
	}
	return false;
}

/* The machine exits with @code, and the target does not. */
static inline bool is_exit_lost(const struct nested_difference *d, uint64_t code)
{
	return d->want_outcome->end == VMCB_END_EXIT && d->want_outcome->exit_code == code &&
	       !(d->got_outcome->end == VMCB_END_EXIT && d->got_outcome->exit_code == code);
}

/* Long mode as VMRUN enters it: EFER.LMA of the VMCB counts for nothing. */
static inline bool is_long(const struct vmcb_save *save)
{
	return (save->efer & EFER_LME) && (save->cr0 & X86_CR0_PG);
}

/* In one of the golden handlers. */
static inline bool is_handler(uint64_t rip)
{
	return rip >= VMCB_HANDLER_GPA && rip < VMCB_HANDLER_GPA + 256 * 16;
}

static inline bool are_refused(const struct nested_difference *d)
{
	return d->want_outcome->end == VMCB_END_REFUSED && d->got_outcome->end == VMCB_END_REFUSED;
}

static inline bool moves_to_cr(const struct nested_difference *d, unsigned int cr, uint64_t reserved)
{
	unsigned int i;

	for (i = 0; i < d->input->nr_ops; i++) {
		const struct input_op *op = &d->input->ops[i];

		if (op->kind == VMCB_OP_L2_CR && op->args[0] == MOVE_WRITE && op->args[1] == cr && (op->args[2] & reserved))
			return true;
	}
	return false;
}

/* They have ended in different places. */
static inline bool has_own_end(const struct nested_difference *d)
{
	const struct vmcb_outcome *want = d->want_outcome, *got = d->got_outcome;

	return want->end != got->end || want->exit_code != got->exit_code || want->rip != got->rip;
}

#endif

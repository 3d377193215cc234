/* SPDX-License-Identifier: MIT */
/*
 * The MSR permission map over its three ranges, in one run of the guest. What passes ends in L2: the MSR is read, or
 * written with the value that it has, or #GP is taken there and skipped; which of them is not asked here.
 */
#ifndef CASES_SVM_MSRPM_RANGE_H
#define CASES_SVM_MSRPM_RANGE_H

#include "guests/l1_svm.h"
#include "case.h"

#define RANGE_MSRS 0x2000u
#define NR_RANGE_MSRS (3 * RANGE_MSRS)

INSN(r_read, "rdmsr\n\tvmmcall")
INSN(r_write, "wrmsr\n\tvmmcall")

struct msrpm_range {
	bool is_pass;		/* all bits set but the access's own: it passes. Else one bit set: it exits */
	bool is_write;
	uint32_t first, end;	/* of all that the map has, counted through */
	uint32_t step;		/* one out of so many, another one of them each time */
};

/* What L2 is to do. */
static const struct msrpm_range *range;
static uint32_t l2_index;
static uint64_t l2_value;

static inline uint32_t range_index(uint32_t n)
{
	static const uint32_t bases[] = { 0, 0xc0000000, 0xc0010000 };

	return bases[n / RANGE_MSRS] + n % RANGE_MSRS;
}

static inline uint64_t msr_value(uint32_t index)
{
	uint64_t value = 0;

	rdmsr_safe(index, &value);
	return value;
}

/* --- all bits set but one: L2 changes the map itself --- */

static inline void pass_one(uint32_t index)
{
	uint64_t value;

	msrpm_set(l1_msrpm, index, false, false);
	value = msr_value(index);
	msrpm_set(l1_msrpm, index, false, true);
	if (!range->is_write)
		return;
	msrpm_set(l1_msrpm, index, true, false);
	wrmsr_safe(index, value);
	msrpm_set(l1_msrpm, index, true, true);
}

static inline void l2_pass(void)
{
	uint32_t base;

	for (base = range->first; base < range->end; base += range->step)
		pass_one(range_index(base + base / range->step % range->step));
	__asm__ volatile("vmmcall");
}

/* --- one bit set --- */

/* The MSRs on both sides pass, and so does the same one in the other direction. */
static inline void l2_beside(void)
{
	uint32_t offset = l2_index % RANGE_MSRS;
	uint32_t below = offset ? l2_index - 1 : l2_index + 1, above = offset < RANGE_MSRS - 1 ? l2_index + 1 : below;

	if (range->is_write) {
		wrmsr_safe(below, msr_value(below));
		wrmsr_safe(above, msr_value(above));
		msr_value(l2_index);
	} else {
		msr_value(below);
		msr_value(above);
		wrmsr_safe(l2_index, l2_value);
	}
	__asm__ volatile("vmmcall");
}

static inline void try_bit(uint32_t index)
{
	const struct l2_regs regs = { .rcx = index };
	const char *code = range->is_write ? r_write : r_read;

	l2_index = index;
	l2_value = msr_value(index);
	msrpm_set(l1_msrpm, index, range->is_write, true);
	l2_run(l2_beside);
	CHECK_EXIT_CODE(SVM_EXIT_VMMCALL);
	l2_regs = regs;
	l2_run(code);
	CHECK_EXIT(.code = SVM_EXIT_MSR, .info_1 = range->is_write, .rip = (ulong_t)code);
	CHECK_EQ(index, l2_regs.rcx);
	msrpm_set(l1_msrpm, index, range->is_write, false);
}

static inline void msrpm_range_guest(const struct msrpm_range *which)
{
	uint32_t base;

	range = which;
	l1_svm_init();
	vmcb_intercept(&l1_vmcb, SVM_EXIT_MSR);
	if (range->is_pass) {
		memset(l1_msrpm, 0xff, MSRPM_BYTES);
		l2_run(l2_pass);
		CHECK_EXIT_CODE(SVM_EXIT_VMMCALL);
		return;
	}
	for (base = range->first; base < range->end; base += range->step)
		try_bit(range_index(base + base / range->step % range->step));
}

#endif

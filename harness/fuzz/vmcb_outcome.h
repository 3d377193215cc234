/* SPDX-License-Identifier: MIT */
/*
 * What came of an input's VMRUNs, in a form that two targets can be compared by, and what of it must hold on every target
 * whatever the input is (vmcb_oracle.c).
 */
#ifndef VMASSAY_FUZZ_VMCB_OUTCOME_H
#define VMASSAY_FUZZ_VMCB_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine/svm_rules.h"
#include "vm/x86/vmcb.h"

#define VMCB_MAX_RUNS 16

enum vmcb_end {
	VMCB_END_EXIT,
	VMCB_END_REFUSED,
	VMCB_END_BUDGET,	/* L2 went on for too long; the rest of the outcome is not compared */
	VMCB_END_HALTED,	/* in HLT that is not intercepted */
	VMCB_END_SHUTDOWN,
	VMCB_END_UNIMPLEMENTED,	/* the target does not have what it would take */
	NR_VMCB_ENDS,
};

struct vmcb_outcome {
	enum vmcb_end end;
	const struct svm_rule *rule;	/* the first that the state broke, or NULL */
	const char *unimplemented;
	uint64_t exit_code, exit_info_1, exit_info_2;
	uint32_t exit_int_info, exit_int_info_error;
	uint64_t rip, next_rip, rflags, cr2;
	uint64_t regs[16];		/* L2's, in the encoding's order */
};

struct vmcb_result {
	unsigned int nr_runs;
	struct vmcb_outcome runs[VMCB_MAX_RUNS];
	uint64_t memory_hash;		/* of the pages that are not as they were in the golden state; 0: none */
	char violation[256];		/* what must not be, at the first run where it was; "": nothing */
};

const char *vmcb_end_name(enum vmcb_end end);

/* What a #VMEXIT left in @vmcb and, but for RAX and RSP, in @regs[16]; .end, .rule and .unimplemented are not touched. */
void vmcb_outcome_fill(struct vmcb_outcome *outcome, const struct vmcb *vmcb, const uint64_t *regs);

/*
 * One line without a newline: "refused rule=asid_zero", "exit=hlt info1=0 ... rip=0x10000 ..."; registers that are zero
 * are left out. As snprintf().
 */
size_t vmcb_outcome_print(const struct vmcb_outcome *outcome, char *buf, size_t len_bytes);

/*
 * True when each run has the words of its line of @expect (input.h). Otherwise @buf says what is missing: the run, the
 * word, and what came of it.
 */
bool vmcb_result_expect(const struct vmcb_result *result, const char *expect, char *buf, size_t len_bytes);

/*
 * Writes "run 0: exit: want hlt, got npf" for the first field that differs, and returns true when one does. What is not
 * comparable (budget, unimplemented) is equal to everything, and so is all that comes behind it.
 */
bool vmcb_result_differs(const struct vmcb_result *want, const struct vmcb_result *got, char *buf, size_t len_bytes);
/* The same of one run alone, without memory. */
bool vmcb_outcome_differs(const struct vmcb_result *want, const struct vmcb_result *got, unsigned int run, char *buf,
			  size_t len_bytes);

/*
 * What is new about a run, as a number below VMCB_NR_FEATURES: how it ended, why, and what was before it. Inputs are
 * kept by these.
 */
#define VMCB_NR_FEATURES 65536u
#define VMCB_MAX_FEATURES (3 * VMCB_MAX_RUNS)
unsigned int vmcb_result_features(const struct vmcb_result *result, uint16_t *features);

/* --- what must hold (vmcb_oracle.c) --- */

/* The CPU that VMRUN found and that #VMEXIT left, as far as APM vol. 2, 15.5 and 15.6 speak of it. */
struct vmcb_host {
	uint64_t rax, rsp, rip, rflags, cr0, cr3, cr4, cr8, efer, pat, dr7;
	uint64_t segs[4][2];		/* ES, CS, SS, DS: selector, attributes and limit; base */
	uint64_t gdtr[2], idtr[2];	/* limit, base */
	uint8_t cpl;
	bool has_gif;
};

struct vmcb_run {
	const struct vmcb *before, *after;
	const struct vmcb_outcome *outcome;
	const struct svm_rule *predicted;	/* from the state before; NULL: entered */
	const struct vmcb_host *host_before, *host_after;
	const uint8_t *ram, *golden;
	const uint64_t *dirty;			/* a bit for each page that the CPU wrote */
	uint32_t pins;				/* those that were asserted at any time of the input */
	bool is_isolated;			/* L2 has no way to L1's memory */
	uint64_t nr_insns;			/* that L2 completed */
};

/* True, and @buf says what: something that must not be. */
bool vmcb_run_is_wrong(const struct vmcb_run *run, char *buf, size_t len_bytes);

#endif

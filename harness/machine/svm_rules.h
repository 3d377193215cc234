/* SPDX-License-Identifier: MIT */
/*
 * The consistency checks of VMRUN as a table: one row for each rule of the manual, with a predicate over the VMCB and
 * what the CPU is, who refuses a nested guest that breaks it, and values on both sides of the limit. A state that breaks
 * a rule ends VMRUN with VMEXIT_INVALID.
 *
 * The rows stand in the order in which Linux 6.1 looks at them, and those that it leaves to the CPU come last; the
 * manual has no order. The table knows neither a hypervisor's interface nor a test's words: it is for all who need the
 * rules.
 *
 * Source: APM vol. 2, 15.5.1, "Canonicalization and Consistency Checks"; 15.16.1, 15.20, 15.25.
 */
#ifndef VMASSAY_SVM_RULES_H
#define VMASSAY_SVM_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "vm/x86/vmcb.h"

/* The rules' names, in the table's order. */
#define SVM_RULES(X)									\
	X(efer_svme) X(cr0_nw_without_cd) X(cr0_high) X(dr6_high) X(dr7_high) X(long_without_pae)	\
	X(long_without_pe) X(cr3_long) X(cs_l_and_d) X(cr4_reserved) X(efer_reserved) X(vmrun_intercept)	\
	X(asid_zero) X(np_unsupported) X(ncr3_beyond) X(msrpm_beyond) X(iopm_beyond) X(cr3_legacy)	\
	X(pdpte_reserved) X(event_type) X(event_vector) X(g_pat)

/* The row behind them has legal values only: what VMRUN must not look at. */
#define SVM_NOT_CHECKED(X) X(not_checked)

#define SVM_RULE_ENUM(id_) SVM_RULE_##id_,
enum svm_rule_id { SVM_RULES(SVM_RULE_ENUM) SVM_NOT_CHECKED(SVM_RULE_ENUM) NR_SVM_RULES };

/* What a rule depends on beside the VMCB. */
struct svm_rule_cpu {
	unsigned int phys_bits;		/* MAXPHYADDR */
	uint64_t cr4_reserved, efer_reserved;	/* bits that must be zero */
	bool has_npt;
	uint64_t pdpte[4];		/* what CR3 points to, where L2 pages in PAE mode */
};

/* One register of a CPUID leaf; 0 EAX, 1 EBX, 2 ECX, 3 EDX. */
typedef uint32_t svm_cpuid_fn(const void *context, uint32_t leaf, uint32_t subleaf, unsigned int reg);

/* All but .pdpte, which is zero then. */
void svm_rule_cpu_init(struct svm_rule_cpu *cpu, svm_cpuid_fn *read, const void *context);

/* The state that a value is put into; all of them legal, and the same but for what the name says. */
enum svm_base {
	SVM_BASE_LONG,		/* 64-bit, without nested paging */
	SVM_BASE_NPT,		/* 64-bit, with */
	SVM_BASE_UNPAGED,	/* 32-bit protected mode */
	SVM_BASE_PAE,		/* 32-bit, PAE paging, without nested paging */
	NR_SVM_BASES,
};

/*
 * A field of the VMCB, or of .pdpte, gets other bits. It stands for .count values (0: one), each one .step above the
 * last, or for as many as .each() has bits, each of them set alone.
 */
struct svm_edit {
	const char *says;
	enum svm_base base;
	bool is_pdpte;			/* .offset is into .pdpte, not into the VMCB */
	uint16_t offset, len_bytes;
	uint64_t clear, set;		/* cleared first */
	uint64_t (*set_by)(const struct svm_rule_cpu *cpu);	/* set, too; NULL: nothing */
	uint64_t (*each)(const struct svm_rule_cpu *cpu);
	uint64_t step;
	unsigned int count;
};

struct svm_rule {
	const char *id;
	const char *says;		/* what is refused */
	const char *manual;
	/* True when the state is illegal. NULL: what VMRUN must not look at. */
	bool (*is_broken)(const struct vmcb *vmcb, const struct svm_rule_cpu *cpu);
	/*
	 * How Linux 6.1 words its check, the tracepoint's text. NULL: it has none and leaves the rule to the CPU that it
	 * runs the nested guest on.
	 */
	const char *check;
	const struct svm_edit *illegal, *legal;	/* each breaks this rule alone; each breaks none */
	unsigned int nr_illegal, nr_legal;
};

/* By enum svm_rule_id. */
extern const struct svm_rule svm_rules[NR_SVM_RULES];

/* The first rule that the state breaks, of those from @from on; NULL when it is legal. */
const struct svm_rule *svm_rule_broken(const struct vmcb *vmcb, const struct svm_rule_cpu *cpu, enum svm_rule_id from);

/* How many values the edit stands for on this CPU. */
unsigned int svm_edit_count(const struct svm_edit *edit, const struct svm_rule_cpu *cpu);

/* Puts value number @index into the VMCB, or into @cpu. */
void svm_edit_apply(const struct svm_edit *edit, unsigned int index, struct svm_rule_cpu *cpu, struct vmcb *vmcb);

#endif

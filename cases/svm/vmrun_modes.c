/* SPDX-License-Identifier: MIT */
/*
 * VMRUN decides by EFER.LME, CR0.PG, CR4.PAE, CR0.PE, CS.L and CS.D together what mode L2 is in, and which of their 64
 * combinations are none: the legal ones are entered and run an instruction, the others refused by the rule that the
 * table gives.
 *
 * Can break: a condition taken from L1's mode, LMA in place of LME and PG, paged real mode refused.
 * Source: APM vol. 2, 15.5.1, 14.6; machine/svm_rules.h.
 */
#include "cases/svm/rules.h"
#include "case.h"

enum { IS_LME = 1, IS_PG = 2, IS_PAE = 4, IS_PE = 8, IS_L = 16, IS_D = 32, NR_COMBINATIONS = 64 };

struct row {
	ROW_FIELDS;
	unsigned int fixed;	/* LME and PG */
	bool has_l_and_d;	/* L and D are both set, else not */
};

/* Each is of all combinations of the bits that are not fixed. */
#define MODE(label_, fixed_)								\
	{ .label = label_, .fixed = fixed_ },						\
	{ .label = label_ "_l_and_d", .fixed = fixed_, .has_l_and_d = true,		\
	  .known = { "1005-bochs-l-and-d-outside-long-mode", "lab-svm-bochs" } }

static const struct row rows[] = {
	MODE("legacy_unpaged", 0), MODE("lme_unpaged", IS_LME), MODE("legacy_paged", IS_PG),
	{ .label = "long", .fixed = IS_LME | IS_PG },
	{ .label = "long_l_and_d", .fixed = IS_LME | IS_PG, .has_l_and_d = true },
};

CASE(vmrun_modes, .says = "VMRUN enters each mode that there is and refuses what is none", .modes = LONG64,
     .needs = "vendor:amd nested KVM_CAP_NESTED_STATE", .rows = ROWS(rows))

GUEST(vmrun_modes)
{
	rules_serve();
}

static void bit_put(uint64_t *value, uint64_t bit, bool is_set)
{
	*value = is_set ? *value | bit : *value & ~bit;
}

/* The tables are those of the mode that it would be; the code is at the base of CS, which 64-bit mode does not use. */
static void mode_put(struct test *t, struct rules *rules, unsigned int mode)
{
	struct vmcb_save *save = &rules->vmcb.save;
	bool is_long = (mode & IS_LME) && (mode & IS_PG);

	rules_base(rules, is_long ? SVM_BASE_LONG : SVM_BASE_PAE);
	bit_put(&save->efer, EFER_LME, mode & IS_LME);
	bit_put(&save->efer, EFER_LMA, is_long);
	bit_put(&save->cr0, X86_CR0_PG, mode & IS_PG);
	bit_put(&save->cr0, X86_CR0_PE, mode & IS_PE);
	bit_put(&save->cr4, X86_CR4_PAE, mode & IS_PAE);
	save->cr4 |= X86_CR4_PSE;
	if (!is_long && !(mode & IS_PAE))
		save->cr3 = guest_symbol(t, "rules_two_level");
	save->cs.attrib = 0x89b | (mode & IS_L ? SEG_ATTRIB_L : 0) | (mode & IS_D ? SEG_ATTRIB_DB : 0);
	if (!is_long || !(mode & IS_L)) {
		save->cs.base = save->rip;
		save->rip = 0;
	}
}

static bool is_of(const struct row *row, unsigned int mode)
{
	return (mode & (IS_LME | IS_PG)) == row->fixed && row->has_l_and_d == ((mode & IS_L) && (mode & IS_D));
}

HOST(vmrun_modes)
{
	const struct row *row = ROW(t, rows);
	struct rules rules;
	unsigned int mode;

	rules_open(t, &rules);
	for (mode = 0; mode < NR_COMBINATIONS; mode++) {
		if (!is_of(row, mode))
			continue;
		mode_put(t, &rules, mode);
		rules.says = "LME, PG, PAE, PE, L, D from bit 0 on";
		rules.index = mode;
		rules_try(t, &rules);
	}
	rules_close(t);
}

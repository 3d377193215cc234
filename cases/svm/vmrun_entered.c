/* SPDX-License-Identifier: MIT */
/*
 * VMRUN enters a state that breaks no rule: for each rule of the table the legal values beside its limit, and what it
 * must not look at. L2 gets as far as its VMMCALL.
 *
 * Can break: a check that is too strict, or made without the condition that the manual gives it.
 * Source: machine/svm_rules.h has the section of each rule.
 */
#include "cases/svm/rules.h"
#include "case.h"

struct row {
	ROW_FIELDS;
	enum svm_rule_id rule;
};

#define ROW_OF(id_) [SVM_RULE_##id_] = { .label = #id_, .rule = SVM_RULE_##id_ },

static const struct row rows[] = {
	SVM_RULES(ROW_OF)
	SVM_NOT_CHECKED(ROW_OF)
	[SVM_RULE_cs_l_and_d].known = { "1005-bochs-l-and-d-outside-long-mode", "lab-svm-bochs" },
	[SVM_RULE_ncr3_beyond].needs = "cpuid:npt tdp",
	[SVM_RULE_g_pat].needs = "cpuid:npt tdp",
};

CASE(vmrun_entered, .says = "VMRUN enters the legal states beside the limit of each rule", .modes = LONG64,
     .needs = "vendor:amd nested KVM_CAP_NESTED_STATE", .rows = ROWS(rows), .shadow_too = true)

GUEST(vmrun_entered)
{
	rules_serve();
}

HOST(vmrun_entered)
{
	const struct svm_rule *rule = &svm_rules[ROW(t, rows)->rule];
	struct rules rules;

	rules_open(t, &rules);
	rules_try_each(t, &rules, rule->legal, rule->nr_legal, NULL);
	rules_close(t);
}

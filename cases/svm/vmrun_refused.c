/* SPDX-License-Identifier: MIT */
/*
 * VMRUN checks L2's state before it enters: each rule broken alone, by every value that the table of rules has, leads to
 * VMEXIT_INVALID with no other exit information, nothing of the VMCB changed, L1's state back and GIF clear. What stands
 * next to each limit is in vmrun_entered.
 *
 * Can break: a dropped check (the CPU below may hang, or enter with a state nobody can have), one that looks at another
 * bit, an exit with stale information, GIF.
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
	[SVM_RULE_np_unsupported].needs = "param:kvm_amd.npt=0",
	[SVM_RULE_ncr3_beyond].needs = "cpuid:npt tdp",
	[SVM_RULE_g_pat].needs = "cpuid:npt tdp", [SVM_RULE_g_pat].known = { "1003-nested-g-pat-not-checked" },
};

CASE(vmrun_refused, .says = "VMRUN refuses a state that breaks one rule, and changes nothing", .modes = LONG64,
     .needs = "vendor:amd nested KVM_CAP_NESTED_STATE", .rows = ROWS(rows), .shadow_too = true)

GUEST(vmrun_refused)
{
	rules_serve();
}

HOST(vmrun_refused)
{
	const struct svm_rule *rule = &svm_rules[ROW(t, rows)->rule];
	struct rules rules;

	rules_open(t, &rules);
	rules_try_each(t, &rules, rule->illegal, rule->nr_illegal, rule);
	rules_close(t);
}

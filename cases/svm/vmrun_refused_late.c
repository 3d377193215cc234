/* SPDX-License-Identifier: MIT */
/*
 * A state that is found illegal late, when KVM has begun to enter L2 or when the CPU refuses what KVM made of it, is
 * refused like any other: VMEXIT_INVALID as a 64-bit number and the VMCB untouched.
 *
 * Can break: what L1 is in the midst of (its CR3) written over L2's state, half of the exit code left behind.
 * Source: APM vol. 2, 15.5.1, appendix C (VMEXIT_INVALID is -1); machine/svm_rules.h.
 */
#include "cases/svm/rules.h"
#include "case.h"

struct row {
	ROW_FIELDS;
	enum svm_rule_id rule;
};

#define ROW_OF(id_, ...) { .label = #id_, .rule = SVM_RULE_##id_, .known = { __VA_ARGS__ } }

static const struct row rows[] = {
	ROW_OF(cr3_legacy, "1001-refused-vmrun-stores-l1-cr3"), ROW_OF(pdpte_reserved, "1001-refused-vmrun-stores-l1-cr3"),
	ROW_OF(event_type, "1002-qemu-refused-event-record", "lab-svm"),
	ROW_OF(event_vector, "1002-qemu-refused-event-record", "lab-svm"),
};

CASE(vmrun_refused_late, .says = "A state that is found illegal late is refused whole", .modes = LONG64,
     .needs = "vendor:amd nested KVM_CAP_NESTED_STATE", .rows = ROWS(rows), .shadow_too = true)

GUEST(vmrun_refused_late)
{
	rules_serve();
}

HOST(vmrun_refused_late)
{
	const struct svm_rule *rule = &svm_rules[ROW(t, rows)->rule];
	struct rules rules;

	rules_open(t, &rules);
	rules.is_whole = true;
	rules_try_each(t, &rules, rule->illegal, rule->nr_illegal, rule);
	rules_close(t);
}

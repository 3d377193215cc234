/* SPDX-License-Identifier: MIT */
/*
 * VMRUN refuses a state that breaks two rules as it does one that breaks either: every illegal value of a rule, together
 * with one of each rule behind it, drawn from the test's seed.
 *
 * Can break: a check that is only reached when another one holds, two that undo each other.
 * Source: machine/svm_rules.h has the section of each rule.
 */
#include "cases/svm/rules.h"
#include "case.h"

/* G_PAT, which KVM does not check (finding 1003), is in no pair. */
struct row {
	ROW_FIELDS;
	enum svm_rule_id rule;
};

#define ROW_OF(id_) [SVM_RULE_##id_] = { .label = #id_, .rule = SVM_RULE_##id_ },

static const struct row rows[] = {
	SVM_RULES(ROW_OF)
	[SVM_RULE_np_unsupported].needs = "param:kvm_amd.npt=0",
	[SVM_RULE_ncr3_beyond].needs = "cpuid:npt tdp",
};

CASE(vmrun_pairs, .says = "VMRUN refuses a state that breaks two rules", .modes = LONG64, .is_nightly = true,
     .needs = "vendor:amd nested KVM_CAP_NESTED_STATE", .rows = ROWS(rows), .timeout_ms = 300000)

GUEST(vmrun_pairs)
{
	rules_serve();
}

static unsigned int draw(uint64_t *state, unsigned int nr)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (*state >> 33) % nr;
}

/* One illegal value of @rule on top of what is there. */
static void add_one(struct rules *rules, const struct svm_rule *rule, uint64_t *state)
{
	const struct svm_edit *edit = &rule->illegal[draw(state, rule->nr_illegal)];
	unsigned int count = svm_edit_count(edit, &rules->cpu);

	if (count)
		svm_edit_apply(edit, draw(state, count), &rules->cpu, &rules->vmcb);
}

static void try_with_others(struct test *t, struct rules *rules, enum svm_rule_id rule, const struct svm_edit *edit,
			    unsigned int index, uint64_t *state)
{
	unsigned int other;

	for (other = rule + 1; other < SVM_RULE_g_pat; other++) {
		rules_base(rules, edit->base);
		rules_edit(rules, edit, index);
		add_one(rules, &svm_rules[other], state);
		expect_true(t, svm_rule_broken(&rules->vmcb, &rules->cpu, 0));
		if (!rules_try(t, rules))
			test_say(t, "with one of %s", svm_rules[other].id);
	}
}

HOST(vmrun_pairs)
{
	enum svm_rule_id id = ROW(t, rows)->rule;
	const struct svm_rule *rule = &svm_rules[id];
	uint64_t state = t->seed;
	struct rules rules;
	unsigned int i, k;

	rules_open(t, &rules);
	for (i = 0; i < rule->nr_illegal; i++)
		for (k = 0; k < svm_edit_count(&rule->illegal[i], &rules.cpu); k++)
			try_with_others(t, &rules, id, &rule->illegal[i], k, &state);
	rules_close(t);
}

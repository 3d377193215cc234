/* SPDX-License-Identifier: MIT */
/*
 * KVM_SET_NESTED_STATE with a vCPU in L2 makes VMRUN's checks on the controls and on L1's state that it is given: for
 * each rule that KVM itself checks, every illegal value alone is EINVAL and nothing of the vCPU changes, and every legal
 * one beside it is taken.
 *
 * Can break: a check that only VMRUN makes, state that is loaded before it is checked.
 * Source: KVM API, KVM_SET_NESTED_STATE; machine/svm_rules.h.
 */
#include <string.h>

#include "cases/ioctl/vcpu_state.h"
#include "cases/svm/nested_state.h"
#include "cases/svm/rules.h"
#include "case.h"

INSN(n_wait, "out %al, $0x80\n\tvmmcall")

struct row {
	ROW_FIELDS;
	enum svm_rule_id rule;
};

#define ROW_OF(id_, ...) { .label = #id_, .rule = SVM_RULE_##id_, ##__VA_ARGS__ }

static const struct row rows[] = {
	ROW_OF(efer_svme), ROW_OF(cr0_nw_without_cd), ROW_OF(cr0_high), ROW_OF(dr6_high), ROW_OF(dr7_high),
	ROW_OF(long_without_pae), ROW_OF(cr3_long), ROW_OF(cs_l_and_d), ROW_OF(cr4_reserved), ROW_OF(efer_reserved),
	ROW_OF(vmrun_intercept), ROW_OF(asid_zero), ROW_OF(np_unsupported, .needs = "param:kvm_amd.npt=0"),
	ROW_OF(ncr3_beyond, .needs = "cpuid:npt tdp"), ROW_OF(msrpm_beyond), ROW_OF(iopm_beyond),
};

CASE(nested_state_rules, .says = "A nested state that breaks a rule of VMRUN is refused", .modes = LONG64,
     .needs = "vendor:amd nested KVM_CAP_NESTED_STATE", .rows = ROWS(rows), .shadow_too = true)

GUEST(nested_state_rules)
{
	l1_svm_init();
	npt_build();
	GUEST_VALUE(0, (ulong_t)npt_root);
	l2_run(n_wait);
	CHECK_L2_DONE(n_wait + 2);
}

struct state {
	struct kvm_nested_state *good, *tried;
	struct svm_rule_cpu cpu;
	uint64_t ncr3;
};

/* A legal state of the vCPU that waits in L2; only that of nested paging is another than it has. */
static void tried_make(struct state *s, enum svm_base base)
{
	memcpy(s->tried, s->good, NESTED_STATE_BYTES);
	if (base == SVM_BASE_NPT) {
		nested_state_vmcb(s->tried)->control.nested_ctl = NP_ENABLE;
		nested_state_vmcb(s->tried)->control.nested_cr3 = s->ncr3;
	}
}

static void check_refused(struct test *t, struct state *s, const struct svm_rule *rule)
{
	struct vcpu_state before;
	struct kvm_nested_state *after;

	vcpu_state_get(t->vcpu, &before);
	expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, s->tried));
	expect_entry_refused(t, rule->check);
	expect_vcpu_state(t, t->vcpu, &before);
	after = nested_state_get(t);
	expect_bytes(t, s->good, after, NESTED_STATE_BYTES);
	free(after);
}

static void check_taken(struct test *t, struct state *s)
{
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, s->tried));
	expect_entry_refused(t, NULL);
	vcpu_ioctl(t->vcpu, KVM_SET_NESTED_STATE, s->good);
}

/* L1, whose state it is, is in 64-bit mode: values for the other bases are not for here. */
static void try_each(struct test *t, struct state *s, const struct svm_edit *edits, unsigned int nr,
		     const struct svm_rule *rule)
{
	unsigned int i, k;

	for (i = 0; i < nr; i++) {
		if (edits[i].base != SVM_BASE_LONG && edits[i].base != SVM_BASE_NPT)
			continue;
		for (k = 0; k < svm_edit_count(&edits[i], &s->cpu); k++) {
			tried_make(s, edits[i].base);
			svm_edit_apply(&edits[i], k, &s->cpu, nested_state_vmcb(s->tried));
			if (rule)
				check_refused(t, s, rule);
			else
				check_taken(t, s);
		}
	}
}

HOST(nested_state_rules)
{
	const struct svm_rule *rule = &svm_rules[ROW(t, rows)->rule];
	struct state s = { .tried = calloc(1, NESTED_STATE_BYTES) };

	require_pio_out(t, .port = 0x80, .size = 1, .count = 1);
	vcpu_settle(t);
	test_forget_hw_exits(t);
	svm_rule_cpu_init(&s.cpu, rules_cpuid, t->sys->cpuid);
	s.ncr3 = guest_value(t, 0);
	s.good = nested_state_get(t);
	try_each(t, &s, rule->illegal, rule->nr_illegal, rule);
	try_each(t, &s, rule->legal, rule->nr_legal, NULL);
	free(s.good);
	free(s.tried);
	expect_done(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * What KVM_SET_NESTED_STATE finds wrong late, or not at all: a CR3 of L2 that KVM_SET_SREGS took, reserved bits in the
 * PDPTEs that it points to, an MSR permission map where there is no memory. The first is refused by the call, the others
 * end the next KVM_RUN; none of them leaves a vCPU that does something else instead. An L1 in PAE mode whose own PDPTEs
 * are illegal is looked at when L2 exits to it: the CPU shuts down.
 *
 * Can break: L2 run on page tables that the CPU would refuse, a call that fails and yet has changed the vCPU, KVM_RUN
 * that comes back without an exit.
 * Source: KVM API, KVM_SET_NESTED_STATE, KVM_RUN (KVM_EXIT_INTERNAL_ERROR); APM vol. 2, 5.2.3, 15.6.
 */
#include <string.h>

#include "cases/ioctl/vcpu_state.h"
#include "cases/svm/nested_state.h"
#include "cases/svm/rules.h"
#include "case.h"

#define L1_PORT 0x82

INSN(w_l1, "out %al, $0x82")
INSN(w_code, "out %al, $0x80\n\tvmmcall")

#define PDPTE_CHECK "!load_pdptrs(vcpu, vcpu->arch.cr3)"

enum what { CR3, CR3_CHANGED, PDPTE, PDPTE_EXIT, PDPTE_LEGAL, MSRPM, MSRPM_LEGAL, L1_PDPTE, L1_PDPTE_LEGAL };

struct row {
	ROW_FIELDS;
	enum what what;
};

static const struct row rows[] = {
	{ .label = "cr3", .what = CR3 },
	{ .label = "cr3_nothing_changed", .what = CR3_CHANGED, .known = { "1006-refused-nested-state-is-entered" } },
	{ .label = "pdpte", .what = PDPTE },
	{ .label = "pdpte_exit", .what = PDPTE_EXIT, .known = { "1007-stale-exit-of-refused-pdptrs" } },
	{ .label = "pdpte_legal", .what = PDPTE_LEGAL },
	{ .label = "msrpm", .what = MSRPM }, { .label = "msrpm_legal", .what = MSRPM_LEGAL },
	{ .label = "l1_pdpte", .what = L1_PDPTE }, { .label = "l1_pdpte_legal", .what = L1_PDPTE_LEGAL },
};

CASE(nested_state_late, .says = "A nested state that is wrong in what it points to is refused, late", .modes = LONG64,
     .needs = "vendor:amd nested KVM_CAP_NESTED_STATE", .rows = ROWS(rows))

/* L2 is in PAE mode, so that CR3 points to what the CPU reads at once. */
GUEST(nested_state_late)
{
	l1_svm_init();
	rules_tables_make();
	rules_base_make(&l1_vmcb, SVM_BASE_PAE);
	l2_run(w_code);
	CHECK_L2_DONE(w_code + 2);
}

static void cr3_refused(struct test *t, struct kvm_nested_state *state, bool compares)
{
	struct svm_rule_cpu cpu;
	struct vcpu_state before;
	struct kvm_nested_state *after;
	struct kvm_sregs sregs, good;

	svm_rule_cpu_init(&cpu, rules_cpuid, t->sys->cpuid);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &good);
	sregs = good;
	sregs.cr3 |= 1ull << cpu.phys_bits;
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_SREGS, &sregs));
	vcpu_state_get(t->vcpu, &before);
	state->flags &= ~KVM_STATE_NESTED_GIF_SET;
	expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, state));
	expect_entry_refused(t, svm_rules[SVM_RULE_cr3_legacy].check);
	state->flags |= KVM_STATE_NESTED_GIF_SET;
	if (compares) {
		after = nested_state_get(t);
		expect_bytes(t, state, after, NESTED_STATE_BYTES);
		expect_vcpu_state(t, t->vcpu, &before);
		free(after);
	}
	vcpu_ioctl(t->vcpu, KVM_SET_SREGS, &good);
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, state));
	expect_done(t);
}

/* KVM_RUN returns without an exit that says why; whether it says so is another row's. */
static void pdpte_refused(struct test *t, const struct kvm_nested_state *state, bool has_exit)
{
	uint64_t *pdpt = rules_symbol(t, "rules_pdpt", 32);
	uint64_t good = pdpt[3];

	pdpt[3] = PTE_P | PTE_W;
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, state));
	t->vcpu->run->exit_reason = KVM_EXIT_UNKNOWN;
	expect_result(t, 0, vcpu_run_try(t->vcpu));
	expect_entry_refused(t, PDPTE_CHECK);
	if (has_exit)
		expect_eq(t, KVM_EXIT_INTERNAL_ERROR, t->vcpu->run->exit_reason);
	pdpt[3] = good;
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, state));
	expect_done(t);
}

static void pdpte_taken(struct test *t, const struct kvm_nested_state *state)
{
	uint64_t *pdpt = rules_symbol(t, "rules_pdpt", 32);

	pdpt[3] = PTE_W;
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, state));
	expect_done(t);
	expect_entry_refused(t, NULL);
}

static void msrpm_put(struct kvm_nested_state *state, uint64_t pa)
{
	struct vmcb *image = nested_state_vmcb(state);

	image->control.msrpm_base_pa = pa;
	image->control.intercept[SVM_EXIT_MSR / 32] |= 1u << SVM_EXIT_MSR % 32;
}

static void msrpm_unreadable(struct test *t, struct kvm_nested_state *state)
{
	msrpm_put(state, test_mmio_gpa(t));
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, state));
	expect_exit(t, .reason = KVM_EXIT_INTERNAL_ERROR, .internal.suberror = KVM_INTERNAL_ERROR_EMULATION);
	msrpm_put(state, guest_symbol(t, "l1_msrpm"));
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, state));
	expect_done(t);
}

/* L1 becomes one in PAE mode, with pointers of its own, that goes on at an OUT when L2 exits. */
static void l1_pdptes(struct test *t, struct kvm_nested_state *state, uint64_t last)
{
	struct vmcb_save *l1 = &nested_state_vmcb(state)->save;
	uint64_t pdpt[4] = { guest_symbol(t, "rules_pd") | PTE_P, 0, 0, last };

	memcpy(vm_hva(t->vm, test_scratch_gpa(t), sizeof(pdpt)), pdpt, sizeof(pdpt));
	l1->cs.attrib = 0xc9b;
	l1->efer &= ~(EFER_LME | EFER_LMA);
	l1->cr3 = test_scratch_gpa(t);
	l1->rip = guest_symbol(t, "w_l1");
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, state));
	if (last & ~PTE_P)
		expect_shutdown(t);
	else
		expect_pio_out(t, .port = L1_PORT, .size = 1, .count = 1, .data = l1->rax & 0xff);
}

HOST(nested_state_late)
{
	enum what what = ROW(t, rows)->what;
	struct kvm_nested_state *state;

	require_pio_out(t, .port = 0x80, .size = 1, .count = 1);
	vcpu_settle(t);
	test_forget_hw_exits(t);
	/* QEMU 7.2 marks a PAE pointer accessed, where that bit is reserved (cases/mmu/pae.h). */
	*(uint64_t *)rules_symbol(t, "rules_pdpt", 32) &= ~PTE_A;
	state = nested_state_get(t);
	switch (what) {
	case CR3: cr3_refused(t, state, false); break;
	case CR3_CHANGED: cr3_refused(t, state, true); break;
	case PDPTE: pdpte_refused(t, state, false); break;
	case PDPTE_EXIT: pdpte_refused(t, state, true); break;
	case PDPTE_LEGAL: pdpte_taken(t, state); break;
	case MSRPM: msrpm_unreadable(t, state); break;
	case L1_PDPTE: l1_pdptes(t, state, PTE_P | PTE_W); break;
	case L1_PDPTE_LEGAL: l1_pdptes(t, state, PTE_P); break;
	case MSRPM_LEGAL:
		msrpm_put(state, guest_symbol(t, "l1_msrpm"));
		expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, state));
		expect_done(t);
		break;
	}
	free(state);
}

/* SPDX-License-Identifier: MIT */
/*
 * The rules of VMRUN (machine/svm_rules.h) on a real L1: the host writes a VMCB that a rule's value was put into over
 * the guest's, the guest runs it and leaves with GIF as it found it, and the host compares the whole of it.
 *
 *	GUEST(x) { rules_serve(); }
 *	HOST(x)
 *	{
 *		struct rules rules;
 *
 *		rules_open(t, &rules);
 *		rules_base(&rules, edit->base);
 *		svm_edit_apply(edit, index, &rules.cpu, &rules.vmcb);
 *		rules_try(t, &rules);
 *		rules_close(t, &rules);
 *	}
 */
#ifndef CASES_SVM_RULES_H
#define CASES_SVM_RULES_H

#include <string.h>

#include "cases/svm/npt.h"
#include "guests/l1_svm.h"
#include "machine/svm_rules.h"
#include "case.h"

#define RULES_PORT 0x80

INSN(rules_l2, "vmmcall")

/* --- guest --- */

static struct vmcb rules_bases[NR_SVM_BASES] NPT_TABLE;
static uint64_t rules_pdpt[4] NPT_TABLE, rules_pd[512] NPT_TABLE;
static uint32_t rules_two_level[1024] NPT_TABLE __attribute__((used));
static uint8_t rules_stack[0x1000] NPT_TABLE;
static volatile uint32_t rules_is_over;

static inline void rules_ignore(struct guest_regs *regs)
{
	(void)regs;
}

/* The first 4 MiB one to one: the guest's image and all its data, in 2 MiB pages and in one of 4 MiB. */
static inline void rules_tables_make(void)
{
	rules_pd[0] = PTE_P | PTE_W | PTE_PS;
	rules_pd[1] = 0x200000 | PTE_P | PTE_W | PTE_PS;
	rules_pdpt[0] = (ulong_t)rules_pd | PTE_P;
	rules_two_level[0] = PTE_P | PTE_W | PTE_PS;
}

static inline void rules_base_make(struct vmcb *vmcb, enum svm_base base)
{
	vmcb_init(vmcb);
	vmcb->save.rip = (ulong_t)rules_l2;
	vmcb->save.rsp = (ulong_t)rules_stack + sizeof(rules_stack);
	if (base == SVM_BASE_NPT) {
		vmcb->control.nested_ctl = NP_ENABLE;
		vmcb->control.nested_cr3 = (ulong_t)npt_root;
	}
	if (base == SVM_BASE_LONG || base == SVM_BASE_NPT)
		return;
	vmcb->save.cs.attrib = 0xc9b;
	vmcb->save.efer &= ~(EFER_LME | EFER_LMA);
	vmcb->save.cr3 = (ulong_t)rules_pdpt;
	if (base == SVM_BASE_UNPAGED) {
		vmcb->save.cr0 &= ~X86_CR0_PG;
		vmcb->save.cr4 &= ~X86_CR4_PAE;
	}
}

static inline void rules_run_one(void)
{
	static const struct l2_regs regs = { .rcx = 1, .rdx = 2, .rbx = 3, .rsi = 6, .r8 = 8, .r15 = 15 };
	uint64_t cr0 = read_cr0(), cr3 = read_cr3(), cr4 = read_cr4(), efer = rdmsr(MSR_EFER), flags = read_flags();

	l2_regs = regs;
	vmcb_run_gif_clear(&l1_vmcb);
	CHECK_EQ(flags & X86_EFLAGS_IF, read_flags() & X86_EFLAGS_IF);
	CHECK_EQ(cr0, read_cr0());
	CHECK_EQ(cr3, read_cr3());
	/* Finding 1004 is seen by cases/svm/l1_cr4.c; the next L2 starts from what this L1 has. */
	write_cr4(cr4);
	CHECK_EQ(efer, rdmsr(MSR_EFER));
	CHECK_EQ(0x400, read_dr7());
	CHECK_L2_REGS(&regs);
}

/* Runs l1_vmcb each time the host lets it go on. */
static inline void rules_serve(void)
{
	unsigned int i;

	l1_svm_init();
	npt_build();
	rules_tables_make();
	for (i = 0; i < NR_SVM_BASES; i++)
		rules_base_make(&rules_bases[i], i);
	/* What a legal event brings. */
	for (i = 0; i < 40; i++)
		guest_handle(i, rules_ignore);
	out8(RULES_PORT, 0);
	while (!rules_is_over) {
		rules_run_one();
		out8(RULES_PORT, 0);
		stgi();
	}
}

/* --- host --- */

struct rules {
	struct svm_rule_cpu cpu;
	struct vmcb vmcb;	/* the next to run; rules_base() makes it legal */
	const char *says;	/* what was put into it, for the report */
	unsigned int index;
	bool is_whole;		/* the refused VMCB is compared without exception: see rules_spare() */

	/* The guest's. */
	const struct vmcb *bases;
	struct vmcb *run;
	uint64_t *pdpt, pd_gpa;
};

static inline uint32_t rules_cpuid(const void *context, uint32_t leaf, uint32_t subleaf, unsigned int reg)
{
	struct kvm_cpuid_entry2 entry;

	if (!cpuid_find(context, leaf, subleaf, &entry))
		return 0;
	return (const uint32_t[]){ entry.eax, entry.ebx, entry.ecx, entry.edx }[reg];
}

static inline void *rules_symbol(struct test *t, const char *name, uint64_t len_bytes)
{
	return vm_hva(t->vm, guest_symbol(t, name), len_bytes);
}

static inline void rules_open(struct test *t, struct rules *rules)
{
	memset(rules, 0, sizeof(*rules));
	require_pio_out(t, .port = RULES_PORT, .size = 1, .count = 1);
	svm_rule_cpu_init(&rules->cpu, rules_cpuid, t->sys->cpuid);
	rules->bases = rules_symbol(t, "rules_bases", NR_SVM_BASES * sizeof(struct vmcb));
	rules->run = rules_symbol(t, "l1_vmcb", sizeof(struct vmcb));
	rules->pdpt = rules_symbol(t, "rules_pdpt", sizeof(rules->cpu.pdpte));
	rules->pd_gpa = guest_symbol(t, "rules_pd");
	test_forget_hw_exits(t);
}

static inline void rules_base(struct rules *rules, enum svm_base base)
{
	rules->vmcb = rules->bases[base];
	memset(rules->cpu.pdpte, 0, sizeof(rules->cpu.pdpte));
	rules->cpu.pdpte[0] = rules->pd_gpa | PTE_P;
}

static inline bool rules_check_gif(struct test *t)
{
	struct kvm_nested_state state = { .size = sizeof(state) };

	vcpu_ioctl(t->vcpu, KVM_GET_NESTED_STATE, &state);
	return expect_eq(t, 0, state.flags);
}

/*
 * What is known to be wrong after a refusal that does not come at once (findings 1001 and 1002) would hide all else:
 * vmrun_refused_late has it.
 */
static inline void rules_spare(const struct svm_rule *broken, const struct vmcb *want, struct vmcb *got)
{
	if (broken == &svm_rules[SVM_RULE_cr3_legacy] || broken == &svm_rules[SVM_RULE_pdpte_reserved])
		got->save.cr3 = want->save.cr3;
	if (broken->check)
		return;
	got->control.exit_code |= 0xffffffff00000000;
	got->save.rip = want->save.rip;
}

/* All of the VMCB is as it was, but for the exit. */
static inline bool rules_check_refused(struct test *t, const struct rules *rules, const struct svm_rule *broken)
{
	struct vmcb want = rules->vmcb, got = *rules->run;

	want.control.exit_code = -1ull;
	want.control.exit_info_1 = want.control.exit_info_2 = 0;
	if (!rules->is_whole)
		rules_spare(broken, &want, &got);
	/* The manual does not say whether an event that the CPU refuses is taken out of EVENTINJ, nor what nRIP is then. */
	if (!broken->check) {
		got.control.event_inj = want.control.event_inj;
		got.control.next_rip = want.control.next_rip;
		got.save.cr2 = guest_page(t, 0)->cr2_is_lost ? want.save.cr2 : got.save.cr2;
	}
	return expect_bytes(t, &want, &got, sizeof(want));
}

static inline bool rules_check_entered(struct test *t, const struct rules *rules)
{
	const struct vmcb_control *control = &rules->run->control;
	bool holds = expect_eq(t, SVM_EXIT_VMMCALL, control->exit_code);

	holds &= expect_eq(t, 0, control->exit_info_1);
	holds &= expect_eq(t, 0, control->exit_info_2);
	holds &= expect_eq(t, 0, control->exit_int_info);
	return holds & expect_eq(t, rules->vmcb.save.rip, rules->run->save.rip);
}

/*
 * An event that the CPU refuses, KVM does not look at, and forgets when a host's event calls the entry off (finding
 * 4400): L2 is entered without it. Once in some thousand VMRUNs, so another try tells that from a CPU that takes it.
 */
static inline bool rules_event_lost(const struct svm_rule *broken, const struct vmcb *got)
{
	return (broken == &svm_rules[SVM_RULE_event_type] || broken == &svm_rules[SVM_RULE_event_vector]) &&
	       got->control.exit_code == SVM_EXIT_VMMCALL;
}

/* Runs what is in @rules: refused by the first rule that it breaks, else entered. */
static inline bool rules_try(struct test *t, struct rules *rules)
{
	const struct svm_rule *broken = svm_rule_broken(&rules->vmcb, &rules->cpu, 0);
	unsigned int nr_lost = 0;
	bool holds;

	do {
		*rules->run = rules->vmcb;
		memcpy(rules->pdpt, rules->cpu.pdpte, sizeof(rules->cpu.pdpte));
		require_pio_out(t, .port = RULES_PORT, .size = 1, .count = 1);
	} while (broken && rules_event_lost(broken, rules->run) && ++nr_lost < 8);
	holds = broken ? rules_check_refused(t, rules, broken) : rules_check_entered(t, rules);
	holds &= rules_check_gif(t);
	holds &= expect_entry_refused(t, broken ? broken->check : NULL);
	if (!holds)
		test_say(t, "%s: %s, value %u", broken ? broken->id : "legal", rules->says, rules->index);
	return holds;
}

static inline void rules_edit(struct rules *rules, const struct svm_edit *edit, unsigned int index)
{
	rules->says = edit->says;
	rules->index = index;
	svm_edit_apply(edit, index, &rules->cpu, &rules->vmcb);
}

/* Every value of the edits, alone, to the first that fails; @want: the rule that each breaks, NULL: none. */
static inline void rules_try_each(struct test *t, struct rules *rules, const struct svm_edit *edits, unsigned int nr,
				  const struct svm_rule *want)
{
	bool holds = true;
	unsigned int i, k;

	for (i = 0; i < nr; i++) {
		for (k = 0; holds && k < svm_edit_count(&edits[i], &rules->cpu); k++) {
			rules_base(rules, edits[i].base);
			rules_edit(rules, &edits[i], k);
			holds = expect_true(t, svm_rule_broken(&rules->vmcb, &rules->cpu, 0) == want);
			holds &= rules_try(t, rules);
		}
	}
}

static inline void rules_close(struct test *t)
{
	*(volatile uint32_t *)rules_symbol(t, "rules_is_over", 4) = 1;
	expect_done(t);
}

#endif

/* SPDX-License-Identifier: MIT */
/* The table of VMRUN's rules: each row is whole, and its own values say what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "machine/svm_rules.h"
#include "vm/x86/bits.h"

/* A CPU of 40 address bits with some features, and without nested paging when @context is set. */
static uint32_t read_cpuid(const void *context, uint32_t leaf, uint32_t subleaf, unsigned int reg)
{
	static const struct { uint32_t leaf, reg, value; } leaves[] = {
		{ 0x80000008, 0, 0x3028 }, { 0x80000001, 3, 1u << 20 | 1u << 25 }, { 0x80000001, 2, 1u << 2 },
		{ 7, 1, 1u << 0 | 1u << 7 | 1u << 20 }, { 1, 2, 1u << 26 }, { 0x8000000a, 3, 1 },
	};
	unsigned int i;

	(void)subleaf;
	for (i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
		if (leaves[i].leaf == leaf && leaves[i].reg == reg && !(context && leaf == 0x8000000a))
			return leaves[i].value;
	return 0;
}

static struct vmcb base_make(enum svm_base base, struct svm_rule_cpu *cpu)
{
	struct vmcb vmcb = { 0 };

	vmcb.control.intercept[4] = 1;
	vmcb.control.asid = 1;
	vmcb.save.efer = EFER_SVME | EFER_NX | (base <= SVM_BASE_NPT ? EFER_LME | EFER_LMA : 0);
	vmcb.save.cr0 = X86_CR0_PE | (base == SVM_BASE_UNPAGED ? 0 : X86_CR0_PG);
	vmcb.save.cr4 = base == SVM_BASE_UNPAGED ? 0 : X86_CR4_PAE;
	vmcb.save.cs.attrib = base <= SVM_BASE_NPT ? 0xa9b : 0xc9b;
	vmcb.save.dr6 = 0xffff0ff0;
	vmcb.save.dr7 = 0x400;
	vmcb.save.g_pat = 0x0007040600070406;
	vmcb.control.nested_ctl = base == SVM_BASE_NPT ? NP_ENABLE : 0;
	cpu->pdpte[0] = 0x1000 | PTE_P;
	return vmcb;
}

static void test_rows_are_whole(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < NR_SVM_RULES; i++) {
		assert_non_null(svm_rules[i].id);
		assert_non_null(svm_rules[i].says);
		assert_non_null(svm_rules[i].manual);
		assert_true(svm_rules[i].nr_legal > 0);
		assert_int_equal(!svm_rules[i].is_broken, i == SVM_RULE_not_checked);
		assert_int_equal(!svm_rules[i].nr_illegal, i == SVM_RULE_not_checked);
	}
}

static void check_values(const struct svm_edit *edits, unsigned int nr, bool has_npt, const struct svm_rule *want)
{
	struct svm_rule_cpu cpu;
	unsigned int i, k, count;

	for (i = 0; i < nr; i++) {
		svm_rule_cpu_init(&cpu, read_cpuid, has_npt ? NULL : "");
		count = svm_edit_count(&edits[i], &cpu);
		for (k = 0; k < count; k++) {
			struct vmcb vmcb = base_make(edits[i].base, &cpu), before = vmcb;

			memset(cpu.pdpte, 0, sizeof(cpu.pdpte));
			cpu.pdpte[0] = 0x1000 | PTE_P;
			assert_null(svm_rule_broken(&vmcb, &cpu, 0));
			svm_edit_apply(&edits[i], k, &cpu, &vmcb);
			assert_ptr_equal(svm_rule_broken(&vmcb, &cpu, 0), want);
			/* Alone: nothing behind it is broken either. */
			if (want)
				assert_null(svm_rule_broken(&vmcb, &cpu, want - svm_rules + 1));
			if (edits[i].is_pdpte)
				assert_memory_equal(&vmcb, &before, sizeof(vmcb));
		}
	}
}

static void test_values_break_their_rule_alone(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < NR_SVM_RULES; i++)
		check_values(svm_rules[i].illegal, svm_rules[i].nr_illegal, i != SVM_RULE_np_unsupported, &svm_rules[i]);
}

static void test_legal_values_break_none(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < NR_SVM_RULES; i++)
		check_values(svm_rules[i].legal, svm_rules[i].nr_legal, true, NULL);
}

static void test_first_broken(void **state)
{
	struct svm_rule_cpu cpu;
	struct vmcb vmcb;

	(void)state;
	svm_rule_cpu_init(&cpu, read_cpuid, NULL);
	vmcb = base_make(SVM_BASE_LONG, &cpu);
	vmcb.control.asid = 0;
	vmcb.save.dr7 |= 1ull << 32;
	assert_ptr_equal(svm_rule_broken(&vmcb, &cpu, 0), &svm_rules[SVM_RULE_dr7_high]);
	assert_ptr_equal(svm_rule_broken(&vmcb, &cpu, SVM_RULE_dr7_high + 1), &svm_rules[SVM_RULE_asid_zero]);
	assert_null(svm_rule_broken(&vmcb, &cpu, SVM_RULE_asid_zero + 1));
}

static void test_cpu(void **state)
{
	struct svm_rule_cpu cpu;

	(void)state;
	svm_rule_cpu_init(&cpu, read_cpuid, NULL);
	assert_int_equal(cpu.phys_bits, 40);
	assert_true(cpu.has_npt);
	assert_int_equal(cpu.cr4_reserved, ~(0x7ffull | X86_CR4_FSGSBASE | X86_CR4_SMEP | X86_CR4_SMAP | X86_CR4_OSXSAVE));
	assert_int_equal(cpu.efer_reserved, ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NX | EFER_SVME | EFER_LMSLE | EFER_FFXSR));
	svm_rule_cpu_init(&cpu, read_cpuid, "");
	assert_false(cpu.has_npt);
}

static void test_counts(void **state)
{
	struct svm_rule_cpu cpu;

	(void)state;
	svm_rule_cpu_init(&cpu, read_cpuid, NULL);
	assert_int_equal(svm_edit_count(&svm_rules[SVM_RULE_dr6_high].illegal[0], &cpu), 32);
	assert_int_equal(svm_edit_count(&svm_rules[SVM_RULE_cr3_long].illegal[0], &cpu), 24);
	assert_int_equal(svm_edit_count(&svm_rules[SVM_RULE_event_vector].illegal[1], &cpu), 224);
	assert_int_equal(svm_edit_count(&svm_rules[SVM_RULE_efer_svme].illegal[0], &cpu), 1);
	assert_int_equal(svm_edit_count(&svm_rules[SVM_RULE_np_unsupported].illegal[0], &cpu), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_are_whole),
		cmocka_unit_test(test_values_break_their_rule_alone),
		cmocka_unit_test(test_legal_values_break_none),
		cmocka_unit_test(test_first_broken),
		cmocka_unit_test(test_cpu),
		cmocka_unit_test(test_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Inputs of "vmcb" on a hypervisor with a nested guest: the self-contained one, judged by the machine. What persists between
 * two inputs is put back, differences are found, those that are known are not told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <asm/svm.h>
#include <cmocka.h>

#include "err.h"
#include "fuzz/campaign.h"
#include "fuzz/nested_differ.h"
#include "fuzz/nested_executor.h"
#include "fuzz/vmcb_ops.h"
#include "fuzz/vmcb_world.h"
#include "vm/x86/bits.h"

#define IN(text_) "input vmcb\n" text_

static struct executor *executor;

static int setup(void **state)
{
	struct err err;

	(void)state;
	if (!nested_executor_open("soft-svm", &executor, &err))
		return 0;
	print_error("%s\n", err.text);
	return -1;
}

static int teardown(void **state)
{
	(void)state;
	executor_free(executor);
	return 0;
}

static void input_of(const char *text, struct input *input)
{
	struct err err;

	if (input_parse(text, strlen(text), input, &err))
		fail_msg("%s", err.text);
}

static void run_text(const char *text)
{
	struct input input;
	struct trial trial;
	char missing[1024];

	input_of(text, &input);
	executor->run(executor, &input, &trial);
	if (trial.violation[0])
		fail_msg("%s%s", text, trial.violation);
	if (!executor_expect(executor, &trial, &input, missing, sizeof(missing)))
		fail_msg("%s%s", text, missing);
}

static void test_operations(void **state)
{
	static const char *const inputs[] = {
		IN("expect exit=hlt rip=0x10000\nexpect same"),
		IN("set asid 0\nexpect refused\n"),
		IN("set rax 7\nreg rbx 8\nreg r15 9\nexpect exit=hlt rax=0x7 rbx=0x8 r15=0x9\nexpect same"),
		IN("base long\nexpect exit=hlt\nexpect same"),
		IN("base pae\nexpect exit=hlt\nexpect same"),
		IN("base unpaged\nexpect exit=hlt\nexpect same"),
		IN("l2_io out8 0x80\nexpect exit=ioio rip=0x10005\nexpect same"),
		IN("l2 vmmcall\nrun\nl2_reg rsi 5\nexpect exit=vmmcall\nexpect exit=hlt rsi=0x5"),
		IN("npt set 0x30000 1 0\nl2_mem load 0x30000\nexpect exit=npf info2=0x30000\nexpect same"),
		IN("pt set 0x30000 1 0\nintercept exception14 on\nl2_mem load 0x30000\nexpect exit=exception14"),
		IN("inject intr 0x21\nexpect exit=hlt rip=0x20210\nexpect same"),
		IN("pin nmi\nexpect exit=nmi\nexpect same"),
		IN("intercept hlt off\nexpect halted\nexpect same"),
		IN("set idtr.limit 0\nset gdtr.limit 0\nl2 ud2\nexpect exit=shutdown"),
		IN("poke 0x30000 8877665544332211\nl2_mem load 0x30000\nexpect exit=hlt rbx=0x1122334455667788\nexpect same"),
		IN("set kernel_gs_base 0x77\nl1 vmsave\nmsrpm 0xc0000102 read off\nl2_msr rdmsr 0xc0000102 0\nexpect exit=hlt"),
		IN("migrate\niopm 0x80 off\nl2_io in8 0x80\nl2_reg rbx 5\nexpect exit=hlt rbx=0x5\nexpect same"),
		IN("host l2 migrate\nl2_reg rbx 5\nhost l2 migrate\nhost l1 migrate\nexpect exit=hlt rbx=0x5\nexpect same"),
		IN("l2 jmp_self\nexpect not run:"),
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
		run_text(inputs[i]);
	assert_int_equal(nested_counts(nested_executor_target(executor)).nr_migrations, 4);
}

/*
 * Each leaves something behind: memory, tables that are shadowed, registers, an L2 that cannot be left, a pending event, or
 * what user space did.
 */
static void test_reset(void **state)
{
	static const char *const inputs[] = {
		IN("l2_reg rbx 0x55\nl2_mem store 0x30000"), IN("npt set 0x30000 1 0"), IN("npt set 0x0 4 0"),
		IN("pt set 0x10000 4 0"), IN("intercept hlt off"), IN("set efer 0x1d01"), IN("pin nmi\npin smi"),
		IN("msrpm 0xc0000082 write off\nl2_msr wrmsr 0xc0000082 0x1122"), IN("set int_ctl 0\nl2_cr write 8 5"),
		IN("l2_dr write 0 0x1234\nl2_cr write 2 0x7777"), IN("l1 stgi"), IN("iopm 0x80 off\nl2_io in8 0x80"),
		IN("host_state l2 efer 0x1000"), IN("host_state l1 asid 1"), IN("host_header l2 flags 0x102"), IN("host l1 unmap"),
		IN("host l2 unmap"), IN("host l2 leave"), IN("host l1 step"), IN("host l2 smi\nhost l2 nmi"),
		IN("host_events l1 smm 1"), IN("host_events l2 exception 14"), IN("host_sregs l2 efer 0"),
		IN("host_msr l1 0xc0010117 0"), IN("hyperv 2\nrun"), IN("hyperv 2\nl1 vmsave"),
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
		struct input input;
		struct trial trial;

		input_of(inputs[i], &input);
		executor->run(executor, &input, &trial);
		run_text(IN("l2_mem load 0x30000\nexpect exit=hlt rip=0x10008 rsp=0x9000\nexpect same"));
	}
}

static void test_rules(void **state)
{
	static const char *const not_kvm[] = { "g_pat", "not_checked" };
	unsigned int rule;

	(void)state;
	for (rule = 0; rule < NR_SVM_RULES; rule++) {
		struct input input;
		struct trial trial;

		if (!strcmp(svm_rules[rule].id, not_kvm[0]) || !svm_rules[rule].nr_illegal)
			continue;
		input_init(&input, &vmcb_domain);
		input_append(&input, &(struct input_op){ .kind = VMCB_OP_BASE, .args = { svm_rules[rule].illegal->base } });
		input_append(&input, &(struct input_op){ .kind = VMCB_OP_RULE, .args = { rule, KIND_ILLEGAL, 0, 0 } });
		executor->run(executor, &input, &trial);
		if (trial.violation[0])
			fail_msg("%s: %s", svm_rules[rule].id, trial.violation);
	}
}

/* --- the comparison --- */

struct sides {
	struct vmcb_result want, got;
	struct vmcb want_after[2], got_after[2], before[2];
	uint8_t ram[VMCB_RAM_BYTES], other_ram[VMCB_RAM_BYTES];
	uint64_t touched[VMCB_NR_PAGES / 64];
};

static struct sides *sides_new(void)
{
	struct sides *sides = calloc(1, sizeof(*sides));

	assert_non_null(sides);
	vmcb_world_fill(sides->ram);
	memcpy(sides->other_ram, sides->ram, VMCB_RAM_BYTES);
	sides->want.nr_runs = sides->got.nr_runs = 1;
	sides->before[0] = sides->want_after[0] = sides->got_after[0] = *vmcb_world_vmcb(sides->ram);
	sides->before[1] = sides->want_after[1] = sides->got_after[1] = sides->before[0];
	return sides;
}

static struct nested_judgement compare(const struct sides *sides, const char *text)
{
	struct nested_side want = { &sides->want, sides->want_after, sides->ram };
	struct nested_side got = { &sides->got, sides->got_after, sides->other_ram };
	struct nested_judgement judgement;
	struct input input;

	input_of(text, &input);
	nested_differ(&input, &want, &got, sides->before, sides->touched, &judgement);
	return judgement;
}

static void test_differ(void **state)
{
	struct sides *sides = sides_new();
	struct nested_judgement judgement;

	(void)state;
	assert_int_equal(compare(sides, IN("")).verdict, NESTED_SAME);
	sides->got.runs[0].exit_code = SVM_EXIT_CPUID;
	judgement = compare(sides, IN(""));
	assert_int_equal(judgement.verdict, NESTED_DIFFERS);
	assert_string_equal(judgement.text, "run 0: want read_cr0, got cpuid");
	sides->got.runs[0].exit_code = 0;
	sides->got_after[0].save.cs.base = 5;
	judgement = compare(sides, IN(""));
	assert_string_equal(judgement.text, "run 0 (read_cr0): cs.base: want 0x0, got 0x5");
	sides->got_after[0].save.cs.base = 0;
	/* Memory counts where it may have been written; marks in tables do not. */
	sides->other_ram[VMCB_DATA_GPA + 9] = 7;
	assert_int_equal(compare(sides, IN("")).verdict, NESTED_SAME);
	sides->touched[VMCB_DATA_GPA / 0x1000 / 64] |= 1ull << VMCB_DATA_GPA / 0x1000 % 64;
	assert_string_equal(compare(sides, IN("")).text, "run 0 (read_cr0): memory 0x30008: want 0x0, got 0x700");
	sides->other_ram[VMCB_DATA_GPA + 9] = 0;
	sides->touched[0] |= 1ull << VMCB_PT_GPA / 0x1000;
	sides->other_ram[VMCB_PT_GPA] ^= PTE_A;
	assert_int_equal(compare(sides, IN("")).verdict, NESTED_SAME);
	sides->other_ram[VMCB_PT_GPA] ^= PTE_W;
	assert_int_equal(compare(sides, IN("")).verdict, NESTED_DIFFERS);
	free(sides);
}

static void test_known(void **state)
{
	struct sides *sides = sides_new();
	struct nested_judgement judgement;

	(void)state;
	/* Known, and what is behind it in the same run is still told. */
	sides->got_after[0].control.nr_insn_bytes = 5;
	judgement = compare(sides, IN(""));
	assert_int_equal(judgement.verdict, NESTED_KNOWN);
	assert_string_equal(judgement.known->id, "insn_bytes");
	sides->got_after[0].save.cr2 = 8;
	assert_int_equal(compare(sides, IN("")).verdict, NESTED_DIFFERS);
	/* Known, and all behind it with it. */
	assert_int_equal(compare(sides, IN("l2_bytes 90")).verdict, NESTED_KNOWN);
	/* What is not comparable is the same as everything. */
	sides->got.runs[0].end = VMCB_END_BUDGET;
	assert_int_equal(compare(sides, IN("")).verdict, NESTED_SAME);
	free(sides);
}

/* Memory is looked at behind the last run, and may be of any. */
static void test_known_of_memory(void **state)
{
	struct sides *sides = sides_new();

	(void)state;
	sides->want.nr_runs = sides->got.nr_runs = 2;
	sides->other_ram[VMCB_DATA_GPA] = 7;
	sides->touched[VMCB_DATA_GPA / 0x1000 / 64] |= 1ull << VMCB_DATA_GPA / 0x1000 % 64;
	assert_int_equal(compare(sides, IN("")).verdict, NESTED_DIFFERS);
	sides->before[0].control.event_inj = EVENT_VALID | EVENT_SOFT | 0x80;
	assert_string_equal(compare(sides, IN("")).known->id, "1009");
	free(sides);
}

/* What L2 does behind a VMRUN that was refused late is nothing to go by, but behind one that was refused at once it is. */
static void test_known_behind_refused(void **state)
{
	struct sides *sides = sides_new();

	(void)state;
	sides->want.nr_runs = sides->got.nr_runs = 2;
	sides->want.runs[0].end = sides->got.runs[0].end = VMCB_END_REFUSED;
	sides->want.runs[0].rule = sides->got.runs[0].rule = &svm_rules[SVM_RULE_event_type];
	sides->got.runs[1].rip = 0x59;
	assert_string_equal(compare(sides, IN("")).known->id, "1001");
	sides->want.runs[0].rule = sides->got.runs[0].rule = &svm_rules[SVM_RULE_asid_zero];
	assert_int_equal(compare(sides, IN("")).verdict, NESTED_DIFFERS);
	free(sides);
}

/* EXITINFO1 of KVM's own walk: of the same address, outside of a delivery. */
static void test_known_of_walk(void **state)
{
	struct sides *sides = sides_new();
	struct vmcb_outcome *want = sides->want.runs, *got = sides->got.runs;

	(void)state;
	want->exit_code = got->exit_code = SVM_EXIT_NPF;
	want->exit_info_1 = NPF_TABLE | 6;
	got->exit_info_1 = NPF_FINAL | 6;
	want->rip = got->rip = VMCB_CODE_GPA;
	assert_string_equal(compare(sides, IN("")).known->id, "4920");
	got->exit_info_2 = 8;
	assert_int_equal(compare(sides, IN("")).verdict, NESTED_DIFFERS);
	got->exit_info_2 = 0;
	got->exit_info_1 = NPF_FINAL | 4;
	assert_int_equal(compare(sides, IN("")).verdict, NESTED_DIFFERS);
	got->exit_info_1 = NPF_FINAL | 6;
	want->exit_int_info = got->exit_int_info = EVENT_VALID;
	assert_int_equal(compare(sides, IN("")).verdict, NESTED_DIFFERS);
	free(sides);
}

/* An exit in the delivery of L1's event cannot come behind an instruction; one of L2's own can. */
static void test_known_of_delivery(void **state)
{
	struct sides *sides = sides_new();
	struct vmcb_outcome *got = sides->got.runs;

	(void)state;
	got->exit_code = SVM_EXIT_NPF;
	got->exit_int_info = EVENT_VALID | EVENT_EXCEPTION | 14;
	got->rip = VMCB_CODE_GPA + 5;
	assert_int_equal(compare(sides, IN("")).verdict, NESTED_DIFFERS);
	sides->before[0].control.event_inj = EVENT_VALID | EVENT_EXCEPTION | 6;
	assert_string_equal(compare(sides, IN("")).known->id, "4821");
	sides->before[0].control.event_inj = EVENT_VALID | EVENT_INTR | 0x80;
	assert_int_equal(compare(sides, IN("")).verdict, NESTED_DIFFERS);
	free(sides);
}

/* What VMRUN makes of CPL is each mode's own. */
static void test_known_of_cpl(void **state)
{
	struct sides *sides = sides_new();
	struct vmcb_save *save = &sides->before[0].save;

	(void)state;
	sides->got.runs[0].rip = 1;
	vmcb_world_base(&sides->before[0], SVM_BASE_PAE);
	assert_int_equal(compare(sides, IN("")).verdict, NESTED_DIFFERS);
	save->rflags |= X86_EFLAGS_VM;
	assert_string_equal(compare(sides, IN("")).known->id, "3904");
	vmcb_world_base(&sides->before[0], SVM_BASE_NPT);
	assert_string_equal(compare(sides, IN("")).known->id, "3905");
	vmcb_world_base(&sides->before[0], SVM_BASE_UNPAGED);
	save->cr0 &= ~X86_CR0_PE;
	save->cpl = 3;
	assert_int_equal(compare(sides, IN("")).verdict, NESTED_DIFFERS);
	free(sides);
}

/* A segment counts where the mode has it, and where its fault came. */
static void test_known_of_segments(void **state)
{
	struct sides *sides = sides_new();
	struct vmcb_save *save = &sides->before[0].save;

	(void)state;
	sides->want.runs[0].rip = VMCB_HANDLER_GPA + 13 * 16;
	save->cs.limit = 0;
	save->ss.attrib = 0;
	assert_int_equal(compare(sides, IN("")).verdict, NESTED_DIFFERS);
	save->cs.attrib &= (uint16_t)~SEG_ATTRIB_L;
	assert_string_equal(compare(sides, IN("")).known->id, "3701");
	sides->want.runs[0].rip = VMCB_CODE_GPA;
	assert_int_equal(compare(sides, IN("")).verdict, NESTED_DIFFERS);
	sides->want.runs[0].rip = VMCB_HANDLER_GPA + 13 * 16;
	save->cs.limit = ~0u;
	assert_int_equal(compare(sides, IN("")).verdict, NESTED_DIFFERS);
	vmcb_world_base(&sides->before[0], SVM_BASE_PAE);
	assert_string_equal(compare(sides, IN("")).known->id, "3701");
	free(sides);
}

static void test_known_have_reasons(void **state)
{
	const struct nested_known *known;
	unsigned int i;

	(void)state;
	for (i = 0; (known = nested_known_at(i)); i++)
		assert_true(known->reason && known->reason[0] && known->is);
}

static void test_known_reports(void **state)
{
	(void)state;
	assert_string_equal(nested_known_report("the kernel reported: WARNING: CPU: 0 PID: 27 at arch/x86/kvm/svm/nested.c:957 "
		"nested_svm_vmexit+0x674/0x700"), "3900");
	assert_null(nested_known_report("the kernel reported: WARNING: CPU: 0 PID: 27 at arch/x86/kvm/svm/nested.c:957 "
		"nested_svm_exit_handled+0x674/0x700"));
	assert_null(nested_known_report("the kernel reported: BUG: KASAN: use-after-free in nested_svm_vmexit+0x674/0x700"));
}

/* --- inputs that are made again --- */

static bool has_value(const struct input *input, uint64_t value)
{
	unsigned int i, n;

	for (i = 0; i < input->nr_ops; i++)
		for (n = 0; n < input->domain->ops[input->ops[i].kind].nr_operands; n++)
			if (input->ops[i].args[n] == value)
				return true;
	return false;
}

static void test_made_again(void **state)
{
	struct input golden, other, one, again;
	const struct input *corpus[] = { &golden, &other };
	struct input_words words = { 0 };
	unsigned int number, nr_same = 0, nr_words = 0;

	(void)state;
	assert_true(input_words_add(&words, &vmcb_domain, 0x5a5a));
	assert_false(input_words_add(&words, &vmcb_domain, 0x5a5a));
	assert_false(input_words_add(&words, &vmcb_domain, VMCB_CODE_GPA));
	input_of(IN(""), &golden);
	input_of(IN("l2 cpuid\nrun\nskip"), &other);
	for (number = 0; number < 200; number++) {
		campaign_make(7, number, corpus, 2, &words, &one);
		campaign_make(7, number, corpus, 2, &words, &again);
		assert_true(input_is_equal(&one, &again));
		nr_words += has_value(&one, words.values[0]);
		campaign_make(8, number, corpus, 2, &words, &again);
		nr_same += input_is_equal(&one, &again);
	}
	assert_true(nr_same < 20);
	assert_true(nr_words > 0);
}

/* --- what does not come again --- */

struct fickle {
	struct executor executor;
	unsigned int nr_runs;
};

/* Wrong in its first run only. */
static void fickle_run(struct executor *executor, const struct input *input, struct trial *trial)
{
	struct fickle *fickle = (struct fickle *)executor;

	(void)input;
	*trial = (struct trial){ .nr_lines = 0 };
	if (!fickle->nr_runs++)
		strcpy(trial->violation, "it is wrong");
}

static struct campaign_stats fickle_search(bool is_exact)
{
	struct fickle fickle = { .executor = { .domain = &vmcb_domain, .is_exact = is_exact, .run = fickle_run } };
	struct campaign_options options = { .executor = &fickle.executor, .nr_inputs = 20 };
	struct campaign_stats stats;
	struct err err;

	assert_int_equal(campaign_run(&options, &stats, &err), 0);
	return stats;
}

/* Where the same comes of the same each time, it is a finding that it did not. */
static void test_once(void **state)
{
	struct campaign_stats stats = fickle_search(false);

	(void)state;
	assert_int_equal(stats.nr_findings, 0);
	assert_int_equal(stats.nr_once, 1);
	stats = fickle_search(true);
	assert_int_equal(stats.nr_findings, 1);
	assert_int_equal(stats.nr_once, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_operations, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rules, setup, teardown),
		cmocka_unit_test(test_differ),
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_known_of_memory),
		cmocka_unit_test(test_known_behind_refused),
		cmocka_unit_test(test_known_of_walk),
		cmocka_unit_test(test_known_of_delivery),
		cmocka_unit_test(test_known_of_cpl),
		cmocka_unit_test(test_known_of_segments),
		cmocka_unit_test(test_known_have_reasons),
		cmocka_unit_test(test_known_reports),
		cmocka_unit_test(test_made_again),
		cmocka_unit_test(test_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

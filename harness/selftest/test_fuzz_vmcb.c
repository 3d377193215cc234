/* SPDX-License-Identifier: MIT */
/* Inputs of "vmcb" on the machine: what operations do, every rule from both sides, and oracles that can say no. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <asm/svm.h>
#include <cmocka.h>

#include "err.h"
#include "fuzz/vmcb_machine.h"
#include "fuzz/vmcb_ops.h"
#include "fuzz/vmcb_world.h"
#include "vm/x86/bits.h"

static struct vmcb_machine *m;
static struct vmcb_result result;

static int setup(void **state)
{
	(void)state;
	m = vmcb_machine_new();
	return m ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	vmcb_machine_free(m);
	return 0;
}

static void run_text(const char *text)
{
	struct input input;
	char missing[1024];
	struct err err;

	if (input_parse(text, strlen(text), &input, &err))
		fail_msg("%s", err.text);
	vmcb_machine_run(m, &input, &result);
	if (!vmcb_result_expect(&result, input.expect, missing, sizeof(missing)))
		fail_msg("%s%s", text, missing);
	assert_string_equal(result.violation, "");
}

#define IN(text_) "input vmcb\n" text_

static void test_operations(void **state)
{
	static const char *const inputs[] = {
		IN("expect exit=hlt rip=0x10000 nrip=0x10001 rsp=0x9000 info1=0x0 info2=0x0"),
		IN("set rax 7\nreg rbx 8\nreg rax 9\nexpect exit=hlt rax=0x7 rbx=0x8"),
		IN("xor rsp 0x10\nexpect exit=hlt rsp=0x9010"),
		IN("set event_inj 0x80000700\nexpect refused rule=event_type"),
		IN("base unpaged\nexpect exit=hlt"),
		IN("base pae\nexpect exit=hlt"),
		IN("base long\nexpect exit=hlt"),
		/* Runs: the VMCB stays, code is put behind what was there. */
		IN("l2 cpuid\nrun\nskip\nrun\nl2_reg rsi 0x1234\nl2 vmmcall\n"
		   "expect exit=cpuid rip=0x10000\nexpect exit=hlt rip=0x10002\nexpect exit=vmmcall rip=0x10008 rsi=0x1234"),
		/* Intercepts */
		IN("intercept cpuid off\nintercept rdtsc on\nl2 cpuid\nl2 rdtsc\nexpect exit=rdtsc"),
		IN("intercept_all on\nl2 push\nl2 pushf\nexpect exit=pushf"),
		IN("intercept_all off\nl2 cpuid\nl2 vmrun\nset rax 0x50000\nexpect exit=vmrun rip=0x10002"),
		IN("intercept exception6 on\nl2 ud2\nexpect exit=exception6 info1=0x0"),
		IN("intercept write_cr4 on\nl2_cr write 4 0x620\nexpect exit=write_cr4 info1=0x8000000000000003 rbx=0x620"),
		IN("intercept read_dr7 on\nl2_dr read 7 0\nexpect exit=read_dr7 info1=0x3"),
		IN("intercept read_cr8 on\nl2_cr read 8 0\nexpect exit=read_cr8"),
		/* Maps */
		IN("l2_io out8 0x80\nexpect exit=ioio info1=0x800210 info2=0x10006 rip=0x10005"),
		IN("iopm 0x80 off\nl2_io out8 0x80\nexpect exit=hlt"),
		IN("iopm 0x80 off\nl2_io out32 0x80\nexpect exit=ioio"),
		IN("iopm_all off\nl2_io out32 0xffff\nl2_io in8 0\nexpect exit=hlt"),
		IN("iopm_all off\niopm 0x80 on\nl2_io in8 0x7f\nl2_io in8 0x80\nexpect exit=ioio rip=0x1000b"),
		IN("iopm_all off\niopm_all on\nl2_io in8 0x81\nexpect exit=ioio"),
		IN("msrpm_all off\nl2_msr wrmsr 0xc0000081 0x1122\nexpect exit=hlt"),
		IN("msrpm_all off\nmsrpm_all on\nl2_msr rdmsr 0x174 0\nexpect exit=msr info1=0x0"),
		IN("l2_msr wrmsr 0xc0000082 0x1122334455667788\nexpect exit=msr info1=0x1 rdx=0x11223344 rax=0x55667788"),
		IN("msrpm 0xc0000082 write off\nl2_msr wrmsr 0xc0000082 0x1122\nexpect exit=hlt"),
		IN("msrpm 0xc0000082 write off\nl2_msr rdmsr 0xc0000082 0\nexpect exit=msr info1=0x0"),
		IN("msrpm 0xc0000082 both off\nmsrpm 0xc0000082 read on\nl2_msr rdmsr 0xc0000082 0\nexpect exit=msr"),
		/* Tables. Bits 0 to 2 of EXITINFO1: present, write, user */
		IN("npt set 0x30000 1 0\nl2_mem load 0x30000\nexpect exit=npf info1=0x100000004 info2=0x30000"),
		IN("npt xor 0x30000 1 2\nl2_mem store 0x30010\nexpect exit=npf info1=0x100000007 info2=0x30010"),
		IN("npt set 0x30000 4 0\nexpect exit=npf"),
		IN("pt set 0x30000 1 0\nintercept exception14 on\nl2_mem store 0x30008\n"
		   "expect exit=exception14 info1=0x2 info2=0x30008"),
		IN("l2_mem load 0x50000\nexpect exit=npf info2=0x50000"),
		IN("poke 0x30000 8877665544332211\nl2_mem load 0x30000\nexpect exit=hlt rbx=0x1122334455667788"),
		/* Events: a handler's address is its vector's, 16 bytes each */
		IN("inject intr 0x21\nexpect exit=hlt rip=0x20210"),
		IN("inject_error exception 13 0x18\nexpect exit=hlt rip=0x200d0"),
		IN("set rflags 0x202\nvirq 0x30 4\nexpect exit=hlt rip=0x20300"),
		IN("virq 0x30 4\nexpect exit=hlt rip=0x10000"),
		IN("pin nmi\nexpect exit=nmi rip=0x10000"),
		IN("pin intr\nexpect exit=intr"),
		IN("pin smi\nexpect exit=smi"),
		IN("pin init\nexpect exit=init"),
		IN("npt set 0x9000 1 0\nnpt set 0x8000 1 0\ninject intr 0x21\nexpect exit=npf intinfo=0x80000021"),
		IN("l2_int 0x44\nexpect exit=hlt rip=0x20440"),
		/* L1 */
		IN("set kernel_gs_base 0x77\nrun\nset kernel_gs_base 0\nl1 vmload\nl1 vmsave\n"
		   "msrpm 0xc0000102 read off\nl2_msr rdmsr 0xc0000102 0\nexpect exit=hlt\nexpect exit=hlt"),
		IN("l2_bytes f4\nexpect exit=hlt rip=0x10000"),
		IN("l2 jmp_self\nexpect budget"),
		IN("intercept hlt off\nexpect halted"),
		IN("set idtr.limit 0\nset gdtr.limit 0\nl2 ud2\nexpect exit=shutdown"),
		/* A translation that the TLB has is used until it is flushed. */
		IN("l2_mem load 0x30000\nrun\nnpt set 0x30000 1 0\nl2_mem load 0x30000\nexpect exit=hlt\nexpect exit=hlt"),
		IN("l2_mem load 0x30000\nrun\nnpt set 0x30000 1 0\nset tlb_control 1\nl2_mem load 0x30000\n"
		   "expect exit=hlt\nexpect exit=npf"),
		IN("l2_mem load 0x30000\nrun\nnpt set 0x30000 1 0\nflush asid\nl2_mem load 0x30000\n"
		   "expect exit=hlt\nexpect exit=npf"),
		IN("flush all\nl2_mem load 0x30000\nrun\nnpt set 0x30000 1 0\nflush nothing\nl2_mem load 0x30000\n"
		   "expect exit=hlt\nexpect exit=hlt"),
		IN("l2_mem load 0x30000\nrun\nnpt set 0x30000 1 0\nl1_invlpga 0x30000 1\nl2_mem load 0x30000\n"
		   "expect exit=hlt\nexpect exit=npf"),
		IN("l2_mem load 0x30000\nrun\nnpt set 0x30000 1 0\nl1_invlpga 0x30000 2\nl2_mem load 0x30000\n"
		   "expect exit=hlt\nexpect exit=hlt"),
		IN("l2_mem load 0x30000\nrun\nnpt set 0x30000 1 0\nset asid 2\nl2_mem load 0x30000\n"
		   "expect exit=hlt\nexpect exit=npf"),
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
		run_text(inputs[i]);
}

/* Each value of a rule alone, from its own state: refused by that rule, or entered. */
static void run_edit(unsigned int rule, bool is_legal, unsigned int edit, unsigned int value, enum svm_base base)
{
	struct input input;
	char text[256];

	input_init(&input, &vmcb_domain);
	input_append(&input, &(struct input_op){ .kind = VMCB_OP_BASE, .args = { base } });
	input_append(&input, &(struct input_op){ .kind = VMCB_OP_RULE,
		.args = { rule, is_legal ? KIND_LEGAL : KIND_ILLEGAL, edit, value } });
	vmcb_machine_run(m, &input, &result);
	input_print(&input, text, sizeof(text));
	if (result.violation[0])
		fail_msg("%s%s", text, result.violation);
	if ((result.runs[0].end == VMCB_END_REFUSED) == is_legal)
		fail_msg("%sentered or refused, and should be the other", text);
	if (!is_legal && result.runs[0].rule != &svm_rules[rule])
		fail_msg("%srefused by %s", text, result.runs[0].rule->id);
}

static void run_edits(unsigned int rule, bool is_legal)
{
	const struct svm_edit *edits = is_legal ? svm_rules[rule].legal : svm_rules[rule].illegal;
	unsigned int edit, value, nr = is_legal ? svm_rules[rule].nr_legal : svm_rules[rule].nr_illegal;

	for (edit = 0; edit < nr; edit++)
		for (value = 0; value < (edits[edit].count ? edits[edit].count : 64); value++)
			run_edit(rule, is_legal, edit, value, edits[edit].base);
}

static void test_rules(void **state)
{
	unsigned int rule;

	(void)state;
	for (rule = 0; rule < NR_SVM_RULES; rule++) {
		/* This CPU has nested paging: the rule's one illegal value is none. */
		if (rule != SVM_RULE_np_unsupported)
			run_edits(rule, false);
		run_edits(rule, true);
	}
}

static void random_input(struct input *input, struct rng *rng)
{
	uint64_t nr = 1 + rng_below(rng, 16);

	input_init(input, &vmcb_domain);
	while (nr--) {
		struct input_op op;

		input_op_random(&vmcb_domain, &op, rng);
		input_append(input, &op);
	}
}

/* What an input comes to does not depend on what ran before it, and no oracle has anything against it. */
static void test_random(void **state)
{
	struct vmcb_machine *fresh = vmcb_machine_new();
	static struct vmcb_result again;
	struct rng rng = { 99 };
	static char text[16384];
	unsigned int i;
	char what[256];

	(void)state;
	assert_non_null(fresh);
	for (i = 0; i < 20000; i++) {
		struct input input;

		random_input(&input, &rng);
		vmcb_machine_run(m, &input, &result);
		input_print(&input, text, sizeof(text));
		if (result.violation[0])
			fail_msg("%s%s", text, result.violation);
		/* The other has not run what was before. */
		if (i % 16)
			continue;
		vmcb_machine_run(fresh, &input, &again);
		if (vmcb_result_differs(&result, &again, what, sizeof(what)))
			fail_msg("%s%s", text, what);
	}
	vmcb_machine_free(fresh);
}

/* --- oracles --- */

struct judged {
	uint8_t ram[VMCB_RAM_BYTES], golden[VMCB_RAM_BYTES];
	struct vmcb before, after;
	struct vmcb_outcome outcome;
	struct vmcb_host host_before, host_after;
	uint64_t dirty[VMCB_NR_PAGES / 64];
	struct vmcb_run run;
};

/* A run of the golden state that ended as it should. */
static struct judged *judged_new(void)
{
	struct judged *j = calloc(1, sizeof(*j));

	assert_non_null(j);
	vmcb_world_fill(j->golden);
	memcpy(j->ram, j->golden, sizeof(j->ram));
	j->before = j->after = *vmcb_world_vmcb(j->ram);
	j->after.control.exit_code = j->outcome.exit_code = SVM_EXIT_HLT;
	j->outcome.rip = VMCB_CODE_GPA;
	j->outcome.next_rip = VMCB_CODE_GPA + 1;
	j->host_after.dr7 = 0x400;
	j->host_before.has_gif = false;
	j->run = (struct vmcb_run){ &j->before, &j->after, &j->outcome, NULL, &j->host_before, &j->host_after, j->ram,
		j->golden, j->dirty, 0, true };
	return j;
}

static void refuse(struct judged *j)
{
	j->outcome.end = VMCB_END_REFUSED;
	j->run.predicted = &svm_rules[SVM_RULE_asid_zero];
	j->outcome.exit_code = j->after.control.exit_code = ~0ull;
}

static void exit_with(struct judged *j, uint64_t code, uint64_t info_1)
{
	j->outcome.exit_code = code;
	j->outcome.exit_info_1 = info_1;
	if (code < NR_INTERCEPTS)
		j->before.control.intercept[code / 32] |= 1u << code % 32;
	memcpy(j->after.control.intercept, j->before.control.intercept, sizeof(j->after.control.intercept));
}

static void dirty(struct judged *j, uint64_t gpa)
{
	j->dirty[gpa / 0x1000 / 64] |= 1ull << gpa / 0x1000 % 64;
}

#define FAULT(name_) static void name_(struct judged *j)
FAULT(reserved) { j->after.control.reserved_110[5] = 1; }
FAULT(software) { j->after.control.software_3e0[31] = 1; }
FAULT(fs_base) { j->after.save.fs.base = 1; }
FAULT(control_kept) { j->after.control.asid = 2; }
FAULT(event_kept) { j->before.control.event_inj = j->after.control.event_inj = EVENT_VALID | 0x20; }
FAULT(host_cr3) { j->host_after.cr3 = 1; }
FAULT(host_gif) { j->host_after.has_gif = true; }
FAULT(host_dr7) { j->host_after.dr7 = 0x401; }
FAULT(host_tpr) { j->host_after.cr8 = 1; }
FAULT(host_seg) { j->host_after.segs[2][0] = 1; }
FAULT(entered) { j->run.predicted = &svm_rules[SVM_RULE_asid_zero]; }
FAULT(refused) { refuse(j); j->run.predicted = NULL; }
FAULT(refused_changes) { refuse(j); j->after.save.cr2 = 1; }
FAULT(refused_writes) { refuse(j); dirty(j, VMCB_DATA_GPA); }
FAULT(l1_written) { dirty(j, VMCB_IOPM_GPA); }
FAULT(nested_entry) { dirty(j, VMCB_NPT_GPA); j->ram[VMCB_NPT_GPA + 16] ^= 0x80; }
FAULT(not_intercepted) { exit_with(j, SVM_EXIT_RDTSC, 0); j->before.control.intercept[3] &= ~(1u << (SVM_EXIT_RDTSC % 32));
	j->after.control.intercept[3] = j->before.control.intercept[3]; }
FAULT(unknown_code) { exit_with(j, 0x500, 0); }
FAULT(npf_without) { exit_with(j, SVM_EXIT_NPF, NPF_FINAL); j->before.control.nested_ctl = j->after.control.nested_ctl = 0; }
FAULT(npf_neither) { exit_with(j, SVM_EXIT_NPF, 4); }
FAULT(npf_both) { exit_with(j, SVM_EXIT_NPF, NPF_FINAL | NPF_TABLE); }
FAULT(io_sizes) { exit_with(j, SVM_EXIT_IOIO, IOIO_SIZE(3) | IOIO_ADDRESS(8)); }
FAULT(io_allowed) { exit_with(j, SVM_EXIT_IOIO, IOIO_PORT(8) | IOIO_SIZE(1) | IOIO_ADDRESS(8)); j->ram[VMCB_IOPM_GPA + 1] = 0xfe; }
FAULT(msr_allowed) { exit_with(j, SVM_EXIT_MSR, 1); j->outcome.regs[1] = 0xc0000080; j->ram[VMCB_MSRPM_GPA + 0x820] = 0xfd; }
FAULT(msr_info) { exit_with(j, SVM_EXIT_MSR, 2); }
FAULT(no_error_code) { exit_with(j, SVM_EXIT_EXCP_BASE + 6, 1); }
FAULT(no_address) { exit_with(j, SVM_EXIT_EXCP_BASE + 13, 0); j->outcome.exit_info_2 = 1; }
FAULT(no_pin) { exit_with(j, SVM_EXIT_NMI, 0); }
FAULT(event_type) { j->outcome.exit_int_info = EVENT_VALID | EVENT_TYPE(1); }
FAULT(event_vector) { j->outcome.exit_int_info = EVENT_VALID | EVENT_EXCEPTION | 32; }
FAULT(long_insn) { j->outcome.next_rip = VMCB_CODE_GPA + 16; }
FAULT(no_insn) { j->outcome.next_rip = VMCB_CODE_GPA; }
FAULT(rflags) { j->after.save.rflags = 0; }
FAULT(lma) { j->after.save.efer &= ~EFER_LMA; }
FAULT(cpl) { j->after.save.cpl = 4; }
FAULT(shadow) { j->after.control.int_state = 4; }

FAULT(event_lost) { dirty(j, VMCB_PT_GPA); j->before.control.event_inj = EVENT_VALID | 0x20; j->after.control.event_inj = 0x20; }

FAULT(nothing) { (void)j; }
FAULT(nested_accessed) { dirty(j, VMCB_NPT_GPA); j->ram[VMCB_NPT_GPA + 16] ^= 0x60; }
FAULT(l2_written) { dirty(j, VMCB_DATA_GPA); dirty(j, VMCB_VMCB_GPA); }
FAULT(tpr_shared) { j->host_after.cr8 = 1; j->before.control.int_ctl = 0; }
FAULT(with_pin) { exit_with(j, SVM_EXIT_NMI, 0); j->run.pins = 1u << PIN_NMI; }
FAULT(event_delivered) { event_lost(j); j->after.save.rip = VMCB_HANDLER_GPA; }
FAULT(event_same_stack) { event_lost(j); dirty(j, VMCB_STACK_GPA - 0x1000); }
FAULT(event_returned) { event_lost(j); j->run.nr_insns = 1; }
FAULT(event_kept_for_l1) { event_lost(j); j->outcome.exit_int_info = EVENT_VALID | 0x20; }
FAULT(just_refused) { refuse(j); dirty(j, VMCB_VMCB_GPA); }

static bool is_wrong(void (*fault)(struct judged *), char *buf, size_t len_bytes)
{
	struct judged *j = judged_new();
	bool ret;

	fault(j);
	ret = vmcb_run_is_wrong(&j->run, buf, len_bytes);
	free(j);
	return ret;
}

static void test_oracles(void **state)
{
	static void (*const faults[])(struct judged *) = {
		reserved, software, fs_base, control_kept, event_kept, host_cr3, host_gif, host_dr7, host_tpr, host_seg, entered,
		refused, refused_changes, refused_writes, l1_written, nested_entry, not_intercepted, unknown_code, npf_without,
		npf_neither, npf_both, io_sizes, io_allowed, msr_allowed, msr_info, no_error_code, no_address, no_pin,
		event_type, event_vector, long_insn, no_insn, rflags, lma, cpl, shadow, event_lost,
	};
	static void (*const fine[])(struct judged *) = {
		nothing, nested_accessed, l2_written, tpr_shared, with_pin, just_refused, event_delivered, event_same_stack, event_returned,
		event_kept_for_l1,
	};
	char what[256] = "";
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (!is_wrong(faults[i], what, sizeof(what)))
			fail_msg("fault %zu is not seen", i);
	for (i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		if (is_wrong(fine[i], what, sizeof(what)))
			fail_msg("%zu is fine, and yet: %s", i, what);
}

/* --- outcomes --- */

static void test_expectations(void **state)
{
	static const struct {
		const char *expect, *says;
	} rows[] = {
		{ "exit=cpuid\n", "line 0: want exit=cpuid, got exit=hlt info1=0x0" },
		{ "exit=hlt rip=0x1000\n", "line 0: want rip=0x1000, got exit=hlt" },
		{ "exit=hl\n", "line 0: want exit=hl, got exit=hlt" },
		{ "exit=hlt\nexit=hlt\n", "line 1: there is none" },
		{ "refused\n", "line 0: want refused, got exit=hlt" },
	};
	struct input input;
	char what[1024];
	size_t i;

	(void)state;
	input_init(&input, &vmcb_domain);
	vmcb_machine_run(m, &input, &result);
	assert_true(vmcb_result_expect(&result, "", what, sizeof(what)));
	assert_true(vmcb_result_expect(&result, "rip=0x10000 exit=hlt\n", what, sizeof(what)));
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_false(vmcb_result_expect(&result, rows[i].expect, what, sizeof(what)));
		assert_memory_equal(what, rows[i].says, strlen(rows[i].says));
	}
}

static void test_differences(void **state)
{
	static struct vmcb_result other;
	struct input input;
	char what[256];

	(void)state;
	input_init(&input, &vmcb_domain);
	vmcb_machine_run(m, &input, &result);
	other = result;
	assert_false(vmcb_result_differs(&result, &other, what, sizeof(what)));
	other.memory_hash ^= 1;
	assert_true(vmcb_result_differs(&result, &other, what, sizeof(what)));
	assert_non_null(strstr(what, "memory"));
	other.runs[0].regs[3] = 7;
	assert_true(vmcb_result_differs(&result, &other, what, sizeof(what)));
	assert_string_equal(what, "run 0: rbx: want 0x0, got 0x7");
	other.runs[0].end = VMCB_END_HALTED;
	assert_true(vmcb_result_differs(&result, &other, what, sizeof(what)));
	assert_string_equal(what, "run 0: end: want exit, got halted");
	other.runs[0].end = VMCB_END_UNIMPLEMENTED;
	assert_false(vmcb_result_differs(&result, &other, what, sizeof(what)));
}

/* What an earlier input has left decoded in memory that a string instruction writes to. */
static void test_forgets_code(void **state)
{
	static const char copy[] = IN("reg rcx 0xffffffffffff\nl2 rep_movsb\nexpect budget");
	uint64_t hash, rcx;

	(void)state;
	run_text(copy);
	hash = result.memory_hash;
	rcx = result.runs[0].regs[1];
	run_text(IN("set rip 0x37000"));
	run_text(copy);
	assert_int_equal(hash, result.memory_hash);
	assert_int_equal(rcx, result.runs[0].regs[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_operations),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_oracles),
		cmocka_unit_test(test_expectations),
		cmocka_unit_test(test_differences),
		cmocka_unit_test(test_forgets_code),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

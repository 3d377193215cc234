/* SPDX-License-Identifier: MIT */
/* The rules of VMRUN and the tests that hold each of them: cases/svm/rules.md. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "err.h"
#include "machine/svm_rules.h"

static const char head[] =
	"# The rules of VMRUN and their tests\n"
	"\n"
	"Printed by `vmassay rules`; `meson test -C build rules` fails when this file is another. The rules are\n"
	"harness/machine/svm_rules.c. A state that breaks one ends VMRUN with VMEXIT_INVALID. The check is the one by which\n"
	"Linux 6.1 refuses it for a nested guest, in the words of its tracepoint. A test's name is `svm.`, the case, `.` and\n"
	"the rule; `vmrun_refused` has the illegal values, `vmrun_entered` the legal ones. An address in RAX that no VMCB can\n"
	"have is a #GP of the instruction: `svm.insn_faults.vmrun_rax_*`.\n"
	"\n"
	"| rule | refused when | manual | check | illegal values | legal values | cases |\n"
	"|---|---|---|---|---|---|---|\n";

/* In a table a bar would end the cell. */
static void print_code(const char *text)
{
	putchar('`');
	for (; *text; text++) {
		if (*text == '|')
			putchar('\\');
		putchar(*text);
	}
	putchar('`');
}

static void print_edits(const struct svm_edit *edits, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		printf("%s%s", i ? "; " : "", edits[i].says);
}

/* The cases of suite svm that have a row of the rule's name. False: there is none. */
static bool print_cases(const struct registry *registry, const struct svm_rule *rule)
{
	const char *separator = "";
	size_t i;

	for (i = 0; i < registry->nr_tests; i++) {
		const struct test_entry *entry = &registry->tests[i];
		const struct row_head *row = test_entry_row(entry);

		if (strcmp(entry->area, "svm") || !row || strcmp(row->label, rule->id))
			continue;
		printf("%s%s", separator, entry->desc->id);
		separator = ", ";
	}
	return *separator;
}

static bool print_rule(const struct registry *registry, const struct svm_rule *rule)
{
	bool has_test;

	printf("| %s | %s | %s | ", rule->id, rule->says, rule->manual);
	if (rule->check)
		print_code(rule->check);
	else
		printf("%s", rule->is_broken ? "none: the CPU's" : "");
	printf(" | ");
	print_edits(rule->illegal, rule->nr_illegal);
	printf(" | ");
	print_edits(rule->legal, rule->nr_legal);
	printf(" | ");
	has_test = print_cases(registry, rule);
	printf(" |\n");
	return has_test;
}

int cmd_rules(int argc, char **argv)
{
	struct registry registry;
	struct err err;
	unsigned int i, nr_without = 0;

	if (argc > 1)
		return usage_error("rules: it takes no argument, not '%s'", argv[1]);
	if (registry_open(&registry, &err))
		return usage_error("%s", err.text);
	fputs(head, stdout);
	for (i = 0; i < NR_SVM_RULES; i++)
		nr_without += !print_rule(&registry, &svm_rules[i]);
	registry_close(&registry);
	if (!nr_without)
		return 0;
	fprintf(stderr, "vmassay: rules: %u without a test\n", nr_without);
	return 1;
}

/* SPDX-License-Identifier: MIT */
#include "runner/hw_exits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "err.h"
#include "reports/result.h"
#include "runner/needs.h"
#include "runner/test.h"
#include "runner/trace.h"
#include "vm/x86/vendor.h"

/* VM-exit interruption information: SDM vol. 3C, "Information for VM Exits Due to Vectored Events" */
#define VMX_INTR_VALID 0x80000000u
#define VMX_INTR_VECTOR 0xffu

#define MAX_EXITS 4096
#define NR_DUMPED 32
#define TEXT_BYTES 2048

struct hw_log {
	struct trace *trace;	/* NULL: not observable here, and why */
	struct err why;
	struct hw_exit exits[MAX_EXITS];
	size_t nr_exits;	/* seen; those beyond MAX_EXITS replace the oldest */
	size_t nr_checked;
};

void hw_log_open(struct test *t)
{
	t->hw_log = calloc(1, sizeof(*t->hw_log));
	if (!t->hw_log)
		return;
	trace_open(&t->hw_log->trace, &t->hw_log->why);
}

void hw_log_close(struct test *t)
{
	if (t->hw_log)
		trace_close(t->hw_log->trace);
	free(t->hw_log);
	t->hw_log = NULL;
}

static void log_fill(struct hw_log *log)
{
	struct hw_exit exit;

	while (log->trace && trace_next(log->trace, &exit))
		log->exits[log->nr_exits++ % MAX_EXITS] = exit;
}

static const struct hw_exit *log_at(const struct hw_log *log, size_t index)
{
	return &log->exits[index % MAX_EXITS];
}

int hw_log_format(struct test *t, char *buf, size_t len_bytes)
{
	struct hw_log *log = t->hw_log;
	size_t i, used = 0;

	buf[0] = '\0';
	if (!log)
		return 0;
	log_fill(log);
	for (i = log->nr_exits > NR_DUMPED ? log->nr_exits - NR_DUMPED : 0; i < log->nr_exits; i++) {
		char line[256];

		hw_exit_format(line, sizeof(line), log_at(log, i));
		used += snprintf(used < len_bytes ? buf + used : NULL, used < len_bytes ? len_bytes - used : 0,
				 "hw %zu: %s\n", i, line);
	}
	return used;
}

/* --- comparing --- */

static bool is_from_outside(const struct hw_exit *exit)
{
	if (exit->isa == KVM_ISA_SVM)
		return exit->reason == SVM_EXIT_INTR || exit->reason == SVM_EXIT_NMI || exit->reason == SVM_EXIT_SMI;
	return (exit->reason & 0xffff) == EXIT_REASON_EXTERNAL_INTERRUPT ||
	       (exit->reason & 0xffff) == EXIT_REASON_PREEMPTION_TIMER;
}

static bool is_page_fault(uint32_t isa, uint64_t reason)
{
	/* The second without nested paging, where KVM's own tables are filled by #PF. */
	if (isa == KVM_ISA_SVM)
		return reason == SVM_EXIT_NPF || reason == SVM_EXIT_EXCP_BASE + PF_VECTOR;
	return reason == EXIT_REASON_EPT_VIOLATION || reason == EXIT_REASON_EPT_MISCONFIG;
}

/*
 * The same for an exit that was taken. On Intel, all exceptions exit alike; a #PF is one that was not asked for where
 * KVM shadows, and one that L1 asked for elsewhere.
 */
static bool is_page_fault_exit(const struct test *t, const struct hw_exit *exit)
{
	char missing[64];

	if (exit->isa == KVM_ISA_VMX && (exit->reason & 0xffff) == EXIT_REASON_EXCEPTION_NMI)
		return (exit->intr_info & (VMX_INTR_VALID | VMX_INTR_VECTOR)) == (VMX_INTR_VALID | PF_VECTOR) &&
		       !needs_met("tdp", t->sys, missing, sizeof(missing));
	return is_page_fault(exit->isa, exit->reason);
}

static bool is_dr_access(const struct hw_exit *exit)
{
	if (exit->isa == KVM_ISA_SVM)
		return exit->reason >= SVM_EXIT_READ_DR0 && exit->reason <= SVM_EXIT_WRITE_DR7;
	return (exit->reason & 0xffff) == EXIT_REASON_DR_ACCESS;
}

/*
 * True for a MOV DR that exits only because of an exit from outside. KVM lets an intercepted MOV DR run anew with the
 * registers loaded, and takes them back at the next exit: the next MOV DR is intercepted again.
 */
static bool is_second_try(const struct hw_log *log, size_t index)
{
	const struct hw_exit *exit = log_at(log, index), *first;

	if (!is_dr_access(exit) || index < log->nr_checked + 2 || !is_from_outside(log_at(log, index - 1)))
		return false;
	for (index--; index > log->nr_checked && is_from_outside(log_at(log, index)); index--) { }
	first = log_at(log, index);
	return is_dr_access(first) && first->vcpu == exit->vcpu;
}

static bool has_page_fault(uint32_t isa, const uint64_t *want, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (is_page_fault(isa, want[i]))
			return true;
	return false;
}

static void list_add(char *text, uint32_t isa, uint64_t reason)
{
	size_t used = strlen(text);

	snprintf(text + used, TEXT_BYTES - used, "%s%s", used ? " " : "", hw_exit_reason_name(isa, reason));
}

static bool runs_on(uint32_t isa)
{
	return !strcmp(vendor_module(), isa == KVM_ISA_SVM ? "kvm_amd" : "kvm_intel");
}

/* False when nothing can be seen, and says so. */
static bool is_observable(struct test *t)
{
	struct hw_log *log = t->hw_log;

	if (log && log->trace) {
		log_fill(log);
		return true;
	}
	test_say(t, "hardware exits were not observed: %s", log ? log->why.text : "tracing is off");
	return false;
}

static bool check_exits(struct test *t, struct check_at at, const char *text, enum hw_exit_kind kind, uint32_t isa,
			const uint64_t *want, size_t nr)
{
	char want_text[TEXT_BYTES] = "", got_text[TEXT_BYTES] = "";
	struct hw_log *log = t->hw_log;
	bool with_faults = has_page_fault(isa, want, nr);
	size_t i;

	if (!runs_on(isa) || !is_observable(t))
		return true;
	for (i = 0; i < nr; i++)
		list_add(want_text, isa, want[i]);
	for (i = log->nr_checked; i < log->nr_exits; i++) {
		const struct hw_exit *exit = log_at(log, i);

		if (exit->kind == kind && !is_from_outside(exit) && !is_second_try(log, i) &&
		    (with_faults || !is_page_fault_exit(t, exit)))
			list_add(got_text, exit->isa, exit->reason);
	}
	log->nr_checked = log->nr_exits;
	return test_check_text(t, at, text, want_text, got_text);
}

bool test_check_hw_exits(struct test *t, struct check_at at, uint32_t isa, const uint64_t *want, size_t nr)
{
	return check_exits(t, at, "the hardware's exits", HW_EXIT, isa, want, nr);
}

bool test_check_nested_exits(struct test *t, struct check_at at, uint32_t isa, const uint64_t *want, size_t nr)
{
	return check_exits(t, at, "the exits of L2", HW_NESTED_EXIT, isa, want, nr);
}

void test_forget_hw_exits(struct test *t)
{
	if (!t->hw_log)
		return;
	log_fill(t->hw_log);
	t->hw_log->nr_checked = t->hw_log->nr_exits;
}

/* The texts that cases name are those of this kernel's source. */
static bool is_wording_known(void)
{
	struct utsname name;

	return !uname(&name) && !strncmp(name.release, "6.1.", 4);
}

bool test_check_refused(struct test *t, struct check_at at, const char *want)
{
	const char *got = NULL;
	struct hw_log *log = t->hw_log;
	size_t i;

	if (!is_observable(t))
		return true;
	for (i = log->nr_checked; i < log->nr_exits; i++)
		if (log_at(log, i)->kind == HW_ENTRY_FAILED)
			got = log_at(log, i)->check;
	log->nr_checked = log->nr_exits;
	if (want && got && strcmp(want, got) && !is_wording_known()) {
		test_say(t, "the check that refused the entry is worded '%s'", got);
		got = want;
	}
	return test_check_text(t, at, "the check that refused the entry", want ? want : "none", got ? got : "none");
}

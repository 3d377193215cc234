/* SPDX-License-Identifier: MIT */
/*
 * With the PAUSE intercept and a filter count, VMRUN loads a counter that each PAUSE of L2 decrements, and the one that
 * finds it used up exits; a count of zero is no filter. A threshold loads the counter anew when the last PAUSE was longer
 * ago. Without the intercept there is no exit, whatever the count.
 *
 * KVM, which has a filter of its own for L2, runs with its own count where it wants the exits itself: then L1's is only a
 * lower bound. With PAUSE exits disabled L1's is what counts.
 *
 * Can break: the filter that L1 has switched off left on by KVM's, L1's count lost, the counter not loaded again by the
 * next VMRUN, KVM's own exit handed to L1.
 * Source: APM vol. 2, 15.14.4, appendix B. KVM API, KVM_CAP_X86_DISABLE_EXITS.
 */
#include "guests/l1_svm.h"
#include "case.h"

#define MANY 5000
/* KVM's own count is 16 bits wide. */
#define MOST 0x10000

/* R15: how many PAUSEs are done; RBX: how often it waits between two; RBP: how many there are. */
INSN(pf_code, "1: pf_pause: pause\n\tinc %r15\n\tmov %rbx, %rcx\n\t2: dec %rcx\n\tjns 2b\n\tcmp %rbp, %r15\n\tjb 1b\n\t"
     "vmmcall")
extern const char pf_pause[] GUEST_API;

struct row {
	ROW_FIELDS;
	uint16_t count, threshold;
	bool is_off;		/* no intercept */
	bool is_slow;		/* the threshold is over when the next one comes */
	bool is_disabled;	/* KVM does not want the exits */
};

#define FILTER .needs = "cpuid:pausefilter"
#define EXACT .is_disabled = true, .needs = "cpuid:pausefilter KVM_CAP_X86_DISABLE_EXITS&4"
#define THRESHOLD .needs = "cpuid:pausefilter cpuid:pfthreshold"

static const struct row rows[] = {
	{ .label = "no_filter", .count = 0 }, { .label = "off", .is_off = true },
	{ .label = "off_counted", .count = 8, .is_off = true },
	{ .label = "one", .count = 1, FILTER }, { .label = "counted", .count = 20, FILTER },
	{ .label = "no_filter_exits_disabled", .count = 0, EXACT }, { .label = "one_exits_disabled", .count = 1, EXACT },
	{ .label = "counted_exits_disabled", .count = 20, EXACT },
	{ .label = "many_exits_disabled", .count = 4000, EXACT },
	{ .label = "off_exits_disabled", .count = 8, .is_off = true, EXACT },
	{ .label = "threshold_over", .count = 4, .threshold = 1, .is_slow = true, THRESHOLD },
	{ .label = "threshold_within", .count = 4, .threshold = 0xffff, THRESHOLD },
};

CASE(pause_filter, .says = "PAUSE of L2 exits when the filter count of L1 is used up", .modes = LONG64,
     .needs = "vendor:amd nested", .manual = true, .rows = ROWS(rows))

static void run(const struct row *row)
{
	l2_regs = (struct l2_regs){ .rbp = row->is_off ? MANY : row->is_slow ? 64 : 2 * MOST,
				    .rbx = row->is_slow ? 1000 : 0 };
	l2_run(pf_code);
}

static void check_all_done(void)
{
	CHECK_L2_DONE(pf_code_end - 3);
	CHECK_EQ(l2_regs.rbp, l2_regs.r15);
	if (l1_vmcb.control.intercept[SVM_EXIT_PAUSE / 32] & 1u << (SVM_EXIT_PAUSE % 32))
		return;
	CHECK_NO_EXIT(SVM_EXIT_PAUSE);
}

static void check_exit(const struct row *row)
{
	uint64_t nr_done = l2_regs.r15;

	CHECK_EXIT(.code = SVM_EXIT_PAUSE, .rip = (ulong_t)pf_pause);
	if (!row->count) {
		CHECK_EQ(0, nr_done);
		return;
	}
	/* Whether it is the one that makes the counter zero, or the next, is one PAUSE. */
	CHECK(nr_done + 1 >= row->count);
	CHECK(nr_done <= (row->is_disabled ? row->count : MOST));
}

GUEST(pause_filter)
{
	const struct row *row = GUEST_ROW(rows);
	unsigned int i;

	l1_svm_init();
	if (!row->is_off)
		vmcb_intercept(&l1_vmcb, SVM_EXIT_PAUSE);
	l1_vmcb.control.pause_filter_count = row->count;
	l1_vmcb.control.pause_filter_threshold = row->threshold;
	/* The next VMRUN begins anew. */
	for (i = 0; i < 2; i++) {
		run(row);
		if (row->is_off || row->is_slow)
			check_all_done();
		else
			check_exit(row);
		CHECK_EQ(row->count, l1_vmcb.control.pause_filter_count);
		CHECK_EQ(row->threshold, l1_vmcb.control.pause_filter_threshold);
	}
}

HOST(pause_filter)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_DISABLE_EXITS, .args = { KVM_X86_DISABLE_EXITS_PAUSE } };

	t->vm = test_vm(t);
	if (ROW(t, rows)->is_disabled)
		expect_result(t, 0, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	guest_load(t, t->vm);
	t->vcpu = guest_vcpu(t, t->vm, 0);
	expect_done(t);
}

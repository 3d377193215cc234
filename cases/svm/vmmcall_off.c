/* SPDX-License-Identifier: MIT */
/*
 * VMMCALL that L1 does not intercept is #UD, L2's own or L1's: it does not call the hypervisor behind L1, which would be
 * seen in RAX.
 *
 * Can break: KVM intercepts VMMCALL of its guests and must not of theirs; its emulator, which takes #UD for a hypercall of
 * the other vendor and writes the right one in its place, again and again: unless that quirk is off.
 * Source: APM vol. 3, VMMCALL: #UD when it is not intercepted; KVM API, KVM_X86_QUIRK_FIX_HYPERCALL_INSN.
 */
#include "guests/l1_svm.h"
#include "case.h"

#define VALUE 9		/* of no hypercall that a KVM has */

INSN(v_call, "v_at: vmmcall\n\tv_next: hlt")
extern const char v_at[] GUEST_API, v_next[] GUEST_API;

struct row {
	ROW_FIELDS;
	bool is_intercepted;	/* #UD is */
	bool is_quirk_off;
};

#define QUIRK_OFF .is_quirk_off = true, .needs = "KVM_CAP_DISABLE_QUIRKS2&32"
#define KNOWN .known = { "3002-vmmcall-of-l2-for-ever", "!(bare|soft-svm)", .is_skipped = true }

static const struct row rows[] = {
	{ .label = "exits", .is_intercepted = true, QUIRK_OFF }, { .label = "delivered", QUIRK_OFF },
	{ .label = "exits_quirk", .is_intercepted = true, KNOWN }, { .label = "delivered_quirk", KNOWN },
};

CASE(vmmcall_off, .says = "VMMCALL that L1 does not intercept is #UD", .modes = LONG64, .needs = "vendor:amd nested",
     .rows = ROWS(rows))

static struct guest_regs taken;
static unsigned int nr_taken;

static void on_ud(struct guest_regs *regs)
{
	taken = *regs;
	nr_taken++;
	regs->rip = (ulong_t)v_next;
}

GUEST(vmmcall_off)
{
	bool is_intercepted = GUEST_ROW(rows)->is_intercepted;

	guest_handle(UD_VECTOR, on_ud);
	l1_svm_init();
	vmcb_intercept_clear(&l1_vmcb, SVM_EXIT_VMMCALL);
	vmcb_intercept(&l1_vmcb, SVM_EXIT_HLT);
	if (is_intercepted)
		vmcb_intercept(&l1_vmcb, SVM_EXIT_EXCP_BASE + UD_VECTOR);
	l1_vmcb.save.rax = VALUE;
	l2_run(v_call);
	if (is_intercepted)
		CHECK_EXIT(.code = SVM_EXIT_EXCP_BASE + UD_VECTOR, .rip = (ulong_t)v_at);
	else
		CHECK_EXIT(.code = SVM_EXIT_HLT, .rip = (ulong_t)v_next);
	CHECK_NO_EXIT(SVM_EXIT_VMMCALL);
	CHECK_EQ(!is_intercepted, nr_taken);
	if (!is_intercepted)
		CHECK_EQ((ulong_t)v_at, taken.rip);
	CHECK_EQ(VALUE, l1_vmcb.save.rax);
}

HOST(vmmcall_off)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_DISABLE_QUIRKS2, .args = { KVM_X86_QUIRK_FIX_HYPERCALL_INSN } };

	if (ROW(t, rows)->is_quirk_off)
		vm_ioctl(t->vm, KVM_ENABLE_CAP, &cap);
	expect_done(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * VMMCALL is for a hypervisor that intercepts it: when L1 does not, L2 gets #UD at the instruction, and nothing of it is
 * changed. It is L1's hypercall to nobody, and KVM, which answers those of L1, has no part in it.
 *
 * Can break: KVM takes its own intercept for L1's; its emulator, which KVM asks about each #UD, patches the instruction
 * that it finds and runs it again, for ever.
 * Source: APM vol. 2, 15.9; vol. 3, VMMCALL. KVM API, KVM_CAP_DISABLE_QUIRKS2 (KVM_X86_QUIRK_FIX_HYPERCALL_INSN).
 */
#include "guests/l1_svm.h"
#include "case.h"

INSN(vo_code, "vo_vmmcall: vmmcall\n\tret")
INSN(vo_end, "cpuid")
extern const char vo_vmmcall[] GUEST_API;

struct row {
	ROW_FIELDS;
	bool is_quirk_off;
};

static const struct row rows[] = {
	{ .label = "raises", .known = { "2901-l2-vmmcall-loops", "!(bare)" } },
	{ .label = "raises_unpatched", .is_quirk_off = true, .needs = "KVM_CAP_DISABLE_QUIRKS2&32" },
};

/* Where it loops, not for the usual time. */
CASE(vmmcall_off, .says = "VMMCALL of L2 that L1 does not intercept is #UD", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows), .timeout_ms = 3000)

static struct fault l2_fault;

static void l2_main(void)
{
	l2_fault = guest_catch((void (*)(void *))vo_code, NULL);
	__asm__ volatile("jmp vo_end");
}

GUEST(vmmcall_off)
{
	static uint8_t code[3];

	memcpy(code, vo_vmmcall, sizeof(code));
	l1_svm_init();
	l2_warm();
	vmcb_intercept_clear(&l1_vmcb, SVM_EXIT_VMMCALL);
	vmcb_intercept(&l1_vmcb, SVM_EXIT_CPUID);
	guest_sync(1);
	l2_run(l2_main);
	CHECK_EXIT(.code = SVM_EXIT_CPUID, .rip = (ulong_t)vo_end);
	CHECK_NO_EXIT(SVM_EXIT_VMMCALL);
	CHECK_FAULT(UD_VECTOR, 0, l2_fault);
	CHECK_EQ((ulong_t)vo_vmmcall, l2_fault.rip);
	CHECK_EQ(0, memcmp(code, vo_vmmcall, sizeof(code)));
}

HOST(vmmcall_off)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_DISABLE_QUIRKS2, .args = { KVM_X86_QUIRK_FIX_HYPERCALL_INSN } };

	require_sync(t, 1);
	if (ROW(t, rows)->is_quirk_off)
		expect_result(t, 0, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	expect_done(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * What harness/runner/quirks.c allows an emulator's CPU in comparisons of whole records, each on its own and without
 * that help. All of it is plain conduct that any CPU has; on the emulators named it is known to fail, and a new version
 * of one that passes shows that its quirk can go.
 *
 * Source: APM vol. 2, 15.5.1 and 15.6 (what VMRUN loads and #VMEXIT saves); SDM vol. 3C, 26.3.2 and 27.3.
 */
#include "case.h"

static void real_cs_type(struct test *t);
static void cr2_loaded(struct test *t);

static const struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
} rows[] = {
	{ .label = "real_cs_type", .modes = REAL16, .host = real_cs_type,
	  .known = { .finding = "0501-bochs-real-mode-cs-type", .targets = "@(lab-vmx|lab-svm-bochs)" } },
	{ .label = "cr2_loaded", .modes = LONG64, .host = cr2_loaded,
	  .known = { .finding = "0504-bochs-vmrun-ignores-cr2", .targets = "lab-svm-bochs" } },
};

CASE(emulator_quirks, .says = "CS.type and CR2 come back from the guest as they went in", .modes = REAL16 | LONG64,
     .rows = ROWS(rows))

GUEST(emulator_quirks)
{
	guest_sync(1);
}

/* No instruction of the guest has loaded CS. */
static void real_cs_type(struct test *t)
{
	struct kvm_sregs before, after;

	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &before);
	require_sync(t, 1);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &after);
	expect_eq(t, 0xb, before.cs.type);
	expect_eq(t, 0xb, after.cs.type);
	expect_done(t);
}

static void cr2_loaded(struct test *t)
{
	struct kvm_sregs sregs;

	require_sync(t, 1);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	sregs.cr2 = 0x777000;
	vcpu_ioctl(t->vcpu, KVM_SET_SREGS, &sregs);
	expect_done(t);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	expect_eq(t, 0x777000, sregs.cr2);
}

HOST(emulator_quirks)
{
	ROW(t, rows)->host(t);
}

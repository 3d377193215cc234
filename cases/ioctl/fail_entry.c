/* SPDX-License-Identifier: MIT */
/*
 * State that KVM takes and the CPU does not: KVM_RUN ends with KVM_EXIT_FAIL_ENTRY, the CPU's reason and the host CPU,
 * as often as it is tried; the guest has not moved, and runs when its state is legal again.
 *
 * Can break: a failed entry taken for an exit, RIP or another register changed by it, a vCPU that is lost behind it.
 * Source: KVM API, "The kvm_run structure" (KVM_EXIT_FAIL_ENTRY); APM vol. 2, 15.5.1 (canonicalization and consistency
 * checks: long mode, CS.L and CS.D); SDM vol. 3C, 26.3.1.2 (checks on guest segment registers), 26.8.
 */
#include "case.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "cases/ioctl/vcpu_state.h"

#define INVALID_GUEST_STATE 0x80000021	/* basic reason 33, entry failure */

struct row {
	ROW_FIELDS;
	uint64_t reason;
	void (*spoil)(struct kvm_sregs *sregs);
};

static void cs_long_and_32(struct kvm_sregs *sregs)
{
	sregs->cs.db = 1;
}

static void tr_not_busy(struct kvm_sregs *sregs)
{
	sregs->tr.type = 1;
}

static void cs_is_data(struct kvm_sregs *sregs)
{
	sregs->cs.type = 1;
}

static void ss_granularity(struct kvm_sregs *sregs)
{
	sregs->ss.limit = 0xffffffff;
	sregs->ss.g = 0;
}

static void ds_no_code_read(struct kvm_sregs *sregs)
{
	sregs->ds.type = 9;
}

#define ON_INTEL(label_) .label = #label_, .reason = INVALID_GUEST_STATE, .spoil = ON_HOST(label_),	\
	.needs = "vendor:intel param:kvm_intel.unrestricted_guest=1"

static const struct row rows[] = {
	/* VMEXIT_INVALID: of -1, KVM tells the lower half. */
	{ .label = "cs_long_and_32_amd", .reason = 0xffffffff, .spoil = ON_HOST(cs_long_and_32), .needs = "vendor:amd",
	  .known = { "1204-qemu-refused-vmrun-rip", "lab-svm", .next = &(const struct known){
		"1205-bochs-refused-vmrun-hangs", "lab-svm-bochs", .is_skipped = true } } },
	{ ON_INTEL(cs_long_and_32) },
	{ ON_INTEL(tr_not_busy) },
	{ ON_INTEL(cs_is_data) },
	{ ON_INTEL(ss_granularity) },
	{ ON_INTEL(ds_no_code_read) },
};

CASE(fail_entry, .says = "state that the CPU refuses is an exit of its own, and undone by legal state", .modes = LONG64,
     .rows = ROWS(rows))

GUEST(fail_entry)
{
	out8(0x80, 0x5a);
}

/* The one host CPU that this thread is on from now. */
static uint32_t cpu_pin(struct test *t)
{
	uint64_t one[16] = { 0 };
	uint32_t cpu = 0;

	require_result(t, 0, syscall(SYS_getcpu, &cpu, NULL, NULL));
	one[cpu / 64] = 1ull << (cpu % 64);
	require_result(t, 0, syscall(SYS_sched_setaffinity, 0, sizeof(one), one));
	return cpu;
}

HOST(fail_entry)
{
	const struct row *row = ROW(t, rows);
	uint32_t cpu = cpu_pin(t);
	struct kvm_sregs good, bad;
	struct vcpu_state before;
	unsigned int i;

	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &good);
	bad = good;
	row->spoil(&bad);
	vcpu_ioctl(t->vcpu, KVM_SET_SREGS, &bad);
	vcpu_state_get(t->vcpu, &before);
	for (i = 0; i < 3; i++) {
		expect_exit(t, .reason = KVM_EXIT_FAIL_ENTRY,
			    .fail_entry = { .hardware_entry_failure_reason = row->reason, .cpu = cpu });
		/* The FPU was loaded: its components may be in use now (XSTATE_BV), with the same values. */
		vcpu_ioctl(t->vcpu, KVM_GET_XSAVE, &before.xsave);
		expect_vcpu_state(t, t->vcpu, &before);
	}
	vcpu_ioctl(t->vcpu, KVM_SET_SREGS, &good);
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 0x5a);
	expect_done(t);
}

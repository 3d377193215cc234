/* SPDX-License-Identifier: MIT */
/*
 * CPUID faulting, which KVM offers on any CPU once user space says so in MSR_PLATFORM_INFO: with it on, CPUID is #GP(0)
 * outside of CPL 0, carried out by KVM's exit handler and by its emulator alike.
 *
 * Can break: the emulator without the check, the privilege level inverted, a bit that is not offered taken, the offer
 * taken back while it is in use.
 * Source: SDM vol. 4, MSR_PLATFORM_INFO (bit 31), MSR_MISC_FEATURES_ENABLES (bit 0); KVM API, 7.15.
 */
#include "case.h"

#include "cases/ioctl/vcpu_state.h"
#include "cases/mmu/forced.h"

#define MSR_PLATFORM_INFO 0xce
#define CAN_FAULT (1ull << 31)
#define MSR_MISC_FEATURES_ENABLES 0x140
#define FAULT_ON 1

INSN(f_native, "xor %eax, %eax\n\txor %ecx, %ecx\n\tf_native_at: cpuid\n\tret")
INSN(f_forced, "xor %eax, %eax\n\txor %ecx, %ecx\n\t" FORCED_PREFIX "f_forced_at: cpuid\n\tret")
extern const char f_native_at[] GUEST_API, f_forced_at[] GUEST_API;

struct row {
	ROW_FIELDS;
	const char *code, *at;	/* NULL: about the MSRs */
	bool is_user, is_on;
	uint64_t offer;		/* MSR_PLATFORM_INFO */
};

#define NATIVE .code = f_native, .at = f_native_at
#define FORCED .code = f_forced, .at = f_forced_at, .needs = FORCED_NEEDS

static const struct row rows[] = {
	{ .label = "user", NATIVE, .offer = CAN_FAULT, .is_user = true, .is_on = true },
	{ .label = "user_emulated", FORCED, .offer = CAN_FAULT, .is_user = true, .is_on = true },
	{ .label = "user_off", NATIVE, .offer = CAN_FAULT, .is_user = true },
	{ .label = "user_off_emulated", FORCED, .offer = CAN_FAULT, .is_user = true },
	{ .label = "kernel", NATIVE, .offer = CAN_FAULT, .is_on = true },
	{ .label = "kernel_emulated", FORCED, .offer = CAN_FAULT, .is_on = true },
	{ .label = "not_offered", .offer = 0 },
	{ .label = "offered", .offer = CAN_FAULT, .is_on = true },
};

CASE(cpuid_faulting, .says = "CPUID faulting is there when offered, for CPL 1 to 3, in KVM's emulator too",
     .modes = LONG64, .rows = ROWS(rows))

GUEST(cpuid_faulting)
{
	const struct row *row = GUEST_ROW(rows);
	void (*code)(void *) = (void (*)(void *))row->code;
	bool faults = row->is_user && row->is_on;
	struct fault f;

	CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(MSR_MISC_FEATURES_ENABLES, 2));
	CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(MSR_MISC_FEATURES_ENABLES, 1ull << 63));
	CHECK_FAULT(row->offer ? NO_VECTOR : GP_VECTOR, 0, wrmsr_safe(MSR_MISC_FEATURES_ENABLES, FAULT_ON));
	CHECK_EQ(row->offer ? FAULT_ON : 0, rdmsr(MSR_MISC_FEATURES_ENABLES));
	if (!row->is_on)
		CHECK_NO_FAULT(wrmsr_safe(MSR_MISC_FEATURES_ENABLES, 0));
	guest_sync(1);
	if (!code)
		return;
	f = row->is_user ? guest_catch_user(code, NULL) : guest_catch(code, NULL);
	CHECK_FAULT(faults ? GP_VECTOR : NO_VECTOR, 0, f);
	if (faults)
		CHECK_EQ((ulong_t)row->at, f.rip);
}

HOST(cpuid_faulting)
{
	const struct row *row = ROW(t, rows);

	expect_result(t, 1, msr_set_try(t->vcpu, MSR_PLATFORM_INFO, row->offer));
	expect_sync(t, 1);
	/* While it is in use, the offer stands. */
	expect_result(t, row->is_on ? 0 : 1, msr_set_try(t->vcpu, MSR_PLATFORM_INFO, 0));
	expect_done(t);
}

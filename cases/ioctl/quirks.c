/* SPDX-License-Identifier: MIT */
/*
 * KVM_CAP_DISABLE_QUIRKS2 ends one behaviour of KVM that differs from the processor's for each of its bits, and no other:
 * MONITOR and MWAIT that never fault, the hypercall of the other vendor that is rewritten, LINT0 open after reset, a CPUID
 * that does not follow IA32_MISC_ENABLE.
 *
 * Can break: one bit taken for another, a quirk that stays, or goes although it was not named.
 * Source: KVM API, KVM_CAP_DISABLE_QUIRKS, KVM_CAP_DISABLE_QUIRKS2; SDM vol. 2, MONITOR, MWAIT (#UD without CPUID's
 * bit), vol. 3A, 10.5.1 (LVT after reset), vol. 4, IA32_MISC_ENABLE.
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/vcpu_state.h"

#define MISC_ENABLE_MWAIT (1ull << 18)
#define CPUID_MWAIT (1u << 3)
#define LINT0 0x350
#define LVT_MASKED 0x10000u
#define LVT_EXTINT 0x700u
#define NO_HYPERCALL 0x7fff
#define ENOSYS_OF_KVM (-1000)
#define ALL_BUT(bit_) (0x7f & ~(uint64_t)(bit_))

struct row {
	ROW_FIELDS;
	uint64_t disabled;
	bool by_old_cap;
	void (*guest)(void);
	void (*host)(struct test *t);
};

/* --- the guest's half --- */

static struct fault monitor_try(void)
{
	return TRY("monitor", : : "a"(scratch_base()), "c"(0), "d"(0));
}

static struct fault mwait_try(void)
{
	return TRY("mwait", : : "a"(0), "c"(0));
}

static void guest_nothing(void)
{
}

static void guest_mwait_nop(void)
{
	CHECK_EQ(0, cpuid(1, 0).ecx & CPUID_MWAIT);
	CHECK_NO_FAULT(monitor_try());
	CHECK_NO_FAULT(mwait_try());
}

static void guest_mwait_ud(void)
{
	CHECK_FAULT(UD_VECTOR, 0, monitor_try());
	CHECK_FAULT(UD_VECTOR, 0, mwait_try());
}

#define HYPERCALL(name_)								\
	static void __attribute__((unused)) name_##_works(void)				\
	{										\
		ulong_t result = NO_HYPERCALL;						\
		CHECK_NO_FAULT(TRY(#name_, : "+a"(result)));				\
		CHECK_EQ((uint64_t)(ulong_t)ENOSYS_OF_KVM, result);			\
	}										\
	static void __attribute__((unused)) name_##_is_ud(void)				\
	{										\
		ulong_t result = NO_HYPERCALL;						\
		CHECK_FAULT(UD_VECTOR, 0, TRY(#name_, : "+a"(result)));			\
		CHECK_EQ(NO_HYPERCALL, result);						\
	}
HYPERCALL(vmcall)
HYPERCALL(vmmcall)

static void guest_amd(void)
{
	vmcall_is_ud();
	vmcall_is_ud();
	vmmcall_works();
}

static void guest_intel(void)
{
	vmmcall_is_ud();
	vmmcall_is_ud();
	vmcall_works();
}

static void guest_either(void)
{
	vmmcall_works();
	vmcall_works();
}

/* By the guest's own hand; the bit is CPUID's, too. */
static void guest_follows(void)
{
	uint64_t before = rdmsr(MSR_IA32_MISC_ENABLE) & ~MISC_ENABLE_MWAIT;

	wrmsr(MSR_IA32_MISC_ENABLE, before | MISC_ENABLE_MWAIT);
	CHECK_EQ(CPUID_MWAIT, cpuid(1, 0).ecx & CPUID_MWAIT);
	wrmsr(MSR_IA32_MISC_ENABLE, before);
	CHECK_EQ(0, cpuid(1, 0).ecx & CPUID_MWAIT);
	wrmsr(MSR_IA32_MISC_ENABLE, before | MISC_ENABLE_MWAIT);
	CHECK_EQ(CPUID_MWAIT, cpuid(1, 0).ecx & CPUID_MWAIT);
}

static void guest_stays(void)
{
	uint64_t before = rdmsr(MSR_IA32_MISC_ENABLE) & ~MISC_ENABLE_MWAIT;

	wrmsr(MSR_IA32_MISC_ENABLE, before | MISC_ENABLE_MWAIT);
	CHECK_EQ(CPUID_MWAIT, cpuid(1, 0).ecx & CPUID_MWAIT);
	wrmsr(MSR_IA32_MISC_ENABLE, before);
	CHECK_EQ(CPUID_MWAIT, cpuid(1, 0).ecx & CPUID_MWAIT);
}

/* --- the host's half: before the guest runs --- */

static void host_nothing(struct test *t)
{
	(void)t;
}

/* The guest's table says MWAIT. */
static void host_cpuid_mwait(struct test *t)
{
	const struct kvm_cpuid2 *supported = t->sys->cpuid;
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} table = { .head.nent = supported->nent };
	uint32_t i;

	require_true(t, supported->nent <= 256);
	memcpy(table.entries, supported->entries, supported->nent * sizeof(table.entries[0]));
	for (i = 0; i < supported->nent; i++)
		if (table.entries[i].function == 1)
			table.entries[i].ecx |= CPUID_MWAIT;
	vcpu_ioctl(t->vcpu, KVM_SET_CPUID2, &table.head);
}

static uint32_t lint0_get(struct test *t)
{
	struct kvm_lapic_state state;
	uint32_t value;

	vcpu_ioctl(t->vcpu, KVM_GET_LAPIC, &state);
	memcpy(&value, state.regs + LINT0, sizeof(value));
	return value;
}

static void host_lint0_open(struct test *t)
{
	expect_eq(t, LVT_EXTINT, lint0_get(t));
}

static void host_lint0_masked(struct test *t)
{
	expect_eq(t, LVT_MASKED, lint0_get(t));
}

#define QUIRK(label_, disabled_, guest_, host_, ...)					\
	{ .label = label_, .disabled = disabled_, .guest = guest_, .host = ON_HOST(host_), __VA_ARGS__ }
#define MWAIT_QUIRK KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS
#define HAS_ALL .needs = "KVM_CAP_DISABLE_QUIRKS2&0x7f"

static const struct row rows[] = {
	QUIRK("mwait_nop", 0, guest_mwait_nop, host_nothing),
	QUIRK("mwait_nop_others", ALL_BUT(MWAIT_QUIRK), guest_mwait_nop, host_nothing, HAS_ALL),
	QUIRK("mwait_ud", MWAIT_QUIRK, guest_mwait_ud, host_nothing, HAS_ALL),
	QUIRK("mwait_ud_old_cap", MWAIT_QUIRK, guest_mwait_ud, host_nothing, HAS_ALL, .by_old_cap = true),
	QUIRK("mwait_offered", MWAIT_QUIRK | KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT, guest_nothing, host_cpuid_mwait, HAS_ALL),
	QUIRK("hypercall_fixed", 0, guest_either, host_nothing),
	QUIRK("hypercall_fixed_others", ALL_BUT(KVM_X86_QUIRK_FIX_HYPERCALL_INSN), guest_either, host_nothing, HAS_ALL),
	QUIRK("hypercall_amd", KVM_X86_QUIRK_FIX_HYPERCALL_INSN, guest_amd, host_nothing,
	      .needs = "vendor:amd KVM_CAP_DISABLE_QUIRKS2&0x7f"),
	QUIRK("hypercall_intel", KVM_X86_QUIRK_FIX_HYPERCALL_INSN, guest_intel, host_nothing,
	      .needs = "vendor:intel KVM_CAP_DISABLE_QUIRKS2&0x7f"),
	QUIRK("lint0_open", ALL_BUT(KVM_X86_QUIRK_LINT0_REENABLED), guest_nothing, host_lint0_open, HAS_ALL),
	QUIRK("lint0_masked", KVM_X86_QUIRK_LINT0_REENABLED, guest_nothing, host_lint0_masked, HAS_ALL),
	QUIRK("misc_enable_stays", ALL_BUT(KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT), guest_stays, host_cpuid_mwait, HAS_ALL),
	QUIRK("misc_enable_follows", KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT, guest_follows, host_cpuid_mwait, HAS_ALL),
};

CASE(quirks, .says = "a quirk that is disabled is gone, and the others stay", .modes = LONG64, .manual = true,
     .needs = "KVM_CAP_DISABLE_QUIRKS2", .rows = ROWS(rows))

GUEST(quirks)
{
	GUEST_ROW(rows)->guest();
	CHECK(true);
}

HOST(quirks)
{
	const struct row *row = ROW(t, rows);
	struct kvm_enable_cap cap = { .cap = row->by_old_cap ? KVM_CAP_DISABLE_QUIRKS : KVM_CAP_DISABLE_QUIRKS2,
				      .args[0] = row->disabled };

	t->vm = test_vm(t);
	vm_ioctl(t->vm, KVM_ENABLE_CAP, &cap);
	vm_ioctl_value(t->vm, KVM_CREATE_IRQCHIP, 0);
	guest_load(t, t->vm);
	t->vcpu = guest_vcpu(t, t->vm, 0);
	row->host(t);
	expect_done(t);
}
